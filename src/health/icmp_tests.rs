use std::fs;

use super::*;
use crate::{
    catalog::check::CheckStatus,
    health::testing::{resolver, tls},
};

/// Whether the system lets this process ask, by what it says of itself.
fn is_permitted() -> bool {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap();
    let bounds: Vec<u64> = range.split_whitespace().map(|bound| bound.parse().unwrap()).collect();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let groups = status.lines().filter(|line| line.starts_with("Gid:") || line.starts_with("Groups:"));
    groups
        .flat_map(|line| line.split_whitespace().skip(1))
        .any(|group| (bounds[0]..=bounds[1]).contains(&group.parse().unwrap()))
}

/// Probes this machine, which answers wherever asking is permitted.
async fn check(target: &str) {
    let connector = Connector::new(resolver(), tls(None));
    match probe(&connector, target, Duration::from_secs(5)).await {
        Outcome::Done { status, output } => {
            assert!(is_permitted(), "{output}");
            assert_eq!(status, CheckStatus::Passing, "{output}");
            assert!(output.contains("reply after"), "{output}");
        }
        Outcome::NotMade(problem) => {
            assert!(!is_permitted(), "{problem}");
            assert!(problem.contains("sysctl -w net.ipv4.ping_group_range"), "{problem}");
        }
    }
}

#[tokio::test]
async fn this_machine_answers_or_the_cure_is_told() {
    check("127.0.0.1").await;
    check("web.example").await;
    check("[::1]").await;
    check("::1").await;
}

#[tokio::test]
async fn a_name_without_addresses_is_critical() {
    let connector = Connector::new(resolver(), tls(None));
    for host in ["none.example", "unknown.invalid", ""] {
        let outcome = probe(&connector, host, Duration::from_secs(5)).await;
        assert!(matches!(outcome, Outcome::Done { status: CheckStatus::Critical, .. }), "{outcome:?}");
    }
}

/// A socket that stands in for one of ICMP, and what answers it.
async fn exchange(request: &Request, answers: Vec<Vec<u8>>) -> io::Result<()> {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.local_addr().unwrap()).await.unwrap();
    for answer in answers {
        server.send_to(&answer, socket.local_addr().unwrap()).await.unwrap();
    }
    tokio::time::timeout(Duration::from_millis(300), request.exchange(&socket))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn reply_to(request: &Request) -> Vec<u8> {
    [&[request.reply, 0, 1, 2, 3, 4, 0, 1], &request.payload[..]].concat()
}

#[tokio::test]
async fn a_reply_has_what_was_sent() {
    for address in ["192.0.2.1", "2001:db8::1"] {
        let request = Request::new(address.parse().unwrap());
        let other = Request::new(address.parse().unwrap());
        let strange = vec![reply_to(&other), request.bytes(), vec![], vec![request.reply], b"garbage".to_vec()];
        let answered = exchange(&request, [strange.clone(), vec![reply_to(&request)]].concat()).await;
        assert!(answered.is_ok(), "{answered:?}");
        let silent = exchange(&request, strange).await;
        assert_eq!(silent.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    }
}

#[tokio::test]
async fn a_flood_of_other_replies_ends() {
    let request = Request::new("192.0.2.1".parse().unwrap());
    let flooded = exchange(&request, vec![vec![0; 24]; IGNORED_MAX + 1]).await;
    assert!(flooded.unwrap_err().to_string().contains("another request"));
}

#[test]
fn a_request_is_an_echo_request() {
    let request = Request::new("192.0.2.1".parse().unwrap());
    assert_eq!(request.bytes()[..8], [8, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(request.bytes()[8..], request.payload);
    assert_eq!(Request::new("2001:db8::1".parse().unwrap()).bytes()[0], 128);
}
