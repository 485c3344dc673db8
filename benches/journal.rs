//! Writes 100,000 instances through the journal and times the restore, after a clean stop and after a crash, with
//! and without redb's quick repair; then durable registrations and check results one commit at a time.
//!
//! `cargo bench --bench journal [-- INSTANCES]`. A million needs 2 GB of free space in the temporary directory. A plain
//! main, not criterion: one run is long, and its parts follow from one another. A crash is a copy of the file while it
//! is open and idle, which is what a killed process leaves.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use nameplate::{
    catalog::{
        change::Origin,
        check::{Check, CheckDefinition, CheckKind, CheckResult, CheckStatus, ClientTls},
        names::{CheckId, NodeName, ServiceId, ServiceName, Tag},
        node::{Address, Node},
        service::{Instance, Port, Weights},
        state::{CheckEntry, InstanceEntry},
    },
    publish::{
        feed::{Receipt, Waiting},
        journal::{Batch, FILE_NAME, Journal, Place, Restored, StoredNode, Tuning, Write},
    },
};
use tokio::sync::oneshot;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, directory, quick_repair] = &arguments[..]
        && verb == RESTORE
    {
        return restore(Path::new(directory), Tuning { quick_repair: quick_repair == "true" });
    }
    let total = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(100_000);
    for quick_repair in [true, false] {
        run(total, Tuning { quick_repair });
    }
}

fn run(total: u32, tuning: Tuning) {
    println!("{total} instances, {tuning:?}");
    let directory = tempfile::tempdir().unwrap();
    let crashed = tempfile::tempdir().unwrap();
    let place = || Place::Directory(directory.path().to_owned());
    let (journal, _) = Journal::open_tuned(place(), tuning).unwrap();
    let started = Instant::now();
    let nodes = (0..NODES).map(|number| Write::Node(node(number)));
    durable(&journal, 1, nodes.collect());
    for first in (0..total).step_by(BATCH) {
        let last = total.min(first + BATCH as u32);
        let writes = (first..last).map(|number| Write::Instance(instance(number))).collect();
        durable(&journal, u64::from(last), writes);
    }
    tell("write all, 10,000 a commit", started.elapsed());
    let bytes = std::fs::metadata(directory.path().join(FILE_NAME)).unwrap().len();
    println!("  {:<44} {:>10.0} MB", "file", bytes as f64 / 1e6);

    commits(&journal, "64 new registrations a commit", 200, |round| {
        (0..64).map(|number| Write::Instance(instance(total + 64 * round + number))).collect()
    });
    commits(&journal, "64 check results a commit", 200, |round| {
        (0..64).map(|number| flip((round * 64 + number).wrapping_mul(7919) % total, u64::from(round))).collect()
    });
    commits(&journal, "1 new registration a commit", 200, |round| {
        vec![Write::Instance(instance(total + 64 * 200 + round))]
    });
    flood(&journal, total);

    let copy = crashed.path().join(FILE_NAME);
    std::fs::copy(directory.path().join(FILE_NAME), &copy).unwrap();
    // Else the restore that comes first pays for writing the copy out.
    std::fs::File::open(&copy).unwrap().sync_all().unwrap();
    let started = Instant::now();
    journal.close().unwrap();
    tell("clean stop", started.elapsed());
    restore_elsewhere(directory.path(), tuning, "restore after a clean stop");
    restore_elsewhere(crashed.path(), tuning, "restore after a crash");
}

fn durable(journal: &Journal, index: u64, writes: Vec<Write>) {
    let (sender, receiver) = oneshot::channel();
    let waiting = Waiting::new(sender, Receipt { index, found: Vec::new() });
    let (serial, urgent) = (index as u32, true);
    journal.write(Batch { index, serial, extinction_index: 0, writes, acknowledge: vec![waiting], urgent });
    receiver.blocking_recv().unwrap().unwrap();
}

fn commits(journal: &Journal, what: &str, rounds: u32, writes: impl Fn(u32) -> Vec<Write>) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|round| {
            let started = Instant::now();
            durable(journal, 2_000_000 + u64::from(round), writes(round));
            started.elapsed()
        })
        .collect();
    times.sort();
    tell(&format!("{what}, median"), times[times.len() / 2]);
    tell(&format!("{what}, p99"), times[times.len() * 99 / 100]);
}

/// 64 clients, each registering one after the other.
fn flood(journal: &Journal, total: u32) {
    let started = Instant::now();
    let before = journal.status().commits;
    std::thread::scope(|scope| {
        for client in 0..64 {
            scope.spawn(move || {
                for round in 0..200 {
                    let number = total + 100_000 + client * 1000 + round;
                    durable(journal, 3_000_000, vec![Write::Instance(instance(number))]);
                }
            });
        }
    });
    let rate = 64.0 * 200.0 / started.elapsed().as_secs_f64();
    println!("  {:<44} {rate:>10.0} /s, {} commits", "64 clients", journal.status().commits - before);
}

/// In a process of its own, as after a stop.
fn restore_elsewhere(directory: &Path, tuning: Tuning, what: &str) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([RESTORE.as_ref(), directory.as_os_str(), tuning.quick_repair.to_string().as_ref()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    println!("  {what:<44} {}", String::from_utf8(output.stdout).unwrap().trim());
}

fn restore(directory: &Path, tuning: Tuning) {
    let started = Instant::now();
    let (journal, restored): (Journal, Restored) =
        Journal::open_tuned(Place::Directory(directory.to_owned()), tuning).unwrap();
    let took = started.elapsed().as_secs_f64() * 1e3;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes: f64 =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")?.trim().parse().ok()).unwrap();
    let instances = restored.instances.len();
    let each = kilobytes * 1024.0 / instances as f64;
    println!("{took:>10.2} ms, {instances} instances, at most {each:.0} bytes of memory each");
    drop(journal);
}

fn tell(what: &str, took: Duration) {
    println!("  {what:<44} {:>10.2} ms", took.as_secs_f64() * 1e3);
}

fn node(number: u32) -> StoredNode {
    let node = Node {
        name: node_name(number),
        uuid: Arc::from(format!("00000000-0000-0000-0000-{number:012}")),
        address: Address::parse("192.0.2.1").unwrap(),
        tagged_addresses: Default::default(),
        meta: Arc::default(),
        origin: Origin::Api,
    };
    StoredNode { node: Arc::new(node), checks: Arc::from([]), create_index: 1, modify_index: 1 }
}

fn instance(number: u32) -> Arc<InstanceEntry> {
    let id = ServiceId::new(format!("service-{}-{number}", number % SERVICES)).unwrap();
    let check = Check {
        node: node_name(number),
        id: CheckId::new(format!("service:{id}")).unwrap(),
        service_id: Some(id.clone()),
        name: format!("Service 'service-{}' check", number % SERVICES).into(),
        notes: "".into(),
        status: CheckStatus::Passing,
        output: "".into(),
        target: format!("192.0.2.{}:8080", number % 250 + 1).into(),
        definition: Arc::new(CheckDefinition {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            ..CheckDefinition::unprobed(CheckKind::Tcp(ClientTls::default()))
        }),
        origin: Origin::Api,
    };
    let index = u64::from(number) + 1;
    let entry = CheckEntry { check: Arc::new(check), create_index: index, modify_index: index };
    let instance = Instance {
        node: node_name(number),
        id,
        service: ServiceName::new(format!("service-{}", number % SERVICES)).unwrap(),
        address: Some(Address::Ip(std::net::Ipv4Addr::from(0xC633_6400 | (number % 256)).into())),
        ports: [Port { name: None, number: 8080, default: false }].into(),
        tags: [Tag::new("v1").unwrap()].into(),
        meta: Arc::default(),
        weights: Weights::default(),
        tagged_addresses: [].into(),
        network_addresses: [].into(),
        further_names: [].into(),
        enable_tag_override: false,
        origin: Origin::Api,
    };
    Arc::new(InstanceEntry {
        instance: Arc::new(instance),
        checks: vec![entry].into(),
        shadowed: [].into(),
        create_index: index,
        modify_index: index,
    })
}

fn flip(number: u32, round: u64) -> Write {
    let key = instance(number).checks[0].check.key();
    let result = CheckResult { status: CheckStatus::Critical, output: "connection refused".into() };
    Write::CheckStatus { key, result, modify_index: 2_000_000 + round }
}

fn node_name(number: u32) -> NodeName {
    NodeName::new(format!("node-{}", number % NODES)).unwrap()
}

const RESTORE: &str = "restore";
const NODES: u32 = 1000;
const SERVICES: u32 = 10_000;
const BATCH: usize = 10_000;
