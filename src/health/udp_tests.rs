use std::time::Instant;

use super::*;
use crate::{
    catalog::check::{
        CheckKind,
        CheckStatus::{self, Critical, Passing},
    },
    health::testing,
};

const SECOND: Duration = Duration::from_secs(1);

async fn check(target: &str, timeout: Duration, status: CheckStatus, words: &str) {
    let (found, output) = testing::probe((target, CheckKind::Udp), None, timeout).await;
    assert_eq!(found, status, "{output}");
    assert!(output.contains(words), "{output}");
}

/// A server that answers each datagram with so many bytes, or with none at all.
async fn serve(host: IpAddr, answer: Option<usize>) -> u16 {
    let socket = UdpSocket::bind((host, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 64]).await {
            if let Some(length) = answer {
                let _ = socket.send_to(&vec![b'a'; length], from).await;
            }
        }
    });
    port
}

async fn closed_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn an_answer_passes_at_once_whatever_it_says() {
    for length in [0, 1, 9000] {
        let port = serve(Ipv4Addr::LOCALHOST.into(), Some(length)).await;
        let began = Instant::now();
        check(&format!("127.0.0.1:{port}"), SECOND * 10, Passing, ": Success").await;
        assert!(began.elapsed() < SECOND * 5, "{:?}", began.elapsed());
    }
    let port = serve(Ipv6Addr::LOCALHOST.into(), Some(1)).await;
    check(&format!("[::1]:{port}"), SECOND * 10, Passing, ": Success").await;
}

#[tokio::test]
async fn silence_passes() {
    let port = serve(Ipv4Addr::LOCALHOST.into(), None).await;
    check(&format!("127.0.0.1:{port}"), SECOND / 10, Passing, "no error within 100ms").await;
}

#[tokio::test]
async fn a_closed_port_is_critical() {
    check(&format!("127.0.0.1:{}", closed_port().await), SECOND * 5, Critical, "refused").await;
}

#[tokio::test]
async fn the_first_address_of_a_name_is_probed() {
    let port = serve(Ipv4Addr::LOCALHOST.into(), Some(1)).await;
    check(&format!("web.example:{port}"), SECOND * 5, Passing, "Success").await;
    check(&format!("two.example:{port}"), SECOND * 5, Critical, "refused").await;
    check(&format!("none.example:{port}"), SECOND * 5, Critical, "no addresses").await;
    check("web.example", SECOND * 5, Critical, "host:port").await;
}

#[tokio::test]
async fn a_name_that_is_not_resolved_in_time_is_no_silence() {
    let resolver: crate::health::TargetResolver = std::sync::Arc::new(|_| Box::pin(std::future::pending()));
    let connector = Connector::new(resolver, testing::tls(None));
    let outcome = probe(&connector, "web.example:53", SECOND / 10).await;
    assert_eq!(outcome, Outcome::critical("UDP connect web.example:53: no address within 100ms"));
}
