//! Following a store that several machines share: keys, sessions, lock delays, prepared queries and events as they are elsewhere.
//!
//! All indexes of keys, sessions and queries are then that store's revisions, and nothing is done here: what was done elsewhere
//! is told, in its order, change by change, or all that there is at one revision.
//!
//! | what | becomes |
//! |---|---|
//! | a key that went | remembered with the revision at which it did |
//! | what is not listed where all is told | gone, at the revision of the list |
//! | a revision below the one that was followed before | the shared store was wiped or set back: what is remembered of keys that went counts no more |
//!
//! **Limits:** a key that a session holds is known to be held by it only if the session was told before the key, as it is
//! done; a list is therefore told with its sessions first.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    change::{Done, Touched},
    event,
    ordered::Ordered,
    query::QueryEntry,
    session::{Session, SessionEntry, Until},
    store::{Entry, Store},
};
use crate::catalog::{
    followed::{self, Told},
    names::Text,
};

/// What was done elsewhere.
pub type Followed = followed::Followed<Event>;

/// Something that happened elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A key holds this, with these indexes.
    Key(Box<Entry>),
    /// A key went, at this revision.
    NoKey(Text, u64),
    /// A session was made, at this revision.
    Session(Box<Session>, u64),
    /// A session ended, at this revision.
    NoSession(Text, u64),
    /// The time of a session runs, by this lease.
    Lease(Text, i64),
    /// The time of a session is over.
    NoLease(Text),
    /// A key cannot be locked until that is told to be over.
    Delay(Text),
    /// It can be again.
    NoDelay(Text),
    /// A prepared query is this, with these indexes.
    Query(QueryEntry),
    /// A prepared query went, at this revision.
    NoQuery(Text, u64),
    /// An event was fired.
    Fired(Box<event::Event>),
    /// In this place is none any more.
    NoEvent(u8),
}

impl Store {
    /// Up to which revision of a shared store all is followed; 0 before anything was; none if it is this machine's alone.
    pub fn revision(&self) -> Option<u64> {
        self.revision
    }

    /// Makes it follow a shared store, whose indexes hold from now on. What is known stays until all is told.
    pub fn share(&mut self) {
        if self.revision.is_none() {
            self.revision = Some(0);
            self.forget_gone(0);
        }
    }

    /// Makes it this machine's alone, at this index, which must not be below any in it.
    pub fn part(&mut self, index: u64) {
        if self.revision.take().is_some() {
            self.leases = Ordered::new(self.seed);
            self.delays = Ordered::new(self.seed);
            self.forget_gone(index);
        }
    }

    /// The newest index of all that it has.
    pub fn newest_index(&self) -> u64 {
        let newest = self.keys.newest().max(self.sessions.newest()).max(self.queries.newest());
        newest.max(self.sessions_index).max(self.queries_index).max(self.floor)
    }

    /// The lease by which the time of a session runs, where it is shared.
    pub fn lease(&self, session: &str) -> Option<i64> {
        self.leases.get(session).and_then(|lease| i64::try_from(*lease).ok())
    }

    /// What went is told of with this index from now on.
    fn forget_gone(&mut self, index: u64) {
        self.graves = Ordered::new(self.seed);
        (self.floor, self.sessions_index, self.queries_index) = (index, index, index);
    }

    pub(super) fn follow(&mut self, followed: Followed) -> Done {
        let Followed { revision, told, events } = followed;
        let before = self.revision.replace(revision);
        let mut touched = Vec::new();
        if before != Some(revision) {
            touched.push(Touched::Revision);
        }
        if before.is_some_and(|before| revision < before) {
            self.forget_gone(revision);
        }
        if told == Told::Everything {
            self.drop_unlisted(&events, revision, &mut touched);
        }
        for event in events {
            self.take(event, &mut touched);
        }
        Done { touched, ..Done::default() }
    }

    fn take(&mut self, event: Event, touched: &mut Vec<Touched>) {
        match event {
            Event::Key(entry) => touched.extend(self.put_told(*entry)),
            Event::NoKey(key, revision) => touched.extend(self.remove_told(&key, revision)),
            Event::Session(session, revision) => touched.extend(self.put_told_session(*session, revision)),
            Event::NoSession(id, revision) => touched.extend(self.end_told(&id, revision)),
            Event::Lease(id, lease) => {
                self.leases.set(id, lease.unsigned_abs());
            }
            Event::NoLease(id) => {
                // Who ends sessions is to look at it.
                touched.extend(self.leases.remove(&id).map(|_| Touched::Session(id)));
            }
            Event::Delay(key) => {
                self.delays.set(key, Until(Duration::MAX));
            }
            Event::NoDelay(key) => {
                self.delays.remove(&key);
            }
            Event::Query(entry) => touched.extend(self.put_told_query(entry)),
            Event::NoQuery(id, revision) => touched.extend(self.remove_told_query(&id, revision)),
            Event::Fired(event) => touched.extend(self.put_told_event(*event)),
            Event::NoEvent(slot) => touched.extend(self.remove_told_event(slot)),
        }
    }

    fn put_told(&mut self, entry: Entry) -> Option<Touched> {
        let before = self.keys.get(&entry.key);
        if before.is_some_and(|before| **before == entry) {
            return None;
        }
        let holder = before.and_then(|before| before.session.clone());
        let key = entry.key.clone();
        self.graves.remove(&key);
        self.hand_over(&key, holder.as_ref(), entry.session.as_ref());
        self.keys.set(key.clone(), Arc::new(entry));
        Some(Touched::Key(key))
    }

    fn remove_told(&mut self, key: &Text, revision: u64) -> Option<Touched> {
        let gone = self.keys.remove(key)?;
        self.hand_over(key, gone.session.as_ref(), None);
        self.bury(key, revision);
        Some(Touched::Key(key.clone()))
    }

    fn put_told_session(&mut self, session: Session, revision: u64) -> Option<Touched> {
        let before = self.sessions.get(&session.id).cloned();
        if before.as_ref().is_some_and(|before| *before.session == session && before.create_index == revision) {
            return None;
        }
        let id = session.id.clone();
        if let Some(before) = &before {
            self.untie(before);
        }
        self.put_session(session, revision);
        if let Some(before) = before
            && let Some(entry) = self.sessions.get(&id)
        {
            // It holds what it held.
            let entry = SessionEntry { held: before.held.clone(), ..SessionEntry::clone(entry) };
            self.sessions.set(id.clone(), Arc::new(entry));
        }
        Some(Touched::Session(id))
    }

    /// What became of its keys and queries is told by itself.
    fn end_told(&mut self, id: &Text, revision: u64) -> Option<Touched> {
        let entry = self.sessions.remove(id)?;
        self.untie(&entry);
        self.leases.remove(id);
        self.sessions_index = self.sessions_index.max(revision);
        Some(Touched::Session(id.clone()))
    }

    fn put_told_query(&mut self, entry: QueryEntry) -> Option<Touched> {
        let before = self.queries.get(&entry.query.id).cloned();
        if before.as_ref().is_some_and(|before| **before == entry) {
            return None;
        }
        if let Some(before) = before {
            self.forget_query(&before.query);
        }
        let id = entry.query.id.clone();
        self.put_query(entry);
        Some(Touched::Query(id))
    }

    fn remove_told_query(&mut self, id: &Text, revision: u64) -> Option<Touched> {
        let entry = self.queries.get(id).cloned()?;
        self.forget_query(&entry.query);
        self.queries_index = self.queries_index.max(revision);
        Some(Touched::Query(id.clone()))
    }

    fn untie(&mut self, entry: &SessionEntry) {
        for tie in entry.session.ties() {
            self.ties.remove(&tie);
        }
    }

    /// Takes away what is not among all that there is.
    fn drop_unlisted(&mut self, events: &[Event], revision: u64, touched: &mut Vec<Touched>) {
        let (mut keys, mut sessions, mut leases) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut queries, mut slots) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            match event {
                Event::Key(entry) => _ = keys.insert(&entry.key),
                Event::Session(session, _) => _ = sessions.insert(&session.id),
                Event::Lease(id, _) => _ = leases.insert(id),
                Event::Query(entry) => _ = queries.insert(&entry.query.id),
                Event::Fired(event) => _ = slots.insert(event.slot()),
                _ => {}
            }
        }
        let unlisted = |all: &mut dyn Iterator<Item = &Text>, listed: &BTreeSet<&Text>| -> Vec<Text> {
            all.filter(|id| !listed.contains(id)).cloned().collect()
        };
        for key in unlisted(&mut self.keys.iter().map(|(key, _)| key), &keys) {
            touched.extend(self.remove_told(&key, revision));
        }
        for id in unlisted(&mut self.sessions.iter().map(|(id, _)| id), &sessions) {
            touched.extend(self.end_told(&id, revision));
        }
        for id in unlisted(&mut self.leases.iter().map(|(id, _)| id), &leases) {
            self.take(Event::NoLease(id), touched);
        }
        for id in unlisted(&mut self.queries.iter().map(|(id, _)| id), &queries) {
            touched.extend(self.remove_told_query(&id, revision));
        }
        let fired: Vec<u8> = self.events.iter().map(|event| event.slot()).collect();
        for slot in fired.into_iter().filter(|slot| !slots.contains(slot)) {
            touched.extend(self.remove_told_event(slot));
        }
        self.delays = Ordered::new(self.seed);
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
