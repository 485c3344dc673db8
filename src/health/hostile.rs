//! What every probe of a protocol over TCP must bear, for the tests of this folder.

use std::{net::Ipv6Addr, time::Duration};

use proptest::{
    arbitrary::any,
    collection::vec,
    test_runner::{Config, TestRunner},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::{
    exchange::Reading,
    testing::{probe, serve},
};
use crate::catalog::check::{CheckKind, CheckStatus};

/// Longer than any of these probes needs.
pub(super) const PLENTY: Duration = Duration::from_secs(5);

/// Starts a server that sends the greeting, and then an answer to each read that brings something; it never closes.
pub(super) async fn speaking(greeting: &'static [u8], answers: &'static [&'static [u8]]) -> String {
    let address = serve(move |stream| speak(stream, greeting, answers)).await;
    address.to_string()
}

async fn speak(mut stream: TcpStream, greeting: &[u8], answers: &[&[u8]]) {
    let _ = stream.write_all(greeting).await;
    let mut answers = answers.iter();
    let mut chunk = [0; 1024];
    while stream.read(&mut chunk).await.is_ok_and(|count| count > 0) {
        if let Some(answer) = answers.next() {
            let _ = stream.write_all(answer).await;
        }
    }
}

/// Checks what a probe of this kind says of a target.
pub(super) async fn says(kind: &CheckKind, target: &str, status: CheckStatus, words: &str) {
    let (found, output) = probe((target, kind.clone()), None, PLENTY).await;
    assert_eq!(found, status, "{output}");
    assert!(output.contains(words), "{words:?} is not in: {output}");
}

/// Checks that a probe of this kind bears every target that is none of its protocol. A flood begins with these bytes.
pub(super) async fn bears_all(kind: CheckKind, flood: &'static [u8]) {
    use CheckStatus::Critical;
    let closed = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    says(&kind, &closed.to_string(), Critical, "refused").await;
    says(&kind, "web.example", Critical, "host:port").await;
    says(&kind, "none.example:1", Critical, "no addresses").await;

    let hanging = speaking(b"", &[]).await;
    let began = Instant::now();
    let (status, output) = probe((&hanging, kind.clone()), None, Duration::from_millis(100)).await;
    assert_eq!(status, Critical);
    assert!(output.contains("within 100ms"), "{output}");
    assert!(began.elapsed() < PLENTY, "{:?}", began.elapsed());

    let closing = serve(|mut stream| async move {
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    says(&kind, &closing.to_string(), Critical, "closed").await;

    let resetting = serve(|stream| async move { drop(stream.set_zero_linger()) }).await;
    says(&kind, &resetting.to_string(), Critical, "").await;

    let garbage = speaking(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", &[]).await;
    says(&kind, &garbage, Critical, "").await;

    let began = Instant::now();
    let flooding = serve(move |mut stream| async move {
        let _ = stream.write_all(flood).await;
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
    })
    .await;
    says(&kind, &flooding.to_string(), Critical, "").await;
    assert!(began.elapsed() < PLENTY, "a flood ends by its length: {:?}", began.elapsed());
}

/// Checks that IPv6 addresses are targets, of a server with this greeting and answer.
pub(super) async fn passes_by_ipv6(kind: CheckKind, greeting: &'static [u8], answers: &'static [&'static [u8]]) {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
    let target = format!("[::1]:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(speak(stream, greeting, answers));
        }
    });
    says(&kind, &target, CheckStatus::Passing, &target).await;
}

/// Checks that a reader says `More` of each beginning of these bytes, that it takes no more than there is, and that it
/// bears whatever comes, also instead of some of them.
pub(super) fn reads<T>(read: impl Fn(&[u8]) -> Reading<T>, whole: &[u8]) {
    for end in 0..whole.len() {
        assert!(matches!(read(&whole[..end]), Reading::More), "of {end} bytes");
    }
    assert!(matches!(read(whole), Reading::Done(_, length) if length == whole.len()), "of all bytes");
    let bears = |bytes: &[u8]| {
        let Reading::Done(_, length) = read(bytes) else { return };
        assert!(length <= bytes.len(), "{length} of {} bytes", bytes.len());
    };
    let config = Config { failure_persistence: None, ..Config::with_cases(2000) };
    let strange = (vec(any::<u8>(), 0..64), 0..=whole.len(), any::<bool>());
    TestRunner::new(config)
        .run(&strange, |(bytes, kept, insert)| {
            let after = if insert { kept } else { whole.len().min(kept + bytes.len()) };
            bears(&bytes);
            bears(&[&whole[..kept], &bytes, &whole[after..]].concat());
            Ok(())
        })
        .unwrap();
}
