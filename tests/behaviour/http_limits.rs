//! What the HTTP API takes from one client, and for which host.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Client, Page, page, start, until};

async fn get_for(at: Client, host: &str) -> Page {
    let mut stream = TcpStream::connect(at.http).await.unwrap();
    let host = if host.is_empty() { String::new() } else { format!("Host: {host}\r\n") };
    let request = format!("GET /v1/catalog/services HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    page(stream).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_loopback_a_page_cannot_lead_its_own_name_here() {
    let running = start("http_hosts = [\"consul.example\"]\nalt_domain = [\"consul\"]").await;
    let port = running.at.http.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "n1",
        "nameplate",
        "consul.example",
        "a.service.internal",
        "consul.service.consul",
        "",
    ] {
        assert_eq!(get_for(running.at, host).await.status, 200, "{host}");
    }
    assert_eq!(get_for(running.at, &format!("localhost:{port}")).await.status, 200);
    for host in ["rebound.example", "127.0.0.1.example:8500", "localhost.example"] {
        let refused = get_for(running.at, host).await;
        assert_eq!(refused.status, 403, "{host}");
        assert!(refused.body.contains(host) && refused.body.contains("http_hosts"), "{}", refused.body);
    }
    running.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_connections_than_there_may_be_are_told_so() {
    let running = start("http_connections = 2").await;
    let one = async || {
        let mut stream = TcpStream::connect(running.at.http).await.unwrap();
        stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: n1\r\n\r\n").await.unwrap();
        let mut head = [0; b"HTTP/1.1 200".len()];
        stream.read_exact(&mut head).await.unwrap();
        (head == *b"HTTP/1.1 200").then_some(stream)
    };
    // The connection by which the start was waited for may not have been seen closed yet.
    let mut held = Vec::new();
    until("two connections are taken", async || {
        held.extend(one().await);
        held.len() == 2
    })
    .await;
    let refused = get_for(running.at, "n1").await;
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("http_connections"), "{}", refused.body);
    running.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_has_so_many_connections_and_others_are_served_meanwhile() {
    let running = start("http_connections_per_client = 3").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(running.at.http).await.unwrap();
        stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: n1\r\n\r\n").await.unwrap();
        stream.read_u8().await.unwrap();
        held.push(stream);
    }
    let refused = get_for(running.at, "n1").await;
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("http_connections_per_client"), "{}", refused.body);
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(running.at.http).await.unwrap();
    other.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: n1\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!(page(other).await.status, 200);
    held.pop();
    until("there is room again", async || get_for(running.at, "n1").await.status == 200).await;
    running.server.shutdown().await;
}
