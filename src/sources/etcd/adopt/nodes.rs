//! What was registered by HTTP for other nodes while it was this machine's alone, at the first start with a store.
//!
//! It becomes what the store tells, in the catalog as it was stored, so that it is answered all the time and is there once. What
//! was registered on nodes that another source had told of is dropped: these nodes are somebody else's.

use std::{collections::BTreeSet, sync::Arc};

use super::{AdoptError, Side};
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
        EtcdSettings,
        client::Client,
        document::{Outputs, write_instance, write_node},
        layout::{Layout, Place},
        mirror::told,
        plan::{Ended, Plan},
    },
};

/// What this machine had of its own for other nodes.
#[derive(Debug)]
pub struct OtherNodes {
    layout: Layout,
    own: NodeName,
    datacenter: Arc<str>,
    /// Whether there is any of it.
    is_some: bool,
    side: Option<Side>,
    /// Nodes in the store that are no machine's.
    shared: Vec<NodeName>,
}

impl OtherNodes {
    /// Looks at both sides; refuses where both have some and nobody says which holds.
    pub async fn look(
        (settings, client): (&EtcdSettings, &Client),
        (nodes, instances): (&[StoredNode], &[Arc<InstanceEntry>]),
        side: Option<Side>,
    ) -> Result<OtherNodes, AdoptError> {
        let layout = Layout::new(&settings.prefix);
        let (own, datacenter) = (settings.node.clone(), Arc::clone(&settings.datacenter));
        let count = nodes.iter().filter(|stored| is_clients(stored, &own)).count();
        let on_others = instances.iter().filter(|entry| entry.instance.node != own && has_clients(entry)).count();
        let is_some = count + on_others > 0;
        let shared = if count > 0 { shared(&layout, client).await? } else { Vec::new() };
        if !shared.is_empty() && side.is_none() {
            return Err(AdoptError::BothNodes { nodes: count, root: layout.root().to_owned() });
        }
        Ok(OtherNodes { layout, own, datacenter, is_some, side, shared })
    }

    /// Copies it into the store, unless the store's holds, and makes it the store's in what was stored. Returns what is to be
    /// written of that.
    pub async fn adopt(
        self,
        client: &Client,
        (nodes, instances): (&mut Vec<StoredNode>, &mut Vec<Arc<InstanceEntry>>),
    ) -> Result<Vec<Write>, AdoptError> {
        if !self.is_some {
            return Ok(Vec::new());
        }
        let mut writes = Vec::new();
        if !self.shared.is_empty() && self.side == Some(Side::Remote) {
            self.take_back(&BTreeSet::new(), (nodes, instances), &mut writes);
            tracing::warn!("etcd: what was registered here for other nodes is dropped (store_adopt)");
            return Ok(writes);
        }
        let adopted: BTreeSet<NodeName> = nodes
            .iter()
            .filter(|stored| is_clients(stored, &self.own))
            .map(|stored| stored.node.name.clone())
            .collect();
        self.take_back(&adopted, (nodes, instances), &mut writes);
        for plan in Plan::node_deletions(&self.layout, &self.shared) {
            client.txn(plan.txn(0)).await?;
        }
        let documents = self.documents(&adopted, (nodes, instances))?;
        for plan in Plan::node_copies(&self.layout, documents) {
            let done = client.txn(plan.txn(0)).await?;
            if !matches!(plan.ended(&done), Ended::Done { .. }) {
                // Another machine copies what it has, too.
                return Err(AdoptError::BothNodes { nodes: adopted.len(), root: self.layout.root().to_owned() });
            }
        }
        tracing::info!(nodes = adopted.len(), "etcd: what was registered here for other nodes was copied there");
        Ok(writes)
    }

    /// Makes what clients registered on these nodes the store's, and drops what they registered on others.
    fn take_back(
        &self,
        adopted: &BTreeSet<NodeName>,
        (nodes, instances): (&mut Vec<StoredNode>, &mut Vec<Arc<InstanceEntry>>),
        writes: &mut Vec<Write>,
    ) {
        instances.retain_mut(|entry| {
            let is_adopted = adopted.contains(&entry.instance.node);
            if entry.instance.node == self.own || !(is_adopted || has_clients(entry)) {
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
            let is_clients = is_clients(stored, &self.own);
            let kept = adopted.contains(&stored.node.name);
            match (is_clients, kept) {
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
    }

    fn documents(
        &self,
        adopted: &BTreeSet<NodeName>,
        (nodes, instances): (&[StoredNode], &[Arc<InstanceEntry>]),
    ) -> Result<Vec<(Place, Vec<u8>)>, AdoptError> {
        let mut documents = Vec::new();
        for stored in nodes.iter().filter(|stored| adopted.contains(&stored.node.name)) {
            let checks = stored.checks.iter().map(|entry| &*entry.check);
            let document = write_node(&stored.node, checks, (&self.datacenter, None), Outputs::Whole);
            documents.push((Place::Node(stored.node.name.clone()), document.map_err(super::PlanError::from)?));
        }
        for entry in instances.iter().filter(|entry| adopted.contains(&entry.instance.node)) {
            let Some(told) = told(entry) else { continue };
            let document =
                write_instance(&told.instance, &SpanningNetworks::default(), told.checks.iter(), Outputs::Whole);
            documents.push((Place::Instance(entry.instance.key()), document.map_err(super::PlanError::from)?));
        }
        Ok(documents)
    }
}

/// Nodes in the store that are no machine's: their keys have no lease.
async fn shared(layout: &Layout, client: &Client) -> Result<Vec<NodeName>, AdoptError> {
    let [folder, _] = layout.folders();
    let mut pages = client.pages(folder.as_bytes(), None);
    let mut shared = Vec::new();
    while let Some(page) = pages.next().await? {
        let names = page.key_values.iter().filter(|one| one.lease == 0).filter_map(|one| layout.place(&one.key));
        shared.extend(names.map(|place| place.node().clone()));
    }
    Ok(shared)
}

fn is_clients(stored: &StoredNode, own: &NodeName) -> bool {
    stored.node.origin == Origin::Api && stored.node.name != *own
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
