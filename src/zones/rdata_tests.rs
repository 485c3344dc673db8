use proptest::prelude::*;

use super::*;
use crate::zones::{split::Splitter, testing::name};

/// Reads `TYPE data`.
fn read(text: &str) -> Result<(u16, Vec<u8>), ZoneFileError> {
    let entry = Splitter::new(text.as_bytes()).next().unwrap().map_err(|(_, error)| error)?;
    let rtype = read_type(&entry.tokens[0])?;
    Ok((rtype, read_rdata(rtype, &entry.tokens[1..], &name("example."))?.wire))
}

#[track_caller]
fn check(text: &str, rtype: u16, wire: &[u8]) {
    assert_eq!(read(text).unwrap(), (rtype, wire.to_vec()));
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    let error = read(text).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn addresses_names_and_numbers_are_read() {
    check("A 192.0.2.1", 1, &[192, 0, 2, 1]);
    check("aaaa 2001:DB8::1", 28, &"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    check("CNAME WWW", 5, b"\x03WWW\x07example\0");
    check("NS ns.other.", 2, b"\x02ns\x05other\0");
    check("PTR @", 12, b"\x07example\0");
    check("MX 10 .", 15, b"\0\x0a\0");
    check("SRV 1 2 80 a", 33, b"\0\x01\0\x02\0\x50\x01a\x07example\0");
    check("SOA a. b. 1 1m 2 3 4", 6, b"\x01a\0\x01b\0\0\0\0\x01\0\0\0\x3c\0\0\0\x02\0\0\0\x03\0\0\0\x04");
    check(r#"NAPTR 1 2 "u" "a+b" "!^.*$!x!" ."#, 35, b"\0\x01\0\x02\x01u\x03a+b\x08!^.*$!x!\0");
}

#[test]
fn strings_are_read_with_decimal_escapes() {
    check(r#"TXT a "b c" """#, 16, b"\x01a\x03b c\0");
    check(r#"TXT "\200\"\\" a\;b"#, 16, b"\x03\xc8\"\\\x03a;b");
    check("TXT \"\u{fc}\"", 16, b"\x02\xc3\xbc");
    check(r#"HINFO "a b" c"#, 13, b"\x03a b\x01c");
    check(r#"CAA 128 issue "ca.example; a=b""#, 257, b"\x80\x05issueca.example; a=b");
    check("SPF \"v=spf1\"", 99, b"\x06v=spf1");
}

#[test]
fn digests_and_keys_are_read_by_hickory() {
    check("TLSA 3 1 1 0aFf 00", 52, &[3, 1, 1, 0x0a, 0xff, 0]);
    check("SMIMEA 3 0 0 00", 53, &[3, 0, 0, 0]);
    check("SSHFP 4 2 00 ( ff )", 44, &[4, 2, 0, 0xff]);
    check("OPENPGPKEY AAE C", 61, &[0, 1, 2]);
    check("CERT 1 2 3 AAEC", 37, &[0, 1, 0, 2, 3, 0, 1, 2]);
    check("CSYNC 1 3 a ns", 62, &[0, 0, 0, 1, 0, 3, 0, 1, 0x60]);
    check_refused("TLSA 3 1 1", "cannot be read");
    check_refused("TLSA 3 1 1 zz", "cannot be read");
    check_refused("TLSA 3 1 1 (@)", "@ is not");
    check_refused("OPENPGPKEY", "cannot be read");
}

#[test]
fn any_type_can_be_given_as_bytes() {
    check(r"TYPE65280 \# 3 0a Ff00", 65280, &[0x0a, 0xff, 0]);
    check(r"TYPE1 \# 4 c0000201", 1, &[192, 0, 2, 1]);
    check(r"A \# 4 c0000201", 1, &[192, 0, 2, 1]);
    check(r"TYPE65280 \# 0", 65280, &[]);
    check(r"TYPE15 \# 5 000a 0141 00", 15, b"\0\x0a\x01A\0");
    check(
        r"SOA \# 29 016100 026161 0161 00 00000001 00000001 00000001 00000001 00000001",
        6,
        &{
            let mut wire = b"\x01a\0\x02aa\x01a\0".to_vec();
            wire.extend([0, 0, 0, 1].repeat(5));
            wire
        }[..],
    )
}

#[test]
fn bytes_that_are_not_of_their_type_are_refused() {
    check_refused(r"A \# 3 c00002", "not data of type 1");
    check_refused(r"MX \# 4 000a 0141", "not data of type 15");
    check_refused(r"SRV \# 8 000000000000 c000", "not data of type 33");
    check_refused(r"TYPE65280 \# 3 0a", "3 as length and 1");
    check_refused(r"TYPE65280 \# 1 0a0", "1 as length");
    check_refused(r"TYPE65280 \# 1 zz", "zz is not hex");
    check_refused(r"TYPE65280 \#", "the length is missing");
    check_refused("TYPE65280 0a", "cannot be read");
}

#[test]
fn types_that_cannot_be_served_are_refused() {
    check_refused("DNAME a", "DNAME is not supported");
    check_refused("RRSIG a", "signed zones");
    check_refused("DNSKEY a", "signed zones");
    check_refused(r"TYPE47 \# 0", "signed zones");
    check_refused("ANY a", "for queries only");
    check_refused("AXFR a", "for queries only");
    check_refused(r"TYPE41 \# 0", "for queries only");
    check_refused("DS 1 1 1 00", "type DS cannot be read");
    check_refused("FOO a", "type FOO cannot be read");
    check_refused("TYPE65536 a", "cannot be read");
}

#[test]
fn a_field_too_few_or_too_many_is_told() {
    check_refused("A", "an IPv4 address is missing");
    check_refused("A 192.0.2.1 192.0.2.2", "192.0.2.2 is too much");
    check_refused("A 192.0.2.01", "is not an IPv4 address");
    check_refused("A 2001:db8::1", "is not an IPv4 address");
    check_refused("MX mail", "mail is not a preference");
    check_refused("MX 10", "the mail server is missing");
    check_refused("MX 65536 a", "is not a preference");
    check_refused("TXT", "a string is missing");
    check_refused(r#"TXT a"b""#, "quote inside a word");
    check_refused(&format!("TXT {}", "a".repeat(256)), "256 bytes and at most 255");
    check_refused(&format!("TXT {}", "aaaaaaaaa ".repeat(6600)), "66000 bytes and at most 65241");
    check_refused(&format!("TXT \"{}\"", "a".repeat(1_000_000)), "1000000 bytes and at most 255");
}

#[test]
fn names_that_the_origin_completed_are_told() {
    let entry = Splitter::new(b"SOA a b.other. 1 2 3 4 5").next().unwrap().unwrap();
    let rdata = read_rdata(6, &entry.tokens[1..], &name("example.")).unwrap();
    assert_eq!(rdata.relative_names, [name("a.example.")]);
}

#[test]
fn a_type_has_a_word() {
    assert_eq!(type_word(16), "TXT");
    assert_eq!(type_word(65280), "TYPE65280");
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:03}")).collect()
}

proptest! {
    #[test]
    fn strings_written_as_text_read_as_the_same_bytes(
        strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..256), 1..5),
    ) {
        let quoted: Vec<String> = strings.iter().map(|bytes| format!("\"{}\"", escaped(bytes))).collect();
        let mut wire = Vec::new();
        for bytes in &strings {
            wire.push(bytes.len() as u8);
            wire.extend(bytes);
        }
        prop_assert_eq!(read(&format!("TXT {}", quoted.join(" "))).unwrap(), (16, wire));
    }

    #[test]
    fn bytes_of_an_unknown_type_read_as_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(read(&format!("TYPE65280 \\# {} {hex}", bytes.len())).unwrap(), (65280, bytes));
    }

    #[test]
    fn any_text_of_any_type_ends_in_a_result(rtype in prop::sample::select(vec![
        "A", "NS", "SOA", "MX", "TXT", "CAA", "SRV", "NAPTR", "HTTPS", "SVCB", "TLSA", "SSHFP", "CERT", "CSYNC",
        "OPENPGPKEY", "SMIMEA", "HINFO", "TYPE64", "TYPE53", "NULL", "CNAME \\#", "SVCB \\# 4", "NSEC", "*",
    ]), text in "[ -~]{0,40}") {
        let _ = read(&format!("{rtype} {text}"));
        let _ = read(&format!("{rtype} 1 . {text}"));
        let _ = read(&format!("{rtype} 1 2 3 {text}"));
    }
}
