//! The catalog that benches measure with: services of 10 instances on one node, each instance with an address of its
//! own, one port, one tag and one HTTP check, all passing. Registered through the feed, as a server's are.
#![allow(dead_code)]

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use nameplate::{
    answer::{Buffer, Client, Trail, Transport},
    catalog::{
        change::{Change, Origin, Registration},
        check::{Check, CheckDefinition, CheckKey, CheckKind, CheckResult, CheckStatus, HttpCheck},
        names::{CheckId, NodeName, ServiceId, ServiceName, Tag},
        node::{Address, Node},
        output::Output,
        service::{Instance, Port, Weights},
        state::State,
        table::Seed,
    },
    observe::metrics::Metrics,
    publish::{
        feed::Feed,
        journal::{Journal, Place},
        publisher::{Publisher, Start},
        settings::Settings,
        watch::Published,
    },
    wire::name::Name,
    zones::Zones,
};

/// A running publisher without a journal.
pub struct Server {
    pub publisher: Publisher,
    pub feed: Feed,
    pub published: Arc<Published>,
    pub runtime: tokio::runtime::Runtime,
    directory: Option<tempfile::TempDir>,
}

impl Server {
    /// One with nothing but its node.
    pub fn empty() -> Server {
        Server::at(Place::Ephemeral { unix_micros: 1 }, None)
    }

    fn at(place: Place, directory: Option<tempfile::TempDir>) -> Server {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (journal, restored) = Journal::open(place).unwrap();
        let start = Start {
            catalog: State::new(Seed(1), restored.index),
            store: nameplate::kv::store::Store::new(Seed(1), restored.index),
            access: nameplate::access::directory::Directory::new(
                Seed(1),
                nameplate::access::directory::HashKey([1; 16]),
            ),
            settings: settings(),
            zones: Zones::default(),
            sources: Vec::new(),
            serial: 1,
            clock: || 1,
            journal,
            metrics: Arc::new(Metrics::new()),
        };
        let (publisher, feed, published) = Publisher::start(start).unwrap();
        let server = Server { publisher, feed, published, runtime, directory };
        server.submit(vec![Change::RegisterNode(node())]);
        server
    }

    /// One with so many instances.
    pub fn with(instances: u32) -> Server {
        Server::empty().filled(instances)
    }

    /// One with so many instances, which keeps them on disk.
    pub fn keeping(instances: u32) -> Server {
        let directory = tempfile::tempdir().unwrap();
        Server::at(Place::Directory(directory.path().to_owned()), Some(directory)).filled(instances)
    }

    fn filled(self, instances: u32) -> Server {
        let server = self;
        for first in (0..instances).step_by(BATCH) {
            let last = instances.min(first + BATCH as u32);
            server.submit((first..last).map(|number| Change::Register(Box::new(registration(number)))).collect());
        }
        assert_eq!(server.published.load().catalog.instance_count(), instances as usize);
        server
    }

    /// Waits until nothing of it is left but what the caller holds.
    pub fn stop(self) {
        let Server { publisher, feed, published, runtime, directory } = self;
        drop((feed, published, runtime));
        publisher.join();
        drop(directory);
    }

    pub fn submit(&self, changes: Vec<Change>) {
        self.runtime.block_on(self.feed.submit(changes)).unwrap();
    }
}

/// Service `s<number / 10>`, service ID `s<number / 10>-<number>`.
pub fn registration(number: u32) -> Registration {
    let service = number / SERVICE_INSTANCES;
    let id = ServiceId::new(format!("s{service}-{number}")).unwrap();
    let address = address(number);
    let http = HttpCheck {
        method: Arc::from("GET"),
        headers: Vec::new(),
        body: Arc::from(""),
        disable_redirects: false,
        tls_skip_verify: false,
        tls_server_name: None,
    };
    let check = Check {
        node: node_name(),
        id: CheckId::new(format!("service:{id}")).unwrap(),
        service_id: Some(id.clone()),
        name: format!("Service 's{service}' check").into(),
        notes: "".into(),
        status: CheckStatus::Passing,
        output: Output::new(&output(number, CheckStatus::Passing), &target(number)),
        target: target(number).into(),
        definition: Arc::new(CheckDefinition {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            ..CheckDefinition::unprobed(CheckKind::Http(Box::new(http)))
        }),
        // Not the API's, whose registrations are waited for until they are durable.
        origin: Origin::Registry,
    };
    let instance = Instance {
        node: node_name(),
        id,
        service: ServiceName::new(format!("s{service}")).unwrap(),
        address: Some(Address::Ip(address.into())),
        ports: [Port { name: None, number: 8080, default: false }].into(),
        tags: [Tag::new("v1").unwrap()].into(),
        meta: Arc::default(),
        weights: Weights::default(),
        tagged_addresses: [].into(),
        network_addresses: [].into(),
        further_names: [].into(),
        enable_tag_override: false,
        origin: Origin::Registry,
    };
    Registration { instance, checks: vec![check], replace_existing_checks: true }
}

/// Turns the check of an instance critical or passing.
pub fn flip(number: u32, status: CheckStatus) -> Change {
    let service = number / SERVICE_INSTANCES;
    let key = CheckKey { node: node_name(), id: CheckId::new(format!("service:s{service}-{number}")).unwrap() };
    Change::SetStatus {
        key,
        result: CheckResult { status, output: Output::new(&output(number, status), &target(number)) },
    }
}

/// Where the check of an instance goes.
fn target(number: u32) -> String {
    // A name that nobody resolves, so that nothing is connected to where a probe is made after all.
    format!("http://{}.x:8080/health", address(number))
}

/// What its probes say.
fn output(number: u32, status: CheckStatus) -> String {
    let said = if status == CheckStatus::Passing { "200 OK Output: ok" } else { "connection refused" };
    format!("HTTP GET {}: {said}", target(number))
}

/// A query with EDNS, which offers 1,232 bytes.
pub fn query(name: &str, rtype: u16) -> Vec<u8> {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(Name::parse(name).unwrap().as_wire());
    query.extend_from_slice(&rtype.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    query
}

/// A client elsewhere, over UDP.
pub fn client(random: u64) -> Client {
    let address = Ipv4Addr::new(192, 0, 2, 200).into();
    let (own_listener, transport) = (false, Transport::Udp);
    Client { address, port: 4000, own_listener, transport, random, trail: Trail::NONE }
}

/// Puts a query into the buffer; returns its length.
pub fn put(buffer: &mut Buffer, query: &[u8]) -> usize {
    buffer.bytes_mut()[..query.len()].copy_from_slice(query);
    query.len()
}

/// Numbers that look random and are the same in each run (a Weyl sequence, mixed).
#[derive(Default)]
pub struct Numbers(u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }

    pub fn below(&mut self, end: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u32
    }
}

/// Nanoseconds that each of so many rounds took.
pub fn time(rounds: u32, mut round: impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..rounds {
        round();
    }
    started.elapsed().as_nanos() as f64 / f64::from(rounds)
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + number)
}

fn node() -> Node {
    Node {
        name: node_name(),
        uuid: Arc::from("00000000-0000-4000-8000-000000000001"),
        address: Address::parse("192.0.2.1").unwrap(),
        tagged_addresses: Default::default(),
        meta: Arc::default(),
        origin: Origin::Registry,
    }
}

fn node_name() -> NodeName {
    NodeName::new("n1").unwrap()
}

fn settings() -> Settings {
    Settings::new(Name::parse("example.").unwrap(), node_name())
}

/// Instances of each service.
pub const SERVICE_INSTANCES: u32 = 10;

const BATCH: usize = 1000;
