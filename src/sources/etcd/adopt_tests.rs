use std::{sync::Arc, time::Duration};

use super::{super::client::fake::keeper::Keeper, *};
use crate::{
    access::{
        directory::{AccessChange, HashKey},
        token::{Policy, Secret, Token},
    },
    catalog::{names::NodeName, state::State, table::Seed},
    kv::{
        At,
        change::Change,
        operation::{Content, Operation, Verb},
        session::{Behavior, Session},
    },
};

const PREFIX: &str = "/nameplate";

fn empty() -> (Store, Directory) {
    (Store::new(Seed(1), 0), Directory::new(Seed(1), HashKey([1; 16])))
}

/// A key, a session with a time, a policy, a token, one that ends in five minutes, and one that has ended.
fn some() -> (Store, Directory) {
    let (mut store, mut directory) = empty();
    let at = At { index: 7, now: Duration::ZERO };
    let content = Content { value: b"1".as_slice().into(), flags: 0 };
    store.operate(Operation { key: "app/a".into(), verb: Verb::Set(content) }, at).unwrap();
    let session = Session {
        id: "s1".into(),
        name: "".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: Vec::new(),
        service_checks: Vec::new(),
        lock_delay: Duration::ZERO,
        behavior: Behavior::Release,
        ttl: Some((Duration::from_secs(30), "30s".into())),
    };
    let mut catalog = State::new(Seed(1), 1);
    catalog.apply(crate::catalog::change::Change::RegisterNode(crate::catalog::node::Node::example("n1"))).unwrap();
    store.apply(Change::CreateSession(Box::new(session)), &catalog, at).unwrap();
    let policy = Policy { id: "p1".into(), name: "deploy".into(), ..Policy::management() };
    directory.apply(AccessChange::CreatePolicy(policy), 1).unwrap();
    for (number, expires_secs) in [(1, None), (2, Some(1300)), (3, Some(1000))] {
        let secret = Secret::new(format!("secret-{number}"));
        let token = Token { expires_secs, ..Token::new(Arc::from(format!("t{number}")), secret) };
        directory.apply(AccessChange::CreateToken(token), 2).unwrap();
    }
    (store, directory)
}

async fn adopts(keeper: &Keeper, own: &(Store, Directory), side: Option<Side>) -> Result<(), String> {
    let own = Own { store: &own.0, directory: &own.1, now_secs: 1000 };
    adopt((PREFIX, &keeper.client()), own, side).await.map_err(|error| error.to_string())
}

/// What lies there of all that [`some`] has, and the seconds of the leases.
const COPIED: [(&str, i64); 7] = [
    ("/nameplate/v1/bootstrap/acl", 0),
    ("/nameplate/v1/kv/app/a", 0),
    ("/nameplate/v1/policies/p1", 0),
    ("/nameplate/v1/session-ttls/s1", 30),
    ("/nameplate/v1/sessions/s1", 0),
    ("/nameplate/v1/tokens/t1", 0),
    ("/nameplate/v1/tokens/t2", 300),
];

fn copied() -> Vec<(String, i64)> {
    COPIED.map(|(key, secs)| (key.to_owned(), secs)).into()
}

#[tokio::test]
async fn what_a_machine_has_goes_where_nothing_is() {
    // What is of nodes is no matter of it.
    let node = "/nameplate/v1/nodes/n2";
    let keeper = Keeper::start(&[node]).await;
    adopts(&keeper, &some(), None).await.unwrap();
    let mut expected = copied();
    expected.insert(2, (node.to_owned(), 0));
    assert_eq!(keeper.keys(), expected);
}

#[tokio::test]
async fn a_machine_that_has_nothing_leaves_all_as_it_is() {
    let keeper = Keeper::start(&["/nameplate/v1/kv/theirs"]).await;
    adopts(&keeper, &empty(), None).await.unwrap();
    let (store, mut directory) = empty();
    let token = || Token::new("t1".into(), Secret::new("s"));
    directory.apply(AccessChange::CreateToken(token()), 1).unwrap();
    directory.apply(AccessChange::DeleteToken("t1".into()), 2).unwrap();
    adopts(&keeper, &(store, directory), None).await.unwrap();
    assert_eq!(keeper.keys(), [("/nameplate/v1/kv/theirs".to_owned(), 0)]);
}

#[tokio::test]
async fn that_a_first_token_was_made_goes_where_nothing_is() {
    let keeper = Keeper::start(&[]).await;
    let (store, mut directory) = empty();
    directory.apply(AccessChange::CreateToken(Token::new("t1".into(), Secret::new("s"))), 1).unwrap();
    directory.apply(AccessChange::DeleteToken("t1".into()), 2).unwrap();
    adopts(&keeper, &(store, directory), None).await.unwrap();
    assert_eq!(keeper.keys(), [("/nameplate/v1/bootstrap/acl".to_owned(), 0)]);
}

#[tokio::test]
async fn where_both_have_some_an_operator_says_which_hold() {
    for theirs in ["kv/theirs", "sessions/theirs", "policies/theirs", "tokens/theirs", "bootstrap/acl"] {
        let theirs = format!("/nameplate/v1/{theirs}");
        let keeper = Keeper::start(&[&theirs]).await;
        let before = keeper.keys();
        let refused = adopts(&keeper, &some(), None).await.unwrap_err();
        let expected = "this machine has 1 keys, 1 sessions, 1 policies, 3 tokens of its own";
        assert!(refused.starts_with(expected) && refused.contains("--store-adopt"), "{refused}");
        assert_eq!(keeper.keys(), before);
        adopts(&keeper, &some(), Some(Side::Remote)).await.unwrap();
        assert_eq!(keeper.keys(), before);
        adopts(&keeper, &some(), Some(Side::Local)).await.unwrap();
        assert_eq!(keeper.keys(), copied());
    }
}
