//! What one health flip costs with 10,000 and with 1,000,000 instances.
//!
//! `cargo bench --bench publish`. A flip is what the publisher does for it: the catalog applies it, the names follow,
//! a snapshot takes the place of the one before, and that one is freed. Told alone, and as it goes through the feed
//! and the publisher's thread and back to whoever waits for it. Both sizes run in turn, in one process; medians of
//! the rounds are told. Instances are drawn at random.
#![allow(missing_docs, clippy::unwrap_used)]

mod shape;

use std::sync::Arc;

use mimalloc::MiMalloc;
use nameplate::{catalog::check::CheckStatus, publish::snapshot::Snapshot};
use shape::{Numbers, Server, flip, median, time};

/// As the server.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let mut sizes = [10_000, 1_000_000].map(Size::new);
    for size in &mut sizes {
        size.round();
        (size.alone, size.through) = (Vec::new(), Vec::new());
    }
    for _ in 0..ROUNDS {
        sizes.iter_mut().for_each(Size::round);
    }
    println!("{:<30} {:>12} {:>12} {:>7}", "health flip", "10,000", "1,000,000", "ratio");
    let [small, large] = &mut sizes;
    for (what, small, large) in
        [("alone", &mut small.alone, &mut large.alone), ("through the feed", &mut small.through, &mut large.through)]
    {
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
}

impl Size {
    fn new(instances: u32) -> Size {
        let server = Server::with(instances);
        let current = server.published.load();
        let (next, numbers) = (Snapshot::clone(&current), Numbers::default());
        Size { instances, server, next, current, numbers, alone: Vec::new(), through: Vec::new() }
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
    }
}

/// Flips of a round, each way.
const FLIPS: u32 = 2000;
const ROUNDS: u32 = 11;
