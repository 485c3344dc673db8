//! Reads the parameters of SVCB and HTTPS records: `alpn="h2,h3" port=8443 ipv4hint=192.0.2.1`.
//!
//! hickory-proto is used for base64 only: values that it does not expect make it panic (0.26.3).
//!
//! **Limits:** keys by number (`key5`) take bytes; `dohpath` and later keys are written by number.
//!
//! **Source:** RFC 9460 sections 2.1, 2.2, 7, 8 and appendix A.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use hickory_proto::rr::{RData, RecordType, rdata::svcb::SvcParamValue};

use super::{
    problem::{ZoneFileError, shown},
    split::{Quotes, Token},
    text::{number, unescape},
};

/// Reads all parameters and writes them in order of their keys.
pub(super) fn read_params(tokens: &[Token<'_>], wire: &mut Vec<u8>) -> Result<(), ZoneFileError> {
    let mut params: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for token in tokens {
        if token.quotes == Quotes::Around {
            return Err(ZoneFileError::BadParameter { key: shown(token.raw), expected: "key=\"value\"" });
        }
        let at = token.raw.iter().position(|&byte| byte == b'=');
        let (word, raw) = match at {
            Some(at) => (&token.raw[..at], Some(&token.raw[at + 1..])),
            None => (token.raw, None),
        };
        let bad = |expected| ZoneFileError::BadParameter { key: shown(word), expected };
        let key = key_number(word).ok_or_else(|| bad("a key such as alpn, port, ipv4hint or key65280"))?;
        if params.len() >= PARAMS_MAX {
            return Err(bad("fewer parameters"));
        }
        let value = read_value(key, raw)?.map_err(bad)?;
        if params.insert(key, value).is_some() {
            return Err(ZoneFileError::RepeatedParameter { key: shown(word) });
        }
    }
    check_together(&params)?;
    for (key, value) in params {
        let too_long = ZoneFileError::RdataTooLong { length: value.len(), max: usize::from(u16::MAX) };
        let length = u16::try_from(value.len()).map_err(|_| too_long)?;
        wire.extend(key.to_be_bytes());
        wire.extend(length.to_be_bytes());
        wire.extend(value);
    }
    Ok(())
}

fn check_together(params: &BTreeMap<u16, Vec<u8>>) -> Result<(), ZoneFileError> {
    let bad = |key: &str, expected| ZoneFileError::BadParameter { key: key.to_owned(), expected };
    if params.contains_key(&NO_DEFAULT_ALPN) && !params.contains_key(&ALPN) {
        return Err(bad("no-default-alpn", "alpn beside it"));
    }
    let mandatory = params.get(&MANDATORY).map_or(&[][..], Vec::as_slice);
    for pair in mandatory.chunks_exact(2) {
        if !params.contains_key(&u16::from_be_bytes([pair[0], pair[1]])) {
            return Err(bad("mandatory", "only keys that are in the record"));
        }
    }
    Ok(())
}

fn key_number(word: &[u8]) -> Option<u16> {
    let word = std::str::from_utf8(word).ok()?;
    if let Some(at) = KEYS.iter().position(|key| *key == word) {
        return u16::try_from(at).ok();
    }
    // Without leading zeros; 65535 is reserved.
    let digits = word.strip_prefix("key").filter(|digits| *digits == "0" || !digits.starts_with('0'))?;
    number::<u16>(digits).filter(|&key| key != u16::MAX)
}

/// The value in wire form; the inner error says what was expected.
fn read_value(key: u16, raw: Option<&[u8]>) -> Result<Result<Vec<u8>, &'static str>, ZoneFileError> {
    let bytes = unquoted(raw.unwrap_or_default())?;
    Ok(match key {
        MANDATORY => mandatory_value(&bytes).ok_or("keys with commas between them, each once"),
        ALPN => alpn_value(&bytes).ok_or("protocols with commas between them, such as h2,h3"),
        NO_DEFAULT_ALPN => {
            if raw.is_none() {
                Ok(Vec::new())
            } else {
                Err("no value")
            }
        }
        PORT => {
            text_of(&bytes).and_then(number::<u16>).map(|port| port.to_be_bytes().to_vec()).ok_or("a port up to 65535")
        }
        IPV4HINT => addresses::<Ipv4Addr, 4>(&bytes, |address| address.octets()).ok_or("IPv4 addresses"),
        ECH => ech_value(&bytes).ok_or("base64"),
        IPV6HINT => addresses::<Ipv6Addr, 16>(&bytes, |address| address.octets()).ok_or("IPv6 addresses"),
        _ => Ok(bytes),
    })
}

/// The value with its escapes resolved and its quotes taken off: `"h2,h3"` or `h2`.
fn unquoted(raw: &[u8]) -> Result<Vec<u8>, ZoneFileError> {
    let inside = raw.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(raw);
    let mut is_escaped = false;
    for &byte in inside {
        if byte == b'"' && !is_escaped {
            return Err(ZoneFileError::QuoteInWord { text: shown(raw) });
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    unescape(inside)
}

fn text_of(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn mandatory_value(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut keys = bytes.split(|&byte| byte == b',').map(key_number).collect::<Option<Vec<u16>>>()?;
    let listed = keys.len();
    keys.sort_unstable();
    keys.dedup();
    (keys.len() == listed && keys.first() != Some(&MANDATORY))
        .then(|| keys.iter().flat_map(|key| key.to_be_bytes()).collect())
}

/// Protocols are separated by commas; a backslash that is still there takes a comma or backslash for itself
/// (RFC 9460 appendix A.1).
fn alpn_value(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    let mut protocol = Vec::new();
    let mut rest = bytes;
    loop {
        match rest {
            [b'\\', byte @ (b',' | b'\\'), tail @ ..] => {
                protocol.push(*byte);
                rest = tail;
            }
            [b'\\', ..] => return None,
            [] | [b',', ..] => {
                let length = u8::try_from(protocol.len()).ok().filter(|&length| length > 0)?;
                wire.push(length);
                wire.append(&mut protocol);
                match rest {
                    [_, tail @ ..] => rest = tail,
                    [] => return Some(wire),
                }
            }
            [byte, tail @ ..] => {
                protocol.push(*byte);
                rest = tail;
            }
        }
    }
}

fn addresses<T: std::str::FromStr, const N: usize>(bytes: &[u8], octets: impl Fn(T) -> [u8; N]) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    for text in text_of(bytes)?.split(',') {
        wire.extend(octets(text.parse().ok()?));
    }
    Some(wire)
}

fn ech_value(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let text = text_of(bytes).filter(|text| !text.is_empty() && text.as_bytes().iter().all(is_base64))?;
    let RData::SVCB(record) = RData::try_from_str(RecordType::SVCB, &format!("1 . ech={text}")).ok()? else {
        return None;
    };
    match record.svc_params.into_iter().next() {
        Some((_, SvcParamValue::EchConfigList(list))) => Some(list.0),
        _ => None,
    }
}

/// Keys by number. Source: RFC 9460 section 14.3.2.
const KEYS: [&str; 7] = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];
const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;

/// Most parameters of one record. Source: none, chosen: far above the number of keys that exist.
const PARAMS_MAX: usize = 64;

#[cfg(test)]
#[path = "svcb_tests.rs"]
mod tests;
