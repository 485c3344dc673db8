use super::*;
use crate::{
    catalog::check::{
        CheckKind::Amqp,
        CheckStatus::{self, Critical, Passing},
    },
    health::hostile::{bears_all, passes_by_ipv6, reads, says, speaking},
};

/// The start of a connection: no properties, PLAIN, en_US.
const START: &[u8] = b"\x01\0\0\0\0\0\x1c\0\x0a\0\x0a\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US\xce";

async fn check(answer: &'static [&'static [u8]], status: CheckStatus, words: &str) {
    says(&Amqp, &speaking(b"", answer).await, status, words).await;
}

#[tokio::test]
async fn the_start_of_a_connection_passes() {
    check(&[START], Passing, "starts a connection").await;
    passes_by_ipv6(Amqp, b"", &[START]).await;
}

#[tokio::test]
async fn another_version_is_critical() {
    check(&[b"AMQP\x00\x01\x00\x00"], Critical, "speaks AMQP 1-0-0").await;
    check(&[b"\x01\0\0\0\0\0\x06\0\x0a\0\x0a\0\x08\xce"], Critical, "not the start").await;
}

#[tokio::test]
async fn what_starts_no_connection_is_critical() {
    // On a channel; a Connection.Close; a payload too short; without its end; beyond 4 KiB.
    check(&[b"\x01\0\x01\0\0\0\x06\0\x0a\0\x0a\0\x09\xce"], Critical, "not the start").await;
    check(&[b"\x01\0\0\0\0\0\x06\0\x0a\0\x32\0\x09\xce"], Critical, "not the start").await;
    check(&[b"\x01\0\0\0\0\0\x04\0\x0a\0\x0a\xce"], Critical, "not the start").await;
    check(&[b"\x01\0\0\0\0\0\x06\0\x0a\0\x0a\0\x09\xcd"], Critical, "not the start").await;
    check(&[b"\x01\0\0\0\0\x10\0\0\x0a\0\x0a\0\x09"], Critical, "not the start").await;
    bears_all(Amqp, b"\x01\0\0\0\0\x0f\xf8\0\x0a\0\x0a\0\x09").await;
}

#[test]
fn whatever_comes_is_borne() {
    reads(read, START);
}
