//! How many instructions `respond` takes, which is the same on any machine and seen before a slower answer is.
//!
//! `cargo bench --bench instructions` counts them under valgrind (callgrind) and compares with `instructions.toml`: a kind
//! of query that takes more than the tolerance beyond what stands there is an error. One that takes so much less is one
//! too, because the next step back would hide behind it; `BLESS=1` writes what was counted.
//!
//! **Limits:** needs `valgrind` on the PATH. Instructions are not time: a cache miss is one of them.
#![allow(missing_docs, clippy::unwrap_used)]

mod shape;

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use nameplate::{
    answer::{Buffer, Verdict, respond},
    catalog::{change::Change, check::CheckStatus, names::ServiceName, policy::ServiceRule},
    publish::snapshot::Snapshot,
};
use serde::{Deserialize, Serialize};
use shape::{Numbers, SERVICE_INSTANCES, Server, client, flip, put, query, registration};

/// What stands in `instructions.toml`.
#[derive(Debug, Default, Serialize, Deserialize, PartialEq)]
struct Counts {
    /// The compiler that the counts are of.
    rustc: String,
    /// Instructions of one response, by kind of query.
    respond: BTreeMap<String, u64>,
}

fn main() -> ExitCode {
    if env::var_os(CHILD).is_some() {
        measure();
        return ExitCode::SUCCESS;
    }
    let counted = count();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.toml");
    if env::var_os("BLESS").is_some() {
        let head = "# Instructions of one response, as `BLESS=1 cargo bench --bench instructions` counted them.\n\n";
        fs::write(&path, format!("{head}{}", toml::to_string(&counted).unwrap())).unwrap();
    }
    let kept: Counts = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    // Another compiler lays code out in another way.
    let tolerance_percent = if kept.rustc == counted.rustc { TOLERANCE_PERCENT } else { OTHER_TOLERANCE_PERCENT };
    println!("instructions of one response, {}; kept: {}", counted.rustc, kept.rustc);
    let mut wrong = 0;
    let kinds = kept.respond.keys().chain(counted.respond.keys().filter(|kind| !kept.respond.contains_key(*kind)));
    for kind in kinds {
        let (before, now) = (kept.respond.get(kind).copied(), counted.respond.get(kind).copied());
        let (before, now) = (before.unwrap_or(0), now.unwrap_or(0));
        let far = before.abs_diff(now) * 100 > before * tolerance_percent;
        wrong += u32::from(far);
        let verdict = if far { "  <- beyond the tolerance" } else { "" };
        let change = (now as f64 / before.max(1) as f64 - 1.0) * 100.0;
        println!("{kind:<32} {before:>7} -> {now:>7} {change:>+6.1} %{verdict}");
    }
    if wrong > 0 {
        println!(
            "{wrong} of them changed by more than {tolerance_percent} %; if that is right, bless them (see the source)"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs this program under valgrind and reads what it wrote after each kind.
fn count() -> Counts {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("counts");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*instructions*answer_all*"])
        .args(["--dump-after=instructions::answer_all", "--quiet"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(env::current_exe().unwrap())
        .env(CHILD, "1")
        .status()
        .expect("valgrind is installed (apt-get install valgrind)");
    assert!(status.success(), "valgrind: {status}");
    let respond = KINDS.iter().enumerate().map(|(index, kind)| {
        let dump = PathBuf::from(format!("{}.{}", output.display(), index + 1));
        let text = fs::read_to_string(&dump).unwrap_or_else(|error| panic!("{}: {error}", dump.display()));
        let total = text.lines().find_map(|line| line.strip_prefix("summary: ")).expect("each dump has its sum");
        (kind.word.to_owned(), total.trim().parse::<u64>().unwrap() / u64::from(QUERIES))
    });
    Counts { rustc: rustc_version(), respond: respond.collect() }
}

fn rustc_version() -> String {
    let output =
        Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The measured program: one call of [`answer_all`] a kind, in their order.
fn measure() {
    let server = catalog();
    let snapshot = server.published.load();
    for kind in KINDS {
        let mut numbers = Numbers::default();
        let services = INSTANCES / SERVICE_INSTANCES;
        let queries: Vec<Vec<u8>> =
            (0..QUERIES).map(|_| query(&(kind.name)(numbers.below(services)), kind.rtype)).collect();
        let mut buffer = Buffer::udp();
        let records = answer_all(&snapshot, &mut buffer, &queries);
        assert_eq!(records, u64::from(QUERIES) * kind.records, "{}", kind.word);
    }
}

/// 10,000 instances, one service of which nobody passes, and some of other sizes.
fn catalog() -> Server {
    let server = Server::with(INSTANCES);
    let first = INSTANCES / SERVICE_INSTANCES / 2 * SERVICE_INSTANCES;
    let flips = (first..first + SERVICE_INSTANCES).map(|number| flip(number, CheckStatus::Critical));
    server.submit(flips.collect());
    let settings = nameplate::publish::settings::Settings {
        services: vec![ServiceRule { max_answers: Some(THREE as u16), ..rule("sampled") }],
        ..server.published.load().settings.as_ref().clone()
    };
    server.runtime.block_on(server.feed.set_settings(settings)).unwrap();
    let services =
        [("many", MANY, 100_000), ("fewer", FEWER, 200_000), ("three", THREE, 300_000), ("sampled", SAMPLED, 400_000)];
    for (name, count, from) in services {
        let changes = (from..from + count).map(|number| {
            let mut registration = registration(number);
            registration.instance.service = ServiceName::new(name).unwrap();
            Change::Register(Box::new(registration))
        });
        server.submit(changes.collect());
    }
    server
}

/// A rule that says nothing.
fn rule(pattern: &str) -> ServiceRule {
    let pattern = pattern.into();
    ServiceRule { pattern, ttl_secs: None, max_answers: None, none_eligible: None, only_passing: None }
}

/// Returns how many records the answer sections had. Never inlined, because its name is what is counted.
#[inline(never)]
fn answer_all(snapshot: &Snapshot, buffer: &mut Buffer, queries: &[Vec<u8>]) -> u64 {
    let mut records = 0;
    for (random, query) in queries.iter().enumerate() {
        let length = put(buffer, query);
        let Verdict::Response(length) = respond(snapshot, buffer, length, &client(random as u64)) else { continue };
        let response = black_box(&buffer.bytes()[..length]);
        records += u64::from(u16::from_be_bytes([response[6], response[7]]));
    }
    records
}

/// A kind of query.
struct Kind {
    word: &'static str,
    rtype: u16,
    /// Records that one answer has.
    records: u64,
    name: fn(u32) -> String,
}

const KINDS: &[Kind] = &[
    Kind { word: "A", rtype: 1, records: 10, name: |number| format!("s{}.service.example.", not_failed(number)) },
    Kind { word: "AAAA, no data", rtype: 28, records: 0, name: |number| format!("s{number}.service.example.") },
    Kind { word: "SRV", rtype: 33, records: 10, name: |number| format!("s{}.service.example.", not_failed(number)) },
    Kind { word: "A, bare name", rtype: 1, records: 10, name: |number| format!("s{}.", not_failed(number)) },
    Kind {
        word: "A, by tag",
        rtype: 1,
        records: 10,
        name: |number| format!("v1.s{}.service.example.", not_failed(number)),
    },
    Kind { word: "A, one instance by ID", rtype: 1, records: 1, name: by_id },
    Kind { word: "A, target of an SRV", rtype: 1, records: 1, name: |number| format!("0a{number:06x}.addr.example.") },
    Kind { word: "A, nobody passes", rtype: 1, records: 0, name: |_| format!("s{FAILED}.service.example.") },
    Kind { word: "A, unknown name", rtype: 1, records: 0, name: |number| format!("nope{number}.service.example.") },
    Kind {
        word: "A, 70 records in 1,232 bytes",
        rtype: 1,
        records: MANY as u64,
        name: |_| "many.service.example.".into(),
    },
    Kind { word: "A, 60 records", rtype: 1, records: FEWER as u64, name: |_| "fewer.service.example.".into() },
    Kind { word: "A, 3 of 3", rtype: 1, records: THREE as u64, name: |_| "three.service.example.".into() },
    Kind { word: "A, 3 of 10,000", rtype: 1, records: THREE as u64, name: |_| "sampled.service.example.".into() },
];

fn not_failed(service: u32) -> u32 {
    if service == FAILED { service + 1 } else { service }
}

fn by_id(service: u32) -> String {
    let service = not_failed(service);
    format!("s{service}-{}._id.s{service}.service.example.", service * SERVICE_INSTANCES)
}

const INSTANCES: u32 = 10_000;
/// The service of which nobody passes.
const FAILED: u32 = INSTANCES / SERVICE_INSTANCES / 2;
const MANY: u32 = 70;
const FEWER: u32 = 60;
const THREE: u32 = 3;
/// Instances of a service that answers with three.
const SAMPLED: u32 = 10_000;

/// Queries of one kind.
const QUERIES: u32 = 500;

/// How far a count may be from what is kept, by the same compiler and by another.
///
/// Source: none, chosen: counts of one build differ by less than 0.5 % from run to run, because hashes are seeded anew, and
/// a change elsewhere, which moves what the compiler inlines, was seen to make 2 %.
const TOLERANCE_PERCENT: u64 = 5;
const OTHER_TOLERANCE_PERCENT: u64 = 20;

/// Set for the program that valgrind runs.
const CHILD: &str = "NAMEPLATE_COUNT_INSTRUCTIONS";
