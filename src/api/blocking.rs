//! Reads that wait for a change: blocking queries, as Consul has them.
//!
//! The client names the index that it has seen and how long it will wait. It is answered at once when the result's
//! index is another one (above: there is news; below: the client's came from another machine or another life), else
//! when the result changes, when the time is over, or when the server stops: always with what then holds.
//!
//! **Limits:** so many reads wait at a time as `http_waiting` says; more are refused.
//!
//! **Source:** Consul's `api-docs/features/blocking`.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use super::{
    Api,
    call::{CONSISTENT, Read},
    respond::ApiError,
};
use crate::{
    observe::metrics::Metrics,
    publish::{snapshot::Snapshot, watch::WatchKey},
};

impl Api {
    /// The snapshot that the read is answered from. No snapshot is held while it waits.
    pub(super) async fn newer(
        &self,
        read: &Read,
        key: WatchKey,
        index_of: impl Fn(&Snapshot) -> u64 + Send + Sync,
    ) -> Result<Arc<Snapshot>, ApiError> {
        let of_all = matches!(key, WatchKey::Sessions | WatchKey::Queries | WatchKey::Events);
        if of_all || matches!(key, WatchKey::Key(_) | WatchKey::Keys(_)) {
            self.caught_up(read).await?;
        }
        if read.index == 0 {
            return Ok(self.parts.published.load());
        }
        let snapshot = self.until(read.wait, key, |snapshot| index_shown(index_of(snapshot)) != read.index).await?;
        // Rights may have changed while it waited.
        self.access.renew(&read.caller, &self.parts.published)?;
        Ok(snapshot)
    }

    /// A consistent read has all of what machines share that was done before it.
    pub(super) async fn caught_up(&self, read: &Read) -> Result<(), ApiError> {
        if read.consistency == CONSISTENT {
            self.parts.feed.catch_up().await?;
        }
        Ok(())
    }

    /// The first snapshot for which this holds, or the current one when the time is over.
    pub(super) async fn until(
        &self,
        wait: Duration,
        key: WatchKey,
        holds: impl Fn(&Snapshot) -> bool + Send,
    ) -> Result<Arc<Snapshot>, ApiError> {
        let now = self.parts.published.load();
        if holds(&now) {
            return Ok(now);
        }
        drop(now);
        let Ok(_permit) = self.waiting.try_acquire() else {
            return Err(ApiError::Busy(format!(
                "{} reads are waiting already; try again, or raise http_waiting",
                self.parts.waiting_max
            )));
        };
        let _blocked = Blocked::count(&self.parts.metrics);
        let mut stopping = self.parts.stopping.clone();
        let mut ticket = self.parts.published.register(key);
        let deadline = tokio::time::Instant::now() + wait + random_part(wait / JITTER_DIVISOR);
        loop {
            // Registered before it looks, so that no change falls in between.
            let now = self.parts.published.load();
            if holds(&now) {
                return Ok(now);
            }
            drop(now);
            let over = tokio::select! {
                () = ticket.changed() => {
                    self.parts.metrics.http_woken.inc();
                    false
                }
                () = tokio::time::sleep_until(deadline) => true,
                _ = stopping.wait_for(|stopping| *stopping) => true,
            };
            if over {
                return Ok(self.parts.published.load());
            }
        }
    }
}

/// A read that waits, for the metrics; until it is dropped.
struct Blocked<'a>(&'a Metrics);

impl Blocked<'_> {
    fn count(metrics: &Metrics) -> Blocked<'_> {
        metrics.http_blocked.inc();
        Blocked(metrics)
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.http_blocked.dec();
    }
}

/// The index as clients see it: never 0, which would mean "do not wait".
pub(super) fn index_shown(index: u64) -> u64 {
    index.max(1)
}

/// A random span below this one, so that many waits that began together do not end together.
fn random_part(below: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let nanoseconds = u64::try_from(below.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random % nanoseconds.max(1))
}

/// The random part of a wait is below this fraction of it. Source: Consul.
const JITTER_DIVISOR: u32 = 16;

#[cfg(test)]
#[path = "blocking_tests.rs"]
mod tests;
