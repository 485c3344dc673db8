use std::time::Duration;

use serde_json::json;

use crate::api::harness::{Harness, soon, start};

#[track_caller]
fn is(answer: &super::super::harness::Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, body));
}

async fn put(harness: &Harness, path: &str, body: &str) -> bool {
    let answer = harness.put(path, body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json().as_bool().unwrap()
}

#[tokio::test]
async fn a_key_is_set_and_read_as_consul_shows_it() {
    let harness = start().await;
    assert!(put(&harness, "/v1/kv/app/motto?flags=42", "foo").await);
    let answer = harness.get("/v1/kv/app/motto").await;
    let index = answer.index();
    assert_eq!(
        answer.json(),
        json!([{ "LockIndex": 0, "Key": "app/motto", "Flags": 42, "Value": "Zm9v", "CreateIndex": index, "ModifyIndex": index }])
    );
    let raw = harness.get("/v1/kv/app/motto?raw").await;
    is(&raw, 200, "foo");
    assert_eq!((raw.index(), &raw.headers["content-type"]), (index, &"text/plain".parse().unwrap()));
    assert!(put(&harness, "/v1/kv/empty", "").await);
    assert!(harness.get("/v1/kv/empty").await.json()[0]["Value"].is_null());
}

#[tokio::test]
async fn a_key_that_is_not_there_is_404_with_an_index_and_no_body() {
    let harness = start().await;
    for path in ["a", "a?raw", "a?recurse", "a?keys", "?recurse=1", "?keys=True"] {
        let answer = harness.get(&format!("/v1/kv/{path}")).await;
        is(&answer, 404, "");
        assert!(answer.index() > 0, "{path}");
    }
    is(&harness.get("/v1/kv/").await, 400, "Missing key name");
}

#[tokio::test]
async fn keys_are_what_the_path_says() {
    let harness = start().await;
    for (path, key) in [("a%20b%2Fc", "a b/c"), ("%C3%BC", "ü"), ("x/", "x/"), ("/slash", "/slash"), ("a+b", "a+b")] {
        assert!(put(&harness, &format!("/v1/kv/{path}"), "1").await);
        assert_eq!(harness.get(&format!("/v1/kv/{path}")).await.json()[0]["Key"], key);
    }
    assert_eq!(harness.get("/v1/kv/?keys").await.json(), json!(["/slash", "a b/c", "a+b", "x/", "ü"]));
    assert_eq!(harness.get("/v1/kv/%FF").await.status, 400);
}

#[tokio::test]
async fn keys_are_listed_below_a_prefix() {
    let harness = start().await;
    for key in ["web/a", "web/b/c", "web/b/d", "web2"] {
        assert!(put(&harness, &format!("/v1/kv/{key}"), key).await);
    }
    assert_eq!(harness.get("/v1/kv/web/?keys").await.json(), json!(["web/a", "web/b/c", "web/b/d"]));
    assert_eq!(harness.get("/v1/kv/web/?keys&separator=/").await.json(), json!(["web/a", "web/b/"]));
    let keys = |answer: super::super::harness::Answer| {
        let json = answer.json();
        json.as_array().unwrap().iter().map(|one| one["Key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(harness.get("/v1/kv/web/b?recurse").await), ["web/b/c", "web/b/d"]);
    assert_eq!(keys(harness.get("/v1/kv/?recurse=true").await).len(), 4);
    is(&harness.call("DELETE", "/v1/kv/web/?recurse", "").await, 200, "true");
    assert_eq!(keys(harness.get("/v1/kv/?recurse").await), ["web2"]);
}

#[tokio::test]
async fn compare_and_set_answers_false_when_somebody_was_faster() {
    let harness = start().await;
    assert!(put(&harness, "/v1/kv/k?cas=0", "1").await);
    assert!(!put(&harness, "/v1/kv/k?cas=0", "2").await);
    let index = harness.get("/v1/kv/k").await.json()[0]["ModifyIndex"].as_u64().unwrap();
    assert!(!put(&harness, &format!("/v1/kv/k?cas={}", index - 1), "2").await);
    assert!(put(&harness, &format!("/v1/kv/k?cas={index}"), "2").await);
    is(&harness.call("DELETE", &format!("/v1/kv/k?cas={index}"), "").await, 200, "false");
    is(&harness.call("DELETE", "/v1/kv/k", "").await, 200, "true");
    is(&harness.call("DELETE", "/v1/kv/k?cas=7", "").await, 200, "true");
}

#[tokio::test]
async fn an_identical_value_moves_no_index() {
    let harness = start().await;
    assert!(put(&harness, "/v1/kv/k", "1").await);
    let index = harness.get("/v1/kv/k").await.index();
    assert!(put(&harness, "/v1/kv/k", "1").await);
    assert_eq!(harness.get("/v1/kv/k").await.index(), index);
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let harness = start().await;
    is(&harness.put("/v1/kv/k?cas=1&acquire=x", "").await, 400, "Conflicting flags: cas, acquire");
    is(&harness.call("DELETE", "/v1/kv/k?cas=1&recurse", "").await, 400, "Conflicting flags: recurse, cas");
    is(&harness.put("/v1/kv/k?cas=-1", "").await, 400, "cas: expected a number from 0, not \"-1\"");
    is(&harness.put("/v1/kv/k?acquire=nobody", "").await, 500, "invalid session \"nobody\"");
    is(&harness.call("DELETE", "/v1/kv/", "").await, 400, "Missing key name");
    let large = "x".repeat(512 * 1024);
    assert!(put(&harness, "/v1/kv/large", &large).await);
    is(&harness.put("/v1/kv/large", &(large + "x")).await, 413, "the body must be at most 512 KiB");
}

/// A read that waits, and whether it has been answered in 50 ms.
async fn waits(harness: &Harness, path: &str, index: u64) -> tokio::task::JoinHandle<(u16, u64)> {
    let request =
        axum::http::Request::get(format!("{path}{}index={index}&wait=60s", if path.contains('?') { '&' } else { '?' }));
    let (router, request) = (harness.router.clone(), request.body(axum::body::Body::empty()).unwrap());
    let task = tokio::spawn(async move {
        let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
        let index = response.headers()["x-consul-index"].to_str().unwrap().parse().unwrap();
        (response.status().as_u16(), index)
    });
    tokio::time::sleep_until(tokio::time::Instant::now() + Duration::from_millis(50)).await;
    assert!(!task.is_finished(), "{path} does not wait");
    task
}

#[tokio::test]
async fn a_read_waits_for_its_own_key_and_for_its_going() {
    let harness = start().await;
    assert!(put(&harness, "/v1/kv/a", "1").await);
    let index = harness.get("/v1/kv/a").await.index();
    let waiting = waits(&harness, "/v1/kv/a", index).await;
    assert!(put(&harness, "/v1/kv/ab", "1").await);
    tokio::time::sleep_until(tokio::time::Instant::now() + Duration::from_millis(50)).await;
    assert!(!waiting.is_finished(), "it was another key");
    is(&harness.call("DELETE", "/v1/kv/a", "").await, 200, "true");
    let (status, gone) = soon(waiting).await.unwrap();
    assert!(status == 404 && gone > index);
    let waiting = waits(&harness, "/v1/kv/a", gone).await;
    assert!(put(&harness, "/v1/kv/a", "2").await);
    assert!(soon(waiting).await.unwrap().1 > gone);
}

#[tokio::test]
async fn a_read_of_a_prefix_waits_for_all_below_it() {
    let harness = start().await;
    assert!(put(&harness, "/v1/kv/app/x", "1").await);
    for path in ["/v1/kv/app/?recurse", "/v1/kv/app?keys", "/v1/kv/?recurse", "/v1/kv/new/?recurse"] {
        let index = harness.get(path).await.index();
        let waiting = waits(&harness, path, index).await;
        assert!(put(&harness, "/v1/kv/another", path).await || path.contains("/?rec"));
        let key = if path.contains("new") { "/v1/kv/new/y" } else { "/v1/kv/app/y" };
        assert!(put(&harness, key, path).await);
        assert!(soon(waiting).await.unwrap().1 > index);
        let index = harness.get(path).await.index();
        let waiting = waits(&harness, path, index).await;
        is(&harness.call("DELETE", key, "").await, 200, "true");
        assert!(soon(waiting).await.unwrap().1 > index);
    }
}

#[tokio::test]
async fn keys_sessions_and_operations_are_counted() {
    let harness = start().await;
    for key in ["a", "b", "c"] {
        assert!(put(&harness, &format!("/v1/kv/{key}"), "1").await);
    }
    assert!(!put(&harness, "/v1/kv/a?cas=1", "2").await);
    assert_eq!(harness.call("DELETE", "/v1/kv/c", "").await.status, 200);
    let session = harness.put("/v1/session/create", "").await.json()["ID"].as_str().unwrap().to_owned();
    assert!(put(&harness, &format!("/v1/kv/a?acquire={session}"), "2").await);
    let query = json!({ "Service": { "Service": "web" } }).to_string();
    assert_eq!(harness.call("POST", "/v1/query", query).await.status, 200);
    for (path, status) in [("a", 200), ("none", 404), ("?recurse", 200), ("?keys", 200)] {
        assert_eq!(harness.get(&format!("/v1/kv/{path}")).await.status, status);
    }
    let operations =
        json!([{ "KV": { "Verb": "get", "Key": "a" } }, { "KV": { "Verb": "check-not-exists", "Key": "a" } }]);
    assert_eq!(harness.put("/v1/txn", &operations.to_string()).await.status, 409);
    let shown = harness.get("/metrics").await.body;
    let mut counted: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("nameplate_kv_")).collect();
    counted.sort_unstable();
    assert_eq!(
        counted,
        [
            "keys 2",
            r#"operations_total{verb="cas",result="refused"} 1"#,
            r#"operations_total{verb="check-not-exists",result="refused"} 1"#,
            r#"operations_total{verb="delete",result="done"} 1"#,
            r#"operations_total{verb="get",result="done"} 2"#,
            r#"operations_total{verb="get",result="refused"} 1"#,
            r#"operations_total{verb="get-tree",result="done"} 1"#,
            r#"operations_total{verb="keys",result="done"} 1"#,
            r#"operations_total{verb="lock",result="done"} 1"#,
            r#"operations_total{verb="set",result="done"} 3"#,
            "queries 1",
            "sessions 1",
        ]
    );
}
