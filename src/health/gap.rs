//! Whether this process was away: the machine suspended, its virtual machine paused, the process stopped. Pure.
//!
//! What failed or passed its time meanwhile says nothing about anybody: nobody was asked, and nobody could renew
//! anything. Two things tell. The clock that goes on while the machine is suspended gets ahead of the one that does
//! not; and who rests until some time at most finds that it is much later.
//!
//! **Limits:** an absence of less than 2 s is none; one that is noticed by the second sign only, less than 3 s.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Looks for absences, in a loop that rests again and again.
#[derive(Debug)]
pub(super) struct Gaps {
    /// For how long the machine has been suspended, all told, as of the last look.
    suspended: Duration,
    /// When the loop was to run again at the latest; none while it runs.
    planned: Option<Instant>,
}

impl Gaps {
    /// The machine has been suspended for so long; see [`suspended`].
    pub(super) fn new(suspended: Duration) -> Gaps {
        Gaps { suspended, planned: None }
    }

    /// The loop rests now, until this time if it has one. Returns when it is to run again: a probe may be on its way, or a
    /// heartbeat, also while nothing is due.
    pub(super) fn rests(&mut self, now: Instant, until: Option<Instant>) -> Instant {
        let planned = now + LOOK_EVERY;
        let planned = until.map_or(planned, |until| until.min(planned));
        self.planned = Some(planned);
        planned
    }

    /// The loop runs again. Returns for how long it was away, if it was.
    pub(super) fn runs(&mut self, now: Instant, suspended: Duration) -> Option<Duration> {
        let slept = suspended.saturating_sub(self.suspended);
        let late = self.planned.take().map_or(Duration::ZERO, |planned| now.saturating_duration_since(planned));
        self.suspended = suspended;
        Some(slept + late).filter(|away| *away > GAP_MIN)
    }
}

/// For how long this machine has been suspended since it was started.
pub(super) fn suspended() -> Duration {
    let [awake, all] = [ClockId::Monotonic, ClockId::Boottime].map(|clock| {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
    });
    all.saturating_sub(awake)
}

/// An absence is longer than this. Source: none, chosen: less than the deadlines and timeouts that people set.
const GAP_MIN: Duration = Duration::from_secs(2);

/// How often the loop runs at least. Source: none, chosen: a wake-up a second costs nothing that shows.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "gap_tests.rs"]
mod tests;
