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

/// The results of one check in a row so far. Its thresholds stay in its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thresholds {
    successes: u32,
    failures: u32,
}

impl Thresholds {
    /// Those of a check of which no result is known yet.
    pub(super) fn new(definition: &CheckDefinition) -> Thresholds {
        Thresholds { successes: definition.success_before_passing, failures: definition.failures_before_critical }
    }

    /// Those of a check that another machine ran until now, by whose results it has this status.
    pub(super) fn handed(definition: &CheckDefinition, status: CheckStatus) -> Thresholds {
        match status {
            CheckStatus::Critical => Thresholds { successes: 0, failures: definition.failures_before_critical },
            _ => Thresholds { successes: definition.success_before_passing, failures: 0 },
        }
    }

    /// Counts a result. Returns the status that now holds, or none if the one before stays.
    ///
    /// `failures_before_warning` of 0 is not set and means as many as for critical, as in Consul.
    pub(super) fn count(&mut self, definition: &CheckDefinition, result: CheckStatus) -> Option<CheckStatus> {
        if result < CheckStatus::Critical {
            self.successes = self.successes.saturating_add(1);
            self.failures = 0;
            return (self.successes >= definition.success_before_passing).then_some(result);
        }
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
        if self.failures >= definition.failures_before_critical {
            Some(CheckStatus::Critical)
        } else {
            let warns = definition.failures_before_warning > 0 && self.failures >= definition.failures_before_warning;
            warns.then_some(CheckStatus::Warning)
        }
    }
}

#[cfg(test)]
#[path = "thresholds_tests.rs"]
mod tests;
