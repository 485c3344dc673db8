use super::*;
use crate::{
    catalog::{
        check::CheckStatus,
        names::{CheckId, NodeName},
        transaction::{Action, Subject},
    },
    kv::operation::Verb,
};

#[tokio::test]
async fn who_finds_the_queue_full_is_told_after_five_seconds() {
    let (feed, mut intake) = Feed::new(false);
    let submit = |feed: Feed| tokio::spawn(async move { feed.submit(Vec::new()).await.map(|receipt| receipt.index) });
    let waiting: Vec<_> = (0..QUEUE_MAX).map(|_| submit(feed.clone())).collect();
    while intake.submissions.len() < QUEUE_MAX {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let refused = feed.submit(Vec::new()).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Busy), "{refused}");
    assert!(began.elapsed() >= WAIT_MAX && began.elapsed() < WAIT_MAX + Duration::from_secs(3));
    // Who has a place is served, however long it takes.
    for _ in 0..QUEUE_MAX {
        let submission = intake.submissions.recv().await.unwrap();
        submission.done.send(Ok(Receipt { index: 7, found: Vec::new() })).unwrap();
    }
    for outcome in waiting {
        assert_eq!(outcome.await.unwrap().unwrap(), 7);
    }
}

#[tokio::test]
async fn results_are_kept_one_a_check_and_wake_once() {
    let (feed, mut intake) = Feed::new(false);
    let key = |id: &str| CheckKey { node: NodeName::new("n1").unwrap(), id: CheckId::new(id).unwrap() };
    let result = |output: &str| CheckResult { status: CheckStatus::Passing, output: output.into() };
    for round in ["first", "second"] {
        for id in ["a", "b", "a"] {
            feed.report(key(id), result(&format!("{round} {id}")));
        }
        feed.report(key("a"), result(round));
        assert_eq!(intake.submissions.len(), 1, "one wakes for all");
        assert!(matches!(intake.submissions.recv().await.unwrap().work, Work::Results));
        let results = intake.take_results();
        assert_eq!((results.len(), &*results[&key("a")].output.shown("")), (2, round));
    }
}

/// What is asked of who writes what machines share.
#[tokio::test]
async fn what_machines_share_is_asked_of_who_writes_it_and_nothing_else() {
    let (feed, mut intake) = Feed::new(true);
    let mut requests = feed.take_requests(NodeName::new("n1").unwrap()).unwrap();
    assert!(
        feed.take_requests(NodeName::new("n1").unwrap()).is_none()
            && Feed::new(false).0.take_requests(NodeName::new("n1").unwrap()).is_none()
    );
    let key = || Operation::Key(kv::operation::Operation { key: "a".into(), verb: Verb::Delete });
    let node = || {
        let subject = Subject::Node(NodeName::new("n1").unwrap());
        Operation::Catalog(crate::catalog::transaction::Operation { subject, action: Action::Get })
    };
    let mixed = feed.transact(vec![key(), node()]).await.unwrap_err();
    assert!(matches!(mixed, SubmitError::Mixed), "{mixed}");
    let asking = |feed: Feed| tokio::spawn(async move { feed.transact(vec![key()]).await });
    let asked = asking(feed.clone());
    let request = requests.recv().await.unwrap();
    assert!(matches!(&request.wanted, Wanted::Operations(operations) if operations.len() == 1));
    request.done.send(Err(SubmitError::NoLeader)).unwrap();
    assert_eq!(asked.await.unwrap().unwrap_err().to_string(), "No cluster leader");
    for (change, shared) in [
        (kv::change::Change::DestroySession("s".into()), true),
        (kv::change::Change::DeleteQuery("q".into()), true),
        (kv::change::Change::Fire(kv::event::Event::default()), true),
    ] {
        let feed = feed.clone();
        let asked = tokio::spawn(async move { feed.store(change).await });
        tokio::select! {
            request = requests.recv() => assert!(shared && request.is_some()),
            submission = intake.submissions.recv() => assert!(!shared && submission.is_some()),
        }
        asked.abort();
    }
    let local = Feed::new(false).0;
    assert!(local.renew_shared("s".into()).await.is_ok() && local.catch_up().await.is_ok());
    drop(requests);
    assert!(matches!(asking(feed).await.unwrap(), Err(SubmitError::Closed)));
}
