//! What may be proposed to the catalog, and why it may be refused.

use std::{fmt, sync::Arc};

use super::{
    check::{Check, CheckKey, CheckResult},
    names::NodeName,
    node::Node,
    service::{Instance, InstanceKey},
};

/// Which source owns a registration.
///
/// The order is that of precedence: if two origins offer the same instance, the lower one here wins and the
/// other is kept aside, shadowed. A source changes only what its own origin owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// This nameplate itself.
    Server,
    /// The HTTP API.
    Api,
    /// A file in the services directory.
    File,
    /// Another machine, as the shared store tells it.
    Cluster,
    /// A Docker daemon.
    Docker,
    /// Another registry.
    Registry,
}

impl Origin {
    /// How many there are.
    pub const COUNT: usize = Origin::Registry as usize + 1;

    /// The word shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Server => "server",
            Origin::Api => "api",
            Origin::File => "file",
            Origin::Cluster => "cluster",
            Origin::Docker => "docker",
            Origin::Registry => "registry",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An instance with its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The instance.
    pub instance: Instance,
    /// Its checks, with the status to begin with; an existing check of the same ID keeps its own.
    pub checks: Vec<Check>,
    /// Whether checks of the instance that are not in `checks` are removed (Consul's `replace-existing-checks`).
    pub replace_existing_checks: bool,
}

/// Something proposed to the catalog.
#[derive(Debug, Clone)]
pub enum Change {
    /// Creates a node or replaces what is known of it; its instances and checks stay.
    RegisterNode(Node),
    /// Takes a node away with its instances and checks, all of which, as itself, must be this origin's.
    DeregisterNode {
        /// Which node.
        name: NodeName,
        /// Who asks.
        origin: Origin,
    },
    /// Registers an instance, or replaces the registration of the same key and origin.
    Register(Box<Registration>),
    /// Registers an instance as who owns it has it: its checks have the status and output given, and are all that this
    /// origin has of it, maintenance among them.
    Mirror(Box<Registration>),
    /// Takes this origin's registration of an instance away.
    Deregister {
        /// Which instance.
        key: InstanceKey,
        /// Who asks.
        origin: Origin,
    },
    /// Registers a check or replaces its definition; an existing one keeps status and output.
    RegisterCheck(Box<Check>),
    /// Takes a check away.
    DeregisterCheck {
        /// Which check.
        key: CheckKey,
        /// Who asks.
        origin: Origin,
    },
    /// Sets the status of a check.
    SetStatus {
        /// Which check.
        key: CheckKey,
        /// What now holds.
        result: CheckResult,
    },
    /// Puts an instance into maintenance, with a reason, or takes it out.
    InstanceMaintenance {
        /// Which instance.
        key: InstanceKey,
        /// The reason; none ends maintenance.
        reason: Option<Arc<str>>,
    },
    /// All that an origin has on a node, as a state: what is not in the list is deregistered.
    ReplaceOrigin {
        /// On which node.
        node: NodeName,
        /// Whose registrations.
        origin: Origin,
        /// What now holds.
        registrations: Vec<Registration>,
    },
}

impl Change {
    /// The node that it is about.
    pub fn node(&self) -> &NodeName {
        match self {
            Change::RegisterNode(node) => &node.name,
            Change::DeregisterNode { name, .. } => name,
            Change::Register(registration) | Change::Mirror(registration) => &registration.instance.node,
            Change::RegisterCheck(check) => &check.node,
            Change::Deregister { key, .. } | Change::InstanceMaintenance { key, .. } => &key.node,
            Change::DeregisterCheck { key, .. } | Change::SetStatus { key, .. } => &key.node,
            Change::ReplaceOrigin { node, .. } => node,
        }
    }

    /// Who asks; none where that makes no difference.
    pub fn origin(&self) -> Option<Origin> {
        match self {
            Change::RegisterNode(node) => Some(node.origin),
            Change::Register(registration) | Change::Mirror(registration) => Some(registration.instance.origin),
            Change::RegisterCheck(check) => Some(check.origin),
            Change::DeregisterNode { origin, .. }
            | Change::Deregister { origin, .. }
            | Change::DeregisterCheck { origin, .. }
            | Change::ReplaceOrigin { origin, .. } => Some(*origin),
            Change::SetStatus { .. } | Change::InstanceMaintenance { .. } => None,
        }
    }

    /// The same, asked by somebody else.
    pub fn by(mut self, by: Origin) -> Change {
        let registered = |registration: &mut Registration| {
            registration.instance.origin = by;
            registration.checks.iter_mut().for_each(|check| check.origin = by);
        };
        match &mut self {
            Change::RegisterNode(node) => node.origin = by,
            Change::Register(registration) | Change::Mirror(registration) => registered(registration),
            Change::RegisterCheck(check) => check.origin = by,
            Change::DeregisterNode { origin, .. }
            | Change::Deregister { origin, .. }
            | Change::DeregisterCheck { origin, .. } => *origin = by,
            Change::ReplaceOrigin { origin, registrations, .. } => {
                *origin = by;
                registrations.iter_mut().for_each(registered);
            }
            Change::SetStatus { .. } | Change::InstanceMaintenance { .. } => {}
        }
        self
    }

    /// Whether it consists of several steps, a later of which may be refused; all others look before they do anything.
    pub(super) fn has_steps(&self) -> bool {
        matches!(self, Change::ReplaceOrigin { .. })
    }
}

/// Why a change was refused. Nothing of it was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// No such node.
    #[error("unknown node {0:?}; register it first")]
    UnknownNode(NodeName),
    /// No such instance on the node.
    #[error("unknown service ID {:?} on node {:?}", .0.id, .0.node)]
    UnknownInstance(InstanceKey),
    /// No such check on the node.
    #[error("unknown check ID {:?} on node {:?}", .0.id, .0.node)]
    UnknownCheck(CheckKey),
    /// The check belongs to another instance already.
    #[error("check ID {:?} belongs to another service on node {:?}; choose another ID", .0.id, .0.node)]
    CheckElsewhere(CheckKey),
    /// What is on the node is its own machine's.
    #[error("node {0:?} is that of a machine on which nameplate runs; register what is on it there")]
    OfMachine(NodeName),
    /// Another origin owns it.
    #[error("{what} was registered by the {owner} source; change it there")]
    OwnedBy {
        /// The instance or check, in words.
        what: String,
        /// Its owner.
        owner: Origin,
    },
}
