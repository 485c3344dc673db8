//! Many reads that wait: each is woken by its own service alone, and what they are told is made once.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::{
    harness::{Client, Running, start},
    waiters::Waiters,
};

async fn counters(at: Client) -> [f64; 3] {
    [
        at.metric("nameplate_http_woken_total").await,
        at.metric("nameplate_http_results_made_total").await,
        at.metric("nameplate_http_results_shared_total").await,
    ]
}

/// Changes some services, and looks at who is woken by it, and for whom results are made.
async fn check(at: Client, mut waiters: Waiters) {
    let (before, of_each, changes) = (counters(at).await, waiters.of_each(), 10);
    at.register(json!({ "Name": "nobody-waits", "Port": 80 })).await;
    assert_eq!(counters(at).await[0], before[0], "another service wakes nobody");
    for service in 0..changes {
        let reached = waiters.change(service * 3, 2).await;
        assert!(reached < Duration::from_secs(2), "{reached:?}");
    }
    let after = counters(at).await;
    let [woken, made, shared] = [0, 1, 2].map(|one| (after[one] - before[one]) as usize);
    assert_eq!(woken, changes * of_each, "each is woken once, by its own");
    assert_eq!(made + shared, changes * of_each);
    // Another snapshot may come while they are answered: the server looks at its own health now and then.
    assert!((changes..=2 * changes).contains(&made), "{made} results were made for {changes} changes");
    assert_eq!(at.metric("nameplate_http_blocked").await as usize, waiters.waiting());
}

fn many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_wakes_those_who_wait_for_it_on_connections_of_their_own() {
    many_files();
    let Running { server, at } = start("").await;
    let mut waiters = Waiters::prepare(at, 50).await;
    waiters.add_http1(500, 100).await;
    check(at, waiters).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_wakes_those_who_wait_for_it_as_streams_of_http_2() {
    let Running { server, at } = start("").await;
    let mut waiters = Waiters::prepare(at, 50).await;
    waiters.add_http2(2_000, 200, 5).await;
    check(at, waiters).await;
    server.shutdown().await;
}
