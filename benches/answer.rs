//! What `respond` costs, against an encoding of the same responses by hickory-proto.
//!
//! `cargo bench --bench answer`. Each kind of query runs in turn with the others, round after round, in one process;
//! medians of the rounds are told. *cold*: a service drawn at random for each query; *hot*: one service. The message
//! that hickory encodes was parsed beforehand from our own response; its encoding is all that is timed of it.
#![allow(missing_docs, clippy::unwrap_used)]

mod shape;

use std::{hint::black_box, sync::Arc};

use hickory_proto::op::Message;
use mimalloc::MiMalloc;
use nameplate::{
    answer::{Buffer, Verdict, respond},
    publish::snapshot::Snapshot,
};
use shape::{Numbers, SERVICE_INSTANCES, Server, client, median, put, query, time};

/// As the server.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What is asked: a word for it, the type, and the name for a number.
type Kind<'a> = (&'a str, u16, &'a dyn Fn(u32) -> String);

fn main() {
    let sizes = [10_000, 1_000_000].map(Case::all);
    let mut cases: Vec<Case> = sizes.into_iter().flatten().collect();
    for case in &mut cases {
        case.round();
        case.times.clear();
    }
    for _ in 0..ROUNDS {
        cases.iter_mut().for_each(Case::round);
    }
    println!("{:<30} {:>6} {:>11} {:>11} {:>7}", "query", "bytes", "respond", "hickory", "ratio");
    for case in &mut cases {
        let (ours, theirs): (Vec<f64>, Vec<f64>) = case.times.drain(..).unzip();
        let (ours, theirs) = ([ours, theirs]).map(|mut times| median(&mut times)).into();
        println!("{:<30} {:>6} {ours:>8.0} ns {theirs:>8.0} ns {:>7.3}", case.name, case.bytes, ours / theirs);
    }
}

/// One kind of query.
struct Case {
    name: String,
    snapshot: Arc<Snapshot>,
    queries: Vec<[u8; QUERY_BYTES]>,
    /// What is answered to the first queries.
    messages: Vec<Message>,
    bytes: usize,
    buffer: Buffer,
    numbers: Numbers,
    times: Vec<(f64, f64)>,
}

impl Case {
    /// All kinds, for a catalog of so many instances.
    fn all(instances: u32) -> Vec<Case> {
        let server = Server::with(instances);
        let services = instances / SERVICE_INSTANCES;
        let snapshot = server.published.load();
        let kinds: [Kind<'_>; 3] = [
            ("A", 1, &|number| format!("s{number}.service.example.")),
            ("SRV", 33, &|number| format!("_s{number}._tcp.service.example.")),
            ("unknown A", 1, &|number| format!("nope{number}.service.example.")),
        ];
        let mut cases = Vec::new();
        for (kind, rtype, name) in kinds {
            for (heat, count) in [("cold", services), ("hot", 1)] {
                let queries = (0..count).map(|number| padded(query(&name(number), rtype))).collect();
                let mut case = Case {
                    name: format!("{kind}, {instances}, {heat}"),
                    snapshot: Arc::clone(&snapshot),
                    messages: Vec::new(),
                    queries,
                    bytes: 0,
                    buffer: Buffer::udp(),
                    numbers: Numbers::default(),
                    times: Vec::new(),
                };
                for number in 0..case.queries.len().min(MESSAGES_MAX) {
                    let query = case.queries[number];
                    case.bytes = case.ask(&query, 7);
                    case.messages.push(Message::from_vec(&case.buffer.bytes()[..case.bytes]).unwrap());
                }
                cases.push(case);
            }
        }
        cases
    }

    fn round(&mut self) {
        // Drawn beforehand and laid in a row, as the kernel hands queries over.
        let drawn: Vec<[u8; QUERY_BYTES]> = (0..QUERIES).map(|_| self.draw()).collect();
        let mut drawn = drawn.iter();
        let ours = time(QUERIES, || {
            let random = self.numbers.next();
            black_box(self.ask(drawn.next().unwrap(), random));
        });
        let theirs = time(QUERIES, || {
            let number = self.numbers.below(self.messages.len() as u32);
            black_box(self.messages[number as usize].to_vec().unwrap());
        });
        self.times.push((ours, theirs));
    }

    fn draw(&mut self) -> [u8; QUERY_BYTES] {
        self.queries[self.numbers.below(self.queries.len() as u32) as usize]
    }

    fn ask(&mut self, query: &[u8; QUERY_BYTES], random: u64) -> usize {
        let length = put(&mut self.buffer, query);
        match respond(&self.snapshot, &mut self.buffer, length, &client(random)) {
            Verdict::Response(length) => length,
            other => panic!("{other:?}"),
        }
    }
}

/// What comes after a message is ignored.
fn padded(query: Vec<u8>) -> [u8; QUERY_BYTES] {
    let mut padded = [0; QUERY_BYTES];
    padded[..query.len()].copy_from_slice(&query);
    padded
}

/// Room for a query.
const QUERY_BYTES: usize = 64;

/// Queries of one kind in a round.
const QUERIES: u32 = 20_000;
const ROUNDS: u32 = 21;

/// Messages that hickory encodes in turn.
const MESSAGES_MAX: usize = 1000;
