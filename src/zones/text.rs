//! Reads the parts of a record from their text: names, strings, numbers, times.
//!
//! | text | meaning |
//! |---|---|
//! | `www` | the name below the origin |
//! | `www.example.` | the name as it is |
//! | `@` | the origin |
//! | `a\.b`, `\097` | escapes: a byte as it is, or in decimal |
//! | `1h30m`, `5400` | seconds |
//!
//! hickory-proto is not used for these: its escapes in names are octal, those in quoted strings are added up
//! wrongly, and those in words stay as they are (0.26.3).
//!
//! **Limits:** names are ASCII; anything else is written with escapes or in xn-- form.
//!
//! **Source:** RFC 1035 section 5.1; the units of a time are BIND's.

use super::{
    problem::{ZoneFileError, shown},
    split::{Quotes, Token},
};
use crate::wire::name::{Name, NameError};

/// A name as read, and whether it was completed by the origin.
pub(super) struct ReadName {
    /// The absolute name.
    pub(super) name: Name,
    /// Whether the text had no dot at its end.
    pub(super) is_relative: bool,
}

/// Reads a name; one without a dot at its end is completed by the origin.
pub(super) fn read_name(token: &Token<'_>, origin: &Name) -> Result<ReadName, ZoneFileError> {
    let raw = token.raw;
    if token.quotes == Quotes::Around {
        return Err(ZoneFileError::QuotedName { text: shown(raw) });
    }
    if token.quotes == Quotes::Inside {
        return Err(ZoneFileError::QuoteInWord { text: shown(raw) });
    }
    if raw == b"@" {
        return Ok(ReadName { name: origin.clone(), is_relative: false });
    }
    if raw.is_empty() {
        return Err(ZoneFileError::EmptyName);
    }
    let text = match std::str::from_utf8(raw) {
        Ok(text) if text.is_ascii() => text,
        _ => return Err(ZoneFileError::NonAsciiName { text: shown(raw) }),
    };
    let wrong = |problem: NameError| ZoneFileError::BadName { text: shown(raw), problem };
    let name = Name::parse(text).map_err(wrong)?;
    if ends_with_dot(raw) {
        return Ok(ReadName { name, is_relative: false });
    }
    let name = Name::from_labels(name.labels().chain(origin.labels())).map_err(wrong)?;
    Ok(ReadName { name, is_relative: true })
}

/// Whether the last byte is a dot that no backslash precedes.
fn ends_with_dot(raw: &[u8]) -> bool {
    let Some((b'.', rest)) = raw.split_last() else { return false };
    let backslashes = rest.iter().rev().take_while(|&&byte| byte == b'\\').count();
    backslashes % 2 == 0
}

/// Whether a relative name looks as if it had been meant to be absolute: it has several labels, and the last
/// is the last of the origin too (`www.example` inside `example.`).
pub(super) fn lacks_dot(relative: &Name, origin: &Name) -> bool {
    let written = relative.label_count() - origin.label_count();
    let (Some(last), Some(top)) = (relative.labels().nth(written.saturating_sub(1)), origin.labels().last()) else {
        return false;
    };
    written >= 2 && last.eq_ignore_ascii_case(top)
}

/// Reads a character string of any length, escapes resolved.
pub(super) fn read_bytes(token: &Token<'_>) -> Result<Vec<u8>, ZoneFileError> {
    if token.quotes == Quotes::Inside {
        return Err(ZoneFileError::QuoteInWord { text: shown(token.raw) });
    }
    unescape(token.raw)
}

/// Resolves escapes.
pub(super) fn unescape(raw: &[u8]) -> Result<Vec<u8>, ZoneFileError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        if *first != b'\\' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        rest = match tail {
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', tail @ ..] => {
                let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
                bytes.push(u8::try_from(value).map_err(|_| ZoneFileError::BadEscape)?);
                tail
            }
            [b'0'..=b'9', ..] | [] => return Err(ZoneFileError::BadEscape),
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
        };
    }
    Ok(bytes)
}

/// A word as text, if it is ASCII and has no escapes and no quotes.
pub(super) fn plain<'a>(token: &Token<'a>) -> Option<&'a str> {
    let text = std::str::from_utf8(token.raw).ok()?;
    (token.quotes == Quotes::None && text.is_ascii() && !text.contains('\\')).then_some(text)
}

/// Reads a decimal number; signs are not numbers.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Reads seconds, plain or with the units w, d, h, m, s; at most [`TTL_MAX_SECS`].
pub(super) fn seconds(text: &str) -> Option<u32> {
    if let Some(secs) = number::<u32>(text) {
        return (secs <= TTL_MAX_SECS).then_some(secs);
    }
    let mut total: u64 = 0;
    let mut count: Option<u64> = None;
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            let digit = u64::from(byte - b'0');
            count = Some(count.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let unit = match byte.to_ascii_lowercase() {
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(count.take()?.checked_mul(unit)?)?;
    }
    if count.is_some() || text.is_empty() {
        return None;
    }
    u32::try_from(total).ok().filter(|&secs| secs <= TTL_MAX_SECS)
}

/// Largest TTL. Source: RFC 2181 section 8.
const TTL_MAX_SECS: u32 = i32::MAX as u32;

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
