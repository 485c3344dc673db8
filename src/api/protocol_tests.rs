//! What holds for all paths: parameters, headers, methods.

use axum::{body::Body, extract::Request};
use serde_json::json;

use super::harness::{Answer, start};

#[track_caller]
fn refused(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, text));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn reads_carry_consuls_headers() {
    let server = start().await;
    for path in ["/v1/catalog/services", "/v1/catalog/nodes", "/v1/catalog/service/x", "/v1/health/service/x?stale"] {
        let answer = server.get(path).await;
        assert!(answer.index() >= 1);
        assert_eq!(answer.headers["x-consul-knownleader"], "true");
        assert_eq!(answer.headers["x-consul-lastcontact"], "0");
        let consistency = if path.ends_with("stale") { "stale" } else { "leader" };
        assert_eq!(answer.headers["x-consul-effective-consistency"], consistency);
    }
}

#[tokio::test]
async fn what_may_come_from_a_cache_says_that_it_is_new() {
    let server = start().await;
    let cached = |control| {
        let request = Request::builder().uri("/v1/health/service/x?cached").header("cache-control", control);
        server.send(request.body(Body::empty()).unwrap())
    };
    let answer = cached("max-age=30, must-revalidate, stale-if-error=60").await;
    assert_eq!((&answer.headers["x-cache"], &answer.headers["age"]), (&"HIT".parse().unwrap(), &"0".parse().unwrap()));
    assert_eq!(answer.headers["x-consul-default-acl-policy"], "allow");
    refused(&cached("max-age=x").await, 400, "Cache-Control: max-age: expected a number of seconds, not \"x\"");
    assert!(!server.get("/v1/health/service/x").await.headers.contains_key("x-cache"));
    let stale = server.get("/v1/health/service/x?max_stale=10s").await;
    assert_eq!(stale.headers["x-consul-effective-consistency"], "stale");
}

#[tokio::test]
async fn of_peers_there_is_nothing() {
    let server = start().await;
    server.register(r#"{"Name": "web"}"#).await;
    for (path, nothing) in [
        ("/v1/health/service/web", "[]"),
        ("/v1/health/checks/web", "[]"),
        ("/v1/health/state/any", "[]"),
        ("/v1/health/node/n1", "[]"),
        ("/v1/catalog/service/web", "[]"),
        ("/v1/catalog/services", "{}"),
        ("/v1/catalog/nodes", "[]"),
    ] {
        let ours = server.get(path).await;
        assert_eq!(server.get(&format!("{path}?peer=")).await.body, ours.body, "{path}");
        assert_eq!(server.get(&format!("{path}?peer=x")).await.body, nothing, "{path}");
    }
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let server = start().await;
    let get = async |query: &str| server.get(&format!("/v1/catalog/services?{query}")).await;
    refused(&get("index=x").await, 400, "index: expected a number, not \"x\"");
    assert_eq!(get("wait=x").await.status, 400);
    refused(&get("stale&consistent").await, 400, "stale and consistent cannot both be given");
    refused(&get("cached&consistent").await, 400, "cached and consistent cannot both be given");
    assert_eq!(get("cached&stale&leader&merge-central-config").await.status, 200);
    assert_eq!(get("max_stale=x").await.status, 400);
    refused(&get("sg=x").await, 400, "sg: there are no peers, so \"x\" is no group of some");
    refused(&server.get("/v1/catalog/service/").await, 400, "/v1/catalog/service/: a name or an ID must follow");
    refused(&get("dc=dc2").await, 500, "No path to datacenter \"dc2\"");
    assert_eq!(get("dc=DC1").await.status, 200);
    refused(&get("ns=other").await, 400, "ns: expected \"default\", the only one there is, not \"other\"");
    assert_eq!(get("ns=default&partition=default&cached&near=_agent&token=x").await.status, 200);
    assert!(get("filter=x").await.body.starts_with("filter: column 2: expected "));
}

#[tokio::test]
async fn pretty_indents_by_four() {
    let server = start().await;
    server.register(r#"{"Name": "web"}"#).await;
    assert_eq!(server.get("/v1/catalog/services?pretty").await.body, "{\n    \"web\": []\n}\n");
}

#[tokio::test]
async fn a_long_response_is_compressed_for_who_accepts_that() {
    let server = start().await;
    let checks: Vec<_> = (0..20).map(|at| json!({ "CheckID": format!("c{at}"), "TTL": "1m" })).collect();
    server.register(&json!({ "Name": "web", "Checks": checks }).to_string()).await;
    let asked = async |path: &str| {
        let request = Request::builder().uri(path).header("accept-encoding", "gzip, deflate").body(Body::empty());
        tower::ServiceExt::oneshot(server.router.clone(), request.unwrap()).await.unwrap()
    };
    let long = asked("/v1/health/service/web").await;
    assert_eq!(
        (&long.headers()["content-encoding"], &long.headers()["x-consul-knownleader"]),
        (&"gzip".parse().unwrap(), &"true".parse().unwrap())
    );
    let bytes = axum::body::to_bytes(long.into_body(), usize::MAX).await.unwrap();
    let plain = server.get("/v1/health/service/web").await;
    assert!(bytes.starts_with(&[0x1f, 0x8b]) && bytes.len() < plain.body.len() / 4, "{} bytes", bytes.len());
    assert!(!plain.headers.contains_key("content-encoding"));
    assert!(!asked("/v1/status/leader").await.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn another_method_is_405_and_another_path_404() {
    let server = start().await;
    let answer = server.call("POST", "/v1/agent/service/register", "{}").await;
    refused(&answer, 405, "method POST not allowed; use PUT or OPTIONS");
    assert_eq!(answer.headers["allow"], "PUT, OPTIONS");
    assert_eq!(server.call("OPTIONS", "/v1/catalog/nodes", "").await.headers["allow"], "GET, OPTIONS");
    assert_eq!(server.call("HEAD", "/v1/catalog/nodes", "").await.status, 200);
    let unknown = server.get("/v1/nothing").await;
    refused(&unknown, 404, "no such path: /v1/nothing");
    assert_eq!(unknown.headers["x-consul-default-acl-policy"], "allow");
}
