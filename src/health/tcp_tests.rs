use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::net::TcpListener;

use super::*;
use crate::{
    catalog::check::CheckKind,
    health::testing::{Authority, probe, serve, silent, tcp_check},
};

const SECOND: Duration = Duration::from_secs(1);

async fn check((target, check): (String, ClientTls), bundle: Option<&Authority>, status: CheckStatus, words: &str) {
    let (found, output) = probe((&target, CheckKind::Tcp(check)), bundle.map(Authority::bundle), SECOND * 5).await;
    assert_eq!(found, status, "{output}");
    assert!(output.contains(words), "{output}");
}

fn plain(target: impl Into<String>) -> (String, ClientTls) {
    (target.into(), tcp_check())
}

/// A port on which nobody listens.
async fn closed_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn an_accepted_connection_passes() {
    let address = serve(|_| async {}).await;
    check(plain(address.to_string()), None, CheckStatus::Passing, "Success").await;
    check(plain(format!(":{}", address.port())), None, CheckStatus::Passing, "Success").await;
}

#[tokio::test]
async fn a_closed_port_is_critical() {
    let target = format!("127.0.0.1:{}", closed_port().await);
    check(plain(target), None, CheckStatus::Critical, "refused").await;
}

#[tokio::test]
async fn a_host_name_is_resolved_by_the_given_resolver_alone() {
    let port = serve(|_| async {}).await.port();
    check(plain(format!("web.example:{port}")), None, CheckStatus::Passing, "Success").await;
    check(plain(format!("none.example:{port}")), None, CheckStatus::Critical, "no addresses").await;
    // The system's resolver would know this one.
    check(plain(format!("localhost:{port}")), None, CheckStatus::Critical, "unknown name").await;
}

#[tokio::test]
async fn the_addresses_of_a_name_are_tried_in_order() {
    let port = serve(|_| async {}).await.port();
    check(plain(format!("two.example:{port}")), None, CheckStatus::Passing, "Success").await;
}

#[tokio::test]
async fn a_handshake_must_succeed_where_tls_is_asked_for() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("web.example");
    let port = serve(move |stream| {
        let accepting = acceptor.accept(stream);
        async { drop(accepting.await) }
    })
    .await
    .port();
    let tls = |host: &str| (format!("{host}:{port}"), ClientTls { use_tls: true, ..tcp_check() });
    check(tls("web.example"), Some(&authority), CheckStatus::Passing, "Success").await;
    check(tls("other.example"), Some(&authority), CheckStatus::Critical, "certificate").await;
    check(tls("127.0.0.1"), Some(&authority), CheckStatus::Critical, "certificate").await;
    check(tls("web.example"), Some(&Authority::new()), CheckStatus::Critical, "certificate").await;
    check(tls("web.example"), None, CheckStatus::Critical, "CA certificates").await;
    let (target, plain) = tls("127.0.0.1");
    let named = ClientTls { tls_server_name: Some(Arc::from("web.example")), ..plain.clone() };
    check((target.clone(), named), Some(&authority), CheckStatus::Passing, "Success").await;
    let unverified = ClientTls { tls_skip_verify: true, ..plain };
    check((target, unverified), None, CheckStatus::Passing, "Success").await;
}

#[tokio::test]
async fn a_server_without_tls_is_critical_where_tls_is_asked_for() {
    let port = serve(|mut stream| async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.example\r\n").await;
    })
    .await
    .port();
    let tls = ClientTls { use_tls: true, tls_skip_verify: true, ..tcp_check() };
    check((format!("127.0.0.1:{port}"), tls), None, CheckStatus::Critical, "TLS handshake").await;
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_with_the_timeout() {
    let address = silent().await;
    let hanging = ClientTls { use_tls: true, tls_skip_verify: true, ..tcp_check() };
    let target = address.to_string();
    let (status, output) = probe((&target, CheckKind::Tcp(hanging)), None, Duration::from_millis(100)).await;
    assert_eq!(status, CheckStatus::Critical);
    assert!(output.contains("no connection within 100ms"), "{output}");
}
