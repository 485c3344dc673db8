use serde_json::{Value, json};

use super::{
    super::{
        HeartbeatOutcome,
        harness::{Answer, Harness, start},
    },
    *,
};
use crate::catalog::change::{Origin, Registration};

async fn txn(server: &Harness, operations: Value) -> Answer {
    server.put("/v1/txn", &operations.to_string()).await
}

#[track_caller]
fn failed(answer: &Answer, errors: Value) {
    assert_eq!((answer.status, answer.json()), (409, json!({ "Results": null, "Errors": errors })));
}

fn set_node(name: &str) -> Value {
    json!({ "Node": { "Verb": "set", "Node": { "Node": name, "Address": "192.0.2.2" } } })
}

fn set_service(node: &str, id: &str) -> Value {
    json!({ "Service": { "Verb": "set", "Node": node, "Service": { "ID": id, "Service": "web", "Port": 80 } } })
}

#[tokio::test]
async fn a_node_with_a_service_and_its_check_comes_at_once() {
    let server = start().await;
    let check = json!({ "Check": { "Verb": "set", "Check": {
        "Node": "n2", "CheckID": "c", "Name": "alive", "ServiceID": "web-1", "Status": "passing", "Output": "fine",
    } } });
    let answer = txn(&server, json!([set_node("n2"), set_service("n2", "web-1"), check])).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let results = answer.json()["Results"].clone();
    assert_eq!((&results[0]["Node"]["Node"], &results[1]["Service"]["ID"]), (&json!("n2"), &json!("web-1")));
    assert_eq!(
        (&results[2]["Check"]["Status"], &results[2]["Check"]["ServiceName"]),
        (&json!("passing"), &json!("web"))
    );
    assert_eq!(answer.json()["Errors"], Value::Null);

    let health = server.get("/v1/health/service/web?passing").await.json();
    assert_eq!(
        (&health[0]["Node"]["Address"], &health[0]["Checks"][0]["Output"]),
        (&json!("192.0.2.2"), &json!("fine"))
    );
    assert_eq!(server.get("/v1/agent/services").await.body, "{}", "it is another node's");
    let answer = txn(&server, json!([{ "Node": { "Verb": "delete", "Node": { "Node": "n2" } } }])).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "Results": [], "Errors": null })));
    assert_eq!(server.get("/v1/catalog/services").await.body, "{}");
    assert_eq!(server.get("/v1/catalog/nodes").await.json().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn all_or_nothing_and_every_failure_is_named() {
    let server = start().await;
    let index = server.published.load().index();
    let operations = json!([
        set_node("n2"),
        set_service("n9", "web-1"),
        { "Check": { "Verb": "get", "Check": { "Node": "n2", "CheckID": "c" } } },
        { "Node": { "Verb": "cas", "Node": { "Node": "n1", "Address": "192.0.2.9" } } },
    ]);
    let own = "node \"n1\" is this server itself; its address and meta come from its settings";
    failed(&txn(&server, operations.clone()).await, json!([{ "OpIndex": 3, "What": own }]));
    let rest = json!(operations.as_array().unwrap()[..3]);
    failed(
        &txn(&server, rest).await,
        json!([
            { "OpIndex": 1, "What": "unknown node \"n9\"; register it first" },
            { "OpIndex": 2, "What": "check \"c\" on node \"n2\" doesn't exist" },
        ]),
    );
    assert_eq!(server.published.load().index(), index);
}

#[tokio::test]
async fn compare_and_set_takes_the_index_that_was_read() {
    let server = start().await;
    let index =
        txn(&server, json!([set_service("n1", "web-1")])).await.json()["Results"][0]["Service"]["ModifyIndex"].clone();
    let cas = |verb: &str, index: &Value| {
        let service = json!({ "ID": "web-1", "Service": "web", "Port": 81, "ModifyIndex": index });
        json!([{ "Service": { "Verb": verb, "Node": "n1", "Service": service } }])
    };
    let stale = "failed to set service \"web-1\" on node \"n1\", index is stale; read it again, and set it with the \
                 ModifyIndex that it has now";
    failed(&txn(&server, cas("cas", &json!(1))).await, json!([{ "OpIndex": 0, "What": stale }]));
    let answer = txn(&server, cas("cas", &index)).await;
    assert_eq!((answer.status, &answer.json()["Results"][0]["Service"]["Port"]), (200, &json!(81)));
    assert_eq!(txn(&server, cas("delete-cas", &index)).await.status, 409);
    let index = answer.json()["Results"][0]["Service"]["ModifyIndex"].clone();
    assert_eq!(txn(&server, cas("delete-cas", &index)).await.status, 200);
    assert_eq!(server.get("/v1/agent/service/web-1").await.status, 404);
}

#[tokio::test]
async fn reads_are_answered_from_the_snapshot_with_its_index() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Check": {"TTL": "10s"}}"#).await;
    let index = server.published.load().index();
    let reads = json!([
        { "Node": { "Verb": "get", "Node": { "Node": "n1" } } },
        { "Service": { "Verb": "get", "Node": "n1", "Service": { "ID": "web" } } },
        { "Check": { "Verb": "get", "Check": { "Node": "n1", "CheckID": "service:web" } } },
    ]);
    let answer = txn(&server, reads).await;
    assert_eq!((answer.status, answer.index()), (200, index));
    let results = answer.json()["Results"].clone();
    assert_eq!(
        (&results[0]["Node"]["Address"], &results[1]["Service"]["Service"]),
        (&json!("192.0.2.1"), &json!("web"))
    );
    assert_eq!(results[2]["Check"]["Definition"], json!({ "TTL": "10s" }));
    let missing = json!([{ "Service": { "Verb": "get", "Node": "n1", "Service": { "ID": "db" } } }]);
    failed(
        &txn(&server, missing).await,
        json!([{ "OpIndex": 0, "What": "service \"db\" on node \"n1\" doesn't exist" }]),
    );
    assert_eq!(txn(&server, json!([])).await.status, 200);
    assert_eq!(server.published.load().index(), index);
}

#[tokio::test]
async fn on_this_node_a_service_is_as_the_agent_registers_it() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Check": {"TTL": "10s", "Status": "passing"}}"#).await;
    let answer =
        txn(&server, json!([{ "Service": { "Verb": "set", "Service": { "Service": "web", "Port": 80 } } }])).await;
    assert_eq!(answer.json()["Results"][0]["Service"]["Origin"], "api");
    assert_eq!(server.get("/v1/agent/service/web").await.json()["Port"], 80);
    let check = server.get("/v1/agent/checks").await.json()["service:web"].clone();
    assert_eq!((&check["Status"], &check["Type"]), (&json!("passing"), &json!("ttl")), "its checks stay");
}

#[tokio::test]
async fn a_status_of_this_node_renews_the_deadline() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Check": {"TTL": "10s"}}"#).await;
    *server.heartbeat.lock().unwrap() = HeartbeatOutcome::Renewed;
    let check = json!({
        "CheckID": "service:web", "ServiceID": "web", "Status": "passing", "Output": "fine", "Definition": { "TTL": "10s" },
    });
    let answer = txn(&server, json!([{ "Check": { "Verb": "set", "Check": check } }])).await;
    assert_eq!((answer.status, &answer.json()["Results"][0]["Check"]["Status"]), (200, &json!("passing")));
    assert_eq!(server.renewed.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_another_source_owns_is_not_changed() {
    let server = start().await;
    let alive = json!([{ "Check": { "Verb": "delete", "Check": { "Node": "n1", "CheckID": "serfHealth" } } }]);
    let what = "check ID \"serfHealth\" was registered by the server source; change it there";
    failed(&txn(&server, alive).await, json!([{ "OpIndex": 0, "What": what }]));
    let instance = crate::catalog::testing::instance("web", "web-1");
    let instance = crate::catalog::service::Instance { origin: Origin::Server, ..instance };
    let registration = Registration { instance, checks: Vec::new(), replace_existing_checks: false };
    server.submit(Change::Register(Box::new(registration))).await;
    let answer = txn(&server, json!([set_service("n1", "web-1")])).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.headers["x-nameplate-warning"],
        "service ID web-1 is registered by the server source too, which goes first"
    );
}

#[tokio::test]
async fn bounds_are_413_and_other_kinds_400() {
    let server = start().await;
    let many: Vec<Value> = (0..65).map(|at| set_service("n1", &format!("w{at}"))).collect();
    let answer = txn(&server, json!(many[..64])).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = txn(&server, json!(many)).await;
    let what = "the transaction has 65 operations, and at most 64 are taken; split it, or raise txn_max_ops";
    assert_eq!((answer.status, answer.body.as_str()), (413, what));
    let answer = server.call("PUT", "/v1/txn", vec![b' '; 4 * 1024 * 1024 + 1]).await;
    assert_eq!((answer.status, answer.body.as_str()), (413, "the body must be at most 4 MiB"));
    let most = format!("{}[]", " ".repeat(4 * 1024 * 1024 - 2));
    assert_eq!(server.put("/v1/txn", &most).await.status, 200);
    let answer = txn(&server, json!([{ "Session": { "Verb": "delete" } }])).await;
    let what = "[0].Session: Session operations are not offered; KV, Node, Service and Check operations are";
    assert_eq!((answer.status, answer.body.as_str()), (400, what));
    assert_eq!(txn(&server, json!({})).await.body, "expected a list, not an object");
}

#[tokio::test]
async fn a_node_without_uuid_keeps_its_own_or_gets_one_by_its_name() {
    let server = start().await;
    let uuid =
        async |operation: Value| txn(&server, json!([operation])).await.json()["Results"][0]["Node"]["ID"].clone();
    let made = uuid(set_node("n2")).await;
    assert_eq!((&made, &made.as_str().unwrap()[14..15]), (&uuid(set_node("n2")).await, "8"));
    assert_ne!(made, uuid(set_node("n3")).await);
    let given = "6e9c1a4e-0000-4000-8000-000000000002";
    let with = json!({ "Node": { "Verb": "set", "Node": { "ID": given, "Node": "n2", "Address": "192.0.2.2" } } });
    assert_eq!(uuid(with).await, given);
    assert_eq!(uuid(set_node("n2")).await, given);
}

#[tokio::test]
async fn another_node_cannot_have_this_servers_id() {
    let server = start().await;
    let own = "6E9C1A4E-0000-4000-8000-000000000001";
    let node = json!({ "Node": "n2", "Address": "192.0.2.2", "ID": own });
    let answer = txn(&server, json!([{ "Node": { "Verb": "set", "Node": node } }])).await;
    let what = "ID: 6e9c1a4e-0000-4000-8000-000000000001 is that of node \"n1\", which is this server itself; \
                give node \"n2\" another";
    failed(&answer, json!([{ "OpIndex": 0, "What": what }]));
}
