//! All that is kept at one index, and how to read it. [`super::operation`] tells what is done with keys, [`super::session`] what
//! with sessions.
//!
//! A read of keys has an index that becomes another whenever what it reads does, also when a key goes: for that the
//! store remembers which keys went, and when. It remembers so many of them; beyond that it forgets them all and says of
//! what is not there that it went when the last of those did. So an index may be newer than the change was, and never
//! older: who waits on it is told once too often at worst.
//!
//! | bound | value |
//! |---|---|
//! | keys that went and are remembered | 65,536 |
//!
//! **Limits:** keys and values are bounded by memory, as in Consul.

use std::sync::Arc;

use super::{
    event::Event,
    ordered::{Dated, Ordered},
    query::QueryEntry,
    session::{DELAYS_TIDY_MIN, Session, SessionEntry, Until},
};
use crate::catalog::{names::Text, table::Seed};

/// All that is kept, at one index. A clone shares everything.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) keys: Ordered<Arc<Entry>>,
    /// Keys that went, and at which index.
    pub(super) graves: Ordered<u64>,
    /// No key that is not in `graves` went at a later index.
    pub(super) floor: u64,
    pub(super) sessions: Ordered<Arc<SessionEntry>>,
    /// Index of the last change of any session.
    pub(super) sessions_index: u64,
    /// The sessions by what they are bound to: see `session::tie`.
    pub(super) ties: Ordered<()>,
    /// Keys that cannot be locked for a while.
    pub(super) delays: Ordered<Until>,
    /// Number of `delays` at which those that are over are dropped.
    pub(super) delays_tidy_at: usize,
    pub(super) events: Arc<[Arc<Event>]>,
    /// Prepared queries by ID.
    pub(super) queries: Ordered<Arc<QueryEntry>>,
    /// IDs of queries by name, in lower case.
    pub(super) query_names: Ordered<Text>,
    /// All queries that have a name, by it: see `query::claims`.
    pub(super) query_claims: Ordered<()>,
    /// The names of queries, their parts in reverse: what lies below a name.
    pub(super) query_ends: Ordered<u64>,
    /// IDs of templates by what the names begin with, in lower case.
    pub(super) query_templates: Ordered<Text>,
    /// Index of the last change of any query.
    pub(super) queries_index: u64,
    /// Up to which revision a shared store is followed; none if it is this machine's alone.
    pub(super) revision: Option<u64>,
    /// By which leases the times of sessions run, where it is shared.
    pub(super) leases: Ordered<u64>,
    pub(super) seed: Seed,
}

/// A key and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Text,
    /// What it holds.
    pub value: Box<[u8]>,
    /// A number of the client's.
    pub flags: u64,
    /// Who holds the lock, by session ID.
    pub session: Option<Text>,
    /// How often the lock was taken.
    pub lock_index: u64,
    /// Index at which it was first set.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// What was stored.
#[derive(Debug, Default)]
pub struct Stored {
    /// The keys.
    pub entries: Vec<Entry>,
    /// The sessions, each with the index at which it was made.
    pub sessions: Vec<(Session, u64)>,
    /// The events.
    pub events: Vec<Event>,
    /// The prepared queries.
    pub queries: Vec<QueryEntry>,
    /// Up to which revision a shared store was followed, if one was.
    pub revision: Option<u64>,
}

impl Dated for Arc<Entry> {
    fn index(&self) -> u64 {
        self.modify_index
    }
}

impl Store {
    /// A store without anything; nothing that it had went after this index.
    pub fn new(seed: Seed, floor: u64) -> Store {
        Store {
            keys: Ordered::new(seed),
            graves: Ordered::new(seed),
            floor,
            sessions: Ordered::new(seed),
            sessions_index: floor,
            ties: Ordered::new(seed),
            delays: Ordered::new(seed),
            delays_tidy_at: DELAYS_TIDY_MIN,
            events: Arc::from([]),
            queries: Ordered::new(seed),
            query_names: Ordered::new(seed),
            query_claims: Ordered::new(seed),
            query_ends: Ordered::new(seed),
            query_templates: Ordered::new(seed),
            queries_index: floor,
            revision: None,
            leases: Ordered::new(seed),
            seed,
        }
    }

    /// What was stored, at this index, which must not be below any index in it.
    pub fn restore(seed: Seed, index: u64, stored: Stored) -> Store {
        // Nobody waits yet, and what went in an earlier life is answered as if it had gone now.
        let mut store = Store::new(seed, stored.revision.unwrap_or(index));
        store.revision = stored.revision;
        for (session, create_index) in stored.sessions {
            store.put_session(session, create_index);
        }
        store.put_events(stored.events);
        for entry in stored.queries {
            store.put_query(entry);
        }
        for entry in stored.entries {
            store.hand_over(&entry.key, None, entry.session.as_ref());
            store.keys.set(entry.key.clone(), Arc::new(entry));
        }
        store
    }

    /// What a key holds.
    pub fn key(&self, key: &str) -> Option<&Arc<Entry>> {
        self.keys.get(key)
    }

    /// The keys that begin so, in order.
    pub fn keys_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<Entry>> {
        self.keys.with_prefix(prefix).map(|(_, entry)| entry)
    }

    /// How many keys there are.
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// The keys that begin so, each cut behind the first separator after the prefix, and each once; without a separator
    /// whole. Costs O(log n) for each that is returned.
    pub fn names_below<'a>(&'a self, prefix: &str, separator: &str) -> Vec<&'a str> {
        let mut names: Vec<&'a str> = Vec::new();
        let mut rest = self.keys.seek(|key| key < prefix);
        while let Some((key, _)) = rest.next().filter(|(key, _)| key.starts_with(prefix)) {
            let cut = Some(separator).filter(|separator| !separator.is_empty()).and_then(|separator| {
                let at = key[prefix.len()..].find(separator)?;
                Some(&key.as_str()[..prefix.len() + at + separator.len()])
            });
            match cut {
                Some(cut) => {
                    names.push(cut);
                    rest = self.keys.seek(|key| key < cut || key.starts_with(cut));
                }
                None => names.push(key),
            }
        }
        names
    }

    /// X-Consul-Index of a read of one key, whether it is there or not.
    pub fn key_index(&self, key: &str) -> u64 {
        match self.keys.get(key) {
            Some(entry) => entry.modify_index,
            None => self.graves.get(key).map_or(self.floor, |went| self.floor.max(*went)),
        }
    }

    /// X-Consul-Index of a read of the keys that begin so.
    pub fn prefix_index(&self, prefix: &str) -> u64 {
        let went = self.graves.newest_with_prefix(prefix).max(self.floor);
        self.keys.newest_with_prefix(prefix).max(went)
    }

    /// Remembers that a key went.
    pub(super) fn bury(&mut self, key: &Text, index: u64) {
        if self.graves.len() >= GRAVES_MAX {
            self.floor = self.floor.max(self.graves.newest());
            self.graves.remove_prefix("");
        }
        self.graves.set(key.clone(), index);
    }
}

/// Most keys that went and are remembered. Source: none, chosen: some megabytes.
const GRAVES_MAX: usize = 65_536;

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
