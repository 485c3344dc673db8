//! What other machines tell, as changes of the catalog.
//!
//! The documents of one response of a watch, or all of a list, become the changes that make the catalog follow, and no others:
//! each is tried on a copy of the catalog first, so that none of them is refused or does nothing.
//!
//! | where documents disagree | what holds |
//! |---|---|
//! | several of one key in a response | the last that can be read |
//! | a document that cannot be read | the last good one, until the key is deleted or listed no more |
//! | an instance whose node has no document | waits until the node is known |
//! | two with a check of one ID on one node | the node has it, else the lower service ID; the other is there without it |
//! | an instance that is reached only in networks that span machines | is there if this machine has one of them |
//! | a check of that ID, or a node, that is registered here | that stays; the document's waits |
//!
//! What waits is kept aside and looked at again with every change of its node, so that the catalog follows from the documents
//! alone, in whatever order they came.
//!
//! **Limits:** what waits for something of another source of this machine is looked at only then, and with each list.

mod settle;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

pub(super) use self::settle::told;
use self::settle::{Settling, Updates};
use super::{
    document::{NodeRegistration, read_instance, read_node},
    layout::{Layout, Place},
};
use crate::catalog::{
    change::{Change, Origin, Registration},
    names::{NodeName, ServiceId},
    service::InstanceKey,
    spanning::{SpanningAddresses, SpanningNetworks},
    state::{NodeEntry, State},
};

/// Follows the documents of other nodes.
#[derive(Debug)]
pub struct Mirror {
    layout: Layout,
    /// Our own node: what is written of it is ours, and is not read.
    own: NodeName,
    /// The networks that this machine has with others; none as long as nobody knows.
    networks: Option<Arc<SpanningNetworks>>,
    /// Documents that are not in the catalog, or not whole, by their nodes.
    aside: BTreeMap<NodeName, Aside>,
}

/// A key that was written or deleted, or that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The key.
    pub key: Vec<u8>,
    /// What lies there now; none if it was deleted.
    pub value: Option<Vec<u8>>,
}

/// What is to be done, in this order and as one.
#[derive(Debug, Default)]
pub struct Followed {
    /// What the catalog takes, all of it.
    pub changes: Vec<Change>,
    /// What could not be followed.
    pub complaints: Vec<Complaint>,
}

/// Why a document is not followed, or not as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

/// Documents of one node that are not in the catalog, or not whole.
#[derive(Debug, Default)]
struct Aside {
    node: Option<NodeRegistration>,
    instances: BTreeMap<ServiceId, Registration>,
}

impl Aside {
    fn is_empty(&self) -> bool {
        self.node.is_none() && self.instances.is_empty()
    }
}

/// What became of a document.
enum Brought {
    /// An instance, or none.
    Done(Option<Registration>),
    /// Nobody knows as long as the networks are not known: what was there before stays.
    Waits,
}

impl Mirror {
    /// A mirror of all nodes but our own.
    pub fn new(layout: Layout, own: NodeName) -> Mirror {
        Mirror { layout, own, networks: None, aside: BTreeMap::new() }
    }

    /// Counts these as the networks that this machine has with others, for what is told from now on.
    pub fn set_networks(&mut self, networks: Option<Arc<SpanningNetworks>>) {
        self.networks = networks;
    }

    /// What follows from these events, in their order, for a catalog in which all that was told before took effect.
    pub fn changes(&mut self, state: &State, events: impl IntoIterator<Item = Event>) -> Followed {
        let mut followed = Followed::default();
        let mut updates: BTreeMap<NodeName, Updates> = BTreeMap::new();
        for event in events {
            self.take(event, &mut updates, &mut followed.complaints);
        }
        self.settle(state, updates, &mut followed);
        followed
    }

    /// What follows from a list of all documents: as if each was written now, and what is not listed was deleted.
    pub fn relisted(&mut self, state: &State, listed: impl IntoIterator<Item = Event>) -> Followed {
        let mut followed = Followed::default();
        let mut updates: BTreeMap<NodeName, Updates> = BTreeMap::new();
        let mut kept = BTreeSet::new();
        for event in listed {
            // One that cannot be read is there, nonetheless.
            kept.extend(self.take(event, &mut updates, &mut followed.complaints));
        }
        for entry in state.nodes() {
            self.delete_unlisted(state, entry, (&mut updates, &kept));
        }
        self.aside.retain(|name, aside| {
            aside.instances.retain(|id, _| kept.contains(&instance(name, id)));
            aside.node.take_if(|_| !kept.contains(&Place::Node(name.clone())));
            !aside.is_empty()
        });
        self.settle(state, updates, &mut followed);
        followed
    }

    /// Whether documents are kept aside.
    pub fn has_aside(&self) -> bool {
        !self.aside.is_empty()
    }

    /// Reads one event. Returns the place of which it is, if it could not be read, or not yet.
    fn take(
        &self,
        event: Event,
        updates: &mut BTreeMap<NodeName, Updates>,
        complaints: &mut Vec<Complaint>,
    ) -> Option<Place> {
        let mut complain = |problem: String| {
            complaints.push(Complaint { key: String::from_utf8_lossy(&event.key).escape_debug().to_string(), problem });
        };
        let Some(place) = self.layout.place(&event.key) else {
            complain("is not a key of a node or an instance".to_owned());
            return None;
        };
        if *place.node() == self.own {
            return None;
        }
        let read = match (&place, &event.value) {
            (Place::Node(name), Some(value)) => read_node(name, value).map(|read| {
                updates.entry(name.clone()).or_default().node = Some(Some(read));
            }),
            (Place::Instance(key), Some(value)) => match read_instance(key, value).map(|told| self.brought(told)) {
                Ok(Brought::Waits) => return Some(place),
                Ok(Brought::Done(read)) => {
                    let updates = updates.entry(key.node.clone()).or_default();
                    updates.instances.insert(key.id.clone(), read);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            (Place::Node(name), None) => {
                updates.entry(name.clone()).or_default().node = Some(None);
                Ok(())
            }
            (Place::Instance(key), None) => {
                updates.entry(key.node.clone()).or_default().instances.insert(key.id.clone(), None);
                Ok(())
            }
        };
        read.err().map(|error| {
            complain(error.to_string());
            place
        })
    }

    /// What a document of an instance is here: one that is reached only in networks that this machine has not is none.
    fn brought(&self, (mut registration, spanning): (Registration, SpanningAddresses)) -> Brought {
        let is_somewhere = registration.instance.address.is_some() || spanning.is_empty();
        let Some(networks) = &self.networks else {
            return if is_somewhere { Brought::Done(Some(registration)) } else { Brought::Waits };
        };
        let is_here = networks.bring(&spanning, &mut registration.instance);
        Brought::Done((is_somewhere || is_here).then_some(registration))
    }

    /// Deletes what the catalog has of a node that is neither listed nor could not be read.
    fn delete_unlisted(
        &self,
        state: &State,
        entry: &NodeEntry,
        (updates, kept): (&mut BTreeMap<NodeName, Updates>, &BTreeSet<Place>),
    ) {
        let name = &entry.node.name;
        let is_told = entry.node.origin == Origin::Cluster
            || entry.checks.iter().any(|check| check.check.origin == Origin::Cluster);
        let instances = state.of_origin(name, Origin::Cluster);
        if !is_told && instances.is_empty() {
            return;
        }
        let updates = updates.entry(name.clone()).or_default();
        if is_told && updates.node.is_none() && !kept.contains(&Place::Node(name.clone())) {
            updates.node = Some(None);
        }
        for key in instances {
            if !kept.contains(&Place::Instance(key.clone())) {
                updates.instances.entry(key.id).or_insert(None);
            }
        }
    }

    fn settle(&mut self, state: &State, updates: BTreeMap<NodeName, Updates>, followed: &mut Followed) {
        let mut scratch = state.clone();
        for (name, updates) in updates {
            let aside = self.aside.remove(&name).unwrap_or_default();
            let aside = Settling::new((&mut scratch, &self.layout), &name, aside, followed).settle(updates);
            if !aside.is_empty() {
                self.aside.insert(name, aside);
            }
        }
    }
}

fn instance(node: &NodeName, id: &ServiceId) -> Place {
    Place::Instance(InstanceKey { node: node.clone(), id: id.clone() })
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
mod tests;
