//! Reads that wait for a change.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Client, Page, Running, start, until};

/// Starts a read that waits, and returns when it does.
async fn waiting(at: Client, service: &str, index: u64) -> tokio::task::JoinHandle<Page> {
    let path = format!("/v1/health/service/{service}?index={index}&wait=8s");
    let read = tokio::spawn(async move { at.get(&path).await });
    until("the read waits", async || at.metric("nameplate_http_blocked").await >= 1.0).await;
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_read_is_answered_when_a_check_changes() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Port": 80, "Check": { "TTL": "1m", "Status": "passing" } })).await;
    let index = at.index("web").await;
    let read = waiting(at, "web", index).await;
    assert_eq!(at.put("/v1/agent/check/pass/service:web", "").await.status, 200);
    at.register(json!({ "Name": "other", "Port": 80 })).await;
    assert!(!read.is_finished(), "neither a heartbeat nor another service is news");
    assert_eq!(at.put("/v1/agent/check/fail/service:web?note=gone", "").await.status, 200);
    let page = read.await.unwrap();
    assert!(page.index() > index);
    assert_eq!(page.json()[0]["Checks"][1]["Output"], "gone");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_read_is_answered_when_the_last_instance_goes() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Port": 80 })).await;
    let index = at.index("web").await;
    let read = waiting(at, "web", index).await;
    assert_eq!(at.put("/v1/agent/service/deregister/web", "").await.status, 200);
    let page = read.await.unwrap();
    assert_eq!(page.json(), json!([]));
    assert!(page.index() > index);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_above_the_results_own_is_answered_at_once() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Port": 80 })).await;
    let index = at.index("web").await;
    let began = Instant::now();
    let page = at.get(&format!("/v1/health/service/web?index={}&wait=5m", index + 1000)).await;
    assert_eq!(page.index(), index);
    assert!(began.elapsed() < Duration::from_secs(2));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_waits_for_nothing_ends_with_its_time() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Port": 80 })).await;
    let index = at.index("web").await;
    let began = Instant::now();
    let page = at.get(&format!("/v1/health/service/web?index={index}&wait=500ms")).await;
    assert_eq!((page.status, page.index()), (200, index));
    assert!(began.elapsed() >= Duration::from_millis(500));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_read_is_answered_when_the_server_stops() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Port": 80 })).await;
    let read = waiting(at, "web", at.index("web").await).await;
    let began = Instant::now();
    server.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(read.await.unwrap().status, 200);
}
