use std::time::Duration;

use super::*;

/// A message with the question `web. A` and, after it, the given bytes.
fn message(counts: [u16; 3], flags: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    for word in [flags, 1, counts[0], counts[1], counts[2]] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(b"\x03web\0\0\x01\0\x01");
    bytes.extend_from_slice(rest);
    bytes
}

fn opt(extended_rcode: u8, options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 41, 4, 208, extended_rcode, 0, 0, 0];
    bytes.extend_from_slice(&(options.len() as u16).to_be_bytes());
    bytes.extend_from_slice(options);
    bytes
}

#[test]
fn a_response_is_counted_by_its_type_and_rcode() {
    let facts = Facts::of(&message([0, 0, 0], 0x8403, &[]));
    assert_eq!((facts.qtype, facts.rcode, facts.answers, facts.qname_end), (1, 3, 0, 17));
}

#[test]
fn badvers_is_read_from_the_opt() {
    assert_eq!(Facts::of(&message([0, 0, 1], 0x8000, &opt(1, &[]))).rcode, 16);
}

#[test]
fn a_response_without_a_question_has_no_type() {
    let mut bytes = message([0, 0, 0], 0x8001, &[]);
    bytes[5] = 0;
    assert_eq!(Facts::of(&bytes).qtype, 0);
    assert_eq!(Facts::of(&bytes[..12]).rcode, 1);
    assert_eq!(Facts::of(&[]).rcode, 0);
}

#[test]
fn a_query_asks_for_keepalive_by_its_option_alone() {
    assert!(asks_keepalive(&message([0, 0, 1], 0, &opt(0, &[0, 11, 0, 0]))));
    assert!(asks_keepalive(&message([0, 0, 1], 0, &opt(0, &[0, 3, 0, 1, 9, 0, 11, 0, 0]))));
    assert!(!asks_keepalive(&message([0, 0, 1], 0, &opt(0, &[0, 3, 0, 0]))));
    assert!(!asks_keepalive(&message([0, 0, 1], 0, &opt(0, &[0, 3, 0, 9, 0]))));
    assert!(!asks_keepalive(&message([0, 0, 0], 0, &[])));
    assert!(!asks_keepalive(b"\0"));
}

#[test]
fn keepalive_is_added_to_the_opt_at_the_end() {
    let mut out = b"before".to_vec();
    out.extend(message([0, 0, 1], 0x8000, &opt(0, &[])));
    add_keepalive(&mut out, 6, Duration::from_secs(10));
    assert_eq!(out[6..], message([0, 0, 1], 0x8000, &opt(0, &[0, 11, 0, 2, 0, 100])));
}

#[test]
fn a_response_without_an_opt_at_its_end_stays_as_it_is() {
    let mut after = opt(0, &[]);
    after.extend_from_slice(&[0, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, 1]);
    for rest in [(0, Vec::new()), (2, after)] {
        let response = message([0, 0, rest.0], 0x8000, &rest.1);
        let mut out = response.clone();
        add_keepalive(&mut out, 0, Duration::from_secs(10));
        assert_eq!(out, response);
    }
}
