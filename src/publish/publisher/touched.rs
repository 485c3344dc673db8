//! What a batch touched: what is to be written of it, and who waits for it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::RandomState;

use crate::{
    access,
    catalog::{
        apply::Effects,
        check::{CheckKey, CheckResult},
        names::{NodeName, ServiceName, Text},
        service::InstanceKey,
        state::CheckEntry,
    },
    kv::change::Touched as Stored,
    publish::{
        followed::TouchedOnNode,
        journal::{StoredNode, Write},
        kept, kept_access,
        snapshot::Snapshot,
        watch::{Published, WatchKey},
    },
};

/// What a batch touched.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) services: Set<ServiceName>,
    pub(super) instances: Set<InstanceKey>,
    statuses: Results,
    /// Checks of which nothing but the output changed: that is written, and wakes nobody.
    outputs: Results,
    /// Checks that came, went, or got another definition.
    pub(super) definitions: Set<CheckKey>,
    pub(super) nodes: Set<NodeName>,
    pub(super) stored: Set<Stored>,
    /// Sessions that several machines share and the catalog no longer carries.
    pub(super) lapsed: Vec<Text>,
    /// Policies and tokens.
    pub(super) access: Set<access::directory::Touched>,
    pub(super) checks: bool,
    pub(super) sources: bool,
    /// Which machines live, or whether the store that they share is followed.
    pub(super) machines: bool,
    /// The node that is followed, and what was touched on it.
    pub(super) followed: Option<NodeName>,
    pub(super) on_followed: TouchedOnNode,
}

type Set<K> = HashSet<K, RandomState>;

/// Checks that have a new result, each with how it now is; none if that is to be looked up, because it may have changed again.
type Results = HashMap<CheckKey, Option<CheckEntry>, RandomState>;

impl Touched {
    /// Adds what a change of the catalog touched.
    pub(super) fn take_in(&mut self, effects: &Effects) {
        if let Some(node) = &self.followed {
            self.on_followed.take_in(node, effects);
        }
        for key in &effects.checks {
            let known = [&mut self.statuses, &mut self.outputs].into_iter().filter_map(|results| results.get_mut(key));
            known.for_each(|entry| *entry = None);
        }
        if effects.outputs_only {
            for (key, entry) in results(effects) {
                match self.statuses.get_mut(&key) {
                    Some(known) => *known = entry,
                    None => _ = self.outputs.insert(key, entry),
                }
            }
            return;
        }
        for presence in effects.instances.iter().flat_map(|touched| touched.before.iter().chain(&touched.after)) {
            self.services.insert(presence.entry.instance.service.clone());
        }
        let only_statuses = effects.checks.is_empty() && effects.nodes.is_empty();
        for instance in &effects.instances {
            let same = match (&instance.before, &instance.after) {
                (Some(before), Some(after)) => {
                    Arc::ptr_eq(&before.entry, &after.entry)
                        || (only_statuses
                            && Arc::ptr_eq(&before.entry.instance, &after.entry.instance)
                            && before.entry.shadowed == after.entry.shadowed)
                }
                _ => false,
            };
            if let (false, Some(presence)) = (same, instance.after.as_ref().or(instance.before.as_ref())) {
                self.instances.insert(presence.entry.instance.key());
            }
        }
        self.nodes.extend(effects.nodes.iter().map(|node| node.name().clone()));
        self.statuses.extend(results(effects));
        self.checks |= !effects.checks.is_empty() || !effects.statuses.is_empty();
        self.definitions.extend(effects.checks.iter().cloned());
    }

    /// Whether prepared queries changed, which have names in DNS.
    pub(super) fn queries(&self) -> bool {
        self.stored.iter().any(|stored| matches!(stored, Stored::Query(_)))
    }

    /// What now holds for all that a batch touched, as the journal keeps it. What nameplate registers of itself is kept
    /// too, though it registers that anew at each start: an operator may have added checks to it, or put it in
    /// maintenance, and registrations may lie aside of it.
    pub(super) fn writes(&self, next: &Snapshot) -> Vec<Write> {
        let catalog = &next.catalog;
        let mut writes = Vec::new();
        for name in &self.nodes {
            writes.push(match catalog.node(name) {
                Some(entry) => Write::Node(StoredNode {
                    node: Arc::clone(&entry.node),
                    checks: Arc::clone(&entry.checks),
                    create_index: entry.create_index,
                    modify_index: entry.modify_index,
                }),
                None => Write::ForgetNode(name.clone()),
            });
        }
        for key in &self.instances {
            match catalog.instance(key) {
                Some(entry) => writes.push(Write::Instance(Arc::clone(entry))),
                None => writes.push(Write::ForgetInstance(key.clone())),
            }
        }
        writes.extend(self.stored.iter().map(|stored| kept::write(&next.store, stored)));
        writes.extend(self.access.iter().map(|touched| kept_access::write(&next.realm.stored, touched)));
        let only_outputs = self.outputs.iter().filter(|(key, _)| !self.statuses.contains_key(*key));
        for (key, entry) in only_outputs.chain(&self.statuses) {
            let Some(entry) = entry.as_ref().or_else(|| catalog.check(key)) else { continue };
            let result = CheckResult { status: entry.check.status, output: (&*entry.check.shown_output()).into() };
            writes.push(Write::CheckStatus { key: key.clone(), result, modify_index: entry.modify_index });
        }
        writes
    }

    /// The sessions that came or went.
    pub(super) fn sessions(&self) -> Vec<Text> {
        let id = |stored: &Stored| match stored {
            Stored::Session(id) => Some(id.clone()),
            Stored::Key(_) | Stored::Event(_) | Stored::Query(_) | Stored::Revision => None,
        };
        self.stored.iter().filter_map(id).collect()
    }

    /// Wakes those who wait for it. Only when it is published: who is woken looks at the snapshot.
    pub(super) fn wake(&self, published: &Published) {
        if !published.has_waiters() {
            return;
        }
        for service in &self.services {
            published.touch(&WatchKey::Service(service.clone()));
        }
        let of_checks = self.statuses.keys().chain(&self.definitions).map(|key| &key.node);
        let on_nodes = self.instances.iter().map(|key| &key.node).chain(of_checks);
        for node in on_nodes.chain(&self.nodes).collect::<HashSet<_>>() {
            published.touch(&WatchKey::Node(node.clone()));
        }
        let (mut sessions, mut events, mut queries) = (false, false, false);
        for stored in &self.stored {
            match stored {
                Stored::Key(key) => published.touch_key(key),
                Stored::Session(_) => sessions = true,
                Stored::Event(_) => events = true,
                Stored::Query(_) => queries = true,
                Stored::Revision => {}
            }
        }
        let lists = [
            (!self.services.is_empty(), WatchKey::Services),
            (!self.nodes.is_empty(), WatchKey::Nodes),
            (self.checks, WatchKey::Checks),
            (self.sources, WatchKey::Sources),
            (sessions, WatchKey::Sessions),
            (events, WatchKey::Events),
            (queries, WatchKey::Queries),
        ];
        for (_, key) in lists.iter().filter(|(touched, _)| *touched) {
            published.touch(key);
        }
    }
}

/// The checks of which only the result changed, with how they now are where that is at hand: where one instance was touched.
fn results(effects: &Effects) -> impl Iterator<Item = (CheckKey, Option<CheckEntry>)> {
    let home = match &effects.instances[..] {
        [one] => one.after.as_ref().map(|presence| &presence.entry),
        _ => None,
    };
    effects.statuses.iter().map(move |key| (key.clone(), home.and_then(|home| home.check(&key.id)).cloned()))
}
