//! What a change of clients' keys, sessions or prepared queries asks of etcd: a transaction, planned on what this machine knows.
//!
//! The operations are done on a copy of the store, so that what they mean is said in one place (`kv::operation`). All that they
//! looked at is compared: the transaction is made only if etcd has it as this machine knew it, and then what was found, or why
//! it was refused, is true of etcd too. If not, the store is older than etcd, and what etcd did since will be told to it: then
//! it is planned again.
//!
//! | what | compares | writes |
//! |---|---|---|
//! | an operation on a key | the key's last change | what it holds, if that is new |
//! | locking | also: the session is there, no lock delay | also: the session's document again, unchanged |
//! | reading a tree | each key's last change, and that none is newer | |
//! | deleting a key or a tree, and nothing else | nothing | the key, or all with the prefix |
//! | making a session | that it is not there | it, and with a TTL that it is renewed, under a lease |
//! | ending a session | that it is not changed, and each key that it holds, and its queries | those keys released or deleted, their lock delays under a lease; those queries deleted |
//! | firing an event | that nothing is newer in its place | it, with the number after the highest that is known |
//! | setting a query | the query's last change, that no query is newer, that its session is there | it; of a session that is new for it the document again, unchanged |
//!
//! Locking and setting write the session's document again so that its last change tells whether somebody bound something to it:
//! the end of a session misses no key and no query. A session with many ends in several transactions, the last of which takes
//! the session.
//!
//! | bound | value |
//! |---|---|
//! | a transaction | [`OPERATIONS_MAX`] compares, as many writes, [`WRITES_MAX_BYTES`] |
//!
//! **Limits:** a key that is deleted and made again by one transaction keeps its create index. A tree with more keys than can be
//! compared is read as this machine has it: nothing in it is newer in etcd, but a key may be gone there.

mod access;
pub mod catalog;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    client::{Compare, Done, Is, Op, Txn, TxnDone, With},
    document::TooLarge,
    kept::{KeptTooLarge, write_key, write_lock_delay, write_session, write_session_ttl},
    layout::{Kept, Layout},
};
use crate::{
    catalog::names::Text,
    kv::{
        At,
        operation::{Found, Operation, Problem, Verb},
        session::{Behavior, Session, SessionEntry},
        store::{Entry, Store},
    },
    publish::transaction::{OperationError, OperationProblem},
};

mod events;
mod queries;

/// A transaction to be made, and what it means that it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    compares: Vec<Compare>,
    writes: Vec<Write>,
    lease: Option<Duration>,
    outcome: Result<Vec<Found>, Vec<OperationError>>,
    /// The index in the outcome that stands for the transaction's revision.
    placeholder: u64,
}

/// How a transaction that was planned ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was done, or there was nothing to be done.
    Done {
        /// What was read and set.
        found: Vec<Found>,
        /// The revision with which it is to be seen; none if nothing was changed.
        revision: Option<u64>,
    },
    /// It was refused, and etcd would have refused it.
    Refused(Vec<OperationError>),
    /// etcd is newer than the store on which it was planned.
    Stale,
}

/// Why something cannot be made into a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It is about too much.
    #[error(
        "it is about too many keys: {0}; with a store that machines share, a transaction may be about {OPERATIONS_MAX}"
    )]
    TooMany(usize),
    /// A value is too large.
    #[error(transparent)]
    TooLarge(#[from] KeptTooLarge),
    /// What is known of a node or an instance is too much.
    #[error(transparent)]
    DocumentTooLarge(#[from] TooLarge),
    /// All values together are too large.
    #[error(
        "it would take {0} bytes in etcd; with a store that machines share, a transaction may have {WRITES_MAX_BYTES}"
    )]
    TooManyBytes(usize),
    /// Another program gave an event the highest number that there is.
    #[error("the event in {0} has the highest number that there is; delete that key in etcd")]
    LastEvent(String),
}

#[derive(Clone, PartialEq, Eq)]
enum Write {
    Put(String, Vec<u8>),
    /// At a key that is there, which keeps its lease.
    Replace(String, Vec<u8>),
    /// Under the lease that is granted for the transaction.
    PutUnderLease(String, Vec<u8>),
    /// Under a lease that is there.
    PutUnder(String, Vec<u8>, i64),
    Delete(String),
    DeletePrefix(String),
}

impl Plan {
    /// Plans operations on keys, on what this machine knows.
    pub fn operations(
        layout: &Layout,
        store: &Store,
        operations: Vec<Operation>,
        now: Duration,
    ) -> Result<Plan, PlanError> {
        let alone = match &operations[..] {
            [Operation { key, verb: Verb::Delete }] => Some(Write::Delete(layout.kept_key(&Kept::Key(key.clone())))),
            [Operation { key, verb: Verb::DeleteTree }] => Some(Write::DeletePrefix(layout.keys_below(key))),
            _ => None,
        };
        if let Some(write) = alone {
            return Plan::of(Vec::new(), vec![write]).within();
        }
        let mut footprint = Footprint::default();
        for operation in &operations {
            footprint.add(store, operation);
        }
        let placeholder = unnamed_index(&operations);
        let mut after = store.clone();
        let outcome = done(&mut after, operations, At { index: placeholder, now });
        let writes = match &outcome {
            Ok(_) => footprint.writes(layout, (store, &after))?,
            Err(_) => Vec::new(),
        };
        let compares = footprint.compares(layout, (store, now), writes.is_empty());
        let outcome =
            outcome.map(|found| found.into_iter().map(|found| as_in_etcd(found, store, placeholder)).collect());
        Plan { outcome, placeholder, ..Plan::of(compares, writes) }.within()
    }

    /// Plans a session that is to be made; whether it can be is looked at before.
    pub fn new_session(layout: &Layout, session: &Session) -> Result<Plan, PlanError> {
        let key = layout.kept_key(&Kept::Session(session.id.clone()));
        let compares = vec![Compare::absent(key.clone().into_bytes())];
        let mut writes = vec![Write::Put(key, write_session(session)?)];
        let ttl = session.ttl.as_ref().map(|(span, _)| *span);
        if ttl.is_some() {
            let key = layout.kept_key(&Kept::SessionTtl(session.id.clone()));
            writes.push(Write::PutUnderLease(key, write_session_ttl()));
        }
        Plan { lease: ttl, ..Plan::of(compares, writes) }.within()
    }

    /// Plans the end of a session: transactions, to be made one after the other. One that is not there has ended already.
    pub fn session_end(layout: &Layout, store: &Store, id: &Text) -> Result<Vec<Plan>, PlanError> {
        let key = layout.kept_key(&Kept::Session(id.clone()));
        let Some(entry) = store.session(id) else {
            return Ok(vec![Plan::of(vec![Compare::absent(key.into_bytes())], Vec::new())]);
        };
        let seen = store.revision().unwrap_or(0).max(entry.create_index);
        let not_since = With::ModRevision(signed(seen).saturating_add(1));
        let unchanged = [present(layout, entry), Compare::one(key.clone().into_bytes(), Is::Less, not_since)];
        let lease = Some(entry.session.lock_delay).filter(|delay| !delay.is_zero());
        let begin = || Plan { lease, ..Plan::of(unchanged.to_vec(), Vec::new()) };
        let mut plans = vec![begin()];
        let held = entry.held().filter_map(|key| store.key(key)).map(|held| let_go(layout, held, &entry.session));
        for part in held.chain(queries::end_with(layout, store, id).into_iter().map(Ok)) {
            let (compare, writes) = part?;
            let last = plans.last_mut().expect("there is one from the beginning on");
            if !last.has_room(&writes) {
                plans.push(begin());
            }
            let last = plans.last_mut().expect("there is one from the beginning on");
            last.compares.push(compare);
            last.writes.extend(writes);
        }
        let last = plans.last_mut().expect("there is one from the beginning on");
        last.writes.push(Write::Delete(key));
        if entry.session.ttl.is_some() {
            last.writes.push(Write::Delete(layout.kept_key(&Kept::SessionTtl(id.clone()))));
        }
        for plan in &mut plans {
            plan.lease =
                plan.lease.filter(|_| plan.writes.iter().any(|write| matches!(write, Write::PutUnderLease(..))));
        }
        Ok(plans)
    }

    /// Plans that keys and sessions of this machine alone become shared ones, where there are none of the same names: one
    /// transaction for each session, then some for the keys.
    pub fn copies<'a>(
        layout: &Layout,
        sessions: impl Iterator<Item = &'a Session>,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<Vec<Plan>, PlanError> {
        let mut plans = sessions.map(|session| Plan::new_session(layout, session)).collect::<Result<Vec<_>, _>>()?;
        plans.extend(Plan::batches(entries.map(|entry| {
            let key = layout.kept_key(&Kept::Key(entry.key.clone()));
            Ok((Compare::absent(key.clone().into_bytes()), vec![Write::Put(key, write_key(entry)?)]))
        }))?);
        Ok(plans)
    }

    /// As few transactions as have room for all of these.
    fn batches(parts: impl Iterator<Item = Result<(Compare, Vec<Write>), PlanError>>) -> Result<Vec<Plan>, PlanError> {
        let mut plans: Vec<Plan> = Vec::new();
        for part in parts {
            let (compare, writes) = part?;
            if plans.last().is_none_or(|last| !last.has_room(&writes)) {
                plans.push(Plan::of(Vec::new(), Vec::new()));
            }
            let last = plans.last_mut().expect("one was pushed");
            last.compares.push(compare);
            last.writes.extend(writes);
        }
        Ok(plans)
    }

    /// Makes it depend on nothing being in these folders, besides what it compares. Copies have room for some more compares.
    pub fn only_if_empty(&mut self, folders: impl Iterator<Item = String>) {
        self.compares.extend(folders.map(|folder| Compare::none_after(folder.as_bytes(), 0)));
    }

    /// For how long a lease is to be granted before the transaction, if it needs one.
    pub fn lease(&self) -> Option<Duration> {
        self.lease
    }

    /// The transaction, with the lease that was granted.
    pub fn txn(&self, lease: i64) -> Txn {
        let put = |key: &String, value: &Vec<u8>, lease| {
            let (key, value) = (key.clone().into_bytes(), value.clone());
            Op::Put { key, value, lease }
        };
        let ops = self.writes.iter().map(|write| match write {
            Write::Put(key, value) => put(key, value, 0),
            Write::Replace(key, value) => Op::Replace { key: key.clone().into_bytes(), value: value.clone() },
            Write::PutUnderLease(key, value) => put(key, value, lease),
            Write::PutUnder(key, value, lease) => put(key, value, *lease),
            Write::Delete(key) => Op::Delete(key.clone().into_bytes()),
            Write::DeletePrefix(prefix) => Op::DeletePrefix(prefix.clone().into_bytes()),
        });
        Txn { compares: self.compares.clone(), then: ops.collect(), otherwise: Vec::new() }
    }

    /// What it means how the transaction ended.
    pub fn ended(self, done: &TxnDone) -> Ended {
        if !done.succeeded {
            return Ended::Stale;
        }
        let is_change = done.done.iter().any(|done| matches!(done, Done::Put | Done::Deleted(1..)));
        let revision = u64::try_from(done.header.revision).unwrap_or_default();
        match self.outcome {
            Ok(found) => {
                let found = found.into_iter().map(|found| at_revision(found, self.placeholder, revision)).collect();
                Ended::Done { found, revision: is_change.then_some(revision) }
            }
            Err(errors) => Ended::Refused(errors),
        }
    }

    fn of(compares: Vec<Compare>, writes: Vec<Write>) -> Plan {
        Plan { compares, writes, lease: None, outcome: Ok(Vec::new()), placeholder: u64::MAX }
    }

    fn within(self) -> Result<Plan, PlanError> {
        let most = self.compares.len().max(self.writes.len());
        let bytes = self.bytes();
        match () {
            () if most > OPERATIONS_MAX => Err(PlanError::TooMany(most)),
            () if bytes > WRITES_MAX_BYTES => Err(PlanError::TooManyBytes(bytes)),
            () => Ok(self),
        }
    }

    /// Whether so many more writes, with a compare, have room beside what ends a session.
    fn has_room(&self, writes: &[Write]) -> bool {
        let bytes = self.bytes() + writes.iter().map(Write::bytes).sum::<usize>();
        self.writes.len() + writes.len() + 2 <= OPERATIONS_MAX
            && self.compares.len() < OPERATIONS_MAX
            && (bytes <= BATCH_BYTES || self.writes.is_empty())
    }

    fn bytes(&self) -> usize {
        let compares = self.compares.iter().map(|compare| compare.key.len() + compare.end.len());
        compares.chain(self.writes.iter().map(Write::bytes)).sum()
    }
}

impl Write {
    fn bytes(&self) -> usize {
        match self {
            Write::Put(key, value)
            | Write::Replace(key, value)
            | Write::PutUnderLease(key, value)
            | Write::PutUnder(key, value, _) => key.len() + value.len(),
            Write::Delete(key) | Write::DeletePrefix(key) => key.len(),
        }
    }
}

/// All that operations look at.
#[derive(Debug, Default)]
struct Footprint {
    /// The keys that they name, in place of which another may be.
    keys: BTreeSet<Text>,
    /// What else is below the prefixes that they name.
    in_trees: BTreeSet<Text>,
    trees: BTreeSet<Text>,
    /// Keys that are to be locked.
    locked: BTreeSet<Text>,
    /// By which sessions.
    sessions: BTreeSet<Text>,
}

impl Footprint {
    fn add(&mut self, store: &Store, operation: &Operation) {
        let key = &operation.key;
        match &operation.verb {
            Verb::GetTree | Verb::DeleteTree => {
                self.trees.insert(key.clone());
                self.in_trees.extend(store.keys_below(key).map(|entry| entry.key.clone()));
                return;
            }
            Verb::Lock(_, session) => {
                self.locked.insert(key.clone());
                self.sessions.insert(session.clone());
            }
            _ => {}
        }
        self.keys.insert(key.clone());
    }

    /// What brings about what the operations did.
    fn writes(&self, layout: &Layout, (before, after): (&Store, &Store)) -> Result<Vec<Write>, PlanError> {
        let mut writes = BTreeMap::new();
        for key in self.keys.union(&self.in_trees) {
            let (was, is) = (before.key(key), after.key(key));
            let place = layout.kept_key(&Kept::Key(key.clone()));
            match is {
                _ if was == is => {}
                Some(entry) => {
                    let holder = entry
                        .session
                        .as_ref()
                        .filter(|_| was.and_then(|was| was.session.as_ref()) != entry.session.as_ref());
                    if let Some(session) = holder.and_then(|id| before.session(id)) {
                        let place = layout.kept_key(&Kept::Session(session.session.id.clone()));
                        writes.insert(place.clone(), Write::Put(place, write_session(&session.session)?));
                    }
                    writes.insert(place.clone(), Write::Put(place, write_key(entry)?));
                }
                None => _ = writes.insert(place.clone(), Write::Delete(place)),
            }
        }
        Ok(writes.into_values().collect())
    }

    /// That etcd has all of it as the store does. What is in trees is left out where there is too much and nothing is written.
    fn compares(&self, layout: &Layout, (store, now): (&Store, Duration), only_reads: bool) -> Vec<Compare> {
        let of_key = |key: &Text| {
            let seen = store.key(key).map_or(0, |entry| entry.modify_index);
            Compare::unchanged(layout.kept_key(&Kept::Key(key.clone())).into_bytes(), signed(seen))
        };
        let trees = self.trees.iter().map(|prefix| {
            Compare::none_after(layout.keys_below(prefix).as_bytes(), signed(store.prefix_index(prefix)))
        });
        let sessions = self.sessions.iter().map(|id| match store.session(id) {
            Some(entry) => present(layout, entry),
            None => Compare::absent(layout.kept_key(&Kept::Session(id.clone())).into_bytes()),
        });
        let delays = self.locked.iter().map(|key| {
            let place = layout.kept_key(&Kept::LockDelay(key.clone())).into_bytes();
            if store.is_delayed(key, now) { Compare::present(place) } else { Compare::absent(place) }
        });
        let mut compares: Vec<Compare> =
            self.keys.iter().map(of_key).chain(trees).chain(sessions).chain(delays).collect();
        let room = if only_reads { OPERATIONS_MAX.saturating_sub(compares.len()) } else { usize::MAX };
        compares.extend(self.in_trees.difference(&self.keys).take(room).map(of_key));
        compares
    }
}

/// An index that no operation names, above all that there are.
fn unnamed_index(operations: &[Operation]) -> u64 {
    let named = |index: &u64| {
        operations.iter().any(|operation| match operation.verb {
            Verb::Cas(_, expected) | Verb::CheckIndex(expected) | Verb::DeleteCas(expected) => expected == *index,
            _ => false,
        })
    };
    (0..=u64::MAX).rev().find(|index| !named(index)).expect("operations are fewer than numbers")
}

/// Does all operations on a store, or says which cannot be done. A key that they would change has no index then: 0.
fn done(store: &mut Store, operations: Vec<Operation>, at: At) -> Result<Vec<Found>, Vec<OperationError>> {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for (number, operation) in operations.into_iter().enumerate() {
        match store.operate(operation, at) {
            Ok(done) => found.extend(done.found),
            Err(mut problem) => {
                if let Problem::OtherIndex { current, .. } = &mut problem
                    && *current == at.index
                {
                    *current = 0;
                }
                errors.push(OperationError { at: number, problem: OperationProblem::Key(problem) });
            }
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// A key that is deleted and made again at once is for etcd one that changed.
fn as_in_etcd(found: Found, store: &Store, placeholder: u64) -> Found {
    match store.key(&found.entry.key) {
        Some(before) if found.entry.create_index == placeholder => {
            let entry = Entry { create_index: before.create_index, ..Entry::clone(&found.entry) };
            Found { entry: Arc::new(entry), ..found }
        }
        _ => found,
    }
}

/// What was found, now that the revision is known. A key that was made and deleted by one transaction has it too, though
/// nothing was changed.
fn at_revision(found: Found, placeholder: u64, revision: u64) -> Found {
    if found.entry.modify_index != placeholder {
        return found;
    }
    let known = |index| if index == placeholder { revision } else { index };
    let entry =
        Entry { create_index: known(found.entry.create_index), modify_index: revision, ..Entry::clone(&found.entry) };
    Found { entry: Arc::new(entry), ..found }
}

/// How a key is let go that a session holds which ends.
fn let_go(layout: &Layout, held: &Entry, session: &Session) -> Result<(Compare, Vec<Write>), PlanError> {
    let place = layout.kept_key(&Kept::Key(held.key.clone()));
    let compare = Compare::unchanged(place.clone().into_bytes(), signed(held.modify_index));
    let mut writes = vec![match session.behavior {
        Behavior::Release => Write::Put(place, write_key(&Entry { session: None, ..held.clone() })?),
        Behavior::Delete => Write::Delete(place),
    }];
    if !session.lock_delay.is_zero() {
        let place = layout.kept_key(&Kept::LockDelay(held.key.clone()));
        writes.push(Write::PutUnderLease(place, write_lock_delay(&session.id)));
    }
    Ok((compare, writes))
}

/// That a session is there, and the same.
fn present(layout: &Layout, entry: &SessionEntry) -> Compare {
    let key = layout.kept_key(&Kept::Session(entry.session.id.clone())).into_bytes();
    Compare::one(key, Is::Equal, With::CreateRevision(signed(entry.create_index)))
}

fn signed(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// Most compares, and most writes, of a transaction. Source: etcd takes 128 of each by default (`--max-txn-ops`).
pub const OPERATIONS_MAX: usize = 120;

/// Most bytes of a transaction: its keys and values. Source: etcd takes requests of 1.5 MiB by default
/// (`--max-request-bytes`).
pub const WRITES_MAX_BYTES: usize = 1280 * 1024;

/// From so many bytes on, what can be in several transactions is. Source: none, chosen: half of what etcd takes.
const BATCH_BYTES: usize = 768 * 1024;

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
