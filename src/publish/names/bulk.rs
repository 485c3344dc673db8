//! All names made at once, of a whole catalog: at start, and when settings change.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{
    Called, Claim, Few, FurtherName, GroupKind, IpNetwork, Key, NameEntry, Names, Presence, Seed, ServiceAnswers,
    Settings, Table, Word, claims, claims::hidden_hash, networks::sort_networks, word_hash, words::words_of,
};
use crate::{
    catalog::{
        names::ServiceName,
        node::Node,
        state::{NodeEntry, ServiceEntry, State},
    },
    publish::{
        eligible::is_for_our_networks,
        nodes::Nodes,
        reverse::{Found, Reverse},
        service::Context,
        view::GroupName,
    },
};

impl Names {
    /// Builds all names from nothing. They are those that following each node and instance makes.
    pub fn build(catalog: &State, settings: &Settings) -> Names {
        let seed = catalog.seed();
        let mut reader = Reader::new(catalog, settings);
        for entry in catalog.nodes().filter(|entry| settings.shows_node(&entry.node.name)) {
            reader.nodes.change(seed, None, Some(&entry.node), settings.default_rule.ttl_secs);
            reader.found.node(&entry.node);
        }
        let mut services = catalog.services_by_place();
        if settings.readers.is_some() {
            services.retain(|service| {
                settings.shows_service(service.name.as_str())
                    && service.instances().any(|entry| settings.shows_node(&entry.instance.node))
            });
        }
        let (mut planned, held) = plan(&services);
        let mut names = Names { seed: Some(seed), ..Names::default() };
        names.singles = planned.iter().filter(|entry| !entry.claims.is_empty() && entry.key.takes_underscore()).count();
        let (mut entries, mut hidden) = (Vec::with_capacity(planned.len()), Vec::new());
        let mut words = HashMap::new();
        let hashed = |entry: NameEntry| (seed.hash(entry.key.as_wire()), Arc::new(entry));
        for (service, held) in services.into_iter().zip(held) {
            let answers = reader.service(service);
            for at in &held {
                let groups = answers.views(None).eligible.group_names();
                for word in groups.flat_map(|name| words_of(&planned[*at].key, name)) {
                    *words.entry(word).or_insert(0) += 1;
                }
            }
            let mut put = |at: usize, answers| {
                let entry = std::mem::replace(&mut planned[at], nowhere());
                entries.push(hashed(NameEntry { answers: Some(answers), ..entry }));
            };
            match held.split_last() {
                Some((last, others)) => {
                    others.iter().for_each(|at| put(*at, answers.clone()));
                    put(*last, answers);
                }
                None => hidden.push((hidden_hash(seed, &answers.called()), Arc::new(answers))),
            }
        }
        // What is left is between names.
        entries.extend(planned.into_iter().filter(|entry| entry.below > 0).map(hashed));
        names.services = Table::of(entries);
        names.hidden = Table::of(hidden);
        names.fill_words(seed, words);
        for (name, presences) in std::mem::take(&mut reader.further) {
            names.join(reader.answers(Called::further(&name), &presences));
        }
        let mut networks: Vec<_> = reader.networks.into_iter().collect();
        sort_networks(&mut networks);
        names.networks = Arc::new(networks);
        names.nodes = reader.nodes;
        names.reverse = Reverse::of(seed, reader.found);
        names
    }

    fn fill_words(&mut self, seed: Seed, words: HashMap<GroupName, u32>) {
        self.port_words = words.keys().filter(|name| name.kind == GroupKind::Port).count();
        let hashed = |(GroupName { kind, key }, services): (GroupName, u32)| {
            (word_hash(seed, kind, key.as_wire()), Arc::new(Word { kind, key, services }))
        };
        self.words = Table::of(words.into_iter().map(hashed).collect());
    }
}

/// All names that there will be, still without answers; and of each service, the places of those that it has.
fn plan(services: &[&Arc<ServiceEntry>]) -> (Vec<NameEntry>, Vec<Vec<usize>>) {
    let mut wanted: Vec<(Key, Claim, usize)> = Vec::with_capacity(services.len());
    for (at, service) in services.iter().enumerate() {
        wanted.extend(claims(&Called::service(&service.name)).into_iter().map(|(key, claim)| (key, claim, at)));
    }
    wanted.sort_unstable();
    let mut above: HashMap<Key, (u32, u32)> = HashMap::new();
    let mut planned = Vec::with_capacity(wanted.len());
    let mut held = vec![Vec::new(); services.len()];
    for run in wanted.chunk_by(|left, right| left.0 == right.0) {
        let (key, _, first) = &run[0];
        held[*first].push(planned.len());
        for ancestor in key.ancestors() {
            let (below, below_short) = above.entry(Key::from_wire(ancestor)).or_default();
            *below += 1;
            *below_short += u32::from(key.has_short_form());
        }
        let claims = run.iter().map(|(_, claim, _)| claim.clone()).collect();
        planned.push(NameEntry { key: key.clone(), claims, ..nowhere() });
    }
    if !above.is_empty() {
        for entry in &mut planned {
            (entry.below, entry.below_short) = above.remove(&entry.key).unwrap_or_default();
        }
        let between = |(key, (below, below_short))| NameEntry { key, below, below_short, ..nowhere() };
        planned.extend(above.into_iter().map(between));
    }
    (planned, held)
}

/// A name that does not exist.
fn nowhere() -> NameEntry {
    NameEntry { key: Key::from_wire(&[]), claims: Few::default(), below: 0, below_short: 0, answers: None }
}

/// Reads the catalog, and notes what there is beside services.
struct Reader<'c> {
    catalog: &'c State,
    settings: &'c Settings,
    nodes: Nodes,
    found: Found,
    /// Client networks of our own node, and how many instances have an address there.
    networks: HashMap<IpNetwork, u32>,
    /// Instances by further name.
    further: HashMap<ServiceName, Vec<Presence>>,
    /// The node of the instance before: most have the same one.
    last: Option<&'c Arc<NodeEntry>>,
}

impl<'c> Reader<'c> {
    fn new(catalog: &'c State, settings: &'c Settings) -> Reader<'c> {
        let (nodes, found, networks, further) = Default::default();
        Reader { catalog, settings, nodes, found, networks, further, last: None }
    }

    fn service(&mut self, service: &'c ServiceEntry) -> ServiceAnswers {
        let mut presences = Vec::with_capacity(service.len());
        for entry in service.instances_by_place() {
            let name = &entry.instance.node;
            if !self.settings.shows_node(name) {
                continue;
            }
            if self.last.is_none_or(|node| node.node.name != *name) {
                self.last = self.catalog.node(name);
            }
            let node = self.last.expect("an instance's node is in its catalog");
            let presence = Presence::of(entry, node);
            self.found.instance(&presence, self.settings);
            let is_ours = is_for_our_networks(&entry.instance, self.settings);
            for address in entry.instance.network_addresses.iter().filter(|_| is_ours) {
                *self.networks.entry(address.network).or_insert(0) += 1;
            }
            for FurtherName { name, .. } in &entry.instance.further_names {
                self.further.entry(name.clone()).or_default().push(presence.clone());
            }
            presences.push(presence);
        }
        self.answers(Called::service(&service.name), &presences)
    }

    fn answers(&self, called: Called, presences: &[Presence]) -> ServiceAnswers {
        let (seed, settings, nodes) = (self.catalog.seed(), self.settings, &self.nodes);
        let target = |node: &Node| nodes.target(seed, node);
        let context = Context { seed, settings, target: &target };
        let rule = settings.rule(called.name.as_str());
        ServiceAnswers::of(context, called, rule, presences)
    }
}
