//! Names of others, asked at an upstream that the test is.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, CNAME},
    },
};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::harness::{Running, start, until};

/// An upstream over UDP: `www.example.` and `host.example.` have addresses, `alias.example.` is a CNAME of the first,
/// `silent.example.` gets no response, all else is NXDOMAIN.
struct Upstream {
    at: SocketAddr,
    /// Names that were asked, the loop test's left out.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    async fn start() -> Upstream {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let upstream = Upstream { at: socket.local_addr().unwrap(), asked: Arc::default() };
        let asked = Arc::clone(&upstream.asked);
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let query = Message::from_vec(&buffer[..length]).unwrap();
                if let Some(response) = Upstream::response(&query, &asked) {
                    let _ = socket.send_to(&response.to_vec().unwrap(), from).await;
                }
            }
        });
        upstream
    }

    fn response(query: &Message, asked: &Mutex<Vec<String>>) -> Option<Message> {
        let question = &query.queries[0];
        let name = question.name.to_ascii().to_ascii_lowercase();
        if question.query_type != RecordType::HINFO {
            asked.lock().unwrap().push(name.clone());
        }
        let mut response = query.clone().into_response();
        response.metadata.recursion_available = true;
        let record = |owner: &str, data| Record::from_rdata(Name::from_ascii(owner).unwrap(), 300, data);
        let www = record("www.example.", RData::A(A::new(192, 0, 2, 80)));
        match (name.as_str(), question.query_type) {
            ("silent.example.", _) => return None,
            ("www.example.", RecordType::A) => _ = response.add_answer(www),
            ("host.example.", RecordType::A) => {
                _ = response.add_answer(record("host.example.", RData::A(A::new(192, 0, 2, 81))));
            }
            ("alias.example.", RecordType::A) => {
                let target = CNAME(Name::from_ascii("www.example.").unwrap());
                _ = response.add_answer(record("alias.example.", RData::CNAME(target)));
                _ = response.add_answer(www);
            }
            ("www.example." | "host.example." | "alias.example.", _) => {}
            _ => response.metadata.response_code = ResponseCode::NXDomain,
        }
        Some(response)
    }

    fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == name).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarded_answer_is_kept_until_the_cache_is_flushed() {
    let upstream = Upstream::start().await;
    let Running { server, at } = start(&format!("forward = [\"{}\"]", upstream.at)).await;
    for answered in [at.ask("www.example.", RecordType::A).await, at.ask_tcp("www.example.", RecordType::A).await] {
        assert_eq!((answered.rcode, answered.data.as_slice()), (ResponseCode::NoError, &["192.0.2.80".to_owned()][..]));
        assert!(answered.message.metadata.recursion_available && !answered.message.metadata.authoritative);
    }
    assert_eq!(upstream.asked("www.example."), 1, "the second comes from the cache");
    let flushed = at.put("/v1/dns/cache/flush?name=www.example", "").await;
    assert_eq!((flushed.status, flushed.json()), (200, json!({ "Flushed": 1 })));
    assert_eq!(at.addresses("www.example.").await, ["192.0.2.80"]);
    assert_eq!(upstream.asked("www.example."), 2);
    assert_eq!(at.put("/v1/dns/cache/flush", "").await.json(), json!({ "Flushed": 1 }));
    assert_eq!(at.put("/v1/dns/cache/flush?name=a..b", "").await.status, 400);
    assert_eq!(at.ask("nothing.example.", RecordType::A).await.rcode, ResponseCode::NXDomain);
    assert_eq!(upstream.asked("web."), 0);
    assert_eq!(at.ask("web.", RecordType::A).await.rcode, ResponseCode::NXDomain);
    assert_eq!(at.ask("web.service.internal.", RecordType::A).await.rcode, ResponseCode::NXDomain);
    assert_eq!(upstream.asked("web.") + upstream.asked("web.service.internal."), 0, "names of ours stay here");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_upstream_ends_in_servfail_and_delays_nothing_of_ours() {
    let upstream = Upstream::start().await;
    let Running { server, at } = start(&format!("forward = [\"{}\"]", upstream.at)).await;
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80 })).await;
    let waiting = tokio::spawn(async move { at.ask("silent.example.", RecordType::A).await });
    until("the upstream is asked", async || upstream.asked("silent.example.") > 0).await;
    for _ in 0..100 {
        assert_eq!(at.addresses("web.service.internal.").await, ["192.0.2.9"]);
    }
    assert!(!waiting.is_finished());
    let answered = waiting.await.unwrap();
    assert_eq!(answered.rcode, ResponseCode::ServFail);
    assert!(matches!(answered.extended, Some((22 | 23, _))), "{:?}", answered.extended);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_forwarding_names_of_others_are_refused() {
    let Running { server, at } = start("").await;
    let answered = at.ask("www.example.", RecordType::A).await;
    assert_eq!(answered.rcode, ResponseCode::Refused);
    assert_eq!(answered.extended.unwrap().0, 20);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_about_names_of_a_rule_that_says_off() {
    let upstream = Upstream::start().await;
    let off = "[forward_zone.\"example\"]\nupstreams = \"off\"";
    let Running { server, at } = start(&format!("forward = [\"{}\"]\n{off}", upstream.at)).await;
    let answered = at.ask("host.example.", RecordType::A).await;
    assert_eq!((answered.rcode, answered.extended.unwrap().0), (ResponseCode::Refused, 20));
    assert_eq!(upstream.asked("host.example."), 0);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_cname_is_followed_to_a_name_of_others() {
    let upstream = Upstream::start().await;
    let zones = tempfile::tempdir().unwrap();
    let text = "$ORIGIN corp.example.\n$TTL 60\n@ SOA ns host 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n\
                out CNAME alias.example.\nlost CNAME nothing.example.\n";
    std::fs::write(zones.path().join("corp.zone"), text).unwrap();
    let toml = format!("forward = [\"{}\"]\nzones = {:?}", upstream.at, zones.path());
    let Running { server, at } = start(&toml).await;
    let answered = at.ask("out.corp.example.", RecordType::A).await;
    assert_eq!(answered.rcode, ResponseCode::NoError);
    assert_eq!(answered.data, ["192.0.2.80", "alias.example.", "www.example."]);
    assert!(answered.message.metadata.authoritative, "AA is that of the chain's start");
    assert_eq!(at.ask("lost.corp.example.", RecordType::A).await.rcode, ResponseCode::NXDomain, "RCODE is the end's");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_with_a_host_name_is_answered_with_its_addresses() {
    let upstream = Upstream::start().await;
    let Running { server, at } = start(&format!("forward = [\"{}\"]", upstream.at)).await;
    at.register(json!({ "Name": "outside", "Address": "host.example", "Port": 80 })).await;
    let answered = at.ask("outside.service.internal.", RecordType::A).await;
    assert_eq!(answered.data, ["192.0.2.81"], "{answered:?}");
    assert_eq!(answered.message.answers[0].name.to_ascii(), "outside.service.internal.");
    assert_eq!(at.ask("outside.service.internal.", RecordType::SRV).await.data, ["1 1 80 host.example."]);

    at.register(json!({ "Name": "db", "Address": "192.0.2.5", "Port": 80 })).await;
    at.register(json!({ "Name": "inside", "Address": "db.service.internal", "Port": 80 })).await;
    assert_eq!(at.addresses("inside.service.internal.").await, ["192.0.2.5"], "resolved in our own data");

    at.register(json!({ "Name": "lost", "Address": "nothing.example", "Port": 80 })).await;
    let answered = at.ask("lost.service.internal.", RecordType::A).await;
    assert_eq!((answered.rcode, answered.data.len()), (ResponseCode::NoError, 0));
    assert!(
        answered.extended.as_ref().is_some_and(|(code, text)| *code == 0 && text.contains("nothing.example")),
        "{answered:?}"
    );
    server.shutdown().await;
}
