//! The journal's thread, and the inbox through which the publisher reaches it.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    observe::metrics::Metrics,
    publish::journal::{
        BEHIND_MAX, Batch, JournalFailure, JournalStatus, LEISURE_MAX, RETRY_EVERY,
        pending::{Pending, UNWRITTEN_MAX},
        store::{Ending, Store},
    },
};

/// What the publisher and the thread share. The lock is held for O(one batch), never over I/O.
#[derive(Debug)]
pub(super) struct Shared {
    path: Option<Arc<str>>,
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    pub(super) metrics: OnceLock<Arc<Metrics>>,
}

#[derive(Debug)]
struct Inbox {
    pending: Pending,
    /// When `pending` must be tried, if at all.
    due: Option<Instant>,
    closing: bool,
    /// Keys that the thread took and that are not durable.
    taken: usize,
    durable_index: u64,
    commits: u64,
    failures: u64,
    last_commit: Duration,
    failure: Option<JournalFailure>,
}

impl Shared {
    pub(super) fn new(path: Option<Arc<str>>, index: u64) -> Shared {
        let inbox = Inbox {
            pending: Pending::default(),
            due: None,
            closing: false,
            taken: 0,
            durable_index: index,
            commits: 0,
            failures: 0,
            last_commit: Duration::ZERO,
            failure: None,
        };
        Shared { path, inbox: Mutex::new(inbox), arrived: Condvar::new(), metrics: OnceLock::new() }
    }

    pub(super) fn put(&self, batch: Batch, now: Instant) {
        let due = if batch.urgent { now } else { now + BEHIND_MAX - LEISURE_MAX };
        let mut inbox = self.lock();
        let sooner = inbox.due.is_none_or(|before| due < before);
        inbox.pending.take_in(batch);
        if sooner {
            inbox.due = Some(due);
            self.arrived.notify_one();
        }
    }

    /// Counts an index as durable without a disk: there is none.
    pub(super) fn note_index(&self, index: u64) {
        self.lock().durable_index = index;
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.arrived.notify_one();
    }

    pub(super) fn status(&self) -> JournalStatus {
        let inbox = self.lock();
        JournalStatus {
            path: self.path.clone(),
            failure: inbox.failure.clone(),
            waiting: inbox.taken + inbox.pending.len(),
            durable_index: inbox.durable_index,
            commits: inbox.commits,
            failures: inbox.failures,
            last_commit: inbox.last_commit,
        }
    }

    /// Waits until something is due (or `retry_at` has come, while the disk fails) and takes all that is there.
    fn take(&self, retry_at: Option<Instant>) -> (Pending, Ending) {
        let mut inbox = self.lock();
        loop {
            if inbox.closing {
                return (inbox.take(), Ending::Last);
            }
            let now = Instant::now();
            inbox = match retry_at.or(inbox.due) {
                Some(at) if at <= now => return (inbox.take(), Ending::More),
                Some(at) => self.arrived.wait_timeout(inbox, at - now).unwrap_or_else(PoisonError::into_inner).0,
                None => self.arrived.wait(inbox).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Sleeps so long; less if something is due meanwhile.
    fn rest(&self, length: Duration) {
        let until = Instant::now() + length;
        let mut inbox = self.lock();
        loop {
            let now = Instant::now();
            if inbox.closing || now >= until || inbox.due.is_some_and(|due| due <= now) {
                return;
            }
            inbox = self.arrived.wait_timeout(inbox, until - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn note(&self, outcome: &Result<(), JournalFailure>, unwritten: &Pending, took: Duration) {
        if let Some(metrics) = self.metrics.get() {
            match outcome {
                Ok(()) => {
                    metrics.journal_commits.inc();
                    metrics.journal_commit_duration_seconds.observe(took.as_secs_f64());
                }
                Err(_) => _ = metrics.journal_failures.inc(),
            }
        }
        let mut inbox = self.lock();
        match outcome {
            Ok(()) => {
                inbox.taken = 0;
                inbox.commits += 1;
                inbox.last_commit = took;
                inbox.failure = None;
                if unwritten.dirty {
                    inbox.durable_index = unwritten.index;
                }
            }
            Err(failure) => {
                inbox.taken = unwritten.len();
                inbox.failures += 1;
                inbox.failure = Some(failure.clone());
            }
        }
    }

    /// The inbox is whole after each of its few steps, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn take(&mut self) -> Pending {
        self.due = None;
        let pending = std::mem::take(&mut self.pending);
        self.taken += pending.len();
        pending
    }
}

/// Commits what is due until it is told to close; then once more.
pub(super) fn run(shared: &Shared, mut store: Store) {
    let mut unwritten = Pending::default();
    let mut retry_at = None;
    let mut told = None;
    loop {
        let (pending, ending) = shared.take(retry_at);
        unwritten.absorb(pending);
        let started = Instant::now();
        let outcome = store.commit(&mut unwritten, ending, &|length| shared.rest(length));
        shared.note(&outcome, &unwritten, started.elapsed());
        unwritten.acknowledge(&outcome);
        tell(&mut told, &outcome);
        match outcome {
            Ok(()) => {
                unwritten = Pending::default();
                retry_at = None;
            }
            Err(_) => {
                unwritten.bound(UNWRITTEN_MAX);
                retry_at = Some(Instant::now() + RETRY_EVERY);
            }
        }
        if ending == Ending::Last {
            if let Some(failure) = told {
                let keys = unwritten.len();
                tracing::error!(path = %failure.path, keys, "stopped without having written the last of the catalog");
            }
            return;
        }
    }
}

/// Logs that the disk fails, once for each way in which it does, and that it works again.
fn tell(told: &mut Option<JournalFailure>, outcome: &Result<(), JournalFailure>) {
    match outcome {
        Err(failure) if told.as_ref() != Some(failure) => {
            let JournalFailure { path, problem } = failure;
            tracing::error!(%path, %problem, "{failure}; changes are refused until that succeeds");
            *told = Some(failure.clone());
        }
        Err(_) => {}
        Ok(()) => {
            if let Some(JournalFailure { path, .. }) = told.take() {
                tracing::info!(%path, "{path} can be written again, and all is");
            }
        }
    }
}
