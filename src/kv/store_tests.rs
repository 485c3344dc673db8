use std::time::Duration;

use super::*;
use crate::kv::{
    At,
    operation::{Content, Operation, Verb},
};

fn at(index: u64) -> At {
    At { index, now: Duration::ZERO }
}

fn set(store: &mut Store, key: &str, index: u64) {
    let content = Content { value: key.as_bytes().into(), flags: 0 };
    store.operate(Operation { key: key.into(), verb: Verb::Set(content) }, at(index)).unwrap();
}

fn delete(store: &mut Store, key: &str, index: u64) {
    store.operate(Operation { key: key.into(), verb: Verb::Delete }, at(index)).unwrap();
}

fn filled(keys: &[&str]) -> Store {
    let mut store = Store::new(Seed(1), 0);
    for (index, key) in (1..).zip(keys) {
        set(&mut store, key, index);
    }
    store
}

#[track_caller]
fn check_names(keys: &[&str], (prefix, separator): (&str, &str), expected: &[&str]) {
    assert_eq!(filled(keys).names_below(prefix, separator), expected);
}

#[test]
fn names_are_cut_behind_the_first_separator_after_the_prefix() {
    let keys = ["a", "a/b", "a/c/d", "a/c/e", "a/c0", "b/x", "c"];
    check_names(&keys, ("", ""), &["a", "a/b", "a/c/d", "a/c/e", "a/c0", "b/x", "c"]);
    check_names(&keys, ("", "/"), &["a", "a/", "b/", "c"]);
    check_names(&keys, ("a/", "/"), &["a/b", "a/c/", "a/c0"]);
    check_names(&keys, ("a/c", "/"), &["a/c/", "a/c0"]);
    check_names(&keys, ("a/c", "c"), &["a/c/d", "a/c/e", "a/c0"]);
    check_names(&keys, ("", "/c"), &["a", "a/b", "a/c", "b/x", "c"]);
    check_names(&keys, ("d", "/"), &[]);
}

#[test]
fn a_key_has_the_index_of_its_last_change_also_when_it_went() {
    let mut store = filled(&["a", "b"]);
    assert_eq!((store.key_index("a"), store.key_index("b"), store.key_index("c")), (1, 2, 0));
    delete(&mut store, "a", 3);
    assert_eq!((store.key_index("a"), store.key_index("b"), store.key_index("c")), (3, 2, 0));
    set(&mut store, "a", 4);
    assert_eq!(store.key_index("a"), 4);
    assert!(store.graves.is_empty());
}

#[test]
fn a_prefix_has_the_index_of_the_last_change_below_it() {
    let mut store = filled(&["a/b", "a/c", "b"]);
    let indexes = |store: &Store| ["", "a", "a/", "a/c", "b", "x"].map(|prefix| store.prefix_index(prefix));
    assert_eq!(indexes(&store), [3, 2, 2, 2, 3, 0]);
    delete(&mut store, "a/b", 4);
    assert_eq!(indexes(&store), [4, 4, 4, 2, 3, 0]);
    store.operate(Operation { key: "a/".into(), verb: Verb::DeleteTree }, at(5)).unwrap();
    assert_eq!(indexes(&store), [5, 5, 5, 5, 3, 0]);
}

#[test]
fn of_very_many_keys_that_went_the_index_is_that_of_the_last() {
    let mut store = Store::new(Seed(1), 0);
    for index in 1..=GRAVES_MAX as u64 {
        store.bury(&Text::from(format!("{index}")), index);
    }
    assert_eq!((store.key_index("1"), store.key_index("never")), (1, 0));
    let next = GRAVES_MAX as u64 + 1;
    store.bury(&Text::from("last"), next);
    assert_eq!((store.key_index("1"), store.key_index("never")), (next - 1, next - 1));
    assert_eq!((store.key_index("last"), store.graves.len()), (next, 1));
}
