use std::{net::SocketAddr, sync::Arc};

use http::Response;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::*;
use crate::{
    catalog::check::CheckKind,
    health::testing::{Authority, serve},
};

const LONG: Duration = Duration::from_secs(20);

/// What a server answers.
#[derive(Debug, Clone, Default)]
struct Reply {
    status: u16,
    content_type: &'static str,
    /// In the headers, which end the answer if it has nothing else.
    early: Vec<(&'static str, &'static str)>,
    frame: Vec<u8>,
    /// So many times.
    times: usize,
    trailers: Vec<(&'static str, &'static str)>,
}

/// An answer with this message.
fn message(message: &[u8]) -> Reply {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    Reply { frame, times: 1, trailers: vec![("grpc-status", "0")], ..trailers_only(Vec::new()) }
}

fn trailers_only(early: Vec<(&'static str, &'static str)>) -> Reply {
    Reply { status: 200, content_type: "application/grpc+proto", early, ..Reply::default() }
}

type Respond = Arc<dyn Fn(&Request<()>, &[u8]) -> Reply + Send + Sync>;

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, respond: Respond) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, answer))) = connection.accept().await {
        tokio::spawn(reply(request, answer, Arc::clone(&respond)));
    }
}

async fn reply(
    request: Request<h2::RecvStream>,
    mut answer: h2::server::SendResponse<Bytes>,
    respond: Respond,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut asked = Vec::new();
    while let Some(piece) = body.data().await {
        asked.extend_from_slice(&piece?);
    }
    let reply = respond(&Request::from_parts(head, ()), &asked);
    let mut response = Response::builder().status(reply.status).header("content-type", reply.content_type);
    for (name, value) in reply.early {
        response = response.header(name, value);
    }
    let ends = reply.frame.is_empty() && reply.trailers.is_empty();
    let mut stream = answer.send_response(response.body(()).unwrap(), ends)?;
    if ends {
        return Ok(());
    }
    for _ in 0..reply.times {
        stream.send_data(Bytes::from(reply.frame.clone()), false)?;
    }
    let trailers = reply.trailers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let trailers: HeaderMap = trailers.collect();
    if trailers.is_empty() { stream.send_data(Bytes::new(), true) } else { stream.send_trailers(trailers) }
}

async fn server(respond: impl Fn(&Request<()>, &[u8]) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let respond: Respond = Arc::new(respond);
    serve(move |stream| answer(stream, Arc::clone(&respond))).await
}

async fn probe_in_clear(target: &str) -> (CheckStatus, String) {
    crate::health::testing::probe((target, CheckKind::Grpc(ClientTls::default())), None, LONG).await
}

#[track_caller]
fn is_critical((status, output): (CheckStatus, String), words: &str) {
    assert!(status == CheckStatus::Critical && output.contains(words), "{status:?} {output}, not {words}");
}

#[tokio::test]
async fn a_service_that_serves_passes() {
    let address = server(|request, asked| {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((header("content-type").as_str(), header("te").as_str()), ("application/grpc", "trailers"));
        assert_eq!(header("grpc-timeout"), "20000m");
        let long = "x".repeat(200);
        match asked {
            b"\0\0\0\0\0" | b"\0\0\0\0\x05\x0a\x03web" => message(&[8, 1]),
            // With fields of every kind that a later version might add.
            asked if asked == [&b"\0\0\0\0\xcb\x0a\xc8\x01"[..], long.as_bytes()].concat() => {
                message(b"\x12\x02ab\x1d\0\0\0\0\x21\0\0\0\0\0\0\0\0\x28\xff\x01\x08\x01")
            }
            asked => panic!("{asked:?}"),
        }
    })
    .await;
    let long = format!("{address}/{}", "x".repeat(200));
    for target in [address.to_string(), format!("{address}/web"), format!("{address}/"), long] {
        let (status, output) = probe_in_clear(&target).await;
        assert_eq!((status, output), (CheckStatus::Passing, format!("gRPC check {target}: SERVING")));
    }
}

#[tokio::test]
async fn whatever_else_is_said_is_critical() {
    let early = |status, message| trailers_only(vec![("grpc-status", status), ("grpc-message", message)]);
    for (reply, words) in [
        (message(&[8, 2]), "NOT_SERVING"),
        (message(&[8, 0]), "UNKNOWN"),
        (message(&[]), "UNKNOWN"),
        (message(&[8, 3]), "SERVICE_UNKNOWN"),
        (message(&[8, 0x85, 1]), "unknown serving status 133"),
        (early("5", "no such%20service%21%zz%"), "NOT_FOUND (5): no such service!%zz%"),
        (early("12", ""), "UNIMPLEMENTED (12)"),
        (early("99", ""), "an unknown gRPC status (99)"),
        (early("zero", ""), "an unknown gRPC status (zero)"),
        (Reply { trailers: vec![("grpc-status", "14")], ..message(&[8, 1]) }, "UNAVAILABLE (14)"),
        (Reply { trailers: Vec::new(), ..message(&[8, 1]) }, "without a gRPC status"),
        (trailers_only(vec![("grpc-status", "0")]), "no answer of grpc.health.v1"),
        (message(&[8]), "no answer of grpc.health.v1"),
        (message(&[0x0f]), "no answer of grpc.health.v1"),
        (message(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), "no answer of grpc.health.v1"),
        (Reply { times: 2, ..message(&[8, 1]) }, "no answer of grpc.health.v1"),
        (Reply { frame: vec![1, 0, 0, 0, 2, 8, 1], ..message(&[]) }, "no answer of grpc.health.v1"),
        (Reply { frame: vec![0; 8000], ..message(&[]) }, "more than 4096 bytes came"),
        (Reply { content_type: "text/html", ..message(&[8, 1]) }, "no gRPC, but \"text/html\""),
        (Reply { status: 503, ..message(&[8, 1]) }, "HTTP status 503"),
    ] {
        let address = server(move |_, _| reply.clone()).await;
        is_critical(probe_in_clear(&address.to_string()).await, words);
    }
}

#[tokio::test]
async fn the_certificate_must_be_for_the_name_where_tls_is_spoken() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("web.example");
    let respond: Respond = Arc::new(|request: &Request<()>, _: &[u8]| {
        assert_eq!(request.uri().scheme_str(), Some("https"));
        message(&[8, 1])
    });
    let address = serve(move |stream| {
        let (acceptor, respond) = (acceptor.clone(), Arc::clone(&respond));
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, respond).await;
            }
        }
    })
    .await;
    let ask = async |name: &str, tls_skip_verify| {
        let tls = ClientTls { use_tls: true, tls_skip_verify, tls_server_name: Some(name.into()) };
        let target = address.to_string();
        crate::health::testing::probe((&target, CheckKind::Grpc(tls)), Some(authority.bundle()), LONG).await
    };
    assert_eq!(ask("web.example", false).await.0, CheckStatus::Passing);
    is_critical(ask("other.example", false).await, "not valid for name");
    assert_eq!(ask("other.example", true).await.0, CheckStatus::Passing);
    is_critical(probe_in_clear(&address.to_string()).await, "");
}

#[tokio::test]
async fn what_is_no_target_is_critical() {
    for target in ["", "/web", "127.0.0.1", "127.0.0.1:x/web", "a b:1", "::1:80"] {
        is_critical(probe_in_clear(target).await, "must be host:port");
    }
}

#[tokio::test]
async fn another_protocol_and_a_connection_that_ends_are_critical() {
    let http1 = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    is_critical(probe_in_clear(&http1.to_string()).await, "frame");
    let resetting = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 10]).await;
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    is_critical(probe_in_clear(&resetting.to_string()).await, "");
    let closing = serve(|stream| async move { drop(stream) }).await;
    is_critical(probe_in_clear(&closing.to_string()).await, "");
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let address = serve(|stream| async move {
        let _connection = h2::server::handshake(stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let target = address.to_string();
    let kind = CheckKind::Grpc(ClientTls::default());
    let outcome = crate::health::testing::probe((&target, kind), None, Duration::from_millis(200)).await;
    is_critical(outcome, "no answer within 200ms");
}
