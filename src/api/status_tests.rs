use serde_json::json;

use super::in_consuls_shape;
use crate::api::harness::start;

#[tokio::test]
async fn leader_and_peers_are_this_server() {
    let server = start().await;
    assert_eq!(server.get("/v1/status/leader").await.body, r#""192.0.2.1:8300""#);
    assert_eq!(server.get("/v1/status/peers").await.body, r#"["192.0.2.1:8300"]"#);
}

#[tokio::test]
async fn metrics_come_in_consuls_shape_too() {
    let server = start().await;
    server.get("/v1/catalog/nodes").await;
    let body = server.get("/v1/agent/metrics").await.json();
    let gauge = |name: &str| body["Gauges"].as_array().unwrap().iter().find(|gauge| gauge["Name"] == name).cloned();
    assert!(gauge("nameplate_catalog_nodes").is_some(), "{body}");
    let text = server.get("/v1/agent/metrics?format=prometheus").await;
    assert!(text.body.contains("# TYPE nameplate_catalog_nodes gauge\n"), "{}", text.body);
}

#[test]
fn gauges_and_counters_keep_their_labels() {
    let text = "# HELP a b\n# TYPE a gauge\na{x=\"1\",y=\"a \\\"b\\\"\"} 2.5\n# TYPE c_total counter\nc_total 7\n\
                # TYPE h histogram\nh_sum 1\n";
    let shape = in_consuls_shape(text);
    assert_eq!(shape["Gauges"], json!([{ "Name": "a", "Value": 2.5, "Labels": { "x": "1", "y": "a \"b\"" } }]));
    assert_eq!((&shape["Counters"][0]["Name"], &shape["Counters"][0]["Sum"]), (&json!("c_total"), &json!(7.0)));
    assert_eq!((shape["Counters"].as_array().map(Vec::len), &shape["Samples"]), (Some(1), &json!([])));
}
