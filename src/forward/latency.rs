//! Which upstream is asked first: the fastest, by what was seen of each. Pure; the time is an argument.
//!
//! An upstream that failed comes last until it answers again. Whoever was not asked for a while is
//! asked besides the first, so that nobody waits for the sake of finding out.

use std::time::{Duration, Instant};

/// What is known of one upstream's speed.
#[derive(Debug, Clone)]
pub(super) struct Latency {
    smoothed: Duration,
    failing: bool,
    refusals: u8,
    asked_at: Instant,
}

impl Latency {
    /// Nothing known yet: counts as fast, so that the order of the list decides.
    pub(super) fn new(now: Instant) -> Latency {
        Latency { smoothed: Duration::ZERO, failing: false, refusals: 0, asked_at: now }
    }

    /// It is being asked.
    pub(super) fn asked(&mut self, now: Instant) {
        self.asked_at = now;
    }

    /// It answered after `elapsed`.
    pub(super) fn answered(&mut self, elapsed: Duration) {
        let first = self.failing || self.smoothed.is_zero();
        self.smoothed = if first { elapsed } else { (self.smoothed * 7 + elapsed * 3) / 10 };
        self.failing = false;
        self.refusals = 0;
    }

    /// It has not answered within `elapsed`, while another did or was to be asked.
    pub(super) fn slow(&mut self, elapsed: Duration) {
        self.smoothed = self.smoothed.max(elapsed);
    }

    /// It gave no response.
    pub(super) fn failed(&mut self) {
        self.failing = true;
    }

    /// It answered with an error, which may be the question's fault or its own.
    pub(super) fn refused(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
        self.failing |= self.refusals >= REFUSALS_MAX;
    }
}

/// The order in which upstreams are asked (indexes into `latencies`), and how many of them at once.
pub(super) fn order(latencies: &[Latency], explore_after: Duration, now: Instant) -> (Vec<usize>, usize) {
    let mut order: Vec<_> = (0..latencies.len()).collect();
    order.sort_by_key(|&index| (latencies[index].failing, latencies[index].smoothed));
    let due = |&index: &usize| now.saturating_duration_since(latencies[index].asked_at) >= explore_after;
    match order.iter().skip(1).position(due) {
        Some(place) => {
            let explored = order.remove(1 + place);
            order.insert(1, explored);
            (order, 2)
        }
        None => (order, 1),
    }
}

/// From so many errors in a row on, an upstream is at fault and not the questions.
///
/// Source: none, chosen: three broken domains in a row are rare.
const REFUSALS_MAX: u8 = 3;

#[cfg(test)]
#[path = "latency_tests.rs"]
mod tests;
