//! What is due when. Pure: time and randomness are handed in, so a jump of the wall clock cannot reach it.
//!
//! | probe | is due |
//! |---|---|
//! | first of a newly registered check | at once |
//! | first after a restart | at a random point of its interval, within 30 s |
//! | first after this process was suspended | if it was due or failed meanwhile, within a second |
//! | the one after such a first | at a random point of the interval that begins with it |
//! | any later | its interval, 5 % more or less, after the start of the one before |
//!
//! None before the one before has ended. Checks that began together, because they were registered together or because
//! all were started or suspended together, are therefore drawn apart within one interval, and stay apart. A probe that
//! starts late shifts those after it and never causes two in a row: nothing piles up.
//!
//! A heap and not a timer wheel: to take a slot and set it anew costs some 0.15 us among 20,000 and 1 us among a million,
//! to put one off 0.05 and 0.15 us (`cargo bench --bench schedule`), which is 0.03 % of a core for 20,000 checks every 10 s; and
//! it is exact, where a wheel rounds to its tick or has a second wheel for it.

use std::time::{Duration, Instant};

/// A place in a table of checks; see [`super::slots`].
pub(super) type Slot = u32;

/// At most one due time per slot. Every call costs O(log n), and making a slot due later, as each renewal of a check
/// deadline does, O(1); a slot takes 24 bytes.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// What due times are counted from: the first of them.
    origin: Option<Instant>,
    /// The slots that are due at some time; none stands for a later time than those at twice its place and one or two
    /// beyond.
    heap: Vec<Slot>,
    /// When each slot is due, in nanoseconds from the origin.
    due: Vec<i64>,
    /// The time that each slot stands for in the heap: not later than it is due. Whoever looks at the first one moves it.
    stands_for: Vec<i64>,
    /// Where each slot stands in the heap; [`NOWHERE`] if it is not due at all.
    places: Vec<u32>,
}

impl Schedule {
    /// Makes the slot due at this time, and no longer at another.
    pub(super) fn set(&mut self, slot: Slot, when: Instant) {
        let index = slot as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, NOWHERE);
            self.due.resize(index + 1, 0);
            self.stands_for.resize(index + 1, 0);
        }
        let origin = *self.origin.get_or_insert(when);
        let due = match when.checked_duration_since(origin) {
            Some(after) => nanos(after),
            None => -nanos(origin.saturating_duration_since(when)),
        };
        self.due[index] = due;
        if self.places[index] == NOWHERE {
            self.places[index] = self.heap.len() as u32;
            self.heap.push(slot);
        } else if self.stands_for[index] <= due {
            return;
        }
        self.stands_for[index] = due;
        self.settle(self.places[index] as usize);
    }

    /// Makes the slot due at this time unless it is due earlier.
    pub(super) fn set_earlier(&mut self, slot: Slot, when: Instant) {
        if self.when(slot).is_none_or(|due| when < due) {
            self.set(slot, when);
        }
    }

    /// Makes the slot not due at all.
    pub(super) fn cancel(&mut self, slot: Slot) {
        let Some(place) = self.places.get_mut(slot as usize).filter(|place| **place != NOWHERE) else { return };
        let at = std::mem::replace(place, NOWHERE) as usize;
        self.heap.swap_remove(at);
        if let Some(moved) = self.heap.get(at) {
            self.places[*moved as usize] = at as u32;
            self.settle(at);
        }
    }

    /// When the slot is due.
    pub(super) fn when(&self, slot: Slot) -> Option<Instant> {
        self.places.get(slot as usize).filter(|place| **place != NOWHERE)?;
        let (origin, due) = (self.origin?, self.due[slot as usize]);
        let span = Duration::from_nanos(due.unsigned_abs());
        Some(if due < 0 { origin - span } else { origin + span })
    }

    /// When anything is due next.
    pub(super) fn next(&mut self) -> Option<Instant> {
        let first = self.first()?;
        self.when(first)
    }

    /// Takes the slot that is due longest, with its due time.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Slot, Instant)> {
        let slot = self.first()?;
        let when = self.when(slot).filter(|when| *when <= now)?;
        self.cancel(slot);
        Some((slot, when))
    }

    /// The slot that is due first.
    fn first(&mut self) -> Option<Slot> {
        loop {
            let slot = *self.heap.first()?;
            let index = slot as usize;
            if self.stands_for[index] == self.due[index] {
                return Some(slot);
            }
            self.stands_for[index] = self.due[index];
            self.settle(0);
        }
    }

    /// Moves what stands at this place of the heap to where it belongs.
    fn settle(&mut self, mut at: usize) {
        while at > 0 && self.is_before(at, (at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        loop {
            let mut first = at;
            for below in [2 * at + 1, 2 * at + 2] {
                if below < self.heap.len() && self.is_before(below, first) {
                    first = below;
                }
            }
            if first == at {
                return;
            }
            self.swap(at, first);
            at = first;
        }
    }

    fn is_before(&self, left: usize, right: usize) -> bool {
        let order = |at: usize| (self.stands_for[self.heap[at] as usize], self.heap[at]);
        order(left) < order(right)
    }

    fn swap(&mut self, left: usize, right: usize) {
        self.heap.swap(left, right);
        for at in [left, right] {
            self.places[self.heap[at] as usize] = at as u32;
        }
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// The place of a slot that is not in the heap.
const NOWHERE: u32 = u32::MAX;

/// When a probe is due that may be anywhere in its interval.
pub(super) fn spread(now: Instant, interval: Duration, random: u64) -> Instant {
    after(now, interval.min(SPAN_MAX).mul_f64(fraction(random)))
}

/// When the probe is due that follows one.
pub(super) fn following(started: Instant, ended: Instant, interval: Duration, random: u64) -> Instant {
    let factor = 1.0 - JITTER + 2.0 * JITTER * fraction(random);
    later(started, ended, interval, factor)
}

/// When the probe is due that follows a first one, which began at a time that many others may have begun at.
pub(super) fn following_first(started: Instant, ended: Instant, interval: Duration, random: u64) -> Instant {
    // Not at once: it would say what the first has said.
    let factor = JITTER + (1.0 - JITTER) * fraction(random);
    later(started, ended, interval, factor)
}

fn later(started: Instant, ended: Instant, interval: Duration, factor: f64) -> Instant {
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
