//! Static zones, read from zone files.

pub mod fingerprint;

/// All static zones.
#[derive(Debug, Clone, Default)]
pub struct Zones {}
