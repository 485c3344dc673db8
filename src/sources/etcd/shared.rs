//! Writes keys, sessions, prepared queries, policies and tokens, which have no owner: each change is one transaction of etcd,
//! planned on what this machine knows of it (`plan`), and told as done when this machine has it back.
//!
//! A transaction that etcd does not make, because it is newer than what this machine knows, is planned again when more is
//! known. So it is with a refusal, too: that a lock is held is told only when etcd says so.
//!
//! | bound | value |
//! |---|---|
//! | at a time | 64 changes |
//! | one change, then `No cluster leader` | 5 s |
//!
//! **Limits:** a change whose transaction was sent, and of which nothing was heard again, is refused with `No cluster leader`
//! and may have been done.

mod catalog;
mod results;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    EtcdSettings,
    client::{Client, Error, Op, Refusal, Txn},
    layout::{Kept, Layout},
    own::until,
    plan::{Ended, Plan, PlanError},
};
use crate::{
    access::directory::AccessChange,
    catalog::names::Text,
    kv::{change::Change, operation::Operation, session::Session},
    publish::{
        feed::{Receipt, SubmitError},
        sharing::{Request, Requests, Wanted},
        snapshot::Snapshot,
        transaction::Found,
        watch::Published,
    },
};

/// Writes what machines share.
#[derive(Debug)]
pub(super) struct Shared {
    settings: Arc<EtcdSettings>,
    client: Client,
    layout: Layout,
    published: Arc<Published>,
    /// Up to which revision all is published here; 0 before all was listed.
    followed: watch::Receiver<u64>,
    /// What lock delays of the plans count from: there are none, they are keys.
    began: Instant,
}

impl Shared {
    pub(super) fn new(
        (settings, client): (Arc<EtcdSettings>, Client),
        published: Arc<Published>,
        followed: watch::Receiver<u64>,
    ) -> Shared {
        let layout = Layout::new(&settings.prefix);
        Shared { settings, client, layout, published, followed, began: Instant::now() }
    }

    /// Does what is asked for, much of it at a time.
    pub(super) async fn run(self: Arc<Self>, mut requests: Requests) {
        let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
        let mut tasks = JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Some(Request { wanted, done }) = requests.recv().await else { return };
            while tasks.try_join_next().is_some() {}
            let shared = Arc::clone(&self);
            tasks.spawn(async move {
                // Who no longer waits needs no answer.
                let _ = done.send(shared.serve(wanted).await);
                drop(place);
            });
        }
    }

    async fn serve(&self, wanted: Wanted) -> Result<Receipt, SubmitError> {
        match wanted {
            Wanted::Operations(operations) => self.operate(operations).await,
            Wanted::Catalog(operations) => self.register(operations).await,
            Wanted::Change(Change::CreateSession(session)) => self.begin(&session).await,
            Wanted::Change(Change::DestroySession(id)) => self.end(&id).await,
            Wanted::Change(Change::SetQuery(query)) => {
                let plan = |known: &Snapshot, _| {
                    let (plan, outcome) = Plan::set_query(&self.layout, &known.store, &query)?;
                    Ok((plan, outcome.map_err(SubmitError::from)))
                };
                self.decided(plan).await
            }
            Wanted::Change(Change::DeleteQuery(id)) => {
                self.decided(|_, _| Ok((Plan::delete_query(&self.layout, &id), Ok(())))).await
            }
            Wanted::Change(Change::Fire(event)) => {
                self.decided(|known, _| Ok((Plan::fire(&self.layout, &known.store, &event)?, Ok(())))).await
            }
            Wanted::Access(change) => self.change_access(&change).await,
            // That is told by etcd.
            Wanted::Change(Change::Follow(_)) => Err(SubmitError::Closed),
            Wanted::CatchUp => in_time(self.catch_up()).await,
            Wanted::Renewal(id) => in_time(self.renew(&id)).await.map(|()| self.receipt(None, Vec::new())),
        }
    }

    async fn operate(&self, operations: Vec<Operation>) -> Result<Receipt, SubmitError> {
        let plan = |known: &Snapshot, _| {
            let now = self.began.elapsed();
            Ok((Plan::operations(&self.layout, &known.store, operations.clone(), now)?, Ok(())))
        };
        let done = self.decided(plan).await;
        for operation in &operations {
            self.settings.metrics.kv_operation(operation.verb.as_str(), done.as_ref().map(drop).map_err(drop));
        }
        done
    }

    async fn change_access(&self, change: &AccessChange) -> Result<Receipt, SubmitError> {
        let plan = |known: &Snapshot, _| {
            let revision = known.store.revision().unwrap_or_default();
            let (plan, outcome) = Plan::access(&self.layout, (&known.realm, revision), change)?;
            if plan.is_empty() {
                // It is of this machine alone: of its tokens file, or what is built in.
                outcome.clone()?;
            }
            Ok((plan, outcome.map_err(SubmitError::from)))
        };
        self.decided(plan).await
    }

    async fn begin(&self, session: &Session) -> Result<Receipt, SubmitError> {
        in_time(async {
            self.listed().await?;
            let snapshot = self.published.load();
            snapshot.store.can_begin(session, &snapshot.catalog)?;
            drop(snapshot);
            match self.make(Plan::new_session(&self.layout, session)?).await? {
                Ended::Done { revision, .. } => self.done(revision, Vec::new()).await,
                Ended::Refused(_) | Ended::Stale => {
                    Err(SubmitError::Shared(format!("session {} is there already", session.id)))
                }
            }
        })
        .await
    }

    /// Ends a session; one that is not there has ended already.
    pub(super) async fn end(&self, id: &Text) -> Result<Receipt, SubmitError> {
        in_time(async {
            loop {
                let seen = self.listed().await?;
                let plans = Plan::session_end(&self.layout, &self.published.load().store, id)?;
                let mut last = None;
                for plan in plans {
                    match self.make(plan).await? {
                        Ended::Done { revision, .. } => last = Some(revision),
                        Ended::Refused(_) | Ended::Stale => {
                            last = None;
                            break;
                        }
                    }
                }
                match last {
                    Some(revision) => return self.done(revision, Vec::new()).await,
                    None => self.newer(seen).await,
                }
            }
        })
        .await
    }

    async fn renew(&self, id: &Text) -> Result<(), SubmitError> {
        self.listed().await?;
        let gone = || SubmitError::NoSession(id.clone());
        let snapshot = self.published.load();
        let session = Arc::clone(&snapshot.store.session(id).ok_or_else(gone)?.session);
        let lease = snapshot.store.lease(id);
        drop(snapshot);
        if session.ttl.is_none() {
            return Ok(());
        }
        self.client.keep_alive(lease.ok_or_else(gone)?).await.map_err(refusal)?.map(drop).ok_or_else(gone)
    }

    /// Writes something, and waits until it is heard of: all that was done before was heard of then, too.
    async fn catch_up(&self) -> Result<Receipt, SubmitError> {
        let barrier = Kept::Barrier(Text::from(self.settings.node.as_str()));
        let put = Op::Put { key: self.layout.kept_key(&barrier).into_bytes(), value: Vec::new(), lease: 0 };
        let done = self.client.txn(Txn { then: vec![put], ..Txn::default() }).await.map_err(refusal)?;
        let revision = u64::try_from(done.header.revision).unwrap_or_default();
        let mut followed = self.followed.clone();
        followed.wait_for(|followed| *followed >= revision).await.map_err(|_| SubmitError::Closed)?;
        Ok(self.receipt(Some(revision), Vec::new()))
    }

    /// Makes what is planned, or refuses it as planned.
    async fn decided(
        &self,
        plan: impl Fn(&Snapshot, u64) -> Result<(Plan, Result<(), SubmitError>), SubmitError>,
    ) -> Result<Receipt, SubmitError> {
        let (receipt, outcome) = self.made(plan).await?;
        outcome.map(|()| receipt)
    }

    /// Makes what is planned on what is published, and on how far that follows etcd: anew until it is planned on what etcd has. Says
    /// also what was found out beside.
    async fn made<T>(
        &self,
        plan: impl Fn(&Snapshot, u64) -> Result<(Plan, T), SubmitError>,
    ) -> Result<(Receipt, T), SubmitError> {
        in_time(async {
            loop {
                let seen = self.listed().await?;
                let (plan, beside) = plan(&self.published.load(), seen)?;
                match self.make(plan).await? {
                    Ended::Done { found, revision } => return Ok((self.done(revision, found).await?, beside)),
                    Ended::Refused(errors) => return Err(SubmitError::Failed(errors)),
                    Ended::Stale => self.newer(seen).await,
                }
            }
        })
        .await
    }

    /// Makes a transaction.
    async fn make(&self, plan: Plan) -> Result<Ended, SubmitError> {
        let lease = match plan.lease() {
            // A second more is better than a lock delay that is too short.
            Some(span) => {
                self.client.grant(span.as_secs() + u64::from(span.subsec_nanos() > 0)).await.map_err(refusal)?.id
            }
            None => 0,
        };
        let done = self.client.txn(plan.txn(lease)).await.map_err(refusal)?;
        if lease != 0 && !done.succeeded {
            // If this fails it ends by itself.
            let _ = self.client.revoke(lease).await;
        }
        let writes = done.done.len();
        let ended = plan.ended(&done);
        if let Ended::Done { .. } = ended {
            self.settings.metrics.store_writes.inc_by(writes as u64);
        }
        Ok(ended)
    }

    /// Waits until all was listed once. Returns up to which revision all is published.
    async fn listed(&self) -> Result<u64, SubmitError> {
        let mut followed = self.followed.clone();
        let listed = followed.wait_for(|revision| *revision > 0).await;
        listed.map(|revision| *revision).map_err(|_| SubmitError::Closed)
    }

    /// Waits until more is published than this, but not for long: what was missed may be of no key that is told of here.
    async fn newer(&self, seen: u64) {
        let mut followed = self.followed.clone();
        let newer = followed.wait_for(|revision| *revision != seen);
        tokio::select! {
            _ = newer => {}
            () = until(Some(Instant::now() + AGAIN)) => {}
        }
    }

    /// What was done at a revision is told when it is published here: who did it reads it.
    async fn done(
        &self,
        revision: Option<u64>,
        found: Vec<crate::kv::operation::Found>,
    ) -> Result<Receipt, SubmitError> {
        if let Some(revision) = revision {
            let mut followed = self.followed.clone();
            // It is done, whether it is heard of in time or not.
            let _ = timeout(HEARD_MAX, followed.wait_for(|followed| *followed >= revision)).await;
        }
        Ok(self.receipt(revision, found))
    }

    fn receipt(&self, revision: Option<u64>, found: Vec<crate::kv::operation::Found>) -> Receipt {
        let index = revision.unwrap_or_else(|| *self.followed.borrow());
        Receipt { index, found: found.into_iter().map(Found::Key).collect() }
    }
}

impl From<PlanError> for SubmitError {
    fn from(error: PlanError) -> SubmitError {
        SubmitError::NotShareable(error.to_string())
    }
}

/// What did not come to an end in time did not reach a majority.
async fn in_time<T>(doing: impl Future<Output = Result<T, SubmitError>>) -> Result<T, SubmitError> {
    timeout(WRITE_MAX, doing).await.unwrap_or(Err(SubmitError::NoLeader))
}

fn refusal(error: Error) -> SubmitError {
    match error {
        Error::Refused(Refusal::TooLarge | Refusal::TooManyOperations) => SubmitError::NotShareable(error.to_string()),
        error if error.is_passing() || error == Error::LeaseGone => {
            tracing::debug!("etcd: a change of what machines share was not made: {error}");
            SubmitError::NoLeader
        }
        error => SubmitError::Shared(error.to_string()),
    }
}

/// Most changes that are made at a time. Source: none, chosen.
const AT_ONCE_MAX: usize = 64;

/// Longest time for a change. Source: none, chosen: a majority without its leader has another after one or two seconds.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// Longest wait for what was done to be heard of. Source: none, chosen: it is heard of within milliseconds, or the watch hangs.
const HEARD_MAX: Duration = Duration::from_secs(2);

/// After so long it is planned again, whatever was heard of. Source: none, chosen: some round trips.
const AGAIN: Duration = Duration::from_millis(50);
