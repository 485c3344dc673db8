use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::api::harness::{Harness, soon, start};

async fn with_another_node() -> Harness {
    let server = start().await;
    server.register(r#"{"Name": "web", "ID": "w1", "Check": {"TTL": "1m", "Status": "passing"}}"#).await;
    let checks =
        json!([{ "Name": "disk", "Status": "warning" }, { "Name": "alive", "ServiceID": "web", "Status": "passing" }]);
    let body = json!({
        "Node": "a2", "Address": "192.0.2.2", "NodeMeta": { "rack": "r7" }, "Service": { "Service": "web", "Tags": ["blue"] },
        "Checks": checks,
    });
    assert_eq!(server.put("/v1/catalog/register", &body.to_string()).await.body, "true");
    server
}

fn ids(checks: &Value) -> Vec<&str> {
    checks.as_array().unwrap().iter().map(|check| check["CheckID"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_node_is_shown_with_its_instances() {
    let server = with_another_node().await;
    let node = server.get("/v1/catalog/node/a2").await.json();
    assert_eq!((&node["Node"]["Address"], &node["Services"]["web"]["Tags"]), (&json!("192.0.2.2"), &json!(["blue"])));
    let listed = server.get("/v1/catalog/node-services/a2").await.json();
    assert_eq!((&listed["Node"]["Node"], &listed["Services"][0]["ID"]), (&json!("a2"), &json!("web")));
    let none = server.get("/v1/catalog/node/a2?filter=Service==db").await.json();
    assert_eq!((&none["Node"]["Node"], &none["Services"]), (&json!("a2"), &json!({})));
    let missing = server.get("/v1/catalog/node/none").await;
    assert_eq!((missing.status, missing.body.as_str(), missing.index() > 0), (200, "null", true));
    assert_eq!(server.get("/v1/catalog/node-services/none").await.json(), json!({ "Node": null, "Services": [] }));
}

#[tokio::test]
async fn checks_are_listed_by_node_service_and_status() {
    let server = with_another_node().await;
    let get = async |path: &str| server.get(path).await.json();
    assert_eq!(ids(&get("/v1/health/node/a2").await), ["disk", "alive"]);
    assert_eq!(get("/v1/health/node/a2").await[1]["ServiceTags"], json!(["blue"]));
    assert_eq!(get("/v1/health/node/none").await, json!([]));
    assert_eq!(ids(&get("/v1/health/checks/web").await), ["alive", "service:w1"]);
    assert_eq!(ids(&get("/v1/health/checks/web?near=_agent").await), ["service:w1", "alive"]);
    assert_eq!(get("/v1/health/checks/none").await, json!([]));
    assert_eq!(ids(&get("/v1/health/state/any").await), ["alive", "disk", "serfHealth", "service:w1"]);
    assert_eq!(ids(&get("/v1/health/state/passing").await), ["alive", "serfHealth", "service:w1"]);
    assert_eq!(ids(&get("/v1/health/state/warning?node-meta=rack:r7").await), ["disk"]);
    assert_eq!(get("/v1/health/state/any?node-meta=rack:r8").await, json!([]));
    assert_eq!(ids(&get("/v1/health/state/any?filter=ServiceName==web").await), ["alive", "service:w1"]);
    assert_eq!(get("/v1/health/state/unknown").await, json!([]));
}

#[tokio::test]
async fn what_is_on_the_near_node_stands_first() {
    let server = with_another_node().await;
    let nodes = async |path: &str| {
        let found = server.get(path).await.json();
        let name =
            |one: &Value| [&one["Node"]["Node"], &one["Node"]].into_iter().find_map(Value::as_str).map(str::to_owned);
        found.as_array().unwrap().iter().filter_map(name).collect::<Vec<_>>()
    };
    for list in ["/v1/catalog/service/web", "/v1/health/service/web", "/v1/catalog/nodes"] {
        assert_eq!(nodes(list).await, ["a2", "n1"], "{list}");
        for near in ["_agent", "_ip", "n1"] {
            assert_eq!(nodes(&format!("{list}?near={near}")).await, ["n1", "a2"], "{list} {near}");
        }
    }
}

#[tokio::test]
async fn who_waits_for_a_node_is_woken_by_what_is_on_it_and_by_nothing_else() {
    let server = with_another_node().await;
    let index = server.get("/v1/health/node/a2").await.index();
    let router = server.router.clone();
    let path = format!("/v1/health/node/a2?index={index}&wait=60s");
    let waiting = tokio::spawn(async move {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        tower::ServiceExt::oneshot(router, request).await.unwrap()
    });
    while server.published.load().catalog.index() < index {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    server.register(r#"{"Name": "other"}"#).await;
    assert!(!waiting.is_finished());
    let gone = json!({ "Node": "a2", "CheckID": "disk" });
    assert_eq!(server.put("/v1/catalog/deregister", &gone.to_string()).await.body, "true");
    assert_eq!(soon(waiting).await.unwrap().status(), 200);
}

#[tokio::test]
async fn nothing_of_a_mesh_or_of_distances_is_an_empty_list() {
    let server = with_another_node().await;
    for path in [
        "catalog/connect/web",
        "catalog/gateway-services/web",
        "health/connect/web",
        "health/ingress/web",
        "coordinate/datacenters",
        "coordinate/nodes",
        "coordinate/node/n1",
    ] {
        let answer = server.get(&format!("/v1/{path}")).await;
        assert_eq!((answer.status, answer.body.as_str(), answer.index() > 0), (200, "[]", true), "{path}");
    }
    assert_eq!(server.put("/v1/coordinate/update", r#"{"Node": "n1"}"#).await.status, 200);
    assert_eq!(server.get("/v1/catalog/datacenters").await.body, r#"["dc1"]"#);
}
