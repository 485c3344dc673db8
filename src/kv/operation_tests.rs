use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    catalog::{names::NodeName, table::Seed},
    kv::session::{Behavior, Session},
};

fn at(index: u64) -> At {
    At { index, now: Duration::ZERO }
}

fn content(value: &str) -> Content {
    Content { value: value.as_bytes().into(), flags: 0 }
}

fn operation(key: &str, verb: Verb) -> Operation {
    Operation { key: key.into(), verb }
}

/// A store in which key `a` holds `1` since index 5.
fn store() -> Store {
    let mut store = Store::new(Seed(1), 0);
    store.operate(operation("a", Verb::Set(content("1"))), at(5)).unwrap();
    store
}

#[track_caller]
fn refused(key: &str, verb: Verb, text: &str) {
    let mut store = store();
    let before = format!("{store:?}");
    assert_eq!(store.operate(operation(key, verb), at(6)).unwrap_err().to_string(), text);
    assert_eq!(format!("{store:?}"), before);
}

#[track_caller]
fn touches(key: &str, verb: Verb, expected: &[&str]) {
    let done = store().operate(operation(key, verb), at(6)).unwrap();
    let expected: Vec<_> = expected.iter().map(|key| Touched::Key(Text::from(*key))).collect();
    assert_eq!(done.touched, expected);
}

#[test]
fn compare_and_set_wants_the_index_that_the_key_has() {
    refused("a", Verb::Cas(content("2"), 4), "failed to set key \"a\", index is stale");
    refused("a", Verb::Cas(content("2"), 0), "failed to set key \"a\", index is stale");
    refused("b", Verb::Cas(content("2"), 5), "failed to set key \"b\", index is stale");
    touches("a", Verb::Cas(content("2"), 5), &["a"]);
    touches("b", Verb::Cas(content("2"), 0), &["b"]);
}

/// Another program may write any number into a store that machines share.
#[test]
fn a_key_can_be_locked_however_often_it_was() {
    let mut store = store();
    let often = Entry { lock_index: u64::MAX, ..Entry::clone(store.key("a").unwrap()) };
    store.keys.set("a".into(), Arc::new(often));
    let session = Session {
        id: "s".into(),
        name: "".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: Vec::new(),
        service_checks: Vec::new(),
        lock_delay: Duration::ZERO,
        behavior: Behavior::Release,
        ttl: None,
    };
    store.put_session(session, 6);
    store.operate(operation("a", Verb::Lock(content("2"), "s".into())), at(7)).unwrap();
    assert_eq!(store.key("a").unwrap().lock_index, u64::MAX);
}

#[test]
fn a_key_is_taken_out_if_it_has_the_index_or_is_not_there() {
    refused("a", Verb::DeleteCas(4), "failed to delete key \"a\", index is stale");
    touches("a", Verb::DeleteCas(5), &["a"]);
    touches("b", Verb::DeleteCas(5), &[]);
    touches("b", Verb::Delete, &[]);
    touches("", Verb::DeleteTree, &["a"]);
    touches("b", Verb::DeleteTree, &[]);
}

#[test]
fn an_identical_value_touches_nothing_and_keeps_the_index() {
    touches("a", Verb::Set(content("1")), &[]);
    touches("a", Verb::Set(Content { flags: 1, ..content("1") }), &["a"]);
}

#[test]
fn checks_fail_with_what_there_is() {
    refused("a", Verb::CheckIndex(4), "failed index check for key \"a\", current modify index 5 != 4");
    refused("b", Verb::CheckIndex(4), "key \"b\" doesn't exist");
    refused("a", Verb::CheckNotExists, "key \"a\" exists");
    refused("b", Verb::Get, "key \"b\" doesn't exist");
    touches("a", Verb::CheckIndex(5), &[]);
    touches("b", Verb::CheckNotExists, &[]);
}

#[test]
fn of_a_missing_key_get_or_empty_reads_its_name() {
    let done = store().operate(operation("b", Verb::GetOrEmpty), at(6)).unwrap();
    let [Found { entry, with_value: true }] = &done.found[..] else { panic!("{done:?}") };
    assert_eq!((entry.key.as_str(), entry.modify_index, entry.value.len()), ("b", 0, 0));
}

fn key() -> impl Strategy<Value = String> {
    "[ab/]{0,3}"
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        "[xy]{0,1}".prop_map(|value| Verb::Set(content(&value))),
        ("[xy]{0,1}", 0..30_u64).prop_map(|(value, index)| Verb::Cas(content(&value), index)),
        Just(Verb::Delete),
        Just(Verb::DeleteTree),
        (0..30_u64).prop_map(Verb::DeleteCas),
    ]
}

proptest! {
    /// The model: for each key its value with create and modify index, and when each prefix was last touched.
    #[test]
    fn it_behaves_as_a_map_with_indexes(steps in prop::collection::vec((key(), verb()), 0..40)) {
        let mut store = Store::new(Seed(3), 0);
        let mut model: BTreeMap<String, (Box<[u8]>, u64, u64)> = BTreeMap::new();
        let mut changed: BTreeMap<String, u64> = BTreeMap::new();
        for (index, (key, verb)) in (1..).zip(steps) {
            let current = model.get(&key).map(|(_, _, modified)| *modified);
            let allowed = match verb {
                Verb::Cas(_, expected) => current.unwrap_or(0) == expected,
                Verb::DeleteCas(expected) => current.is_none_or(|current| current == expected),
                _ => true,
            };
            let outcome = store.operate(operation(&key, verb.clone()), at(index));
            prop_assert_eq!(outcome.is_ok(), allowed);
            let mut touched = Vec::new();
            match verb {
                _ if !allowed => {}
                Verb::Set(content) | Verb::Cas(content, _) => {
                    let before = model.get(&key);
                    if before.is_none_or(|(value, _, _)| *value != content.value) {
                        let created = before.map_or(index, |(_, created, _)| *created);
                        model.insert(key.clone(), (content.value, created, index));
                        touched.push(key);
                    }
                }
                Verb::DeleteTree => {
                    touched.extend(model.keys().filter(|other| other.starts_with(&key)).cloned());
                    model.retain(|other, _| !other.starts_with(&key));
                }
                _ => touched.extend(model.remove(&key).map(|_| key)),
            }
            changed.extend(touched.iter().map(|key| (key.clone(), index)));
            let stored: Vec<_> = touched.iter().map(|key| Touched::Key(Text::from(key.as_str()))).collect();
            prop_assert_eq!(outcome.unwrap_or_default().touched, stored);
        }
        let entries: BTreeMap<_, _> = store
            .keys_below("")
            .map(|entry| (entry.key.to_string(), (entry.value.clone(), entry.create_index, entry.modify_index)))
            .collect();
        prop_assert_eq!(entries, model);
        for prefix in changed.keys().flat_map(|key| (0..=key.len()).map(move |end| &key[..end])) {
            let below = changed.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(_, index)| *index).max();
            prop_assert_eq!(store.prefix_index(prefix), below.unwrap_or(0));
            prop_assert_eq!(store.key_index(prefix), changed.get(prefix).copied().unwrap_or(0));
        }
    }
}
