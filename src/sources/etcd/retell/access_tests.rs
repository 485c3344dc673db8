use super::*;
use crate::access::token::{Policy, Secret, Token};
use crate::sources::etcd::kept_access::{write_bootstrap, write_policy, write_token};

const ID: &str = "6a1253d2-1785-44fd-91c2-f8e78c745511";

fn layout() -> Layout {
    Layout::new("/nameplate")
}

fn put(kept: Kept, value: Vec<u8>) -> client::Event {
    let key = layout().kept_key(&kept).into_bytes();
    client::Event::Put(client::KeyValue {
        key,
        value,
        create_revision: 3,
        mod_revision: 5,
        lease: 77,
        ..client::KeyValue::default()
    })
}

fn delete(kept: Kept) -> client::Event {
    client::Event::Delete { key: layout().kept_key(&kept).into_bytes(), mod_revision: 9 }
}

/// What an event tells, and what is complained of.
fn tells(event: &client::Event) -> (Option<Event>, Vec<String>) {
    let mut complaints = Vec::new();
    let event = told(&layout(), event, &mut complaints);
    (event, complaints.iter().map(Complaint::to_string).collect())
}

#[test]
fn what_was_put_is_told_with_its_revisions_and_its_lease() {
    let token =
        Token { lease: 77, create_index: 3, modify_index: 5, ..Token::new(ID.into(), Secret::new("0123456789abcdef")) };
    let policy = Policy {
        id: ID.into(),
        name: "deploy".into(),
        rules: Default::default(),
        text: "".into(),
        create_index: 3,
        modify_index: 5,
        ..Policy::management()
    };
    let event = put(Kept::Token(ID.into()), write_token(&token).unwrap());
    assert_eq!(tells(&event), (Some(Event::Token(Box::new(token))), Vec::new()));
    let event = put(Kept::Policy(ID.into()), write_policy(&policy).unwrap());
    assert_eq!(tells(&event), (Some(Event::Policy(Box::new(policy))), Vec::new()));
    for value in [write_bootstrap(ID), Vec::new()] {
        assert_eq!(tells(&put(Kept::Bootstrap, value)), (Some(Event::Bootstrap(3)), Vec::new()));
    }
}

#[test]
fn what_went_is_told() {
    for (kept, expected) in [
        (Kept::Token(ID.into()), Event::NoToken(ID.into())),
        (Kept::Policy(ID.into()), Event::NoPolicy(ID.into())),
        (Kept::Bootstrap, Event::NoBootstrap),
    ] {
        assert_eq!(tells(&delete(kept)), (Some(expected), Vec::new()));
    }
}

#[test]
fn what_cannot_be_read_counts_as_not_there_and_is_complained_of() {
    let rules = br#"{"Name": "deploy", "Rules": "servce_prefix \"\" { policy = \"write\" }"}"#;
    let (event, complaints) = tells(&put(Kept::Policy(ID.into()), rules.into()));
    assert_eq!((event, complaints.len()), (Some(Event::NoPolicy(ID.into())), 1));
    assert!(complaints[0].contains("/policies/") && complaints[0].contains("Rules"), "{complaints:?}");
    let secret = br#"{"SecretID": 1234567890123456}"#;
    let (event, complaints) = tells(&put(Kept::Token(ID.into()), secret.into()));
    assert_eq!((event, complaints.len()), (Some(Event::NoToken(ID.into())), 1));
    assert!(complaints[0].contains("SecretID") && !complaints[0].contains("123456"), "{complaints:?}");
}

#[test]
fn what_is_of_another_part_of_the_layout_tells_nothing() {
    for kept in [Kept::Key("policies/a".into()), Kept::Session("s".into()), Kept::Barrier("n1".into())] {
        assert_eq!(tells(&put(kept.clone(), b"{}".into())), (None, Vec::new()));
        assert_eq!(tells(&delete(kept)), (None, Vec::new()));
    }
}
