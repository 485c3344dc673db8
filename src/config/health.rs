//! Settings of health checks.

use std::time::Duration;

use super::{
    print::quoted,
    problem::ConfigProblem,
    read::Reader,
    values::{duration, number},
};
use crate::catalog::duration::format_duration;

/// How checks are run. The fields are named and explained in reference.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthChecks {
    /// Most probes of one target host at the same time.
    pub probes_per_host_max: usize,
    /// More changes than this in a window are flapping; 0 for no flap damping.
    pub flap_changes: usize,
    /// How long changes count.
    pub flap_window: Duration,
    /// How long a check that flaps is held critical at first.
    pub flap_hold: Duration,
    /// How long it is at most.
    pub flap_hold_max: Duration,
}

/// Reads the settings.
pub(super) fn read(reader: &mut Reader) -> HealthChecks {
    let flap_hold = reader.set("flap_hold", duration(SPAN_LEAST, SPAN_MOST));
    let flap_hold_max = reader.set("flap_hold_max", duration(SPAN_LEAST, SPAN_MOST));
    if flap_hold_max < flap_hold {
        let (place, key) = (reader.place("flap_hold_max"), Some("flap_hold_max".to_owned()));
        let problem = format!("expected no less than flap_hold, {}", format_duration(flap_hold));
        reader.report(ConfigProblem { place, key, problem });
    }
    HealthChecks {
        probes_per_host_max: reader.set("probes_per_host_max", number(1, PROBES_PER_HOST_MOST)),
        flap_changes: reader.set("flap_changes", number(0, FLAP_CHANGES_MOST)),
        flap_window: reader.set("flap_window", duration(SPAN_LEAST, SPAN_MOST)),
        flap_hold,
        flap_hold_max,
    }
}

impl HealthChecks {
    /// Each setting with its value as TOML.
    pub(super) fn entries(&self) -> Vec<(&'static str, Option<String>)> {
        let span = |span| Some(quoted(format_duration(span)));
        vec![
            ("probes_per_host_max", Some(self.probes_per_host_max.to_string())),
            ("flap_changes", Some(self.flap_changes.to_string())),
            ("flap_window", span(self.flap_window)),
            ("flap_hold", span(self.flap_hold)),
            ("flap_hold_max", span(self.flap_hold_max)),
        ]
    }
}

/// Source: none, chosen: more than there are probes at all.
const PROBES_PER_HOST_MOST: i64 = 65_536;

/// Source: none, chosen: a check that changes so often is remembered with a kilobyte or two.
const FLAP_CHANGES_MOST: i64 = 100;

/// Source: none, chosen: as the shortest interval of a check.
const SPAN_LEAST: Duration = Duration::from_secs(1);

/// Source: none, chosen: a day.
const SPAN_MOST: Duration = Duration::from_secs(24 * 3600);
