//! Transactions: other nodes, and what lasts of them; many clients at a time.

use hickory_proto::{op::ResponseCode, rr::RecordType};
use serde_json::{Value, json};

use crate::harness::{Client, Running, start};

async fn txn(at: &Client, operations: Value) -> Value {
    let page = at.put("/v1/txn", &operations.to_string()).await;
    assert_eq!(page.status, 200, "{}", page.body);
    page.json()["Results"].clone()
}

fn node(address: &str) -> Value {
    json!({ "Node": { "Verb": "set", "Node": { "Node": "db1", "Address": address, "Meta": { "rack": "r7" } } } })
}

fn service() -> Value {
    json!({ "Service": { "Verb": "set", "Node": "db1", "Service": { "ID": "db-1", "Service": "db", "Port": 5432 } } })
}

fn check(status: &str) -> Value {
    let check = json!({ "Node": "db1", "CheckID": "alive", "ServiceID": "db-1", "Status": status });
    json!({ "Check": { "Verb": "set", "Check": check } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_is_answered_with_its_services() {
    let Running { server, at } = start("").await;
    txn(&at, json!([node("192.0.2.9"), service(), check("passing")])).await;
    assert_eq!(at.addresses("db1.node.internal.").await, ["192.0.2.9"]);
    assert_eq!(at.addresses("db.service.internal.").await, ["192.0.2.9"]);
    assert_eq!(at.ask("db1.node.internal.", RecordType::TXT).await.data, ["rack=r7"]);
    assert_eq!(at.ask("db.service.internal.", RecordType::SRV).await.data, ["1 1 5432 db1.node.dc1.internal."]);
    assert_eq!(at.ask("9.2.0.192.in-addr.arpa.", RecordType::PTR).await.data, ["db1.node.dc1.internal."]);
    txn(&at, json!([node("192.0.2.10")])).await;
    assert_eq!(at.addresses("db.service.internal.").await, ["192.0.2.10"], "its address is its services'");
    txn(&at, json!([check("critical")])).await;
    assert!(at.addresses("db.service.internal.").await.is_empty());
    txn(&at, json!([{ "Node": { "Verb": "delete", "Node": { "Node": "db1" } } }])).await;
    for name in ["db1.node.internal.", "db.service.internal."] {
        assert_eq!(at.ask(name, RecordType::A).await.rcode, ResponseCode::NXDomain, "{name}");
    }
    assert_ne!(at.ask("10.2.0.192.in-addr.arpa.", RecordType::PTR).await.rcode, ResponseCode::NoError);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_transaction_did_outlives_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let toml = format!("data_dir = {:?}", data.path());
    let Running { server, at } = start(&toml).await;
    // As long as IDs may be, and what is made of it is longer.
    let long = "x".repeat(253);
    at.register(json!({ "Name": "long", "ID": long, "Check": { "TTL": "1m" } })).await;
    txn(&at, json!([node("192.0.2.9"), service(), check("passing")])).await;
    let gone = json!({ "Node": { "Verb": "set", "Node": { "Node": "gone", "Address": "192.0.2.8" } } });
    txn(&at, json!([gone])).await;
    txn(&at, json!([{ "Node": { "Verb": "delete", "Node": { "Node": "gone" } } }])).await;
    let before = at.json("/v1/catalog/nodes").await;
    server.shutdown().await;

    let Running { server, at } = start(&toml).await;
    assert_eq!(at.addresses("db.service.internal.").await, ["192.0.2.9"]);
    let nodes = at.json("/v1/catalog/nodes").await;
    let names: Vec<&str> = nodes.as_array().unwrap().iter().filter_map(|node| node["Node"].as_str()).collect();
    assert_eq!(names, ["db1", "n1"]);
    assert_eq!(nodes[0], before[0]);
    assert_eq!(at.json("/v1/agent/checks").await[format!("service:{long}")]["Type"], "ttl");
    txn(&at, json!([{ "Node": { "Verb": "delete", "Node": { "Node": "db1" } } }])).await;
    server.shutdown().await;

    let Running { server, at } = start(&toml).await;
    assert_eq!(at.json("/v1/catalog/nodes").await.as_array().map(Vec::len), Some(1));
    assert_eq!(at.json("/v1/catalog/service/db").await, json!([]));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_register_at_the_same_time_share_commits() {
    const CLIENTS: usize = 64;
    const EACH: usize = 20;
    let data = tempfile::tempdir().unwrap();
    let Running { server, at } = start(&format!("data_dir = {:?}", data.path())).await;
    let before = at.metric("nameplate_journal_commits_total").await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            tokio::spawn(async move {
                for round in 0..EACH {
                    let id = format!("web-{client}-{round}");
                    at.register(json!({ "Name": "web", "ID": id, "Address": "192.0.2.9", "Port": 80 })).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let registered = at.json("/v1/catalog/service/web").await.as_array().map(Vec::len);
    assert_eq!(registered, Some(CLIENTS * EACH));
    let commits = at.metric("nameplate_journal_commits_total").await - before;
    assert!(commits >= 1.0 && commits <= (CLIENTS * EACH / 4) as f64, "{commits} commits");
    server.shutdown().await;
}
