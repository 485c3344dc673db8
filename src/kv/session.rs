//! Sessions: who holds locks, and for how long.
//!
//! A session is bound to a node and to checks on it. It ends when one of those goes or turns critical, when its time
//! passes without being renewed (which others than this store watch over), or when it is told to. Its keys are then
//! released or taken out, and for its lock delay nobody can lock them.
//!
//! **Limits:** lock delays are in memory only: after a restart there are none, as in Consul after a change of leader.
//!
//! **Source:** Consul's `/v1/session`, whose texts the errors are.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    At,
    change::{ChangeError, Done, Touched},
    ordered::{Dated, Ordered},
    store::{Entry, Store},
};
use crate::catalog::{
    apply::Effects,
    check::{CheckKey, CheckStatus},
    names::{CheckId, NodeName, Text},
    state::State,
};

/// A session as its client wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its ID, a UUID.
    pub id: Text,
    /// A name for people.
    pub name: Text,
    /// The node that it is bound to.
    pub node: NodeName,
    /// Checks of the node that it is bound to.
    pub node_checks: Vec<CheckId>,
    /// Checks of instances on the node that it is bound to.
    pub service_checks: Vec<CheckId>,
    /// How long nobody can lock what it held, after it has ended but for a release.
    pub lock_delay: Duration,
    /// What becomes of its keys.
    pub behavior: Behavior,
    /// It must be renewed within this time; and how its client wrote that.
    pub ttl: Option<(Duration, Text)>,
}

/// What becomes of the keys that a session holds when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    /// They stay, and nobody holds them.
    Release,
    /// They go.
    Delete,
}

/// A session and what it holds.
#[derive(Debug, Clone)]
pub struct SessionEntry {
    /// The session.
    pub session: Arc<Session>,
    /// The keys that it holds.
    pub(super) held: Ordered<()>,
    /// Index at which it was made.
    pub create_index: u64,
}

impl Dated for Arc<SessionEntry> {
    fn index(&self) -> u64 {
        self.create_index
    }
}

impl SessionEntry {
    /// The keys that it holds, in order.
    pub fn held(&self) -> impl Iterator<Item = &Text> {
        self.held.iter().map(|(key, ())| key)
    }
}

impl Session {
    /// All checks that it is bound to.
    pub fn checks(&self) -> impl Iterator<Item = CheckKey> {
        let ids = self.node_checks.iter().chain(&self.service_checks);
        ids.map(|id| CheckKey { node: self.node.clone(), id: id.clone() })
    }

    /// Under which texts it is found by node and by check: node, NUL, check (none: the node itself), NUL, session.
    pub(super) fn ties(&self) -> impl Iterator<Item = Text> {
        let checks = self.node_checks.iter().chain(&self.service_checks).map(CheckId::as_str);
        checks.chain([""]).map(|check| tie(self.node.as_str(), check, &self.id))
    }
}

fn tie(node: &str, check: &str, session: &str) -> Text {
    Text::from(format!("{node}\0{check}\0{session}"))
}

impl Store {
    /// A session by its ID.
    pub fn session(&self, id: &str) -> Option<&Arc<SessionEntry>> {
        self.sessions.get(id)
    }

    /// All sessions, in order of their IDs.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<SessionEntry>> {
        self.sessions.iter().map(|(_, entry)| entry)
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The sessions that are bound to a node, in order of their IDs.
    pub fn sessions_of(&self, node: &NodeName) -> Vec<&Arc<SessionEntry>> {
        self.tied(&tie(node.as_str(), "", "")).iter().filter_map(|id| self.session(id)).collect()
    }

    /// X-Consul-Index of any read of sessions.
    pub fn sessions_index(&self) -> u64 {
        self.sessions_index
    }

    /// The sessions under the ties that begin so.
    fn tied(&self, prefix: &str) -> BTreeSet<Text> {
        let ids = self.ties.with_prefix(prefix).filter_map(|(tie, _)| tie.rsplit('\0').next());
        ids.map(Text::from).collect()
    }

    /// Whether a session can be made as the catalog is; or why not.
    pub fn can_begin(&self, session: &Session, catalog: &State) -> Result<(), ChangeError> {
        if catalog.node(&session.node).is_none() {
            return Err(ChangeError::MissingNode);
        }
        for key in session.checks() {
            match catalog.check(&key) {
                None => return Err(ChangeError::MissingCheck(key.id)),
                Some(entry) if entry.check.status == CheckStatus::Critical => {
                    return Err(ChangeError::CriticalCheck(key.id));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn create_session(&mut self, session: Session, catalog: &State, at: At) -> Result<Done, ChangeError> {
        self.can_begin(&session, catalog)?;
        let touched = vec![Touched::Session(session.id.clone())];
        self.put_session(session, at.index);
        Ok(Done { touched, ..Done::default() })
    }

    pub(super) fn put_session(&mut self, session: Session, create_index: u64) {
        for tie in session.ties() {
            self.ties.set(tie, ());
        }
        let (id, session) = (session.id.clone(), Arc::new(session));
        let held = Ordered::new(self.seed);
        self.sessions.set(id, Arc::new(SessionEntry { session, held, create_index }));
        self.sessions_index = self.sessions_index.max(create_index);
    }

    /// Ends a session; one that is not there has ended already.
    pub fn destroy_session(&mut self, id: &str, at: At) -> Done {
        let Some(entry) = self.sessions.remove(id) else { return Done::default() };
        for tie in entry.session.ties() {
            self.ties.remove(&tie);
        }
        self.sessions_index = at.index;
        let mut touched = vec![Touched::Session(entry.session.id.clone())];
        for (key, ()) in entry.held.iter() {
            if !entry.session.lock_delay.is_zero() {
                self.delay(key, entry.session.lock_delay, at.now);
            }
            match (entry.session.behavior, self.keys.get(key)) {
                (_, None) => {}
                (Behavior::Release, Some(held)) => {
                    let released = Entry { session: None, modify_index: at.index, ..Entry::clone(held) };
                    self.keys.set(key.clone(), Arc::new(released));
                }
                (Behavior::Delete, Some(_)) => {
                    self.keys.remove(key);
                    self.bury(key, at.index);
                }
            }
            touched.push(Touched::Key(key.clone()));
        }
        touched.append(&mut self.delete_queries_of(&entry.session.id, at));
        Done { touched, ..Done::default() }
    }

    /// The sessions that end by a change of the catalog: of those that are bound to what it touched.
    pub fn lapsed(&self, effects: &Effects, catalog: &State) -> BTreeSet<Text> {
        let mut lapsed = BTreeSet::new();
        if self.sessions.is_empty() {
            return lapsed;
        }
        let gone = effects.nodes.iter().filter(|node| node.after.is_none());
        for node in gone.filter(|node| catalog.node(node.name()).is_none()) {
            lapsed.append(&mut self.tied(&format!("{}\0", node.name().as_str())));
        }
        for key in effects.checks.iter().chain(&effects.statuses).filter(|key| fails(catalog, key)) {
            lapsed.append(&mut self.tied(&tie(key.node.as_str(), key.id.as_str(), "")));
        }
        lapsed
    }

    /// Whether a session can be as the catalog is.
    pub fn holds(&self, session: &Session, catalog: &State) -> bool {
        catalog.node(&session.node).is_some() && !session.checks().any(|key| fails(catalog, &key))
    }

    /// Notes who holds a key, in place of who held it.
    pub(super) fn hand_over(&mut self, key: &Text, from: Option<&Text>, to: Option<&Text>) {
        if from == to {
            return;
        }
        for (id, holds) in [(from, false), (to, true)] {
            let Some(entry) = id.and_then(|id| self.sessions.get(id)) else { continue };
            let mut entry = SessionEntry::clone(entry);
            match holds {
                true => _ = entry.held.set(key.clone(), ()),
                false => _ = entry.held.remove(key),
            }
            self.sessions.set(entry.session.id.clone(), Arc::new(entry));
        }
    }

    fn delay(&mut self, key: &Text, span: Duration, now: Duration) {
        if self.delays.len() >= self.delays_tidy_at {
            let over: Vec<Text> =
                self.delays.iter().filter(|(_, until)| until.0 <= now).map(|(key, _)| key.clone()).collect();
            for key in over {
                self.delays.remove(&key);
            }
            self.delays_tidy_at = DELAYS_TIDY_MIN.max(2 * self.delays.len());
        }
        self.delays.set(key.clone(), Until(now.saturating_add(span)));
    }

    /// Whether a key cannot be locked for a while.
    pub fn is_delayed(&self, key: &str, now: Duration) -> bool {
        self.delays.get(key).is_some_and(|until| now < until.0)
    }
}

/// Whether a check is gone or critical.
fn fails(catalog: &State, key: &CheckKey) -> bool {
    catalog.check(key).is_none_or(|entry| entry.check.status == CheckStatus::Critical)
}

/// When something is over, by the clock of who changes the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until(pub(super) Duration);

impl Dated for Until {
    fn index(&self) -> u64 {
        0
    }
}

/// From so many lock delays on, those that are over are dropped now and then. Source: none, chosen.
pub(super) const DELAYS_TIDY_MIN: usize = 1024;

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
