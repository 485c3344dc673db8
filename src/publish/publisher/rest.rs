//! When results of checks are published: the first after a while at once, further ones together.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::{IDLE_MAX, SCAN_INTERVAL, Writer};
use crate::publish::feed::{Submission, Work};

/// What is to be done next.
pub(super) enum Next {
    /// A batch that begins with this, or has nothing but results of checks.
    Batch(Option<Submission>),
    /// Nothing yet.
    Nothing,
    /// Nobody is left who could hand in anything.
    End,
}

impl Writer {
    /// Waits for what is to be done.
    pub(super) fn next(&mut self, runtime: &Runtime) -> Next {
        let rest = self.rest.left(Instant::now());
        let scan = if self.retired.is_empty() { IDLE_MAX } else { SCAN_INTERVAL };
        let wait = self.until_expiry().min(rest.unwrap_or(scan));
        match runtime.block_on(async { tokio::time::timeout(wait, self.intake.submissions.recv()).await }) {
            Ok(Some(Submission { work: Work::Results, .. })) if self.rest.holds(Instant::now()) => Next::Nothing,
            Ok(Some(first)) => Next::Batch(Some(first)),
            Ok(None) | Err(_) if rest.is_some() => Next::Batch(None),
            Ok(None) => Next::End,
            Err(_) => Next::Nothing,
        }
    }
}

/// Holds results back for a while after others were published; see [`RESULTS_REST`].
#[derive(Debug)]
pub(super) struct Rest {
    until: Instant,
    /// Whether results wait for its end.
    held: bool,
}

impl Rest {
    /// None yet.
    pub(super) fn none(now: Instant) -> Rest {
        Rest { until: now, held: false }
    }

    /// Results have come: whether they wait.
    pub(super) fn holds(&mut self, now: Instant) -> bool {
        self.held |= now < self.until;
        self.held
    }

    /// How long those that wait still do; none if none wait.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.held.then(|| self.until.saturating_duration_since(now))
    }

    /// All that had come were taken, to be published, this many.
    pub(super) fn taken(&mut self, results: usize, now: Instant) {
        self.held = false;
        if results > 0 {
            self.until = now + RESULTS_REST;
        }
    }
}

/// Where thousands change a second, one publish of a hundred results costs less than ten of ten, and who answers finds the
/// snapshot that it has in the cache for longer.
///
/// Source: none, chosen: nobody sees it, because a probe takes as long and the next is seconds later.
pub(super) const RESULTS_REST: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_published_at_once_and_the_next_waits() {
        let start = Instant::now();
        let mut rest = Rest::none(start);
        assert!(!rest.holds(start));
        rest.taken(1, start);
        let soon = start + RESULTS_REST / 4;
        assert_eq!(rest.left(soon), None, "nothing waits");
        assert!(rest.holds(soon));
        assert_eq!(rest.left(soon), Some(RESULTS_REST - RESULTS_REST / 4));
        assert_eq!(rest.left(start + 2 * RESULTS_REST), Some(Duration::ZERO));
        rest.taken(1, start + RESULTS_REST);
        assert_eq!(rest.left(soon), None);
        assert!(!rest.holds(start + 3 * RESULTS_REST), "after a while the next is the first");
    }

    #[test]
    fn what_takes_no_results_begins_no_rest() {
        let start = Instant::now();
        let mut rest = Rest::none(start);
        rest.taken(0, start);
        assert!(!rest.holds(start));
    }
}
