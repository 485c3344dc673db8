use proptest::prelude::*;

use super::*;
use crate::zones::split::Splitter;

fn read(text: &str) -> Result<Vec<u8>, ZoneFileError> {
    let Some(entry) = Splitter::new(text.as_bytes()).next() else { return Ok(Vec::new()) };
    let mut wire = Vec::new();
    read_params(&entry.map_err(|(_, error)| error)?.tokens, &mut wire)?;
    Ok(wire)
}

#[track_caller]
fn check(text: &str, expected: &[u8]) {
    assert_eq!(read(text).unwrap(), expected);
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    let error = read(text).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn parameters_are_written_in_order_of_their_keys() {
    check("port=8443 alpn=h2", b"\0\x01\0\x03\x02h2\0\x03\0\x02\x20\xfb");
    check("", b"");
}

#[test]
fn values_may_be_quoted_and_escaped() {
    check(r#"alpn="h2,h3""#, b"\0\x01\0\x06\x02h2\x02h3");
    check(r#"alpn="f\\,oo\\\\bar,h2""#, b"\0\x01\0\x0c\x08f,oo\\bar\x02h2");
    check(r"key667=hello\210qoo", b"\x02\x9b\0\x09hello\xd2qoo");
    check(r#"key667="a b""#, b"\x02\x9b\0\x03a b");
    check("key5000", b"\x13\x88\0\0");
}

#[test]
fn hints_and_other_known_keys_are_read() {
    check("ipv4hint=192.0.2.1,192.0.2.2", b"\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02");
    check("ipv6hint=::1", b"\0\x06\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01");
    check("ech=AAEC", b"\0\x05\0\x03\0\x01\x02");
    check("no-default-alpn alpn=a", b"\0\x01\0\x02\x01a\0\x02\0\0");
    check("mandatory=port,alpn alpn=a port=1", b"\0\0\0\x04\0\x01\0\x03\0\x01\0\x02\x01a\0\x03\0\x02\0\x01");
}

#[test]
fn wrong_parameters_are_refused() {
    for text in
        ["alpn", "alpn=", "alpn=,", "alpn=a,,b", "alpn=\"),\"", "port=65536", "port", "ipv4hint=", "ipv4hint=::1"]
    {
        check_refused(text, "is wrong");
    }
    for text in ["ech=", "ech=@", "ech=AA", "foo=1", "key65535=a", "key01=a", "KEY1=a", "=", "\"alpn=h2\""] {
        check_refused(text, "is wrong");
    }
    check_refused("port=1 port=2", "port stands twice");
    check_refused("port=1 key3=\"\\000\\002\"", "is wrong");
    check_refused("no-default-alpn", "alpn beside it");
    check_refused("no-default-alpn= alpn=a", "no value");
    check_refused("mandatory=port", "only keys that are in the record");
    check_refused("mandatory=mandatory", "each once");
    check_refused("mandatory=port,port port=1", "each once");
    check_refused(r#"alpn="h2"x"#, "quote inside a word");
    check_refused(r#"key667="a""b""#, "quote inside a word");
}

proptest! {
    #[test]
    fn any_value_of_any_key_ends_in_a_result(key in 0usize..9, value in "[ -~]{0,20}") {
        let word = KEYS.get(key).copied().unwrap_or("key700");
        let _ = read(&format!("{word}={value}"));
        let _ = read(&format!("alpn=a {word}=\"{value}\""));
    }
}
