use std::io::{Read, Write};

use super::*;
use crate::health::testing::{http_check, probe, tcp_check};

#[test]
fn running_out_of_something_of_ours_is_no_verdict() {
    for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
        let error = io::Error::other(io::Error::from_raw_os_error(code));
        let outcome = Outcome::failed("TCP connect 192.0.2.1:80", &error);
        assert!(matches!(outcome, Outcome::NotMade(_)), "{outcome:?}");
    }
}

#[test]
fn a_failure_is_told_by_its_innermost_cause() {
    let error = io::Error::other(io::Error::new(io::ErrorKind::ConnectionRefused, "refused"));
    assert_eq!(
        Outcome::failed("TCP connect 192.0.2.1:80", &error),
        Outcome::critical("TCP connect 192.0.2.1:80: refused")
    );
}

#[tokio::test]
async fn an_address_needs_no_resolver() {
    let nobody: TargetResolver = Arc::new(|host| panic!("asked for {host}"));
    for address in ["192.0.2.1", "2001:db8::1"] {
        assert_eq!(addresses(&nobody, address).await, Ok(vec![address.parse().unwrap()]));
    }
    assert_eq!(addresses(&nobody, "[2001:db8::1]").await, Ok(vec!["2001:db8::1".parse().unwrap()]));
}

/// A server in a thread of its own, which answers whatever this process does.
fn server() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    address
}

/// Keeps this thread, and so all of a test's tasks, from the processor.
fn hold_up(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

#[tokio::test]
async fn a_timeout_that_passed_for_want_of_the_processor_is_no_verdict() {
    let address = server();
    let kinds = [
        (format!("http://{address}/"), CheckKind::Http(Box::new(http_check()))),
        (address.to_string(), CheckKind::Tcp(tcp_check())),
    ];
    for (target, kind) in kinds {
        let timeout = Duration::from_millis(100);
        // The first poll asks for the connection; whatever the second waits for has come long before it.
        let held_up = async {
            tokio::task::yield_now().await;
            hold_up(3 * timeout);
        };
        let ((status, output), ()) = tokio::join!(probe((&target, kind.clone()), None, timeout), held_up);
        assert_eq!(status, CheckStatus::Passing, "{output}");
        // Nor does it begin before the probe does.
        let late = probe((&target, kind), None, timeout);
        hold_up(2 * timeout);
        let (status, output) = late.await;
        assert_eq!(status, CheckStatus::Passing, "{output}");
    }
}

#[test]
fn an_output_is_cut_between_characters() {
    assert_eq!(cut("short"), "short");
    let long = format!("x{}", "\u{e4}".repeat(OUTPUT_MAX_BYTES));
    assert_eq!(cut(&long).len(), OUTPUT_MAX_BYTES - 1);
}
