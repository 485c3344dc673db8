//! Base64 as JSON carries bytes (RFC 4648 section 4).

use serde::{Serialize, Serializer};

/// Bytes that are written as a text of base64.
#[derive(Debug, Clone, Copy)]
pub struct Base64<'a>(pub &'a [u8]);

impl<'a> Base64<'a> {
    /// None of no bytes, which Consul's clients see as null.
    pub fn unless_empty(bytes: &'a [u8]) -> Option<Base64<'a>> {
        (!bytes.is_empty()).then_some(Base64(bytes))
    }
}

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(self.0))
    }
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = || char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize]);
            text.push(if at <= chunk.len() { letter() } else { '=' });
        }
    }
    text
}

/// The bytes of a text of base64; none if it is not one.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (chunks, []) = text.as_bytes().as_chunks::<4>() else { return None };
    let mut bytes = Vec::with_capacity(chunks.len() * 3);
    for (at, chunk) in chunks.iter().enumerate() {
        let filled = chunk.iter().take_while(|byte| **byte != b'=').count();
        let ends = at + 1 == chunks.len();
        if filled < 2 || (filled < 4 && !ends) || chunk[filled..].iter().any(|byte| *byte != b'=') {
            return None;
        }
        let mut bits = 0_u32;
        for byte in &chunk[..filled] {
            bits = bits << 6 | LETTERS.iter().position(|letter| letter == byte)? as u32;
        }
        bits <<= 6 * (4 - filled);
        bytes.extend_from_slice(&bits.to_be_bytes()[1..filled]);
    }
    Some(bytes)
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!((encode(bytes.as_bytes()), decode(text)), (text.to_owned(), Some(bytes.into())));
        }
        for wrong in ["Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Z-8=", "Zg=a", "Zm9v\n"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
