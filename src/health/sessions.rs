//! The time of sessions: one that has a TTL must be renewed within it, or it ends.
//!
//! A renewal moves the deadline in memory only: nothing is published, nothing goes to disk. After a restart each
//! session has its whole time again, as after it was made, and so it has when this process or machine was suspended. A
//! session that the catalog no longer carries when this starts (its node has another name now) ends at once. Of sessions that
//! several machines share nothing is done here: their time is a lease.
//!
//! **Limits:** a renewal costs O(log n). One that comes in the moment in which the session ends may lose against it.
//!
//! **Source:** Consul's sessions; there one lives up to twice its TTL, here exactly that long.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, sync::oneshot, task::JoinHandle};

use super::{
    gap::{Gaps, suspended},
    schedule::after,
};
use crate::{
    catalog::names::Text,
    kv::{
        change::Change,
        session::{Session, SessionEntry},
    },
    publish::{
        feed::{Feed, SubmitError},
        watch::Published,
    },
};

/// When sessions end. Shared by the task that ends them and the HTTP handlers.
#[derive(Debug)]
pub struct SessionTimes {
    published: Arc<Published>,
    running: Mutex<Running>,
    /// Told when the next end is earlier than it was.
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Running {
    ends: HashMap<Text, Instant>,
    order: BTreeSet<(Instant, Text)>,
}

impl SessionTimes {
    /// None runs yet.
    pub fn new(published: Arc<Published>) -> SessionTimes {
        SessionTimes { published, running: Mutex::default(), earlier: Notify::new() }
    }

    /// Gives a session its whole time again.
    pub fn renew(&self, session: &Session) {
        self.renew_at(session, Instant::now());
    }

    fn renew_at(&self, session: &Session, now: Instant) {
        let Some((span, _)) = &session.ttl else { return };
        if self.published.load().store.revision().is_some() {
            return;
        }
        let mut running = self.lock();
        let next = running.next();
        running.set(&session.id, Some(after(now, *span)));
        if running.next() < next || next.is_none() {
            self.earlier.notify_one();
        }
    }

    /// Lets the time of a session run, unless it does; of one that has gone, ends it.
    fn look(&self, id: &Text, now: Instant) {
        let snapshot = self.published.load();
        let entry = snapshot.store.session(id);
        let mut running = self.lock();
        match entry.and_then(|entry| entry.session.ttl.as_ref()) {
            Some(_) if running.ends.contains_key(id) => {}
            Some((span, _)) => running.set(id, Some(after(now, *span))),
            None => running.set(id, None),
        }
    }

    /// The sessions whose time has passed; theirs runs again from `again` on, in case that ending them fails.
    fn expire(&self, now: Instant, again: Instant) -> Vec<Text> {
        let mut running = self.lock();
        let mut expired = Vec::new();
        while let Some((_, id)) = running.order.first().filter(|(end, _)| *end <= now).cloned() {
            running.set(&id, Some(again));
            expired.push(id);
        }
        expired
    }

    /// Gives all sessions their whole time again, because nobody could renew them for a while.
    fn begin_anew(&self, now: Instant) {
        let snapshot = self.published.load();
        let mut running = self.lock();
        let ids: Vec<Text> = running.ends.keys().cloned().collect();
        for id in ids {
            if let Some((span, _)) = snapshot.store.session(&id).and_then(|entry| entry.session.ttl.as_ref()) {
                running.set(&id, Some(after(now, *span)));
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        self.lock().next()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn next(&self) -> Option<Instant> {
        self.order.first().map(|(end, _)| *end)
    }

    fn set(&mut self, id: &Text, end: Option<Instant>) {
        let before = match end {
            Some(end) => self.ends.insert(id.clone(), end),
            None => self.ends.remove(id),
        };
        if let Some(before) = before {
            self.order.remove(&(before, id.clone()));
        }
        self.order.extend(end.map(|end| (end, id.clone())));
    }
}

/// The task that ends sessions. It stops when this is dropped.
#[derive(Debug)]
pub struct Sessions {
    times: Arc<SessionTimes>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sessions {
    /// Starts it on the current tokio runtime. There may be one only: it takes the hints of touched sessions.
    pub fn start(feed: Feed, published: Arc<Published>) -> Sessions {
        let times = Arc::new(SessionTimes::new(published));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(Arc::clone(&times), feed, stopped));
        Sessions { times, stop, task }
    }

    /// The times, for the HTTP handlers.
    pub fn times(&self) -> Arc<SessionTimes> {
        Arc::clone(&self.times)
    }

    /// Returns when it ends no session any more.
    pub async fn shutdown(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task that ends sessions had ended before");
        }
    }
}

async fn run(times: Arc<SessionTimes>, feed: Feed, mut stopped: oneshot::Receiver<()>) {
    let first = times.published.load();
    if first.store.revision().is_some() {
        drop(first);
        // Who ends those that machines share takes the hints of them, too.
        let _ = stopped.await;
        return;
    }
    let lapsed: Vec<Text> = first
        .store
        .sessions()
        .filter(|entry| !first.store.holds(&entry.session, &first.catalog))
        .map(|entry: &Arc<SessionEntry>| entry.session.id.clone())
        .collect();
    let all: Vec<Text> = first.store.sessions().map(|entry| entry.session.id.clone()).collect();
    drop(first);
    all.iter().for_each(|id| times.look(id, Instant::now()));
    end(&feed, lapsed).await;
    let mut gaps = Gaps::new(suspended());
    loop {
        let now = Instant::now();
        let next = gaps.rests(now, times.next());
        let touched = tokio::select! {
            _ = &mut stopped => return,
            () = times.published.sessions_touched() => true,
            () = times.earlier.notified() => false,
            () = tokio::time::sleep_until(next.into()) => false,
        };
        let now = Instant::now();
        if gaps.runs(now, suspended()).is_some() {
            times.begin_anew(now);
        }
        if touched {
            times.published.take_touched_sessions().iter().for_each(|id| times.look(id, now));
        }
        end(&feed, times.expire(now, now + RETRY_EVERY)).await;
    }
}

async fn end(feed: &Feed, ids: Vec<Text>) {
    for id in ids {
        match feed.store(Change::DestroySession(id.clone())).await {
            Ok(_) | Err(SubmitError::Journal(_) | SubmitError::Closed) => {}
            Err(error) => tracing::warn!(session = %id, %error, "a session could not be ended; trying again"),
        }
    }
}

/// After so long a session that could not be ended is tried again. Source: none, chosen.
const RETRY_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
