use serde_json::{Value, json};

use crate::api::harness::{Answer, Harness, start};

async fn txn(server: &Harness, operations: Value) -> Answer {
    server.put("/v1/txn", &operations.to_string()).await
}

fn key(verb: &str, name: &str, more: Value) -> Value {
    let mut operation = json!({ "Verb": verb, "Key": name });
    operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "KV": operation })
}

#[tokio::test]
async fn keys_are_set_and_read_with_consuls_results() {
    let server = start().await;
    let operations = json!([
        key("set", "a", json!({ "Value": "Zm9v", "Flags": 7 })),
        key("check-not-exists", "b", json!({})),
        key("cas", "b", json!({ "Value": "", "Index": 0 })),
        key("get", "a", json!({})),
        key("get-or-empty", "none", json!({})),
        key("get-tree", "", json!({})),
        key("delete", "b", json!({})),
        { "kv": { "verb": "check-not-exists", "key": "b" } },
    ]);
    let answer = txn(&server, operations).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    let found = |at: usize| {
        let entry = &body["Results"][at]["KV"];
        (entry["Key"].as_str().unwrap(), entry["Value"].as_str(), entry["Flags"].as_u64().unwrap())
    };
    let all: Vec<_> = (0..body["Results"].as_array().unwrap().len()).map(found).collect();
    let expected = [
        ("a", None, 7),
        ("b", None, 0),
        ("a", Some("Zm9v"), 7),
        ("none", None, 0),
        ("a", Some("Zm9v"), 7),
        ("b", None, 0),
    ];
    assert_eq!(all, expected);
    assert_eq!(body["Errors"], Value::Null);
    let read = txn(&server, json!([key("get", "a", json!({}))])).await;
    assert_eq!((read.status, read.index()), (200, server.published.load().index()));
}

#[tokio::test]
async fn one_that_fails_takes_the_others_with_it_whatever_they_are_about() {
    let server = start().await;
    let index = server.published.load().index();
    let node = json!({ "Node": { "Verb": "set", "Node": { "Node": "n2", "Address": "192.0.2.2" } } });
    let operations = json!([
        key("set", "a", json!({ "Value": "Zm9v" })),
        node,
        key("cas", "b", json!({ "Index": 9 })),
        key("get", "none", json!({})),
        key("lock", "c", json!({ "Session": "nobody" })),
        key("check-session", "a", json!({ "Session": "nobody" })),
        key("unlock", "a", json!({ "Session": "nobody" })),
    ]);
    let answer = txn(&server, operations).await;
    let errors = json!([
        { "OpIndex": 2, "What": "failed to set key \"b\", index is stale" },
        { "OpIndex": 3, "What": "key \"none\" doesn't exist" },
        { "OpIndex": 4, "What": "invalid session \"nobody\"" },
        { "OpIndex": 5, "What": "failed session check for key \"a\", current session \"\" != \"nobody\"" },
        { "OpIndex": 6, "What": "failed to unlock key \"a\", lock isn't held, or is held by another session" },
    ]);
    assert_eq!((answer.status, answer.json()), (409, json!({ "Results": null, "Errors": errors })));
    assert_eq!(server.published.load().index(), index);
}

#[tokio::test]
async fn a_lock_is_part_of_a_transaction() {
    let server = start().await;
    let session = server.put("/v1/session/create", "").await.json()["ID"].clone();
    let of = |verb: &str| key(verb, "a", json!({ "Value": "Zm9v", "Session": session }));
    assert_eq!(txn(&server, json!([of("lock"), of("check-session")])).await.status, 200);
    assert_eq!(server.get("/v1/kv/a").await.json()[0]["Session"], session);
    let other = server.put("/v1/session/create", "").await.json()["ID"].clone();
    let answer = txn(&server, json!([key("lock", "a", json!({ "Session": other }))])).await;
    assert_eq!(answer.json()["Errors"][0]["What"], "failed to lock key \"a\", lock is already held");
    let answer = txn(&server, json!([of("unlock"), key("delete-tree", "", json!({}))])).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(server.get("/v1/kv/a").await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let server = start().await;
    for (operation, status, text) in [
        (key("put", "a", json!({})), 400, "[0].KV.Verb: expected \"set\", \"cas\", "),
        (key("set", "", json!({})), 400, "[0].KV.Key: must be given"),
        (key("set", "a", json!({ "Value": "?" })), 400, "[0].KV.Value: expected a text in base64, not \"?\""),
        (key("lock", "a", json!({})), 400, "[0].KV.Session: must be given"),
        (key("cas", "a", json!({ "Index": -1 })), 400, "[0].KV.Index: expected an index, not -1"),
        (key("set", "a", json!({ "Value": "AAAA".repeat(174_763) })), 413, "[0].KV.Value: must be at most 512 KiB"),
    ] {
        let answer = txn(&server, json!([operation])).await;
        assert!(answer.status == status && answer.body.starts_with(text), "{} {}", answer.status, answer.body);
    }
}
