//! HAProxy, nginx, Kong and Envoy with services found by DNS alone.

use std::{net::Ipv4Addr, str::FromStr};

use hickory_proto::{
    op::{Edns, Message, Query},
    rr::{Name, RData, RecordType},
};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::harness::{Client, Running, exchange, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_know_dns_alone_find_all_or_are_told() {
    let Running { server, at } = start("").await;
    for number in 0..60_u16 {
        let body = json!({ "Name": "web", "ID": format!("web-{number}"), "Address": format!("192.0.2.{}", 100 + number),
                           "Port": 20_000 + number });
        at.register(body).await;
    }
    at.register(json!({ "Name": "few", "Address": "192.0.2.9", "Port": 80 })).await;

    // HAProxy's server-template: SRV with a payload of 8,192 bytes, which on loopback is believed. With less, what does not
    // fit is told by TC, and TCP has it whole. It takes addresses from the additional section.
    let large = question("_web._tcp.service.internal.", RecordType::SRV, Some(8192));
    let small = question("_web._tcp.service.internal.", RecordType::SRV, Some(1232));
    let truncated = ask(at, &small).await;
    assert!(truncated.metadata.truncation && truncated.answers.len() < 60);
    let by_tcp = Message::from_vec(&exchange(at.dns, &small.to_vec().unwrap()).await.unwrap()).unwrap();
    for whole in [ask(at, &large).await, by_tcp] {
        assert_eq!((whole.answers.len(), whole.metadata.truncation), (60, false));
        let addresses = whole.additionals.iter().filter(|record| matches!(record.data, RData::A(_)));
        assert_eq!(addresses.count(), 60, "each target comes with its address");
    }

    // nginx's resolver: A without EDNS, so 512 bytes; some are better than none, and TC says that there are more.
    let plain = ask(at, &question("web.service.internal.", RecordType::A, None)).await;
    assert!(plain.metadata.truncation && !plain.answers.is_empty());
    // Kong: SRV, then A of its target. Envoy's STRICT_DNS: A and AAAA.
    let few = ask(at, &question("few.service.internal.", RecordType::SRV, None)).await;
    let [record] = &few.answers[..] else { panic!("one instance") };
    let RData::SRV(srv) = &record.data else { panic!("SRV") };
    assert_eq!(srv.port, 80);
    let target = ask(at, &question(&srv.target.to_string(), RecordType::A, None)).await;
    assert_eq!(target.answers.len(), 1);
    assert!(matches!(target.answers[0].data, RData::A(a) if a.0 == Ipv4Addr::new(192, 0, 2, 9)));
    let none = ask(at, &question("few.service.internal.", RecordType::AAAA, None)).await;
    assert!(none.answers.is_empty(), "no data, and no error: an instance with one family is up");
    assert_eq!(none.metadata.response_code, hickory_proto::op::ResponseCode::NoError);
    server.shutdown().await;
}

fn question(name: &str, rtype: RecordType, payload: Option<u16>) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_str(name).unwrap(), rtype));
    message.metadata.recursion_desired = true;
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.set_edns(edns);
    }
    message
}

async fn ask(at: Client, query: &Message) -> Message {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect(at.dns).await.unwrap();
    socket.send(&query.to_vec().unwrap()).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let received = tokio::time::timeout(crate::harness::PATIENCE, socket.recv(&mut buffer)).await;
    let length = received.expect("a response comes").unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}
