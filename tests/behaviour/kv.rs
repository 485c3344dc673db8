//! Keys, locks, events and prepared queries on a running server: what lasts of them, and who is told.

use std::time::Duration;

use hickory_proto::{op::ResponseCode, rr::RecordType};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_query_is_in_dns_when_it_is_acknowledged_and_goes_with_its_session() {
    let Running { server, at } = start("").await;
    for (id, address, tag) in [("web-1", "192.0.2.11", "blue"), ("web-2", "192.0.2.12", "green")] {
        let body = json!({ "Name": "web", "ID": id, "Address": address, "Port": 80, "Tags": [tag] });
        assert_eq!(at.put("/v1/agent/service/register", &body.to_string()).await.status, 200);
    }
    let asked = async || at.ask("q.query.internal.", RecordType::A).await;
    assert_eq!(asked().await.rcode, ResponseCode::NXDomain);
    let session = put(&at, "/v1/session/create", "").await["ID"].clone();
    let query = |tag: &str| {
        let service = json!({ "Service": "web", "Tags": [tag] });
        json!({ "Name": "q", "Session": session, "Service": service, "DNS": { "TTL": "9s" } }).to_string()
    };
    let made = at.call("POST", "/v1/query", &query("blue")).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let first = asked().await;
    assert_eq!((&first.data[..], first.message.answers[0].ttl), (&["192.0.2.11".to_owned()][..], 9));
    let path = format!("/v1/query/{}", made.json()["ID"].as_str().unwrap());
    assert_eq!(at.put(&path, &query("!blue")).await.status, 200);
    assert_eq!(asked().await.data, ["192.0.2.12"]);
    assert_eq!(put(&at, &format!("/v1/session/destroy/{}", session.as_str().unwrap()), "").await, true);
    assert_eq!(asked().await.rcode, ResponseCode::NXDomain);
    server.shutdown().await;
}
