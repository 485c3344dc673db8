use super::*;
use crate::wire::query::Query;

fn read(message: &[u8]) -> Option<Query> {
    let mut query = Query::NONE;
    query.read(message).then_some(query)
}

/// A query for `web.example.` with an OPT that holds these bytes of options, or without.
fn query(options: Option<&[u8]>) -> (Vec<u8>, Query) {
    let mut bytes = vec![0xab, 0xcd, 1, 0x10, 0, 1, 0, 0, 0, 0, 0, u8::from(options.is_some())];
    bytes.extend_from_slice(b"\x03web\x07example\0\0\x01\0\x01");
    if let Some(options) = options {
        bytes.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, options.len() as u8]);
        bytes.extend_from_slice(options);
    }
    let query = read(&bytes).unwrap();
    bytes.resize(1000, 0xee);
    (bytes, query)
}

const START: usize = 29;

const SUBNET: &[u8] = &[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];

/// Writes addresses until no more fit, then finishes; returns the message and how many were written.
fn filled(limit: usize, options: Option<&[u8]>, error: Option<ExtendedError<'_>>) -> (Vec<u8>, usize) {
    let (mut bytes, query) = query(options);
    let mut writer = Writer::new(&mut bytes, START, limit, query.edns.as_ref());
    let mut written = 0;
    while writer.address(12, 5, &[192, 0, 2, 1]).is_ok() {
        written += 1;
    }
    let length = writer.finish(query.header, Flags::default(), 0, query.edns.as_ref().map(|edns| (edns, error)));
    bytes.truncate(length);
    (bytes, written)
}

#[test]
fn room_for_opt_is_kept_whatever_else_gives_way() {
    for limit in START + 40..600 {
        for options in [None, Some(&[][..]), Some(SUBNET)] {
            let (bytes, written) = filled(limit, options, Some(ExtendedError { code: 3, text: "stale" }));
            let opt = options.map_or(0, |options| 11 + options.len());
            assert!(bytes.len() <= limit);
            assert_eq!(written, (limit - START - opt) / 16, "{limit}");
            assert_eq!(bytes[6..12], [0, written as u8, 0, 0, 0, u8::from(options.is_some())]);
            assert!(read(&[&bytes[..6], &[0, 0], &bytes[8..]].concat()).is_some());
        }
    }
}

#[test]
fn the_text_of_an_extended_error_is_left_out_first_then_the_error() {
    let length = |spare: usize| {
        let (mut bytes, query) = query(Some(&[]));
        let mut writer = Writer::new(&mut bytes, START, START + 11 + spare, query.edns.as_ref());
        let error = Some(ExtendedError { code: 18, text: "why" });
        let length = writer.finish(query.header, Flags::default(), 0, query.edns.as_ref().map(|edns| (edns, error)));
        bytes[START + 11..length].to_vec()
    };
    assert_eq!(length(5), b"");
    assert_eq!(length(6), b"\0\x0f\0\x02\0\x12");
    assert_eq!(length(8), b"\0\x0f\0\x02\0\x12");
    assert_eq!(length(9), b"\0\x0f\0\x05\0\x12why");
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let text = format!("{}\u{e9}\u{e9}", "a".repeat(TEXT_MAX_BYTES - 1));
    let (bytes, _) = filled(512, Some(&[]), Some(ExtendedError { code: 0, text: &text }));
    // The addresses leave less than a whole text.
    assert!(!bytes.ends_with(b"\xe9"));
    let (mut bytes, query) = query(Some(&[]));
    let mut writer = Writer::new(&mut bytes, START, 512, query.edns.as_ref());
    let error = Some(ExtendedError { code: 0, text: &text });
    let length = writer.finish(query.header, Flags::default(), 0, query.edns.as_ref().map(|edns| (edns, error)));
    assert_eq!(&bytes[START + 11 + 6..length], "a".repeat(TEXT_MAX_BYTES - 1).as_bytes());
}

#[test]
fn opt_says_our_payload_echoes_do_and_subnet_and_carries_the_high_bits_of_the_rcode() {
    let (mut bytes, query) = query(Some(SUBNET));
    let mut writer = Writer::new(&mut bytes, START, 512, query.edns.as_ref());
    let flags = Flags { authoritative: true, truncated: true, recursion_available: true };
    let length = writer.finish(query.header, flags, 16, query.edns.as_ref().map(|edns| (edns, None)));
    assert_eq!(bytes[..4], [0xab, 0xcd, 0x87, 0x90], "QR AA TC RD, RA CD, low bits of BADVERS");
    assert_eq!(bytes[START..START + 11], [0, 0, 41, 0x04, 0xd0, 1, 0, 0x80, 0, 0, 11]);
    assert_eq!(&bytes[START + 11..length], SUBNET);
}

#[test]
fn what_does_not_fit_leaves_nothing() {
    let (mut bytes, query) = query(Some(&[]));
    let before = bytes.clone();
    let mut writer = Writer::new(&mut bytes, START, START + 11 + 15, query.edns.as_ref());
    assert_eq!(writer.address(12, 5, &[192, 0, 2, 1]), Err(Full));
    assert_eq!(writer.record(12, Fixed::new(rtype::TXT, 5), &[b"\x03", b"abc"]), Err(Full));
    assert_eq!((writer.position(), writer.count(Section::Answer), writer.room()), (START, 0, 15));
    assert_eq!(bytes, before);
}

#[test]
fn going_back_takes_records_and_counts_back() {
    let (mut bytes, query) = query(None);
    let mut writer = Writer::new(&mut bytes, START, 512, None);
    writer.address(12, 5, &[192, 0, 2, 1]).unwrap();
    let mark = writer.mark();
    writer.begin(Section::Additional);
    writer.record_with_owner(b"\x01a\0", Fixed::new(rtype::A, 5), &[&[192, 0, 2, 2]]).unwrap();
    assert_eq!(writer.count(Section::Additional), 1);
    writer.back_to(mark);
    let length = writer.finish(query.header, Flags::default(), 0, None);
    assert_eq!((length, &bytes[6..12]), (START + 16, &[0, 1, 0, 0, 0, 0][..]));
    assert_eq!(bytes[START..length], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, 1]);
}

#[test]
fn a_limit_beyond_the_buffer_is_the_buffers() {
    let (mut bytes, _) = query(None);
    assert_eq!(Writer::new(&mut bytes, START, 65_535, None).room(), 1000 - START);
}

#[test]
fn a_rewritten_query_says_no_more_than_was_understood() {
    let other = [SUBNET, &[0, 99, 0, 2, 1, 2]].concat();
    let (mut bytes, query) = query(Some(&other));
    let length = rewrite_query(&mut bytes, START, query.edns.as_ref());
    let again = read(&bytes[..length]).unwrap();
    let edns = again.edns.unwrap();
    assert_eq!((length, edns.client_subnet()), (START + 11 + SUBNET.len(), Some(&SUBNET[4..])));
    assert!(!again.malformed && edns.dnssec_ok && edns.payload == 4096);
    let length = rewrite_query(&mut bytes, START, None);
    assert_eq!((length, &bytes[6..12]), (START, &[0; 6][..]));
}

#[test]
fn the_identifier_is_told_to_who_asks_where_there_is_room() {
    let options = |asked: &[u8], spare: usize, identifier: &[u8]| {
        let (mut bytes, query) = query(Some(asked));
        let mut writer = Writer::new(&mut bytes, START, START + 11 + spare, query.edns.as_ref()).identify(identifier);
        let error = Some(ExtendedError { code: 18, text: "why" });
        let length = writer.finish(query.header, Flags::default(), 0, query.edns.as_ref().map(|edns| (edns, error)));
        bytes[START + 11..length].to_vec()
    };
    let asked = [0, 3, 0, 0];
    assert_eq!(options(&asked, 100, b"n1"), b"\0\x03\0\x02n1\0\x0f\0\x05\0\x12why");
    assert_eq!(options(&asked, 14, b"n1"), b"\0\x03\0\x02n1\0\x0f\0\x02\0\x12");
    assert_eq!(options(&asked, 11, b"n1"), b"\0\x0f\0\x05\0\x12why");
    assert_eq!(options(&[], 100, b"n1"), b"\0\x0f\0\x05\0\x12why");
    assert_eq!(options(&asked, 100, b""), b"\0\x0f\0\x05\0\x12why");
    let long = options(&[&asked, SUBNET].concat(), 400, &[b'x'; 300]);
    assert_eq!(long.len(), SUBNET.len() + 4 + IDENTIFIER_MAX_BYTES + 9);
}
