//! Go's duration strings, which Consul's API and our settings use: `5s`, `1m30s`, `250ms`, `1h2m3.5s`.
//!
//! **Limits:** never negative; at most [`DURATION_MAX`]; what is finer than a nanosecond is cut off.
//!
//! **Source:** the documentation of Go's `time.ParseDuration`.

use std::{fmt::Write as _, time::Duration};

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing was given.
    #[error("a duration must not be empty; write for example 10s")]
    Empty,
    /// It begins with a minus sign.
    #[error("a duration must not be negative")]
    Negative,
    /// A number has no unit.
    #[error("a duration needs a unit: ns, us, ms, s, m or h, as in 10s")]
    NoUnit,
    /// A unit is none of Go's.
    #[error("a duration's unit must be ns, us, ms, s, m or h, as in 10s")]
    UnknownUnit,
    /// Something else than numbers with units.
    #[error("a duration is written as numbers with units, as in 1m30s")]
    Malformed,
    /// Longer than [`DURATION_MAX`].
    #[error("a duration must be at most 2562047h")]
    TooLong,
}

/// Reads a duration in Go's syntax. `0` needs no unit; a leading `+` is taken.
///
/// ```
/// use nameplate::catalog::duration::parse_duration;
/// use std::time::Duration;
/// assert_eq!(parse_duration("1m1.5s"), Ok(Duration::from_millis(61_500)));
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = match text.as_bytes() {
        [] => return Err(DurationError::Empty),
        [b'-', ..] => return Err(DurationError::Negative),
        [b'+', rest @ ..] => rest,
        all => all,
    };
    if rest == b"0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationError::Malformed);
    }
    let mut total_nanos: u128 = 0;
    while !rest.is_empty() {
        let (nanos, after) = component(rest)?;
        total_nanos = total_nanos.saturating_add(nanos);
        rest = after;
    }
    match u64::try_from(total_nanos).map(Duration::from_nanos) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        _ => Err(DurationError::TooLong),
    }
}

/// Writes a duration in the largest units that leave no fraction: `1m30s`, `250ms`, `0s`; the way back of
/// [`parse_duration`].
pub fn format_duration(duration: Duration) -> String {
    let mut text = String::new();
    let mut rest = duration.as_nanos();
    for (unit, nanos) in [("h", HOUR), ("m", 60 * SECOND), ("s", SECOND), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)] {
        if rest >= nanos {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{unit}", rest / nanos);
            rest %= nanos;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Go's own text of a span, which keeps the smaller units: `1h0m0s`, `1.5s`, `250ms`, `0s`.
///
/// Source: `time.Duration.String` of Go, which Consul's answers carry.
pub fn go_duration(span: Duration) -> String {
    let fraction = |whole: u64, rest: u32, digits: usize, unit: &str| {
        let rest = format!("{rest:0digits$}");
        match rest.trim_end_matches('0') {
            "" => format!("{whole}{unit}"),
            rest => format!("{whole}.{rest}{unit}"),
        }
    };
    let (seconds, nanoseconds) = (span.as_secs(), span.subsec_nanos());
    if seconds == 0 {
        return match nanoseconds {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanoseconds}ns"),
            1_000..1_000_000 => fraction(u64::from(nanoseconds / 1_000), nanoseconds % 1_000, 3, "µs"),
            _ => fraction(u64::from(nanoseconds / 1_000_000), nanoseconds % 1_000_000, 6, "ms"),
        };
    }
    let last = fraction(seconds % 60, nanoseconds, 9, "s");
    match (seconds / 3_600, seconds / 60 % 60) {
        (0, 0) => last,
        (0, minutes) => format!("{minutes}m{last}"),
        (hours, minutes) => format!("{hours}h{minutes}m{last}"),
    }
}

/// Reads one number with its unit: its nanoseconds, and what follows.
fn component(text: &[u8]) -> Result<(u128, &[u8]), DurationError> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest {
        [b'.', after @ ..] => digits(after),
        _ => (&rest[..0], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Malformed);
    }
    let unit_end = rest.iter().position(|byte| byte.is_ascii_digit() || *byte == b'.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit_nanos = match unit {
        b"" => return Err(DurationError::NoUnit),
        b"ns" => 1,
        // Go takes both letters for micro, U+00B5 and U+03BC.
        b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => 1_000,
        b"ms" => 1_000_000,
        b"s" => SECOND,
        b"m" => 60 * SECOND,
        b"h" => HOUR,
        _ => return Err(DurationError::UnknownUnit),
    };
    let mut nanos = number(whole).ok_or(DurationError::TooLong)? * unit_nanos;
    let mut place = unit_nanos;
    for digit in fraction.iter().take(FRACTION_MAX_DIGITS) {
        nanos += u128::from(digit - b'0') * place / 10;
        place /= 10;
    }
    Ok((nanos, rest))
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

/// The value of decimal digits; none if it does not fit 64 bits.
fn number(digits: &[u8]) -> Option<u128> {
    let value = digits.iter().try_fold(0u64, |value, digit| {
        value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit - b'0')))
    });
    value.map(u128::from)
}

/// Longest duration. Source: Go's `time.Duration` counts nanoseconds in 63 bits.
pub const DURATION_MAX: Duration = Duration::from_nanos(i64::MAX as u64);

const SECOND: u128 = 1_000_000_000;
const HOUR: u128 = 3600 * SECOND;

/// Digits of a fraction that count. Source: an hour has 3.6e12 ns, so the 14th digit is below 1 ns.
const FRACTION_MAX_DIGITS: usize = 13;

#[cfg(test)]
#[path = "duration_tests.rs"]
mod tests;
