//! `api.Lock` and `api.Semaphore` of Consul's Go library, which consul-template, consul-esm, Vault and others use.

use serde_json::{Value, json};

use super::{Caller, go_index};
use crate::harness::{Running, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_goes_from_one_to_the_next() {
    let Running { server, at } = start("").await;
    let go = Caller::go(at);
    let body = r#"{"Name":"Consul API Lock","TTL":"15s"}"#;
    let (one, other) = (session(go, body).await, session(go, body).await);
    let wait = "/v1/kv/service/leader?wait=15000ms";
    assert_eq!(go.send("GET", wait, "").await.status, 404);
    let acquire = |session: &str| format!("/v1/kv/service/leader?acquire={session}&flags={LOCK_FLAGS}");
    assert_eq!(go.put(&acquire(&one), "host1").await.body, "true");

    // The holder watches the key that it holds; the other one sees who holds it, and waits.
    let held = go.get("/v1/kv/service/leader?consistent=").await;
    assert_eq!((&held.json()[0]["Session"], &held.json()[0]["Flags"]), (&json!(one), &json!(LOCK_FLAGS)));
    let monitor = go.wait(format!("/v1/kv/service/leader?consistent=&index={}", go_index(&held)), 1).await;
    let next = go.wait(format!("{wait}&index={}", go_index(&go.get(wait).await)), 2).await;
    assert_eq!(go.json_of_put(&format!("/v1/session/renew/{one}")).await[0]["TTL"], "15s");
    assert!(!monitor.is_finished(), "a renewal is no news");
    let release = format!("/v1/kv/service/leader?flags={LOCK_FLAGS}&release={one}");
    assert_eq!(go.put(&release, "host1").await.body, "true");
    assert!(monitor.await.unwrap().json()[0].get("Session").is_none(), "it holds it no more");
    let free = next.await.unwrap().json()[0].clone();
    assert_eq!((free.get("Session"), &free["Flags"]), (None, &json!(LOCK_FLAGS)));
    assert_eq!(go.put(&acquire(&other), "host2").await.body, "true");
    assert_eq!(go.put(&format!("/v1/session/destroy/{one}"), "").await.body, "true");

    // Whoever destroys a lock does it only if nobody took it since.
    let destroy = |index: &Value| format!("/v1/kv/service/leader?cas={index}");
    assert_eq!(go.send("DELETE", &destroy(&free["ModifyIndex"]), "").await.body, "false");
    let release = format!("/v1/kv/service/leader?flags={LOCK_FLAGS}&release={other}");
    assert_eq!(go.put(&release, "").await.body, "true");
    let free = go.json("/v1/kv/service/leader").await[0]["ModifyIndex"].clone();
    assert_eq!(go.send("DELETE", &destroy(&free), "").await.body, "true");

    // A session that is gone renews no more: 404, and nothing in the list of its information.
    assert_eq!(go.send("PUT", &format!("/v1/session/renew/{one}"), "").await.status, 404);
    assert_eq!(go.json(&format!("/v1/session/info/{one}")).await, json!([]));
    assert_eq!(go.json(&format!("/v1/session/info/{other}")).await[0]["Name"], "Consul API Lock");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_semaphore_has_so_many_holders() {
    let Running { server, at } = start("").await;
    let go = Caller::go(at);
    let body = r#"{"Behavior":"delete","Name":"Consul API Semaphore","TTL":"15s"}"#;
    let (one, other) = (session(go, body).await, session(go, body).await);
    for holder in [&one, &other] {
        let contend = format!("/v1/kv/jobs/{holder}?acquire={holder}&flags={SEMAPHORE_FLAGS}");
        assert_eq!(go.put(&contend, "").await.body, "true");
    }
    let list = "/v1/kv/jobs?recurse=&wait=15000ms";
    assert_eq!(go.json(list).await.as_array().unwrap().len(), 2);
    let holders = |holders: Value| json!({ "Limit": 1, "Holders": holders }).to_string();
    let swap = |index: &Value| format!("/v1/kv/jobs/.lock?cas={index}&flags={SEMAPHORE_FLAGS}");
    assert_eq!(go.put(&swap(&json!(0)), &holders(json!({ &one: true }))).await.body, "true");
    assert_eq!(go.put(&swap(&json!(0)), &holders(json!({ &other: true }))).await.body, "false");
    let full = go.get(list).await;
    let lock = full.json()[0].clone();
    assert_eq!((&lock["Key"], &lock["Flags"]), (&json!("jobs/.lock"), &json!(SEMAPHORE_FLAGS)), "beyond 63 bits");

    // The other one waits for any change below the prefix. When the holder's session ends, its own key goes with it, so that
    // it counts as dead.
    let next = go.wait(format!("/v1/kv/jobs?index={}&recurse=&wait=15000ms", go_index(&full)), 1).await;
    assert_eq!(go.put(&format!("/v1/session/destroy/{one}"), "").await.body, "true");
    let left = next.await.unwrap();
    let alive: Vec<_> =
        left.json().as_array().unwrap().iter().filter_map(|pair| pair.get("Session").cloned()).collect();
    assert_eq!((alive, go_index(&left) > go_index(&full)), (vec![json!(other)], true));
    assert_eq!(go.put(&swap(&lock["ModifyIndex"]), &holders(json!({ &other: true }))).await.body, "true");

    let lock = go.json("/v1/kv/jobs/.lock").await[0].clone();
    assert_eq!(go.put(&swap(&lock["ModifyIndex"]), &holders(json!({}))).await.body, "true");
    assert_eq!(go.send("DELETE", &format!("/v1/kv/jobs/{other}"), "").await.body, "true");
    let lock = go.json(list).await[0].clone();
    assert_eq!(go.send("DELETE", &format!("/v1/kv/jobs/.lock?cas={}", lock["ModifyIndex"]), "").await.body, "true");
    server.shutdown().await;
}

async fn session(go: Caller, body: &str) -> String {
    go.put("/v1/session/create", body).await.json()["ID"].as_str().unwrap().to_owned()
}

impl Caller {
    async fn json_of_put(&self, target: &str) -> Value {
        self.put(target, "").await.json()
    }
}

/// By these the library tells a lock's key from others. Source: `api/lock.go`.
const LOCK_FLAGS: u64 = 0x2ddc_cbc0_58a5_0c18;

/// The same of a semaphore. Source: `api/semaphore.go`.
const SEMAPHORE_FLAGS: u64 = 0xe0f6_9a2b_aa41_4de0;
