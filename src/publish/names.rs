//! What DNS answers about the catalog, by name.
//!
//! Names under the domain are parsed, not stored: labels give one key. A service is found by up to three keys
//! (`label`), a node by one. Everything follows the catalog change by change, in O(what changed).

mod bulk;

use std::{hint::black_box, sync::Arc};

use crate::{
    catalog::{
        apply::{Effects, Presence, TouchedInstance},
        names::ServiceName,
        node::Node,
        service::IpNetwork,
        state::{NodeEntry, State},
        table::{FOUND_TOGETHER_MAX, Seed, Table},
    },
    publish::{
        eligible,
        label::{Key, service_keys},
        nodes::Nodes,
        reverse::Reverse,
        service::{Context, ServiceAnswers},
        settings::Settings,
        view::{GroupChange, GroupKind, GroupName},
    },
};

/// The names of the catalog.
#[derive(Debug, Clone, Default)]
pub struct Names {
    seed: Option<Seed>,
    services: Table<Arc<NameEntry>>,
    /// Services that hold no key, because others that differ in letter case only come first.
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
    /// The service of that name.
    Service(&'a ServiceAnswers),
    /// No service, but services below that name.
    Below {
        /// Whether one of them is found without a kind too.
        short: bool,
    },
    /// No such name.
    Nothing,
}

#[derive(Debug, Clone)]
struct NameEntry {
    key: Key,
    /// Who wants the name; the first has it.
    claims: Vec<Claim>,
    /// How many names lie below it.
    below: u32,
    /// How many of those are found without a kind too.
    below_short: u32,
    answers: Option<ServiceAnswers>,
}

/// The order is that in which claims win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    rank: Rank,
    service: ServiceName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It is the name.
    Own,
    /// It is the hashed form, which only a name made to look like it has too.
    Hashed,
    /// It is what DNS makes of the name.
    Plain,
    /// It is the name with `-` for `_`.
    Dashed,
}

#[derive(Debug)]
struct Word {
    kind: GroupKind,
    key: Key,
    services: u32,
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
            let (before, after) = (node(&touched.before), node(&touched.after));
            self.nodes.change(seed, before.as_deref(), after.as_deref(), settings.default_rule.ttl_secs);
            self.reverse.change_node(seed, before.as_deref(), after.as_deref());
        }
        let mut seen = !effects.nodes.is_empty();
        for touched in effects.instances.iter().filter(|touched| is_seen(touched)) {
            self.follow_instance(touched, settings);
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
    /// `start` tells for each, by its number, where an answer begins that takes only some of so many members.
    pub fn touch(&self, hashes: &[u32], asks_srv: &[bool], start: impl Fn(usize, usize) -> usize) {
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
        let many = answers().filter_map(|(at, answers)| Some((at, answers.many_addresses()?)));
        black_box(Table::touch_places(many.map(|(at, addresses)| (addresses, start(at, addresses.len())))));
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
        match self.service(self.labels_of(service)?.as_wire()) {
            FoundService::Service(answers) if answers.name == *service => Some(answers),
            _ => {
                self.hidden.get(self.seed().hash(service), |answers| answers.name == *service).map(|answers| &**answers)
            }
        }
    }

    /// The labels of a service's name: its plain form if it has it or another that differs in letter case only, else the
    /// hashed one.
    pub fn labels_of(&self, service: &ServiceName) -> Option<Key> {
        let keys = service_keys(service);
        let Some(hashed) = keys.hashed else { return keys.plain };
        let has = |key: &Key| matches!(self.service(key.as_wire()), FoundService::Service(answers) if answers.name == *service);
        keys.plain.filter(has).or(Some(hashed))
    }

    fn follow_instance(&mut self, touched: &TouchedInstance, settings: &Settings) {
        let service = |presence: &Option<Presence>| presence.as_ref().map(|p| p.entry.instance.service.clone());
        let (before, after) = (service(&touched.before), service(&touched.after));
        if before == after {
            if let Some(service) = after {
                self.change_service(&service, touched.before.as_ref(), touched.after.as_ref(), settings);
            }
        } else {
            if let Some(service) = before {
                self.change_service(&service, touched.before.as_ref(), None, settings);
            }
            if let Some(service) = after {
                self.change_service(&service, None, touched.after.as_ref(), settings);
            }
        }
        self.reverse.change_instance(self.seed(), settings, touched);
        self.change_networks(touched, settings);
    }

    fn change_service(
        &mut self,
        service: &ServiceName,
        before: Option<&Presence>,
        after: Option<&Presence>,
        settings: &Settings,
    ) {
        let claims = claims(service);
        if before.is_none() && !self.is_claimed(&claims[0].0, service) {
            self.claim(&claims);
        }
        let mut answers = self
            .answers(service, &claims)
            .unwrap_or_else(|| ServiceAnswers::new(service.clone(), settings.rule(service.as_str())));
        let nodes = &self.nodes;
        let seed = self.seed();
        let target = |node: &Node| nodes.target(seed, node);
        let context = Context { seed, settings, target: &target };
        let changes = answers.change(context, before, after);
        if !changes.is_empty() {
            self.count_groups(&claims, changes);
        }
        if answers.registered == 0 {
            self.unclaim(service, &claims);
        } else {
            self.put_answers(&claims, answers);
        }
    }

    fn is_claimed(&self, key: &Key, service: &ServiceName) -> bool {
        self.entry(key.as_wire()).is_some_and(|entry| entry.claims.iter().any(|claim| claim.service == *service))
    }

    /// Notes the tags and named ports that came or went with a service that has, or wants, these keys.
    fn count_groups(&mut self, claims: &[(Key, Claim)], changes: Vec<GroupChange>) {
        let held = self.held(claims);
        for GroupChange { name, exists } in changes {
            for key in &held {
                self.count_at(key, &name, exists);
            }
        }
    }

    /// Those of the keys that their service has.
    fn held<'c>(&self, claims: &'c [(Key, Claim)]) -> Vec<&'c Key> {
        let has =
            |key: &Key, claim: &Claim| self.entry(key.as_wire()).and_then(|entry| entry.claims.first()) == Some(claim);
        claims.iter().filter(|(key, claim)| has(key, claim)).map(|(key, _)| key).collect()
    }

    /// What is answered about a service, wherever it is kept.
    fn answers(&self, service: &ServiceName, claims: &[(Key, Claim)]) -> Option<ServiceAnswers> {
        let held = claims.iter().filter_map(|(key, _)| self.entry(key.as_wire())?.answers.as_ref());
        let mut held = held.filter(|answers| answers.name == *service);
        let hidden = || self.hidden.get(self.seed().hash(service), |answers| answers.name == *service);
        held.next().or_else(|| hidden().map(|answers| &**answers)).cloned()
    }

    /// Puts answers in at all keys that their service holds; if it holds none, they are kept hidden.
    fn put_answers(&mut self, claims: &[(Key, Claim)], answers: ServiceAnswers) {
        let mut held = false;
        for (key, claim) in claims {
            let Some(entry) = self.entry(key.as_wire()).filter(|entry| entry.claims.first() == Some(claim)) else {
                continue;
            };
            held = true;
            let entry = NameEntry {
                key: entry.key.clone(),
                claims: entry.claims.clone(),
                below: entry.below,
                below_short: entry.below_short,
                answers: Some(answers.clone()),
            };
            self.put(entry);
        }
        let hash = self.seed().hash(&answers.name);
        let name = answers.name.clone();
        if held {
            self.hidden.remove(hash, |old| old.name == name);
        } else {
            self.hidden.set(hash, Arc::new(answers), |old| old.name == name);
        }
    }

    fn claim(&mut self, claims: &[(Key, Claim)]) {
        for (key, claim) in claims {
            let mut entry = self.entry_or_new(key);
            let existed = !entry.claims.is_empty();
            let loser = entry.answers.take_if(|_| entry.claims.first().is_some_and(|first| claim < first));
            let at = entry.claims.partition_point(|other| other < claim);
            entry.claims.insert(at, claim.clone());
            self.put(entry);
            if !existed {
                self.count_below(key, true);
            }
            if let Some(loser) = loser {
                self.count_all_at(key, &loser, false);
                self.put_answers(&self::claims(&loser.name.clone()), loser);
            }
        }
    }

    fn unclaim(&mut self, service: &ServiceName, claims: &[(Key, Claim)]) {
        for (key, claim) in claims {
            let mut entry = self.entry_or_new(key);
            let held = entry.claims.first() == Some(claim);
            entry.claims.retain(|other| other != claim);
            entry.answers.take_if(|answers| answers.name == *service);
            let next = entry.claims.first().map(|claim| claim.service.clone());
            let exists = !entry.claims.is_empty();
            self.put(entry);
            if !exists {
                self.count_below(key, false);
            }
            if let Some(next) = next {
                let claims = self::claims(&next);
                if let Some(answers) = self.answers(&next, &claims) {
                    if held {
                        self.count_all_at(key, &answers, true);
                    }
                    self.put_answers(&claims, answers);
                }
            }
        }
        self.hidden.remove(self.seed().hash(service), |old| old.name == *service);
    }

    /// Keeps the count of names of one label, and of names below each ancestor of a name.
    fn count_below(&mut self, key: &Key, exists: bool) {
        let short = u32::from(key.has_short_form());
        self.singles = if !key.takes_underscore() {
            self.singles
        } else if exists {
            self.singles + 1
        } else {
            self.singles - 1
        };
        let ancestors: Vec<Key> = key.ancestors().map(Key::from_wire).collect();
        for ancestor in ancestors {
            let mut entry = self.entry_or_new(&ancestor);
            entry.below = if exists { entry.below + 1 } else { entry.below - 1 };
            entry.below_short = if exists { entry.below_short + short } else { entry.below_short - short };
            self.put(entry);
        }
    }

    fn entry(&self, labels: &[u8]) -> Option<&NameEntry> {
        let found = self.services.get(self.seed().hash(labels), |entry| entry.key.as_wire() == labels);
        found.map(|entry| &**entry)
    }

    fn entry_or_new(&self, key: &Key) -> NameEntry {
        let new = || NameEntry { key: key.clone(), claims: Vec::new(), below: 0, below_short: 0, answers: None };
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

    /// A service gains or loses a name, with all its tags and named ports.
    fn count_all_at(&mut self, key: &Key, answers: &ServiceAnswers, exists: bool) {
        for name in answers.views(None).eligible.group_names() {
            self.count_at(key, name, exists);
        }
    }

    /// Notes a tag or a named port of a service at the names that it makes exist beside the service's own.
    fn count_at(&mut self, key: &Key, name: &GroupName, exists: bool) {
        for word in words_of(key, name) {
            self.count_word(&word, exists);
        }
    }

    fn count_word(&mut self, name: &GroupName, exists: bool) {
        let (kind, labels) = (name.kind, name.key.as_wire());
        let hash = word_hash(self.seed(), kind, labels);
        let is = |word: &Arc<Word>| word.is(kind, labels);
        let before = self.words.get(hash, is).map_or(0, |word| word.services);
        let services = if exists { before + 1 } else { before.saturating_sub(1) };
        if services > 0 {
            self.words.set(hash, Arc::new(Word { kind, key: name.key.clone(), services }), is);
        } else {
            self.words.remove(hash, is);
        }
        if kind == GroupKind::Port {
            self.port_words = (self.port_words + usize::from(before == 0)).saturating_sub(usize::from(services == 0));
        }
    }

    fn change_networks(&mut self, touched: &TouchedInstance, settings: &Settings) {
        let ours = |presence: &Option<Presence>| {
            let instance = presence.as_ref().map(|presence| Arc::clone(&presence.entry.instance));
            instance.filter(|instance| instance.node == settings.node && !instance.network_addresses.is_empty())
        };
        let (before, after) = (ours(&touched.before), ours(&touched.after));
        let same = before.as_ref().map(Arc::as_ptr) == after.as_ref().map(Arc::as_ptr);
        if same {
            return;
        }
        let mut networks = Vec::clone(&self.networks);
        for address in after.iter().flat_map(|instance| instance.network_addresses.iter()) {
            match networks.iter_mut().find(|(network, _)| *network == address.network) {
                Some((_, count)) => *count += 1,
                None => networks.push((address.network, 1)),
            }
        }
        for address in before.iter().flat_map(|instance| instance.network_addresses.iter()) {
            if let Some((_, count)) = networks.iter_mut().find(|(network, _)| *network == address.network) {
                *count -= 1;
            }
        }
        networks.retain(|(_, count)| *count > 0);
        sort_networks(&mut networks);
        self.networks = Arc::new(networks);
    }
}

impl Word {
    fn is(&self, kind: GroupKind, labels: &[u8]) -> bool {
        self.kind == kind && self.key.as_wire() == labels
    }
}

/// The names that a tag or a named port of a service makes exist beside the service's own: a named port in locations and
/// at all above, and, where the service's name is one label, `_<tag>` and `_tcp` beside the named port.
fn words_of(key: &Key, name: &GroupName) -> Vec<GroupName> {
    let is_single = key.takes_underscore();
    match name.kind {
        GroupKind::Tag if is_single && name.key.takes_underscore() => vec![name.clone()],
        GroupKind::Tag => Vec::new(),
        GroupKind::Port => {
            let above = key.ancestors().chain(is_single.then_some(&[][..]));
            let below = |ancestor| Key::below(name.key.as_wire(), ancestor);
            let port = |key| GroupName { kind: GroupKind::Port, key };
            std::iter::once(name.clone()).chain(above.map(below).map(port)).collect()
        }
    }
}

/// The keys that a service wants, and how much.
fn claims(service: &ServiceName) -> Vec<(Key, Claim)> {
    let keys = service_keys(service);
    let plain = if keys.hashed.is_some() { Rank::Plain } else { Rank::Own };
    let wanted = [(keys.hashed, Rank::Hashed), (keys.plain, plain), (keys.dashed, Rank::Dashed)];
    let claim = |rank| Claim { rank, service: service.clone() };
    wanted.into_iter().filter_map(|(key, rank)| Some((key?, claim(rank)))).collect()
}

/// The longest prefix first.
fn sort_networks(networks: &mut [(IpNetwork, u32)]) {
    networks.sort_by_key(|(network, _)| (std::cmp::Reverse(network.prefix_length()), *network));
}

/// Whether anything changed that an answer could depend on: outputs of checks, and what is kept aside, are not.
fn is_seen(touched: &TouchedInstance) -> bool {
    let (Some(before), Some(after)) = (&touched.before, &touched.after) else { return true };
    let counts = |presence: &Presence| (eligible::status(presence), presence.in_maintenance());
    !Arc::ptr_eq(&before.entry.instance, &after.entry.instance)
        || !Arc::ptr_eq(&before.node, &after.node)
        || counts(before) != counts(after)
}

fn word_hash(seed: Seed, kind: GroupKind, labels: &[u8]) -> u32 {
    seed.hash(&(kind, labels))
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
