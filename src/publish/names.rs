//! What DNS answers about the catalog, by name.
//!
//! Names under the domain are parsed, not stored: labels give one key. A service is found by up to three keys
//! (`label`), a node by one. Everything follows the catalog change by change, in O(what changed).

mod bulk;
mod claims;
mod networks;
mod words;

use std::{hint::black_box, sync::Arc};

use self::{
    claims::{Claim, claims},
    words::{Word, word_hash},
};
use crate::{
    catalog::{
        apply::{Effects, Presence, TouchedInstance},
        check::CheckStatus,
        few::Few,
        names::ServiceName,
        node::Node,
        service::{FurtherName, IpNetwork},
        state::NodeEntry,
        table::{FOUND_TOGETHER_MAX, Seed, Table, Trail},
    },
    publish::{
        eligible,
        label::{KEY_MAX_BYTES, Key, service_keys, unchanged},
        nodes::Nodes,
        reverse::Reverse,
        selection::Member,
        service::{Called, Context, ServiceAnswers, Standing},
        settings::Settings,
        view::GroupKind,
    },
};

/// The names of the catalog.
#[derive(Debug, Clone, Default)]
pub struct Names {
    seed: Option<Seed>,
    services: Table<Arc<NameEntry>>,
    /// Services that hold no key, because others that differ in letter case only come first, and further names that do not.
    hidden: Table<Arc<ServiceAnswers>>,
    /// Nodes by name.
    pub nodes: Nodes,
    /// Names by address.
    pub reverse: Reverse,
    /// How often a tag or a named port is part of names, by name: see [`Names::count_at`].
    words: Table<Arc<Word>>,
    /// How many names of one label services have, as RFC 2782 forms need.
    singles: usize,
    /// How many of those words are named ports.
    port_words: usize,
    /// Client networks of our own node, and how many instances have an address there.
    networks: Arc<Vec<(IpNetwork, u32)>>,
}

/// What a name of services leads to.
#[derive(Debug, Clone, Copy)]
pub enum FoundService<'a> {
    /// The service of that name, or the instances with that further name.
    Service(&'a ServiceAnswers),
    /// No service, but services below that name.
    Below {
        /// Whether one of them is found without a kind too.
        short: bool,
    },
    /// No such name.
    Nothing,
}

/// In this order, so that what an answer reads lies together, in few cache lines; see also [`ServiceAnswers`].
#[derive(Debug, Clone)]
#[repr(C)]
struct NameEntry {
    key: Key,
    answers: Option<ServiceAnswers>,
    /// Who wants the name; the first has it.
    claims: Few<Claim>,
    /// How many names lie below it.
    below: u32,
    /// How many of those are found without a kind too.
    below_short: u32,
}

impl NameEntry {
    /// Reads what every answer reads.
    fn touch(&self) -> u32 {
        let key = u32::from(self.key.as_wire().first().copied().unwrap_or(0));
        key.wrapping_add(self.answers.as_ref().map_or(0, ServiceAnswers::touch_self))
    }
}

impl Names {
    /// Follows a change; says whether an answer may have changed.
    pub fn follow(&mut self, effects: &Effects, settings: &Settings) -> bool {
        let seed = self.seed();
        for touched in &effects.nodes {
            let node = |entry: &'_ Option<Arc<NodeEntry>>| entry.as_ref().map(|entry| Arc::clone(&entry.node));
            if !settings.shows_node(touched.name()) {
                continue;
            }
            let (before, after) = (node(&touched.before), node(&touched.after));
            self.nodes.change(seed, before.as_deref(), after.as_deref(), settings.default_rule.ttl_secs);
            self.reverse.change_node(seed, before.as_deref(), after.as_deref());
        }
        let mut seen = !effects.nodes.is_empty();
        for touched in effects.instances.iter().filter(|touched| is_seen(touched)) {
            match settings.readers {
                None => self.follow_instance(touched, settings),
                Some(_) => self.follow_instance(&shown(touched, settings), settings),
            }
            seen = true;
        }
        seen
    }

    /// The service whose name has these labels.
    pub fn service(&self, labels: &[u8]) -> FoundService<'_> {
        match self.entry(labels) {
            Some(NameEntry { answers: Some(answers), .. }) => FoundService::Service(answers),
            Some(entry) => FoundService::Below { short: entry.below_short > 0 },
            None => FoundService::Nothing,
        }
    }

    /// Has what is answered about at most 64 names with these hashes brought into the cache: addresses, or members for SRV.
    /// `start` tells for each, by its number, where an answer begins that takes only some of so many members; by the trail
    /// that is returned for each it is found again.
    pub fn touch(
        &self,
        hashes: &[u32],
        asks_srv: &[bool],
        start: impl Fn(usize, usize) -> usize,
    ) -> [Trail; FOUND_TOGETHER_MAX] {
        let mut found: [Option<&NameEntry>; FOUND_TOGETHER_MAX] = [None; FOUND_TOGETHER_MAX];
        let mut slots = found.iter_mut();
        self.services.find_all(hashes, |entry| {
            if let Some(slot) = slots.next() {
                *slot = entry.map(|entry| &**entry);
            }
        });
        black_box(found.iter().flatten().map(|entry| entry.touch()).fold(0, u32::wrapping_add));
        let answers = || (0..).zip(&found).filter_map(|(at, entry)| Some((at, entry.as_ref()?.answers.as_ref()?)));
        black_box(answers().map(|(at, answers)| answers.touch(asks_srv[at])).fold(0, u32::wrapping_add));
        let (mut numbers, mut count) = ([0; FOUND_TOGETHER_MAX], 0);
        let many = answers().filter_map(|(at, answers)| {
            let addresses = answers.many_addresses()?;
            (numbers[count], count) = (at, count + 1);
            Some((addresses, start(at, addresses.len())))
        });
        let (found, read) = Table::touch_places(many);
        black_box(read);
        let mut trails = [Trail::NONE; FOUND_TOGETHER_MAX];
        numbers[..count].iter().zip(found).for_each(|(at, trail)| trails[*at] = trail);
        trails
    }

    /// Has what a change to an instance of these services, at most [`FOUND_TOGETHER_MAX`], will change brought into the cache.
    pub fn warm<'s>(&self, services: impl Iterator<Item = &'s ServiceName>) {
        let keys = services.filter_map(|service| service_keys(service).plain);
        let hashes: Vec<u32> = keys.map(|key| self.seed().hash(key.as_wire())).collect();
        let start = |_, _| 0;
        self.touch(&hashes, &[true; FOUND_TOGETHER_MAX], start);
    }

    /// Whether any service has a name of one label, as RFC 2782 forms need.
    pub fn has_singles(&self) -> bool {
        self.singles > 0
    }

    /// Whether any service has this named port, or one with a name of one label this tag.
    pub fn has_word(&self, kind: GroupKind, labels: &[u8]) -> bool {
        self.words.get(word_hash(self.seed(), kind, labels), |word| word.is(kind, labels)).is_some()
    }

    /// Whether any service has a named port.
    pub fn has_ports(&self) -> bool {
        self.port_words > 0
    }

    /// Whether a service below a name has this named port; below no labels: one with a name of one label.
    pub fn has_port_below(&self, port: &[u8], labels: &[u8]) -> bool {
        self.has_word(GroupKind::Port, Key::below(port, labels).as_wire())
    }

    /// The client network of ours in which the address lies; the smallest if several.
    pub fn client_network(&self, address: std::net::IpAddr) -> Option<IpNetwork> {
        self.networks.iter().map(|(network, _)| *network).find(|network| network.contains(address))
    }

    /// The seed of all hashes.
    pub fn seed(&self) -> Seed {
        self.seed.unwrap_or(Seed(0))
    }

    /// What is answered about a service.
    pub fn answers_of(&self, service: &ServiceName) -> Option<&ServiceAnswers> {
        let called = Called::service(service);
        match self.service(self.labels_of(service)?.as_wire()) {
            FoundService::Service(answers) if answers.is_of(&called) => Some(answers),
            _ => self.hidden(&called),
        }
    }

    /// What is answered about the service of this name; if there is none, about the one that differs in letter case only. Does
    /// not allocate for names that DNS carries as they are.
    pub fn service_called(&self, name: &str) -> Option<&ServiceAnswers> {
        let exact = || self.answers_of(&ServiceName::new(name).ok()?);
        let mut buffer = [0; KEY_MAX_BYTES];
        let Some(labels) = unchanged(name, &mut buffer) else { return exact() };
        let FoundService::Service(found) = self.service(labels) else { return None };
        let is_service = found.standing == Standing::Service;
        if is_service && found.name.as_str() == name {
            return Some(found);
        }
        exact().or_else(|| Some(found).filter(|found| is_service && found.name.as_str().eq_ignore_ascii_case(name)))
    }

    /// An instance of a service as a member for a client, whatever its status is, with the weight that it has at this one.
    pub fn member(
        &self,
        answers: &ServiceAnswers,
        (presence, status): (&Presence, CheckStatus),
        (settings, network): (&Settings, Option<IpNetwork>),
    ) -> Option<Member> {
        let target = |node: &Node| self.nodes.target(self.seed(), node);
        answers.member(Context { seed: self.seed(), settings, target: &target }, (presence, status), network)
    }

    /// The labels of a service's name: its plain form if it has it or another that differs in letter case only, else the
    /// hashed one.
    pub fn labels_of(&self, service: &ServiceName) -> Option<Key> {
        let keys = service_keys(service);
        let Some(hashed) = keys.hashed else { return keys.plain };
        let called = Called::service(service);
        let has =
            |key: &Key| matches!(self.service(key.as_wire()), FoundService::Service(answers) if answers.is_of(&called));
        keys.plain.filter(has).or(Some(hashed))
    }

    fn follow_instance(&mut self, touched: &TouchedInstance, settings: &Settings) {
        let service = |presence: &Option<Presence>| presence.as_ref().map(|p| p.entry.instance.service.clone());
        let (was, is) = (service(&touched.before), service(&touched.after));
        let (before, after) = (touched.before.as_ref(), touched.after.as_ref());
        if was == is {
            if let Some(service) = is {
                self.change_service(&Called::service(&service), before, after, settings);
            }
        } else {
            if let Some(service) = was {
                self.change_service(&Called::service(&service), before, None, settings);
            }
            if let Some(service) = is {
                self.change_service(&Called::service(&service), None, after, settings);
            }
        }
        self.follow_further_names(before, after, settings);
        self.reverse.change_instance(self.seed(), settings, touched);
        self.change_networks(touched, settings);
    }

    /// Follows an instance in what is answered by its further names.
    fn follow_further_names(&mut self, before: Option<&Presence>, after: Option<&Presence>, settings: &Settings) {
        let (was, is) = (further_names(before), further_names(after));
        for FurtherName { name, .. } in was {
            let stays = is.iter().any(|further| further.name == *name);
            self.change_service(&Called::further(name), before, after.filter(|_| stays), settings);
        }
        for FurtherName { name, .. } in is.iter().filter(|new| !was.iter().any(|old| old.name == new.name)) {
            self.change_service(&Called::further(name), None, after, settings);
        }
    }

    fn change_service(
        &mut self,
        called: &Called,
        before: Option<&Presence>,
        after: Option<&Presence>,
        settings: &Settings,
    ) {
        let claims = claims(called);
        if before.is_none() && !self.is_claimed(&claims[0].0, &claims[0].1) {
            self.claim(&claims);
        }
        let seed = self.seed();
        let Names { nodes, services, .. } = self;
        let target = |node: &Node| nodes.target(seed, node);
        let context = Context { seed, settings, target: &target };
        if let ([(key, claim)], Some(_), Some(_)) = (&claims[..], before, after) {
            // Nearly always: it has one key and keeps it, so that its answers can be changed where they are.
            let holds = |entry: &Arc<NameEntry>| entry.key == *key && entry.claims.first() == Some(claim);
            let change = |entry: &mut Arc<NameEntry>| {
                Arc::make_mut(entry).answers.as_mut().map(|answers| answers.change(context, before, after))
            };
            if let Some(Some(changes)) = services.edit(seed.hash(key.as_wire()), holds, change) {
                self.count_groups(&claims, changes);
                return;
            }
        }
        let found = self.answers(called, &claims);
        let mut answers =
            found.unwrap_or_else(|| ServiceAnswers::new(called.clone(), settings.rule(called.name.as_str())));
        let target = |node: &Node| self.nodes.target(seed, node);
        let changes = answers.change(Context { seed, settings, target: &target }, before, after);
        self.count_groups(&claims, changes);
        if answers.registered == 0 {
            self.unclaim(called, &claims);
        } else {
            self.put_answers(&claims, answers);
        }
    }

    fn entry(&self, labels: &[u8]) -> Option<&NameEntry> {
        let found = self.services.get(self.seed().hash(labels), |entry| entry.key.as_wire() == labels);
        found.map(|entry| &**entry)
    }

    fn entry_or_new(&self, key: &Key) -> NameEntry {
        let new = || NameEntry { key: key.clone(), claims: Few::default(), below: 0, below_short: 0, answers: None };
        self.entry(key.as_wire()).cloned().unwrap_or_else(new)
    }

    fn put(&mut self, entry: NameEntry) {
        let key = entry.key.clone();
        let hash = self.seed().hash(key.as_wire());
        if entry.claims.is_empty() && entry.below == 0 {
            self.services.remove(hash, |old| old.key == key);
        } else {
            self.services.set(hash, Arc::new(entry), |old| old.key == key);
        }
    }
}

fn further_names(presence: Option<&Presence>) -> &[FurtherName] {
    presence.map_or(&[], |presence| &presence.entry.instance.further_names)
}

/// What of an instance's change is for everybody.
fn shown(touched: &TouchedInstance, settings: &Settings) -> TouchedInstance {
    let shown = |presence: &Option<Presence>| {
        let is_shown = |presence: &&Presence| {
            let instance = &presence.entry.instance;
            settings.shows_service(instance.service.as_str()) && settings.shows_node(&instance.node)
        };
        presence.as_ref().filter(is_shown).cloned()
    };
    TouchedInstance { before: shown(&touched.before), after: shown(&touched.after) }
}

/// Whether anything changed that an answer could depend on: outputs of checks, and what is kept aside, are not.
fn is_seen(touched: &TouchedInstance) -> bool {
    let (Some(before), Some(after)) = (&touched.before, &touched.after) else { return true };
    let counts = |presence: &Presence| (eligible::status(presence), presence.in_maintenance());
    !before.is_registered_as(after) || counts(before) != counts(after)
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
