//! What upstreams said, kept for as long as they allow, and for an hour more as a last resort.
//!
//! An entry is fresh, then stale, then gone; a failure is remembered for five seconds. Ageing is pure:
//! the time is an argument.
//!
//! **Source:** RFC 2308, RFC 8767 (stale entries), RFC 9520 (failures).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{Expiry, sync};

use super::{answer::Answer, settings::Limits};
use crate::wire::name::Name;

/// What is asked, and how: the key of the cache and of questions in flight.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// In lower case.
    pub(super) name: Name,
    pub(super) rtype: u16,
    pub(super) class: u16,
    pub(super) dnssec_ok: bool,
    pub(super) checking_disabled: bool,
}

/// An extended error (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExtendedError {
    pub(super) code: u16,
    /// At most 80 bytes.
    pub(super) text: &'static str,
}

/// How upstreams ended: with an answer, or with none.
pub(super) type Outcome = Result<Arc<Answer>, ExtendedError>;

/// An outcome and when it came.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    outcome: Outcome,
    at: Instant,
    /// When upstreams last failed to renew an expired answer.
    failed_at: Option<Instant>,
}

/// What an entry is worth now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Serve it; so many seconds have passed.
    Fresh(Arc<Answer>, u32),
    /// Serve it if upstreams can't be had; `true` if they have just failed and are not to be asked.
    Stale(Arc<Answer>, bool),
    /// Upstreams have just failed.
    Failed(ExtendedError),
    /// Nothing.
    Gone,
}

impl Entry {
    pub(super) fn new(outcome: Outcome, at: Instant) -> Entry {
        Entry { outcome, at, failed_at: None }
    }

    /// What it is worth at `now`.
    pub(super) fn state(&self, now: Instant) -> State {
        let age = now.saturating_duration_since(self.at);
        match &self.outcome {
            Err(error) if age < FAILURE_KEPT => State::Failed(error.clone()),
            Err(_) => State::Gone,
            Ok(answer) if age < lifetime(answer) => State::Fresh(Arc::clone(answer), age.as_secs() as u32),
            Ok(answer) if age < lifetime(answer) + STALE_KEPT => {
                let just_failed = self.failed_at.is_some_and(|at| now.saturating_duration_since(at) < FAILURE_KEPT);
                State::Stale(Arc::clone(answer), just_failed)
            }
            Ok(_) => State::Gone,
        }
    }

    /// How long it is of any use, from when it came.
    fn kept(&self) -> Duration {
        match &self.outcome {
            Ok(answer) => lifetime(answer) + STALE_KEPT,
            Err(_) => FAILURE_KEPT,
        }
    }
}

fn lifetime(answer: &Answer) -> Duration {
    Duration::from_secs(answer.keep_secs.unwrap_or(0).into())
}

/// The cache: at most so many bytes and so many entries; what is asked for least goes first.
pub(super) struct Cache {
    entries: sync::Cache<Key, Arc<Entry>, foldhash::fast::RandomState>,
    flushes: AtomicU64,
}

impl Cache {
    pub(super) fn new(limits: &Limits) -> Cache {
        // An entry weighs at least its share of the bytes, which bounds their number too.
        let share = (limits.cache_max_bytes / limits.cache_max_entries.max(1)).max(1);
        let weigh = move |key: &Key, entry: &Arc<Entry>| {
            let answer = entry.outcome.as_ref().map_or(0, |answer| answer.size_bytes());
            let bytes = (size_of::<Key>() + key.name.as_wire().len() + size_of::<Entry>() + answer) as u64;
            u32::try_from(bytes.max(share)).unwrap_or(u32::MAX)
        };
        let entries = sync::Cache::builder()
            .max_capacity(limits.cache_max_bytes)
            .weigher(weigh)
            .expire_after(KeptWhileOfUse)
            .build_with_hasher(foldhash::fast::RandomState::default());
        Cache { entries, flushes: AtomicU64::new(0) }
    }

    pub(super) fn state(&self, key: &Key, now: Instant) -> State {
        self.entries.get(key).map_or(State::Gone, |entry| entry.state(now))
    }

    /// How often the cache was flushed; an outcome asked for before a flush is not kept after it.
    pub(super) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// Keeps what may be kept. A failure does not displace an answer that can still be served stale.
    pub(super) fn keep(&self, key: &Key, outcome: &Outcome, now: Instant) {
        let mut entry = Entry::new(outcome.clone(), now);
        match outcome {
            Ok(answer) if answer.keep_secs.is_none() => {
                self.entries.invalidate(key);
                return;
            }
            Ok(_) => {}
            Err(_) => match self.entries.get(key) {
                Some(old) if matches!(old.state(now), State::Fresh(..) | State::Stale(..)) => {
                    entry = Entry { failed_at: Some(now), ..(*old).clone() };
                }
                _ => {}
            },
        }
        self.entries.insert(key.clone(), Arc::new(entry));
    }

    /// Forgets the name and everything below it, or everything; tells how many entries that were.
    pub(super) fn flush(&self, name: Option<&Name>) -> usize {
        self.flushes.fetch_add(1, Ordering::AcqRel);
        let covered = |key: &Key| name.is_none_or(|name| key.name.is_at_or_below(name));
        let keys: Vec<_> = self.entries.iter().map(|(key, _)| key).filter(|key| covered(key)).collect();
        keys.iter().for_each(|key| self.entries.invalidate(&**key));
        keys.len()
    }

    /// How many entries there are, about.
    pub(super) fn len(&self) -> u64 {
        self.entries.entry_count()
    }
}

struct KeptWhileOfUse;

impl Expiry<Key, Arc<Entry>> for KeptWhileOfUse {
    fn expire_after_create(&self, _key: &Key, entry: &Arc<Entry>, created_at: Instant) -> Option<Duration> {
        Some((entry.at + entry.kept()).saturating_duration_since(created_at))
    }

    fn expire_after_update(
        &self,
        key: &Key,
        entry: &Arc<Entry>,
        updated_at: Instant,
        _current: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, entry, updated_at)
    }
}

/// How long an expired answer may still be served. Source: DNS.md, "Forwarding"; RFC 8767 allows days.
const STALE_KEPT: Duration = Duration::from_secs(3_600);

/// How long a failure is remembered. Source: DNS.md, "Forwarding"; RFC 9520 section 3.2 wants 1 s to 5 min.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
