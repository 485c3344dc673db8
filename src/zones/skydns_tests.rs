use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::zones::lookup::Lookup;

/// A tree that answers `skydns.local.`, of these keys below it.
fn tree(records: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new("/skydns", [Name::parse("Skydns.local").unwrap()], 5);
    for (key, value) in records {
        tree.put(format!("/skydns/local/skydns/{key}").as_bytes(), value.as_bytes(), None).unwrap();
    }
    tree
}

/// What a name is answered with, as `TYPE TTL data`, or why with nothing.
#[track_caller]
fn ask(tree: &Tree, name: &str, rtype: u16) -> Vec<String> {
    let zones = tree.clone().zones(7);
    let name = Name::parse(name).unwrap().to_lowercase();
    let zone = zones.enclosing(name.as_wire()).unwrap();
    match zone.lookup(name.as_wire(), rtype) {
        Lookup::Answer(_, rrset) | Lookup::Cname(_, rrset) => shown(rrset),
        Lookup::Nodata(_) => vec!["NODATA".to_owned()],
        Lookup::Nxdomain { .. } => match zone.matching(name.as_wire()) {
            Some(sets) => sets.iter().find(|set| set.rtype == rtype).map_or(vec!["NODATA".to_owned()], shown),
            None => vec!["NXDOMAIN".to_owned()],
        },
        other => panic!("{other:?}"),
    }
}

fn shown(rrset: &RrSet) -> Vec<String> {
    let number = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    let name = |bytes: &[u8]| Name::from_wire(bytes).unwrap().to_string();
    let data = |rdata: &[u8]| match rrset.rtype {
        1 => std::net::Ipv4Addr::new(rdata[0], rdata[1], rdata[2], rdata[3]).to_string(),
        28 => std::net::Ipv6Addr::from(<[u8; 16]>::try_from(rdata).unwrap()).to_string(),
        2 | 5 | 12 => name(rdata),
        15 => format!("{} {}", number(rdata), name(&rdata[2..])),
        16 => String::from_utf8_lossy(&rdata[1..]).into_owned(),
        33 => format!("{} {} {} {}", number(rdata), number(&rdata[2..]), number(&rdata[4..]), name(&rdata[6..])),
        other => panic!("type {other}"),
    };
    rrset.rdatas.iter().map(|rdata| format!("{} {}", rrset.ttl_secs, data(rdata))).collect()
}

const A: u16 = 1;
const CNAME: u16 = 5;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;

#[test]
fn a_name_has_the_addresses_of_all_below_it() {
    let tree = tree(&[
        ("east/web/1", r#"{"host": "192.0.2.1"}"#),
        ("east/web/2", r#"{"host": "192.0.2.2", "ttl": 60}"#),
        ("west/web/1", r#"{"host": "192.0.2.1"}"#),
        ("west/web/6", r#"{"host": "2001:db8::6"}"#),
    ]);
    assert_eq!(ask(&tree, "1.web.east.skydns.local", A), ["5 192.0.2.1"]);
    assert_eq!(ask(&tree, "2.web.EAST.skydns.local", A), ["60 192.0.2.2"]);
    assert_eq!(ask(&tree, "web.east.skydns.local", A), ["5 192.0.2.1", "5 192.0.2.2"]);
    assert_eq!(ask(&tree, "skydns.local", A), ["5 192.0.2.1", "5 192.0.2.2"]);
    assert_eq!(ask(&tree, "skydns.local", AAAA), ["5 2001:db8::6"]);
    assert_eq!(ask(&tree, "east.skydns.local", AAAA), ["NODATA"]);
    assert_eq!(ask(&tree, "we.east.skydns.local", A), ["NXDOMAIN"]);
}

#[test]
fn a_name_that_is_a_record_has_those_below_it_too() {
    let tree = tree(&[("web", r#"{"host": "192.0.2.1"}"#), ("web/2", r#"{"host": "192.0.2.2"}"#)]);
    assert_eq!(ask(&tree, "web.skydns.local", A), ["5 192.0.2.1", "5 192.0.2.2"]);
    assert_eq!(ask(&tree, "2.web.skydns.local", A), ["5 192.0.2.2"]);
}

#[test]
fn services_lead_to_their_own_names_or_to_their_hosts() {
    let tree = tree(&[
        ("web/1", r#"{"host": "192.0.2.1", "port": 80}"#),
        ("web/2", r#"{"host": "web.example", "port": 81, "priority": 20}"#),
        ("web/3", r#"{"text": "no host"}"#),
    ]);
    assert_eq!(ask(&tree, "web.skydns.local", SRV), ["5 10 100 80 1.web.skydns.local.", "5 20 100 81 web.example."]);
    assert_eq!(ask(&tree, "3.web.skydns.local", SRV), ["NODATA"]);
}

#[test]
fn weights_are_shares_of_their_priority() {
    let tree = tree(&[
        ("a", r#"{"host": "192.0.2.1", "weight": 300}"#),
        ("b", r#"{"host": "192.0.2.2"}"#),
        ("c", r#"{"host": "192.0.2.3", "weight": 1, "priority": 20}"#),
        ("d", r#"{"host": "192.0.2.4", "weight": 999, "priority": 20}"#),
    ]);
    let weights: Vec<_> = ask(&tree, "skydns.local", SRV)
        .iter()
        .map(|one| one.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(weights, ["10 75", "10 25", "20 1", "20 99"]);
}

#[test]
fn labels_are_stripped_off_targets() {
    let tree = tree(&[
        ("web/1", r#"{"host": "192.0.2.1", "targetstrip": 1}"#),
        ("web/2", r#"{"host": "192.0.2.2", "targetstrip": 9}"#),
    ]);
    assert_eq!(ask(&tree, "1.web.skydns.local", SRV), ["5 10 100 0 web.skydns.local."]);
    assert_eq!(ask(&tree, "2.web.skydns.local", SRV), ["5 10 100 0 skydns.local."]);
}

#[test]
fn a_host_that_is_a_name_is_an_alias_where_there_is_no_address() {
    let tree = tree(&[
        ("alias/1", r#"{"host": "b.example"}"#),
        ("alias/2", r#"{"host": "a.example", "priority": 5}"#),
        ("both/1", r#"{"host": "a.example"}"#),
        ("both/2", r#"{"host": "192.0.2.1"}"#),
        ("loop", r#"{"host": "loop.skydns.local"}"#),
    ]);
    assert_eq!(ask(&tree, "alias.skydns.local", A), ["5 a.example."]);
    assert_eq!(ask(&tree, "alias.skydns.local", CNAME), ["5 a.example."]);
    assert_eq!(ask(&tree, "both.skydns.local", A), ["5 192.0.2.1"]);
    assert_eq!(ask(&tree, "both.skydns.local", AAAA), ["NODATA"]);
    assert_eq!(ask(&tree, "loop.skydns.local", A), ["NODATA"]);
}

#[test]
fn texts_and_mail_stand_beside_hosts() {
    let tree = tree(&[
        ("web/1", r#"{"host": "192.0.2.1", "text": "blue"}"#),
        ("web/2", r#"{"host": "mx.example", "mail": true, "priority": 7, "text": "green"}"#),
    ]);
    assert_eq!(ask(&tree, "web.skydns.local", TXT), ["5 blue", "5 green"]);
    assert_eq!(ask(&tree, "web.skydns.local", MX), ["5 7 mx.example."]);
    assert_eq!(ask(&tree, "1.web.skydns.local", MX), ["NODATA"]);
    assert_eq!(ask(&tree, "web.skydns.local", A), ["5 192.0.2.1"]);
}

#[test]
fn the_nearest_group_decides() {
    let mut records = vec![
        ("a/x", r#"{"host": "192.0.2.1", "group": "g1"}"#),
        ("a/sub/y", r#"{"host": "192.0.2.2", "group": "g2"}"#),
        ("a/sub/z", r#"{"host": "192.0.2.3"}"#),
    ];
    assert_eq!(ask(&tree(&records), "a.skydns.local", A), ["5 192.0.2.3", "5 192.0.2.1"]);
    assert_eq!(ask(&tree(&records), "sub.a.skydns.local", A), ["5 192.0.2.2", "5 192.0.2.3"]);
    records.push(("a/v", r#"{"host": "192.0.2.4", "group": "g2"}"#));
    assert_eq!(ask(&tree(&records), "a.skydns.local", A).len(), 4, "they do not agree");
}

#[test]
fn a_star_stands_for_any_label() {
    let tree = tree(&[
        ("east/web/1", r#"{"host": "192.0.2.1"}"#),
        ("west/web/1", r#"{"host": "192.0.2.2"}"#),
        ("west/db/1", r#"{"host": "192.0.2.3", "text": "t"}"#),
    ]);
    assert_eq!(ask(&tree, "web.*.skydns.local", A), ["5 192.0.2.1", "5 192.0.2.2"]);
    assert_eq!(ask(&tree, "*.west.skydns.local", A), ["5 192.0.2.3", "5 192.0.2.2"]);
    assert_eq!(ask(&tree, "1.any.west.skydns.local", A), ["5 192.0.2.3", "5 192.0.2.2"]);
    assert_eq!(ask(&tree, "*.*.*.skydns.local", TXT), ["5 t"]);
    assert_eq!(ask(&tree, "*.web.*.skydns.local", TXT), ["NODATA"]);
    assert_eq!(ask(&tree, "*.mail.*.skydns.local", A), ["NXDOMAIN"]);
}

#[test]
fn the_zones_own_name_has_its_servers_and_addresses_of_its_own() {
    let tree = tree(&[
        ("web/1", r#"{"host": "192.0.2.1"}"#),
        ("dns/ns/a", r#"{"host": "192.0.2.53"}"#),
        ("dns/apex/x", r#"{"host": "192.0.2.80"}"#),
    ]);
    assert_eq!(ask(&tree, "skydns.local", 2), ["5 a.ns.dns.skydns.local."]);
    assert_eq!(ask(&tree, "skydns.local", A), ["5 192.0.2.80"]);
    assert_eq!(ask(&tree, "skydns.local", SRV), ["5 10 100 0 1.web.skydns.local."]);
    assert_eq!(ask(&tree, "a.ns.dns.skydns.local", A), ["5 192.0.2.53"]);
    let zones = tree.clone().zones(7);
    let zone = zones.iter().next().unwrap();
    let soa = zone.soa().unwrap();
    assert_eq!((soa.mname.to_string().as_str(), soa.serial, soa.negative_ttl_secs), ("ns.dns.skydns.local.", 7, 5));
}

#[test]
fn reverse_names_are_zones_of_one_name() {
    let mut tree = tree(&[]);
    tree.put(b"/skydns/arpa/in-addr/192/0/2/7", br#"{"host": "web.example"}"#, None).unwrap();
    assert_eq!(ask(&tree, "7.2.0.192.in-addr.arpa", 12), ["5 web.example."]);
    assert_eq!(ask(&tree, "7.2.0.192.in-addr.arpa", A), ["NODATA"]);
    assert!(tree.zones(1).enclosing(Name::parse("8.2.0.192.in-addr.arpa").unwrap().as_wire()).is_none());
    let error = tree.put(b"/skydns/arpa/in-addr/192/0/2/8", br#"{"host": "192.0.2.1"}"#, None).unwrap_err();
    assert_eq!(error, RecordError::Pointer);
}

#[test]
fn a_lease_bounds_the_ttl() {
    let mut tree = tree(&[]);
    tree.put(b"/skydns/local/skydns/a", br#"{"host": "192.0.2.1", "ttl": 60}"#, Some(9)).unwrap();
    tree.put(b"/skydns/local/skydns/b", br#"{"host": "192.0.2.2", "ttl": 60}"#, Some(90)).unwrap();
    tree.put(b"/skydns/local/skydns/c", br#"{"host": "192.0.2.3"}"#, Some(0)).unwrap();
    assert_eq!(ask(&tree, "a.skydns.local", A), ["9 192.0.2.1"]);
    assert_eq!(ask(&tree, "b.skydns.local", A), ["60 192.0.2.2"]);
    assert_eq!(ask(&tree, "c.skydns.local", A), ["1 192.0.2.3"]);
}

#[test]
fn what_cannot_be_read_keeps_what_was_there() {
    let mut tree = tree(&[("a", r#"{"host": "192.0.2.1"}"#), ("b", r#"{"host": "192.0.2.2"}"#)]);
    for (value, expected) in [
        ("{", "is no record of SkyDNS: EOF"),
        ("{}", "has neither a host nor a text"),
        (r#"{"host": "192.0.2.1", "port": 65536}"#, "port: expected a number from 0 to 65535, got 65536"),
        (r#"{"host": "192.0.2.1", "port": "80"}"#, "is no record of SkyDNS: invalid type"),
        (r#"{"host": "a..b"}"#, "host: \"a..b\" is neither"),
        (r#"{"host": "a", "ttl": -1}"#, "ttl: expected a number"),
    ] {
        let error = tree.put(b"/skydns/local/skydns/a", value.as_bytes(), None).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{value}: {error}");
    }
    assert_eq!(ask(&tree, "skydns.local", A), ["5 192.0.2.1", "5 192.0.2.2"]);
    for key in ["/skydns/local/skydns/", "/skydns/local//skydns/a", "/other/a"] {
        assert_eq!(tree.put(key.as_bytes(), b"{}", None), Err(RecordError::Key), "{key}");
    }
    // Names of nobody's here, and SkyDNS's settings.
    tree.put(b"/skydns/example/a", b"{", None).unwrap();
    tree.put(b"/skydns/config", b"{", None).unwrap();
    assert_eq!(tree.len(), 2);
}

#[test]
fn records_go_with_their_keys() {
    let mut tree =
        tree(&[("a", r#"{"host": "192.0.2.1"}"#), ("b", r#"{"host": "192.0.2.2"}"#), ("c/d", r#"{"text": "t"}"#)]);
    tree.put(b"/skydns/arpa/in-addr/192/0/2/7", br#"{"host": "web.example"}"#, None).unwrap();
    tree.delete(b"/skydns/local/skydns/a");
    tree.delete(b"/skydns/local/skydns/c");
    assert_eq!(tree.len(), 3);
    tree.keep([&b"/skydns/local/skydns/b"[..], b"/skydns/what"]);
    assert_eq!(tree.len(), 1);
    assert_eq!(ask(&tree, "skydns.local", A), ["5 192.0.2.2"]);
    assert_eq!(ask(&tree, "c.skydns.local", A), ["NXDOMAIN"]);
    tree.keep([]);
    assert!(tree.is_empty());
    assert_eq!(ask(&tree, "skydns.local", A), ["NODATA"]);
}

#[test]
fn what_many_records_say_is_answered_once() {
    let mut tree = tree(&[]);
    for number in 0..60 {
        let value = format!(r#"{{"host": "192.0.2.{}"}}"#, number % 20);
        tree.put(format!("/skydns/local/skydns/web/{number}").as_bytes(), value.as_bytes(), None).unwrap();
    }
    let mut all = ask(&tree, "web.skydns.local", A);
    all.sort();
    let mut expected: Vec<_> = (0..20).map(|number| format!("5 192.0.2.{number}")).collect();
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(ask(&tree, "web.skydns.local", SRV).len(), 60);
}

#[test]
fn only_what_changed_is_made_anew() {
    let mut tree = Tree::new("/skydns", ["a", "b"].map(|origin| Name::parse(origin).unwrap()), 5);
    let put = |tree: &mut Tree, key: &str, host: &str, remaining: Option<u32>| {
        tree.put(key.as_bytes(), format!(r#"{{"host": "{host}"}}"#).as_bytes(), remaining).unwrap().is_some()
    };
    assert!(put(&mut tree, "/skydns/a/x", "192.0.2.1", None));
    assert!(put(&mut tree, "/skydns/b/x", "192.0.2.2", None));
    assert!(put(&mut tree, "/skydns/arpa/in-addr/1", "x.a", None));
    assert!(put(&mut tree, "/skydns/arpa/in-addr/2", "x.b", None));
    let origins = ["a", "b", "1.in-addr.arpa", "2.in-addr.arpa"].map(|origin| Name::parse(origin).unwrap());
    let serials = |tree: &mut Tree, serial: u32| {
        let zones = tree.zones(serial);
        origins.clone().map(|origin| zones.get(origin.as_wire()).map(|zone| zone.soa().unwrap().serial))
    };
    assert_eq!(serials(&mut tree, 1), [Some(1); 4]);
    assert!(put(&mut tree, "/skydns/A/X", "192.0.2.3", None));
    assert_eq!(serials(&mut tree, 2), [Some(2), Some(1), Some(1), Some(1)]);
    assert!(put(&mut tree, "/skydns/arpa/in-addr/2", "y.b", None));
    assert_eq!(tree.delete(b"/skydns/arpa/in-addr/1"), Some(b"/skydns/arpa/in-addr/1".to_vec()));
    assert_eq!(serials(&mut tree, 3), [Some(2), Some(1), None, Some(3)]);
    assert_eq!(tree.keep([&b"/skydns/a/X"[..], b"/skydns/arpa/in-addr/2"]), [b"/skydns/b/x"]);
    assert_eq!(serials(&mut tree, 4), [Some(2), Some(4), None, Some(3)]);
    // What says the same changes nothing, and a lease does where it ends before the TTL.
    assert!(!put(&mut tree, "/skydns/a/x", "192.0.2.3", Some(60)));
    assert_eq!(tree.delete(b"/skydns/b/x"), None);
    assert_eq!(serials(&mut tree, 5), [Some(2), Some(4), None, Some(3)]);
    assert!(put(&mut tree, "/skydns/a/x", "192.0.2.3", Some(3)));
    assert_eq!(serials(&mut tree, 6), [Some(6), Some(4), None, Some(3)]);
}

#[test]
fn files_and_live_zones_take_turns_without_losing_each_other() {
    let zones = |origin: &str| Tree::new("/skydns", [Name::parse(origin).unwrap()], 5).zones(1);
    let file = crate::zones::testing::zone("www A 192.0.2.1\n");
    let has = |zones: &Zones, origin: &str| zones.get(Name::parse(origin).unwrap().as_wire()).is_some();
    let both = zones("a").beside(&Zones::new([Arc::clone(&file)]));
    assert!(has(&both, "a") && has(&both, "example"));
    let both = zones("b").beside(&both);
    assert!(!has(&both, "a") && has(&both, "b") && has(&both, "example"));
    let both = Zones::default().beside(&both);
    assert!(has(&both, "b") && !has(&both, "example"));
    // A file's own zone of the same origin counts.
    let both = zones("example").beside(&Zones::new([file]));
    assert!(both.iter().all(|zone| !zone.is_live()));
}

fn any_key() -> impl Strategy<Value = String> {
    let labels = vec(select(vec!["a", "B", "*", "any", "dns", "ns", "apex", "", "x.y", "1"]), 0..4);
    let below = labels.prop_map(|labels| labels.join("/"));
    (select(vec!["/skydns/local/skydns/", "/skydns/arpa/in-addr/", "/skydns/local/", "/other/"]), below)
        .prop_map(|(top, below)| format!("{top}{below}"))
}

fn any_value() -> impl Strategy<Value = String> {
    let host = select(vec!["192.0.2.1", "192.0.2.2", "2001:db8::1", "a.skydns.local", "b.example", ""]);
    (host, 0..3u8, 0..3u8, select(vec!["", "g1", "g2"]), any::<bool>()).prop_map(|(host, priority, strip, group, mail)| {
        format!(
            r#"{{"host": "{host}", "priority": {priority}, "targetstrip": {strip}, "group": "{group}", "mail": {mail}, "text": "{group}"}}"#
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_keys_make_zones_and_the_same_in_any_order(
        events in vec((any_key(), proptest::option::of(any_value())), 0..12),
        pattern in vec(select(vec!["*", "any", "a", "b", "dns"]), 0..4),
    ) {
        let (mut tree, mut again) = (self::tree(&[]), self::tree(&[]));
        let mut there = BTreeMap::new();
        for (key, value) in &events {
            match value {
                Some(value) => {
                    if tree.put(key.as_bytes(), value.as_bytes(), None).is_ok() {
                        there.insert(key.to_ascii_lowercase(), value);
                    }
                }
                None => {
                    tree.delete(key.as_bytes());
                    there.remove(&key.to_ascii_lowercase());
                }
            }
            // So that each change is made into zones from those before it.
            drop(tree.zones(1));
        }
        for (key, value) in there.iter().rev() {
            again.put(key.as_bytes(), value.as_bytes(), None).unwrap();
        }
        let shown = |tree: &Tree| {
            let zones = tree.clone().zones(1);
            let mut all: Vec<_> = zones.iter().map(|zone| format!("{} {:?}", zone.origin(), zone.nodes().collect::<Vec<_>>())).collect();
            all.sort();
            all
        };
        prop_assert_eq!(shown(&tree), shown(&again));
        let name = Name::from_labels(pattern.iter().copied().chain(["skydns", "local"])).unwrap();
        let zones = tree.clone().zones(1);
        zones.iter().for_each(|zone| drop(zone.matching(name.as_wire())));
    }
}
