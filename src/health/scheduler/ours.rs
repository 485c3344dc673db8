//! Which checks this machine runs.
//!
//! | on which node | registered by | who runs it |
//! |---|---|---|
//! | our own | anybody | we do |
//! | one that is no machine's, while the store that machines share is followed | the store tells of it | one of the machines that live |
//! | another machine's | the store tells of it | that machine |
//! | another | HTTP, without a store | we do, as it has nobody else |
//! | another | another source | nobody here |
//!
//! Which of the machines it is follows from their names alone (`publish::machines`), so that all agree without asking; when one goes,
//! the others have its checks, and nothing else moves. While machines disagree on who lives, a check may be run twice, or by nobody, for a
//! moment; results of a check that another runs are dropped.

use std::{sync::Arc, time::Instant};

use super::{FirstProbe, Scheduler};
use crate::{
    catalog::{
        change::Origin,
        check::{Check, CheckKey, CheckKind},
        names::NodeName,
        state::{NodeEntry, State},
    },
    publish::{
        machines::{Machine, runs},
        snapshot::Snapshot,
    },
};

/// By what checks are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ours {
    node: NodeName,
    /// The other machines that live, by name; none while the store that they share is not followed, or there is none.
    others: Option<Arc<[Machine]>>,
}

impl Ours {
    /// As it was before anything was published.
    pub(super) fn alone(node: NodeName) -> Ours {
        Ours { node, others: None }
    }

    /// As it is now.
    pub(super) fn of(snapshot: &Snapshot, node: NodeName) -> Ours {
        Ours { node, others: snapshot.follows_store().then(|| Arc::clone(&snapshot.machines)) }
    }

    /// Whether we run this check. Deadlines of other nodes are left to who registered them.
    pub(super) fn has(&self, check: &Check) -> bool {
        match check.origin {
            Origin::Cluster => {
                self.is_dealt_out(check) && self.others().is_some_and(|others| runs(&self.node, others, &check.key()))
            }
            Origin::Api => check.node == self.node || check.definition.kind.is_probed(),
            _ => check.node == self.node,
        }
    }

    /// Whether machines deal out who runs this check, of those that the store tells of.
    fn is_dealt_out(&self, check: &Check) -> bool {
        let kind: &CheckKind = &check.definition.kind;
        kind.is_probed() && !kind.is_of_its_node() && self.is_nobodys(&check.node)
    }

    /// Whether a node is no machine's.
    fn is_nobodys(&self, node: &NodeName) -> bool {
        let others = self.others().unwrap_or_default();
        *node != self.node && others.binary_search_by(|machine| machine.node.cmp(node)).is_err()
    }

    fn others(&self) -> Option<&[Machine]> {
        self.others.as_deref()
    }

    /// The checks that machines deal out.
    fn dealt_out<'a>(&'a self, catalog: &'a State) -> impl Iterator<Item = CheckKey> + 'a {
        let nodes = catalog.nodes().filter(|node| self.others.is_some() && self.is_nobodys(&node.node.name));
        let of_instances = |node: &'a NodeEntry| {
            let keys = node.instances().map(|instance| instance.key());
            keys.filter_map(|key| catalog.instance(&key)).flat_map(|entry| entry.checks.iter())
        };
        let checks = nodes.flat_map(move |node| node.checks.iter().chain(of_instances(node)));
        checks.filter(|entry| entry.check.origin == Origin::Cluster).map(|entry| entry.check.key())
    }
}

impl Scheduler {
    /// Which machines live, or whether their store is followed, may have changed: takes in what is ours by that, and leaves what is
    /// not. What another machine ran until now is probed first within its interval.
    pub(super) fn deal(&mut self) {
        let snapshot = self.shared.published.load();
        let ours = Ours::of(&snapshot, self.settings.node.clone());
        if ours == self.ours {
            return;
        }
        self.ours = ours;
        let now = Instant::now();
        let watched = self.checks.iter().map(|(_, (key, watched))| (key, watched.origin));
        let watched: Vec<_> =
            watched.filter(|(_, origin)| *origin == Origin::Cluster).map(|(key, _)| key.clone()).collect();
        let dealt_out: Vec<_> = self.ours.dealt_out(&snapshot.catalog).collect();
        for key in watched.into_iter().chain(dealt_out) {
            match snapshot.catalog.check(&key).filter(|entry| self.ours.has(&entry.check)) {
                Some(entry) => self.watch(entry, FirstProbe::Handed, now),
                None => self.forget(&key),
            }
        }
        self.held_changed();
    }
}
