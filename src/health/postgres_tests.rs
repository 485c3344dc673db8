use super::*;
use crate::{
    catalog::check::{
        CheckKind::Postgres,
        CheckStatus::{self, Critical, Passing},
    },
    health::hostile::{bears_all, passes_by_ipv6, reads, says, speaking},
};

/// A request for a password by SCRAM-SHA-256.
const SASL: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";

const STARTING: &[u8] = b"E\0\0\0\x3eSFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";

const FULL: &[u8] = b"E\0\0\0\x3bSFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0";

const NO_ROLE: &[u8] = b"E\0\0\0\x3eSFATAL\0VFATAL\0C28000\0Mrole \"nameplate\" does not exist\0\0\0\0\0";

/// What a server that asks for no password says.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x16server_version\x0015\0K\0\0\0\x0cabcdefghZ\0\0\0\x05I";

async fn check(answer: &'static [&'static [u8]], status: CheckStatus, words: &str) {
    says(&Postgres, &speaking(b"", answer).await, status, words).await;
}

#[tokio::test]
async fn a_session_that_can_be_begun_passes() {
    check(&[SASL], Passing, "accepting connections").await;
    check(&[WELCOME], Passing, "accepting connections").await;
    passes_by_ipv6(Postgres, b"", &[SASL]).await;
}

#[tokio::test]
async fn a_server_that_refuses_this_role_lives() {
    check(&[NO_ROLE], Passing, "28000: role \"nameplate\" does not exist").await;
}

#[tokio::test]
async fn a_server_that_takes_nobody_is_critical() {
    check(&[STARTING], Critical, "57P03: the database system is starting up").await;
    check(&[FULL], Critical, "53300: sorry, too many clients already").await;
    // Slots that are left for superusers are told of after the login.
    const RESERVED: &[u8] = b"R\0\0\0\x08\0\0\0\0E\0\0\0\x12C53300\0Mfull\0\0";
    check(&[RESERVED], Critical, "53300: full").await;
}

#[tokio::test]
async fn what_postgresql_does_not_say_is_critical() {
    check(&[b"Ecould not fork\n\0"], Critical, "not what PostgreSQL says").await;
    check(&[b"E\0\0\0\x04"], Critical, "not what PostgreSQL says").await;
    check(&[b"R\0\0\0\x05\0"], Critical, "not what PostgreSQL says").await;
    check(&[b"S\0\0\0\x03"], Critical, "not what PostgreSQL says").await;
    bears_all(Postgres, b"S\0\0\x08\0").await;
}

#[test]
fn a_start_tells_its_length() {
    let start = start();
    assert_eq!(start[..8], [0, 0, 0, start.len() as u8, 0, 3, 0, 0]);
}

#[test]
fn whatever_comes_is_borne() {
    for whole in [SASL, STARTING, FULL, NO_ROLE] {
        reads(read, whole);
    }
}
