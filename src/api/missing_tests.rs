use serde_json::json;

use crate::api::harness::{Answer, start};

#[track_caller]
fn check(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, text));
}

#[tokio::test]
async fn without_a_mesh_its_paths_say_so() {
    let server = start().await;
    for path in [
        "connect/ca/roots",
        "connect/ca/configuration",
        "agent/connect/ca/roots",
        "agent/connect/ca/leaf/web",
        "discovery-chain/web",
    ] {
        let answer = server.get(&format!("/v1/{path}")).await;
        check(&answer, 500, "Connect must be enabled in order to use this endpoint");
    }
    assert_eq!(server.call("POST", "/v1/agent/connect/authorize", "{}").await.status, 500);
    check(&server.get("/v1/connect/intentions").await, 200, "[]");
    check(&server.get("/v1/connect/intentions/match?by=source&name=web").await, 200, r#"{"web":[]}"#);
    check(&server.get("/v1/connect/intentions/check?source=a&destination=b").await, 200, r#"{"Allowed":true}"#);
    check(
        &server.get("/v1/connect/intentions/check?source=a").await,
        400,
        "required query parameter \"destination\" not set",
    );
    check(&server.get("/v1/connect/intentions/exact?source=a&destination=b").await, 404, "Intention not found");
}

#[tokio::test]
async fn there_are_no_config_entries_and_no_peers() {
    let server = start().await;
    for path in ["config/service-defaults", "exported-services", "imported-services", "peerings"] {
        check(&server.get(&format!("/v1/{path}")).await, 200, "[]");
    }
    let missing = server.get("/v1/config/service-defaults/web").await;
    check(&missing, 404, "Config entry not found for \"service-defaults\" / \"web\"");
    assert_eq!(server.put("/v1/config", "{}").await.status, 400);
    assert_eq!(server.get("/v1/peering/x").await.status, 404);
}

#[tokio::test]
async fn what_the_community_edition_lacks_is_an_unknown_path() {
    let server = start().await;
    for path in ["namespaces", "namespace/x", "partitions", "operator/segment", "operator/license", "internal/ui/nodes"]
    {
        assert_eq!(server.get(&format!("/v1/{path}")).await.status, 404, "{path}");
    }
    let answer = server.get("/v1/snapshot").await;
    assert!(answer.status == 404 && answer.body.contains("/v1/export"), "{}", answer.body);
}

#[tokio::test]
async fn an_operator_sees_one_healthy_server() {
    let server = start().await;
    let raft = server.get("/v1/operator/raft/configuration").await.json();
    assert_eq!((&raft["Servers"][0]["Leader"], &raft["Servers"][0]["Node"]), (&json!(true), &json!("n1")));
    assert_eq!(server.get("/v1/operator/autopilot/health").await.json()["Healthy"], true);
    assert_eq!(server.get("/v1/operator/autopilot/configuration").await.json()["CleanupDeadServers"], true);
}
