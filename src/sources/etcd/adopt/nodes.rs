//! What was registered by HTTP for other nodes while it was this machine's alone, at the first start with a store.
//!
//! It becomes what the store tells, in the catalog as it was stored, so that it is answered all the time and is there once. What
//! was registered on nodes that another source had told of is dropped: these nodes are somebody else's.

use std::{collections::BTreeSet, sync::Arc};

use super::AdoptError;
use crate::{
    catalog::{
        change::Origin,
        check::Check,
        names::NodeName,
        node::Node,
        restore::StoredNode,
        service::Instance,
        spanning::SpanningNetworks,
        state::{CheckEntry, InstanceEntry},
    },
    publish::journal::Write,
    sources::etcd::{
        document::{Outputs, write_instance, write_node},
        layout::Place,
        mirror::told,
        plan::PlanError,
    },
};

/// Tells nodes that are no machine's from others.
#[derive(Debug, Clone, Copy)]
pub(super) struct OtherNodes<'a> {
    /// This machine's node.
    pub own: &'a NodeName,
    /// Its datacenter, which documents of nodes name.
    pub datacenter: &'a str,
}

impl OtherNodes<'_> {
    /// Those that clients registered.
    pub fn names(self, nodes: &[StoredNode]) -> BTreeSet<NodeName> {
        let of_clients = |stored: &&StoredNode| stored.node.origin == Origin::Api && stored.node.name != *self.own;
        nodes.iter().filter(of_clients).map(|stored| stored.node.name.clone()).collect()
    }

    /// Makes what clients registered on these nodes the store's, and drops what they registered on others. Returns what is to be
    /// written of that.
    pub fn take_back(
        self,
        adopted: &BTreeSet<NodeName>,
        (nodes, instances): (&mut Vec<StoredNode>, &mut Vec<Arc<InstanceEntry>>),
    ) -> Vec<Write> {
        let of_clients = self.names(nodes);
        let mut writes = Vec::new();
        instances.retain_mut(|entry| {
            let is_adopted = adopted.contains(&entry.instance.node);
            if entry.instance.node == *self.own || !(is_adopted || has_clients(entry)) {
                return true;
            }
            let kept = is_adopted || entry.instance.origin != Origin::Api;
            if kept {
                *entry = Arc::new(if is_adopted { as_told(entry) } else { without(entry) });
                writes.push(Write::Instance(Arc::clone(entry)));
            } else {
                writes.push(Write::ForgetInstance(entry.instance.key()));
            }
            kept
        });
        nodes.retain_mut(|stored| {
            let kept = adopted.contains(&stored.node.name);
            match (of_clients.contains(&stored.node.name), kept) {
                (true, true) => {
                    let node = Node { origin: Origin::Cluster, ..Node::clone(&stored.node) };
                    stored.node = Arc::new(node);
                    stored.checks = stored.checks.iter().map(told_check).collect();
                    writes.push(Write::Node(stored.clone()));
                }
                (true, false) => writes.push(Write::ForgetNode(stored.node.name.clone())),
                (false, _) => return true,
            }
            kept
        });
        writes
    }

    /// What lies in etcd of these nodes, and of what is on them.
    pub fn documents(
        self,
        adopted: &BTreeSet<NodeName>,
        (nodes, instances): (&[StoredNode], &[Arc<InstanceEntry>]),
    ) -> Result<Vec<(Place, Vec<u8>)>, AdoptError> {
        let mut documents = Vec::new();
        for stored in nodes.iter().filter(|stored| adopted.contains(&stored.node.name)) {
            let checks = stored.checks.iter().map(|entry| &*entry.check);
            let document = write_node(&stored.node, checks, (self.datacenter, None), Outputs::Whole);
            documents.push((Place::Node(stored.node.name.clone()), document.map_err(PlanError::from)?));
        }
        for entry in instances.iter().filter(|entry| adopted.contains(&entry.instance.node)) {
            let Some(told) = told(entry) else { continue };
            let document =
                write_instance(&told.instance, &SpanningNetworks::default(), told.checks.iter(), Outputs::Whole);
            documents.push((Place::Instance(entry.instance.key()), document.map_err(PlanError::from)?));
        }
        Ok(documents)
    }
}

/// Whether clients registered it, or something of it.
fn has_clients(entry: &InstanceEntry) -> bool {
    let aside = entry.shadowed.iter().map(|registration| registration.instance.origin);
    let checks = entry.checks.iter().map(|entry| entry.check.origin);
    aside.chain(checks).chain([entry.instance.origin]).any(|origin| origin == Origin::Api)
}

/// The same as the store tells of it.
fn as_told(entry: &InstanceEntry) -> InstanceEntry {
    if entry.instance.origin != Origin::Api {
        return without(entry);
    }
    let instance = Instance { origin: Origin::Cluster, ..Instance::clone(&entry.instance) };
    let aside = entry.shadowed.iter().filter(|aside| aside.instance.origin > Origin::Cluster).cloned().collect();
    let checks: Vec<CheckEntry> = entry.checks.iter().map(told_check).collect();
    InstanceEntry { instance: Arc::new(instance), checks: checks.into(), shadowed: aside, ..entry.clone() }
}

/// The same without what clients registered of it.
fn without(entry: &InstanceEntry) -> InstanceEntry {
    let aside = entry.shadowed.iter().filter(|aside| aside.instance.origin != Origin::Api).cloned().collect();
    let checks: Vec<CheckEntry> =
        entry.checks.iter().filter(|entry| entry.check.origin != Origin::Api).cloned().collect();
    InstanceEntry { checks: checks.into(), shadowed: aside, ..entry.clone() }
}

fn told_check(entry: &CheckEntry) -> CheckEntry {
    let origin = if entry.check.origin == Origin::Api { Origin::Cluster } else { entry.check.origin };
    CheckEntry { check: Arc::new(Check { origin, ..Check::clone(&entry.check) }), ..entry.clone() }
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
