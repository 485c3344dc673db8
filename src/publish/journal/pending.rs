//! What is not durable yet: the newest write of each key.
//!
//! Merging by key bounds it by the size of the catalog, however long the disk fails and however often a check flips.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use foldhash::fast::RandomState;

use crate::{
    catalog::{
        check::{CheckKey, CheckResult},
        names::NodeName,
        service::InstanceKey,
        state::{CheckEntry, InstanceEntry},
    },
    publish::{
        feed::Waiting,
        journal::{Batch, JournalFailure, StoredNode, Write},
    },
};

/// A check's newest result.
#[derive(Debug, Clone)]
pub(super) struct NewestResult {
    pub(super) result: CheckResult,
    pub(super) modify_index: u64,
}

/// Writes by key; a key without a value is forgotten.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) index: u64,
    pub(super) serial: u32,
    pub(super) extinction_index: u64,
    pub(super) node_uuid: Option<Arc<str>>,
    pub(super) nodes: HashMap<NodeName, Option<StoredNode>, RandomState>,
    pub(super) instances: HashMap<InstanceKey, Option<Arc<InstanceEntry>>, RandomState>,
    pub(super) results: HashMap<CheckKey, NewestResult, RandomState>,
    pub(super) documents: HashMap<Vec<u8>, Option<Vec<u8>>, RandomState>,
    /// Whether any batch came, be it one without writes.
    pub(super) dirty: bool,
    acknowledge: Vec<Waiting>,
    /// Length of `acknowledge` at which those who no longer wait are dropped.
    tidy_at: usize,
}

impl Pending {
    /// Takes a batch in, over what is there.
    pub(super) fn take_in(&mut self, batch: Batch) {
        self.dirty = true;
        self.index = batch.index;
        self.serial = batch.serial;
        self.extinction_index = batch.extinction_index;
        for write in batch.writes {
            match write {
                Write::Node(stored) => self.put_node(stored.node.name.clone(), Some(stored)),
                Write::ForgetNode(name) => self.put_node(name, None),
                Write::Instance(entry) => self.put_instance(entry.instance.key(), Some(entry)),
                Write::ForgetInstance(key) => self.put_instance(key, None),
                Write::CheckStatus { key, result, modify_index } => {
                    self.results.insert(key, NewestResult { result, modify_index });
                }
                Write::NodeUuid(uuid) => self.node_uuid = Some(uuid),
                Write::Document { key, bytes } => _ = self.documents.insert(key, bytes),
            }
        }
        self.wait_for(batch.acknowledge);
    }

    /// Takes what came later in, over what is there.
    pub(super) fn absorb(&mut self, later: Pending) {
        if !later.dirty {
            return;
        }
        if !self.dirty {
            *self = later;
            return;
        }
        self.dirty = true;
        self.index = later.index;
        self.serial = later.serial;
        self.extinction_index = later.extinction_index;
        self.node_uuid = later.node_uuid.or(self.node_uuid.take());
        for (name, stored) in later.nodes {
            self.put_node(name, stored);
        }
        for (key, entry) in later.instances {
            self.put_instance(key, entry);
        }
        self.results.extend(later.results);
        self.documents.extend(later.documents);
        self.wait_for(later.acknowledge);
    }

    /// Tells all who wait what came of it.
    pub(super) fn acknowledge(&mut self, outcome: &Result<(), JournalFailure>) {
        self.acknowledge.drain(..).for_each(|waiting| waiting.tell(outcome));
    }

    /// Whether anybody waits until it is durable.
    pub(super) fn is_awaited(&self) -> bool {
        !self.acknowledge.is_empty()
    }

    /// How many keys are to be written.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() + self.instances.len() + self.results.len() + self.documents.len()
    }

    /// Drops what a failing disk could let pile up beyond `max` of a kind: what was forgotten, and results. The
    /// registrations themselves are never dropped.
    pub(super) fn bound(&mut self, max: usize) {
        bound_forgotten(&mut self.nodes, max);
        bound_forgotten(&mut self.instances, max);
        bound_forgotten(&mut self.documents, max);
        let mut excess = self.results.len().saturating_sub(max);
        if excess > 0 {
            self.results.retain(|_, _| {
                let drop = excess > 0;
                excess -= usize::from(drop);
                !drop
            });
        }
    }

    fn put_node(&mut self, name: NodeName, stored: Option<StoredNode>) {
        let kept: Vec<CheckEntry> = stored.iter().flat_map(|stored| stored.checks.iter().cloned()).collect();
        if let Some(before) = self.nodes.insert(name, stored).flatten() {
            self.forget_results(&before.checks, &kept);
        }
    }

    fn put_instance(&mut self, key: InstanceKey, entry: Option<Arc<InstanceEntry>>) {
        match self.instances.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(entry);
            }
            Entry::Occupied(mut occupied) => {
                let before = occupied.insert(entry.clone());
                if let Some(before) = before {
                    let kept = entry.as_ref().map(|entry| &*entry.checks).unwrap_or_default();
                    self.forget_results(&before.checks, kept);
                }
            }
        }
    }

    /// Results of checks that are no more, so that they cannot pile up.
    fn forget_results(&mut self, before: &[CheckEntry], kept: &[CheckEntry]) {
        if self.results.is_empty() {
            return;
        }
        for gone in before.iter().filter(|gone| !kept.iter().any(|kept| kept.check.id == gone.check.id)) {
            self.results.remove(&gone.check.key());
        }
    }

    fn wait_for(&mut self, senders: Vec<Waiting>) {
        self.acknowledge.extend(senders);
        if self.acknowledge.len() > self.tidy_at.max(ACKNOWLEDGE_TIDY_MIN) {
            self.acknowledge.retain(|waiting| !waiting.is_over());
            self.tidy_at = 2 * self.acknowledge.len();
        }
    }
}

/// The forgotten keys for which this holds: that they are not on disk.
pub(super) fn absent<K: Clone, V>(
    writes: &HashMap<K, Option<V>, RandomState>,
    is_absent: impl Fn(&K) -> Result<bool, redb::Error>,
) -> Result<Vec<K>, redb::Error> {
    let forgotten = writes.iter().filter(|(_, write)| write.is_none());
    let absent = forgotten.map(|(key, _)| Ok(is_absent(key)?.then(|| key.clone())));
    absent.filter_map(Result::transpose).collect()
}

/// Drops keys that are forgotten, beyond so many.
fn bound_forgotten<K, V>(writes: &mut HashMap<K, Option<V>, RandomState>, max: usize) {
    let mut excess = writes.values().filter(|write| write.is_none()).count().saturating_sub(max);
    if excess > 0 {
        writes.retain(|_, write| {
            let drop = write.is_none() && excess > 0;
            excess -= usize::from(drop);
            !drop
        });
    }
}

/// Most forgotten nodes, most forgotten instances, most forgotten documents, and most results, that are kept while the disk fails. Beyond it some of what was
/// deregistered meanwhile may come back with the next start, and some checks begin with an older status.
///
/// Source: none, chosen: twice the largest catalog that is planned for.
pub(super) const UNWRITTEN_MAX: usize = 2_000_000;

/// From so many acknowledgements on, those who no longer wait are dropped now and then. Source: none, chosen.
const ACKNOWLEDGE_TIDY_MIN: usize = 4096;
