//! What the journal keeps without knowing what it means: bytes under a key that begins with their kind.
//!
//! Each pure state beside the catalog has its kinds here, and shapes of its own for them (`publish::kept`, `publish::kept_access`,
//! `publish::kept_names`). As with
//! all records, a field or a variant that is added, moved or taken away is a new format with a migration step; a kind
//! that is added is one too, because who wrote a document may be followed by an older version.

use serde::{Deserialize, Serialize};

use super::{Document, Write, encode};

/// Whose document it is: the first byte of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A key of `kv` with its value.
    Key = 1,
    /// A session of `kv`.
    Session = 2,
    /// An event of `kv`.
    Event = 3,
    /// A prepared query of `kv`.
    Query = 4,
    /// A policy of `access`.
    Policy = 5,
    /// A token of `access`, with its secret.
    Token = 6,
    /// When the first token was made.
    Bootstrap = 7,
    /// The revision up to which `kv` follows a store that several machines share; none if it is this machine's alone.
    Revision = 8,
    /// A record of a zone that follows a registry, by the registry's key.
    Name = 9,
    /// The serial that these zones had last.
    NamesSerial = 10,
}

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal is damaged: a document of kind {kind:?} cannot be read: {problem}")]
pub struct DocumentError {
    /// Its kind.
    pub kind: Kind,
    /// How that shows.
    pub problem: String,
}

/// What now holds for a document; without a record it is no more.
pub fn write(kind: Kind, key: &[u8], record: Option<&impl Serialize>) -> Write {
    let key = [&[kind as u8], key].concat();
    Write::Document { key, bytes: record.map(encode::encoded) }
}

/// Whether a source tells it again, so that a start need not be refused where it is damaged.
pub(super) fn is_told_again(key: &[u8]) -> bool {
    let first = key.first();
    [Kind::Name, Kind::NamesSerial].into_iter().any(|kind| first == Some(&(kind as u8)))
}

/// The documents of a kind: their keys, and what they hold.
pub fn of_kind(documents: &[Document], kind: Kind) -> impl Iterator<Item = (&[u8], &[u8])> {
    documents.iter().filter_map(move |document| match document.key.split_first() {
        Some((first, key)) if *first == kind as u8 => Some((key, &*document.bytes)),
        _ => None,
    })
}

/// The key of a document, where it is a text.
pub fn text_key(kind: Kind, key: &[u8]) -> Result<&str, DocumentError> {
    std::str::from_utf8(key).map_err(|error| DocumentError { kind, problem: error.to_string() })
}

/// What a document holds.
pub fn record<'a, T: Deserialize<'a>>(kind: Kind, bytes: &'a [u8]) -> Result<T, DocumentError> {
    let failed = |problem: String| DocumentError { kind, problem };
    match postcard::take_from_bytes(bytes).map_err(|error| failed(error.to_string()))? {
        (record, []) => Ok(record),
        (_, rest) => Err(failed(format!("it has {} bytes left over", rest.len()))),
    }
}
