//! What the server answers about itself, and the zones that are empty by definition.

use crate::wire::{code::class, query::Question};

/// Whether the name is one of those that tell about the server (RFC 4892 section 2.1).
pub fn is_own_name(question: &Question) -> bool {
    fact(question).is_some()
}

/// What a name tells about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Which program it is.
    Version,
    /// Which machine it is.
    Identity,
}

/// What the name tells about the server, if it is one of those of class CH.
pub fn fact(question: &Question) -> Option<Fact> {
    if question.class != class::CH || question.label_count() != 2 {
        return None;
    }
    match (question.label(0), question.label(1)) {
        (b"version", b"bind" | b"server") => Some(Fact::Version),
        (b"hostname", b"bind") | (b"id", b"server") => Some(Fact::Identity),
        _ => None,
    }
}

/// The label of the question at which a reverse zone begins that is empty unless someone fills it (RFC 6303 section 4).
pub fn empty_reverse_zone(question: &Question) -> Option<usize> {
    let labels = question.label_count();
    let from_right = |count: usize| (labels > count).then(|| question.label(labels - 1 - count));
    let number = |count: usize| {
        let text = std::str::from_utf8(from_right(count)?).ok()?;
        // One spelling each: no leading zeros, no sign.
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
        plain.then(|| text.parse::<u8>().ok()).flatten()
    };
    let nibble = |count: usize| match from_right(count)? {
        [digit] => (*digit as char).to_digit(16),
        _ => None,
    };
    let length = match from_right(1)? {
        b"in-addr" => match (number(2)?, number(3), number(4)) {
            (0 | 10 | 127, _, _) => 3,
            (172, Some(16..=31), _) | (192, Some(168), _) | (169, Some(254), _) => 4,
            (192, Some(0), Some(2)) | (198, Some(51), Some(100)) | (203, Some(0), Some(113)) => 5,
            (255, Some(255), Some(255)) if number(5) == Some(255) => 6,
            _ => return None,
        },
        b"ip6" => match (nibble(2)?, nibble(3)) {
            // Unique local addresses: fc00::/7 (RFC 4193), of which only fd00::/8 is in use.
            (0xf, Some(0xd)) => 4,
            (0xf, Some(0xe)) if matches!(nibble(4), Some(0x8..=0xb)) => 5,
            (2, Some(0)) if [0, 1, 0, 0xd, 0xb, 8].iter().zip(4..).all(|(digit, at)| nibble(at) == Some(*digit)) => 10,
            (0, Some(0)) => {
                let zeros = (2..33).all(|at| nibble(at) == Some(0));
                return match (zeros, labels >= 34, nibble(33)) {
                    (true, true, Some(0 | 1)) => Some(labels - 34),
                    _ => None,
                };
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(labels - length)
}

/// What the server calls itself.
pub const VERSION: &str = concat!("nameplate ", env!("CARGO_PKG_VERSION"));
