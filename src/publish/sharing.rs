//! What is asked of who writes the store that several machines share: the publisher only follows that.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::RandomState;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    feed::{Receipt, SubmitError},
    transaction::OperationProblem,
};
use crate::{
    access::directory::AccessChange,
    catalog::{
        self,
        change::Origin,
        check::{CheckKey, CheckResult},
        names::{NodeName, Text},
    },
    kv::{change::Change, operation::Operation},
};

/// Something that is to be done, and whom to tell.
#[derive(Debug)]
pub struct Request {
    /// What.
    pub wanted: Wanted,
    /// Told when it is done there and published here.
    pub done: oneshot::Sender<Result<Receipt, SubmitError>>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Wanted {
    /// All of these operations on keys, as one.
    Operations(Vec<Operation>),
    /// All of these operations on nodes that are no machine's, as one.
    Catalog(Vec<catalog::transaction::Operation>),
    /// A change of sessions, prepared queries or events.
    Change(Change),
    /// A change of policies and tokens.
    Access(Box<AccessChange>),
    /// A session with a TTL has its whole time again; it is refused where it has ended.
    Renewal(Text),
    /// All that was done there before is published here.
    CatchUp,
}

/// What waits to be done.
pub type Requests = mpsc::Receiver<Request>;

/// Results of checks that wait to be written, one a check: its newest.
#[derive(Debug, Default)]
pub struct SharedResults {
    waiting: Mutex<HashMap<CheckKey, CheckResult, RandomState>>,
    some: Notify,
}

impl SharedResults {
    /// Adds the newest result of a check.
    pub(super) fn add(&self, key: CheckKey, result: CheckResult) {
        self.lock().insert(key, result);
        self.some.notify_one();
    }

    /// Adds one that was not written, unless there is a newer one. Nobody is woken by that.
    pub fn put_back(&self, key: CheckKey, result: CheckResult) {
        self.lock().entry(key).or_insert(result);
    }

    /// Returns when there may be some.
    pub async fn wait(&self) {
        self.some.notified().await;
    }

    /// All that wait.
    pub fn take(&self) -> Vec<(CheckKey, CheckResult)> {
        std::mem::take(&mut *self.lock()).into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CheckKey, CheckResult, RandomState>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for something, and waits until it is done.
pub(super) async fn ask(queue: &mpsc::Sender<Request>, wanted: Wanted) -> Result<Receipt, SubmitError> {
    let (done, outcome) = oneshot::channel();
    match queue.send_timeout(Request { wanted, done }, super::feed::WAIT_MAX).await {
        Ok(()) => outcome.await.unwrap_or(Err(SubmitError::Closed)),
        Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(SubmitError::Busy),
        Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(SubmitError::Closed),
    }
}

/// Who writes what changes of the catalog are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// This machine's publisher: its own node, and what its sources tell.
    Ours,
    /// Who writes the store that machines share: what clients register for other nodes.
    Shared,
    /// Some of both.
    Both,
}

/// Who writes these.
pub(super) fn whose<'a>(changes: impl Iterator<Item = &'a catalog::change::Change>, own: &NodeName) -> Whose {
    let is_shared = |change: &catalog::change::Change| {
        change.node() != own && matches!(change.origin(), None | Some(Origin::Api | Origin::Cluster))
    };
    let mut whose = None;
    for change in changes {
        let this = if is_shared(change) { Whose::Shared } else { Whose::Ours };
        whose = match whose {
            None => Some(this),
            Some(that) if that == this => whose,
            Some(_) => Some(Whose::Both),
        };
    }
    whose.unwrap_or(Whose::Ours)
}

/// Asks for changes as one, and tells why they were refused as the publisher would.
pub(super) async fn ask_changes(
    queue: &mpsc::Sender<Request>,
    changes: Vec<catalog::change::Change>,
) -> Result<Receipt, SubmitError> {
    let operations = changes.into_iter().map(catalog::transaction::Operation::of).collect();
    ask(queue, Wanted::Catalog(operations)).await.map_err(|error| {
        let SubmitError::Failed(errors) = &error else { return error };
        match errors.first().map(|error| &error.problem) {
            Some(OperationProblem::Catalog(catalog::transaction::OperationProblem::Refused(refused))) => {
                SubmitError::Refused(refused.clone())
            }
            _ => error,
        }
    })
}

/// So many operations on nodes that are no machine's always have room in a transaction. Source: etcd takes 128 compares by
/// default (`--max-txn-ops`), and of an instance that is known, and its node, three are made.
pub(super) const OPERATIONS_MAX: usize = 40;
