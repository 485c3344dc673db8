//! What a machine had in etcd and lost without saying that it leaves: that stays for a moment, because a machine that lives
//! puts it back.
//!
//! | what is seen of a machine | what becomes of what it had |
//! |---|---|
//! | its node's document says `Leaving`, then its keys go: a clean stop | goes at once |
//! | its keys go: its lease ended, or somebody deleted them | stays for 1 s |
//! | it puts one of them back | what else went stays for 1 s from then on |
//! | its node's key had no lease: no nameplate writes it | goes at once |
//!
//! A lease may end though it was renewed: an etcd leader that stood still and goes on ends those that ended by its own count
//! (etcd issue 15247, seen with 3.4.23).
//!
//! **Limits:** a key of an instance alone, that is deleted while its node's stays, goes at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    client::{Event, KeyValue},
    layout::{Layout, Place},
    mirror,
};
use crate::catalog::names::NodeName;

/// Tells which keys of other machines are gone, and which may be back in a moment.
#[derive(Debug)]
pub(super) struct Grace {
    layout: Layout,
    /// Nodes whose key has a lease and does not say that they leave.
    living: BTreeSet<NodeName>,
    lost: BTreeMap<NodeName, Lost>,
}

/// What is not there, and is answered nonetheless.
#[derive(Debug)]
struct Lost {
    keys: BTreeSet<Vec<u8>>,
    until: Instant,
}

impl Grace {
    pub(super) fn new(layout: Layout) -> Grace {
        Grace { layout, living: BTreeSet::new(), lost: BTreeMap::new() }
    }

    /// How many machines live, but for our own.
    pub(super) fn living(&self) -> usize {
        self.living.len()
    }

    /// Takes all that is there. Returns until when what is not there is to stay, if anything of it was lost just now.
    pub(super) fn listed<'a>(&mut self, all: impl IntoIterator<Item = &'a KeyValue>) -> Option<Instant> {
        self.living.clear();
        for one in all {
            if let Some(Place::Node(name)) = self.layout.place(&one.key) {
                self.note(name, one);
            }
        }
        std::mem::take(&mut self.lost).into_values().map(|lost| lost.until).max()
    }

    /// What counts of these events now, in their order.
    pub(super) fn events(&mut self, events: Vec<Event>, now: Instant) -> Vec<mirror::Event> {
        let losing = self.losing(&events);
        let mut counted = Vec::with_capacity(events.len());
        for event in events {
            let name = self.layout.place(event.key()).map(|place| place.node().clone());
            match event {
                Event::Put(one) => {
                    if let Some(name) = name {
                        self.put_back(&name, &one.key, now);
                    }
                    counted.push(mirror::Event { key: one.key, value: Some(one.value) });
                }
                Event::Delete { key, .. } => match name.filter(|name| losing.contains(name) || self.is_lost(name)) {
                    Some(name) => {
                        let lost = Lost { keys: BTreeSet::new(), until: now + GRACE };
                        self.lost.entry(name).or_insert(lost).keys.insert(key);
                    }
                    None => counted.push(mirror::Event { key, value: None }),
                },
            }
        }
        counted
    }

    /// When something that was lost is gone, at the earliest, and the machine that had it.
    pub(super) fn next(&self) -> Option<(Instant, NodeName)> {
        let (name, lost) = self.lost.iter().min_by_key(|(_, lost)| lost.until)?;
        Some((lost.until, name.clone()))
    }

    /// Nothing of a machine's was put back in time: what it had is gone.
    pub(super) fn gone(&mut self, name: &NodeName) -> Vec<mirror::Event> {
        let keys = self.lost.remove(name).map(|lost| lost.keys).unwrap_or_default();
        keys.into_iter().map(|key| mirror::Event { key, value: None }).collect()
    }

    /// Whether the key of this node is not there and may be back.
    pub(super) fn is_lost(&self, name: &NodeName) -> bool {
        let key = || self.layout.key(&Place::Node(name.clone())).into_bytes();
        self.lost.get(name).is_some_and(|lost| lost.keys.contains(&key()))
    }

    /// Nobody could put anything back until now.
    pub(super) fn extend(&mut self, now: Instant) {
        self.lost.values_mut().for_each(|lost| lost.until = lost.until.max(now + GRACE));
    }

    /// The nodes that lose their own key by these events, and do not say that they leave.
    fn losing(&mut self, events: &[Event]) -> BTreeSet<NodeName> {
        let mut losing = BTreeSet::new();
        for event in events {
            let Some(Place::Node(name)) = self.layout.place(event.key()) else { continue };
            match event {
                Event::Put(one) => self.note(name, one),
                Event::Delete { .. } => {
                    if self.living.remove(&name) {
                        losing.insert(name);
                    }
                }
            }
        }
        losing
    }

    fn note(&mut self, name: NodeName, one: &KeyValue) {
        match one.lease != 0 && !is_farewell(&one.value) {
            true => self.living.insert(name),
            false => self.living.remove(&name),
        };
    }

    fn put_back(&mut self, name: &NodeName, key: &[u8], now: Instant) {
        let Some(lost) = self.lost.get_mut(name).filter(|lost| lost.keys.contains(key)) else { return };
        if self.layout.place(key) == Some(Place::Node(name.clone())) {
            tracing::warn!("etcd: the key of node {name} went, though its machine lives, and it has put it back");
        }
        lost.keys.remove(key);
        lost.until = now + GRACE;
        if lost.keys.is_empty() {
            self.lost.remove(name);
        }
    }
}

/// What a machine that leaves writes of its node, from what it has written of it: what it had is not waited for.
pub(super) fn farewell(document: &[u8]) -> Option<Vec<u8>> {
    let mut fields: Map<String, Value> = serde_json::from_slice(document).ok()?;
    fields.insert("Leaving".to_owned(), Value::Bool(true));
    serde_json::to_vec(&fields).ok()
}

/// Whether a node's document says that it leaves.
fn is_farewell(document: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Farewell {
        #[serde(default, rename = "Leaving")]
        is_leaving: bool,
    }
    serde_json::from_slice(document).is_ok_and(|read: Farewell| read.is_leaving)
}

/// For how long what a machine lost stays, from the loss or from the last that was put back.
///
/// Source: none, chosen: ten times what a machine takes until it puts back the first.
pub(super) const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "grace_tests.rs"]
mod tests;
