//! Flap damping: a check whose instance comes and goes too often is held critical for a while. Pure.
//!
//! An instance that is answered for ten seconds and then not for ten is worse than one that is gone: each change costs
//! its clients failures, and those who wait for changes a result each.
//!
//! | what happens | what follows |
//! |---|---|
//! | more than `changes` changes between answered and not within `window` | held critical for `hold` |
//! | as many again within a window while it is held, or after it | held for twice as long as the last time, `hold_max` at most |
//! | the hold ends | the last result counts at once |
//! | no change for a window after the last change and the last hold | all is forgotten |
//!
//! **Limits:** only probed checks; what others set is acknowledged to them. Nothing of it survives a restart: a check
//! that was held is critical until its first result. Memory is taken for checks that change alone.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::schedule::{Schedule, Slot, after};
use crate::catalog::check::CheckResult;

/// When a check is held, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DampingSettings {
    /// More changes than this within the window are too many; 0 turns damping off.
    pub changes: usize,
    /// Changes count for so long.
    pub window: Duration,
    /// How long the first hold is.
    pub hold: Duration,
    /// How long any is at most.
    pub hold_max: Duration,
}

/// The checks that change, and which are held.
#[derive(Debug)]
pub(super) struct Damping {
    settings: DampingSettings,
    flapping: HashMap<Slot, Flaps>,
    /// When holds end.
    ends: Schedule,
    held: usize,
}

#[derive(Debug)]
struct Flaps {
    /// The newest changes, one more at most than are allowed; since the last hold began.
    changes: VecDeque<Instant>,
    /// Since when nothing has happened: the last change, or the end of the last hold.
    quiet: Instant,
    /// How many holds there were.
    holds: u32,
    held: Option<(Hold, CheckResult)>,
}

/// Why a check is held, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) until: Instant,
    /// So many changes.
    pub(super) changes: usize,
    /// In so long.
    pub(super) within: Duration,
}

/// What becomes of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damped {
    /// It counts.
    Counts,
    /// It makes the check one that is held.
    Begins(Hold),
    /// The check is held.
    Held(Hold),
}

impl Damping {
    pub(super) fn new(settings: DampingSettings) -> Damping {
        Damping { settings, flapping: HashMap::new(), ends: Schedule::default(), held: 0 }
    }

    /// Takes a result of a check, and whether its instance changes between answered and not by it.
    pub(super) fn count(&mut self, slot: Slot, changes: bool, result: &CheckResult, now: Instant) -> Damped {
        let settings = self.settings;
        if settings.changes == 0 {
            return Damped::Counts;
        }
        if let Some(flaps) = self.flapping.get(&slot)
            && flaps.held.is_none()
            && now.saturating_duration_since(flaps.quiet) > settings.window
        {
            self.flapping.remove(&slot);
        }
        let flaps = match self.flapping.get_mut(&slot) {
            Some(flaps) => flaps,
            None if !changes => return Damped::Counts,
            None => self.flapping.entry(slot).or_insert_with(|| Flaps::new(now)),
        };
        if changes {
            flaps.changed(&settings, now);
        }
        if let Some((hold, last)) = &mut flaps.held {
            *last = result.clone();
            return Damped::Held(*hold);
        }
        if !changes || flaps.changes.len() <= settings.changes {
            return Damped::Counts;
        }
        self.held += 1;
        let hold = flaps.hold(&settings, result.clone(), now);
        self.ends.set(slot, hold.until);
        Damped::Begins(hold)
    }

    /// The newest change of a check was none of its own.
    pub(super) fn take_back(&mut self, slot: Slot) {
        if let Some(flaps) = self.flapping.get_mut(&slot) {
            flaps.changes.pop_back();
        }
    }

    /// When a hold ends next.
    pub(super) fn next(&mut self) -> Option<Instant> {
        self.ends.next()
    }

    /// Takes a check whose hold has ended, with its last result; and a further hold if it has gone on changing.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Slot, CheckResult, Option<Hold>)> {
        let (slot, _) = self.ends.pop(now)?;
        let flaps = self.flapping.get_mut(&slot)?;
        let (_, result) = flaps.held.take()?;
        flaps.prune(&self.settings, now);
        if flaps.changes.len() > self.settings.changes {
            let hold = flaps.hold(&self.settings, result.clone(), now);
            self.ends.set(slot, hold.until);
            return Some((slot, result, Some(hold)));
        }
        flaps.quiet = now;
        self.held -= 1;
        Some((slot, result, None))
    }

    /// Forgets a check, because it is no more or another one.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.ends.cancel(slot);
        let flaps = self.flapping.remove(&slot);
        self.held -= usize::from(flaps.is_some_and(|flaps| flaps.held.is_some()));
    }

    /// Whether a check is held.
    pub(super) fn is_held(&self, slot: Slot) -> bool {
        self.flapping.get(&slot).is_some_and(|flaps| flaps.held.is_some())
    }

    /// How many checks are held.
    pub(super) fn held(&self) -> usize {
        self.held
    }
}

impl Flaps {
    fn new(now: Instant) -> Flaps {
        Flaps { changes: VecDeque::new(), quiet: now, holds: 0, held: None }
    }

    fn changed(&mut self, settings: &DampingSettings, now: Instant) {
        self.quiet = now;
        self.changes.push_back(now);
        if self.changes.len() > settings.changes + 1 {
            self.changes.pop_front();
        }
        self.prune(settings, now);
    }

    /// Forgets the changes that lie too far back.
    fn prune(&mut self, settings: &DampingSettings, now: Instant) {
        while self.changes.front().is_some_and(|at| now.saturating_duration_since(*at) > settings.window) {
            self.changes.pop_front();
        }
    }

    fn hold(&mut self, settings: &DampingSettings, result: CheckResult, now: Instant) -> Hold {
        let factor = 1_u32.checked_shl(self.holds).unwrap_or(u32::MAX);
        let span = settings.hold.saturating_mul(factor).min(settings.hold_max.max(settings.hold));
        let within = self.changes.front().map_or(Duration::ZERO, |first| now.saturating_duration_since(*first));
        let hold = Hold { until: after(now, span), changes: self.changes.len(), within };
        self.holds = self.holds.saturating_add(1);
        self.changes.clear();
        self.held = Some((hold, result));
        hold
    }
}

#[cfg(test)]
#[path = "damping_tests.rs"]
mod tests;
