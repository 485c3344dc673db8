use super::*;

/// A query for `name` in wire form, with these further bytes and counts of answers, authority and additional.
fn message(name: &[u8], counts: [u16; 3], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xab, 0xcd, 0x01, 0x10, 0, 1];
    bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    bytes.extend_from_slice(name);
    bytes.extend([0, 1, 0, 1]);
    bytes.extend_from_slice(rest);
    bytes
}

/// An OPT record with this class, TTL and RDATA.
fn opt(payload: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 41];
    bytes.extend(payload.to_be_bytes());
    bytes.extend(ttl.to_be_bytes());
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// An EDNS option.
fn edns_option(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

fn read(message: &[u8]) -> Option<Query> {
    let mut query = Query::NONE;
    query.read(message).then_some(query)
}

const NAME: &[u8] = b"\x03wEb\x07ExAmple\0";

fn with_opts(opts: &[Vec<u8>]) -> Query {
    read(&message(NAME, [0, 0, opts.len() as u16], &opts.concat())).unwrap()
}

fn with_option(code: u16, value: &[u8]) -> Edns {
    with_opts(&[opt(1232, 0, &edns_option(code, value))]).edns.unwrap()
}

#[test]
fn a_question_is_kept_in_lower_case_with_its_labels() {
    let query = read(&message(NAME, [0, 0, 0], b"trailing bytes")).unwrap();
    let question = query.question().cloned().unwrap();
    assert_eq!(question.name(), b"\x03web\x07example\0");
    assert_eq!(
        (question.label_count(), question.label(1), question.suffix(1)),
        (2, &b"example"[..], &b"\x07example\0"[..])
    );
    assert_eq!((question.labels(0, 1), question.offset(1), question.end()), (&b"\x03web"[..], 16, 29));
    assert_eq!((question.rtype, question.class, query.malformed), (1, 1, false));
    assert!(query.header.recursion_desired && query.header.checking_disabled && !query.header.response);
}

#[test]
fn the_root_is_a_name_without_labels() {
    let question = read(&message(b"\0", [0, 0, 0], b"")).unwrap().question().cloned().unwrap();
    assert_eq!((question.name(), question.label_count(), question.suffix(0)), (&b"\0"[..], 0, &b"\0"[..]));
}

#[test]
fn names_up_to_their_longest_are_read_and_no_longer_ones() {
    let longest =
        [[&b"\x3f"[..], &[b'a'; 63]].concat().repeat(3), [&b"\x3d"[..], &[b'a'; 61], b"\0"].concat()].concat();
    assert_eq!(longest.len(), 255);
    let question = read(&message(&longest, [0, 0, 0], b"")).unwrap().question().cloned().unwrap();
    assert_eq!((question.name(), question.end()), (&longest[..], 271));
    let most_labels = [b"\x01a".repeat(127), vec![0]].concat();
    assert_eq!(read(&message(&most_labels, [0, 0, 0], b"")).unwrap().question().cloned().unwrap().label_count(), 127);
    let longer = [[&b"\x3f"[..], &[b'a'; 63]].concat().repeat(3), [&b"\x3e"[..], &[b'a'; 62], b"\0"].concat()].concat();
    let more_labels = [b"\x01a".repeat(128), vec![0]].concat();
    for name in [&longer[..], &more_labels, b"\xc0\x0c", b"\x40a\0", b"\x80", b"\x03web\xc0\x0c"] {
        assert!(read(&message(name, [0, 0, 0], b"")).unwrap().question().is_none(), "{name:?}");
    }
}

#[test]
fn a_message_may_end_anywhere() {
    let options = [edns_option(option::ECS, &[0, 1, 24, 0, 192, 0, 2]), edns_option(option::COOKIE, &[7; 8])].concat();
    let whole = message(NAME, [0, 0, 1], &opt(1232, 0, &options));
    for end in 0..whole.len() {
        let query = read(&whole[..end]);
        assert_eq!(query.is_none(), end < HEADER_BYTES, "{end}");
        let Some(query) = query else { continue };
        assert_eq!(query.question().is_none(), end < 29, "{end}");
        assert!(query.question().is_none() || query.malformed, "{end}");
    }
    assert!(!read(&whole).unwrap().malformed);
}

#[test]
fn opt_tells_payload_version_and_do() {
    let edns = with_opts(&[opt(4096, 0x8000, &edns_option(option::NSID, &[]))]).edns.unwrap();
    assert_eq!((edns.payload, edns.version, edns.dnssec_ok, edns.nsid, edns.malformed), (4096, 0, true, true, false));
    let edns = with_opts(&[opt(0, 0x0001_0000, b"\xff")]).edns.unwrap();
    assert_eq!((edns.version, edns.malformed), (1, false), "options of other versions are not looked at");
}

#[test]
fn what_could_be_read_of_a_malformed_query_is_kept() {
    let query = with_opts(&[opt(4096, 0, b""), opt(512, 0, b"")]);
    assert_eq!((query.malformed, query.edns.unwrap().payload), (true, 4096), "the first of two");
    let rest = [opt(4096, 0, b""), b"\x03web\0\x10".to_vec()].concat();
    let query = read(&message(NAME, [0, 0, 2], &rest)).unwrap();
    assert_eq!((query.malformed, query.edns.unwrap().payload), (true, 4096), "before a record that ends early");
    let mut none = message(NAME, [0, 0, 1], &opt(4096, 0, b""));
    none.drain(12..29);
    none[5] = 0;
    assert_eq!(read(&none).unwrap().edns.unwrap().payload, 4096, "of a message without a question");
    let mut two = message(NAME, [0, 0, 1], &[NAME, &[0, 1, 0, 1], &opt(4096, 0, b"")].concat());
    two[5] = 2;
    let query = read(&two).unwrap();
    assert_eq!((query.question().is_none(), query.edns.unwrap().payload), (true, 4096), "after two questions");
}

#[test]
fn an_opt_elsewhere_than_at_the_root_of_the_additional_section_is_malformed() {
    let mut named = opt(1232, 0, b"");
    named.splice(0..1, *b"\x01a\0");
    assert!(read(&message(NAME, [0, 0, 1], &named)).unwrap().malformed);
    assert!(read(&message(NAME, [1, 0, 0], &opt(1232, 0, b""))).unwrap().malformed);
    assert!(read(&message(NAME, [0, 1, 0], &opt(1232, 0, b""))).unwrap().malformed);
}

#[test]
fn other_records_are_stepped_over() {
    let record = b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x00\x00\x02\x01a";
    let rest = [&record[..], &opt(1232, 0, b"")].concat();
    let query = read(&message(NAME, [0, 1, 1], &rest)).unwrap();
    assert!(!query.malformed && query.edns.is_some());
    for owner in [&b"\x40"[..], b"\xc0"] {
        assert!(read(&message(NAME, [0, 0, 1], owner)).unwrap().malformed);
    }
}

#[test]
fn a_client_subnet_has_as_many_bytes_as_its_prefix_needs() {
    let v6 = [&[0, 2, 56, 9][..], &[0x20, 1, 0x0d, 0xb8, 0, 0, 7]].concat();
    for value in [
        &[0, 1, 24, 0, 192, 0, 2][..],
        &[0, 1, 0, 0],
        &[0, 0, 0, 0],
        &[0, 1, 32, 5, 192, 0, 2, 1],
        &[0, 1, 25, 0, 192, 0, 2, 128],
        &v6,
    ] {
        let edns = with_option(option::ECS, value);
        let echoed = [&value[..3], &[0], &value[4..]].concat();
        assert_eq!((edns.malformed, edns.client_subnet()), (false, Some(&echoed[..])), "scope 0");
    }
    for value in [
        &[][..],
        &[0, 1, 24],
        &[0, 1, 24, 0, 192, 0],
        &[0, 1, 24, 0, 192, 0, 2, 0],
        &[0, 1, 33, 0, 1, 2, 3, 4, 5],
        &[0, 3, 0, 0],
        &[0, 0, 8, 0, 1],
    ] {
        assert!(with_option(option::ECS, value).malformed, "{value:?}");
    }
}

#[test]
fn of_several_client_subnets_the_first_counts() {
    let [first, second] = [&[0, 1, 8, 0, 192][..], &[0, 1, 24, 0, 192, 0, 2]];
    let options = [first, second].map(|value| edns_option(option::ECS, value)).concat();
    let edns = with_opts(&[opt(1232, 0, &options)]).edns.unwrap();
    assert_eq!((edns.malformed, edns.client_subnet()), (false, Some(first)));
}

#[test]
fn a_cookie_has_8_or_16_to_40_bytes() {
    for length in 0..50 {
        let legal = length == 8 || (16..=40).contains(&length);
        assert_eq!(!with_option(option::COOKIE, &vec![1; length]).malformed, legal, "{length}");
    }
}

#[test]
fn options_must_fill_their_record() {
    for data in [&[0, 8][..], &[0, 99, 0, 1], &[0, 99, 0, 0, 0]] {
        assert!(with_opts(&[opt(1232, 0, data)]).edns.unwrap().malformed, "{data:?}");
    }
    assert!(!with_option(99, b"anything").malformed, "unknown ones are ignored");
}

#[test]
fn a_question_made_from_a_name_is_as_if_it_had_been_asked() {
    let question = Question::of(&Name::parse("WEB.example").unwrap(), rtype::SRV, 1);
    assert_eq!(
        (question.name(), question.rtype, question.label_count()),
        (&b"\x03web\x07example\0"[..], rtype::SRV, 2)
    );
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let mut named = message(NAME, [0, 0, 1], b"");
        named.extend_from_slice(&bytes);
        let _ = read(&named);
    }
}
