use std::sync::Arc;

use super::*;
use crate::{
    access::{
        Realm,
        directory::{Directory, HashKey},
    },
    catalog::{
        change::Change,
        names::{PortName, ServiceName, Tag},
        node::{Address, Node},
        service::{FurtherName, Instance, IpNetwork, Port},
        state::State,
        table::Seed,
        testing::{instance, register, registration},
    },
    publish::{names::Names, plan::Plan, service::Called, settings::Settings},
    wire::{
        code::{class, extended, option, rcode, rtype},
        query::Question,
    },
    zones::Zones,
};

/// A snapshot of a catalog with so many instances of `web` at addresses of 127.0.0.0/8.
fn snapshot(instances: u32, settings: Settings) -> Snapshot {
    let mut catalog = State::new(Seed(1), 1);
    catalog.apply(Change::RegisterNode(Node::example("n1"))).unwrap();
    for at in 0..instances {
        let address = Some(Address::Ip(std::net::Ipv4Addr::from(0x7f00_0001 + at).into()));
        let web = Instance { address, ..instance("web", &format!("web-{at}")) };
        catalog.apply(register(registration(web, vec![]))).unwrap();
    }
    of_catalog(catalog, settings)
}

fn of_catalog(catalog: State, settings: Settings) -> Snapshot {
    let zones = Zones::default();
    Snapshot {
        names: Names::build(&catalog, &settings),
        catalog,
        store: crate::kv::store::Store::new(Seed(1), 0),
        realm: Arc::new(Realm::of(Directory::new(Seed(1), HashKey([1; 16])))),
        plan: Arc::new(Plan::new(&settings, &zones, Seed(1))),
        settings: Arc::new(settings),
        zones: Arc::new(zones),
        held: None,
        sources: Arc::from([]),
        machines: Arc::default(),
        serial: 1,
    }
}

const CLIENT: Client = Client {
    address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 77)),
    port: 40_000,
    own_listener: false,
    transport: Transport::Udp,
    random: 9,
    trail: Trail::NONE,
};

/// Answers these bytes; none if there is no response.
fn ask(snapshot: &Snapshot, client: &Client, query: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = Buffer::tcp();
    buffer.bytes_mut()[..query.len()].copy_from_slice(query);
    match respond(snapshot, &mut buffer, query.len(), client) {
        Verdict::Response(length) => Some(buffer.bytes()[..length].to_vec()),
        Verdict::Drop => None,
        Verdict::Slow(slow) => panic!("{slow:?}"),
    }
}

/// A query with ID 0xabcd and RD, as pieces that a test may spoil.
#[derive(Clone)]
struct Pieces {
    flags: [u8; 2],
    counts: [u16; 4],
    name: Vec<u8>,
    kind: u16,
    class: u16,
    rest: Vec<u8>,
}

impl Pieces {
    fn new() -> Pieces {
        let name = b"\x03WeB\x07service\x07example\0".to_vec();
        Pieces { flags: [1, 0], counts: [1, 0, 0, 0], name, kind: rtype::A, class: class::IN, rest: Vec::new() }
    }

    /// With an OPT of 1,232 bytes that has this version and these options.
    fn opt(mut self, version: u8, options: &[u8]) -> Pieces {
        self.counts[3] += 1;
        self.rest.extend([0, 0, 41, 4, 0xd0, 0, version, 0, 0, 0, options.len() as u8]);
        self.rest.extend_from_slice(options);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, self.flags[0], self.flags[1]];
        bytes.extend(self.counts.iter().flat_map(|count| count.to_be_bytes()));
        bytes.extend_from_slice(&self.name);
        bytes.extend(self.kind.to_be_bytes());
        bytes.extend(self.class.to_be_bytes());
        bytes.extend_from_slice(&self.rest);
        bytes
    }
}

/// RCODE of a response with the upper bits of OPT, and its extended error; looks at what all responses have.
#[track_caller]
fn outcome(query: &Pieces, response: &[u8]) -> (u16, Option<u16>) {
    let sent = query.bytes();
    assert_eq!((&response[..2], response[2] & 0x80), (&sent[..2], 0x80), "ID and QR");
    assert_eq!(response[2] & 0x79, sent[2] & 0x79, "opcode and RD are the query's");
    let count = |at: usize| u16::from_be_bytes([response[at], response[at + 1]]);
    let question = if count(4) == 1 { query.name.len() + 4 } else { 0 };
    assert_eq!(&response[12..12 + question], &sent[12..12 + question], "the question is echoed byte for byte");
    let low = u16::from(response[3] & 0x0f);
    if low == rcode::NOERROR && count(10) == 0 || (count(6), count(8), count(10)) == (0, 0, 0) {
        return (low, None);
    }
    let at = response.len() - response[12 + question..].len();
    let opt = response[at..].windows(3).rposition(|bytes| bytes == [0, 0, 41]).map(|found| &response[at + found..]);
    let Some(opt) = opt else { return (low, None) };
    let error = opt.windows(2).skip(11).position(|bytes| bytes == option::EXTENDED_ERROR.to_be_bytes());
    let error = error.map(|found| u16::from_be_bytes([opt[11 + found + 4], opt[11 + found + 5]]));
    (low | u16::from(opt[5]) << 4, error)
}

#[track_caller]
fn check(query: Pieces, expected: (u16, Option<u16>)) {
    let response = ask(&snapshot(2, Settings::example()), &CLIENT, &query.bytes()).expect("a response");
    assert_eq!(outcome(&query, &response), expected);
    let opts = u16::from_be_bytes([response[10], response[11]]);
    let had = query.counts[3] > 0 && query.rest.len() >= 11;
    assert_eq!(opts > 0, had, "an OPT where the query had one");
}

fn with_name(name: &[u8]) -> Pieces {
    Pieces { name: name.to_vec(), ..Pieces::new() }
}

#[test]
fn what_is_no_query_of_a_client_is_dropped() {
    let snapshot = snapshot(2, Settings::example());
    let query = Pieces::new().bytes();
    for end in 0..12 {
        assert_eq!(ask(&snapshot, &CLIENT, &query[..end]), None);
    }
    let response = Pieces { flags: [0x81, 0], ..Pieces::new() };
    assert_eq!(ask(&snapshot, &CLIENT, &response.bytes()), None);
    assert_eq!(ask(&snapshot, &Client { port: 0, ..CLIENT }, &query), None);
    assert_eq!(ask(&snapshot, &Client { own_listener: true, ..CLIENT }, &query), None);
    assert!(ask(&snapshot, &CLIENT, &query).is_some());
}

#[test]
fn malformed_queries_get_their_error() {
    let formerr = (rcode::FORMERR, None);
    let option = |code: u16, value: &[u8]| {
        Pieces::new().opt(0, &[&code.to_be_bytes(), &(value.len() as u16).to_be_bytes()[..], value].concat())
    };
    check(Pieces { counts: [0, 0, 0, 0], name: Vec::new(), ..Pieces::new() }, formerr);
    check(Pieces { counts: [2, 0, 0, 0], ..Pieces::new() }, formerr);
    check(with_name(b"\x03web\xc0\x0c"), formerr);
    check(with_name(b"\x41too long\0"), formerr);
    check(with_name(&[b"\x01a".repeat(128), vec![0]].concat()), formerr);
    check(with_name(b"\x3fends early"), formerr);
    check(
        Pieces {
            counts: [1, 1, 0, 0],
            rest: b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\xc0\0\x02\x01".to_vec(),
            ..Pieces::new()
        },
        formerr,
    );
    check(Pieces { counts: [1, 0, 1, 0], ..Pieces::new() }, formerr);
    check(Pieces::new().opt(0, &[]).opt(0, &[]), formerr);
    let mut named = Pieces { counts: [1, 0, 0, 1], ..Pieces::new() };
    named.rest = b"\x01a\0\0\x29\x04\xd0\0\0".to_vec();
    check(named, formerr);
    check(option(option::ECS, &[0, 1, 24, 0, 192]), formerr);
    check(option(option::COOKIE, &[1; 9]), formerr);
    check(Pieces::new().opt(0, &[0, 8, 0, 9]), formerr);
    check(Pieces::new().opt(1, &[0, 8, 0, 9]), (rcode::BADVERS, None));
    check(Pieces { kind: rtype::AXFR, ..Pieces::new() }, formerr);
}

#[test]
fn what_is_not_done_is_refused_in_the_words_of_its_kind() {
    for opcode in [1, 2, 3, 6, 15] {
        check(Pieces { flags: [opcode << 3, 0], ..Pieces::new() }, (rcode::NOTIMP, None));
        let told = (rcode::NOTIMP, Some(extended::NOT_SUPPORTED));
        check(Pieces { flags: [opcode << 3, 0], ..Pieces::new() }.opt(0, &[]), told);
    }
    for kind in [rtype::OPT, rtype::TSIG, rtype::TKEY, rtype::MAILA, rtype::MAILB] {
        check(Pieces { kind, ..Pieces::new() }, (rcode::NOTIMP, None));
    }
    check(Pieces { kind: rtype::IXFR, ..Pieces::new() }, (rcode::REFUSED, None));
    check(Pieces { class: 4, ..Pieces::new() }.opt(0, &[]), (rcode::REFUSED, Some(extended::NOT_SUPPORTED)));
    check(Pieces { class: class::CH, ..Pieces::new() }, (rcode::REFUSED, None));
    check(Pieces { flags: [0x20, 0], ..Pieces::new() }, (rcode::NOTAUTH, None));
    check(Pieces { flags: [0x28, 0], ..Pieces::new() }, (rcode::REFUSED, None));
    check(Pieces { flags: [0x28, 0], ..with_name(b"\x05other\0") }, (rcode::NOTAUTH, None));
    let outside = with_name(b"\x03www\x05other\0").opt(0, &[]);
    check(outside, (rcode::REFUSED, Some(extended::NOT_AUTHORITATIVE)));
}

#[test]
fn a_service_with_failures_that_are_held_says_so() {
    let mut snapshot = snapshot(2, Settings::example());
    let query = with_name(b"\x03web\x07service\x07example\0").opt(0, &[]);
    let plain = ask(&snapshot, &CLIENT, &query.bytes()).unwrap();
    assert_eq!(outcome(&query, &plain), (rcode::NOERROR, None));
    snapshot.held = Some(Arc::new([ServiceName::new("web").unwrap()].into()));
    let held = ask(&snapshot, &CLIENT, &query.bytes()).unwrap();
    assert_eq!(outcome(&query, &held), (rcode::NOERROR, Some(extended::STALE)));
    assert!(held.ends_with(b"checks held: we may be cut off"));
    snapshot.held = Some(Arc::new([ServiceName::new("other").unwrap()].into()));
    assert_eq!(ask(&snapshot, &CLIENT, &query.bytes()).unwrap(), plain);
}

#[test]
fn who_may_not_ask_is_refused() {
    let mut settings = Settings::example();
    settings.allow_query = vec![IpNetwork::parse("198.51.100.0/24").unwrap()];
    let snapshot = snapshot(2, settings);
    let query = Pieces::new().opt(0, &[]);
    let refused = ask(&snapshot, &CLIENT, &query.bytes()).unwrap();
    assert_eq!(outcome(&query, &refused), (rcode::REFUSED, Some(extended::PROHIBITED)));
    let allowed = Client { address: "198.51.100.1".parse().unwrap(), ..CLIENT };
    assert_eq!(outcome(&query, &ask(&snapshot, &allowed, &query.bytes()).unwrap()).0, rcode::NOERROR);
}

#[test]
fn what_need_not_be_understood_is_ignored() {
    let noerror = (rcode::NOERROR, None);
    check(Pieces::new().opt(0, &[0, 99, 0, 2, 1, 2]), noerror);
    check(Pieces { flags: [1, 0x70], ..Pieces::new() }, noerror);
    let trailing = Pieces { rest: vec![0xff; 40], ..Pieces::new() };
    let response = ask(&snapshot(2, Settings::example()), &CLIENT, &trailing.bytes()).unwrap();
    assert_eq!(outcome(&trailing, &response), noerror);
    assert_eq!(response[3] & 0x70, 0, "AD and Z are 0 in what is ours");
}

#[test]
fn no_response_exceeds_what_the_client_takes() {
    let kinds = [rtype::A, rtype::SRV, rtype::ANY];
    for instances in [1, 2, 10, 29, 30, 75, 76, 150, 300] {
        let snapshot = snapshot(instances, Settings::example());
        for limit in 500..1300_u16 {
            let kind = kinds[usize::from(limit) % kinds.len()];
            let mut query = Pieces { kind, ..Pieces::new() }.opt(0, &[0, 8, 0, 4, 0, 1, 0, 0]);
            query.rest[3..5].copy_from_slice(&limit.to_be_bytes());
            let response = ask(&snapshot, &CLIENT, &query.bytes()).unwrap();
            let most = usize::from(limit).clamp(512, 1232);
            assert!(response.len() <= most, "{} of {most} for {instances}", response.len());
            let answers = u32::from(u16::from_be_bytes([response[6], response[7]]));
            assert_eq!(response[2] & 0x02 != 0, answers < instances, "TC says whether all are there");
            // A record more would not have fitted.
            let bytes = if kind == rtype::SRV { 18 + 9 + 5 + 9 } else { 16 };
            let least = 12 + query.name.len() + 4 + 11 + 8 + (answers as usize + 1) * bytes;
            assert!(answers == instances || least > most, "{answers} of {instances} in {most}");
        }
        let plain = ask(&snapshot, &CLIENT, &Pieces::new().bytes()).unwrap();
        assert!(plain.len() <= 512);
    }
}

#[test]
fn a_sample_of_a_large_service_has_nothing_twice() {
    let mut settings = Settings::example();
    settings.default_rule.max_answers = 50;
    let snapshot = snapshot(10_000, settings);
    let mut seen = std::collections::BTreeSet::new();
    for random in 0..50 {
        let client = Client { random: u64::wrapping_mul(random, 0xd134_2543_de82_ef95), ..CLIENT };
        let response = ask(&snapshot, &client, &Pieces::new().opt(0, &[]).bytes()).unwrap();
        let start = 12 + Pieces::new().name.len() + 4;
        let sample: std::collections::BTreeSet<_> = response[start..start + 50 * 16].chunks(16).collect();
        assert_eq!((sample.len(), u16::from_be_bytes([response[6], response[7]])), (50, 50));
        assert_eq!(response[2] & 0x02, 0, "a sample that was asked for is not cut");
        seen.extend(sample.into_iter().map(<[u8]>::to_vec));
    }
    assert!(seen.len() > 2_000, "samples are fresh: {}", seen.len());
}

#[test]
fn what_a_name_stands_for_is_explained_as_it_is_answered() {
    let mut catalog = State::new(Seed(1), 1);
    catalog.apply(Change::RegisterNode(Node::example("n1"))).unwrap();
    let http = || Port { name: Some(PortName::new("http").unwrap()), number: 80, default: false };
    let blue = || std::sync::Arc::from([Tag::new("blue").unwrap()]);
    let instances = [
        Instance { ports: [http()].into(), tags: blue(), ..instance("web", "both") },
        Instance { ports: [http()].into(), ..instance("web", "port") },
        Instance { tags: blue(), ..instance("web", "tag") },
    ];
    for web in instances {
        catalog.apply(register(registration(web, vec![]))).unwrap();
    }
    let snapshot = of_catalog(catalog, Settings::example());
    let explained = |name: &str| {
        let question = Question::of(&Name::parse(name).unwrap(), rtype::A, class::IN);
        let explained = explain::explain(&snapshot, &question);
        let instances = snapshot.catalog.services().flat_map(|service| service.instances());
        let mut ids: Vec<String> = instances
            .filter(|entry| explained.is_answered(&entry.instance))
            .map(|entry| entry.instance.id.as_str().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(explained("web.service.example."), ["both", "port", "tag"]);
    assert_eq!(explained("blue.web.service.example."), ["both", "tag"]);
    assert_eq!(explained("blue.web.service.http.port.example."), ["both"]);
    assert_eq!(explained("_web._blue.service.http.port.example."), ["both"]);
    assert_eq!(explained("tag._id.web.service.example."), ["tag"]);
    assert!(explained("tag._id.web.service.http.port.example.").is_empty());
}

#[test]
fn a_further_name_is_explained_as_such_until_a_service_has_it() {
    let mut catalog = State::new(Seed(1), 1);
    catalog.apply(Change::RegisterNode(Node::example("n1"))).unwrap();
    let further = |name: &str| FurtherName { name: ServiceName::new(name).unwrap(), stands_for_id: true };
    for (service, id) in [("web", "a"), ("db", "b"), ("db", "c")] {
        let further_names = if id == "c" { [].into() } else { [further("box")].into() };
        let instance = Instance { further_names, ..instance(service, id) };
        catalog.apply(register(registration(instance, vec![]))).unwrap();
    }
    let explained = |catalog: &State, name: &str| {
        let snapshot = of_catalog(catalog.clone(), Settings::example());
        let question = Question::of(&Name::parse(name).unwrap(), rtype::A, class::IN);
        let explained = explain::explain(&snapshot, &question);
        let answers = explained.answers.unwrap();
        let mut ids: Vec<_> =
            answers.instances().filter(|one| explained.is_answered(one)).map(|one| one.id.to_string()).collect();
        ids.sort();
        (answers.called(), ids)
    };
    let name = |text: &str| ServiceName::new(text).unwrap();
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(explained(&catalog, "box."), (Called::further(&name("box")), ids(&["a", "b"])));
    assert_eq!(explained(&catalog, "box._id.db.service.example."), (Called::service(&name("db")), ids(&["b"])));
    catalog.apply(register(registration(instance("Box", "d"), vec![]))).unwrap();
    assert_eq!(explained(&catalog, "box."), (Called::service(&name("Box")), ids(&["d"])));
}
