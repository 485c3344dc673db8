use super::*;
use crate::catalog::{
    check::CheckStatus,
    names::{CheckId, NodeName},
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
