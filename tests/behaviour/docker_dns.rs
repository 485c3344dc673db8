//! The bridge that DNS is answered on too, with loopback in the place of Docker's.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use hickory_proto::rr::RecordType;
use nameplate::daemon::{Server, Why};
use serde_json::json;
use tempfile::tempdir;

use crate::harness::{Client, Running, start_from, until};

/// Writes a configuration file as one should, under another name first, and has the server read it.
async fn configure(server: &mut Server, file: &Path, text: &str) {
    let other = file.with_extension("new");
    fs::write(&other, text).unwrap();
    fs::rename(other, file).unwrap();
    server.reload(Why::Told).await;
    // What is listened on follows at the next look.
    server.reload(Why::Looked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bridge_is_listened_on_as_the_settings_say_and_is_no_upstream() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("nameplate.toml");
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = free.port();
    let without = format!("forward = \"127.0.0.1:{port}\"\n");
    let with = format!("{without}docker_dns = \"lo:{port}\"\n");
    fs::write(&file, &without).unwrap();
    let Running { mut server, at } = start_from(&file).await;
    at.register(json!({ "Name": "web", "Address": "192.0.2.7", "Port": 80 })).await;
    let told = |server: &Server| server.banner().contains(&format!("upstreams  127.0.0.1:{port}"));
    assert!(told(&server), "{}", server.banner());

    configure(&mut server, &file, &with).await;
    assert!(server.dns_addresses().contains(&free), "{:?}", server.dns_addresses());
    let on_bridge = Client { dns: free, http: at.http };
    let told_of = async || {
        let body = at.get("/v1/agent/self").await.json();
        body["DebugConfig"]["DNSAddrs"].as_array().unwrap().contains(&json!(format!("tcp://{free}")))
    };
    assert!(told_of().await, "the API tells of it");
    until("it is answered there", async || on_bridge.addresses("web.service.internal.").await == ["192.0.2.7"]).await;
    assert_eq!(on_bridge.ask_tcp("web.service.internal.", RecordType::A).await.data, ["192.0.2.7"]);
    assert!(!told(&server), "{}", server.banner());
    assert_eq!(at.addresses("web.service.internal.").await, ["192.0.2.7"]);

    configure(&mut server, &file, &without).await;
    assert!(!server.dns_addresses().contains(&free), "{:?}", server.dns_addresses());
    assert!(!told_of().await, "the API tells of it no more");
    assert!(told(&server), "{}", server.banner());
    until("the port is free", async || std::net::UdpSocket::bind(free).is_ok()).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_is_not_there_is_no_error() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("nameplate.toml");
    fs::write(&file, "docker_dns = \"no-such0\"\n").unwrap();
    let Running { server, at } = start_from(&file).await;
    let only: Vec<SocketAddr> = server.dns_addresses();
    assert_eq!(only, [at.dns]);
    assert_eq!(at.dns.ip(), Ipv4Addr::LOCALHOST);
    assert!(server.banner().contains("no-such0 is not there yet"), "{}", server.banner());
    server.shutdown().await;
}
