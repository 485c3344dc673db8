//! Check deadlines (Consul's TTL checks): each must be renewed within its time, or it turns critical.
//!
//! A heartbeat is a call that sets the status of such a check. It moves the deadline; and only if the status differs
//! from the published one is there anything for the catalog. What a heartbeat of equal status says is kept here, in
//! memory: [`Deadlines::newest_output`] gives it to readers of the API, and it is named when the deadline passes. It
//! gets into the catalog with the next change of status.
//!
//! After a restart, as after registration, after a change of its time, and after this process or machine was suspended, a
//! deadline has a whole new period.
//!
//! **Limits:** a heartbeat costs O(log n) and publishes nothing. One output of at most 4 KiB is kept a check. A
//! heartbeat in the very moment in which its deadline passes may lose against it; the next one heals that.
//!
//! **Source:** Consul's `CheckTTL`, its texts included, because people look for them.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    probe::cut,
    schedule::{Schedule, after},
    slots::Slots,
};
use crate::{
    catalog::{
        change::Origin,
        check::{CheckKey, CheckKind, CheckResult, CheckStatus},
        names::Text,
        output::Output,
    },
    publish::watch::Published,
};

/// The check deadlines of our own node. Shared by the scheduler and the HTTP handlers.
#[derive(Debug)]
pub struct Deadlines {
    published: Arc<Published>,
    running: Mutex<Running>,
    /// The same as that of `running`, to be read without its lock.
    said: Arc<AtomicU64>,
    /// Told when the next deadline is earlier than it was.
    earlier: Notify,
}

/// What a heartbeat amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heartbeat {
    /// There is no such check.
    Unknown,
    /// There is one, but its status is not set from outside.
    NotRenewable,
    /// The deadline was moved; nothing is to be published.
    Renewed,
    /// This result is to be submitted.
    Changed(CheckResult),
}

#[derive(Debug, Default)]
struct Running {
    /// How often what is told of heartbeats has changed.
    said: Arc<AtomicU64>,
    checks: Slots<Deadline>,
    schedule: Schedule,
}

#[derive(Debug)]
struct Deadline {
    /// The check's create index.
    created: u64,
    period: Duration,
    newest_output: Text,
    /// The last status that came from here; the published one may lag behind it.
    sent: Option<CheckStatus>,
    /// Whether it has passed since the newest heartbeat; then what is published says more than that.
    passed: bool,
}

impl Deadlines {
    pub(super) fn new(published: Arc<Published>) -> Deadlines {
        let running = Running::default();
        let said = Arc::clone(&running.said);
        Deadlines { published, running: Mutex::new(running), said, earlier: Notify::new() }
    }

    /// Takes a heartbeat: moves the deadline of a check, and says whether its status changes.
    ///
    /// A check of kind external has no deadline, so that anything new is a change of it.
    pub fn heartbeat(&self, key: &CheckKey, status: CheckStatus, output: &str) -> Heartbeat {
        self.heartbeat_at(key, status, output, Instant::now())
    }

    fn heartbeat_at(&self, key: &CheckKey, status: CheckStatus, output: &str, now: Instant) -> Heartbeat {
        let snapshot = self.published.load();
        let Some(entry) = snapshot.catalog.check(key) else { return Heartbeat::Unknown };
        let output = Text::from(cut(output));
        let changed = match &entry.check.definition.kind {
            // Renewed where it was registered.
            _ if entry.check.origin == Origin::Cluster => return Heartbeat::NotRenewable,
            CheckKind::External => entry.check.status != status || entry.check.shown_output() != *output,
            CheckKind::Deadline(period) => {
                let mut running = self.lock();
                let next = running.schedule.next();
                // It may have been registered a moment ago; who got the 200 for that may send heartbeats at once.
                running.watch(key, (entry.create_index, *period), now);
                let changed = running.renew(key, status, &output, now);
                // One that had passed runs again.
                if next.is_none() || running.schedule.next() < next {
                    self.earlier.notify_one();
                }
                changed || entry.check.status != status
            }
            _ => return Heartbeat::NotRenewable,
        };
        if changed { Heartbeat::Changed(CheckResult { status, output: (&*output).into() }) } else { Heartbeat::Renewed }
    }

    /// What the newest heartbeat of a check said, if it set this status, which is the published one; none before the
    /// first heartbeat, and after the deadline has passed.
    pub fn newest_output(&self, key: &CheckKey, status: CheckStatus) -> Option<Text> {
        let running = self.lock();
        let (_, deadline) = running.checks.get(running.checks.find(key)?)?;
        let is_newest = deadline.sent == Some(status) && !deadline.passed;
        is_newest.then(|| deadline.newest_output.clone())
    }

    /// How often what [`Deadlines::newest_output`] gives, of any check, has changed. Who reads this first and then that
    /// knows until when it holds.
    pub fn said(&self) -> u64 {
        self.said.load(Ordering::SeqCst)
    }

    /// Makes room for so many more deadlines.
    pub(super) fn reserve(&self, more: usize) {
        self.lock().checks.reserve(more);
    }

    /// Lets the deadline of a check run, given its create index and its time; one that runs already with the same
    /// period is left alone. Of another create index, it is a check that only has the same ID.
    pub(super) fn watch(&self, key: &CheckKey, created_and_period: (u64, Duration), now: Instant) {
        self.lock().watch(key, created_and_period, now);
    }

    /// Gives all deadlines that run a whole new period, because nobody could renew them for a while.
    pub(super) fn begin_anew(&self, now: Instant) {
        let running = &mut *self.lock();
        for (slot, (_, deadline)) in running.checks.iter() {
            if running.schedule.when(slot).is_some() {
                running.schedule.set(slot, after(now, deadline.period));
            }
        }
    }

    /// Ends a check's deadline.
    pub(super) fn forget(&self, key: &CheckKey) {
        self.lock().forget(key);
    }

    /// When the next deadline passes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.lock().schedule.next()
    }

    /// Returns when the next deadline has become earlier by a heartbeat.
    pub(super) async fn earlier(&self) {
        self.earlier.notified().await;
    }

    /// The checks whose deadline has passed, and what now holds of them. Their deadlines rest until renewed.
    pub(super) fn expire(&self, now: Instant) -> Vec<(CheckKey, CheckResult)> {
        if self.next().is_none_or(|next| next > now) {
            return Vec::new();
        }
        let snapshot = self.published.load();
        let mut running = self.lock();
        let mut expired = Vec::new();
        while let Some((slot, _)) = running.schedule.pop(now) {
            let Some((key, deadline)) = running.checks.get_mut(slot) else { continue };
            let key = key.clone();
            match snapshot.catalog.check(&key).map(|entry| &entry.check.definition.kind) {
                Some(CheckKind::Deadline(_)) => {
                    (deadline.sent, deadline.passed) = (Some(CheckStatus::Critical), true);
                    let output = expired_output(&deadline.newest_output);
                    running.changed();
                    let result = CheckResult { status: CheckStatus::Critical, output };
                    expired.push((key, result));
                }
                // Deregistered while a heartbeat was on its way.
                _ => running.forget(&key),
            }
        }
        expired
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn watch(&mut self, key: &CheckKey, (created, period): (u64, Duration), now: Instant) {
        let known = self.checks.find(key).and_then(|slot| self.checks.get_mut(slot).map(|entry| (slot, &mut entry.1)));
        let slot = match known.filter(|(_, deadline)| deadline.created == created) {
            Some((_, deadline)) if deadline.period == period => return,
            Some((slot, deadline)) => {
                deadline.period = period;
                slot
            }
            None => {
                let new = Deadline { created, period, newest_output: Text::new(), sent: None, passed: false };
                self.changed();
                self.checks.set(key, new)
            }
        };
        self.schedule.set(slot, after(now, period));
    }

    /// Moves the deadline. Returns whether the status differs from the last one that came from here.
    fn renew(&mut self, key: &CheckKey, status: CheckStatus, output: &Text, now: Instant) -> bool {
        let Some(slot) = self.checks.find(key) else { return true };
        let Some((_, deadline)) = self.checks.get_mut(slot) else { return true };
        let changed = deadline.sent.is_some_and(|sent| sent != status);
        let told = (deadline.sent, deadline.passed) != (Some(status), false) || deadline.newest_output != *output;
        (deadline.sent, deadline.passed) = (Some(status), false);
        deadline.newest_output = output.clone();
        let due = after(now, deadline.period);
        if told {
            self.changed();
        }
        self.schedule.set(slot, due);
        changed
    }

    /// Counts that readers are told something else from here on. Under the lock, so that who sees the new count finds what it
    /// stands for.
    fn changed(&self) {
        self.said.fetch_add(1, Ordering::SeqCst);
    }

    fn forget(&mut self, key: &CheckKey) {
        if let Some((slot, _)) = self.checks.remove(key) {
            self.changed();
            self.schedule.cancel(slot);
        }
    }
}

fn expired_output(newest: &str) -> Output {
    if newest.is_empty() {
        return "TTL expired".into();
    }
    cut(&format!("TTL expired (last output before timeout follows): {newest}")).into()
}

#[cfg(test)]
#[path = "deadlines_tests.rs"]
mod tests;
