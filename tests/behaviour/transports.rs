//! DNS over UDP and TCP, and what is counted and logged of it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::RecordType,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::harness::{Client, PATIENCE, Running, framed, question, read_message, start, until};

async fn register_many(at: Client, name: &str, count: u16) {
    for number in 0..count {
        let address = Ipv4Addr::new(198, 51, 100, number as u8);
        at.register(json!({ "Name": name, "ID": format!("{name}-{number}"), "Address": address, "Port": 80 })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_truncated_and_complete_over_tcp() {
    let Running { server, at } = start("").await;
    register_many(at, "many", 200).await;
    let over_udp = at.ask("many.service.internal.", RecordType::A).await;
    assert!(over_udp.message.metadata.truncation);
    assert!(over_udp.data.len() > 50 && over_udp.data.len() < 80, "{}", over_udp.data.len());
    assert!(over_udp.message.to_vec().unwrap().len() <= 1232);
    let over_tcp = at.ask_tcp("many.service.internal.", RecordType::A).await;
    assert!(!over_tcp.message.metadata.truncation);
    assert_eq!(over_tcp.data.len(), 200);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_takes_many_queries_at_once_and_in_pieces() {
    let Running { server, at } = start("").await;
    register_many(at, "web", 3).await;
    let mut stream = TcpStream::connect(at.dns).await.unwrap();
    let mut queries = Vec::new();
    for id in 0..200_u16 {
        let mut query = question("web.service.internal.", RecordType::SRV);
        query.metadata.id = id;
        queries.extend(framed(&query.to_vec().unwrap()));
    }
    for piece in queries.chunks(701) {
        stream.write_all(piece).await.unwrap();
    }
    let mut ids: Vec<u16> = Vec::new();
    for _ in 0..200 {
        let bytes = timeout(PATIENCE, read_message(&mut stream)).await.unwrap().unwrap();
        let message = Message::from_vec(&bytes).unwrap();
        assert_eq!(message.answers.len(), 3);
        ids.push(message.metadata.id);
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..200).collect::<Vec<u16>>());
    stream.shutdown().await.unwrap();
    assert_eq!(timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.unwrap().unwrap(), 0);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letter_case_of_the_question_is_given_back() {
    let Running { server, at } = start("").await;
    register_many(at, "web", 1).await;
    let query = question("wEb.SerVice.INTERNAL.", RecordType::A).to_vec().unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(&query, at.dns).await.unwrap();
    let mut buffer = [0; 1232];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap().unwrap();
    let end = 12 + "wEb.SerVice.INTERNAL.".len() + 1 + 4;
    assert_eq!(buffer[12..end], query[12..end]);
    assert_eq!(buffer[end..end + 2], [0xc0, 12], "the owner name is a pointer to it");
    assert!(length > end);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_listen_address_is_answered_from_itself() {
    let Running { server, at } = start("dns = [\"127.0.0.1:0\", \"127.0.0.2:0\"]").await;
    register_many(at, "web", 1).await;
    let addresses = server.dns_addresses();
    assert_eq!(addresses.len(), 2);
    for dns in addresses {
        let at = Client { dns, ..at };
        assert_eq!(at.addresses("web.service.internal.").await, ["198.51.100.0"], "{dns}");
        assert_eq!(at.ask_tcp("web.service.internal.", RecordType::A).await.data, ["198.51.100.0"], "{dns}");
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wildcard_address_answers_on_each_local_address() {
    let Running { server, at } = start("dns = [\"0.0.0.0:0\"]").await;
    register_many(at, "web", 1).await;
    let addresses = server.dns_addresses();
    let loopback = addresses.iter().find(|address| address.ip() == Ipv4Addr::LOCALHOST).expect("every host has it");
    let at = Client { dns: *loopback, ..at };
    assert!(addresses.iter().all(|address| !address.ip().is_unspecified() && address.port() == loopback.port()));
    assert_eq!(at.addresses("web.service.internal.").await, ["198.51.100.0"]);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_ask_or_recurse_is_refused() {
    let toml = "allow_query = [\"127.0.0.0/31\"]\nallow_recursion = [\"192.0.2.0/24\"]\nforward = [\"127.0.0.1:9\"]";
    let Running { server, at } = start(toml).await;
    register_many(at, "web", 1).await;
    let answered = at.ask("www.example.", RecordType::A).await;
    assert_eq!((answered.rcode, answered.extended.unwrap().0), (ResponseCode::Refused, 18));
    assert!(!answered.message.metadata.recursion_available);
    assert_eq!(at.addresses("web.service.internal.").await, ["198.51.100.0"]);
    let socket = UdpSocket::bind("127.0.0.9:0").await.unwrap();
    socket.send_to(&question("web.service.internal.", RecordType::A).to_vec().unwrap(), at.dns).await.unwrap();
    let mut buffer = [0; 1232];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap().unwrap();
    let message = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!((message.metadata.response_code, message.answers.len()), (ResponseCode::Refused, 0));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_counted_by_transport_type_and_rcode() {
    let Running { server, at } = start("").await;
    register_many(at, "web", 2).await;
    for _ in 0..5 {
        at.ask("web.service.internal.", RecordType::A).await;
    }
    at.ask_tcp("web.service.internal.", RecordType::SRV).await;
    at.ask("none.service.internal.", RecordType::A).await;
    until("all are counted", async || {
        at.metric("nameplate_dns_requests_total{proto=\"udp\",type=\"A\"}").await == 6.0
            && at.metric("nameplate_dns_requests_total{proto=\"tcp\",type=\"SRV\"}").await == 1.0
            && at.metric("nameplate_dns_responses_total{rcode=\"NOERROR\"}").await == 6.0
            && at.metric("nameplate_dns_responses_total{rcode=\"NXDOMAIN\"}").await == 1.0
            && at.metric("nameplate_tcp_accepted_total").await == 1.0
    })
    .await;
    let page = at.get("/metrics").await;
    assert!(page.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in page.body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("nameplate_") && value.parse::<f64>().is_ok(), "{line}");
    }
    assert_eq!(at.metric("nameplate_catalog_instances").await, 3.0, "ours included");
    assert!(at.metric("nameplate_publishes_total").await >= 3.0);
    assert!(at.metric("nameplate_publish_lag_seconds_count").await >= 2.0);
    assert_eq!(at.metric("nameplate_catalog_checks{status=\"passing\"}").await, 2.0, "of the node, and our own");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_query_log_has_a_line_for_each_query_that_it_is_to_tell() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("queries");
    for (mode, told) in [("errors", 1), ("all", 3)] {
        let Running { server, at } = start(&format!("query_log = {mode:?}\nquery_log_file = {file:?}")).await;
        register_many(at, "web", 1).await;
        at.ask("web.service.internal.", RecordType::A).await;
        at.ask("none.service.internal.", RecordType::A).await;
        at.ask("www.example.", RecordType::A).await;
        until("the lines are there", async || {
            let text = fs::read_to_string(&file).unwrap_or_default();
            text.lines().count() >= told
                && text.contains("udp 127.0.0.1:")
                && text.contains(" www.example. A REFUSED 0 ")
        })
        .await;
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), told, "{text}");
        assert_eq!(text.contains("web.service.internal. A NOERROR 1 "), mode == "all");
        server.shutdown().await;
        fs::remove_file(&file).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_once_open_is_answered_and_closed_after_the_stop() {
    let Running { server, at } = start("").await;
    let (dns, http): (SocketAddr, SocketAddr) = (at.dns, at.http);
    assert_eq!(at.ask("internal.", RecordType::SOA).await.rcode, ResponseCode::NoError);
    server.shutdown().await;
    for address in [dns, http] {
        assert!(TcpStream::connect(address).await.is_err(), "{address}");
    }
}
