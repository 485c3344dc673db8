//! Services on nodes that run no server: registered in the catalog, checked from here.

use std::net::Ipv4Addr;

use hickory_proto::rr::RecordType;
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::{Running, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_of_another_node_takes_its_instance_out_and_in() {
    let data = tempfile::tempdir().unwrap();
    let toml = format!("data_dir = {:?}", data.path());
    let Running { server, at } = start(&toml).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = listener.local_addr().unwrap();
    let check = json!({ "CheckID": "db", "Name": "Database", "ServiceID": "db-1",
                        "Definition": { "TCP": target.to_string(), "Interval": "1s" } });
    let body = json!({ "Node": "db1", "Address": "192.0.2.9", "Check": check,
                       "Service": { "ID": "db-1", "Service": "db", "Port": 5432 } });
    let page = at.put("/v1/catalog/register", &body.to_string()).await;
    assert_eq!((page.status, page.body.as_str()), (200, "true"));
    until("it passes", async || at.addresses("db.service.internal.").await == ["192.0.2.9"]).await;
    assert_eq!(at.ask("db.service.internal.", RecordType::SRV).await.data, ["1 1 5432 db1.node.dc1.internal."]);
    drop(listener);
    until("it is critical", async || at.addresses("db.service.internal.").await.is_empty()).await;
    server.shutdown().await;

    let Running { server, at } = start(&toml).await;
    assert!(at.addresses("db.service.internal.").await.is_empty(), "a restart keeps the status");
    let listener = TcpListener::bind(target).await.unwrap();
    until("it passes again", async || at.addresses("db.service.internal.").await == ["192.0.2.9"]).await;
    let gone = json!({ "Node": "db1" });
    assert_eq!(at.put("/v1/catalog/deregister", &gone.to_string()).await.body, "true");
    assert!(at.addresses("db1.node.internal.").await.is_empty());
    drop(listener);
    server.shutdown().await;
}
