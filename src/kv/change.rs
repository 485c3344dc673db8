//! What may be proposed to the store beside operations on keys, what it touched, and why it may be refused.

use super::{At, event::Event, follow::Followed, operation::Found, query::Query, session::Session, store::Store};
use crate::catalog::{
    names::{CheckId, Text},
    state::State,
};

/// Something proposed to the store.
#[derive(Debug, Clone)]
pub enum Change {
    /// Makes a session.
    CreateSession(Box<Session>),
    /// Ends a session, if it is there.
    DestroySession(Text),
    /// Tells an event.
    Fire(Event),
    /// Makes a prepared query, or replaces that of the same ID.
    SetQuery(Box<Query>),
    /// Takes a prepared query away, if it is there.
    DeleteQuery(Text),
    /// Follows what was done in a store that several machines share.
    Follow(Box<Followed>),
}

/// Why a change was refused. Nothing of it was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The node of a session is not there.
    #[error("Missing node registration")]
    MissingNode,
    /// A check of a session is not there.
    #[error("Missing check '{0}' registration")]
    MissingCheck(CheckId),
    /// A check of a session is critical.
    #[error("Check '{0}' is in critical state")]
    CriticalCheck(CheckId),
    /// The session of a query is not there.
    #[error("invalid session {0:?}")]
    UnknownSession(Text),
    /// Another query has the name.
    #[error("name '{0}' aliases an existing query name")]
    NameTaken(Text),
}

/// What was touched, so that what follows from it can follow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Touched {
    /// A key came, went or changed.
    Key(Text),
    /// A session came or went.
    Session(Text),
    /// An event came, in this place among those that are kept.
    Event(u8),
    /// A prepared query came, went or changed.
    Query(Text),
    /// The revision up to which a shared store is followed.
    Revision,
}

/// What an operation or a change did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// What it read or set, in order of the keys; what was taken out is left out.
    pub found: Vec<Found>,
    /// What it touched.
    pub touched: Vec<Touched>,
}

impl Done {
    pub(super) fn read(found: impl IntoIterator<Item = Found>) -> Done {
        Done { found: found.into_iter().collect(), touched: Vec::new() }
    }

    pub(super) fn touching(touched: impl IntoIterator<Item = Touched>) -> Done {
        Done { found: Vec::new(), touched: touched.into_iter().collect() }
    }
}

impl Store {
    /// Applies a change, given the catalog as it is; or says why not, and then nothing has changed.
    pub fn apply(&mut self, change: Change, catalog: &State, at: At) -> Result<Done, ChangeError> {
        match change {
            Change::CreateSession(session) => self.create_session(*session, catalog, at),
            Change::DestroySession(id) => Ok(self.destroy_session(&id, at)),
            Change::Fire(event) => Ok(self.fire(event)),
            Change::SetQuery(query) => self.set_query(*query, at),
            Change::DeleteQuery(id) => Ok(self.delete_query(&id, at)),
            Change::Follow(followed) => Ok(self.follow(*followed)),
        }
    }
}
