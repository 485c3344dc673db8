//! The shapes in which `kv` lies in the journal, apart from those in memory, so that either can change alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    catalog::{
        names::{CheckId, IdentifierError, NodeName, Text},
        table::Seed,
    },
    kv::{
        change::Touched,
        session::{Behavior, Session, SessionEntry},
        store::{Entry, Store, Stored},
    },
    publish::journal::{
        Restored, Write,
        documents::{self, DocumentError, Kind},
    },
};

impl Restored {
    /// Keys and sessions, as they were stored.
    pub fn store(&self, seed: Seed) -> Result<Store, DocumentError> {
        let entries = documents::of_kind(&self.documents, Kind::Key).map(|(key, bytes)| entry(key, bytes));
        let sessions = documents::of_kind(&self.documents, Kind::Session).map(|(key, bytes)| session(key, bytes));
        let stored =
            Stored { entries: entries.collect::<Result<_, _>>()?, sessions: sessions.collect::<Result<_, _>>()? };
        Ok(Store::restore(seed, self.index, stored))
    }
}

fn entry(key: &[u8], bytes: &[u8]) -> Result<Entry, DocumentError> {
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
}

fn session(key: &[u8], bytes: &[u8]) -> Result<(Session, u64), DocumentError> {
    let kind = Kind::Session;
    let record: SessionRecord<'_> = documents::record(kind, bytes)?;
    let wrong = |error: IdentifierError| DocumentError { kind, problem: error.to_string() };
    let checks = |ids: Vec<&str>| ids.into_iter().map(CheckId::derived).collect();
    let session = Session {
        id: Text::from(documents::text_key(kind, key)?),
        name: Text::from(record.name),
        node: NodeName::new(record.node).map_err(wrong)?,
        node_checks: checks(record.node_checks),
        service_checks: checks(record.service_checks),
        lock_delay: record.lock_delay,
        behavior: if record.deletes { Behavior::Delete } else { Behavior::Release },
        ttl: record.ttl.map(|(span, text)| (span, Text::from(text))),
    };
    Ok((session, record.create_index))
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
        Touched::Session(id) => {
            let record = store.session(id).map(|entry| session_record(entry));
            documents::write(Kind::Session, id.as_bytes(), record.as_ref())
        }
    }
}

fn session_record(entry: &SessionEntry) -> SessionRecord<'_> {
    let session = &*entry.session;
    SessionRecord {
        name: &session.name,
        node: session.node.as_str(),
        node_checks: session.node_checks.iter().map(CheckId::as_str).collect(),
        service_checks: session.service_checks.iter().map(CheckId::as_str).collect(),
        lock_delay: session.lock_delay,
        deletes: session.behavior == Behavior::Delete,
        ttl: session.ttl.as_ref().map(|(span, text)| (*span, text.as_str())),
        create_index: entry.create_index,
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

#[derive(Serialize, Deserialize)]
struct SessionRecord<'a> {
    name: &'a str,
    node: &'a str,
    #[serde(borrow)]
    node_checks: Vec<&'a str>,
    #[serde(borrow)]
    service_checks: Vec<&'a str>,
    lock_delay: Duration,
    deletes: bool,
    ttl: Option<(Duration, &'a str)>,
    create_index: u64,
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
