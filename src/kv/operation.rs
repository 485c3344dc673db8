//! What is done with keys, one operation at a time: `/v1/kv` does one, `/v1/txn` several as one.
//!
//! An operation that changes nothing (a key set to what it holds) touches nothing and needs no index.
//!
//! **Source:** the KV operations of Consul's `PUT /v1/txn`, whose texts the errors are.

use std::sync::Arc;

use super::{
    At,
    change::{Done, Touched},
    store::{Entry, Store},
};
use crate::catalog::names::Text;

/// One operation on a key, or on all keys that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The key, or what the keys begin with.
    pub key: Text,
    /// What is done.
    pub verb: Verb,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Puts a value in.
    Set(Content),
    /// Puts a value in if the key has this modify index; 0: if it is not there.
    Cas(Content, u64),
    /// Puts a value in and locks the key for a session.
    Lock(Content, Text),
    /// Puts a value in and unlocks the key, which the session holds.
    Unlock(Content, Text),
    /// Reads; fails if there is no such key.
    Get,
    /// Reads; of a key that is not there, nothing but its name.
    GetOrEmpty,
    /// Reads all that begin so.
    GetTree,
    /// Fails unless the key has this modify index.
    CheckIndex(u64),
    /// Fails unless this session holds the key.
    CheckSession(Text),
    /// Fails if the key is there.
    CheckNotExists,
    /// Takes the key out, if it is there.
    Delete,
    /// Takes all out that begin so.
    DeleteTree,
    /// Takes the key out if it has this modify index.
    DeleteCas(u64),
}

impl Verb {
    /// Its word in a transaction, and in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Verb::Set(_) => "set",
            Verb::Cas(..) => "cas",
            Verb::Lock(..) => "lock",
            Verb::Unlock(..) => "unlock",
            Verb::Get => "get",
            Verb::GetOrEmpty => "get-or-empty",
            Verb::GetTree => "get-tree",
            Verb::CheckIndex(_) => "check-index",
            Verb::CheckSession(_) => "check-session",
            Verb::CheckNotExists => "check-not-exists",
            Verb::Delete => "delete",
            Verb::DeleteTree => "delete-tree",
            Verb::DeleteCas(_) => "delete-cas",
        }
    }

    /// Whether it only reads.
    pub fn is_read(&self) -> bool {
        match self {
            Verb::Get | Verb::GetOrEmpty | Verb::GetTree => true,
            Verb::CheckIndex(_) | Verb::CheckSession(_) | Verb::CheckNotExists => true,
            Verb::Set(_) | Verb::Cas(..) | Verb::Lock(..) | Verb::Unlock(..) => false,
            Verb::Delete | Verb::DeleteTree | Verb::DeleteCas(_) => false,
        }
    }
}

/// What a client puts in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The value.
    pub value: Box<[u8]>,
    /// A number of the client's.
    pub flags: u64,
}

/// What there is after an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The key and what it holds.
    pub entry: Arc<Entry>,
    /// Whether the client asked for the value, and did not bring it.
    pub with_value: bool,
}

/// Why an operation failed. Nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Read, but not there.
    #[error("key {0:?} doesn't exist")]
    Missing(Text),
    /// Not to be there, and it is.
    #[error("key {0:?} exists")]
    Exists(Text),
    /// To be set only if it is still as it was, and it is not.
    #[error("failed to set key {0:?}, index is stale")]
    SetStale(Text),
    /// To be taken out only if it is still as it was, and it is not.
    #[error("failed to delete key {0:?}, index is stale")]
    DeleteStale(Text),
    /// To be locked, and somebody else holds it.
    #[error("failed to lock key {0:?}, lock is already held")]
    Held(Text),
    /// To be locked, and who held it last has ended so lately that it may not be locked yet.
    #[error("failed to lock key {0:?} due to lock delay")]
    Delayed(Text),
    /// To be unlocked, and the session does not hold it.
    #[error("failed to unlock key {0:?}, lock isn't held, or is held by another session")]
    NotHeld(Text),
    /// There is no such session.
    #[error("invalid session {0:?}")]
    UnknownSession(Text),
    /// It is held by another session than it ought to be.
    #[error("failed session check for key {key:?}, current session {current:?} != {expected:?}")]
    OtherSession {
        /// The key.
        key: Text,
        /// Who holds it; empty: nobody.
        current: Text,
        /// Who ought to hold it.
        expected: Text,
    },
    /// It has another index than it ought to have.
    #[error("failed index check for key {key:?}, current modify index {current} != {expected}")]
    OtherIndex {
        /// The key.
        key: Text,
        /// The index that it has.
        current: u64,
        /// The index that it ought to have.
        expected: u64,
    },
}

impl Store {
    /// Does an operation at this index, which is above all others; or says why not, and then nothing has changed.
    pub fn operate(&mut self, operation: Operation, at: At) -> Result<Done, Problem> {
        let Operation { key, verb } = operation;
        let current = self.keys.get(&key).map(|entry| entry.modify_index);
        match verb {
            Verb::Set(content) => Ok(self.set(key, content, at.index)),
            Verb::Cas(_, expected) if current.unwrap_or(0) != expected => Err(Problem::SetStale(key)),
            Verb::Cas(content, _) => Ok(self.set(key, content, at.index)),
            Verb::Lock(content, session) => self.lock(key, content, session, at),
            Verb::Unlock(content, session) => self.unlock(key, content, &session, at),
            Verb::Get => self.found(key, true),
            Verb::GetOrEmpty => Ok(match self.keys.get(&key) {
                Some(entry) => Done::read([Found { entry: Arc::clone(entry), with_value: true }]),
                None => Done::read([Found { entry: Arc::new(Entry::empty(key)), with_value: true }]),
            }),
            Verb::GetTree => {
                let found = self.keys_below(&key).map(|entry| Found { entry: Arc::clone(entry), with_value: true });
                Ok(Done::read(found))
            }
            Verb::CheckIndex(expected) => match current {
                Some(current) if current != expected => Err(Problem::OtherIndex { key, current, expected }),
                _ => self.found(key, false),
            },
            Verb::CheckSession(expected) => match self.keys.get(&key).map(|entry| &entry.session) {
                Some(holder) if holder.as_ref() != Some(&expected) => {
                    let current = holder.clone().unwrap_or_default();
                    Err(Problem::OtherSession { key, current, expected })
                }
                _ => self.found(key, false),
            },
            Verb::CheckNotExists if current.is_some() => Err(Problem::Exists(key)),
            Verb::CheckNotExists => Ok(Done::default()),
            Verb::DeleteCas(expected) if current.is_some_and(|current| current != expected) => {
                Err(Problem::DeleteStale(key))
            }
            Verb::Delete | Verb::DeleteCas(_) => {
                let gone = self.keys.remove(&key);
                Ok(Done::touching(gone.map(|gone| self.gone(&gone, at.index))))
            }
            Verb::DeleteTree => {
                let gone = self.keys.remove_prefix(&key);
                Ok(Done::touching(gone.iter().map(|(_, gone)| self.gone(gone, at.index))))
            }
        }
    }

    fn found(&self, key: Text, with_value: bool) -> Result<Done, Problem> {
        match self.keys.get(&key) {
            Some(entry) => Ok(Done::read([Found { entry: Arc::clone(entry), with_value }])),
            None => Err(Problem::Missing(key)),
        }
    }

    fn set(&mut self, key: Text, content: Content, index: u64) -> Done {
        let Content { value, flags } = content;
        let before = self.keys.get(&key).map_or_else(|| Entry::empty(key.clone()), |entry| Entry::clone(entry));
        self.put(Entry { value, flags, ..before }, index)
    }

    fn lock(&mut self, key: Text, content: Content, session: Text, at: At) -> Result<Done, Problem> {
        if self.session(&session).is_none() {
            return Err(Problem::UnknownSession(session));
        }
        if self.is_delayed(&key, at.now) {
            return Err(Problem::Delayed(key));
        }
        let before = self.keys.get(&key).map_or_else(|| Entry::empty(key.clone()), |entry| Entry::clone(entry));
        let lock_index = match &before.session {
            Some(holder) if *holder != session => return Err(Problem::Held(key)),
            Some(_) => before.lock_index,
            None => before.lock_index.saturating_add(1),
        };
        let Content { value, flags } = content;
        Ok(self.put(Entry { value, flags, lock_index, session: Some(session), ..before }, at.index))
    }

    fn unlock(&mut self, key: Text, content: Content, session: &Text, at: At) -> Result<Done, Problem> {
        let Some(before) = self.keys.get(&key).filter(|entry| entry.session.as_ref() == Some(session)) else {
            return Err(Problem::NotHeld(key));
        };
        let Content { value, flags } = content;
        let released = Entry { value, flags, session: None, ..Entry::clone(before) };
        Ok(self.put(released, at.index))
    }

    /// Puts an entry in place of the one that it was made from.
    fn put(&mut self, mut entry: Entry, index: u64) -> Done {
        let before = self.keys.get(&entry.key);
        if let Some(same) = before.filter(|before| ***before == entry) {
            return Done::read([Found { entry: Arc::clone(same), with_value: false }]);
        }
        let before = before.cloned();
        if before.is_none() {
            entry.create_index = index;
            self.graves.remove(&entry.key);
        }
        entry.modify_index = index;
        let key = entry.key.clone();
        let holder = before.and_then(|before| before.session.clone());
        self.hand_over(&key, holder.as_ref(), entry.session.as_ref());
        let entry = Arc::new(entry);
        self.keys.set(key.clone(), Arc::clone(&entry));
        Done { found: vec![Found { entry, with_value: false }], touched: vec![Touched::Key(key)] }
    }

    fn gone(&mut self, gone: &Entry, index: u64) -> Touched {
        self.hand_over(&gone.key, gone.session.as_ref(), None);
        self.bury(&gone.key, index);
        Touched::Key(gone.key.clone())
    }
}

impl Entry {
    /// A key that holds nothing yet.
    fn empty(key: Text) -> Entry {
        let value = Box::default();
        Entry { key, value, flags: 0, session: None, lock_index: 0, create_index: 0, modify_index: 0 }
    }
}

#[cfg(test)]
#[path = "operation_tests.rs"]
mod tests;
