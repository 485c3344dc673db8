//! The shape in which names that follow a registry lie in the journal: a document a key, with the value as the registry has it, so
//! that it is read again by the same rules, and a change costs the disk what changed.

use serde::{Deserialize, Serialize};

use crate::publish::journal::{
    Restored, Write,
    documents::{self, DocumentError, Kind},
};

/// What a registry has at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptName {
    /// As it was written there.
    pub value: Box<[u8]>,
    /// What its lease had left when it was read, if it had one. It bounds the TTL, and is no time at which the name ends: whoever
    /// keeps the lease alive may have done so since.
    pub remaining_secs: Option<u32>,
}

impl Restored {
    /// The names that were kept, by their keys.
    pub fn registry_names(&self) -> impl Iterator<Item = (&[u8], Result<KeptName, DocumentError>)> {
        documents::of_kind(&self.documents, Kind::Name).map(|(key, bytes)| {
            let record = documents::record::<NameRecord<'_>>(Kind::Name, bytes);
            (key, record.map(|record| KeptName { value: record.value.into(), remaining_secs: record.remaining_secs }))
        })
    }

    /// The serial that their zones had last, where it is known.
    pub fn registry_serial(&self) -> Option<u32> {
        let mut serials = documents::of_kind(&self.documents, Kind::NamesSerial);
        documents::record(Kind::NamesSerial, serials.next()?.1).ok()
    }
}

/// What now holds for a key.
pub fn write(key: &[u8], name: Option<&KeptName>) -> Write {
    let record = name.map(|name| NameRecord { value: &name.value, remaining_secs: name.remaining_secs });
    documents::write(Kind::Name, key, record.as_ref())
}

/// What now holds for the serial; none where there are no such zones.
pub fn write_serial(serial: Option<u32>) -> Write {
    documents::write(Kind::NamesSerial, &[], serial.as_ref())
}

#[derive(Serialize, Deserialize)]
struct NameRecord<'a> {
    value: &'a [u8],
    remaining_secs: Option<u32>,
}
