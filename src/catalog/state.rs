//! The catalog's state: what is registered, and what a change makes of it.

use std::sync::Arc;

use super::{
    change::{Change, ChangeError, Origin},
    check::{Check, CheckKey, CheckStatus},
    names::{NodeName, ServiceId, ServiceName},
    node::Node,
    service::{Instance, InstanceKey},
};

/// The whole catalog at one index. A clone shares everything.
#[derive(Debug, Clone)]
pub struct State {}

/// An instance with its checks, as registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceEntry {
    /// What the winning registration says.
    pub instance: Arc<Instance>,
    /// Its own checks, sorted by ID.
    pub checks: Box<[CheckEntry]>,
    /// Registrations of lower precedence with the same key, best first.
    pub shadowed: Box<[Arc<super::change::Registration>]>,
    /// Index at which it was first registered.
    pub create_index: u64,
    /// Index of its last change, not counting its checks.
    pub modify_index: u64,
}

impl InstanceEntry {
    /// The worst status of its own checks; passing without any.
    pub fn status(&self) -> CheckStatus {
        worst(&self.checks)
    }
}

/// A check with its indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckEntry {
    /// The check.
    pub check: Arc<Check>,
    /// Index at which it was first registered.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// A node with its own checks.
#[derive(Debug, Clone)]
pub struct NodeEntry {
    /// What is known of it.
    pub node: Arc<Node>,
    /// Its own checks (not those of its instances), sorted by ID.
    pub checks: Arc<[CheckEntry]>,
    /// Index at which it was first registered.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

impl NodeEntry {
    /// The worst status of its own checks; passing without any.
    pub fn status(&self) -> CheckStatus {
        worst(&self.checks)
    }

    /// IDs of the instances that run on it, in no order.
    pub fn instance_ids(&self) -> impl Iterator<Item = &ServiceId> {
        std::iter::empty()
    }
}

/// A service: its instances, and the index of its last change.
#[derive(Debug, Clone)]
pub struct ServiceEntry {
    /// Its name.
    pub name: ServiceName,
    /// Index of the last change to its instances, their checks or their nodes.
    pub index: u64,
}

impl ServiceEntry {
    /// How many instances it has; at least one.
    pub fn len(&self) -> usize {
        0
    }

    /// Never true: a service without instances is not in the catalog.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its instances, in no order.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<InstanceEntry>> {
        std::iter::empty()
    }
}

impl State {
    /// Index of the last change.
    pub fn index(&self) -> u64 {
        0
    }

    /// Applies one change at this index, or says why not; then nothing has changed.
    pub fn apply(&mut self, change: Change, index: u64) -> Result<(), ChangeError> {
        let _ = (change, index);
        Ok(())
    }

    /// A node by name.
    pub fn node(&self, name: &NodeName) -> Option<&Arc<NodeEntry>> {
        let _ = name;
        None
    }

    /// All nodes, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<NodeEntry>> {
        std::iter::empty()
    }

    /// A service by name.
    pub fn service(&self, name: &ServiceName) -> Option<&Arc<ServiceEntry>> {
        let _ = name;
        None
    }

    /// All services, in no order.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceEntry>> {
        std::iter::empty()
    }

    /// An instance by node and service ID.
    pub fn instance(&self, key: &InstanceKey) -> Option<&Arc<InstanceEntry>> {
        let _ = key;
        None
    }

    /// A check by node and check ID.
    pub fn check(&self, key: &CheckKey) -> Option<&CheckEntry> {
        let _ = key;
        None
    }

    /// All checks, in no order: those of nodes and those of instances.
    pub fn checks(&self) -> impl Iterator<Item = &CheckEntry> {
        std::iter::empty()
    }

    /// X-Consul-Index of a read of one service, whether it exists or not.
    pub fn service_index(&self, name: &ServiceName) -> u64 {
        let _ = name;
        0
    }

    /// X-Consul-Index of the list of services.
    pub fn services_index(&self) -> u64 {
        0
    }

    /// X-Consul-Index of the list of nodes.
    pub fn nodes_index(&self) -> u64 {
        0
    }

    /// Tags of all instances of a service, each once, sorted; empty if it is unknown.
    pub fn service_tags(&self, name: &ServiceName) -> Vec<super::names::Tag> {
        let _ = name;
        Vec::new()
    }

    /// All that an origin has registered on a node, shadowed registrations included, in no order.
    pub fn of_origin(&self, node: &NodeName, origin: Origin) -> Vec<InstanceKey> {
        let _ = (node, origin);
        Vec::new()
    }
}

fn worst(checks: &[CheckEntry]) -> CheckStatus {
    checks.iter().map(|entry| entry.check.status).max().unwrap_or(CheckStatus::Passing)
}
