//! What our own node should have in etcd, against what is there.
//!
//! What should be there is a level, the published catalog; hints say where to look, and now and then all is looked at. What is
//! there is known from a list and the watch after it, and from what was written.
//!
//! | difference | what is done |
//! |---|---|
//! | not there, other than it should be, or under another lease | written, whoever made it so |
//! | there, and should not be | deleted |
//! | nothing but outputs of checks | written 5 minutes later, or with the next other change of the document |
//!
//! The batches of one look must be written, or have failed, before the next look.

mod outputs;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hasher as _,
    sync::Arc,
    time::Instant,
};

use siphasher::sip::SipHasher13;

use self::outputs::HeldOutputs;
use super::{
    document::{Nameplate, Outputs, TooLarge, write_instance, write_node},
    layout::{Layout, Place},
    mirror::Complaint,
};
use crate::{
    catalog::{
        change::Origin,
        check::Check,
        names::NodeName,
        node::Address,
        service::InstanceKey,
        spanning::SpanningNetworks,
        state::{CheckEntry, InstanceEntry, State},
    },
    publish::{eligible::is_for_networks_only, followed::TouchedOnNode},
};

/// Keeps the keys of our own node as they should be.
#[derive(Debug)]
pub struct Push {
    layout: Layout,
    own: NodeName,
    datacenter: String,
    /// What we tell of ourselves.
    nameplate: Nameplate,
    /// The networks that this machine has with others; none as long as nobody knows.
    networks: Option<Arc<SpanningNetworks>>,
    /// The lease under which all is to be.
    lease: i64,
    /// What is in etcd; one that is deleted stays until it is looked at, so that older news of it is told from newer.
    there: BTreeMap<Place, Lying>,
    /// How often all that is there was listed.
    lists: u64,
    /// Where to look.
    due: BTreeSet<Place>,
    all_due: bool,
    outputs: HeldOutputs,
}

/// What lies under a key, as a list or a watch tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The key.
    pub key: Vec<u8>,
    /// What lies there; none if it was deleted.
    pub value: Option<Vec<u8>>,
    /// The revision of its last change, or of its deletion.
    pub mod_revision: i64,
    /// Its lease; 0 for none.
    pub lease: i64,
}

/// A key to be written or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The key.
    pub key: String,
    /// What is to lie there, under our lease; none if it is to be deleted.
    pub value: Option<Vec<u8>>,
    place: Place,
    sums: Option<Sums>,
}

impl Operation {
    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// What is to be written in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The lease of all that is put.
    pub lease: i64,
    /// At most [`OPERATIONS_MAX`], of [`BATCH_MAX_BYTES`] if they are several; each key once.
    pub operations: Vec<Operation>,
    /// The list by which it was made.
    lists: u64,
}

/// What one look came to.
#[derive(Debug, Default)]
pub struct Pushing {
    /// To be written in this order.
    pub batches: Vec<Batch>,
    /// What cannot be shared.
    pub complaints: Vec<Complaint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lying {
    mod_revision: i64,
    lease: i64,
    /// Of what lies there; none if it is deleted.
    sums: Option<Sums>,
}

/// Checksums of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sums {
    whole: u64,
    /// Without the outputs of its checks; none if it was not we who wrote it.
    without_outputs: Option<u64>,
}

impl Push {
    /// One that knows nothing of what is there.
    pub fn new(layout: Layout, own: NodeName, (datacenter, nameplate): (String, Nameplate)) -> Push {
        Push {
            layout,
            own,
            datacenter,
            nameplate,
            networks: None,
            lease: 0,
            there: BTreeMap::new(),
            lists: 0,
            due: BTreeSet::new(),
            all_due: true,
            outputs: HeldOutputs::default(),
        }
    }

    /// Takes all that is there; what belongs to others is passed over. All is to be looked at.
    pub fn listed(&mut self, stored: impl IntoIterator<Item = Stored>) {
        let known = std::mem::take(&mut self.there);
        for stored in stored {
            let Some(place) = self.own_place(&stored.key) else { continue };
            let lying = lying(&stored, known.get(&place));
            self.there.insert(place, lying);
        }
        self.lists += 1;
        self.all_due = true;
    }

    /// Counts these as the networks that this machine has with others. All is to be looked at.
    pub fn set_networks(&mut self, networks: Option<Arc<SpanningNetworks>>) {
        self.networks = networks;
        self.all_due = true;
    }

    /// Takes what the watch tells of a key; what belongs to others is passed over. Says whether there is something to do.
    pub fn seen(&mut self, stored: &Stored) -> bool {
        let Some(place) = self.own_place(&stored.key) else { return false };
        let known = self.there.get(&place);
        if known.is_some_and(|known| known.mod_revision >= stored.mod_revision) {
            return false;
        }
        let lying = lying(stored, known);
        let same = known.is_some_and(|known| (known.lease, known.sums) == (lying.lease, lying.sums));
        self.there.insert(place.clone(), lying);
        if !same {
            self.due.insert(place);
        }
        !same
    }

    /// Looks, next time, where something was touched.
    pub fn touched(&mut self, touched: TouchedOnNode) {
        self.all_due |= touched.all;
        if touched.node {
            self.due.insert(Place::Node(self.own.clone()));
        }
        let instance = |id| Place::Instance(InstanceKey { node: self.own.clone(), id });
        self.due.extend(touched.instances.into_iter().map(instance));
    }

    /// Looks at everything next time.
    pub fn look_at_all(&mut self) {
        self.all_due = true;
    }

    /// Whether there is something to look at now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.all_due || !self.due.is_empty() || self.next_look().is_some_and(|next| next <= now)
    }

    /// When outputs are to be written that were held back.
    pub fn next_look(&self) -> Option<Instant> {
        self.outputs.next()
    }

    /// What is to be done so that what should be there is there, under this lease: the node first.
    pub fn operations(&mut self, state: &State, lease: i64, now: Instant) -> Pushing {
        if self.lease != lease {
            (self.lease, self.all_due) = (lease, true);
        }
        let released = self.outputs.release(now);
        let mut due = std::mem::take(&mut self.due);
        due.extend(released.iter().cloned());
        if std::mem::take(&mut self.all_due) {
            due.extend(self.there.keys().cloned());
            due.insert(Place::Node(self.own.clone()));
            let here = state.node(&self.own).into_iter().flat_map(|node| node.instances());
            due.extend(here.map(|instance| Place::Instance(instance.key())));
        }
        let mut pushing = Pushing::default();
        for place in due {
            match self.operation(state, &place, (now, released.contains(&place))) {
                Ok(Some(operation)) => self.add(&mut pushing.batches, operation),
                Ok(None) => {}
                Err(problem) => {
                    let key = self.layout.key(&place);
                    pushing.complaints.push(Complaint { key: key.clone(), problem: problem.to_string() });
                    if let Some(operation) = self.deletion(place, key) {
                        self.add(&mut pushing.batches, operation);
                    }
                }
            }
        }
        pushing
    }

    /// What should lie under our node's key, if anything.
    pub fn node_document(&self, state: &State) -> Option<Vec<u8>> {
        self.wanted(state, &Place::Node(self.own.clone()), Outputs::Whole).ok().flatten()
    }

    /// A batch was written, by the transaction of this revision.
    pub fn written(&mut self, batch: Batch, mod_revision: i64) {
        if batch.lists != self.lists {
            // Whether a list that came meanwhile was read before or after it, nobody knows; the list and the watch tell.
            return self.failed(batch);
        }
        for Operation { place, sums, .. } in batch.operations {
            self.outputs.forget(&place);
            let lying = Lying { mod_revision, lease: if sums.is_some() { batch.lease } else { 0 }, sums };
            match self.there.get(&place) {
                // Somebody else has written it since.
                Some(newer) if newer.mod_revision > mod_revision => {}
                _ if sums.is_none() => drop(self.there.remove(&place)),
                _ => drop(self.there.insert(place, lying)),
            }
        }
    }

    /// A batch was not written, or nobody knows: what it is about is looked at again.
    pub fn failed(&mut self, batch: Batch) {
        self.due.extend(batch.operations.into_iter().map(|operation| operation.place));
    }

    /// Puts an operation behind the others, in the last batch if there is room.
    fn add(&self, batches: &mut Vec<Batch>, operation: Operation) {
        let room = |batch: &&mut Batch| {
            let bytes: usize = batch.operations.iter().map(Operation::bytes).sum();
            batch.operations.len() < OPERATIONS_MAX && bytes + operation.bytes() <= BATCH_MAX_BYTES
        };
        match batches.last_mut().filter(room) {
            Some(batch) => batch.operations.push(operation),
            None => batches.push(Batch { lease: self.lease, operations: vec![operation], lists: self.lists }),
        }
    }

    /// Where this is, if it is of our own node.
    fn own_place(&self, key: &[u8]) -> Option<Place> {
        self.layout.place(key).filter(|place| *place.node() == self.own)
    }

    /// What is to be done at a place, if anything.
    fn operation(
        &mut self,
        state: &State,
        place: &Place,
        (now, is_released): (Instant, bool),
    ) -> Result<Option<Operation>, TooLarge> {
        let key = self.layout.key(place);
        if self.networks.is_none() && is_networks_alone(state, place) {
            // Whether others reach it is not known yet: what is there stays as long as its lease.
            return Ok(None);
        }
        let Some(value) = self.wanted(state, place, Outputs::Whole)? else {
            return Ok(self.deletion(place.clone(), key));
        };
        let whole = sum(&value);
        let there = self.there.get(place).filter(|there| there.lease == self.lease).and_then(|there| there.sums);
        if there.is_some_and(|there| there.whole == whole) {
            self.outputs.forget(place);
            return Ok(None);
        }
        let bare = self.wanted(state, place, Outputs::LeftOut)?;
        let without_outputs = bare.map(|bare| sum(&bare));
        let only_outputs = there.is_some_and(|there| there.without_outputs == without_outputs);
        if only_outputs && !is_released {
            self.outputs.hold(place, now);
            return Ok(None);
        }
        let sums = Some(Sums { whole, without_outputs });
        Ok(Some(Operation { key, value: Some(value), place: place.clone(), sums }))
    }

    /// Deletes what is there, if anything is.
    fn deletion(&mut self, place: Place, key: String) -> Option<Operation> {
        self.outputs.forget(&place);
        match self.there.get(&place) {
            Some(Lying { sums: Some(_), .. }) => Some(Operation { key, value: None, place, sums: None }),
            _ => {
                self.there.remove(&place);
                None
            }
        }
    }

    /// What should lie at a place of our node, if anything.
    fn wanted(&self, state: &State, place: &Place, outputs: Outputs) -> Result<Option<Vec<u8>>, TooLarge> {
        match place {
            Place::Node(name) => {
                let Some(entry) = state.node(name) else { return Ok(None) };
                let told = (&*self.datacenter, Some(&self.nameplate));
                write_node(&entry.node, checks(&entry.checks), told, outputs).map(Some)
            }
            Place::Instance(key) => {
                let none = SpanningNetworks::default();
                let networks = self.networks.as_deref().unwrap_or(&none);
                let shared = |entry: &&InstanceEntry| is_shared(entry, networks);
                let Some(entry) = state.instance(key).map(|entry| &**entry).filter(shared) else { return Ok(None) };
                write_instance(&entry.instance, networks, checks(&entry.checks), outputs).map(Some)
            }
        }
    }
}

/// Whether an instance is there that only clients in certain networks reach.
fn is_networks_alone(state: &State, place: &Place) -> bool {
    match place {
        Place::Instance(key) => state.instance(key).is_some_and(|entry| is_for_networks_only(&entry.instance)),
        Place::Node(_) => false,
    }
}

/// Whether others are told of an instance of our node: not if somebody told us, nor if only clients in networks of this machine
/// alone, or on it, reach it.
fn is_shared(entry: &InstanceEntry, networks: &SpanningNetworks) -> bool {
    let instance = &entry.instance;
    let is_on_loopback = instance.address.as_ref().and_then(Address::ip).is_some_and(|address| address.is_loopback());
    let is_reached = || !is_for_networks_only(instance) || !networks.addresses(instance).is_empty();
    instance.origin != Origin::Cluster && !is_on_loopback && is_reached()
}

fn checks(entries: &[CheckEntry]) -> impl Iterator<Item = &Check> + Clone {
    entries.iter().map(|entry| &*entry.check)
}

fn lying(stored: &Stored, known: Option<&Lying>) -> Lying {
    let sums = stored.value.as_ref().map(|value| {
        let whole = sum(value);
        let known = known.and_then(|known| known.sums).filter(|known| known.whole == whole);
        known.unwrap_or(Sums { whole, without_outputs: None })
    });
    Lying { mod_revision: stored.mod_revision, lease: stored.lease, sums }
}

/// Tells a document from another one. Source: SipHash-1-3, already here for other uses; whoever wanted two of ours to look alike
/// could as well write what he likes.
fn sum(value: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(value);
    hasher.finish()
}

/// Most operations of a batch. Source: etcd takes 128 in a transaction by default (`--max-txn-ops`).
pub const OPERATIONS_MAX: usize = 100;

/// Most bytes of a batch of several operations: their keys and values. Source: etcd takes requests of 1.5 MiB by default
/// (`--max-request-bytes`).
pub const BATCH_MAX_BYTES: usize = 1024 * 1024;

#[cfg(test)]
#[path = "push_tests.rs"]
mod tests;
