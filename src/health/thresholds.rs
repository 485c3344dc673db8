//! When a result counts: how many of its sort in a row it takes to change a check's status.
//!
//! | results in a row | status |
//! |---|---|
//! | `success_before_passing` passing or warning ones | that of the last result |
//! | `failures_before_warning` failures | warning |
//! | `failures_before_critical` failures | critical |
//! | fewer | stays as it is |
//!
//! 0 and 1 both mean that the first one counts. The counters start at their thresholds, so the first result of all
//! counts at once, whatever it is.
//!
//! **Source:** Consul's check definition, `success_before_passing` and its neighbours.

use crate::catalog::check::{CheckDefinition, CheckStatus};

/// The thresholds of one check, and the results in a row so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thresholds {
    success_before_passing: u32,
    failures_before_warning: u32,
    failures_before_critical: u32,
    successes: u32,
    failures: u32,
}

impl Thresholds {
    /// Those of a check of which no result is known yet.
    ///
    /// `failures_before_warning` of 0 is not set and means as many as for critical, as in Consul.
    pub(super) fn new(definition: &CheckDefinition) -> Thresholds {
        let critical = definition.failures_before_critical;
        let warning =
            if definition.failures_before_warning == 0 { critical } else { definition.failures_before_warning };
        Thresholds {
            success_before_passing: definition.success_before_passing,
            failures_before_warning: warning,
            failures_before_critical: critical,
            successes: definition.success_before_passing,
            failures: critical,
        }
    }

    /// Counts a result. Returns the status that now holds, or none if the one before stays.
    pub(super) fn count(&mut self, result: CheckStatus) -> Option<CheckStatus> {
        if result < CheckStatus::Critical {
            self.successes = self.successes.saturating_add(1);
            self.failures = 0;
            return (self.successes >= self.success_before_passing).then_some(result);
        }
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
        if self.failures >= self.failures_before_critical {
            Some(CheckStatus::Critical)
        } else {
            (self.failures >= self.failures_before_warning).then_some(CheckStatus::Warning)
        }
    }
}

#[cfg(test)]
#[path = "thresholds_tests.rs"]
mod tests;
