use super::*;
use crate::{
    catalog::names::NodeName,
    kv::session::Behavior,
    publish::publisher::{Publisher, Start, tests::start},
};

fn session(id: &str, ttl: Option<Duration>) -> Session {
    Session {
        id: id.into(),
        name: "".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: Vec::new(),
        service_checks: Vec::new(),
        lock_delay: Duration::ZERO,
        behavior: Behavior::Release,
        ttl: ttl.map(|ttl| (ttl, "".into())),
    }
}

async fn create(feed: &Feed, session: Session) {
    feed.store(Change::CreateSession(Box::new(session))).await.unwrap();
}

async fn until_sessions(published: &Arc<Published>, count: usize) {
    let mut ticket = published.register(crate::publish::watch::WatchKey::Sessions);
    while published.load().store.session_count() != count {
        tokio::time::timeout(Duration::from_secs(10), ticket.changed()).await.expect("it comes soon");
    }
}

#[tokio::test]
async fn a_session_lives_as_long_as_its_time_from_its_last_renewal_on() {
    let (_publisher, feed, published) = start().await;
    let times = SessionTimes::new(Arc::clone(&published));
    let ten = Duration::from_secs(10);
    create(&feed, session("one", Some(ten))).await;
    create(&feed, session("two", Some(ten))).await;
    create(&feed, session("ever", None)).await;
    let begun = Instant::now();
    for id in published.take_touched_sessions() {
        times.look(&id, begun);
    }
    times.renew_at(&session("two", Some(ten)), begun + ten / 2);
    let again = begun + 9 * ten;
    assert!(times.expire(begun + ten - Duration::from_nanos(1), again).is_empty());
    assert_eq!(times.expire(begun + ten, again), ["one"]);
    times.look(&"two".into(), begun + ten);
    assert_eq!(times.expire(begun + ten * 3 / 2, again), ["two"]);
    feed.store(Change::DestroySession("two".into())).await.unwrap();
    times.look(&"two".into(), begun);
    assert_eq!(times.expire(again, again + ten), ["one"]);
}

#[tokio::test]
async fn a_session_whose_time_has_passed_ends() {
    let (_publisher, feed, published) = start().await;
    let sessions = Sessions::start(feed.clone(), Arc::clone(&published));
    create(&feed, session("short", Some(Duration::from_millis(150)))).await;
    create(&feed, session("long", Some(Duration::from_secs(3600)))).await;
    until_sessions(&published, 1).await;
    assert!(published.load().store.session("long").is_some());
    sessions.shutdown().await;
}

#[tokio::test]
async fn a_session_that_was_restored_has_its_whole_time_and_ends_if_its_node_is_gone() {
    let mut start = Start::example(10);
    let stored = crate::kv::store::Stored {
        sessions: vec![(session("orphan", Some(Duration::from_secs(3600))), 5)],
        ..Default::default()
    };
    start.store = crate::kv::store::Store::restore(start.catalog.seed(), 10, stored);
    let (_publisher, feed, published) = Publisher::start(start).unwrap();
    assert_eq!(published.load().store.session_count(), 1);
    let _sessions = Sessions::start(feed, Arc::clone(&published));
    until_sessions(&published, 0).await;
}
