//! The HTTP API over HTTP/2: in clear by clients that know, over TLS by agreement; and what one connection may take.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{
    connection::Connection,
    harness::{PATIENCE, Running, start, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_has_many_requests_on_their_way() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Port": 80 })).await;
    let index = at.index("web").await;
    let connection = Arc::new(Connection::open(at).await);
    let mut reads = JoinSet::new();
    for _ in 0..200 {
        let connection = Arc::clone(&connection);
        reads.spawn(async move { connection.get(&format!("/v1/health/service/web?index={index}&wait=8s")).await });
    }
    until("all wait", async || at.metric("nameplate_http_blocked").await == 200.0).await;
    assert_eq!(connection.get("/v1/status/leader").await.status, 200, "it goes past those that wait");
    at.register(json!({ "Name": "web", "Port": 81 })).await;
    while let Some(page) = reads.join_next().await {
        let page = page.unwrap();
        assert!(page.status == 200 && page.index() > index, "{page:?}");
        assert_eq!(page.json()[0]["Service"]["Port"], 81);
    }
    server.shutdown().await;
    timeout(PATIENCE, async {
        while !connection.driver.is_finished() {
            tokio::task::yield_now().await
        }
    })
    .await
    .expect("the connection ends with the server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_wait_are_answered_when_the_server_stops() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Port": 80 })).await;
    let index = at.index("web").await;
    let connection = Connection::open(at).await;
    let read = async { connection.get(&format!("/v1/health/service/web?index={index}&wait=8s")).await };
    let stop = async {
        until("it waits", async || at.metric("nameplate_http_blocked").await == 1.0).await;
        let began = Instant::now();
        server.shutdown().await;
        began.elapsed()
    };
    let (page, took) = tokio::join!(read, stop);
    assert!(page.status == 200 && took < Duration::from_secs(3), "{page:?} {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_its_client_gives_up_waits_no_more() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Port": 80 })).await;
    let path = format!("/v1/health/service/web?index={}&wait=8s", at.index("web").await);
    let connection = Arc::new(Connection::open(at).await);
    let asking = Arc::clone(&connection);
    let read = tokio::spawn(async move { asking.get(&path).await });
    until("it waits", async || at.metric("nameplate_http_blocked").await == 1.0).await;
    read.abort();
    until("it waits no more", async || at.metric("nameplate_http_blocked").await == 0.0).await;
    assert_eq!(connection.get("/v1/status/leader").await.status, 200);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_without_a_stream_ends_and_one_that_waits_does_not() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Port": 80 })).await;
    let index = at.index("web").await;
    let (unused, waiting) = (Connection::open(at).await, Connection::open(at).await);
    assert_eq!(unused.get("/v1/status/leader").await.status, 200);
    let began = Instant::now();
    let path = format!("/v1/health/service/web?index={index}&wait=14s");
    let read = async { waiting.send(&path).await.unwrap().status() };
    let ended = async {
        timeout(Duration::from_secs(20), unused.driver).await.expect("it ends").unwrap();
        began.elapsed()
    };
    let (status, ended) = tokio::join!(read, ended);
    assert_eq!(status, 200);
    assert!((8..14).contains(&ended.as_secs()), "it ends after 10 s, not {ended:?}");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_of_a_response_is_cut_off_though_it_asks_for_more() {
    let Running { server, at } = start("").await;
    let meta: serde_json::Map<_, _> = (0..60).map(|number| (format!("m{number}"), json!("x".repeat(500)))).collect();
    for number in 0..10 {
        at.register(json!({ "Name": "web", "ID": format!("web-{number}"), "Meta": meta })).await;
    }
    let connection = Connection::open(at).await;
    let began = Instant::now();
    let _untaken = connection.send("/v1/health/service/web").await.unwrap();
    assert_eq!(connection.get("/v1/status/leader").await.status, 200);
    timeout(Duration::from_secs(60), connection.driver).await.expect("it is cut off").unwrap();
    assert!(began.elapsed() > Duration::from_secs(25), "it may be slow: {:?}", began.elapsed());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_reset_at_once_end_the_connection() {
    let Running { server, at } = start("").await;
    let mut stream = TcpStream::connect(at.http).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    for number in 0..1000 {
        let id = 2 * number + 1;
        // Indexed fields of the static table: GET, http, /; and an authority.
        bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, id, b"\x82\x86\x84\x41\x09localhost"));
        bytes.extend(frame(RST_STREAM, 0, id, &CANCEL.to_be_bytes()));
    }
    // The server may have closed before all is sent.
    let _ = stream.write_all(&bytes).await;
    let mut said = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("it is closed");
    let calm = |bytes: &[u8]| bytes[3] == GOAWAY && bytes[13..17] == ENHANCE_YOUR_CALM.to_be_bytes();
    assert!(said.windows(17).any(calm), "{said:?}");
    assert_eq!(at.get("/v1/status/leader").await.status, 200);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_fields_beyond_16_kib_are_refused() {
    let Running { server, at } = start("").await;
    let connection = Connection::open(at).await;
    assert_eq!(connection.get(&format!("/v1/health/service/web?filter={}", "a".repeat(17 << 10))).await.status, 431);
    assert_eq!(connection.get("/v1/status/leader").await.status, 200);
    server.shutdown().await;
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

// Source: RFC 9113 sections 6 and 7.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;
