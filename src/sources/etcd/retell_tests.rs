use std::sync::Arc;

use super::*;
use crate::{
    catalog::names::NodeName,
    kv::{
        self,
        query::{Query, QueryEntry},
        session::{Behavior, Session},
    },
    sources::etcd::{
        kept::{write_key, write_session},
        kept_event::write_event,
        kept_query::write_query,
    },
};

fn layout() -> Layout {
    Layout::new("/nameplate")
}

fn put_at(kept: Kept, value: &[u8]) -> client::Event {
    let key = layout().kept_key(&kept).into_bytes();
    client::Event::Put(client::KeyValue {
        key,
        value: value.to_vec(),
        create_revision: 3,
        mod_revision: 5,
        lease: 77,
        ..client::KeyValue::default()
    })
}

fn entry(value: &[u8]) -> Entry {
    let value = value.into();
    Entry {
        key: "a/b".into(),
        value,
        flags: 7,
        session: Some("s".into()),
        lock_index: 2,
        create_index: 3,
        modify_index: 5,
    }
}

fn session() -> Session {
    Session {
        id: "s".into(),
        name: "".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: Vec::new(),
        service_checks: Vec::new(),
        lock_delay: std::time::Duration::from_secs(15),
        behavior: Behavior::Release,
        ttl: None,
    }
}

/// What an event tells, and of which keys is complained.
fn tells(event: &client::Event) -> (Option<Event>, Vec<String>) {
    let mut complaints = Vec::new();
    let event = told(&layout(), event, &mut complaints);
    (event, complaints.into_iter().map(|complaint| complaint.key).collect())
}

#[track_caller]
fn check(event: &client::Event, expected: Event) {
    assert_eq!(tells(event), (Some(expected), Vec::new()));
}

#[test]
fn what_was_put_is_told_with_its_revisions() {
    let entry = entry(&[0, 255]);
    check(&put_at(Kept::Key("a/b".into()), &write_key(&entry).unwrap()), Event::Key(Box::new(entry)));
    let put = put_at(Kept::Session("s".into()), &write_session(&session()).unwrap());
    check(&put, Event::Session(Box::new(session()), 3));
    check(&put_at(Kept::SessionTtl("s".into()), b"{}"), Event::Lease("s".into(), 77));
    check(&put_at(Kept::LockDelay("a/b".into()), b"{}"), Event::Delay("a/b".into()));
    let query = Arc::new(Query { id: "q".into(), service: "web".into(), ..Query::default() });
    let put = put_at(Kept::Query("q".into()), &write_query(&query).unwrap());
    check(&put, Event::Query(QueryEntry { query, create_index: 3, modify_index: 5 }));
    let fired = kv::event::Event { number: 259, id: "e".into(), ..kv::event::Event::default() };
    check(&put_at(Kept::Event(3), &write_event(&fired).unwrap()), Event::Fired(Box::new(fired)));
}

#[test]
fn what_went_is_told_with_the_revision_at_which_it_did() {
    for (kept, expected) in [
        (Kept::Key("a/b".into()), Event::NoKey("a/b".into(), 9)),
        (Kept::Session("s".into()), Event::NoSession("s".into(), 9)),
        (Kept::SessionTtl("s".into()), Event::NoLease("s".into())),
        (Kept::LockDelay("a/b".into()), Event::NoDelay("a/b".into())),
        (Kept::Query("q".into()), Event::NoQuery("q".into(), 9)),
        (Kept::Event(3), Event::NoEvent(3)),
    ] {
        let key = layout().kept_key(&kept).into_bytes();
        check(&client::Event::Delete { key, mod_revision: 9 }, expected);
    }
}

#[test]
fn a_value_that_another_program_wrote_is_a_value() {
    let plain = Entry { flags: 0, session: None, lock_index: 0, ..entry(b"plain") };
    check(&put_at(Kept::Key("a/b".into()), b"plain"), Event::Key(Box::new(plain)));
}

#[test]
fn what_cannot_be_read_is_not_there_any_more_and_complained_of() {
    for (kept, key, gone) in [
        (Kept::Session("s".into()), "sessions/s", Event::NoSession("s".into(), 5)),
        (Kept::Query("q".into()), "queries/q", Event::NoQuery("q".into(), 5)),
        (Kept::Event(3), "events/3", Event::NoEvent(3)),
    ] {
        assert_eq!(tells(&put_at(kept, b"{}")), (Some(gone), vec![format!("/nameplate/v1/{key}")]));
    }
}

#[test]
fn what_is_of_a_node_is_not_told_here() {
    let event = client::Event::Delete { key: b"/nameplate/v1/nodes/n1".to_vec(), mod_revision: 9 };
    assert_eq!(tells(&event), (None, Vec::new()));
}
