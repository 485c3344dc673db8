use super::*;
use crate::{
    catalog::check::{
        CheckKind::MySql,
        CheckStatus::{self, Critical, Passing},
    },
    health::hostile::{bears_all, passes_by_ipv6, reads, says, speaking},
};

/// What MariaDB 10.11 of Debian greets with.
const GREETING: &[u8] =
    b"\x64\0\0\0\n5.5.5-10.11.19-MariaDB-0+deb12u1\0\x1a\0\0\0abcdefgh\0\xfe\xf7\x08\x02\0\xff\x81\x15\
    \0\0\0\0\0\0\x1d\0\0\0abcdefghijkl\0mysql_native_password\0";

const DENIED: &[u8] =
    b"\x4c\0\0\x02\xff\x15\x04#28000Access denied for user 'nameplate'@'192.0.2.1' (using password: NO)";

const OK: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";

const BLOCKED: &[u8] = b"\x1e\0\0\0\xff\x69\x04Host '192.0.2.1' is blocked";

async fn check(greeting: &'static [u8], answers: &'static [&'static [u8]], status: CheckStatus, words: &str) {
    says(&MySql, &speaking(greeting, answers).await, status, words).await;
}

#[tokio::test]
async fn a_greeting_and_any_end_of_the_login_pass() {
    check(GREETING, &[DENIED], Passing, "version 10.11.19-MariaDB-0+deb12u1").await;
    check(GREETING, &[OK], Passing, "version 10.11.19").await;
    passes_by_ipv6(MySql, GREETING, &[DENIED]).await;
}

#[tokio::test]
async fn a_login_may_take_another_method() {
    const OTHER: &[u8] = b"\x19\0\0\x02\xfecaching_sha2_password\0\0\0";
    const DENIED_THEN: &[u8] = b"\x16\0\0\x04\xff\x15\x04#28000Access denied";
    check(GREETING, &[OTHER, DENIED_THEN], Passing, "version").await;
    check(GREETING, &[OTHER; 9], Passing, "version").await;
}

#[tokio::test]
async fn errors_of_a_server_that_takes_nobody_are_critical() {
    check(b"\x17\0\0\0\xff\x10\x04Too many connections", &[], Critical, "error 1040: Too many connections").await;
    check(BLOCKED, &[], Critical, "error 1129: Host '192.0.2.1' is blocked").await;
    check(GREETING, &[b"\x1d\0\0\x02\xff\x10\x04#08004Too many connections"], Critical, "error 1040: Too many").await;
    check(GREETING, &[b"\x1b\0\0\x02\xff\x1d\x04#08S01Server shutdown in"], Critical, "error 1053: Server").await;
}

#[tokio::test]
async fn what_mysql_does_not_say_is_critical() {
    check(b"\x05\0\0\0\x095.1\0", &[], Critical, "not what MySQL says").await;
    check(b"\x05\0\0\0\n5.1\0", &[], Critical, "not what MySQL says").await;
    check(b"\x01\0\0\0\xff", &[], Critical, "not what MySQL says").await;
    check(GREETING, &[b"+PONG\r\n"], Critical, "not what MySQL says").await;
    bears_all(MySql, b"\0\x02\0\0\n").await;
}

#[tokio::test]
async fn the_login_is_one_that_the_protocol_knows() {
    let login = login();
    let user = 32;
    assert_eq!(&login[user..user + 11], b"nameplate\0\0", "the user's name, and a password of no length");
    assert_eq!(&packet(1, &[7, 8]), &[2, 0, 0, 1, 7, 8]);
}

#[test]
fn whatever_comes_is_borne() {
    reads(read_greeting, GREETING);
    reads(read_greeting, BLOCKED);
    reads(read_answer, OK);
    reads(read_answer, DENIED);
}
