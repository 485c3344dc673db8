use proptest::prelude::*;

use super::*;

fn token(raw: &[u8]) -> Token<'_> {
    Token { raw, quotes: Quotes::None, line: 1 }
}

fn read(text: &str, origin: &str) -> Result<Name, ZoneFileError> {
    read_name(&token(text.as_bytes()), &Name::parse(origin).unwrap()).map(|read| read.name)
}

#[track_caller]
fn check(text: &str, expected: &[u8]) {
    assert_eq!(read(text, "example.").unwrap().as_wire(), expected);
}

#[test]
fn a_name_without_a_dot_at_its_end_is_completed_by_the_origin() {
    check("www", b"\x03www\x07example\0");
    check("www.example.", b"\x03www\x07example\0");
    check("@", b"\x07example\0");
    check("\\@", b"\x01@\x07example\0");
    check(".", b"\0");
}

#[test]
fn escapes_in_names_are_decimal() {
    check(r"a\.b", b"\x03a.b\x07example\0");
    check(r"\097\.", b"\x02a.\x07example\0");
    check(r"a\\.", b"\x02a\\\0");
    check(r"\200", b"\x01\xc8\x07example\0");
}

#[test]
fn a_wrong_name_is_refused() {
    for text in ["a..b", ".a", "", "a\\", r"a\25", r"\256", "b\u{fc}cher"] {
        assert!(read(text, "example.").is_err(), "{text}");
    }
    assert!(read(&"a".repeat(64), "example.").is_err());
    assert!(read(&"a.".repeat(124), "example.").is_ok());
    assert!(read(&"a.".repeat(128), "example.").is_err());
    let quoted = Token { raw: b"a", quotes: Quotes::Around, line: 1 };
    assert!(read_name(&quoted, &Name::root()).is_err());
}

#[test]
fn a_relative_name_that_ends_like_the_origin_lacks_a_dot() {
    let lacks = |text: &str, origin: &str| lacks_dot(&read(text, origin).unwrap(), &Name::parse(origin).unwrap());
    assert!(lacks("www.example", "example."));
    assert!(lacks("mail.EXAMPLE", "corp.example."));
    assert!(!lacks("www", "example."));
    assert!(!lacks("example", "example."));
    assert!(!lacks("www.example", "."));
}

#[test]
fn a_time_is_seconds_or_has_units() {
    for (text, secs) in [("0", 0), ("300", 300), ("1h30m", 5400), ("2W1d", 1_296_000), ("2147483647", 2_147_483_647)] {
        assert_eq!(seconds(text), Some(secs), "{text}");
    }
    for text in ["", "h", "1h30", "-1", "+1", "1x", "2147483648", "99999999999999999999s", "9999999w"] {
        assert_eq!(seconds(text), None, "{text}");
    }
}

#[test]
fn a_sign_is_no_part_of_a_number() {
    assert_eq!(number::<u16>("80"), Some(80));
    for text in ["+80", "-80", "", "65536", "8 0"] {
        assert_eq!(number::<u16>(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn a_name_written_as_text_reads_as_the_same_name(
        labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..8),
    ) {
        let name = Name::from_labels(&labels).unwrap();
        let again = read(&name.to_string(), "example.").unwrap();
        prop_assert_eq!(again.as_wire(), name.as_wire());
    }

    #[test]
    fn bytes_written_with_escapes_read_as_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text: String = bytes.iter().map(|byte| format!("\\{byte:03}")).collect();
        prop_assert_eq!(unescape(text.as_bytes()).unwrap(), bytes);
    }

    #[test]
    fn any_bytes_end_in_a_result(raw in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = read_name(&token(&raw), &Name::root());
        let _ = unescape(&raw);
        let _ = plain(&token(&raw)).map(seconds);
    }
}
