use serde_json::{Value, json};

use crate::api::harness::{Harness, start};

async fn create(harness: &Harness, body: &str) -> String {
    let answer = harness.put("/v1/session/create", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["ID"].as_str().unwrap().to_owned()
}

async fn session(harness: &Harness, id: &str) -> Value {
    harness.get(&format!("/v1/session/info/{id}")).await.json()[0].clone()
}

#[tokio::test]
async fn a_session_is_made_with_consuls_defaults() {
    let harness = start().await;
    let id = create(&harness, "").await;
    assert_eq!(id.len(), 36);
    let shown = session(&harness, &id).await;
    let index = shown["CreateIndex"].clone();
    assert_eq!(
        shown,
        json!({
            "ID": id, "Name": "", "Node": "n1", "LockDelay": 15_000_000_000_u64, "Behavior": "release", "TTL": "",
            "NodeChecks": ["serfHealth"], "ServiceChecks": null, "CreateIndex": index, "ModifyIndex": index,
        })
    );
}

#[tokio::test]
async fn a_session_is_made_as_it_is_wanted() {
    let harness = start().await;
    let all = r#"{"name": "lead", "node": "n1", "lockdelay": "20s", "behavior": "delete", "ttl": "30s", "checks": []}"#;
    let shown = session(&harness, &create(&harness, all).await).await;
    let fields = ["Name", "LockDelay", "Behavior", "TTL", "NodeChecks"].map(|name| shown[name].clone());
    assert_eq!(json!(fields), json!(["lead", 20_000_000_000_u64, "delete", "30s", []]));
    for (delay, nanoseconds) in [("5", 5_000_000_000_u64), ("2000000000", 2_000_000_000), ("\"2h\"", 60_000_000_000)] {
        let id = create(&harness, &format!("{{\"LockDelay\": {delay}}}")).await;
        assert_eq!(session(&harness, &id).await["LockDelay"], nanoseconds);
    }
}

#[tokio::test]
async fn what_a_session_cannot_be_is_refused() {
    let harness = start().await;
    for (body, status, text) in [
        (r#"{"TTL": "9s"}"#, 400, "TTL: expected a duration from 10s to 24h, not \"9s\""),
        (r#"{"TTL": "25h"}"#, 400, "TTL: expected a duration from 10s to 24h, not \"25h\""),
        (r#"{"Behavior": "keep"}"#, 400, "Behavior: expected \"release\" or \"delete\", not \"keep\""),
        (r#"{"Node": "n9"}"#, 500, "Missing node registration"),
        (r#"{"NodeChecks": ["none"]}"#, 500, "Missing check 'none' registration"),
        (r#"{"Nmae": "x"}"#, 400, "Nmae: unknown field; did you mean Name?"),
    ] {
        let answer = harness.put("/v1/session/create", body).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, text));
    }
}

#[tokio::test]
async fn sessions_are_listed_renewed_and_ended() {
    let harness = start().await;
    let id = create(&harness, r#"{"TTL": "10s"}"#).await;
    for path in ["/v1/session/list", "/v1/session/node/n1"] {
        assert_eq!(harness.get(path).await.json()[0]["ID"], id);
    }
    assert_eq!(harness.get("/v1/session/node/n2").await.json(), json!([]));
    let index = harness.get("/v1/session/list").await.index();
    assert_eq!(harness.put(&format!("/v1/session/renew/{id}"), "").await.json()[0]["ID"], id);
    assert_eq!(harness.get("/v1/session/list").await.index(), index, "a renewal publishes nothing");
    for _ in 0..2 {
        assert_eq!(harness.put(&format!("/v1/session/destroy/{id}"), "").await.body, "true");
    }
    assert_eq!(harness.get(&format!("/v1/session/info/{id}")).await.json(), json!([]));
    let gone = harness.put(&format!("/v1/session/renew/{id}"), "").await;
    assert_eq!((gone.status, gone.body), (404, format!("Session id '{id}' not found")));
    assert!(harness.get("/v1/session/list").await.index() > index);
}

#[tokio::test]
async fn a_lock_is_taken_released_and_lost_with_its_session() {
    let harness = start().await;
    let one = create(&harness, "").await;
    let two = create(&harness, r#"{"LockDelay": 0}"#).await;
    let put = async |path: String| harness.put(&format!("/v1/kv/lock{path}"), "x").await.body;
    assert_eq!(put(format!("?acquire={one}")).await, "true");
    assert_eq!(put(format!("?acquire={two}")).await, "false");
    assert_eq!(harness.get("/v1/kv/lock").await.json()[0]["Session"], one);
    assert_eq!(put(format!("?release={two}")).await, "false");
    assert_eq!(put(format!("?release={one}")).await, "true");
    assert_eq!(put(format!("?acquire={two}")).await, "true");
    assert_eq!(harness.put(&format!("/v1/session/destroy/{two}"), "").await.body, "true");
    let shown = harness.get("/v1/kv/lock").await.json();
    assert_eq!((&shown[0]["Session"], &shown[0]["LockIndex"]), (&Value::Null, &json!(2)));
    assert_eq!(put(format!("?acquire={one}")).await, "true");
    assert_eq!(harness.put(&format!("/v1/session/destroy/{one}"), "").await.body, "true");
    let third = create(&harness, "").await;
    assert_eq!(put(format!("?acquire={third}")).await, "false", "the lock delay of the one before is not over");
}

#[tokio::test]
async fn a_session_ends_in_the_publish_in_which_its_check_turns_critical() {
    let harness = start().await;
    let check = r#"{"Name": "c", "CheckID": "c", "TTL": "1h", "Status": "passing"}"#;
    assert_eq!(harness.put("/v1/agent/check/register", check).await.status, 200);
    let id = create(&harness, r#"{"NodeChecks": ["serfHealth", "c"], "Behavior": "delete"}"#).await;
    assert_eq!(harness.put(&format!("/v1/kv/k?acquire={id}"), "").await.body, "true");
    assert_eq!(harness.put("/v1/agent/check/deregister/c", "").await.status, 200);
    assert_eq!(harness.get(&format!("/v1/session/info/{id}")).await.json(), json!([]));
    assert_eq!(harness.get("/v1/kv/k").await.status, 404);
}
