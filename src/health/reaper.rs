//! Which instances have been critical for so long that they are deregistered
//! (`DeregisterCriticalServiceAfter`).
//!
//! A status may be set by others than the scheduler, so each such check is looked at now and then, and whenever the
//! scheduler has itself turned it critical. What counts is the published state: still critical, and not changed since
//! it was first seen so.
//!
//! **Limits:** the time is exact for what the scheduler turns critical; else it begins up to 15 s late
//! (Consul looks every 30 s). It begins again after a restart, and after this process or machine was suspended.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::schedule::{Schedule, Slot, after};

/// The checks that may deregister their instance.
#[derive(Debug, Default)]
pub(super) struct Reaper {
    looks: Schedule,
    watched: HashMap<Slot, Watched>,
}

#[derive(Debug)]
struct Watched {
    /// How long it may be critical.
    patience: Duration,
    /// When it was first seen critical, and the index of the change that made it so.
    since: Option<(Instant, u64)>,
}

impl Reaper {
    /// Watches a check from now on; it may be critical for so long.
    pub(super) fn watch(&mut self, slot: Slot, patience: Duration, now: Instant) {
        self.watched
            .entry(slot)
            .and_modify(|watched| watched.patience = patience)
            .or_insert(Watched { patience, since: None });
        self.looks.set(slot, now);
    }

    /// Watches a check no longer.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.looks.cancel(slot);
        self.watched.remove(&slot);
    }

    /// Looks at a check soon, because it was turned critical: late enough for that to be published.
    pub(super) fn turned_critical(&mut self, slot: Slot, now: Instant) {
        if self.watched.contains_key(&slot) {
            self.looks.set_earlier(slot, after(now, PUBLISH_WAIT));
        }
    }

    /// What was critical before an absence of ours begins to be so now: nobody looked whether it still was.
    pub(super) fn begin_anew(&mut self) {
        self.watched.values_mut().for_each(|watched| watched.since = None);
    }

    /// When a check is to be looked at next.
    pub(super) fn next(&mut self) -> Option<Instant> {
        self.looks.next()
    }

    /// Takes a check that is to be looked at; [`Reaper::look`] must follow.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Slot> {
        self.looks.pop(now).map(|(slot, _)| slot)
    }

    /// Says whether the instance is to be deregistered now, given the index of the check's last change if it is
    /// critical; and plans the next look.
    pub(super) fn look(&mut self, slot: Slot, critical_index: Option<u64>, now: Instant) -> bool {
        let Some(watched) = self.watched.get_mut(&slot) else { return false };
        watched.since = critical_index.map(|index| match watched.since {
            Some((since, seen)) if seen == index => (since, index),
            _ => (now, index),
        });
        let due = watched.since.map(|(since, _)| after(since, watched.patience));
        // One that is due is asked for again until it is gone: deregistering may fail.
        let next =
            due.filter(|due| *due > now).map_or(after(now, LOOK_INTERVAL), |due| due.min(after(now, LOOK_INTERVAL)));
        self.looks.set(slot, next);
        due.is_some_and(|due| due <= now)
    }

    /// Looks at a check again a little later, because its instance could not be deregistered now.
    pub(super) fn postpone(&mut self, slot: Slot, now: Instant) {
        self.looks.set_earlier(slot, after(now, POSTPONEMENT));
    }
}

/// How often a check is looked at whose status others may set.
///
/// Source: none, chosen: half of Consul's interval; a look costs a microsecond.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);

/// How long after a report its publication is looked for. Source: none, chosen: many times what publishing takes.
const PUBLISH_WAIT: Duration = Duration::from_millis(200);

/// How long an instance waits when too many are being deregistered. Source: none, chosen: a sync of the disk or two.
const POSTPONEMENT: Duration = Duration::from_millis(200);

#[cfg(test)]
#[path = "reaper_tests.rs"]
mod tests;
