//! Reads the data of a record from its text into uncompressed wire form.
//!
//! Types made of numbers, addresses, names and strings are rows of [`TYPES`]; SVCB and HTTPS are in `svcb`; types
//! made of digests and keys are read by hickory-proto; any type may be given as `\# length hex` (RFC 3597), and is
//! then checked by hickory-proto if it knows the type.
//!
//! **Limits:** no DNAME, no types of signed zones, no types that are for queries only.
//!
//! **Source:** RFC 1035, 2782, 3403, 3596, 3597, 8659, 9460.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::{
    rr::{RData, RecordType},
    serialize::binary::{BinDecoder, BinEncodable, BinEncoder, NameEncoding, Restrict},
};

use super::{
    problem::{ZoneFileError, shown},
    split::{Quotes, Token},
    svcb,
    text::{number, plain, read_bytes, read_name, seconds},
};
use crate::wire::name::Name;

/// The data of one record.
#[derive(Debug)]
pub(super) struct Rdata {
    /// Uncompressed wire form.
    pub(super) wire: Vec<u8>,
    /// Names in it that the origin completed.
    pub(super) relative_names: Vec<Name>,
}

/// The number of a type that may stand in a zone file: a mnemonic, or `TYPEnnn`.
pub(super) fn read_type(token: &Token<'_>) -> Result<u16, ZoneFileError> {
    let unknown = || ZoneFileError::UnknownType { text: shown(token.raw) };
    let text = plain(token).ok_or_else(unknown)?.to_ascii_uppercase();
    let rtype = if let Some((_, rtype, _)) = TYPES.iter().find(|(word, ..)| *word == text) {
        *rtype
    } else if let Some(digits) = text.strip_prefix("TYPE") {
        number::<u16>(digits).ok_or_else(unknown)?
    } else {
        text.parse::<RecordType>().map_err(|_| unknown())?.into()
    };
    match rtype {
        39 => Err(ZoneFileError::Dname),
        24 | 25 | 30 | 46..=48 | 50 | 51 | 59 | 60 => Err(ZoneFileError::Signed { text }),
        0 | 41 | 128..=255 => Err(ZoneFileError::MetaType { text }),
        _ => Ok(rtype),
    }
}

/// Reads the data of a record of the type; relative names are completed by the origin.
pub(super) fn read_rdata(rtype: u16, tokens: &[Token<'_>], origin: &Name) -> Result<Rdata, ZoneFileError> {
    let rdata = match tokens {
        [mark, data @ ..] if mark.raw == br"\#" && mark.quotes == Quotes::None => generic(rtype, data)?,
        _ => specific(rtype, tokens, origin)?,
    };
    if rdata.wire.len() > RDATA_MAX_BYTES {
        return Err(ZoneFileError::RdataTooLong { length: rdata.wire.len(), max: RDATA_MAX_BYTES });
    }
    Ok(rdata)
}

/// The mnemonic of a type, or `TYPEnnn`.
pub(super) fn type_word(rtype: u16) -> String {
    match RecordType::from(rtype) {
        RecordType::Unknown(_) | RecordType::ZERO => format!("TYPE{rtype}"),
        known => known.to_string(),
    }
}

fn specific(rtype: u16, tokens: &[Token<'_>], origin: &Name) -> Result<Rdata, ZoneFileError> {
    let mut reader = FieldReader { rest: tokens, origin, wire: Vec::new(), relative_names: Vec::new() };
    if let Some((_, _, fields)) = TYPES.iter().find(|(_, number, _)| *number == rtype) {
        for &field in *fields {
            reader.read(field)?;
        }
        if let Some(token) = reader.rest.first() {
            return Err(ZoneFileError::ExcessField { text: shown(token.raw) });
        }
    } else {
        reader.wire = by_hickory(rtype, tokens)?;
    }
    Ok(Rdata { wire: reader.wire, relative_names: reader.relative_names })
}

/// One field in a row of [`TYPES`].
#[derive(Debug, Clone, Copy)]
enum Field {
    Name(&'static str),
    U8(&'static str),
    U16(&'static str),
    U32(&'static str),
    Seconds(&'static str),
    Ipv4,
    Ipv6,
    String(&'static str),
    Strings,
    CaaTag,
    CaaValue,
    SvcParams,
}

struct FieldReader<'e, 'a> {
    rest: &'e [Token<'a>],
    origin: &'e Name,
    wire: Vec<u8>,
    relative_names: Vec<Name>,
}

impl<'e, 'a> FieldReader<'e, 'a> {
    fn read(&mut self, field: Field) -> Result<(), ZoneFileError> {
        match field {
            Field::Name(what) => {
                let read = read_name(self.take(what)?, self.origin)?;
                self.wire.extend_from_slice(read.name.as_wire());
                if read.is_relative {
                    self.relative_names.push(read.name);
                }
            }
            Field::U8(what) => {
                let value = self.parsed(what, number::<u8>)?;
                self.wire.push(value);
            }
            Field::U16(what) => {
                let value = self.parsed(what, number::<u16>)?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::U32(what) => {
                let value = self.parsed(what, number::<u32>)?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::Seconds(what) => {
                let value = self.parsed(what, seconds)?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::Ipv4 => {
                let address = self.parsed("an IPv4 address", |text| text.parse::<Ipv4Addr>().ok())?;
                self.wire.extend(address.octets());
            }
            Field::Ipv6 => {
                let address = self.parsed("an IPv6 address", |text| text.parse::<Ipv6Addr>().ok())?;
                self.wire.extend(address.octets());
            }
            Field::String(what) => {
                let bytes = read_bytes(self.take(what)?)?;
                self.push_string(&bytes)?;
            }
            Field::Strings => loop {
                let bytes = read_bytes(self.take("a string")?)?;
                self.push_string(&bytes)?;
                if self.rest.is_empty() {
                    break;
                }
            },
            Field::CaaTag => {
                let is_tag = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
                let tag =
                    self.parsed("a CAA tag of letters and digits", |text| is_tag(text).then(|| text.to_owned()))?;
                self.push_string(tag.as_bytes())?;
            }
            Field::CaaValue => {
                let bytes = read_bytes(self.take("the CAA value")?)?;
                self.wire.extend(bytes);
            }
            Field::SvcParams => svcb::read_params(std::mem::take(&mut self.rest), &mut self.wire)?,
        }
        Ok(())
    }

    fn take(&mut self, field: &'static str) -> Result<&'e Token<'a>, ZoneFileError> {
        let (first, rest) = self.rest.split_first().ok_or(ZoneFileError::MissingField { field })?;
        self.rest = rest;
        Ok(first)
    }

    fn parsed<T>(&mut self, field: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T, ZoneFileError> {
        let token = self.take(field)?;
        plain(token).and_then(parse).ok_or_else(|| ZoneFileError::BadField { text: shown(token.raw), field })
    }

    fn push_string(&mut self, bytes: &[u8]) -> Result<(), ZoneFileError> {
        let length = u8::try_from(bytes.len()).map_err(|_| ZoneFileError::StringTooLong { length: bytes.len() })?;
        self.wire.push(length);
        self.wire.extend_from_slice(bytes);
        Ok(())
    }
}

/// Types of digests and keys. Only words that are surely read as words are handed over.
fn by_hickory(rtype: u16, tokens: &[Token<'_>]) -> Result<Vec<u8>, ZoneFileError> {
    let rtype = RecordType::from(rtype);
    // So many fields come first; what follows is one field that may be written in several pieces (RFC 6698 2.2).
    let leading = match rtype {
        RecordType::TLSA | RecordType::SMIMEA | RecordType::CERT => 3,
        RecordType::SSHFP => 2,
        RecordType::OPENPGPKEY => 0,
        RecordType::CSYNC => usize::MAX,
        _ => return Err(ZoneFileError::UnknownType { text: type_word(rtype.into()) }),
    };
    let mut text = String::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-');
        let word = plain(token).filter(|word| word.bytes().all(is_safe));
        let word =
            word.ok_or_else(|| ZoneFileError::BadField { text: shown(token.raw), field: "a number, hex or base64" })?;
        if at <= leading {
            text.push(' ');
        }
        text.push_str(word);
    }
    if rtype == RecordType::CSYNC {
        text.make_ascii_uppercase();
    }
    let failed = |problem: &dyn std::fmt::Display| ZoneFileError::Rdata { problem: problem.to_string() };
    let rdata = RData::try_from_str(rtype, &text).map_err(|error| failed(&error))?;
    emit(&rdata).map_err(|error| failed(&error))
}

/// `\# length hex` of any type (RFC 3597 section 5).
fn generic(rtype: u16, data: &[Token<'_>]) -> Result<Rdata, ZoneFileError> {
    let field = "the length";
    let (length, hex) = data.split_first().ok_or(ZoneFileError::MissingField { field })?;
    let said = plain(length)
        .and_then(number::<u16>)
        .ok_or_else(|| ZoneFileError::BadField { text: shown(length.raw), field: "a length up to 65535" })?;
    let mut digits = Vec::new();
    for token in hex {
        let bad = || ZoneFileError::BadField { text: shown(token.raw), field: "hex" };
        for letter in plain(token).ok_or_else(bad)?.chars() {
            digits.push(letter.to_digit(16).ok_or_else(bad)? as u8);
        }
    }
    let wire: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    if digits.len() % 2 == 1 || wire.len() != usize::from(said) {
        return Err(ZoneFileError::GenericLength { said: said.into(), found: wire.len() });
    }
    let known = RecordType::from(rtype);
    if !matches!(known, RecordType::Unknown(_) | RecordType::NULL) {
        // Reading and writing again must give the same bytes: then they are well-formed and names uncompressed.
        let rdata = RData::read(&mut BinDecoder::new(&wire), known, Restrict::new(said)).ok();
        if rdata.and_then(|rdata| emit(&rdata).ok()).as_ref() != Some(&wire) {
            return Err(ZoneFileError::GenericData { rtype });
        }
    }
    Ok(Rdata { wire, relative_names: Vec::new() })
}

fn emit(rdata: &RData) -> Result<Vec<u8>, hickory_proto::ProtoError> {
    let mut wire = Vec::new();
    let mut encoder = BinEncoder::new(&mut wire);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    rdata.emit(&mut encoder)?;
    Ok(wire)
}

/// Types that are read field by field.
const TYPES: &[(&str, u16, &[Field])] = &[
    ("A", 1, &[Field::Ipv4]),
    ("NS", 2, &[Field::Name("the name server")]),
    ("CNAME", 5, &[Field::Name("the target")]),
    (
        "SOA",
        6,
        &[
            Field::Name("MNAME"),
            Field::Name("RNAME"),
            Field::U32("the serial"),
            Field::Seconds("refresh"),
            Field::Seconds("retry"),
            Field::Seconds("expire"),
            Field::Seconds("minimum"),
        ],
    ),
    ("PTR", 12, &[Field::Name("the target")]),
    ("HINFO", 13, &[Field::String("the CPU"), Field::String("the operating system")]),
    ("MX", 15, &[Field::U16("a preference up to 65535"), Field::Name("the mail server")]),
    ("TXT", 16, &[Field::Strings]),
    ("AAAA", 28, &[Field::Ipv6]),
    (
        "SRV",
        33,
        &[
            Field::U16("a priority up to 65535"),
            Field::U16("a weight up to 65535"),
            Field::U16("a port up to 65535"),
            Field::Name("the target"),
        ],
    ),
    (
        "NAPTR",
        35,
        &[
            Field::U16("an order up to 65535"),
            Field::U16("a preference up to 65535"),
            Field::String("the flags"),
            Field::String("the services"),
            Field::String("the expression"),
            Field::Name("the replacement"),
        ],
    ),
    ("SVCB", 64, &[Field::U16("a priority up to 65535"), Field::Name("the target"), Field::SvcParams]),
    ("HTTPS", 65, &[Field::U16("a priority up to 65535"), Field::Name("the target"), Field::SvcParams]),
    ("SPF", 99, &[Field::Strings]),
    ("CAA", 257, &[Field::U8("flags up to 255"), Field::CaaTag, Field::CaaValue]),
];

/// Most data of one record.
///
/// Source: 65,535 bytes of a message over TCP, less 12 of header, 259 of question, 12 of the record's own fields
/// and 11 of OPT.
const RDATA_MAX_BYTES: usize = 65_241;

#[cfg(test)]
#[path = "rdata_tests.rs"]
mod tests;
