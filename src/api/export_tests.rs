use serde_json::{Value, json};

use super::super::harness::{Answer, Harness, start};
use crate::catalog::{
    change::{Change, Origin},
    names::NodeName,
    node::Node,
    service::Instance,
    testing::{check, instance, registration},
};

async fn export(server: &Harness) -> (Answer, Vec<Value>) {
    let answer = server.get("/v1/export").await;
    assert_eq!((answer.status, &answer.headers["content-type"]), (200, &"application/x-ndjson".parse().unwrap()));
    let lines: Vec<Value> = answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (answer, lines)
}

/// Registers one of everything.
async fn fill(server: &Harness) {
    let operations = json!([
        { "Node": { "Verb": "set", "Node": {
            "ID": "6e9c1a4e-0000-4000-8000-000000000002", "Node": "n2", "Address": "db.example",
            "TaggedAddresses": { "lan_ipv4": "192.0.2.2" }, "Meta": { "rack": "r7" },
        } } },
        { "Check": { "Verb": "set", "Check": { "Node": "n2", "CheckID": "disk", "Name": "Disk", "Status": "warning", "Output": "91 %" } } },
        { "Check": { "Verb": "set", "Check": { "CheckID": "_node_maintenance", "Name": "m", "Notes": "why" } } },
        { "Service": { "Verb": "set", "Node": "n2", "Service": { "ID": "db-1", "Service": "db" } } },
    ]);
    assert_eq!(server.put("/v1/txn", &operations.to_string()).await.status, 200);
    for definition in [
        json!({ "Name": "web", "ID": "web-2", "Address": "192.0.2.7", "Port": 80, "Tags": ["b", "a"], "Meta": { "v": "1" },
            "Weights": { "Passing": 3, "Warning": 0 }, "EnableTagOverride": true,
            "TaggedAddresses": { "wan": { "Address": "198.51.100.1", "Port": 81 } },
            "Checks": [
                { "CheckID": "h", "HTTP": "https://192.0.2.7/health", "Method": "post", "Header": { "A": ["1", "2"], "B": [""] },
                  "Body": "x", "DisableRedirects": true, "TLSSkipVerify": true, "TLSServerName": "web.example",
                  "Interval": "1500ms", "Timeout": "250us", "SuccessBeforePassing": 1, "FailuresBeforeWarning": 1,
                  "FailuresBeforeCritical": 2, "DeregisterCriticalServiceAfter": "90m", "Notes": "n" },
                { "CheckID": "t", "TCP": "[2001:db8::1]:80", "TCPUseTLS": true, "Interval": "1h" },
                { "CheckID": "d", "TTL": "1m0.5s", "Status": "passing" },
            ] }),
        json!({ "Name": "web", "ID": "web-1", "Port": 80, "Ports": [{ "Name": "admin", "Port": 81 }] }),
        json!({ "Name": "web", "ID": "web-3", "Ports": [{ "Name": "a", "Port": 80 }, { "Name": "b", "Port": 81, "Default": true }] }),
    ] {
        server.register(&definition.to_string()).await;
    }
    assert_eq!(server.put("/v1/agent/service/maintenance/web-1?enable=true&reason=disk", "").await.status, 200);
}

#[tokio::test]
async fn what_is_exported_and_imported_is_exported_again() {
    let (first, second) = (start().await, start().await);
    fill(&first).await;
    let (answer, lines) = export(&first).await;
    for (name, count) in [("nodes", 1), ("services", 4), ("checks", 6), ("left-out", 0)] {
        assert_eq!(answer.headers[format!("x-nameplate-{name}")], count.to_string(), "{name}");
    }
    let answer_again = second.put("/v1/txn", &json!(lines).to_string()).await;
    assert_eq!(answer_again.status, 200, "{}", answer_again.body);
    assert_eq!(export(&second).await.0.body, answer.body);
    let ids: Vec<&str> = lines.iter().filter_map(|line| line["Service"]["Service"]["ID"].as_str()).collect();
    assert_eq!(ids, ["web-1", "web-2", "web-3", "db-1"], "this node's first, by ID");
    let health = second.get("/v1/health/service/web").await.json();
    assert_eq!(health[0]["Checks"][2]["Notes"], "disk", "{health}");
    assert_eq!(health, {
        let mut before = first.get("/v1/health/service/web").await.json();
        for (before, after) in before.as_array_mut().unwrap().iter_mut().zip(health.as_array().unwrap()) {
            without_indexes(before, after);
        }
        before
    });
    let imported_again = second.published.load().index();
    assert_eq!(second.put("/v1/txn", &json!(lines).to_string()).await.status, 200);
    assert_eq!(second.published.load().index(), imported_again, "what is there already is not changed");
}

/// Takes the indexes of one value over into another.
fn without_indexes(to: &mut Value, from: &Value) {
    match (to, from) {
        (Value::Object(to), Value::Object(from)) => {
            for (key, value) in to {
                if key.ends_with("Index") {
                    *value = from[key].clone();
                } else if let Some(from) = from.get(key) {
                    without_indexes(value, from);
                }
            }
        }
        (Value::Array(to), Value::Array(from)) => {
            to.iter_mut().zip(from).for_each(|(to, from)| without_indexes(to, from));
        }
        _ => {}
    }
}

#[tokio::test]
async fn what_other_sources_register_is_theirs() {
    let server = start().await;
    let of = |origin, id: &str| {
        let instance = crate::catalog::service::Instance { origin, ..instance("web", id) };
        Change::Register(Box::new(registration(
            instance,
            vec![check(&format!("c-{id}"), Some(id), crate::catalog::check::CheckStatus::Passing)],
        )))
    };
    server.submit(of(Origin::File, "filed")).await;
    server.submit(of(Origin::Server, "both")).await;
    server.submit(of(Origin::Api, "both")).await;
    assert_eq!(
        server.put("/v1/agent/check/register", r#"{"Name": "mine", "ServiceID": "filed", "TTL": "1m"}"#).await.status,
        200
    );
    let (answer, lines) = export(&server).await;
    assert_eq!((lines.len(), &lines[0]["Service"]["Service"]["ID"]), (2, &json!("both")));
    assert_eq!(
        (&lines[1]["Check"]["Check"]["CheckID"], &answer.headers["x-nameplate-left-out"]),
        (&json!("c-both"), &"1".parse().unwrap())
    );
}

#[tokio::test]
async fn a_node_that_another_machine_told_us_of_is_there_only_under_what_is_ours() {
    let server = start().await;
    let origin = Origin::Cluster;
    for name in ["n2", "n3", "n4"] {
        server.submit(Change::RegisterNode(Node { origin, ..Node::example(name) })).await;
        let instance = Instance { node: NodeName::new(name).unwrap(), origin, ..instance("web", "web-1") };
        server.submit(Change::Register(Box::new(registration(instance, vec![])))).await;
    }
    let operations = json!([
        { "Service": { "Verb": "set", "Node": "n3", "Service": { "ID": "db-1", "Service": "db" } } },
        { "Check": { "Verb": "set", "Check": { "Node": "n4", "CheckID": "disk", "Name": "Disk" } } },
    ]);
    let answer = server.put("/v1/txn", &operations.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let (answer, lines) = export(&server).await;
    assert_eq!(answer.headers["x-nameplate-nodes"], "2");
    let kinds = |line: &Value| line.as_object().unwrap().keys().next().unwrap().clone();
    assert_eq!(lines.iter().map(kinds).collect::<Vec<_>>(), ["Node", "Node", "Check", "Service"]);
    assert_eq!((&lines[0]["Node"]["Node"]["Node"], &lines[1]["Node"]["Node"]["Node"]), (&json!("n3"), &json!("n4")));
}

#[tokio::test]
async fn a_long_export_comes_in_pieces_and_one_at_a_time() {
    let server = start().await;
    for first in (0..640).step_by(64) {
        let set = |id: usize| json!({ "Service": { "Verb": "set", "Service": { "ID": format!("w{id:03}"), "Service": "web", "Meta": { "x": "y".repeat(300) } } } });
        let operations: Vec<Value> = (first..first + 64).map(set).collect();
        assert_eq!(server.put("/v1/txn", &json!(operations).to_string()).await.status, 200);
    }
    let request = axum::http::Request::get("/v1/export").body(axum::body::Body::empty()).unwrap();
    let running = tower::ServiceExt::oneshot(server.router.clone(), request).await.unwrap();
    let refused = server.get("/v1/export").await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (503, "another export is running; try again when it has ended")
    );
    let body = axum::body::to_bytes(running.into_body(), usize::MAX).await.unwrap();
    assert_eq!(body.iter().filter(|byte| **byte == b'\n').count(), 640);
    assert!(body.len() > 3 * super::CHUNK_BYTES);
    super::super::harness::soon(async {
        while server.get("/v1/export").await.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
