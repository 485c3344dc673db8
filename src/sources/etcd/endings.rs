//! Ends the sessions that machines share when their time is over, or what they are bound to is gone or critical.
//!
//! Any machine may: the transaction looks whether the session is still there, so that one of them ends it. Each waits for a
//! moment of its own first, so that mostly only one tries.
//!
//! | what a session is bound to | who sees that it is gone |
//! |---|---|
//! | its time: a lease of etcd | all |
//! | its node, and checks on it | who knew them, when they go; their own machine also when it starts |
//! | checks that are critical | who knows them |
//!
//! A machine that does not follow etcd just now ends nothing: what it knows may be old.
//!
//! **Limits:** if all machines that knew a node stop before it goes, sessions on it without a time stay until they are
//! destroyed.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{own::until, shared::Shared};
use crate::{
    catalog::{
        check::CheckStatus,
        names::{NodeName, Text},
    },
    kv::session::SessionEntry,
    publish::{feed::SubmitError, snapshot::Snapshot, watch::Published},
};

/// Ends sessions.
pub(super) struct Endings {
    /// Our own node.
    own: NodeName,
    published: Arc<Published>,
    shared: Arc<Shared>,
    /// Those that are to be ended.
    pending: BTreeMap<Text, Pending>,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    at: Instant,
    /// Whether what it is bound to was seen to go.
    lapsed: bool,
}

impl Endings {
    pub(super) fn new(own: NodeName, published: Arc<Published>, shared: Arc<Shared>) -> Endings {
        Endings { own, published, shared, pending: BTreeMap::new() }
    }

    /// Works until it is dropped.
    pub(super) async fn run(mut self) {
        let mut look = Instant::now();
        loop {
            let next = self.pending.values().map(|pending| pending.at).min();
            tokio::select! {
                () = self.published.sessions_touched() => {
                    let lapsed = self.published.take_lapsed_sessions();
                    let touched = self.published.take_touched_sessions();
                    let ids = lapsed.into_iter().map(|id| (id, true)).chain(touched.into_iter().map(|id| (id, false)));
                    self.consider(ids.collect());
                }
                () = until(Some(look)) => {
                    look = Instant::now() + LOOK_EVERY;
                    let snapshot = self.published.load();
                    let all = snapshot.store.sessions().map(|entry| (entry.session.id.clone(), false)).collect();
                    drop(snapshot);
                    self.consider(all);
                }
                () = until(next) => self.end_some().await,
            }
        }
    }

    /// Notes those that are to be ended.
    fn consider(&mut self, ids: Vec<(Text, bool)>) {
        let snapshot = self.published.load();
        for (id, lapsed) in ids {
            if snapshot.store.session(&id).is_some_and(|entry| is_over(&snapshot, entry, (&self.own, lapsed))) {
                let at = Instant::now() + moment();
                let pending = self.pending.entry(id).or_insert(Pending { at, lapsed });
                pending.lapsed |= lapsed;
            }
        }
    }

    /// Ends those whose moment has come, if it is still so.
    async fn end_some(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.at <= now)
            .map(|(id, pending)| (id.clone(), *pending))
            .collect();
        for (id, pending) in due {
            let snapshot = self.published.load();
            let away = snapshot.store_is_away().is_some();
            let is_over =
                snapshot.store.session(&id).is_some_and(|entry| is_over(&snapshot, entry, (&self.own, pending.lapsed)));
            drop(snapshot);
            if !is_over {
                self.pending.remove(&id);
                continue;
            }
            if !away {
                match self.shared.end(&id).await {
                    Ok(_) => {
                        tracing::debug!(session = %id, "a session was ended");
                        self.pending.remove(&id);
                        continue;
                    }
                    Err(SubmitError::NoLeader) => {}
                    Err(error) => tracing::warn!(session = %id, %error, "a session could not be ended; trying again"),
                }
            }
            self.pending.insert(id, Pending { at: Instant::now() + RETRY_EVERY, ..pending });
        }
    }
}

/// Whether a session is to be ended, as far as this machine can tell.
fn is_over(snapshot: &Snapshot, entry: &SessionEntry, (own, lapsed): (&NodeName, bool)) -> bool {
    let session = &*entry.session;
    if session.ttl.is_some() && snapshot.store.lease(&session.id).is_none() {
        return true;
    }
    if lapsed || session.node == *own {
        return !snapshot.store.holds(session, &snapshot.catalog);
    }
    let critical = |key| snapshot.catalog.check(&key).is_some_and(|entry| entry.check.status == CheckStatus::Critical);
    session.checks().any(critical)
}

/// A time that is another on each machine.
fn moment() -> Duration {
    let random = RandomState::new().build_hasher().finish();
    SPREAD / 256 * u32::from(random as u8)
}

/// So long at most a machine leaves it to others to end a session. Source: none, chosen: some transactions.
const SPREAD: Duration = Duration::from_millis(200);

/// After so long a session that could not be ended is tried again. Source: none, chosen.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// How often all sessions are looked at, whatever was told of them. Source: none, chosen.
const LOOK_EVERY: Duration = Duration::from_secs(30);
