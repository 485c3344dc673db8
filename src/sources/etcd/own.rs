//! What is ours in etcd: written by one task under one lease.
//!
//! The task looks at a level: what our node has in the published snapshot, against what etcd has below our node's keys, of
//! which the follower hears. So it does not matter who changed what, or how often: a key that somebody else deleted is put
//! again.
//!
//! Each transaction takes effect only while the key of our node has our lease, so that a machine that was away for longer than
//! its lease, and whose name another has taken, writes nothing.
//!
//! Whose lease ends is waited for by others for a moment (`grace`), which is part of `store_lease`: the lease is that much shorter.
//!
//! | bound | value |
//! |---|---|
//! | one transaction | 100 operations, 1 MiB |
//! | renewals of the lease | three in its time, by a task of its own, which a slow transaction does not hold up |
//! | from an error, or a lease that is gone, to the next attempt | 100 ms, doubling to 2 s |
//! | from the wish to stop to the end | 2 s |

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    EtcdSettings,
    client::{Client, Compare, Error, Event, Is, KeyValue, Op, Txn, With},
    document::read_node,
    grace::{GRACE, farewell},
    layout::{Layout, Place},
    push::{Batch, Push, Pushing, Stored},
};
use crate::{catalog::spanning::SpanningNetworks, publish::watch::Published};

/// What etcd has below the keys of our node, as far as we know: shared by who hears of it and who writes it.
#[derive(Debug)]
pub(super) struct Own {
    known: Mutex<Known>,
    changed: Notify,
}

#[derive(Debug)]
struct Known {
    push: Push,
    /// Whether all of it was listed once.
    is_listed: bool,
}

impl Own {
    pub(super) fn new(push: Push) -> Own {
        Own { known: Mutex::new(Known { push, is_listed: false }), changed: Notify::new() }
    }

    /// These are all keys of ours that etcd has, and the networks that this machine has with others.
    pub(super) fn listed(&self, keys: Vec<KeyValue>, networks: Option<Arc<SpanningNetworks>>) {
        let stored = keys.into_iter().map(|one| Stored {
            key: one.key,
            value: Some(one.value),
            mod_revision: one.mod_revision,
            lease: one.lease,
        });
        let mut known = self.lock();
        known.push.set_networks(networks);
        known.push.listed(stored);
        known.is_listed = true;
        drop(known);
        self.changed.notify_one();
    }

    /// A key of ours was put or deleted, by whomever.
    pub(super) fn heard(&self, event: Event) {
        let stored = match event {
            Event::Put(one) => {
                Stored { key: one.key, value: Some(one.value), mod_revision: one.mod_revision, lease: one.lease }
            }
            Event::Delete { key, mod_revision } => Stored { key, value: None, mod_revision, lease: 0 },
        };
        if self.lock().push.seen(&stored) {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum End {
    /// Something that etcd, or the way there, did.
    #[error(transparent)]
    Client(#[from] Error),
    /// The lease is gone, or the key of our node is not ours any more.
    #[error("the lease of this machine, or the key of its node, was gone")]
    Lost,
    /// Another machine has our name.
    #[error("node {name:?} is another machine, with ID {uuid}; give one of the two another --node")]
    Taken {
        /// Our name.
        name: String,
        /// Its ID.
        uuid: String,
    },
}

/// Writes what is ours.
pub(super) struct Writer {
    settings: Arc<EtcdSettings>,
    client: Client,
    layout: Layout,
    published: Arc<Published>,
    own: Arc<Own>,
    /// The lease that our keys have.
    lease: Option<i64>,
    /// Why it is not written, while it is not; said once.
    problem: Option<String>,
    /// What cannot be written; said once.
    complaints: BTreeSet<String>,
}

impl Writer {
    pub(super) fn new(
        (settings, client): (Arc<EtcdSettings>, Client),
        published: Arc<Published>,
        own: Arc<Own>,
    ) -> Writer {
        let layout = Layout::new(&settings.prefix);
        Writer { settings, client, layout, published, own, lease: None, problem: None, complaints: BTreeSet::new() }
    }

    /// Works until it is told to stop, and takes back all that is ours then.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut wait = AGAIN_LEAST;
        loop {
            let began = Instant::now();
            tokio::select! {
                Err(end) = self.session() => self.complain(&end),
                () = told(&mut stopping) => return self.leave().await,
            }
            if began.elapsed() > AGAIN_MOST * 2 {
                wait = AGAIN_LEAST;
            }
            tokio::select! {
                () = until(Some(Instant::now() + wait)) => {}
                () = told(&mut stopping) => return self.leave().await,
            }
            wait = (wait * 2).min(AGAIN_MOST);
        }
    }

    /// Holds a lease and writes until either fails.
    async fn session(&mut self) -> Result<Infallible, End> {
        while !self.own.lock().is_listed {
            self.own.changed.notified().await;
        }
        let lease = self.hold_lease().await?;
        // What was not written when the last session ended.
        self.own.lock().push.look_at_all();
        let claim = self.claim(lease).await?;
        let renewing = renew(self.client.clone(), lease, self.lease_in_etcd() / 3);
        tokio::pin!(renewing);
        tokio::select! {
            end = &mut renewing => return Err(end),
            written = self.write_all(lease, Some(claim)) => written?,
        }
        self.here();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next_look = self.own.lock().push.next_look();
            tokio::select! {
                end = &mut renewing => return Err(end),
                _ = look.tick() => self.own.lock().push.look_at_all(),
                () = until(next_look) => {}
                () = self.own.changed.notified() => {}
                () = self.published.node_touched() => {}
            }
            tokio::select! {
                end = &mut renewing => return Err(end),
                written = self.write_all(lease, None) => written?,
            }
        }
    }

    /// Writes all that differs. The first transaction takes effect only if this holds, or if our node's key has our lease.
    async fn write_all(&mut self, lease: i64, mut claim: Option<Compare>) -> Result<(), End> {
        for batch in self.differences(lease).await {
            let is_ours = claim.take().unwrap_or_else(|| Compare::one(self.node_key(), Is::Equal, With::Lease(lease)));
            let then = batch.operations.iter().map(|operation| {
                let key = operation.key.clone().into_bytes();
                match &operation.value {
                    Some(value) => Op::Put { key, value: value.clone(), lease },
                    None => Op::Delete(key),
                }
            });
            let txn = Txn { compares: vec![is_ours], then: then.collect(), otherwise: Vec::new() };
            match self.client.txn(txn).await {
                Ok(done) if done.succeeded => {
                    self.settings.metrics.store_writes.inc_by(batch.operations.len() as u64);
                    self.own.lock().push.written(batch, done.header.revision);
                }
                Ok(_) => return Err(End::Lost),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What is to be written, as things are now; looked at on a thread of its own, because all of it may differ.
    async fn differences(&mut self, lease: i64) -> Vec<Batch> {
        let (published, own) = (Arc::clone(&self.published), Arc::clone(&self.own));
        let looked = tokio::task::spawn_blocking(move || {
            let touched = published.take_touched_on_node();
            let snapshot = published.load();
            let mut known = own.lock();
            known.push.touched(touched);
            known.push.operations(&snapshot.catalog, lease, Instant::now())
        });
        let Ok(Pushing { batches, complaints }) = looked.await else {
            // A panic, of which the log tells, or the server stops.
            self.own.lock().push.look_at_all();
            return Vec::new();
        };
        for complaint in complaints {
            let text = complaint.to_string();
            if self.complaints.len() < COMPLAINTS_MAX && self.complaints.insert(text.clone()) {
                tracing::error!("etcd: {text}; other machines are not told of it");
            }
        }
        batches
    }

    /// The lease that we have, if it still is one, else a new one.
    async fn hold_lease(&mut self) -> Result<i64, End> {
        if let Some(lease) = self.lease
            && self.client.keep_alive(lease).await?.is_some()
        {
            return Ok(lease);
        }
        let lease = self.client.grant(self.lease_in_etcd().as_secs()).await?.id;
        self.settings.metrics.store_leases.inc();
        self.lease = Some(lease);
        Ok(lease)
    }

    /// How long our lease lasts: when it has ended, others wait for a moment whether we put back what is ours.
    fn lease_in_etcd(&self) -> Duration {
        self.settings.lease.saturating_sub(GRACE).max(GRACE)
    }

    /// What must hold of our node's key so that it may become ours; nobody else may have it.
    async fn claim(&self, lease: i64) -> Result<Compare, End> {
        let key = self.node_key();
        let (_, found) = self.client.get(&key).await?;
        let Some(found) = found else { return Ok(Compare::absent(key)) };
        if found.lease != 0
            && found.lease != lease
            && let Ok(read) = read_node(&self.settings.node, &found.value)
            && read.node.uuid != self.settings.uuid
        {
            let (name, uuid) = (self.settings.node.to_string(), read.node.uuid.to_string());
            return Err(End::Taken { name, uuid });
        }
        Ok(Compare::unchanged(key, found.mod_revision))
    }

    fn node_key(&self) -> Vec<u8> {
        self.layout.key(&Place::Node(self.settings.node.clone())).into_bytes()
    }

    /// Says that we leave, and takes back all that is ours, so that others lead nobody here any more.
    async fn leave(self) {
        let Some(lease) = self.lease else { return };
        let leaving = async {
            if let Err(error) = self.say_farewell(lease).await {
                tracing::debug!("etcd: others wait a moment for this machine to be back: {error}");
            }
            self.client.revoke(lease).await
        };
        if timeout(LEAVE_MAX, leaving).await.is_err() {
            tracing::warn!(
                "etcd: what is of this machine could not be taken back in time; it goes when its lease ends"
            );
        }
    }

    /// Has our node's document say that we leave.
    async fn say_farewell(&self, lease: i64) -> Result<(), Error> {
        let document = self.own.lock().push.node_document(&self.published.load().catalog);
        let Some(value) = document.and_then(|document| farewell(&document)) else { return Ok(()) };
        let key = self.node_key();
        let is_ours = Compare::one(key.clone(), Is::Equal, With::Lease(lease));
        let put = Op::Put { key, value, lease };
        self.client.txn(Txn { compares: vec![is_ours], then: vec![put], otherwise: Vec::new() }).await.map(drop)
    }

    /// All that is ours is written.
    fn here(&mut self) {
        if let Some(problem) = self.problem.take() {
            tracing::info!("etcd: what is of this machine is written again, after: {problem}");
        }
    }

    fn complain(&mut self, end: &End) {
        let problem = end.to_string();
        if self.problem.as_ref() != Some(&problem) {
            tracing::error!("etcd: {problem}; what is of this machine is not written until that is over");
        }
        self.problem = Some(problem);
    }
}

/// Renews a lease time and again; returns when it is gone.
async fn renew(client: Client, lease: i64, every: Duration) -> End {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match client.keep_alive(lease).await {
            Ok(Some(_)) => {}
            Ok(None) => return End::Lost,
            // It may still be there when somebody answers again.
            Err(error) if error.is_passing() => tracing::debug!("etcd: the lease is not renewed: {error}"),
            Err(error) => return End::Client(error),
        }
    }
}

pub(super) async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

async fn told(stopping: &mut watch::Receiver<bool>) {
    // Without a sender nobody can tell, which is the end, too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// From an error to the next attempt. Source: none, chosen.
const AGAIN_LEAST: Duration = Duration::from_millis(100);

/// And at most, when one follows another. Source: none, chosen.
const AGAIN_MOST: Duration = Duration::from_secs(2);

/// How often all that is ours is compared, whether anything told of a change or not.
///
/// Source: none, chosen: a hundred thousand instances take half a second of one core.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// Most that is remembered of what cannot be written, and said. Source: none, chosen.
const COMPLAINTS_MAX: usize = 100;

/// Longest wait for the last word when we stop. Source: none, chosen: a supervisor gives ten seconds.
const LEAVE_MAX: Duration = Duration::from_secs(2);
