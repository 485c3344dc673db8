//! What is due when. Pure: time and randomness are handed in, so a jump of the wall clock cannot reach it.
//!
//! | probe | is due |
//! |---|---|
//! | first of a newly registered check | at once |
//! | first after a restart | at a random point of its interval |
//! | any later | its interval, 5 % more or less, after the start of the one before; not before that one has ended |
//!
//! A probe that starts late shifts those after it and never causes two in a row: nothing piles up.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// A place in a table of checks; see [`super::slots`].
pub(super) type Slot = u32;

/// At most one due time per slot. Every call costs O(log n).
#[derive(Debug, Default)]
pub(super) struct Schedule {
    order: BTreeSet<(Instant, Slot)>,
    due: Vec<Option<Instant>>,
}

impl Schedule {
    /// Makes the slot due at this time, and no longer at another.
    pub(super) fn set(&mut self, slot: Slot, when: Instant) {
        self.cancel(slot);
        let at = slot as usize;
        if self.due.len() <= at {
            self.due.resize(at + 1, None);
        }
        self.due[at] = Some(when);
        self.order.insert((when, slot));
    }

    /// Makes the slot due at this time unless it is due earlier.
    pub(super) fn set_earlier(&mut self, slot: Slot, when: Instant) {
        if self.when(slot).is_none_or(|due| when < due) {
            self.set(slot, when);
        }
    }

    /// Makes the slot not due at all.
    pub(super) fn cancel(&mut self, slot: Slot) {
        if let Some(when) = self.due.get_mut(slot as usize).and_then(Option::take) {
            self.order.remove(&(when, slot));
        }
    }

    /// When the slot is due.
    pub(super) fn when(&self, slot: Slot) -> Option<Instant> {
        self.due.get(slot as usize).copied().flatten()
    }

    /// When anything is due next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(when, _)| *when)
    }

    /// Takes the slot that is due longest, with its due time.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Slot, Instant)> {
        let (when, slot) = *self.order.first().filter(|(when, _)| *when <= now)?;
        self.cancel(slot);
        Some((slot, when))
    }
}

/// When a probe is due that may be anywhere in its interval.
pub(super) fn spread(now: Instant, interval: Duration, random: u64) -> Instant {
    after(now, interval.min(SPAN_MAX).mul_f64(fraction(random)))
}

/// When the probe is due that follows one.
pub(super) fn following(started: Instant, ended: Instant, interval: Duration, random: u64) -> Instant {
    let factor = 1.0 - JITTER + 2.0 * JITTER * fraction(random);
    let interval = interval.clamp(INTERVAL_FLOOR, SPAN_MAX);
    after(started, interval.mul_f64(factor)).max(ended)
}

/// A time from now, at most a year ahead, so that no definition can overflow the clock.
pub(super) fn after(now: Instant, span: Duration) -> Instant {
    now + span.min(SPAN_MAX)
}

/// Random numbers for jitter; not for secrets.
#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    /// The numbers that follow from a seed.
    pub(super) fn new(seed: u64) -> Jitter {
        Jitter(seed)
    }

    /// The next number (splitmix64).
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A random number as a fraction, from 0 up to but not including 1.
fn fraction(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// How far an interval may vary, as a fraction of it.
///
/// Source: none, chosen: enough to draw apart checks that were registered together, too little to be noticed.
const JITTER: f64 = 0.05;

/// Shortest time between two starts, whatever a definition says.
///
/// Source: none, chosen: registration allows no less than 1 s; this only keeps a definition made elsewhere from
/// occupying a core.
const INTERVAL_FLOOR: Duration = Duration::from_millis(50);

/// Longest time that anything is planned ahead. Source: none, chosen: a year.
const SPAN_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
