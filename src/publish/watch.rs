//! What readers wait for: a level ("index above n" of one key), never an edge.

use std::sync::Arc;

use crate::{
    catalog::{check::CheckKey, names::ServiceName},
    publish::snapshot::Snapshot,
};

/// What a reader may wait for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WatchKey {
    /// One service: its instances, their checks, their nodes.
    Service(ServiceName),
    /// The list of services: any instance registered, changed or deregistered.
    Services,
    /// The list of nodes.
    Nodes,
    /// All checks.
    Checks,
    /// Whether all sources have synced.
    Sources,
}

/// The current snapshot, and how to wait for a later one. Shared by all readers.
#[derive(Debug)]
pub struct Published {}

impl Published {
    /// The current snapshot. Do not keep it across a wait.
    pub fn load(&self) -> Arc<Snapshot> {
        unimplemented!()
    }

    /// A ticket for the key: register first, then look at the level, then wait.
    ///
    /// ```ignore
    /// let mut ticket = published.register(WatchKey::Nodes);
    /// while published.load().catalog.nodes_index() <= index {
    ///     ticket.changed().await; // under a timeout
    /// }
    /// ```
    pub fn register(&self, key: WatchKey) -> Ticket {
        let _ = key;
        unimplemented!()
    }

    /// Checks whose definition or existence changed since they were last taken, for the health scheduler;
    /// hints only: look at the level. At most one reader.
    pub fn take_touched_checks(&self) -> Vec<CheckKey> {
        unimplemented!()
    }

    /// Returns when [`Published::take_touched_checks`] has something.
    pub async fn checks_touched(&self) {
        unimplemented!()
    }
}

/// A reader's place among those who wait for a key; leaves when dropped.
#[derive(Debug)]
pub struct Ticket {}

impl Ticket {
    /// Returns when the key was touched since the last call (or since registering).
    pub async fn changed(&mut self) {
        unimplemented!()
    }
}
