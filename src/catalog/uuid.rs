//! UUIDs as texts (RFC 9562 section 4).

/// A UUID of these bits and this version, in lower case.
pub fn of_bits(bits: u128, version: u8) -> String {
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | u128::from(version & 0xf) << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Whether a text is one, in any letter case and of any version.
pub fn is_uuid(text: &str) -> bool {
    let digit = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(digit)
}

#[cfg(test)]
#[path = "uuid_tests.rs"]
mod tests;
