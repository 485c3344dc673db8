//! Counters of the forwarder, read by whoever serves metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the forwarder has counted since it was made; every field only rises.
#[derive(Debug, Default)]
pub struct Stats {
    /// Questions put to the forwarder, by clients and by ourselves.
    pub questions: AtomicU64,
    /// Questions answered from the cache, failures remembered there included.
    pub cache_hits: AtomicU64,
    /// Questions answered with an expired entry.
    pub stale_served: AtomicU64,
    /// Questions that joined one already in flight.
    pub joined: AtomicU64,
    /// Tries at an upstream; resends of the same try are not counted.
    pub tries: AtomicU64,
    /// Tries that ended without any response.
    pub tries_silent: AtomicU64,
    /// Tries that ended in a network error.
    pub tries_unreachable: AtomicU64,
    /// Tries that ended in SERVFAIL, REFUSED, NOTIMP, FORMERR or a response that makes no sense.
    pub tries_refused: AtomicU64,
    /// Questions answered SERVFAIL because upstreams gave no answer.
    pub failures: AtomicU64,
    /// Questions answered SERVFAIL because too many were in flight.
    pub limited: AtomicU64,
    /// Questions that an upstream sent back to us, loop tests included.
    pub loops: AtomicU64,
}

impl Stats {
    /// Adds one to a counter.
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
