//! Whatever comes ends as an error that says what it was.

use std::sync::Mutex;

use http::HeaderValue;
use prost::bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{
    Client, Error, MESSAGE_MAX_BYTES, Refusal,
    fake::{Answer, Asked, Fake, Reply, client, header, host, ok, settings, trailers, well},
    grpc::framed,
    messages::RangeResponse,
};

/// A member that answers reads with this, but for what proves that it is one.
async fn replying(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Fake {
    Fake::start(move |asked: &Asked| (!asked.is_proof()).then(|| Answer::Raw(Box::new(reply())))).await
}

async fn error_of(reply: Reply) -> Error {
    let reply = Mutex::new(reply);
    let fake = replying(move || reply.lock().unwrap().clone()).await;
    client([&fake]).get(b"/a").await.unwrap_err()
}

fn well_formed() -> Bytes {
    framed(&RangeResponse { header: header(1), ..RangeResponse::default() })
}

#[tokio::test]
async fn what_is_no_answer_of_grpc_is_told_as_such() {
    let status = |status: u16| {
        let mut head = ok();
        *head.status_mut() = status.try_into().unwrap();
        head
    };
    let mut page = ok();
    page.headers_mut().insert("content-type", HeaderValue::from_static("text/html"));
    let good = || Some(trailers(0, ""));
    let cases = [
        ((status(404), Bytes::new(), None), "HTTP status 404"),
        ((page, Bytes::from_static(b"<html>"), None), "no gRPC"),
        ((ok(), Bytes::new(), good()), "without a message"),
        ((ok(), well_formed(), None), "without a gRPC status"),
        ((ok(), well_formed().slice(..5), good()), "within a message"),
        ((ok(), [well_formed(), well_formed()].concat().into(), good()), "two messages"),
        ((ok(), Bytes::from_static(b"\x01\0\0\0\0"), good()), "compressed"),
        ((ok(), Bytes::from_static(b"\0\0\0\0\x02\x0a\x7f"), good()), ""),
        ((ok(), Bytes::from_static(b"\0\0\0\0\0"), good()), "without a header"),
        ((ok(), Bytes::new(), Some(trailers(12, "unknown service"))), "unknown service"),
    ];
    for (reply, told) in cases {
        let error = error_of(reply).await;
        assert!(matches!(&error, Error::Broken { .. }) && error.to_string().contains(told), "{told}: {error}");
    }
    let busy = error_of((status(503), Bytes::new(), None)).await;
    assert!(matches!(busy, Error::Unavailable { .. }), "{busy}");
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_before_it_is_read() {
    let length = u32::try_from(MESSAGE_MAX_BYTES + 1).unwrap().to_be_bytes();
    let error = error_of((ok(), [&[0][..], &length].concat().into(), Some(trailers(0, "")))).await;
    assert_eq!(error, Error::Refused(Refusal::AnswerTooLarge(MESSAGE_MAX_BYTES)));
}

#[tokio::test]
async fn what_a_status_says_is_shown_as_far_as_it_can_be() {
    let mut junk = trailers(2, "");
    let words = [&b"50% of %C3%A9 %FF%zz%+1\xe9"[..], &[b'x'; 5000]].concat();
    junk.insert("grpc-message", HeaderValue::from_bytes(&words).unwrap());
    // No base64, and of no interest.
    junk.insert("grpc-status-details-bin", HeaderValue::from_static("%%%"));
    let error = error_of((ok(), Bytes::new(), Some(junk))).await.to_string();
    assert!(error.contains("50% of é \u{fffd}%zz%+1\u{fffd}xxx") && error.len() < 600, "{error}");
    for code in ["", "-1", "x", "4294967296"] {
        let mut odd = trailers(0, "");
        odd.insert("grpc-status", HeaderValue::from_static(code));
        let error = error_of((ok(), Bytes::new(), Some(odd))).await;
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_peer_that_speaks_no_http2_is_left() {
    for said in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x01\0\x02\x02\x16", b"\0", b""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fine = Fake::start(well).await;
        let other = host(listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                drop(stream.write_all(said).await);
                drop(stream.read(&mut [0; 9]).await);
            }
        });
        let client = Client::connect(settings(vec![other.clone(), fine.host()]));
        client.get(b"/a").await.unwrap();
        let alone = Client::connect(settings(vec![other]));
        let error = alone.get(b"/a").await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        task.abort();
    }
}
