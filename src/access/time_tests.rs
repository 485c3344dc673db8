use proptest::prelude::*;

use super::*;

#[test]
fn moments_are_read_with_their_offset() {
    for (text, secs) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2000-02-29T12:00:00Z", Some(951_825_600)),
        ("2026-11-21T21:06:58Z", Some(1_795_295_218)),
        ("2026-11-21T22:06:58+01:00", Some(1_795_295_218)),
        ("2026-11-21T21:06:58.5Z", Some(1_795_295_218)),
        ("2026-11-21T21:06:58", None),
        ("2026-11-21", None),
        ("1969-12-31T23:59:59Z", None),
        ("soon", None),
    ] {
        assert_eq!(parse(text), secs, "{text}");
    }
}

#[test]
fn the_last_moment_is_that_of_four_digits() {
    assert_eq!(format(LAST), "9999-12-31T23:59:59Z");
    assert_eq!(format(u64::MAX), "9999-12-31T23:59:59Z");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(secs in 0..=LAST) {
        prop_assert_eq!(parse(&format(secs)), Some(secs));
    }
}
