//! The immutable state that readers see. One response comes from exactly one snapshot.

use std::sync::Arc;

use crate::{
    catalog::state::State,
    publish::{feed::SourceStatus, names::Names, settings::Settings},
    zones::Zones,
};

/// All that is known at one index: the catalog, and the names that DNS answers with.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The catalog.
    pub catalog: State,
    /// What DNS answers about it.
    pub names: Names,
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// Static zones.
    pub zones: Arc<Zones>,
    /// The sources and how they are.
    pub sources: Arc<[SourceStatus]>,
    /// SOA serial.
    pub serial: u32,
}

impl Snapshot {
    /// The global index.
    pub fn index(&self) -> u64 {
        self.catalog.index()
    }
}
