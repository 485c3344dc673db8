//! What may be proposed to the store beside operations on keys, what it touched, and why it may be refused.

use super::{At, operation::Found, session::Session, store::Store};
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
}

/// What was touched, so that what follows from it can follow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Touched {
    /// A key came, went or changed.
    Key(Text),
    /// A session came or went.
    Session(Text),
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
        }
    }
}
