use axum::{body::Body, http::Request};
use serde_json::json;

use crate::api::harness::{Harness, start};

async fn with_statuses(statuses: &[&str]) -> Harness {
    let server = start().await;
    for (at, status) in statuses.iter().enumerate() {
        let check = json!({ "TTL": "1m", "Status": status });
        server.register(&json!({ "Name": "web", "ID": format!("web-{at}"), "Check": check }).to_string()).await;
    }
    server
}

#[track_caller]
fn check(answer: &crate::api::harness::Answer, status: u16, word: &str) {
    assert_eq!((answer.status, answer.headers["x-consul-reason"].to_str().unwrap()), (status, word));
}

#[tokio::test]
async fn the_status_of_the_response_is_that_of_the_instance() {
    let server = with_statuses(&["passing", "warning", "critical"]).await;
    for (at, status, word) in [(0, 200, "passing"), (1, 429, "warning"), (2, 503, "critical")] {
        let answer = server.get(&format!("/v1/agent/health/service/id/web-{at}")).await;
        check(&answer, status, word);
        let body = answer.json();
        assert_eq!((&body["AggregatedStatus"], &body["Service"]["Service"]), (&json!(word), &json!("web")));
        assert_eq!(body["Checks"][0]["CheckID"], format!("service:web-{at}"));
    }
    check(&server.get("/v1/agent/health/service/name/web").await, 503, "critical");
    let all = server.get("/v1/agent/health/service/name/web").await.json();
    let words: Vec<&str> = all.as_array().unwrap().iter().filter_map(|one| one["AggregatedStatus"].as_str()).collect();
    assert_eq!(words, ["passing", "warning", "critical"]);
}

#[tokio::test]
async fn who_wants_text_gets_one_word() {
    let server = with_statuses(&["warning"]).await;
    let answer = server.get("/v1/agent/health/service/id/web-0?format=text").await;
    assert_eq!((answer.status, answer.body.as_str()), (429, "warning"));
    let asked = Request::builder().uri("/v1/agent/health/service/name/web").header("accept", "text/plain");
    let answer = server.send(asked.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.body.as_str()), (429, "warning"));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn maintenance_is_worse_than_critical() {
    let server = with_statuses(&["passing", "critical"]).await;
    server.put("/v1/agent/service/maintenance/web-0?enable=true", "").await;
    check(&server.get("/v1/agent/health/service/id/web-0").await, 503, "maintenance");
    check(&server.get("/v1/agent/health/service/name/web").await, 503, "maintenance");
}

#[tokio::test]
async fn what_is_not_here_is_404() {
    let server = with_statuses(&[]).await;
    let answer = server.get("/v1/agent/health/service/id/none").await;
    check(&answer, 404, "ServiceId none not found");
    assert_eq!(answer.json(), json!({ "AggregatedStatus": "critical", "Service": null, "Checks": null }));
    let answer = server.get("/v1/agent/health/service/name/none").await;
    check(&answer, 404, "ServiceName none Not Found");
    assert_eq!(answer.body, "[]");
    let answer = server.get("/v1/agent/health/service/name/none?format=text").await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "ServiceName none Not Found"));
}
