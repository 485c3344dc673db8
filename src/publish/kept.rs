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
        event::Event,
        query::{Query, QueryEntry, Template},
        session::{Behavior, Session, SessionEntry},
        store::{Entry, Store, Stored},
        template::Expression,
    },
    publish::journal::{
        Restored, Write,
        documents::{self, DocumentError, Kind},
    },
};

impl Restored {
    /// All that `kv` keeps, as it was stored.
    pub fn store(&self, seed: Seed) -> Result<Store, DocumentError> {
        let entries = documents::of_kind(&self.documents, Kind::Key).map(|(key, bytes)| entry(key, bytes));
        let sessions = documents::of_kind(&self.documents, Kind::Session).map(|(key, bytes)| session(key, bytes));
        let events = documents::of_kind(&self.documents, Kind::Event).map(|(_, bytes)| event(bytes));
        let queries = documents::of_kind(&self.documents, Kind::Query).map(|(key, bytes)| query(key, bytes));
        let mut revisions = documents::of_kind(&self.documents, Kind::Revision);
        let stored = Stored {
            entries: entries.collect::<Result<_, _>>()?,
            sessions: sessions.collect::<Result<_, _>>()?,
            events: events.collect::<Result<_, _>>()?,
            queries: queries.collect::<Result<_, _>>()?,
            revision: revisions.next().map(|(_, bytes)| documents::record(Kind::Revision, bytes)).transpose()?,
        };
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

fn event(bytes: &[u8]) -> Result<Event, DocumentError> {
    let (record, is_here) = match documents::record::<EventRecord<'_>>(Kind::Event, bytes) {
        Ok(record) => (record, true),
        Err(_) => documents::record(Kind::Event, bytes)?,
    };
    let [node_filter, service_filter, tag_filter] = record.filters.map(Text::from);
    let (id, name) = (Text::from(record.id), Text::from(record.name));
    Ok(Event {
        id,
        name,
        payload: record.payload.into(),
        node_filter,
        service_filter,
        tag_filter,
        number: record.number,
        is_here,
    })
}

fn query(key: &[u8], bytes: &[u8]) -> Result<QueryEntry, DocumentError> {
    let record: QueryRecord<'_> = documents::record(Kind::Query, bytes)?;
    let texts = |texts: Vec<&str>| texts.into_iter().map(Text::from).collect();
    let pairs = |pairs: Vec<(&str, &str)>| pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    let query = Query {
        id: Text::from(documents::text_key(Kind::Query, key)?),
        name: Text::from(record.name),
        session: Text::from(record.session),
        template: record.template.map(|(regexp, remove_empty_tags)| Template {
            regexp: Expression::stored(regexp.into()),
            remove_empty_tags,
        }),
        service: Text::from(record.service),
        tags: texts(record.tags),
        only_passing: record.only_passing,
        ignore_check_ids: texts(record.ignore_check_ids),
        node_meta: pairs(record.node_meta),
        service_meta: pairs(record.service_meta),
        near: Text::from(record.near),
        nearest_n: record.nearest_n,
        datacenters: texts(record.datacenters),
        dns_ttl: record.dns_ttl.map(|(seconds, text)| (seconds, Text::from(text))),
    };
    Ok(QueryEntry { query: query.into(), create_index: record.create_index, modify_index: record.modify_index })
}

/// What now holds for whether it is shared.
pub fn revision(store: &Store) -> Write {
    write(store, &Touched::Revision)
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
        Touched::Event(slot) => {
            let event = store.event_in(*slot);
            let record = event.map(|event| event_record(event));
            match event.is_some_and(|event| !event.is_here) {
                true => documents::write(Kind::Event, &[*slot], record.map(|record| (record, false)).as_ref()),
                false => documents::write(Kind::Event, &[*slot], record.as_ref()),
            }
        }
        Touched::Query(id) => {
            let record = store.query(id).map(|entry| query_record(entry));
            documents::write(Kind::Query, id.as_bytes(), record.as_ref())
        }
        Touched::Revision => documents::write(Kind::Revision, &[], store.revision().as_ref()),
    }
}

fn event_record(event: &Event) -> EventRecord<'_> {
    EventRecord {
        id: &event.id,
        name: &event.name,
        payload: &event.payload,
        filters: [&event.node_filter, &event.service_filter, &event.tag_filter],
        number: event.number,
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

fn query_record(entry: &QueryEntry) -> QueryRecord<'_> {
    fn texts(texts: &[Text]) -> Vec<&str> {
        texts.iter().map(Text::as_str).collect()
    }
    fn pairs(pairs: &[(Text, Text)]) -> Vec<(&str, &str)> {
        pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
    let query = &*entry.query;
    QueryRecord {
        name: &query.name,
        session: &query.session,
        template: query.template.as_ref().map(|template| (template.regexp.as_str(), template.remove_empty_tags)),
        service: &query.service,
        tags: texts(&query.tags),
        only_passing: query.only_passing,
        ignore_check_ids: texts(&query.ignore_check_ids),
        node_meta: pairs(&query.node_meta),
        service_meta: pairs(&query.service_meta),
        near: &query.near,
        nearest_n: query.nearest_n,
        datacenters: texts(&query.datacenters),
        dns_ttl: query.dns_ttl.as_ref().map(|(seconds, text)| (*seconds, text.as_str())),
        create_index: entry.create_index,
        modify_index: entry.modify_index,
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

/// Since format 9 `false` stands behind it if it is not for our node.
#[derive(Serialize, Deserialize)]
struct EventRecord<'a> {
    id: &'a str,
    name: &'a str,
    payload: &'a [u8],
    #[serde(borrow)]
    filters: [&'a str; 3],
    number: u64,
}

#[derive(Serialize, Deserialize)]
struct QueryRecord<'a> {
    name: &'a str,
    session: &'a str,
    template: Option<(&'a str, bool)>,
    service: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    only_passing: bool,
    #[serde(borrow)]
    ignore_check_ids: Vec<&'a str>,
    #[serde(borrow)]
    node_meta: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    service_meta: Vec<(&'a str, &'a str)>,
    near: &'a str,
    nearest_n: u32,
    #[serde(borrow)]
    datacenters: Vec<&'a str>,
    dns_ttl: Option<(u32, &'a str)>,
    create_index: u64,
    modify_index: u64,
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
