use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::{super::tests::register, *};
use crate::{
    access::{
        Level, Rules,
        directory::{Directory, HashKey},
        follow::{Event, Followed},
        token::{ANONYMOUS_ACCESSOR_ID, Policy, Secret, Token},
    },
    catalog::{change::Change, check::CheckStatus, followed::Told, names::NodeName, node::Node, table::Seed},
    kv::store::Store,
    publish::{
        feed::{Submission, SubmitError, Work},
        publisher::{Publisher, Start},
        settings::AccessSettings,
        sharing::Wanted,
        snapshot::FoundService,
        watch::Published,
    },
};

/// With access control on, and nothing for callers without a token.
fn guarded(clock: fn() -> u64) -> Start {
    let file = Arc::new(Directory::new(Seed(1), HashKey([1; 16])));
    let access = Some(AccessSettings { file, anonymous: Level::Deny });
    Start { clock, settings: Settings { access, ..Settings::example() }, ..Start::example(1) }
}

fn policy(text: &str) -> Policy {
    let rules = Arc::new(Rules::parse(text).unwrap());
    let (id, name) = ("p".into(), "look".into());
    Policy { id, name, description: "".into(), text: text.into(), rules, create_index: 0, modify_index: 0 }
}

fn token(accessor_id: &str, expires_secs: Option<u64>) -> Token {
    let secret = Secret::new(format!("secret of {accessor_id}"));
    Token { expires_secs, ..Token::new(accessor_id.into(), secret) }
}

fn is_shown(published: &Published) -> bool {
    matches!(published.load().names.service(b"\x03web"), FoundService::Service(_))
}

#[tokio::test]
async fn dns_shows_what_the_anonymous_token_may_read_as_soon_as_that_changes() {
    let (_publisher, feed, published) = Publisher::start(guarded(|| 1)).unwrap();
    feed.submit(vec![Change::RegisterNode(Node::example("n1"))]).await.unwrap();
    feed.submit(vec![register("web-1", CheckStatus::Passing)]).await.unwrap();
    assert!(!is_shown(&published), "nobody without a token may read anything");
    let look = "service_prefix \"\" { policy = \"read\" }\nnode_prefix \"\" { policy = \"read\" }";
    feed.access(AccessChange::CreatePolicy(policy(look))).await.unwrap();
    assert!(!is_shown(&published));
    let serial = published.load().serial;
    let anonymous =
        |policies: Vec<Arc<str>>| AccessChange::UpdateToken(Token { policies, ..token(ANONYMOUS_ACCESSOR_ID, None) });
    let receipt = feed.access(anonymous(vec!["p".into()])).await.unwrap();
    assert!(is_shown(&published) && published.load().index() >= receipt.index);
    assert_ne!(published.load().serial, serial, "other servers must see that the zone is another");
    feed.access(AccessChange::UpdatePolicy(policy("node_prefix \"\" { policy = \"read\" }"))).await.unwrap();
    assert!(!is_shown(&published));
    feed.access(AccessChange::UpdatePolicy(policy(look))).await.unwrap();
    assert!(is_shown(&published));
    feed.access(AccessChange::DeletePolicy("p".into())).await.unwrap();
    assert!(!is_shown(&published));
}

#[tokio::test]
async fn what_is_refused_changes_nothing_and_keeps_what_was_made_ready() {
    let (_publisher, feed, published) = Publisher::start(guarded(|| 1)).unwrap();
    feed.access(AccessChange::CreateToken(token("a", None))).await.unwrap();
    let before = published.load();
    let refused = feed.access(AccessChange::CreateToken(token("a", None))).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Access(AccessError::IdTaken(_))), "{refused}");
    feed.access(AccessChange::UpdateToken(token("a", None))).await.unwrap();
    let after = published.load();
    assert!(Arc::ptr_eq(&before.realm, &after.realm) && before.index() == after.index());
}

#[tokio::test]
async fn new_settings_bring_the_file_and_leave_what_was_stored() {
    let (_publisher, feed, published) = Publisher::start(guarded(|| 1)).unwrap();
    feed.access(AccessChange::CreateToken(token("stored", None))).await.unwrap();
    let mut file = Directory::new(Seed(1), HashKey([1; 16]));
    file.apply(AccessChange::CreateToken(token("file", None)), 1).unwrap();
    let access = Some(AccessSettings { file: Arc::new(file), anonymous: Level::Read });
    feed.set_settings(Settings { access, ..Settings::example() }).await.unwrap();
    let snapshot = published.load();
    assert!(snapshot.realm.token("stored").is_some() && snapshot.realm.token("file").is_some());
    assert!(snapshot.settings.shows_service("web"), "the default for callers without a token is another");
}

#[test]
fn tokens_go_when_their_time_is_over_and_not_before() {
    static NOW: AtomicU64 = AtomicU64::new(1000);
    let (mut writer, _feed, published) = Writer::new(guarded(|| NOW.load(Ordering::SeqCst)));
    assert_eq!(writer.until_expiry(), Duration::MAX);
    for (id, expires_secs) in [("a", Some(1010)), ("b", Some(1070)), ("c", None)] {
        let (done, _) = oneshot::channel();
        let work = Work::Access(Box::new(AccessChange::CreateToken(token(id, expires_secs))));
        writer.batch(Some(Submission { work, accepted: std::time::Instant::now(), done }));
    }
    let there = || -> Vec<bool> { ["a", "b", "c"].map(|id| published.load().realm.token(id).is_some()).into() };
    assert_eq!(writer.until_expiry(), Duration::from_secs(10));
    NOW.store(1009, Ordering::SeqCst);
    writer.expire();
    assert_eq!(there(), [true, true, true]);
    NOW.store(1010, Ordering::SeqCst);
    let index = published.load().index();
    writer.expire();
    assert_eq!(there(), [false, true, true]);
    assert_eq!(published.load().index(), index + 1);
    assert_eq!(writer.until_expiry(), CLOCK_LOOKED_AT.min(Duration::from_secs(60)));
    NOW.store(5000, Ordering::SeqCst);
    writer.expire();
    assert_eq!(there(), [false, false, true]);
    assert_eq!(writer.until_expiry(), Duration::MAX);
}

#[test]
fn what_expired_while_the_server_was_stopped_goes_at_the_start() {
    let mut access = Directory::new(Seed(1), HashKey([1; 16]));
    access.apply(AccessChange::CreateToken(token("a", Some(5))), 1).unwrap();
    let (mut writer, _feed, published) = Writer::new(Start { access, ..guarded(|| 10) });
    assert_eq!(writer.until_expiry(), Duration::ZERO);
    writer.expire();
    assert!(published.load().realm.token("a").is_none());
}

#[test]
fn what_machines_share_is_ended_by_their_store_alone() {
    let mut access = Directory::new(Seed(1), HashKey([1; 16]));
    access.apply(AccessChange::CreateToken(token("a", Some(5))), 1).unwrap();
    let mut store = Store::new(Seed(1), 0);
    store.share();
    let (mut writer, _feed, published) = Writer::new(Start { access, store, ..guarded(|| 10) });
    assert_eq!(writer.until_expiry(), Duration::MAX);
    writer.expire();
    assert!(published.load().realm.token("a").is_some());
}

#[tokio::test]
async fn what_the_shared_store_has_is_followed_and_changes_are_asked_of_it() {
    let mut store = Store::new(Seed(1), 0);
    store.share();
    let (_publisher, feed, published) = Publisher::start(Start { store, ..guarded(|| 1) }).unwrap();
    feed.submit(vec![Change::RegisterNode(Node::example("n1"))]).await.unwrap();
    feed.submit(vec![register("web-1", CheckStatus::Passing)]).await.unwrap();
    let look = policy("service_prefix \"\" { policy = \"read\" }\nnode_prefix \"\" { policy = \"read\" }");
    let anonymous = Token { policies: vec!["p".into()], modify_index: 77, ..token(ANONYMOUS_ACCESSOR_ID, None) };
    let events = vec![Event::Policy(Box::new(look)), Event::Token(Box::new(anonymous))];
    let follow = async |told, events| {
        let followed = Followed { revision: 77, told, events };
        feed.access(AccessChange::Follow(Box::new(followed))).await.unwrap();
    };
    follow(Told::Everything, events).await;
    assert!(is_shown(&published));
    let index = published.load().realm.stored.index();
    assert!(index <= published.load().index(), "the index of reads is this machine's own");
    follow(Told::Changes, vec![Event::NoPolicy("p".into())]).await;
    assert!(!is_shown(&published) && published.load().realm.stored.index() > index);
    let mut requests = feed.take_requests(NodeName::new("n9").unwrap()).unwrap();
    let asking = tokio::spawn(async move { feed.access(AccessChange::DeletePolicy("p".into())).await });
    let request = requests.recv().await.unwrap();
    let wanted = Box::new(AccessChange::DeletePolicy("p".into()));
    assert!(matches!(request.wanted, Wanted::Access(asked) if asked == wanted));
    request.done.send(Err(SubmitError::NoLeader)).unwrap();
    assert!(matches!(asking.await.unwrap(), Err(SubmitError::NoLeader)));
}
