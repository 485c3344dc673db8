//! What an instance costs in memory at 1,000,000, and how often `respond` allocates.
//!
//! `cargo bench --bench memory [-- INSTANCES]`. *live* is what was asked of the allocator and not given back, by a
//! counting allocator; *resident* is the growth of VmRSS, which is all told: what the system's allocator adds is in it.
//! The names are told by building them once more, the checks by registering the same without them.
#![allow(missing_docs, clippy::unwrap_used)]

mod shape;

use std::{alloc::System, sync::Arc};

use nameplate::{
    answer::{Buffer, Verdict, respond},
    catalog::change::Change,
    publish::{names::Names, snapshot::Snapshot},
};
use shape::{Server, client, put, query, registration};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let instances = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000);
    let each = |bytes: f64| bytes / f64::from(instances);
    let (live_before, resident_before) = (live(), resident());
    let server = Server::with(instances);
    println!("{:<40} {:>7} bytes", "all, resident", each(resident() - resident_before).round());
    let all = each(live() - live_before);
    println!("{:<40} {:>7} bytes", "all, live", all.round());
    let snapshot = server.published.load();
    let (settings, before) = (Arc::clone(&snapshot.settings), live());
    let names = Names::build(&snapshot.catalog, &settings);
    let names_live = each(live() - before);
    drop(names);
    allocations(&snapshot);
    drop((snapshot, settings));
    server.stop();

    let before = live();
    let server = Server::empty();
    for first in (0..instances).step_by(1000) {
        let bare = |number| {
            let mut registration = registration(number);
            registration.checks.clear();
            Change::Register(Box::new(registration))
        };
        server.submit((first..instances.min(first + 1000)).map(bare).collect());
    }
    let bare = each(live() - before);
    for (part, bytes) in [("names", names_live), ("checks", all - bare), ("the rest of the catalog", bare - names_live)]
    {
        println!("{:<40} {:>7} bytes", format!("  {part}, live"), bytes.round());
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
        let region = Region::new(ALLOCATOR);
        for random in 0..1000 {
            let length = put(&mut buffer, &query);
            let verdict = respond(snapshot, &mut buffer, length, &client(random));
            assert!(matches!(verdict, Verdict::Response(_)));
        }
        let count = region.change().allocations;
        println!("{:<40} {count:>7}", format!("allocations of 1,000 responds, {kind}"));
    }
}

/// Bytes that were asked for and not given back.
fn live() -> f64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}

/// Bytes of memory that the process has.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")?.trim().parse().ok());
    1024.0 * kilobytes.unwrap_or(0.0)
}
