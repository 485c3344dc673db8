//! The one task that owns all checks that we run: starts what is due, counts what comes of it, reports what changes.
//!
//! Its view of the definitions is a level: whatever hint of a change arrives, what counts is the published snapshot.

mod ends;
mod guarding;
mod ours;
mod results;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, oneshot},
    task::{AbortHandle, Id, JoinError, JoinSet},
};

use self::{guarding::Guarding, ours::Ours};
use super::{
    HealthSettings,
    alias::{self, Following},
    damping::Damping,
    deadlines::Deadlines,
    gap::{Gaps, suspended},
    hosts::{Hosts, host_of},
    probe::{Outcome, Prober, TargetResolver},
    reaper::Reaper,
    references::Heard,
    schedule::{Jitter, Schedule, Slot, following, following_first, spread},
    slots::Slots,
    stats::Stats,
    thresholds::Thresholds,
};
use crate::{
    catalog::{
        change::Origin,
        check::{Check, CheckDefinition, CheckKey, CheckKind, CheckResult, CheckStatus},
        names::Text,
        state::CheckEntry,
    },
    publish::{feed::Feed, watch::Published},
};

/// What the scheduler works with, shared with others.
pub(super) struct Shared {
    pub(super) feed: Feed,
    pub(super) published: Arc<Published>,
    pub(super) deadlines: Arc<Deadlines>,
    pub(super) prober: Arc<Prober>,
    pub(super) resolver: TargetResolver,
    pub(super) stats: Arc<Stats>,
}

pub(super) struct Scheduler {
    settings: HealthSettings,
    shared: Shared,
    checks: Slots<Watched>,
    /// Which checks we run.
    ours: Ours,
    probes: Schedule,
    hosts: Hosts,
    damping: Damping,
    reaper: Reaper,
    guarding: Guarding,
    running: JoinSet<Option<Outcome>>,
    starts: HashMap<Id, Start>,
    deregistering: Arc<Semaphore>,
    jitter: Jitter,
    began: Instant,
}

/// A check that is probed, or that may deregister its instance.
#[derive(Debug)]
struct Watched {
    /// The check's create index: one that went and came again at once is another one.
    created: u64,
    target: Text,
    definition: Arc<CheckDefinition>,
    origin: Origin,
    thresholds: Thresholds,
    running: Option<AbortHandle>,
    /// Whether its next probe is one that many others may begin together with: see [`super::schedule`].
    is_first: bool,
    /// Where it is an alias: what it follows.
    #[expect(dead_code, reason = "it ends when it is dropped")]
    following: Option<Following>,
    /// Whether its instance is answered by the last result that counted.
    answered: Option<bool>,
    /// The last status that was reported; the published one may lag behind it.
    reported: Option<CheckStatus>,
    /// Until when a change of output alone is held back, in seconds since the scheduler began.
    output_held_secs: u32,
    /// Whether the output says that it is not probed.
    says_unprobed: bool,
    /// Until when that is not said anew.
    unprobed_held_secs: u32,
}

impl Watched {
    fn is_of(&self, check: &Check) -> bool {
        self.definition == check.definition && self.target == check.target && self.origin == check.origin
    }
}

/// A probe that runs.
struct Start {
    slot: Slot,
    at: Instant,
    /// Whether this process was away while it ran.
    over_gap: bool,
}

/// When a check that is new to the scheduler is probed first.
#[derive(Debug, Clone, Copy)]
enum FirstProbe {
    AtOnce,
    Spread,
    /// Spread, and what another machine found until now goes on to count.
    Handed,
}

impl Scheduler {
    pub(super) fn new(settings: HealthSettings, shared: Shared) -> Scheduler {
        let hosts = Hosts::new(settings.probes_per_host_max);
        let damping = Damping::new(settings.damping);
        let guard = settings.guard.clone();
        let guarding = Guarding::new(guard, Arc::clone(&shared.resolver), shared.feed.clone());
        Scheduler {
            ours: Ours::alone(settings.node.clone()),
            settings,
            shared,
            checks: Slots::default(),
            probes: Schedule::default(),
            hosts,
            damping,
            reaper: Reaper::default(),
            guarding,
            running: JoinSet::new(),
            starts: HashMap::new(),
            deregistering: Arc::new(Semaphore::new(ends::DEREGISTERING_MAX)),
            jitter: Jitter::new(RandomState::new().hash_one(Instant::now())),
            began: Instant::now(),
        }
    }

    /// Runs until the other end of `stopped` is dropped. Probes that run then are ended.
    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        self.load();
        let mut gaps = Gaps::new(suspended());
        loop {
            let now = Instant::now();
            self.start_due(now);
            self.end_holds(now);
            self.expire(now);
            self.reap(now);
            self.shared.stats.set_levels(self.starts.len(), self.checks.len());
            self.settings.metrics.checks_flapping.set(self.damping.held() as i64);
            let next = gaps.rests(now, self.next());
            let event = tokio::select! {
                _ = &mut stopped => return,
                () = self.shared.published.checks_touched() => Event::Touched,
                Some(ended) = self.running.join_next_with_id() => Event::Ended(ended),
                heard = self.guarding.heard() => Event::Heard(heard),
                () = self.shared.deadlines.earlier() => Event::Time,
                () = tokio::time::sleep_until(next.into()) => Event::Time,
            };
            // Before anything is made of what happened meanwhile.
            let now = Instant::now();
            let away = gaps.runs(now, suspended());
            if let Some(away) = away {
                self.begin_anew(away, now);
            }
            match event {
                Event::Touched => self.follow(),
                Event::Ended(ended) => self.end_all(ended),
                Event::Heard(heard) if away.is_none() => self.heard(heard),
                Event::Heard(_) | Event::Time => {}
            }
        }
    }

    /// After an absence of this process or machine: what failed or ended meanwhile counts for nothing.
    fn begin_anew(&mut self, away: Duration, now: Instant) {
        let seconds = away.as_secs();
        tracing::warn!(
            seconds,
            "this process or machine was suspended for {seconds} s; checks and deadlines begin anew"
        );
        self.starts.values_mut().for_each(|start| start.over_gap = true);
        self.shared.deadlines.begin_anew(now);
        self.reaper.begin_anew();
        self.guarding.begin_anew();
        // All that was due meanwhile would be due in this moment.
        let due: Vec<Slot> = std::iter::from_fn(|| self.probes.pop(now)).map(|(slot, _)| slot).collect();
        for slot in due {
            self.probes.set(slot, spread(now, GAP_SPREAD, self.jitter.next()));
            if let Some((_, watched)) = self.checks.get_mut(slot) {
                watched.is_first = true;
            }
        }
    }

    /// Takes in all checks that we run. Hints that arrive meanwhile are looked at afterwards.
    fn load(&mut self) {
        let snapshot = self.shared.published.load();
        let now = Instant::now();
        self.ours = Ours::of(&snapshot, self.settings.node.clone());
        let all = self.ours.clone();
        let ours = || snapshot.catalog.checks().filter(|entry| all.has(&entry.check));
        let (mut watched, mut deadlines) = (0, 0);
        for CheckDefinition { kind, deregister_critical_service_after: patience, .. } in
            ours().map(|entry| &*entry.check.definition)
        {
            watched += usize::from(kind.is_probed() || patience.is_some());
            deadlines += usize::from(matches!(kind, CheckKind::Deadline(_)));
        }
        self.checks.reserve(watched);
        self.shared.deadlines.reserve(deadlines);
        for entry in ours() {
            let restored = entry.modify_index <= self.settings.restored_index;
            let first = if restored { FirstProbe::Spread } else { FirstProbe::AtOnce };
            self.watch(entry, first, now);
        }
    }

    /// Takes in what became of checks that were touched.
    fn follow(&mut self) {
        if self.shared.published.take_touched_machines() {
            self.deal();
        }
        let touched = self.shared.published.take_touched_checks();
        let snapshot = self.shared.published.load();
        let now = Instant::now();
        for key in &touched {
            match snapshot.catalog.check(key).filter(|entry| self.ours.has(&entry.check)) {
                Some(entry) => self.watch(entry, FirstProbe::AtOnce, now),
                None => {
                    self.shared.deadlines.forget(key);
                    self.forget(key);
                }
            }
        }
        // Some of them may have been held.
        self.held_changed();
    }

    fn watch(&mut self, entry: &CheckEntry, first: FirstProbe, now: Instant) {
        let (check, created) = (&entry.check, entry.create_index);
        let key = check.key();
        let definition = &check.definition;
        match definition.kind {
            CheckKind::Deadline(period) => self.shared.deadlines.watch(&key, (created, period), now),
            _ => self.shared.deadlines.forget(&key),
        }
        let patience = definition.deregister_critical_service_after.filter(|_| check.service_id.is_some());
        if !definition.kind.is_probed() && patience.is_none() {
            self.forget(&key);
            return;
        }
        if let Some(slot) = self.checks.find(&key) {
            if self.checks.get(slot).is_some_and(|(_, watched)| watched.created == created && watched.is_of(check)) {
                return;
            }
            self.end_probe(slot);
        }
        // Another definition counts afresh, as in Consul: its first result counts at once.
        let thresholds = match first {
            FirstProbe::Handed => Thresholds::handed(definition, check.status),
            FirstProbe::AtOnce | FirstProbe::Spread => Thresholds::new(definition),
        };
        let (interval, periodic) = (definition.interval, definition.kind.is_periodic());
        if let Some(reason) = self.shared.prober.forbids(definition, check.origin) {
            tracing::warn!(node = %key.node, check = %key.id, "check {} is not run: {reason}", key.id);
        }
        let watched = Watched {
            created,
            target: check.target.clone(),
            definition: Arc::clone(definition),
            origin: check.origin,
            thresholds,
            is_first: true,
            running: None,
            answered: None,
            reported: None,
            output_held_secs: 0,
            says_unprobed: false,
            unprobed_held_secs: 0,
            following: alias::follow(check, || self.alias_means()),
        };
        let slot = self.checks.set(&key, watched);
        self.guarding.watch(slot, &check.target, &check.definition);
        match first {
            _ if !periodic => self.probes.cancel(slot),
            FirstProbe::AtOnce => self.probes.set(slot, now),
            FirstProbe::Spread | FirstProbe::Handed => {
                self.probes.set(slot, spread(now, interval.min(RESTART_GRACE), self.jitter.next()))
            }
        }
        match patience {
            Some(patience) => self.reaper.watch(slot, patience, now),
            None => self.reaper.forget(slot),
        }
    }

    fn alias_means(&self) -> alias::Means {
        alias::Means {
            published: Arc::clone(&self.shared.published),
            feed: self.shared.feed.clone(),
            metrics: Arc::clone(&self.settings.metrics),
        }
    }

    fn forget(&mut self, key: &CheckKey) {
        let Some(slot) = self.checks.find(key) else { return };
        self.end_probe(slot);
        self.probes.cancel(slot);
        self.reaper.forget(slot);
        self.guarding.forget(slot);
        self.checks.remove(key);
    }

    /// Ends the probe of a check if it runs or waits for its host; nothing of it, nor what came before, counts any more.
    fn end_probe(&mut self, slot: Slot) {
        self.damping.forget(slot);
        let Some((_, watched)) = self.checks.get_mut(slot) else { return };
        let host = host_of(&watched.definition.kind, &watched.target);
        let next = match watched.running.take() {
            Some(running) => {
                self.starts.remove(&running.id());
                running.abort();
                self.hosts.leave(&host)
            }
            None => self.hosts.forget(&host, slot),
        };
        if let Some((due, next)) = next {
            self.probes.set(next, due);
        }
    }

    /// When there is something to do next.
    fn next(&mut self) -> Option<Instant> {
        let room = self.running.len() < self.settings.probes_in_flight_max;
        let probe = self.probes.next().filter(|_| room);
        [probe, self.damping.next(), self.shared.deadlines.next(), self.reaper.next()].into_iter().flatten().min()
    }

    fn start_due(&mut self, now: Instant) {
        while self.running.len() < self.settings.probes_in_flight_max {
            let Some((slot, due)) = self.probes.pop(now) else { return };
            let Some((_, watched)) = self.checks.get_mut(slot) else { continue };
            if !self.hosts.enter(&host_of(&watched.definition.kind, &watched.target), (due, slot)) {
                continue;
            }
            let (target, definition) = (watched.target.clone(), Arc::clone(&watched.definition));
            let probe = Arc::clone(&self.shared.prober).run(target, definition, watched.origin);
            let (stats, metrics) = (Arc::clone(&self.shared.stats), Arc::clone(&self.settings.metrics));
            let task = self.running.spawn(async move {
                // Now, not when it was handed over: there may be much for this process to do before.
                let late = Instant::now().saturating_duration_since(due);
                stats.count_started(late);
                metrics.check_lateness_seconds.observe(late.as_secs_f64());
                probe.await
            });
            self.starts.insert(task.id(), Start { slot, at: now, over_gap: false });
            watched.running = Some(task);
        }
    }

    /// Takes in a probe that has ended, and all others that have.
    fn end_all(&mut self, first: Ended) {
        let now = Instant::now();
        self.end(first, now);
        while let Some(ended) = self.running.try_join_next_with_id() {
            self.end(ended, now);
        }
    }

    fn end(&mut self, ended: Ended, now: Instant) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        // A probe that was ended because its check changed is no longer among the starts.
        let Some(Start { slot, at, over_gap }) = self.starts.remove(&id) else { return };
        let Some((key, watched)) = self.checks.get_mut(slot) else { return };
        watched.running = None;
        if let Some((due, next)) = self.hosts.leave(&host_of(&watched.definition.kind, &watched.target)) {
            self.probes.set(next, due);
        }
        self.guarding.began(at);
        self.settings.metrics.check_duration_seconds.observe(now.saturating_duration_since(at).as_secs_f64());
        let next = if mem::take(&mut watched.is_first) { following_first } else { following };
        self.probes.set(slot, next(at, now, watched.definition.interval, self.jitter.next()));
        let outcome = match ended {
            Ok((_, Some(outcome))) => outcome,
            Ok((_, None)) => return,
            Err(error) => {
                tracing::error!(check = %key.id, %error, "a probe broke off inside nameplate; no verdict");
                Outcome::NotMade(error.to_string())
            }
        };
        if over_gap && matches!(outcome, Outcome::Done { status: CheckStatus::Critical, .. }) {
            watched.is_first = true;
            self.probes.set(slot, spread(now, GAP_SPREAD, self.jitter.next()));
            return;
        }
        self.conclude(slot, outcome, now);
    }

    /// Reports a result if it is news: another status, or another output and not too soon after the last.
    fn tell(&mut self, slot: Slot, result: CheckResult, now: Instant) {
        let (since_began, held_until) = self.output_hold(now);
        let Some((key, watched)) = self.checks.get_mut(slot) else { return };
        let snapshot = self.shared.published.load();
        let Some(entry) = snapshot.catalog.check(key) else { return };
        let same_status =
            entry.check.status == result.status && watched.reported.unwrap_or(result.status) == result.status;
        if same_status {
            if since_began < watched.output_held_secs || entry.check.output == result.output {
                return;
            }
        } else {
            log_change(&entry.check, result.status);
        }
        watched.reported = Some(result.status);
        watched.output_held_secs = held_until;
        if result.status == CheckStatus::Critical {
            self.reaper.turned_critical(slot, now);
        }
        self.shared.feed.report(key.clone(), result);
    }

    /// The seconds since the scheduler began, and until when an output is held back that is told now.
    fn output_hold(&self, now: Instant) -> (u32, u32) {
        let since_began = now.saturating_duration_since(self.began).as_secs();
        let since_began = u32::try_from(since_began).unwrap_or(u32::MAX);
        // One more, because both ends are cut to whole seconds.
        (since_began, since_began.saturating_add(1 + OUTPUT_HOLD_SECS))
    }
}

/// Tells operators that a check has another status from now on.
pub(super) fn log_change(check: &Check, status: CheckStatus) {
    let service = check.service_id.as_ref().map(|id| id.as_str());
    let (before, status) = (check.status.as_str(), status.as_str());
    tracing::info!(node = %check.node, check = %check.id, service, before, status, "check {} is now {status}", check.id);
}

/// Why the scheduler runs.
enum Event {
    Touched,
    Ended(Ended),
    Heard(Heard),
    Time,
}

/// A probe that has ended.
type Ended = Result<(Id, Option<Outcome>), JoinError>;

/// Over how long the probes are spread that were due or failed while this process was away.
///
/// Source: none, chosen: short beside any interval, and thousands do not begin in one moment.
const GAP_SPREAD: Duration = Duration::from_secs(1);

/// After a restart every check is probed within this time, if its interval is longer: so long its status may be that
/// of a former life.
///
/// Source: none, chosen: three of the usual intervals.
const RESTART_GRACE: Duration = Duration::from_secs(30);

/// How long a change of output alone is held back after a report.
///
/// Source: Consul's `check_update_interval`.
const OUTPUT_HOLD_SECS: u32 = 5 * 60;
