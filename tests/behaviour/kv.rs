//! Keys, locks, events and prepared queries on a running server: what lasts of them, and who is told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, Running, start};

async fn put(at: &Client, path: &str, body: &str) -> Value {
    let page = at.put(path, body).await;
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    page.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_locks_and_events_outlive_a_restart_and_the_index_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let toml = format!("data_dir = {:?}", data.path());
    let Running { server, at } = start(&toml).await;
    assert_eq!(put(&at, "/v1/kv/app/a?flags=7", "1").await, true);
    assert_eq!(put(&at, "/v1/kv/app/b", "2").await, true);
    let session = put(&at, "/v1/session/create", r#"{"TTL": "1h", "Behavior": "delete"}"#).await["ID"].clone();
    let session = session.as_str().unwrap();
    assert_eq!(put(&at, &format!("/v1/kv/lock?acquire={session}"), "me").await, true);
    put(&at, "/v1/event/fire/deploy", "1.2").await;
    let kept = async |at: &Client| {
        [at.json("/v1/kv/?recurse").await, at.json("/v1/session/list").await, at.json("/v1/event/list").await]
    };
    let (before, index) = (kept(&at).await, at.get("/v1/kv/?recurse").await.index());
    server.shutdown().await;

    let Running { server, at } = start(&toml).await;
    assert_eq!(kept(&at).await, before);
    assert!(at.get("/v1/kv/none").await.index() >= index, "what went in an earlier life may have gone now");
    let other = put(&at, "/v1/session/create", "").await["ID"].clone();
    assert_eq!(put(&at, &format!("/v1/kv/lock?acquire={}", other.as_str().unwrap()), "").await, false);
    assert_eq!(put(&at, &format!("/v1/session/destroy/{session}"), "").await, true);
    assert_eq!(at.get("/v1/kv/lock").await.status, 404);
    server.shutdown().await;

    let Running { server, at } = start(&toml).await;
    assert_eq!(at.json("/v1/kv/?keys").await, json!(["app/a", "app/b"]));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_not_renewed_ends_and_gives_its_lock_up() {
    let Running { server, at } = start("").await;
    let create = async |body: &str| put(&at, "/v1/session/create", body).await["ID"].as_str().unwrap().to_owned();
    let short = create(r#"{"TTL": "10s", "LockDelay": 0}"#).await;
    let other = create(r#"{"TTL": "10s"}"#).await;
    assert_eq!(put(&at, &format!("/v1/kv/lock?acquire={short}"), "").await, true);
    assert_eq!(put(&at, &format!("/v1/kv/lock?acquire={other}"), "").await, false);
    let ends = async {
        while at.json(&format!("/v1/session/info/{short}")).await != json!([]) {
            assert_eq!(at.put(&format!("/v1/session/renew/{other}"), "").await.status, 200);
            let pause = tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>());
            assert!(pause.await.is_err());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ends).await.expect("the session ends after its 10 s");
    assert_eq!(put(&at, &format!("/v1/kv/lock?acquire={other}"), "").await, true);
    server.shutdown().await;
}
