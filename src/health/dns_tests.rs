use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use hickory_proto::rr::{
    Record,
    rdata::{A, AAAA, CNAME, MX, TXT},
};
use proptest::{
    arbitrary::any,
    collection::vec,
    test_runner::{Config, TestRunner},
};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::{
    catalog::check::{
        CheckKind,
        CheckStatus::{self, Critical, Passing},
    },
    health::testing,
};

const PLENTY: Duration = Duration::from_secs(5);

/// Makes of a query, which came by TCP or not, the messages that are sent back.
type Script = Arc<dyn Fn(&Message, bool) -> Vec<Vec<u8>> + Send + Sync>;

/// Starts a server on one port of UDP and TCP.
async fn serve(host: IpAddr, script: Script) -> SocketAddr {
    let (listener, socket) = loop {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            break (listener, socket);
        }
    };
    let address = socket.local_addr().unwrap();
    let by_udp = Arc::clone(&script);
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for message in by_udp(&Message::from_vec(&buffer[..length]).unwrap(), false) {
                let _ = socket.send_to(&message, from).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut query = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut query).await.unwrap();
            for message in script(&Message::from_vec(&query).unwrap(), true) {
                let _ = stream.write_u16(message.len() as u16).await;
                let _ = stream.write_all(&message).await;
            }
        }
    });
    address
}

fn response(query: &Message, code: ResponseCode, data: &[RData]) -> Message {
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata.response_code = code;
    response.add_queries(query.queries.clone());
    let owner = query.queries[0].name();
    response.add_answers(data.iter().map(|data| Record::from_rdata(owner.clone(), 5, data.clone())));
    response
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn data() -> Vec<RData> {
    vec![
        RData::A(A(Ipv4Addr::new(192, 0, 2, 1))),
        RData::A(A(Ipv4Addr::new(192, 0, 2, 2))),
        RData::AAAA(AAAA("2001:db8::1".parse().unwrap())),
        RData::CNAME(CNAME(name("Web.Example."))),
        RData::MX(MX::new(10, name("mail.example."))),
        RData::TXT(TXT::new(vec!["v=Spf1 -all.".to_owned()])),
    ]
}

/// A server that has all of [`data`] of each name.
async fn server() -> SocketAddr {
    serve(
        Ipv4Addr::LOCALHOST.into(),
        Arc::new(|query, _| vec![response(query, ResponseCode::NoError, &data()).to_vec().unwrap()]),
    )
    .await
}

/// Starts a server that answers by UDP so.
async fn answering(answer: impl Fn(&Message) -> Vec<Vec<u8>> + Send + Sync + 'static) -> SocketAddr {
    serve(Ipv4Addr::LOCALHOST.into(), Arc::new(move |query, _| answer(query))).await
}

fn asking(record_type: &str, expected: &[&str]) -> DnsCheck {
    DnsCheck {
        name: "web.example".into(),
        record_type: record_type.into(),
        expected: expected.iter().map(|text| Arc::from(*text)).collect(),
    }
}

async fn says(target: impl ToString, check: DnsCheck, status: CheckStatus, words: &str) {
    let kind = CheckKind::Dns(Box::new(check));
    let (found, output) = testing::probe((&target.to_string(), kind), None, PLENTY).await;
    assert_eq!(found, status, "{output}");
    assert!(output.contains(words), "{words:?} is not in: {output}");
}

#[tokio::test]
async fn any_record_of_the_type_passes_where_nothing_is_expected() {
    let server = server().await;
    says(server, asking("A", &[]), Passing, "192.0.2.1, 192.0.2.2").await;
    says(server, asking("MX", &[]), Passing, "10 mail.example.").await;
    says(server, asking("SRV", &[]), Critical, "NODATA").await;
    says(format!("web.example:{}", server.port()), asking("A", &[]), Passing, "192.0.2.1").await;
}

#[tokio::test]
async fn all_that_is_expected_must_come() {
    let server = server().await;
    says(server, asking("A", &["192.0.2.2"]), Passing, "192.0.2.2").await;
    says(server, asking("A", &["192.0.2.2", "192.0.2.1"]), Passing, "192.0.2.2").await;
    let missing = "192.0.2.3 is not in the answer, which is 192.0.2.1, 192.0.2.2";
    says(server, asking("A", &["192.0.2.2", "192.0.2.3"]), Critical, missing).await;
    // One of another type does not count.
    says(server, asking("A", &["2001:db8::1"]), Critical, "not in the answer").await;
}

#[tokio::test]
async fn names_and_addresses_are_compared_as_such_and_text_by_its_letters() {
    let server = server().await;
    says(server, asking("AAAA", &["2001:DB8:0::1"]), Passing, "2001:db8::1").await;
    for same in ["web.example", "WEB.example."] {
        says(server, asking("CNAME", &[same]), Passing, "").await;
    }
    says(server, asking("CNAME", &["web2.example"]), Critical, "not in the answer").await;
    says(server, asking("MX", &["10  MAIL.example"]), Passing, "").await;
    says(server, asking("MX", &["20 mail.example"]), Critical, "not in the answer").await;
    for same in ["v=Spf1 -all.", "\"v=Spf1 -all.\""] {
        says(server, asking("TXT", &[same]), Passing, "").await;
    }
    for other in ["v=spf1 -all.", "v=Spf1 -all"] {
        says(server, asking("TXT", &[other]), Critical, "not in the answer").await;
    }
}

#[tokio::test]
async fn another_rcode_is_critical_by_its_name() {
    for (code, words) in [
        (ResponseCode::NXDomain, "NXDOMAIN"),
        (ResponseCode::ServFail, "SERVFAIL"),
        (ResponseCode::Refused, "REFUSED"),
        (ResponseCode::NotImp, "NOTIMP"),
        (ResponseCode::NotAuth, "RCODE 9"),
    ] {
        let server = answering(move |query| vec![response(query, code, &data()).to_vec().unwrap()]).await;
        says(server, asking("A", &[]), Critical, words).await;
    }
    let without_question = answering(|query| {
        let mut response = response(query, ResponseCode::FormErr, &[]);
        response.queries.clear();
        vec![response.to_vec().unwrap()]
    })
    .await;
    says(without_question, asking("A", &[]), Critical, "FORMERR").await;
}

#[tokio::test]
async fn what_is_truncated_is_asked_for_by_tcp() {
    let script: Script = Arc::new(|query, by_tcp| {
        let data = if by_tcp { data() } else { Vec::new() };
        let mut response = response(query, ResponseCode::NoError, &data);
        response.metadata.truncation = !by_tcp;
        // Cut within a record, as some servers do.
        let mut bytes = response.to_vec().unwrap();
        bytes.truncate(if by_tcp { bytes.len() } else { 20 });
        vec![bytes]
    });
    says(serve(Ipv4Addr::LOCALHOST.into(), Arc::clone(&script)).await, asking("A", &["192.0.2.1"]), Passing, "").await;
    let by_ipv6 = serve("::1".parse().unwrap(), script).await;
    says(by_ipv6, asking("A", &["192.0.2.1"]), Passing, "[::1]").await;
    let always: Script = Arc::new(|query, _| {
        let mut response = response(query, ResponseCode::NoError, &[]);
        response.metadata.truncation = true;
        vec![response.to_vec().unwrap()]
    });
    says(serve(Ipv4Addr::LOCALHOST.into(), always).await, asking("A", &[]), Critical, "by TCP, too").await;
}

#[tokio::test]
async fn answers_to_other_questions_are_ignored() {
    let strangers = |query: &Message| {
        let right = response(query, ResponseCode::NoError, &data());
        let mut other_id = response(query, ResponseCode::NXDomain, &[]);
        other_id.metadata.id ^= 1;
        let mut other_question = response(query, ResponseCode::NXDomain, &[]);
        other_question.queries = vec![Query::query(name("other.example."), RecordType::A)];
        let mut no_question = response(query, ResponseCode::NoError, &[]);
        no_question.queries.clear();
        [query, &other_id, &other_question, &no_question, &right].map(|message| message.to_vec().unwrap()).to_vec()
    };
    says(answering(strangers).await, asking("A", &[]), Passing, "192.0.2.1").await;
    let flood = answering(|_| vec![b"garbage".to_vec(); IGNORED_MAX + 1]).await;
    says(flood, asking("A", &[]), Critical, "answer another question").await;
}

#[tokio::test]
async fn garbage_with_the_right_id_is_critical() {
    let server = answering(|query| {
        let [high, low] = query.metadata.id.to_be_bytes();
        vec![vec![high, low, 0x80, 0, 0, 9, 0, 9, 0, 0, 0, 0, 0xff, 0xff]]
    })
    .await;
    says(server, asking("A", &[]), Critical, "cannot be read").await;
}

#[tokio::test]
async fn silence_and_a_closed_port_are_critical() {
    let silent = answering(|_| Vec::new()).await;
    let kind = CheckKind::Dns(Box::new(asking("A", &[])));
    let (status, output) = testing::probe((&silent.to_string(), kind), None, Duration::from_millis(100)).await;
    assert_eq!(status, Critical);
    assert!(output.contains("within 100ms"), "{output}");
    let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    says(closed, asking("A", &[]), Critical, "refused").await;
    says("web.example", asking("A", &[]), Critical, "host:port").await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_critical() {
    let server = server().await;
    says(server, asking("NONE", &[]), Critical, "no type of records").await;
    let name = DnsCheck { name: "a..example".into(), ..asking("A", &[]) };
    says(server, name, Critical, "is no name").await;
}

#[test]
fn whatever_comes_is_borne() {
    let mut query = Message::query();
    query.add_query(question(&asking("A", &[])).unwrap());
    let whole = response(&query, ResponseCode::NoError, &data()).to_vec().unwrap();
    let bears = |bytes: &[u8]| {
        if let Response::Whole(response) = read(bytes, &query) {
            for data in [RecordType::A, RecordType::OPT, RecordType::TXT] {
                let _ = judge(&response, &asking("A", &["192.0.2.1"]), data);
            }
        }
    };
    assert!(matches!(read(&whole, &query), Response::Whole(_)));
    (0..whole.len()).for_each(|end| bears(&whole[..end]));
    let config = Config { failure_persistence: None, ..Config::with_cases(2000) };
    TestRunner::new(config)
        .run(&(vec(any::<u8>(), 0..64), 0..=whole.len()), |(bytes, kept)| {
            bears(&bytes);
            bears(&[&whole[..kept], &bytes, &whole[whole.len().min(kept + bytes.len())..]].concat());
            Ok(())
        })
        .unwrap();
}
