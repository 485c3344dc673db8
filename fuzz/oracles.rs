//! What must hold for any input: the bodies of the fuzz targets, run by plain `cargo test` too.
//!
//! Taken in by `#[path]`, so that there is one text of each. An oracle panics when its rule is broken.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::Path,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use nameplate::{
    access,
    api::filter::Filter,
    catalog::{
        change::{Change, Origin, Registration},
        definition::{
            self, Owner, json,
            tree::{Tree, TreeValue},
        },
        names::NodeName,
        node::{Address, Node},
        service::Meta,
        state::State,
        table::Seed,
    },
    health::reading::{self, Protocol, Reading},
    sources::{
        docker::{self, AddressMode, Container, Fate, Settings, Surroundings},
        etcd::mirror::{Event, Followed},
        registry::services::Services,
    },
    wire::name::Name,
    zones::{
        Zone, ZoneContext, Zones, check_text,
        lookup::{Lookup, lowercase_into},
        skydns,
    },
};
use serde_json::{Value, json};

/// A name that can be read, as text or as bytes, is the same after it was written as text.
pub fn name_text(data: &[u8]) {
    let parsed = std::str::from_utf8(data).ok().and_then(|text| Name::parse(text).ok());
    for name in parsed.into_iter().chain(Name::from_wire(data)) {
        let again = Name::parse(&name.to_string()).expect("a name as text is a name");
        assert_eq!(again.as_wire(), name.as_wire());
        assert_eq!(again.to_lowercase(), name);
    }
}

/// Any text is either refused with an error or a zone, whose records are found, and are the same after they were written in the
/// generic form of RFC 3597, which hickory-proto checks.
pub fn zone_file(data: &[u8]) {
    let context = ZoneContext {
        domain: Name::parse("corp.example.").expect("a name"),
        alt_domains: Vec::new(),
        datacenter: "dc1".into(),
        previous: Zones::default(),
    };
    let path = Path::new("/nonexistent/example.zone");
    let report = check_text(path, data, &context);
    assert_eq!(report.zone.is_some(), !report.has_errors());
    for problem in &report.problems {
        assert!(problem.to_string().starts_with("/nonexistent/"));
    }
    let Some(zone) = report.zone else { return };
    records_are_found(&zone);
    let text = generic_text(&zone);
    let again = check_text(path, text.as_bytes(), &context);
    let again = again.zone.unwrap_or_else(|| panic!("{:#?}\n{text}", again.problems));
    assert_eq!(generic_text(&again), text);
}

/// Any body is either refused in one line, as the definition of one service or as a file of several, or holds what it may; what
/// is registered is the same when it is registered again.
pub fn registration(data: &[u8]) {
    let owner = Owner { node: NodeName::new("n1").expect("a name"), origin: Origin::Api };
    let tree = match json::parse(data) {
        Ok(tree) => tree,
        Err(error) => return is_refusal(&error.to_string(), error.line, data),
    };
    match definition::service(&tree, "", &owner) {
        Ok(read) => is_registered(&read.value, &owner),
        Err(error) => is_refusal(&error.to_string(), error.line, data),
    }
    match definition::file(&tree, &owner) {
        Ok(read) => read.value.services.iter().for_each(|placed| is_registered(&placed.value, &owner)),
        Err(error) => is_refusal(&error.to_string(), error.line, data),
    }
}

/// Any document of a container, or any variables (`e KEY=VALUE`), labels (`l KEY=VALUE`), ports (`p 80/tcp`, `p 80/tcp ADDRESS 8080`)
/// and networks (`n NAME ADDRESS LENGTH`) of one, map to what the catalog takes; the same again changes nothing.
pub fn docker_labels(data: &[u8]) {
    let document = if data.first() == Some(&b'{') { data.to_vec() } else { container_document(data) };
    let Ok(container) = Container::read(&document) else { return };
    for address in [AddressMode::Auto, AddressMode::Host, AddressMode::Container] {
        let node = NodeName::new("n1").expect("a name");
        let settings = Settings { address, ..Settings::new(node.clone()) };
        let mapped = docker::map(&container, &settings, &Surroundings::default());
        assert_eq!(mapped, docker::map(&container, &settings, &Surroundings::default()));
        assert_eq!(mapped.registrations.is_empty(), mapped.fate != Fate::Registered);
        assert!(mapped.registrations.len() <= 1_024 && mapped.warnings.len() <= 32);
        let mut catalog = catalog_of(&node);
        let count = mapped.registrations.len();
        let mut replace = || {
            let registrations = mapped.registrations.clone();
            let change = Change::ReplaceOrigin { node: node.clone(), origin: Origin::Docker, registrations };
            let effects = catalog.apply(change).expect("the catalog takes what is mapped");
            for (key, result) in mapped.results() {
                catalog.apply(Change::SetStatus { key, result }).expect("its checks are there");
            }
            assert_eq!(catalog.instance_count(), count, "IDs are different");
            effects.is_empty()
        };
        assert_eq!(replace(), count == 0);
        assert!(replace(), "the same again changes nothing");
    }
}

/// Whatever a probe's target sends, by the protocol that the first byte names, is understood alike however it comes in pieces, ends, and
/// is told in a text of bounded length.
pub fn probe(data: &[u8]) {
    let Some((protocol, bytes)) = data.split_first() else { return };
    let told = match protocol {
        b'r' => message_in_pieces(Protocol::Redis, bytes),
        b'g' => message_in_pieces(Protocol::MySqlGreeting, bytes),
        b'l' => message_in_pieces(Protocol::MySqlLogin, bytes),
        b'p' => message_in_pieces(Protocol::Postgres, bytes),
        b'a' => message_in_pieces(Protocol::Amqp, bytes),
        b'd' => {
            let types = ["A", "TXT", "SRV", "CAA"].map(|record_type| reading::dns_response(bytes, record_type));
            types.into_iter().map(|answer| answer.unwrap_or_else(|problem| problem)).collect()
        }
        b'D' => {
            let whole = reading::docker_output([bytes], 200);
            assert_eq!(whole, reading::docker_output(bytes.chunks(1), 200));
            assert_eq!(whole, reading::docker_output(bytes.chunks(7), 200));
            whole.unwrap_or_default()
        }
        b'G' => ended(reading::grpc_answer(bytes.to_vec())).err().unwrap_or_default(),
        b'h' => ended(reading::h2_ping(bytes.to_vec())).err().unwrap_or_default(),
        _ => return,
    };
    assert!(told.len() <= 8_192, "{} bytes", told.len());
}

/// A message is nothing until it is whole, takes some of what came, and is then the same whatever follows it.
fn message_in_pieces(protocol: Protocol, bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(600)];
    let is_line = |text: &str| text.len() <= 1_024 && !text.chars().any(char::is_control);
    let mut understood = Reading::More;
    for end in 0..=bytes.len() {
        let now = reading::message(protocol, &bytes[..end]);
        match (&understood, &now) {
            (Reading::More, Reading::Done(text, taken)) => {
                assert!((1..=end).contains(taken) && is_line(text), "{now:?}")
            }
            (Reading::More, Reading::Wrong(problem)) => assert!(is_line(problem), "{now:?}"),
            (Reading::More, Reading::More) | (Reading::Wrong(_), Reading::Wrong(_)) => {}
            _ => assert_eq!(understood, now, "after {end} bytes"),
        }
        understood = now;
    }
    match understood {
        Reading::Done(text, _) | Reading::Wrong(text) => text,
        Reading::More => String::new(),
    }
}

/// What comes of work that never waits for anybody.
fn ended<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    // Some ten are usual.
    for _ in 0..100_000 {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
    panic!("a probe does not end though its connection has");
}

/// Any text is either refused in one line that names one of the text's, or read as rules' language is, and then it is the same
/// after it was written anew.
pub fn access_rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = 1 + text.matches('\n').count();
    let told = |error: access::RulesError| {
        let shown = error.to_string();
        assert!(!shown.is_empty() && !shown.contains('\n'), "{shown}");
        assert!((1..=lines).contains(&(error.line as usize)), "{shown}: the text has {lines} lines");
    };
    if let Err(error) = access::Rules::parse(text) {
        told(error);
    }
    match access::hcl::parse(text) {
        Err(error) => told(error),
        Ok(read) => {
            let TreeValue::Map(members) = &read.value else { panic!("a body has members") };
            let written = body(members);
            match access::hcl::parse(&written) {
                Ok(again) => assert!(is_same(&read, &again), "{written}"),
                // Labels of a block do not count as nesting, what they are written as does.
                Err(error) => assert!(error.to_string().contains("nested more than"), "{error}: {written}"),
            }
        }
    }
}

fn body(members: &[(String, Tree)]) -> String {
    members.iter().map(|(name, member)| format!("{} = {}\n", quoted(name), written(member))).collect()
}

fn written(tree: &Tree) -> String {
    match &tree.value {
        TreeValue::Flag(flag) => flag.to_string(),
        TreeValue::Integer(number) => number.to_string(),
        TreeValue::Text(text) => quoted(text),
        TreeValue::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(",")),
        TreeValue::Map(members) => format!("{{ {} }}", body(members)),
        other => panic!("rules have no {other:?}"),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n"))
}

/// Whether two say the same, on whatever lines.
fn is_same(one: &Tree, other: &Tree) -> bool {
    match (&one.value, &other.value) {
        (TreeValue::Map(one), TreeValue::Map(other)) => {
            let same = |(one, other): (&(String, Tree), &(String, Tree))| one.0 == other.0 && is_same(&one.1, &other.1);
            one.len() == other.len() && one.iter().zip(other).all(same)
        }
        (TreeValue::List(one), TreeValue::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (one, other) => one == other,
    }
}

/// Any filter, before the first line's end, is either refused in one line or holds for a document, what comes after, or not, or
/// tells why that cannot be told; and then logic holds too.
pub fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, document) = text.split_once('\n').unwrap_or((text, ""));
    let document = serde_json::from_str(document).unwrap_or_else(|_| {
        json!({
            "ID": "web-1", "Port": 80, "Tags": ["blue", "v1"], "Meta": {"rack": "r1", "": null}, "On": true,
            "Checks": [{"Status": "passing", "Of": {"a": [1, "1"]}}, {"Status": "critical"}],
        })
    });
    let told = |problem: &String| assert!(!problem.is_empty() && !problem.contains('\n'), "{problem}");
    let filter = match Filter::parse(text) {
        Ok(filter) => filter,
        Err(problem) => return told(&problem),
    };
    let keeps = filter.keeps(&document).inspect_err(told);
    for (other, expected) in [
        (format!("not ({text})"), keeps.clone().map(|keeps| !keeps)),
        (format!("({text}) and ({text})"), keeps.clone()),
        (format!("({text}) or ({text})"), keeps.clone()),
    ] {
        // What is longer or deeper may be too long or too deep.
        if let Ok(other) = Filter::parse(&other) {
            assert_eq!(other.keeps(&document).ok(), expected.ok(), "{text}");
        }
    }
}

fn container_document(data: &[u8]) -> Vec<u8> {
    let mut document = json!({
        "Id": "4bcff63911fc", "Name": "/web", "State": {"Status": "running", "Running": true},
        "Config": {"Image": "nginx", "Env": [], "Labels": {}, "ExposedPorts": {}},
        "NetworkSettings": {"Ports": {}, "Networks": {}},
    });
    for line in String::from_utf8_lossy(data).lines() {
        let (kind, rest) = line.split_at_checked(2).unwrap_or_default();
        let mut words = rest.split(' ');
        let mut word = || words.next().unwrap_or_default();
        match kind {
            "e " => document["Config"]["Env"].as_array_mut().expect("a list").push(rest.into()),
            "l " => {
                let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
                document["Config"]["Labels"][key] = value.into();
            }
            "p " => {
                let (port, address, number) = (word(), word(), word());
                document["Config"]["ExposedPorts"][port] = json!({});
                if !number.is_empty() {
                    document["NetworkSettings"]["Ports"][port] = json!([{"HostIp": address, "HostPort": number}]);
                }
            }
            "n " => {
                let (name, address, length) = (word(), word(), word().parse().unwrap_or(0));
                let keys = if address.contains(':') {
                    ["GlobalIPv6Address", "GlobalIPv6PrefixLen"]
                } else {
                    ["IPAddress", "IPPrefixLen"]
                };
                let endpoint = &mut document["NetworkSettings"]["Networks"][name];
                (endpoint[keys[0]], endpoint[keys[1]]) = (address.into(), Value::from(length));
            }
            _ => {}
        }
    }
    document.to_string().into_bytes()
}

/// Whatever is put (`n KEY VALUE` below `/skydns`, `l` under a lease, `s` below `/services`) or deleted (without a value) by programs
/// that keep names and services in etcd: what follows from each change is what follows from all that is there.
pub fn registry_keys(data: &[u8]) {
    let mut tree = name_tree();
    let mut kept: BTreeMap<Vec<u8>, (Vec<u8>, Option<u32>)> = BTreeMap::new();
    let services = Services::new("/services");
    let mut catalog = State::new(Seed(1), 0);
    let mut listed: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (Some(kind), Some(key), value) = (parts.next(), parts.next(), parts.next()) else { continue };
        if kind == b"s" {
            let key = [b"/services/", key].concat();
            match value {
                Some(value) => drop(listed.insert(key.clone(), value.to_vec())),
                None => drop(listed.remove(&key)),
            }
            is_followed(&mut catalog, |catalog| {
                services.changes(catalog, [Event { key, value: value.map(<[u8]>::to_vec) }])
            });
            continue;
        }
        let (key, remaining) = ([b"/skydns/", key].concat(), (kind == b"l").then_some(9));
        match value {
            Some(value) => match tree.put(&key, value, remaining) {
                Ok(Some(key)) => drop(kept.insert(key, (value.to_vec(), remaining))),
                Ok(None) => {}
                Err(error) => is_refusal(&error.to_string(), 1, b""),
            },
            None => tree.delete(&key).into_iter().for_each(|key| assert!(kept.remove(&key).is_some())),
        }
        drop(tree.zones(1));
    }
    let mut again = name_tree();
    for (key, (value, remaining)) in &kept {
        assert_eq!(again.put(key, value, *remaining), Ok(Some(key.clone())), "what was kept is read again");
    }
    assert_eq!(zones_as_text(&mut again), zones_as_text(&mut tree));
    assert!(tree.keep(kept.keys().map(|key| &key[..])).is_empty());
    let all = listed.into_iter().map(|(key, value)| Event { key, value: Some(value) });
    let count = is_followed(&mut catalog, |catalog| services.relisted(catalog, all));
    assert_eq!(count, 0, "the list of what is there changes nothing");
}

fn name_tree() -> skydns::Tree {
    skydns::Tree::new("/skydns", ["skydns.local", "b.skydns.local"].map(|name| Name::parse(name).expect("a name")), 5)
}

/// All that is answered; labels that stand for any find something or nothing.
fn zones_as_text(tree: &mut skydns::Tree) -> Vec<String> {
    let zones = tree.zones(1);
    let text = |zone: &Arc<Zone>| {
        let mut text = format!("{}", zone.origin());
        for node in zone.nodes() {
            assert!(node.owner().is_at_or_below(zone.origin()));
            assert!(zone.node(node.owner().as_wire()).is_some(), "it is found");
            write!(text, " {node:?} {:?}", zone.matching(node.owner().as_wire())).expect("a text takes all");
        }
        text
    };
    let mut all: Vec<String> = zones.iter().map(text).collect();
    all.sort();
    all
}

/// Returns how many changes there were, of which each did something.
fn is_followed(catalog: &mut State, follow: impl FnOnce(&State) -> Followed) -> usize {
    let followed = follow(catalog);
    followed.complaints.iter().for_each(|complaint| is_refusal(&complaint.to_string(), 1, b""));
    let count = followed.changes.len();
    for change in followed.changes {
        assert!(!catalog.apply(change).expect("the catalog takes what follows").is_empty());
    }
    count
}

fn catalog_of(node: &NodeName) -> State {
    let mut catalog = State::new(Seed(1), 0);
    let node = Node {
        name: node.clone(),
        uuid: "00000000-0000-4000-8000-000000000000".into(),
        address: Address::Ip([192, 0, 2, 1].into()),
        tagged_addresses: Default::default(),
        meta: Meta::default(),
        origin: Origin::Api,
    };
    catalog.apply(Change::RegisterNode(node)).expect("the node can be registered");
    catalog
}

/// One line that a terminal shows as it is, on a line that is there.
fn is_refusal(text: &str, line: u32, data: &[u8]) {
    assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
    let lines = 1 + data.iter().filter(|byte| **byte == b'\n').count();
    assert!((1..=lines).contains(&(line as usize)), "line {line} of {lines}");
}

fn is_registered(registration: &Registration, owner: &Owner) {
    let Registration { instance, checks, .. } = registration;
    assert!(instance.ports.len() <= 256 && instance.tags.len() <= 1_024 && checks.len() <= 128);
    assert!(instance.node == owner.node && instance.origin == owner.origin);
    for check in checks {
        assert_eq!(check.service_id.as_ref(), Some(&instance.id));
        let definition = &check.definition;
        assert_eq!(definition.kind.is_periodic(), definition.interval >= Duration::from_secs(1));
        assert!((1..=4096).contains(&definition.output_max_bytes));
    }
    let mut catalog = catalog_of(&owner.node);
    let mut register = || {
        let effects = catalog.apply(Change::Register(Box::new(registration.clone())));
        effects.map(|effects| (effects.is_empty(), catalog.index()))
    };
    let Ok((is_empty, index)) = register() else { return };
    assert!(!is_empty, "a first registration touches something");
    assert_eq!(register().expect("it was accepted"), (true, index), "the same again changes nothing");
}

fn records_are_found(zone: &Zone) {
    for node in zone.nodes() {
        let mut buffer = [0; 255];
        let owner = lowercase_into(node.owner().as_wire(), &mut buffer);
        for rrset in node.rrsets() {
            match zone.lookup(owner, rrset.rtype) {
                Lookup::Answer(found, answer) => {
                    assert!(answer == rrset && found.node.owner() == node.owner() && !found.is_synthesised);
                }
                Lookup::Referral(referral) => assert!(node.owner().is_at_or_below(referral.cut.owner())),
                other => panic!("{} {}: {other:?}", node.owner(), rrset.rtype),
            }
        }
        if node.is_empty_non_terminal() && !node.is_at_or_below_cut() {
            assert!(matches!(zone.lookup(owner, 255), Lookup::Nodata(_)));
        }
    }
}

/// All records by owner and type, data in hex.
fn generic_text(zone: &Zone) -> String {
    let mut nodes: Vec<_> = zone.nodes().collect();
    nodes.sort_by(|a, b| a.owner().cmp(b.owner()));
    let mut text = format!("$ORIGIN {}\n", zone.origin());
    for (node, rrset) in nodes.iter().flat_map(|node| node.rrsets().iter().map(move |rrset| (node, rrset))) {
        for rdata in &rrset.rdatas {
            let owner = node.owner();
            write!(text, "{owner} {} TYPE{} \\# {} ", rrset.ttl_secs, rrset.rtype, rdata.len())
                .expect("a string grows");
            rdata.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string grows"));
            text.push('\n');
        }
    }
    text
}
