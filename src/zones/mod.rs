//! Static zones, read from zone files.

/// All static zones.
#[derive(Debug, Clone, Default)]
pub struct Zones {}
