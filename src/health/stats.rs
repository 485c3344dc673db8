//! What the health checks have done so far, for metrics. Each number is read by itself; they need not add up at any
//! one moment.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::catalog::check::CheckStatus;

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeResult {
    /// With this status, thresholds not applied.
    Status(CheckStatus),
    /// It could not be made, for a reason that lies with us (open files, memory, settings); it says nothing about its target.
    NotMade,
}

/// Numbers since the start. Shared; every one only grows, except where it says otherwise.
#[derive(Debug, Default)]
pub struct Stats {
    probes: [AtomicU64; 4],
    lateness: [AtomicU64; LATENESS_BOUNDS.len() + 1],
    lateness_micros: AtomicU64,
    in_flight: AtomicU64,
    watched: AtomicU64,
    expired: AtomicU64,
    deregistered: AtomicU64,
}

impl Stats {
    /// Probes that ended so.
    pub fn probes(&self, result: ProbeResult) -> u64 {
        self.probes[row(result)].load(Relaxed)
    }

    /// How late probes started after they were due: the number in each bucket of [`LATENESS_BOUNDS`], then of those
    /// beyond; not cumulated.
    pub fn lateness(&self) -> [u64; LATENESS_BOUNDS.len() + 1] {
        std::array::from_fn(|bucket| self.lateness[bucket].load(Relaxed))
    }

    /// Sum of all lateness.
    pub fn lateness_sum(&self) -> Duration {
        Duration::from_micros(self.lateness_micros.load(Relaxed))
    }

    /// Probes that run now. Goes up and down.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Checks that are probed or may deregister their instance. Goes up and down.
    pub fn watched(&self) -> u64 {
        self.watched.load(Relaxed)
    }

    /// Check deadlines that passed.
    pub fn expired(&self) -> u64 {
        self.expired.load(Relaxed)
    }

    /// Instances that were deregistered because they were critical too long.
    pub fn deregistered(&self) -> u64 {
        self.deregistered.load(Relaxed)
    }

    pub(super) fn count_started(&self, late: Duration) {
        let bucket = LATENESS_BOUNDS.iter().position(|bound| late <= *bound).unwrap_or(LATENESS_BOUNDS.len());
        self.lateness[bucket].fetch_add(1, Relaxed);
        self.lateness_micros.fetch_add(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn count_ended(&self, result: ProbeResult) {
        self.probes[row(result)].fetch_add(1, Relaxed);
    }

    pub(super) fn set_levels(&self, in_flight: usize, watched: usize) {
        self.in_flight.store(in_flight as u64, Relaxed);
        self.watched.store(watched as u64, Relaxed);
    }

    pub(super) fn count_expired(&self) {
        self.expired.fetch_add(1, Relaxed);
    }

    pub(super) fn count_deregistered(&self) {
        self.deregistered.fetch_add(1, Relaxed);
    }
}

fn row(result: ProbeResult) -> usize {
    match result {
        ProbeResult::Status(status) => status as usize,
        ProbeResult::NotMade => 3,
    }
}

/// Upper bounds of the lateness histogram.
///
/// Source: none, chosen: from the timer's own resolution to what an operator would call broken.
pub const LATENESS_BOUNDS: [Duration; 8] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
];
