//! The shapes in which `kv` lies in the journal, apart from those in memory, so that either can change alone.

use serde::{Deserialize, Serialize};

use crate::{
    catalog::{names::Text, table::Seed},
    kv::{
        operation::Touched,
        store::{Entry, Store},
    },
    publish::journal::{
        Restored, Write,
        documents::{self, DocumentError, Kind},
    },
};

impl Restored {
    /// The keys with their values, as they were stored.
    pub fn store(&self, seed: Seed) -> Result<Store, DocumentError> {
        let entries = documents::of_kind(&self.documents, Kind::Key).map(|(key, bytes)| {
            let record: EntryRecord<'_> = documents::record(Kind::Key, bytes)?;
            Ok(Entry {
                key: Text::from(documents::text_key(Kind::Key, key)?),
                value: record.value.into(),
                flags: record.flags,
                session: record.session.map(Text::from),
                lock_index: record.lock_index,
                create_index: record.create_index,
                modify_index: record.modify_index,
            })
        });
        Ok(Store::restore(seed, self.index, entries.collect::<Result<Vec<_>, _>>()?))
    }
}

/// What now holds for something that was touched.
pub(super) fn write(store: &Store, touched: &Touched) -> Write {
    match touched {
        Touched::Key(key) => {
            let record = store.key(key).map(|entry| EntryRecord {
                value: &entry.value,
                flags: entry.flags,
                session: entry.session.as_deref(),
                lock_index: entry.lock_index,
                create_index: entry.create_index,
                modify_index: entry.modify_index,
            });
            documents::write(Kind::Key, key.as_bytes(), record.as_ref())
        }
    }
}

#[derive(Serialize, Deserialize)]
struct EntryRecord<'a> {
    value: &'a [u8],
    flags: u64,
    session: Option<&'a str>,
    lock_index: u64,
    create_index: u64,
    modify_index: u64,
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
