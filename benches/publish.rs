//! What one health flip costs with 10,000 and with 1,000,000 instances.
//!
//! `cargo bench --bench publish`. A flip is what the publisher does for it: the catalog applies it, the names follow,
//! a snapshot takes the place of the one before, and that one is freed. Told alone, and as it goes through the feed
//! and the publisher's thread and back to whoever waits for it; and as results of checks, which nobody waits for and
//! which are published some hundred at a time: the processor time of the publisher's thread. Both sizes run in turn, in
//! one process; medians of the rounds are told. Instances are drawn at random.
#![allow(missing_docs, clippy::unwrap_used)]

mod shape;

use std::{sync::Arc, time::Duration};

use mimalloc::MiMalloc;
use nameplate::{
    catalog::{change::Change, check::CheckStatus},
    publish::snapshot::Snapshot,
};
use shape::{Numbers, Server, flip, median, time};
use tokio::time::{Instant, sleep_until};

/// As the server.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let mut sizes = [10_000, 1_000_000].map(Size::new);
    for size in &mut sizes {
        size.round();
        (size.alone, size.through, size.results) = (Vec::new(), Vec::new(), Vec::new());
    }
    for _ in 0..ROUNDS {
        sizes.iter_mut().for_each(Size::round);
    }
    println!("{:<30} {:>12} {:>12} {:>7}", "health flip", "10,000", "1,000,000", "ratio");
    let [small, large] = &mut sizes;
    for (what, small, large) in [
        ("alone", &mut small.alone, &mut large.alone),
        ("through the feed", &mut small.through, &mut large.through),
        ("as results, processor time", &mut small.results, &mut large.results),
    ] {
        let (small, large) = (median(small), median(large));
        println!("{what:<30} {small:>9.0} ns {large:>9.0} ns {:>7.2}", large / small);
    }
}

struct Size {
    instances: u32,
    server: Server,
    /// What the next snapshot will be.
    next: Snapshot,
    current: Arc<Snapshot>,
    numbers: Numbers,
    alone: Vec<f64>,
    through: Vec<f64>,
    results: Vec<f64>,
}

impl Size {
    fn new(instances: u32) -> Size {
        let server = Server::keeping(instances);
        let current = server.published.load();
        let (next, numbers) = (Snapshot::clone(&current), Numbers::default());
        Size { instances, server, next, current, numbers, alone: Vec::new(), through: Vec::new(), results: Vec::new() }
    }

    fn round(&mut self) {
        let drawn: Vec<u32> = (0..FLIPS).map(|_| self.numbers.below(self.instances)).collect();
        for status in [CheckStatus::Critical, CheckStatus::Passing] {
            let mut flips = drawn.iter().map(|number| flip(*number, status));
            let alone = time(FLIPS, || {
                let effects = self.next.catalog.apply(flips.next().unwrap()).unwrap();
                self.next.names.follow(&effects, &self.next.settings);
                self.current = Arc::new(self.next.clone());
            });
            self.alone.push(alone);
            let mut flips = drawn.iter().map(|number| flip(*number, status));
            self.through.push(time(FLIPS, || self.server.submit(vec![flips.next().unwrap()])));
        }
        for status in [CheckStatus::Critical, CheckStatus::Passing] {
            self.results.push(self.results(&drawn, status));
        }
    }

    /// Hands results in as checks that run all the time do; the publisher's time for each, in nanoseconds.
    fn results(&self, drawn: &[u32], status: CheckStatus) -> f64 {
        let (before, index) = (publisher_nanos(), self.server.published.load().catalog.index());
        for some in drawn.chunks(RESULTS_A_MILLISECOND) {
            for number in some {
                let Change::SetStatus { key, result } = flip(*number, status) else { unreachable!() };
                self.server.feed.report(key, result);
            }
            self.pause(Duration::from_millis(1));
        }
        let mut distinct = drawn.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let until = Instant::now() + Duration::from_secs(10);
        while self.server.published.load().catalog.index() < index + distinct.len() as u64 && Instant::now() < until {
            self.pause(Duration::from_millis(1));
        }
        // The last snapshots are freed some time later.
        self.pause(Duration::from_millis(300));
        (publisher_nanos() - before) as f64 / distinct.len() as f64
    }

    fn pause(&self, pause: Duration) {
        self.server.runtime.block_on(async { sleep_until(Instant::now() + pause).await });
    }
}

/// Processor time of the publishers' threads until now.
fn publisher_nanos() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten().map(|entry| entry.path());
    let publishers =
        threads.filter(|path| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "publisher"));
    let nanos = |path: std::path::PathBuf| -> u64 {
        let told = std::fs::read_to_string(path.join("schedstat")).unwrap();
        told.split_whitespace().next().unwrap().parse().unwrap()
    };
    publishers.map(nanos).sum()
}

/// Flips of a round, each way.
const FLIPS: u32 = 2000;
const ROUNDS: u32 = 11;

const RESULTS_A_MILLISECOND: usize = 10;
