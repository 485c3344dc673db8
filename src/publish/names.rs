//! What DNS answers about the catalog, by name.

use crate::{
    catalog::{apply::Effects, state::State},
    publish::settings::Settings,
};

/// The names of the catalog.
#[derive(Debug, Clone, Default)]
pub struct Names {}

impl Names {
    /// Builds all names from nothing.
    pub fn build(catalog: &State, settings: &Settings) -> Names {
        let _ = (catalog, settings);
        Names {}
    }

    /// Follows a change; says whether an answer may have changed.
    pub fn follow(&mut self, effects: &Effects, catalog: &State, settings: &Settings) -> bool {
        let _ = (effects, catalog, settings);
        true
    }
}
