use super::*;
use crate::{
    catalog::check::{
        CheckKind,
        CheckStatus::{Critical, Passing},
    },
    health::hostile::{bears_all, passes_by_ipv6, reads, says, speaking},
};

async fn check(answer: &'static [&'static [u8]], status: crate::catalog::check::CheckStatus, words: &str) {
    says(&CheckKind::Redis, &speaking(b"", answer).await, status, words).await;
}

#[tokio::test]
async fn an_answer_to_ping_passes() {
    check(&[b"+PONG\r\n"], Passing, ": PONG").await;
    passes_by_ipv6(CheckKind::Redis, b"", &[b"+PONG\r\n"]).await;
}

#[tokio::test]
async fn a_server_that_wants_a_login_lives() {
    check(&[b"-NOAUTH Authentication required.\r\n"], Passing, "NOAUTH").await;
    check(&[b"-NOPERM User default has no permissions to run the 'ping' command\r\n"], Passing, "NOPERM").await;
}

#[tokio::test]
async fn other_errors_are_critical() {
    check(&[b"-LOADING Redis is loading the dataset in memory\r\n"], Critical, "LOADING").await;
    check(&[b"-MASTERDOWN Link with MASTER is down\r\n"], Critical, "MASTERDOWN").await;
    check(&[b"-ERR max number of clients reached\r\n"], Critical, "max number").await;
    check(&[b"-NOAUTHORITY whatever\r\n"], Critical, "NOAUTHORITY").await;
}

#[tokio::test]
async fn what_is_no_answer_to_ping_is_critical() {
    check(&[b"+OK\r\n"], Critical, "not an answer to PING").await;
    check(&[b"+PONGS\r\n"], Critical, "not an answer to PING").await;
    check(&[b"$4\r\nPONG\r\n"], Critical, "not an answer of Redis").await;
    bears_all(CheckKind::Redis, b"+PONG").await;
}

#[tokio::test]
async fn an_answer_is_shown_on_one_line_of_bounded_length() {
    let (_, output) = crate::health::testing::probe(
        (&speaking(b"", &[LONG]).await, CheckKind::Redis),
        None,
        crate::health::hostile::PLENTY,
    )
    .await;
    assert!(output.len() < 400 && !output.contains('\u{1b}'), "{output}");
}

const LONG: &[u8] = &{
    let mut bytes = [b'a'; 2000];
    bytes[0] = b'-';
    bytes[2] = 0x1b;
    bytes[1998] = b'\r';
    bytes[1999] = b'\n';
    bytes
};

#[test]
fn whatever_comes_is_borne() {
    reads(read, b"+PONG\r\n");
    reads(read, b"-LOADING Redis is loading the dataset in memory\r\n");
}
