use std::sync::Arc;

use serde_json::json;

use crate::{
    api::harness::{Answer, soon, start},
    catalog::{names::NodeName, node::Address},
    publish::machines::Machine,
};

#[track_caller]
fn refused(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, text));
}

#[tokio::test]
async fn self_has_what_prometheus_nomad_and_consul_template_read() {
    let server = start().await;
    let body = server.get("/v1/agent/self").await.json();
    let config = &body["Config"];
    assert_eq!((&config["Datacenter"], &config["NodeName"]), (&json!("dc1"), &json!("n1")));
    assert_eq!(config["NodeID"], "6e9c1a4e-0000-4000-8000-000000000001");
    assert_eq!((&config["Version"], &config["Server"]), (&json!("1.22.0"), &json!(true)));
    let debug = &body["DebugConfig"];
    assert_eq!((&debug["DNSPort"], &debug["DNSAddrs"][0]), (&json!(8600), &json!("udp://127.0.0.1:8600")));
    assert_eq!((&debug["GRPCPort"], &debug["ConnectEnabled"]), (&json!(-1), &json!(false)));
    let member = &body["Member"];
    assert!(member["Tags"]["build"].as_str().is_some_and(|build| build.starts_with("1.22.0:")));
    assert_eq!((&member["Status"], &member["Addr"]), (&json!(1), &json!("192.0.2.1")));
    assert_eq!((&body["Stats"]["license"], &body["xDS"]["SupportedProxies"]), (&json!(null), &json!({})));
    assert!(body["Coord"]["Vec"].is_array() && body["Meta"].is_object());
}

#[tokio::test]
async fn this_node_is_the_only_member() {
    let server = start().await;
    let members = server.get("/v1/agent/members").await.json();
    assert_eq!((members.as_array().map(Vec::len), &members[0]["Name"]), (Some(1), &json!("n1")));
    assert_eq!(server.get("/v1/agent/members?wan=1").await.json()[0]["Name"], "n1.dc1");
    assert_eq!(server.get("/v1/agent/members?filter=Name==n2").await.body, "[]");
    assert_eq!(server.get("/v1/agent/version").await.json()["HumanVersion"], "1.22.0");
}

#[tokio::test]
async fn machines_that_share_the_catalog_are_members() {
    let server = start().await;
    let machine = |name: &str, address: &str| Machine {
        node: NodeName::new(name).unwrap(),
        uuid: "6e9c1a4e-0000-4000-8000-000000000002".into(),
        address: Address::Ip(address.parse().unwrap()),
        addresses: Arc::from([address.parse().unwrap()]),
        version: "0.9.0".into(),
    };
    let others = vec![machine("n2", "192.0.2.2"), machine("n3", "2001:db8::3")];
    server.feed.set_machines(others).await.unwrap();
    let members = server.get("/v1/agent/members").await.json();
    let told: Vec<_> = members.as_array().unwrap().iter().map(|one| json!([one["Name"], one["Addr"]])).collect();
    assert_eq!(json!(told), json!([["n1", "192.0.2.1"], ["n2", "192.0.2.2"], ["n3", "2001:db8::3"]]));
    assert_eq!(members[1]["Tags"]["build"], "1.22.0:0.9.0");
    assert_eq!(server.get("/v1/agent/members?wan=1").await.json()[2]["Name"], "n3.dc1");
    let peers = server.get("/v1/status/peers").await;
    assert_eq!(peers.body, r#"["192.0.2.1:8300","192.0.2.2:8300","[2001:db8::3]:8300"]"#);
    for path in ["join/192.0.2.2", "force-leave/n3"] {
        refused(&server.put(&format!("/v1/agent/{path}"), "").await, 200, "");
    }
    server.feed.set_machines(Vec::new()).await.unwrap();
    assert_eq!(server.get("/v1/status/peers").await.body, r#"["192.0.2.1:8300"]"#);
}

#[tokio::test]
async fn a_node_in_maintenance_has_no_passing_instances() {
    let server = start().await;
    server.register(r#"{"Name": "web"}"#).await;
    let path = "/v1/agent/maintenance";
    refused(&server.put(path, "").await, 400, "enable: must be given, as true or false");
    assert_eq!(server.put(&format!("{path}?enable=false"), "").await.status, 200);
    assert_eq!(server.put(&format!("{path}?enable=true&reason=disk"), "").await.status, 200);
    let check = server.get("/v1/agent/checks").await.json()["_node_maintenance"].clone();
    assert_eq!((&check["Status"], &check["Notes"]), (&json!("critical"), &json!("disk")));
    assert_eq!((&check["Type"], &check["Name"]), (&json!("maintenance"), &json!("Node Maintenance Mode")));
    assert_eq!(server.get("/v1/health/service/web?passing").await.body, "[]");
    assert_eq!(server.put(&format!("{path}?enable=false"), "").await.status, 200);
    assert_eq!(server.get("/v1/health/service/web?passing").await.json().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_server_is_not_stopped_by_who_reaches_its_port() {
    let server = start().await;
    let answer = server.put("/v1/agent/leave", "").await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.starts_with("this server is stopped by who started it"), "{}", answer.body);
    for path in ["join/127.0.0.1", "join/192.0.2.1:8301", "force-leave/n1"] {
        refused(&server.put(&format!("/v1/agent/{path}"), "").await, 200, "");
    }
    assert_eq!(server.put("/v1/agent/join/192.0.2.9", "").await.status, 500);
    assert_eq!(server.put("/v1/agent/force-leave/n9", "").await.status, 404);
    assert_eq!(server.get("/v1/status/leader").await.status, 200);
}

#[tokio::test]
async fn reload_tells_the_server() {
    let server = start().await;
    refused(&server.put("/v1/agent/reload", "").await, 200, "");
    soon(server.reload.notified()).await;
}

#[tokio::test]
async fn the_machine_is_told() {
    let server = start().await;
    let host = server.get("/v1/agent/host").await.json();
    assert_eq!((&host["Errors"], &host["Host"]["os"]), (&json!(null), &json!("linux")));
    assert!(host["Memory"]["total"].as_u64() > Some(0) && host["Disk"]["total"].as_u64() > Some(0));
    assert!(!host["CPU"].as_array().unwrap().is_empty());
}
