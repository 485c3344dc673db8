//! What an instance costs in memory at 1,000,000, and how often `respond` allocates.
//!
//! `cargo bench --bench memory [-- INSTANCES]`. *live* is what was asked of the allocator and not given back, by a
//! counting allocator; *resident* is the growth of VmRSS, which is all told: what the system's allocator adds is in it.
//! The health scheduler runs and watches all checks, as in a server whose own they are; their probes are spread over a
//! year, so that hardly one is made. The scheduler is told by starting it last, the names by building them once more,
//! a second domain by building them for two, the checks by registering the same without them.
#![allow(missing_docs, clippy::unwrap_used)]
#![allow(unsafe_code, reason = "an allocator that counts can only be written so")]

mod shape;

use std::{
    alloc::{GlobalAlloc, Layout},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use mimalloc::MiMalloc;
use nameplate::{
    answer::{Buffer, Verdict, respond},
    catalog::{change::Change, check::CheckStatus, names::NodeName},
    health::{Health, HealthSettings, PROBES_IN_FLIGHT_MAX, damping::DampingSettings},
    observe::metrics::Metrics,
    publish::{names::Names, settings::Settings, snapshot::Snapshot},
    wire::name::Name,
};
use shape::{Numbers, Server, client, flip, put, query, registration};

#[global_allocator]
static ALLOCATOR: Counting = Counting { inner: MiMalloc, allocations: AtomicU64::new(0), live: AtomicU64::new(0) };

/// The server's allocator, counted.
struct Counting {
    inner: MiMalloc,
    allocations: AtomicU64,
    live: AtomicU64,
}

// SAFETY: all is done by the allocator within, with what was handed in.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocations.fetch_add(1, Relaxed);
        self.live.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: as above.
        unsafe { self.inner.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.live.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: as above.
        unsafe { self.inner.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.allocations.fetch_add(1, Relaxed);
        self.live.fetch_add((size as u64).wrapping_sub(layout.size() as u64), Relaxed);
        // SAFETY: as above.
        unsafe { self.inner.realloc(pointer, layout, size) }
    }
}

fn main() {
    let instances = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000);
    let each = |bytes: f64| bytes / f64::from(instances);
    let print = |what: &str, bytes: f64| println!("{what:<44} {:>7} bytes", each(bytes).round());
    let (live_before, resident_before) = (live(), resident());
    let started = Instant::now();
    let server = Server::empty();
    register(&server, instances, |_| {});
    println!("registered in {:.1} us each", started.elapsed().as_secs_f64() * 1e6 / f64::from(instances));
    // Hints for a scheduler that does not run yet; it looks at all checks when it starts.
    drop(server.published.take_touched_checks());
    let registered = live() - live_before;
    let health = watched(&server, instances);
    let all = live() - live_before;
    print("all, resident", resident() - resident_before);
    print("all, live", all);
    let snapshot = server.published.load();
    let settings = Arc::clone(&snapshot.settings);
    let names = built(&snapshot, &settings);
    let domains = Settings { alt_domains: vec![Name::parse("other.example.").unwrap()], ..Settings::clone(&settings) };
    let second = built(&snapshot, &domains) - names;
    allocations(&snapshot);
    drop((snapshot, settings, domains));
    churn(&server, instances);
    print("all, resident, after churn", resident() - resident_before);
    print("all, live, after churn", live() - live_before);
    server.runtime.block_on(health.shutdown());
    server.stop();

    let before = live();
    let server = Server::empty();
    register(&server, instances, |registration| registration.checks.clear());
    let bare = live() - before;
    print("  health scheduler, live", all - registered);
    print("  names, live", names);
    print("  checks, live", registered - bare);
    print("  the rest of the catalog, live", bare - names);
    print("a second domain, live", second);
}

/// Registers so many instances, each changed a little.
fn register(server: &Server, instances: u32, change: impl Fn(&mut nameplate::catalog::change::Registration)) {
    for first in (0..instances).step_by(1000) {
        let changed = |number| {
            let mut registration = registration(number);
            change(&mut registration);
            for check in &mut registration.checks {
                Arc::make_mut(&mut check.definition).interval = YEAR;
            }
            Change::Register(Box::new(registration))
        };
        server.submit((first..instances.min(first + 1000)).map(changed).collect());
    }
}

/// Starts the health checks; returns when they watch all checks.
fn watched(server: &Server, instances: u32) -> Health {
    let settings = HealthSettings {
        node: NodeName::new("n1").unwrap(),
        restored_index: u64::MAX,
        probes_in_flight_max: PROBES_IN_FLIGHT_MAX,
        probes_per_host_max: 64,
        damping: DampingSettings {
            changes: 5,
            window: Duration::from_secs(120),
            hold: Duration::from_secs(30),
            hold_max: Duration::from_secs(600),
        },
        metrics: Arc::new(Metrics::new()),
        ca_bundle: None,
        scripts: Default::default(),
        docker: Vec::new(),
        guard: None,
    };
    let (feed, published) = (server.feed.clone(), Arc::clone(&server.published));
    server.runtime.block_on(async {
        let resolver = Arc::new(|_| -> nameplate::health::Resolving { Box::pin(async { Ok(Vec::new()) }) });
        let health = Health::start(settings, feed, published, resolver);
        let stats = health.stats();
        while stats.watched() < u64::from(instances) {
            tokio::task::yield_now().await;
        }
        health
    })
}

/// What the names take when they are built from nothing.
fn built(snapshot: &Snapshot, settings: &Settings) -> f64 {
    let before = live();
    let names = Names::build(&snapshot.catalog, settings);
    let bytes = live() - before;
    drop(names);
    bytes
}

/// Changes what is registered for a while: a fifth of the checks turn critical and back, a tenth of the instances
/// get another weight.
fn churn(server: &Server, instances: u32) {
    let mut numbers = Numbers::default();
    for _ in 0..instances / 500 {
        let flipped: Vec<u32> = (0..100).map(|_| numbers.below(instances)).collect();
        for status in [CheckStatus::Critical, CheckStatus::Passing] {
            server.submit(flipped.iter().map(|number| flip(*number, status)).collect());
        }
        let moved = |_| {
            let mut registration = registration(numbers.below(instances));
            registration.checks.clear();
            registration.replace_existing_checks = false;
            registration.instance.weights.passing = 2;
            Change::Register(Box::new(registration))
        };
        server.submit((0..50).map(moved).collect());
    }
}

fn allocations(snapshot: &Snapshot) {
    let mut buffer = Buffer::udp();
    for (kind, name, rtype) in [
        ("A", "s7.service.example.", 1),
        ("AAAA (NODATA)", "s7.service.example.", 28),
        ("SRV", "_s7._tcp.service.example.", 33),
        ("NXDOMAIN", "nope.service.example.", 1),
    ] {
        let query = query(name, rtype);
        let before = ALLOCATOR.allocations.load(Relaxed);
        for random in 0..1000 {
            let length = put(&mut buffer, &query);
            let verdict = respond(snapshot, &mut buffer, length, &client(random));
            assert!(matches!(verdict, Verdict::Response(_)));
        }
        let count = ALLOCATOR.allocations.load(Relaxed) - before;
        println!("{:<44} {count:>7}", format!("allocations of 1,000 responds, {kind}"));
    }
}

/// Bytes that were asked for and not given back.
fn live() -> f64 {
    ALLOCATOR.live.load(Relaxed) as f64
}

/// Bytes of memory that the process has.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")?.trim().parse().ok());
    1024.0 * kilobytes.unwrap_or(0.0)
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
