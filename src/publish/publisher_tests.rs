use std::sync::atomic::{AtomicBool, Ordering};

use super::{rest::RESULTS_REST, *};
use crate::{
    access::directory::HashKey,
    catalog::{
        check::{CheckKey, CheckResult, CheckStatus},
        followed::Told,
        names::{CheckId, NodeName, ServiceId, ServiceName},
        node::Node,
        service::InstanceKey,
        table::Seed,
        testing::{self, check, instance, registration},
    },
    kv,
    publish::{journal::Place, snapshot::FoundService, watch::WatchKey},
};

impl Start {
    /// An empty catalog at this index, in memory only.
    pub fn example(index: u64) -> Start {
        let (journal, _) = Journal::open(Place::Ephemeral { unix_micros: 1 }).unwrap();
        Start {
            catalog: State::new(Seed(1), index),
            store: Store::new(Seed(1), index),
            access: Directory::new(Seed(1), HashKey([1; 16])),
            settings: Settings::example(),
            zones: Zones::default(),
            sources: Vec::new(),
            serial: 1,
            clock: || 1,
            journal,
            metrics: Arc::new(Metrics::new()),
        }
    }
}

/// A running publisher with one node `n1`.
pub async fn start() -> (Publisher, Feed, Arc<Published>) {
    let (publisher, feed, published) = Publisher::start(Start::example(1)).unwrap();
    feed.submit(vec![Change::RegisterNode(Node::example("n1"))]).await.unwrap();
    (publisher, feed, published)
}

pub(crate) fn register(id: &str, status: CheckStatus) -> Change {
    let check = check(&format!("service:{id}"), Some(id), status);
    testing::register(registration(instance("web", id), vec![check]))
}

fn passing(published: &Published) -> usize {
    match published.load().names.service(b"\x03web") {
        FoundService::Service(service) => service.views(None).eligible.all.len(),
        _ => 0,
    }
}

#[tokio::test]
async fn who_has_the_receipt_sees_the_change() {
    let (_publisher, feed, published) = start().await;
    let receipt = feed.submit(vec![register("web-1", CheckStatus::Passing)]).await.unwrap();
    assert!(published.load().index() >= receipt.index);
    assert_eq!(passing(&published), 1);
}

#[tokio::test]
async fn an_identical_registration_changes_nothing() {
    let (_publisher, feed, published) = start().await;
    let first = feed.submit(vec![register("web-1", CheckStatus::Passing)]).await.unwrap();
    let serial = published.load().serial;
    let second = feed.submit(vec![register("web-1", CheckStatus::Critical)]).await.unwrap();
    assert_eq!(first.index, second.index, "a check keeps its status");
    assert_eq!(published.load().serial, serial);
}

#[test]
fn an_identical_registration_of_the_same_batch_waits_for_the_disk_too() {
    let (mut writer, _feed, _published) = Writer::new(Start::example(1));
    let mut batch = Batch::default();
    let mut submit = |change| {
        let (done, _) = oneshot::channel();
        let submission = Submission { work: Work::Changes(vec![change]), accepted: Instant::now(), done };
        writer.take(submission, &mut batch);
    };
    submit(Change::RegisterNode(Node::example("n1")));
    [CheckStatus::Passing; 2].into_iter().for_each(|status| submit(register("web-1", status)));
    let durable: Vec<bool> = batch.done.iter().map(|done| done.durable).collect();
    assert_eq!(durable, [true; 3], "who sent the same again relies on it as much");
}

#[test]
fn what_a_call_sets_holds_against_what_was_found_before() {
    let (mut writer, feed, published) = Writer::new(Start::example(1));
    let mut submit = |changes| {
        let (done, _) = oneshot::channel();
        writer.batch(Some(Submission { work: Work::Changes(changes), accepted: Instant::now(), done }));
    };
    submit(vec![Change::RegisterNode(Node::example("n1")), register("web-1", CheckStatus::Passing)]);
    let key = CheckKey { node: NodeName::new("n1").unwrap(), id: CheckId::derived("service:web-1") };
    let result = |status, output: &str| CheckResult { status, output: output.into() };
    feed.report(key.clone(), result(CheckStatus::Critical, "TTL expired"));
    submit(vec![Change::SetStatus { key, result: result(CheckStatus::Passing, "here I am") }]);
    assert_eq!(passing(&published), 1);
}

#[test]
fn a_result_that_comes_while_a_batch_is_taken_is_not_forgotten() {
    let (mut writer, feed, published) = Writer::new(Start::example(1));
    let submission = |work| Submission { work, accepted: Instant::now(), done: oneshot::channel().0 };
    let changes = vec![Change::RegisterNode(Node::example("n1")), register("web-1", CheckStatus::Critical)];
    writer.batch(Some(submission(Work::Changes(changes))));
    assert_eq!(passing(&published), 0);
    let key = CheckKey { node: NodeName::new("n1").unwrap(), id: CheckId::derived("service:web-1") };
    feed.report(key, CheckResult { status: CheckStatus::Passing, output: "up".into() });
    // The batch has begun, and its results were taken, before this one came; its waking is taken with the batch.
    let mut batch = Batch::default();
    let waking = writer.intake.submissions.try_recv().unwrap();
    writer.take(waking, &mut batch);
    writer.publish(batch);
    assert_eq!(passing(&published), 1);
}

#[tokio::test]
async fn results_that_come_one_by_one_are_published_together() {
    const PUBLISHES: u32 = 10;
    let (_publisher, feed, published) = start().await;
    let changes = vec![register("web-1", CheckStatus::Passing), register("web-2", CheckStatus::Passing)];
    feed.submit(changes).await.unwrap();
    let mut ticket = published.register(WatchKey::Service(ServiceName::new("web").unwrap()));
    let key = |id| CheckKey { node: NodeName::new("n1").unwrap(), id: CheckId::derived(id) };
    let began = Instant::now();
    for number in 0..PUBLISHES {
        let status = if number % 2 == 0 { CheckStatus::Critical } else { CheckStatus::Passing };
        feed.report(key("service:web-1"), CheckResult { status, output: "first".into() });
        if number > 0 {
            tokio::task::yield_now().await;
        }
        feed.report(key("service:web-2"), CheckResult { status, output: "second".into() });
        let wanted = if number % 2 == 0 { 0 } else { 2 };
        let seen = async {
            while passing(&published) != wanted {
                ticket.changed().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), seen).await.expect("a rest ends");
    }
    assert!(began.elapsed() >= RESULTS_REST * (PUBLISHES - 1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn changes_are_applied_all_or_none() {
    let (_publisher, feed, published) = start().await;
    let unknown = Change::Deregister {
        key: InstanceKey { node: NodeName::new("n1").unwrap(), id: ServiceId::new("nobody").unwrap() },
        origin: Origin::Api,
    };
    let index = published.load().index();
    let refused = feed.submit(vec![register("web-1", CheckStatus::Passing), unknown]).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Refused(ChangeError::UnknownInstance(_))));
    assert_eq!((published.load().index(), passing(&published)), (index, 0));
}

#[tokio::test]
async fn who_waits_for_a_service_is_woken_by_its_checks() {
    let (_publisher, feed, published) = start().await;
    feed.submit(vec![register("web-1", CheckStatus::Passing)]).await.unwrap();
    let web = ServiceName::new("web").unwrap();
    let mut ticket = published.register(WatchKey::Service(web.clone()));
    let index = published.load().catalog.service_index(&web);
    let key = CheckKey { node: NodeName::new("n1").unwrap(), id: CheckId::derived("service:web-1") };
    feed.report(key, CheckResult { status: CheckStatus::Critical, output: "refused".into() });
    tokio::time::timeout(Duration::from_secs(5), async {
        while published.load().catalog.service_index(&web) <= index {
            ticket.changed().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(passing(&published), 0);
}

#[test]
fn a_serial_follows_the_clock_and_never_goes_back() {
    assert_eq!(later_serial(5, 100), 100);
    assert_eq!(later_serial(100, 5), 101);
    assert_eq!(later_serial(u32::MAX, 5), 5, "the numbers go around");
    assert_eq!(later_serial(u32::MAX, 0), 0);
}

#[tokio::test]
async fn a_panic_costs_its_batch_and_nothing_else() {
    static BROKEN: AtomicBool = AtomicBool::new(false);
    let clock = || if BROKEN.load(Ordering::SeqCst) { panic!("a test of what a panic does") } else { 1_000 };
    let start = Start { clock, ..Start::example(1) };
    let metrics = Arc::clone(&start.metrics);
    let (_publisher, feed, published) = Publisher::start(start).unwrap();
    feed.submit(vec![Change::RegisterNode(Node::example("n1"))]).await.unwrap();
    BROKEN.store(true, Ordering::SeqCst);
    let index = published.load().index();
    let refused = feed.submit(vec![register("web-1", CheckStatus::Passing)]).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Broken), "{refused}");
    assert_eq!((published.load().index(), passing(&published)), (index, 0));
    BROKEN.store(false, Ordering::SeqCst);
    feed.submit(vec![register("web-2", CheckStatus::Passing)]).await.unwrap();
    assert_eq!((passing(&published), metrics.panics.get()), (1, 1));
}

#[tokio::test]
async fn a_session_that_machines_share_is_told_of_when_it_lapses_and_ends_elsewhere() {
    let mut start = Start::example(1);
    start.store.share();
    let (_publisher, feed, published) = Publisher::start(start).unwrap();
    feed.submit(vec![Change::RegisterNode(Node::example("n1"))]).await.unwrap();
    let session = kv::session::Session {
        id: "s".into(),
        name: "".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: Vec::new(),
        service_checks: Vec::new(),
        lock_delay: Duration::ZERO,
        behavior: kv::session::Behavior::Release,
        ttl: None,
    };
    let follow = |events| kv::follow::Followed { revision: 4, told: Told::Changes, events };
    let began = follow(vec![kv::follow::Event::Session(Box::new(session), 4)]);
    feed.store(kv::change::Change::Follow(Box::new(began))).await.unwrap();
    assert_eq!((published.load().store.sessions_index(), published.take_touched_sessions()), (4, vec!["s".into()]));
    let gone = Change::DeregisterNode { name: NodeName::new("n1").unwrap(), origin: Origin::Api };
    feed.submit(vec![gone]).await.unwrap();
    assert_eq!(published.take_lapsed_sessions(), ["s"]);
    assert!(published.load().store.session("s").is_some());
    let ended = follow(vec![kv::follow::Event::NoSession("s".into(), 4)]);
    feed.store(kv::change::Change::Follow(Box::new(ended))).await.unwrap();
    assert!(published.load().store.session("s").is_none());
}
