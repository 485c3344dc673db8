use super::*;

#[track_caller]
fn check(text: &str, expected: Result<Duration, DurationError>) {
    assert_eq!(parse_duration(text), expected, "{text:?}");
}

#[test]
fn every_unit_of_go_is_read() {
    check("5s", Ok(Duration::from_secs(5)));
    check("250ms", Ok(Duration::from_millis(250)));
    check("3us", Ok(Duration::from_micros(3)));
    check("3\u{b5}s", Ok(Duration::from_micros(3)));
    check("3\u{3bc}s", Ok(Duration::from_micros(3)));
    check("7ns", Ok(Duration::from_nanos(7)));
    check("2h", Ok(Duration::from_secs(7200)));
    check("0", Ok(Duration::ZERO));
    check("0s", Ok(Duration::ZERO));
    check("+1s", Ok(Duration::from_secs(1)));
}

#[test]
fn parts_add_up_and_fractions_count() {
    check("1h2m3.5s", Ok(Duration::from_millis(3_723_500)));
    check("1m30s", Ok(Duration::from_secs(90)));
    check(".5s", Ok(Duration::from_millis(500)));
    check("1.s", Ok(Duration::from_secs(1)));
    check("0.0000000009s", Ok(Duration::ZERO));
    check("1.5ns", Ok(Duration::from_nanos(1)));
    check("1.123456789s", Ok(Duration::from_nanos(1_123_456_789)));
    check("120000ms", Ok(Duration::from_secs(120)));
}

#[test]
fn what_is_not_a_duration_is_refused_with_the_reason() {
    check("", Err(DurationError::Empty));
    check("-1s", Err(DurationError::Negative));
    check("5", Err(DurationError::NoUnit));
    check("1m5", Err(DurationError::NoUnit));
    check("5d", Err(DurationError::UnknownUnit));
    check("5 s", Err(DurationError::UnknownUnit));
    check("s", Err(DurationError::Malformed));
    check(".s", Err(DurationError::Malformed));
    check("+", Err(DurationError::Malformed));
    check("ten seconds", Err(DurationError::Malformed));
}

#[test]
fn the_longest_duration_is_gos() {
    check("9223372036854775807ns", Ok(DURATION_MAX));
    check("9223372036854775808ns", Err(DurationError::TooLong));
    check("99999999999999999999h", Err(DurationError::TooLong));
    check("18446744073709551615h", Err(DurationError::TooLong));
}

#[test]
fn a_written_duration_reads_back() {
    for (text, nanos) in [("1m30s", 90_000_000_000), ("250ms", 250_000_000), ("0s", 0), ("1h1ns", 3_600_000_000_001)] {
        let duration = Duration::from_nanos(nanos);
        assert_eq!(format_duration(duration), text);
        check(text, Ok(duration));
    }
}

#[test]
fn spans_are_written_as_go_writes_them() {
    let check = |nanoseconds: u64, text: &str| assert_eq!(go_duration(Duration::from_nanos(nanoseconds)), text);
    check(0, "0s");
    check(7, "7ns");
    check(1_500, "1.5µs");
    check(250_000_000, "250ms");
    check(1_500_000_000, "1.5s");
    check(10_000_000_000, "10s");
    check(90_000_000_000, "1m30s");
    check(3_600_000_000_000, "1h0m0s");
}
