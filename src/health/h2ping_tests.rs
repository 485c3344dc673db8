use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::*;
use crate::{
    catalog::check::CheckKind,
    health::testing::{Authority, serve, silent},
};

const LONG: Duration = Duration::from_secs(20);

async fn check(target: (SocketAddr, ClientTls), authority: Option<&Authority>, expected: (CheckStatus, &str)) {
    let (address, tls) = target;
    let bundle = authority.map(Authority::bundle);
    let (status, output) =
        crate::health::testing::probe((&address.to_string(), CheckKind::H2Ping(tls)), bundle, LONG).await;
    assert_eq!(status, expected.0, "{output}");
    assert!(output.starts_with(&format!("HTTP/2 ping {address}: ")) && output.contains(expected.1), "{output}");
}

/// Serves HTTP/2 on a connection, which acknowledges pings.
async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin) {
    if let Ok(mut connection) = h2::server::handshake(stream).await {
        while let Some(Ok(_)) = connection.accept().await {}
    }
}

fn named(name: &str) -> ClientTls {
    ClientTls { use_tls: true, tls_skip_verify: false, tls_server_name: Some(name.into()) }
}

#[tokio::test]
async fn an_acknowledged_ping_passes_in_clear_and_over_tls() {
    let address = serve(answer).await;
    check((address, ClientTls::default()), None, (CheckStatus::Passing, "Success")).await;
    let authority = Authority::new();
    let acceptor = authority.acceptor("web.example");
    let address = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream).await;
            }
        }
    })
    .await;
    check((address, named("web.example")), Some(&authority), (CheckStatus::Passing, "Success")).await;
    let wrong = (CheckStatus::Critical, "not valid for name");
    check((address, named("other.example")), Some(&authority), wrong).await;
    let any = ClientTls { tls_skip_verify: true, ..named("other.example") };
    check((address, any), None, (CheckStatus::Passing, "Success")).await;
}

#[tokio::test]
async fn another_protocol_is_critical() {
    let address = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    check((address, ClientTls::default()), None, (CheckStatus::Critical, "frame")).await;
    // Nor does such a server speak TLS.
    check((address, named("web.example")), Some(&Authority::new()), (CheckStatus::Critical, "TLS handshake")).await;
}

#[tokio::test]
async fn a_connection_that_ends_is_critical() {
    let closing = serve(|stream| async move { drop(stream) }).await;
    check((closing, ClientTls::default()), None, (CheckStatus::Critical, "")).await;
    let resetting = serve(|stream| async move {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    check((resetting, ClientTls::default()), None, (CheckStatus::Critical, "")).await;
}

#[tokio::test]
async fn silence_and_floods_end_with_the_timeout() {
    let silent = silent().await;
    // Settings without end, which all have to be acknowledged.
    let flooding = serve(|mut stream| async move {
        while stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.is_ok() {
            let _ = stream.try_read(&mut [0; 4096]);
        }
    })
    .await;
    for address in [silent, flooding] {
        let target = address.to_string();
        let target = (target.as_str(), CheckKind::H2Ping(ClientTls::default()));
        let began = std::time::Instant::now();
        let (status, output) = crate::health::testing::probe(target, None, Duration::from_millis(300)).await;
        assert_eq!(status, CheckStatus::Critical, "{output}");
        assert!(began.elapsed() < LONG / 2);
        assert!(address != silent || output.ends_with("no acknowledgement within 300ms"), "{output}");
    }
}
