use std::time::Duration;

use super::*;
use crate::{
    access::{
        directory::{AccessChange, Directory, HashKey},
        token::{Secret, Token},
    },
    catalog::{state::State, table::Seed},
    kv::{
        At,
        change::Change,
        event::Event,
        operation::{Content, Operation, Verb},
        query::Query,
    },
};

const AT: At = At { index: 7, now: Duration::ZERO };

fn apply(store: &mut Store, change: Change) {
    store.apply(change, &State::new(Seed(1), 1), AT).unwrap();
}

fn put(store: &mut Store, key: &str) {
    let content = Content { value: b"1".as_slice().into(), flags: 0 };
    store.operate(Operation { key: key.into(), verb: Verb::Set(content) }, AT).unwrap();
}

fn fire(store: &mut Store) {
    apply(store, Change::Fire(Event { id: "e".into(), name: "e".into(), ..Event::default() }));
}

#[test]
fn what_is_gone_is_counted_by_kind() {
    let empty = (Store::new(Seed(1), 0), Realm::of(Directory::new(Seed(1), HashKey([1; 16]))));
    let (mut store, mut realm) = empty.clone();
    for key in ["a", "b", "c"] {
        put(&mut store, key);
    }
    fire(&mut store);
    apply(&mut store, Change::SetQuery(Box::new(Query { id: "q".into(), service: "web".into(), ..Query::default() })));
    realm.stored.apply(AccessChange::CreateToken(Token::new("t".into(), Secret::new("s"))), 1).unwrap();
    let known = |(store, realm)| Known { store, realm };
    let (before, none) = (known((&store, &realm)), known((&empty.0, &empty.1)));
    assert_eq!(gone(before, before), "");
    assert_eq!(gone(none, before), "");
    assert_eq!(gone(before, none), "3 of 3 keys, 1 of 1 prepared queries, 1 of 1 events, 1 of 1 tokens");
    let mut after = empty.0.clone();
    put(&mut after, "b");
    put(&mut after, "d");
    // Another machine's, with the number of the one that was known.
    fire(&mut after);
    assert_eq!(gone(before, known((&after, &realm))), "2 of 3 keys, 1 of 1 prepared queries");
}
