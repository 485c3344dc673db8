//! Settings of health checks.

use super::{read::Reader, values::number};

/// How checks are run. The fields are named and explained in reference.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthChecks {
    /// Most probes of one target host at the same time.
    pub probes_per_host_max: usize,
}

/// Reads the settings.
pub(super) fn read(reader: &mut Reader) -> HealthChecks {
    HealthChecks { probes_per_host_max: reader.set("probes_per_host_max", number(1, PROBES_PER_HOST_MOST)) }
}

impl HealthChecks {
    /// Each setting with its value as TOML.
    pub(super) fn entries(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("probes_per_host_max", Some(self.probes_per_host_max.to_string()))]
    }
}

/// Source: none, chosen: more than there are probes at all.
const PROBES_PER_HOST_MOST: i64 = 65_536;
