//! The bounded queue in front of the publisher.
//!
//! | bound | value |
//! |---|---|
//! | submissions waiting | 1,024; a sender waits, at most 5 s |
//! | check results waiting | one a check: its newest |

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use tokio::sync::{mpsc, oneshot};

use crate::{
    access::directory::{AccessChange, AccessError},
    catalog::{
        change::{Change, ChangeError, Origin},
        check::{CheckKey, CheckResult},
        names::{NodeName, ServiceName, Text},
    },
    kv,
    publish::{
        journal::{JournalFailure, Write},
        machines::Machine,
        settings::Settings,
        sharing::{self, Requests, SharedResults, Wanted, Whose, ask, ask_changes, whose},
        transaction::{Found, Operation, OperationError},
    },
    zones::Zones,
};

/// Where changes are proposed. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Feed {
    queue: mpsc::Sender<Submission>,
    results: Arc<Results>,
    /// Where what machines share is written; none if it is this machine's alone.
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    queue: mpsc::Sender<sharing::Request>,
    /// Until somebody takes it.
    requests: Mutex<Option<Requests>>,
    /// The node of this machine, on which it alone writes; known when they were taken.
    own: OnceLock<NodeName>,
    results: Arc<SharedResults>,
}

impl Shared {
    /// Who writes what these change.
    fn whose<'a>(&self, changes: impl Iterator<Item = &'a Change>) -> Whose {
        self.own.get().map_or(Whose::Ours, |own| whose(changes, own))
    }
}

/// Proof that a submission is published and durable.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Index of the snapshot in which it is visible.
    pub index: u64,
    /// What the operations of a transaction read and set.
    pub found: Vec<Found>,
}

/// Why a submission did not take effect, or may not last.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// The catalog refused it; nothing was applied.
    #[error(transparent)]
    Refused(#[from] ChangeError),
    /// The store refused it; nothing was applied.
    #[error(transparent)]
    Store(#[from] kv::change::ChangeError),
    /// A change of policies and tokens was refused; nothing was applied.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Operations of a transaction failed; nothing was applied.
    #[error("{} operations of the transaction failed", .0.len())]
    Failed(Vec<OperationError>),
    /// The queue was full for 5 s; nothing was applied.
    #[error("too many changes are waiting; try again")]
    Busy,
    /// It is visible now but could not be written, so a restart may lose it.
    #[error("the change is in force, but may not survive a restart")]
    Journal(#[from] JournalFailure),
    /// The server is stopping.
    #[error("the server is stopping")]
    Closed,
    /// The store that machines share cannot be written to just now; what was asked for may have been done all the same, if
    /// it was lost on the way. Source of the text: Consul.
    #[error("No cluster leader")]
    NoLeader,
    /// The store that machines share cannot take this.
    #[error("{0}")]
    NotShareable(String),
    /// The store that machines share refuses this, and will not take it later.
    #[error("{0}")]
    Shared(String),
    /// Operations on what is shared together with others.
    #[error(
        "machines share keys, and what is registered for nodes that have no nameplate, in etcd (store): a transaction has \
         operations on keys, or on such nodes, or on this server's own, not on several of these"
    )]
    Mixed,
    /// A session that machines share has ended.
    #[error("Session id '{0}' not found")]
    NoSession(Text),
    /// A panic of the publisher's; nothing was applied.
    #[error("the server could not do this for a fault of its own, which is in its log")]
    Broken,
}

/// How a source is, as its watcher sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// For people: `docker`, `file /etc/nameplate/services`.
    pub name: Arc<str>,
    /// Whose registrations it makes.
    pub origin: Origin,
    /// Whether it has delivered its first list (or a mirror from disk was loaded).
    pub synced: bool,
    /// Whether it is away longer than `stale_after`.
    pub stale: bool,
    /// Why it cannot be reached just now, if it cannot.
    pub away: Option<Arc<str>>,
}

impl Feed {
    /// A feed, and what the publisher takes from it.
    pub(super) fn new(is_shared: bool) -> (Feed, Intake) {
        let (queue, submissions) = mpsc::channel(QUEUE_MAX);
        let results = Arc::new(Results::default());
        let shared = is_shared.then(|| {
            let (queue, requests) = mpsc::channel(QUEUE_MAX);
            Arc::new(Shared {
                queue,
                requests: Mutex::new(Some(requests)),
                own: OnceLock::new(),
                results: Arc::default(),
            })
        });
        (Feed { queue, results: Arc::clone(&results), shared }, Intake { submissions, results })
    }

    /// What is asked of who writes what machines share, if they share anything; once. From then on that is also what clients
    /// register for other nodes than this one, which is our own.
    pub fn take_requests(&self, own: NodeName) -> Option<Requests> {
        let shared = self.shared.as_ref()?;
        let _ = shared.own.set(own);
        shared.requests.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The results of checks on nodes that are no machine's, which who takes the requests writes, too.
    pub fn shared_results(&self) -> Option<Arc<SharedResults>> {
        self.shared.as_ref().map(|shared| Arc::clone(&shared.results))
    }

    /// How many operations on nodes that are no machine's a transaction may have, whatever they are; none where machines share
    /// nothing.
    pub fn shared_ops_max(&self) -> Option<usize> {
        self.shared.as_ref().map(|_| sharing::OPERATIONS_MAX)
    }

    /// Applies the changes as one: all or none. Returns when they are published and durable.
    pub async fn submit(&self, changes: Vec<Change>) -> Result<Receipt, SubmitError> {
        match &self.shared {
            Some(shared) => match shared.whose(changes.iter()) {
                Whose::Ours => self.follow(changes).await,
                Whose::Shared => ask_changes(&shared.queue, changes).await,
                Whose::Both => Err(SubmitError::Mixed),
            },
            None => self.follow(changes).await,
        }
    }

    /// The same with what a source has followed: it is so there, whosever it is.
    pub async fn follow(&self, changes: Vec<Change>) -> Result<Receipt, SubmitError> {
        self.send(Work::Changes(changes)).await
    }

    /// Applies the operations as one: all or none. Returns when they are published and durable.
    pub async fn transact(&self, operations: Vec<impl Into<Operation>>) -> Result<Receipt, SubmitError> {
        let operations: Vec<Operation> = operations.into_iter().map(Into::into).collect();
        let Some(shared) = &self.shared else { return self.send(Work::Transaction(operations)).await };
        let (mut keys, mut of_catalog) = (Vec::new(), Vec::new());
        for operation in operations {
            match operation {
                Operation::Key(operation) => keys.push(operation),
                Operation::Catalog(operation) => of_catalog.push(operation),
            }
        }
        match shared.whose(of_catalog.iter().flat_map(|operation| operation.action.changes())) {
            _ if !keys.is_empty() && !of_catalog.is_empty() => Err(SubmitError::Mixed),
            _ if !keys.is_empty() => ask(&shared.queue, Wanted::Operations(keys)).await,
            Whose::Ours => self.send(Work::Transaction(of_catalog.into_iter().map(Operation::from).collect())).await,
            Whose::Shared => ask(&shared.queue, Wanted::Catalog(of_catalog)).await,
            Whose::Both => Err(SubmitError::Mixed),
        }
    }

    /// Applies a change of the store. Returns when it is published and durable.
    pub async fn store(&self, change: kv::change::Change) -> Result<Receipt, SubmitError> {
        use kv::change::Change::Follow;
        match (&self.shared, &change) {
            (None, _) | (_, Follow(_)) => self.send(Work::Store(change)).await,
            (Some(shared), _) => ask(&shared.queue, Wanted::Change(change)).await,
        }
    }

    /// Gives a session its whole time again, where machines share it; where they do not, its time is kept elsewhere.
    pub async fn renew_shared(&self, session: Text) -> Result<(), SubmitError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        ask(&shared.queue, Wanted::Renewal(session)).await.map(drop)
    }

    /// Applies a change of policies and tokens. Returns when it is published, with all that follows from it, and durable.
    pub async fn access(&self, change: AccessChange) -> Result<Receipt, SubmitError> {
        let change = Box::new(change);
        match (&self.shared, &*change) {
            (None, _) | (_, AccessChange::Follow(_) | AccessChange::Expire(_)) => self.send(Work::Access(change)).await,
            (Some(shared), _) => ask(&shared.queue, Wanted::Access(change)).await,
        }
    }

    /// Returns when all that was done in the store that machines share, before this was called, is published here.
    pub async fn catch_up(&self) -> Result<(), SubmitError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        ask(&shared.queue, Wanted::CatchUp).await.map(drop)
    }

    /// Hands in the newest result of a check. Never waits; an older result of the same check that is still
    /// waiting is replaced. Unknown checks are ignored.
    pub fn report(&self, key: CheckKey, result: CheckResult) {
        if let Some(shared) = self.shared.as_ref().filter(|shared| shared.own.get().is_some_and(|own| *own != key.node))
        {
            return shared.results.add(key, result);
        }
        let mut waiting = self.results.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let first = waiting.is_empty();
        waiting.insert(key, result);
        drop(waiting);
        if first {
            // A full queue needs no waking: the publisher takes the results with each batch.
            let (done, _) = oneshot::channel();
            let _ = self.queue.try_send(Submission { work: Work::Results, accepted: Instant::now(), done });
        }
    }

    /// Puts new settings into force.
    pub async fn set_settings(&self, settings: Settings) -> Result<Receipt, SubmitError> {
        self.send(Work::Settings(Box::new(settings))).await
    }

    /// Puts new static zones into force, in place of those of their kind: of files, or of a registry.
    pub async fn set_zones(&self, zones: Zones) -> Result<Receipt, SubmitError> {
        self.send(Work::Zones(zones, Vec::new())).await
    }

    /// The same with what is to be on disk of them. Returns when they are published; they are written behind.
    pub async fn set_kept_zones(&self, zones: Zones, kept: Vec<Write>) -> Result<Receipt, SubmitError> {
        self.send(Work::Zones(zones, kept)).await
    }

    /// Tells how a source is.
    pub async fn set_source(&self, status: SourceStatus) -> Result<Receipt, SubmitError> {
        self.send(Work::Source(status)).await
    }

    /// A source of this name is not there, so that nothing waits for it.
    pub async fn forget_source(&self, name: Arc<str>) -> Result<Receipt, SubmitError> {
        self.send(Work::NoSource(name)).await
    }

    /// Tells which other machines of the cluster live, sorted by name.
    pub async fn set_machines(&self, machines: Vec<Machine>) -> Result<Receipt, SubmitError> {
        self.send(Work::Machines(machines)).await
    }

    /// Tells which services have instances whose failures are held.
    pub async fn set_held(&self, services: HashSet<ServiceName>) -> Result<Receipt, SubmitError> {
        self.send(Work::Held(services)).await
    }

    async fn send(&self, work: Work) -> Result<Receipt, SubmitError> {
        let (done, outcome) = oneshot::channel();
        let submission = Submission { work, accepted: Instant::now(), done };
        match self.queue.send_timeout(submission, WAIT_MAX).await {
            Ok(()) => outcome.await.map_err(|_| self.unanswered())?,
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(SubmitError::Busy),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(SubmitError::Closed),
        }
    }

    /// Why a submission that was taken got no answer.
    fn unanswered(&self) -> SubmitError {
        if self.queue.is_closed() { SubmitError::Closed } else { SubmitError::Broken }
    }
}

/// What waits for the publisher.
pub(super) struct Intake {
    pub(super) submissions: mpsc::Receiver<Submission>,
    results: Arc<Results>,
}

impl Intake {
    /// The check results that arrived since the last call, one a check.
    pub(super) fn take_results(&self) -> WaitingResults {
        std::mem::take(&mut self.results.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One thing to be done, and whom to tell.
pub(super) struct Submission {
    pub(super) work: Work,
    pub(super) accepted: Instant,
    pub(super) done: oneshot::Sender<Result<Receipt, SubmitError>>,
}

/// A sender whose submission is visible, and who waits until it is durable too.
#[derive(Debug)]
pub struct Waiting {
    to: oneshot::Sender<Result<Receipt, SubmitError>>,
    receipt: Receipt,
}

impl Waiting {
    /// Who is told this, unless the disk fails.
    pub fn new(to: oneshot::Sender<Result<Receipt, SubmitError>>, receipt: Receipt) -> Waiting {
        Waiting { to, receipt }
    }

    /// Tells what came of it.
    pub(super) fn tell(self, outcome: &Result<(), JournalFailure>) {
        // Who no longer waits needs no answer.
        let _ = self.to.send(outcome.clone().map(|()| self.receipt).map_err(SubmitError::from));
    }

    /// Whether nobody waits any longer.
    pub(super) fn is_over(&self) -> bool {
        self.to.is_closed()
    }
}

/// What is to be done.
pub(super) enum Work {
    Changes(Vec<Change>),
    Transaction(Vec<Operation>),
    Store(kv::change::Change),
    Access(Box<AccessChange>),
    /// Look at the waiting check results.
    Results,
    Settings(Box<Settings>),
    /// With what is to be on disk of them.
    Zones(Zones, Vec<Write>),
    Source(SourceStatus),
    NoSource(Arc<str>),
    Machines(Vec<Machine>),
    Held(HashSet<ServiceName>),
}

#[derive(Debug, Default)]
struct Results {
    waiting: Mutex<WaitingResults>,
}

type WaitingResults = HashMap<CheckKey, CheckResult, RandomState>;

/// Most submissions that wait. Source: none, chosen: some milliseconds of the publisher's work.
const QUEUE_MAX: usize = 1024;

/// Longest wait for a place in the queue. Source: none, chosen: below the time-outs of HTTP clients.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
