use proptest::prelude::*;

use super::*;
use crate::{publish::journal::Document, wire::name::Name};

/// What is on disk after these writes.
fn restored(writes: impl IntoIterator<Item = Write>) -> Restored {
    let documents = writes.into_iter().filter_map(|write| match write {
        Write::Document { key, bytes } => bytes.map(|bytes| Document { key, bytes }),
        other => panic!("{other:?}"),
    });
    Restored { documents: documents.collect(), ..Restored::default() }
}

fn name(key: &str, value: &str) -> Write {
    kept_names::write(key.as_bytes(), Some(&KeptName { value: value.as_bytes().into(), remaining_secs: None }))
}

fn tree() -> Tree {
    Tree::new("/skydns", [Name::parse("skydns.local").unwrap()], 5)
}

/// The keys that are forgotten.
fn keys(forgotten: &[Write]) -> Vec<String> {
    let key = |write: &Write| match write {
        Write::Document { key, bytes: None } => String::from_utf8_lossy(&key[1..]).into_owned(),
        other => panic!("{other:?}"),
    };
    forgotten.iter().map(key).collect()
}

/// The addresses of a name, with their TTL.
fn ask(known: &mut KnownNames, name: &str) -> Vec<(u32, Vec<u8>)> {
    let zones = known.tree.zones(known.serial);
    let name = Name::parse(name).unwrap();
    let Some(rrset) = zones.enclosing(name.as_wire()).and_then(|zone| zone.node(name.as_wire())?.rrset(1)) else {
        return Vec::new();
    };
    rrset.rdatas.iter().map(|rdata| (rrset.ttl_secs, rdata.to_vec())).collect()
}

#[test]
fn what_was_kept_is_answered_with_its_ttl_and_serial() {
    let leased = KeptName { value: br#"{"host": "192.0.2.2", "ttl": 60}"#[..].into(), remaining_secs: Some(9) };
    let restored = restored([
        name("/skydns/local/skydns/web/1", r#"{"host": "192.0.2.1", "ttl": 60}"#),
        kept_names::write(b"/skydns/local/skydns/web/2", Some(&leased)),
        kept_names::write_serial(Some(77)),
    ]);
    let (mut known, forgotten) = KnownNames::restored(tree(), &restored);
    assert!(known.is_whole && forgotten.is_empty());
    assert_eq!(ask(&mut known, "1.web.skydns.local"), [(60, vec![192, 0, 2, 1])]);
    assert_eq!(ask(&mut known, "2.web.skydns.local"), [(9, vec![192, 0, 2, 2])], "no longer than its lease");
    let zones = known.tree.zones(known.serial);
    let zone = zones.enclosing(Name::parse("skydns.local").unwrap().as_wire()).unwrap();
    assert_eq!(zone.soa().unwrap().serial, 77);
}

#[test]
fn what_is_not_followed_any_more_is_not_answered_and_goes() {
    let restored = restored([
        name("/skydns/local/skydns/a", r#"{"host": "192.0.2.1"}"#),
        name("/skydns/example/b", r#"{"host": "192.0.2.2"}"#),
        name("/skydnsother/local/skydns/c", r#"{"host": "192.0.2.3"}"#),
        name("/s", "{"),
        kept_names::write_serial(Some(7)),
    ]);
    let (mut known, forgotten) = KnownNames::restored(tree(), &restored);
    assert_eq!((known.tree.len(), known.is_whole), (1, true));
    assert_eq!(keys(&forgotten), ["/skydns/example/b", "/skydnsother/local/skydns/c", "/s"]);
    assert_eq!(ask(&mut known, "a.skydns.local").len(), 1);
    let all = ["/skydns/local/skydns/a", "/skydns/example/b", "/skydnsother/local/skydns/c", "/s", ""];
    assert_eq!(keys(&KnownNames::none_followed(&restored)), all);
    assert!(KnownNames::none_followed(&Restored::default()).is_empty());
}

#[test]
fn what_is_damaged_hides_no_neighbour_and_leaves_what_is_unknown_open() {
    let mut restored = restored([
        name("/skydns/local/skydns/a", r#"{"host": "192.0.2.1"}"#),
        name("/skydns/local/skydns/b", "{"),
        name("/skydns/local/skydns/c", r#"{"host": "192.0.2.3"}"#),
        kept_names::write_serial(Some(7)),
    ]);
    restored.documents[2].bytes.clear();
    restored.documents[3].bytes.clear();
    let (mut known, forgotten) = KnownNames::restored(tree(), &restored);
    assert_eq!(keys(&forgotten), ["/skydns/local/skydns/b", "/skydns/local/skydns/c"]);
    assert_eq!(ask(&mut known, "a.skydns.local").len(), 1);
    let status = super::super::SkydnsSource::initial_status(&known);
    assert!(!status.synced && status.stale, "a.skydns.local is stale, and b.skydns.local is not denied");
}

#[test]
fn nothing_known_is_nothing_denied() {
    let (known, _) = KnownNames::restored(tree(), &Restored::default());
    let status = super::super::SkydnsSource::initial_status(&known);
    assert!(!status.synced && !status.stale && status.away.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_name_outlives_its_record(key: Vec<u8>, value: Vec<u8>, remaining_secs: Option<u32>) {
        let name = KeptName { value: value.into(), remaining_secs };
        let restored = restored([kept_names::write(&key, Some(&name))]);
        let (found, kept) = restored.registry_names().next().unwrap();
        prop_assert_eq!((found, kept.unwrap()), (&key[..], name));
    }
}
