use std::collections::BTreeMap;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_slot_that_is_due_longest_comes_first() {
    let start = Instant::now();
    let mut schedule = Schedule::default();
    schedule.set(7, start + SECOND * 3);
    schedule.set(1, start + SECOND);
    schedule.set(4, start + SECOND * 2);
    assert_eq!(schedule.next(), Some(start + SECOND));
    assert_eq!(schedule.pop(start), None);
    assert_eq!(schedule.pop(start + SECOND * 2), Some((1, start + SECOND)));
    assert_eq!(schedule.pop(start + SECOND * 2), Some((4, start + SECOND * 2)));
    assert_eq!(schedule.pop(start + SECOND * 2), None);
    assert_eq!(schedule.next(), Some(start + SECOND * 3));
}

#[test]
fn a_slot_is_due_once() {
    let start = Instant::now();
    let mut schedule = Schedule::default();
    schedule.set(0, start);
    schedule.set(0, start + SECOND);
    assert_eq!(schedule.pop(start), None);
    schedule.set_earlier(0, start + SECOND * 2);
    assert_eq!(schedule.when(0), Some(start + SECOND));
    schedule.set_earlier(0, start);
    assert_eq!(schedule.pop(start), Some((0, start)));
    assert_eq!(schedule.pop(start + SECOND), None);
}

#[test]
fn a_cancelled_slot_is_not_due() {
    let start = Instant::now();
    let mut schedule = Schedule::default();
    schedule.set(3, start);
    schedule.cancel(3);
    schedule.cancel(4);
    assert_eq!((schedule.next(), schedule.pop(start)), (None, None));
}

#[test]
fn due_times_keep_their_order_whatever_comes_and_goes() {
    let start = Instant::now() + SECOND * 100;
    let mut random = Jitter::new(1);
    let mut schedule = Schedule::default();
    let mut model: BTreeMap<Slot, Instant> = BTreeMap::new();
    for _ in 0..10_000 {
        let slot = (random.next() % 50) as Slot;
        // Some are earlier than the first one of all.
        let when = start + SECOND * (random.next() % 40) as u32 - SECOND * 20;
        match random.next() % 4 {
            0 => {
                schedule.cancel(slot);
                model.remove(&slot);
            }
            1 => {
                let first = model.iter().map(|(slot, due)| (*due, *slot)).min().filter(|(due, _)| *due <= when);
                let first = first.map(|(due, slot)| (slot, due));
                assert_eq!(schedule.pop(when), first);
                first.map(|(slot, _)| model.remove(&slot));
            }
            _ => {
                schedule.set(slot, when);
                model.insert(slot, when);
            }
        }
        assert_eq!(schedule.when(slot), model.get(&slot).copied());
        assert_eq!(schedule.next(), model.values().min().copied());
    }
}

#[test]
fn first_probes_after_a_restart_fill_their_interval_evenly() {
    let (start, interval) = (Instant::now(), SECOND * 10);
    let mut jitter = Jitter::new(1);
    let mut per_second = [0; 10];
    for _ in 0..10_000 {
        let due = spread(start, interval, jitter.next());
        assert!(due >= start && due < start + interval);
        per_second[(due - start).as_secs() as usize] += 1;
    }
    assert!(per_second.iter().all(|count| (800..1200).contains(count)), "{per_second:?}");
}

#[test]
fn an_interval_runs_from_start_to_start_within_five_percent() {
    let (start, interval) = (Instant::now(), SECOND * 10);
    for random in [0, 1, u64::MAX / 2, u64::MAX] {
        let due = following(start, start + SECOND, interval, random);
        assert!(due >= start + interval.mul_f64(0.949) && due <= start + interval.mul_f64(1.051));
    }
}

#[test]
fn checks_that_began_together_are_drawn_apart_within_one_interval() {
    let (start, interval) = (Instant::now(), SECOND * 10);
    let mut jitter = Jitter::new(1);
    let mut per_second = [0; 10];
    for _ in 0..10_000 {
        let due = following_first(start, start, interval, jitter.next());
        assert!(due >= start + SECOND / 2 && due < start + interval, "not at once again, and no later than usual");
        per_second[(due - start).as_secs() as usize] += 1;
    }
    assert!(per_second[1..].iter().all(|count| (850..1250).contains(count)), "{per_second:?}");
    assert_eq!(following_first(start, start + interval, interval, 0), start + interval, "not before it has ended");
}

#[test]
fn a_probe_that_outlasts_its_interval_is_followed_at_once_by_one() {
    let start = Instant::now();
    let ended = start + SECOND * 30;
    assert_eq!(following(start, ended, SECOND, 0), ended);
}

#[test]
fn no_definition_can_overflow_the_clock_or_occupy_a_core() {
    let start = Instant::now();
    assert!(following(start, start, Duration::MAX, u64::MAX) > start + SECOND);
    assert!(spread(start, Duration::MAX, u64::MAX) > start + SECOND);
    assert!(following(start, start, Duration::ZERO, 0) >= start + Duration::from_millis(47));
}
