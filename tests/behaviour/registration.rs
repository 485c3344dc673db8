//! Registration over HTTP, and what DNS says of it.

use hickory_proto::{op::ResponseCode, rr::RecordType};
use serde_json::json;

use crate::harness::{Running, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_got_the_200_sees_it_in_dns() {
    let data = tempfile::tempdir().unwrap();
    let Running { server, at } = start(&format!("data_dir = {:?}", data.path())).await;
    for number in 0..200 {
        let name = format!("s{number}");
        at.register(json!({ "Name": name, "Address": "192.0.2.9", "Port": 80 })).await;
        assert_eq!(at.addresses(&format!("{name}.service.internal.")).await, ["192.0.2.9"], "{name}");
    }
    for number in 0..200 {
        let page = at.put(&format!("/v1/agent/service/deregister/s{number}"), "").await;
        assert_eq!(page.status, 200);
        let answered = at.ask(&format!("s{number}.service.internal."), RecordType::A).await;
        assert_eq!(answered.rcode, ResponseCode::NXDomain);
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_found_by_every_name_that_it_has() {
    let Running { server, at } = start("alt_domain = [\"consul\"]").await;
    at.register(json!({
        "Name": "web", "ID": "web-1", "Address": "192.0.2.9", "Tags": ["blue"],
        "Ports": [{ "Name": "http", "Port": 80, "Default": true }, { "Name": "admin", "Port": 8080 }],
    }))
    .await;
    for name in
        ["web.service.internal.", "web.internal.", "web.", "blue.web.service.dc1.internal.", "web.service.consul."]
    {
        assert_eq!(at.addresses(name).await, ["192.0.2.9"], "{name}");
    }
    assert_eq!(at.addresses("web-1._id.web.service.internal.").await, ["192.0.2.9"]);
    let admin = at.ask("web.service.admin.port.internal.", RecordType::SRV).await;
    assert_eq!(admin.data, ["1 1 8080 c0000209.addr.internal."]);
    assert_eq!(at.ask("9.2.0.192.in-addr.arpa.", RecordType::PTR).await.data, ["web.service.internal."]);
    assert_eq!(at.ask("green.web.service.internal.", RecordType::A).await.rcode, ResponseCode::NXDomain);
    assert_eq!(at.addresses("n1.node.internal.").await, ["192.0.2.1"]);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identical_registration_changes_nothing_and_keeps_the_checks() {
    let Running { server, at } = start("").await;
    let definition = json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80, "Check": { "TTL": "1m" } });
    at.register(definition.clone()).await;
    assert!(at.addresses("web.service.internal.").await.is_empty(), "a check is critical until it passes");
    assert_eq!(at.put("/v1/agent/check/pass/service:web", "").await.status, 200);
    let index = at.index("web").await;
    at.register(definition).await;
    assert_eq!(at.index("web").await, index);
    assert_eq!(at.addresses("web.service.internal.").await, ["192.0.2.9"]);
    at.register(json!({ "Name": "web", "Address": "192.0.2.10", "Port": 80, "Check": { "TTL": "1m" } })).await;
    assert!(at.index("web").await > index);
    assert_eq!(at.addresses("web.service.internal.").await, ["192.0.2.10"], "the check still passes");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_hides_an_instance_and_says_so() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80 })).await;
    let path = "/v1/agent/service/maintenance/web";
    assert_eq!(at.put(&format!("{path}?enable=true&reason=new+disk"), "").await.status, 200);
    let answered = at.ask("web.service.internal.", RecordType::A).await;
    assert_eq!((answered.rcode, answered.data.len()), (ResponseCode::NoError, 0));
    assert_eq!(answered.extended, Some((0, "web: 1 registered, 0 passing".to_owned())));
    let page = at.json("/v1/health/service/web").await;
    assert_eq!(page[0]["Checks"][1]["Notes"], "new disk");
    assert_eq!(at.put(&format!("{path}?enable=false"), "").await.status, 200);
    assert_eq!(at.addresses("web.service.internal.").await, ["192.0.2.9"]);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_registrations_check_states_and_maintenance() {
    let data = tempfile::tempdir().unwrap();
    let toml = format!("data_dir = {:?}", data.path());
    let Running { server, at } = start(&toml).await;
    for (name, last) in [("up", 1), ("down", 2), ("hidden", 3)] {
        let address = format!("192.0.2.{last}");
        at.register(json!({ "Name": name, "Address": address, "Port": 80, "Check": { "TTL": "1m" } })).await;
    }
    for check in ["pass/service:up", "pass/service:down", "fail/service:down?note=no+database", "pass/service:hidden"] {
        assert_eq!(at.put(&format!("/v1/agent/check/{check}"), "").await.status, 200);
    }
    assert_eq!(at.put("/v1/agent/service/maintenance/hidden?enable=true&reason=why", "").await.status, 200);
    let before = at.index("up").await.max(at.index("hidden").await);
    let id = at.json("/v1/agent/self").await["Config"]["NodeID"].clone();
    server.shutdown().await;

    let Running { server, at } = start(&toml).await;
    assert_eq!(at.addresses("up.service.internal.").await, ["192.0.2.1"]);
    for name in ["down.service.internal.", "hidden.service.internal."] {
        let answered = at.ask(name, RecordType::A).await;
        assert_eq!((answered.rcode, answered.data.len()), (ResponseCode::NoError, 0), "{name}");
    }
    let down = at.json("/v1/health/service/down").await;
    let check = down[0]["Checks"].as_array().unwrap().iter().find(|check| check["CheckID"] == "service:down").unwrap();
    assert_eq!((&check["Status"], &check["Output"]), (&json!("critical"), &json!("no database")));
    assert_eq!(at.json("/v1/agent/self").await["Config"]["NodeID"], id);
    at.register(json!({ "Name": "new", "Port": 80 })).await;
    assert!(at.index("new").await > before);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_never_goes_back_over_restarts() {
    let data = tempfile::tempdir().unwrap();
    for toml in [format!("data_dir = {:?}", data.path()), String::new()] {
        let mut last = 0;
        for _ in 0..3 {
            let Running { server, at } = start(&toml).await;
            for _ in 0..2 {
                assert_eq!(
                    at.put("/v1/agent/service/deregister/web", "").await.status,
                    if last == 0 { 404 } else { 200 }
                );
                at.register(json!({ "Name": "web", "Port": 80 })).await;
                let index = at.index("web").await;
                assert!(index > last, "{index} after {last}: {toml}");
                last = index;
            }
            server.shutdown().await;
            if toml.is_empty() {
                // Nothing was kept but the order of the indexes.
                let Running { server, at } = start(&toml).await;
                at.register(json!({ "Name": "web", "Port": 80 })).await;
                let index = at.index("web").await;
                assert!(index > last, "{index} after {last}");
                server.shutdown().await;
                last = 0;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_registration_is_refused_with_the_field_and_the_cure() {
    let Running { server, at } = start("").await;
    for (body, told) in [
        (r#"{"Name": "web", "Prot": 80}"#, "Port"),
        (r#"{"Name": "web", "Port": 70000}"#, "Port"),
        (r#"{"Port": 80}"#, "Name"),
        (r#"{"Name": "web", "Address": "0.0.0.0"}"#, "Address"),
        (r#"{"Name": "web", "Check": {"HTTP": "http://192.0.2.9/", "Interval": "soon"}}"#, "Interval"),
        (r#"{"Name": "web", "Weights": {"Passing": 0}}"#, "Weights"),
        ("{", "line 1"),
        ("", "JSON"),
    ] {
        let page = at.put("/v1/agent/service/register", body).await;
        assert_eq!(page.status, 400, "{body}: {}", page.body);
        assert!(page.body.contains(told), "{body}: {}", page.body);
    }
    assert_eq!(at.json("/v1/catalog/service/web").await, json!([]));
    let page = at.get("/v1/agent/service/register").await;
    assert_eq!((page.status, page.header("allow")), (405, Some("PUT, OPTIONS")));
    assert_eq!(at.get("/v1/nothing").await.status, 404);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_files_had_registered_goes_when_there_is_no_directory_any_more() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let definition = r#"{"service": {"name": "db", "address": "192.0.2.9", "port": 5432},
        "check": {"name": "disk", "ttl": "1m"}}"#;
    std::fs::write(files.path().join("db.json"), definition).unwrap();
    let kept = format!("data_dir = {:?}", data.path());
    let Running { server, at } = start(&format!("{kept}\nservices = {:?}", files.path())).await;
    until("the files are read", async || at.get("/v1/status/ready").await.status == 200).await;
    assert_eq!(at.json("/v1/agent/services").await["db"]["Origin"], "file");
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80 })).await;
    server.shutdown().await;

    for _ in 0..2 {
        let Running { server, at } = start(&kept).await;
        assert_eq!(at.ask("db.service.internal.", RecordType::A).await.rcode, ResponseCode::NXDomain);
        assert!(at.json("/v1/agent/checks").await["disk"].is_null());
        assert_eq!(at.json("/v1/agent/services").await["web"]["Origin"], "api");
        server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_another_name_keeps_what_is_registered_on_it() {
    let data = tempfile::tempdir().unwrap();
    let named = |node: &str| format!("data_dir = {:?}\nnode = {node:?}", data.path());
    let Running { server, at } = start(&named("n1")).await;
    let check = json!({ "TTL": "1m", "Status": "passing" });
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80, "Check": check })).await;
    at.register(json!({ "Name": "homeless", "Port": 80 })).await;
    server.shutdown().await;

    for (node, before) in [("n2", "n1"), ("n1", "n2")] {
        let Running { server, at } = start(&named(node)).await;
        let nodes = at.json("/v1/catalog/nodes").await;
        assert_eq!((nodes.as_array().unwrap().len(), &nodes[0]["Node"]), (1, &json!(node)));
        assert_eq!(at.addresses("web.service.internal.").await, ["192.0.2.9"]);
        assert_eq!(at.addresses("homeless.service.internal.").await, ["192.0.2.1"]);
        let gone = at.ask(&format!("{before}.node.internal."), RecordType::A).await;
        assert_eq!(gone.rcode, ResponseCode::NXDomain);
        assert_eq!(at.put("/v1/agent/check/fail/service:web", "").await.status, 200);
        assert!(at.addresses("web.service.internal.").await.is_empty());
        assert_eq!(at.put("/v1/agent/check/pass/service:web", "").await.status, 200);
        server.shutdown().await;
    }
    let Running { server, at } = start(&named("n3")).await;
    let services = at.json("/v1/agent/services").await;
    assert_eq!(services.as_object().unwrap().keys().collect::<Vec<_>>(), ["homeless", "nameplate", "web"]);
    assert_eq!(at.json("/v1/agent/checks").await["service:web"]["Node"], "n3");
    assert_eq!(at.put("/v1/agent/service/deregister/web", "").await.status, 200, "it is this node's");
    assert_eq!(at.ask("web.service.internal.", RecordType::A).await.rcode, ResponseCode::NXDomain);
    server.shutdown().await;

    let Running { server, at } = start(&named("n1")).await;
    assert_eq!(at.json("/v1/catalog/service/web").await, json!([]), "nor does it come back");
    server.shutdown().await;
}
