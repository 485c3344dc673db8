//! What the schedule of health checks costs: the heap that all timers of checks stand in. `cargo bench --bench schedule`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a measurement; it says what it measures")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

#[allow(dead_code, unused_imports, reason = "the product's own; not all of it is measured, nor its tests")]
#[path = "../src/health/schedule.rs"]
mod schedule;

use schedule::{Jitter, Schedule};

fn main() {
    println!("{:>9}  {:>12}  {:>20}  {:>12}", "slots", "set, ns", "pop and set again, ns", "later, ns");
    for slots in [20_000, 1_000_000] {
        let [set, again, later] = measure(slots);
        println!("{slots:>9}  {set:>12}  {again:>20}  {later:>12}");
    }
}

/// Nanoseconds of each operation, on average.
fn measure(slots: u32) -> [u128; 3] {
    let (mut jitter, mut schedule) = (Jitter::new(1), Schedule::default());
    let now = Instant::now() + INTERVAL;
    let at = |random: u64, base: Instant| base + Duration::from_nanos(random % INTERVAL.as_nanos() as u64);
    let began = Instant::now();
    for slot in 0..slots {
        schedule.set(slot, at(jitter.next(), now));
    }
    let set = began.elapsed();
    // As of probes: each that is due is due again an interval later.
    let began = Instant::now();
    for _ in 0..slots {
        let (slot, due) = schedule.pop(now + 10 * INTERVAL).unwrap();
        schedule.set(slot, at(jitter.next() / 20, due + INTERVAL));
    }
    let again = began.elapsed();
    // As of heartbeats: any deadline is put off, and the next one is asked for.
    let began = Instant::now();
    for _ in 0..slots {
        let slot = (jitter.next() % u64::from(slots)) as u32;
        let when = schedule.when(slot).unwrap();
        schedule.set(slot, when + INTERVAL);
        black_box(schedule.next());
    }
    let later = began.elapsed();
    [set, again, later].map(|span| span.as_nanos() / u128::from(slots))
}

/// The interval of the checks.
const INTERVAL: Duration = Duration::from_secs(10);
