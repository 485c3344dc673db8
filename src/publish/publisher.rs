//! The one writer: takes what waits in the feed as a batch, applies it, swaps the snapshot, and hands the batch to
//! the journal. What arrives meanwhile is the next batch; there is no timer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    access::{Realm, directory::Directory},
    catalog::{
        apply::Effects,
        change::{Change, ChangeError, Origin},
        intern::Interner,
        state::State,
        table::FOUND_TOGETHER_MAX,
    },
    kv::store::Store,
    observe::metrics::Metrics,
    publish::{
        feed::{Feed, Intake, Receipt, SourceStatus, Submission, SubmitError, Waiting, Work},
        journal::{self, Journal, Write},
        names::Names,
        plan::Plan,
        settings::Settings,
        snapshot::Snapshot,
        transaction::{self, Found, Operation, OperationError, Outcome},
        watch::Published,
    },
    zones::Zones,
};

mod levels;
mod rest;
mod rights;
mod stored;
mod touched;

use rest::{Next, Rest};
use touched::Touched;

/// What the publisher begins with.
#[derive(Debug)]
pub struct Start {
    /// The catalog as it was stored, or an empty one.
    pub catalog: State,
    /// The keys with their values, as they were stored, or none.
    pub store: Store,
    /// The policies and tokens that were made by HTTP, as they were stored, or none.
    pub access: Directory,
    /// The settings in force.
    pub settings: Settings,
    /// Static zones.
    pub zones: Zones,
    /// The sources that must deliver a first list.
    pub sources: Vec<SourceStatus>,
    /// The last SOA serial that was published.
    pub serial: u32,
    /// Seconds since 1970; the serial follows it, and tokens expire by it.
    pub clock: fn() -> u64,
    /// What makes changes last.
    pub journal: Journal,
    /// What an operator sees of it.
    pub metrics: Arc<Metrics>,
}

/// The writer's thread. It ends when all feeds are dropped or [`Publisher::stop`] is called.
#[derive(Debug)]
pub struct Publisher {
    thread: JoinHandle<()>,
}

impl Publisher {
    /// Builds the first snapshot and starts the thread.
    pub fn start(start: Start) -> std::io::Result<(Publisher, Feed, Arc<Published>)> {
        let (writer, feed, published) = Writer::new(start);
        let thread = std::thread::Builder::new().name("publisher".to_owned()).spawn(move || writer.run())?;
        Ok((Publisher { thread }, feed, published))
    }

    /// Waits until the thread has ended; all feeds must have been dropped.
    pub fn join(self) {
        let _ = self.thread.join();
    }
}

struct Writer {
    intake: Intake,
    published: Arc<Published>,
    /// What the next snapshot will be.
    next: Snapshot,
    /// What registrations have in common.
    interner: Interner,
    /// Snapshots that a reader may still hold; freed here, never by a thread that answers.
    retired: Vec<Arc<Snapshot>>,
    clock: fn() -> u64,
    /// When the next token expires, in seconds since 1970, as it was at this index of the tokens.
    next_expiry: (u64, Option<u64>),
    /// What times in the store count from.
    began: Instant,
    journal: Journal,
    metrics: Arc<Metrics>,
    rest: Rest,
}

/// What one batch did.
#[derive(Default)]
struct Batch {
    touched: Touched,
    /// Whether anything that a reader sees has changed.
    changed: bool,
    /// Whether what DNS answers may have changed.
    zone_changed: bool,
    /// Whether somebody waits until it is durable.
    urgent: bool,
    /// What is to be on disk beside what was touched.
    kept: Vec<Write>,
    done: Vec<Done>,
}

/// A submission that took effect.
struct Done {
    to: oneshot::Sender<Result<Receipt, SubmitError>>,
    receipt: Receipt,
    accepted: Instant,
    /// Whether its sender waits until it is durable.
    durable: bool,
}

impl Writer {
    fn new(start: Start) -> (Writer, Feed, Arc<Published>) {
        let (feed, intake) = Feed::new(start.store.revision().is_some());
        let mut realm = Realm::of(start.access);
        if let Some(access) = &start.settings.access {
            realm.file = Arc::clone(&access.file);
        }
        let settings = Arc::new(rights::with_readers(start.settings, &realm));
        let plan = Plan::new(&settings, &start.zones, start.catalog.seed());
        let first = Arc::new(Snapshot {
            names: Names::build(&start.catalog, &settings),
            catalog: start.catalog,
            store: start.store,
            realm: Arc::new(realm),
            settings,
            zones: Arc::new(start.zones),
            plan: Arc::new(plan),
            sources: start.sources.into(),
            machines: Arc::default(),
            held: None,
            serial: later_serial(start.serial, (start.clock)() as u32),
        });
        let published = Arc::new(Published::new(Arc::clone(&first)));
        start.journal.count_in(Arc::clone(&start.metrics));
        let writer = Writer {
            intake,
            published: Arc::clone(&published),
            next: Snapshot::clone(&first),
            interner: Interner::new(first.catalog.seed()),
            retired: Vec::new(),
            clock: start.clock,
            next_expiry: (u64::MAX, None),
            began: Instant::now(),
            rest: Rest::none(Instant::now()),
            journal: start.journal,
            metrics: start.metrics,
        };
        writer.gauge();
        for source in writer.next.sources.iter() {
            writer.tell_source(source);
        }
        (writer, feed, published)
    }

    fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime with nothing but a clock can be built");
        loop {
            match self.next(&runtime) {
                Next::Batch(first) => {
                    self.guarded(|writer| writer.batch(first));
                    // Who hands in many changes one by one goes on, so that the next batch has all of them.
                    std::thread::yield_now();
                }
                Next::Nothing => {}
                Next::End => break,
            }
            self.guarded(Writer::expire);
            self.free_retired();
        }
        // Dropping the journal writes what is left.
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Writer)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.recover();
        }
    }

    /// Goes on from what is published, after a panic: nothing else would ever change again. Whoever waited for the batch
    /// is told that it came to nothing.
    fn recover(&mut self) {
        self.metrics.panics.inc();
        self.next = Snapshot::clone(&self.published.load());
        tracing::error!(
            "a change made the publisher panic; what came with it is dropped, please report it with this log"
        );
    }

    fn batch(&mut self, first: Option<Submission>) {
        if let Some(Submission { work: Work::Results, .. }) = first {
            // Who reports one mostly has more, and nobody waits for them: one publish of ten costs less than two.
            std::thread::yield_now();
        }
        let mut batch = Batch::default();
        batch.touched.followed = self.published.followed.node();
        self.metrics.feed_waiting.set(self.intake.submissions.len() as i64);
        // First, because what was found before a call or a registration came does not hold against it: a heartbeat that
        // comes a moment after its deadline has passed counts.
        self.take_results(&mut batch);
        first.into_iter().for_each(|first| self.take(first, &mut batch));
        for _ in 1..BATCH_MAX {
            match self.intake.submissions.try_recv() {
                Ok(submission) => self.take(submission, &mut batch),
                Err(_) => break,
            }
        }
        self.publish(batch);
    }

    fn take_results(&mut self, batch: &mut Batch) {
        let mut results = self.intake.take_results().into_iter();
        self.rest.taken(results.len(), Instant::now());
        loop {
            let some: Vec<_> = results.by_ref().take(FOUND_TOGETHER_MAX).collect();
            if some.is_empty() {
                return;
            }
            // So that what each of them waits for from memory comes together.
            let services = self.next.catalog.warm(some.iter().map(|(key, _)| key));
            self.next.names.warm(services.into_iter());
            for (key, mut result) in some {
                self.interner.output(&mut result.output);
                // An unknown check was deregistered while its probe ran.
                if let Ok(effects) = self.next.catalog.apply(Change::SetStatus { key, result }) {
                    self.follow(&effects, batch);
                }
            }
        }
    }

    fn take(&mut self, submission: Submission, batch: &mut Batch) {
        let Submission { work, accepted, done } = submission;
        let mut durable = false;
        let mut found = Vec::new();
        match work {
            // Of results that came since this batch began: no other wakes us while they wait.
            Work::Results => return self.take_results(batch),
            Work::Changes(changes) => match self.changes(changes, batch) {
                Ok(waits) => durable = waits,
                Err(error) => {
                    let _ = done.send(Err(error.into()));
                    return;
                }
            },
            Work::Transaction(operations) => match self.transact(operations, batch) {
                Ok(all) => (durable, found) = all,
                Err(errors) => {
                    let _ = done.send(Err(SubmitError::Failed(errors)));
                    return;
                }
            },
            Work::Store(change) => match self.store(change, batch) {
                Ok(waits) => durable = waits,
                Err(error) => {
                    let _ = done.send(Err(error.into()));
                    return;
                }
            },
            Work::Access(change) => match self.access(*change, batch) {
                Ok(waits) => durable = waits,
                Err(error) => {
                    let _ = done.send(Err(error.into()));
                    return;
                }
            },
            Work::Settings(settings) => self.set_settings(*settings, batch),
            Work::Zones(zones, kept) => self.set_zones((zones, kept), batch),
            Work::Held(services) => self.set_held(services, batch),
            Work::Machines(machines) => self.set_machines(machines, batch),
            Work::Source(status) => self.set_source(&status, batch),
            Work::NoSource(name) => self.forget_source(&name, batch),
        }
        batch.urgent |= durable;
        let receipt = Receipt { index: self.next.catalog.index(), found };
        batch.done.push(Done { to: done, receipt, accepted, durable });
    }

    /// Applies all changes, or none. Says whether the sender waits until they are durable: what a source can tell
    /// again, and what a check found, is written behind.
    fn changes(&mut self, changes: Vec<Change>, batch: &mut Batch) -> Result<bool, ChangeError> {
        // One change is applied whole or not at all anyway.
        let kept = (changes.len() > 1).then(|| self.next.catalog.clone());
        let mut durable = false;
        let mut all = Vec::with_capacity(changes.len());
        for mut change in changes {
            self.interner.change(&mut change);
            let operators = is_operators(&change);
            match self.next.catalog.apply(change) {
                Ok(effects) => {
                    // An identical change is durable only if the one before it is, which may be of this very batch.
                    let unwritten = || batch.changed || self.journal.status().waiting > 0;
                    durable |= operators && (!effects.is_empty() || unwritten());
                    all.push(effects);
                }
                Err(error) => {
                    kept.into_iter().for_each(|kept| self.next.catalog = kept);
                    return Err(error);
                }
            }
        }
        for effects in &all {
            self.follow(effects, batch);
        }
        Ok(durable)
    }

    /// Applies all operations, or none. Says whether the sender waits until they are durable, and what they found.
    fn transact(
        &mut self,
        mut operations: Vec<Operation>,
        batch: &mut Batch,
    ) -> Result<(bool, Vec<Found>), Vec<OperationError>> {
        for operation in &mut operations {
            let Operation::Catalog(operation) = operation else { continue };
            for change in operation.action.changes_mut() {
                self.interner.change(change);
            }
        }
        let now = self.began.elapsed();
        let Snapshot { catalog, store, .. } = &mut self.next;
        let Outcome { effects, touched, found } =
            transaction::transact((catalog, store), operations, (now, &self.metrics))?;
        for effects in &effects {
            self.follow(effects, batch);
        }
        batch.changed |= !touched.is_empty();
        batch.touched.stored.extend(touched);
        // What changes nothing is durable only if what came before it is, which may be of this very batch.
        Ok((batch.changed || self.journal.status().waiting > 0, found))
    }

    /// Lets what follows from the catalog follow.
    fn follow(&mut self, effects: &Effects, batch: &mut Batch) {
        if effects.is_empty() {
            return;
        }
        batch.changed = true;
        batch.zone_changed |= self.next.names.follow(effects, &self.next.settings);
        self.lapse(effects, batch);
        batch.touched.take_in(effects);
    }

    fn publish(&mut self, mut batch: Batch) {
        if batch.changed {
            if batch.zone_changed || batch.touched.queries() {
                self.next.serial = later_serial(self.next.serial, (self.clock)() as u32);
            }
            let old = self.published.swap(Arc::new(self.next.clone()));
            self.retired.push(old);
            // Only now: who is woken looks at the snapshot and must find there what it was woken for.
            if !batch.touched.definitions.is_empty() {
                self.published.touch_checks(std::mem::take(&mut batch.touched.definitions));
            }
            if batch.touched.machines {
                self.published.touch_machines();
            }
            let on_followed = std::mem::take(&mut batch.touched.on_followed);
            self.published.followed.touch(batch.touched.followed.as_ref(), on_followed);
            self.published.touch_sessions(batch.touched.sessions(), std::mem::take(&mut batch.touched.lapsed));
            batch.touched.wake(&self.published);
            self.metrics.publishes.inc();
            self.gauge();
        }
        let mut acknowledge = Vec::new();
        for done in std::mem::take(&mut batch.done) {
            self.metrics.publish_lag_seconds.observe(done.accepted.elapsed().as_secs_f64());
            if done.durable {
                acknowledge.push(Waiting::new(done.to, done.receipt));
            } else {
                // Who no longer waits needs no answer.
                let _ = done.to.send(Ok(done.receipt));
            }
        }
        if batch.changed || !acknowledge.is_empty() {
            let mut writes = if self.journal.is_durable() { batch.touched.writes(&self.next) } else { Vec::new() };
            writes.append(&mut batch.kept);
            self.journal.write(journal::Batch {
                index: self.next.catalog.index(),
                serial: self.next.serial,
                extinction_index: self.next.catalog.indexes().extinction,
                writes,
                acknowledge,
                urgent: batch.urgent,
            });
        }
    }

    fn gauge(&self) {
        let catalog = &self.next.catalog;
        self.metrics.catalog_index.set(i64::try_from(catalog.index()).unwrap_or(i64::MAX));
        self.metrics.catalog_nodes.set(catalog.node_count() as i64);
        self.metrics.catalog_services.set(catalog.service_count() as i64);
        self.metrics.catalog_instances.set(catalog.instance_count() as i64);
        let store = &self.next.store;
        self.metrics.kv_keys.set(store.key_count() as i64);
        self.metrics.kv_sessions.set(store.session_count() as i64);
        self.metrics.kv_queries.set(store.query_count() as i64);
        self.metrics.zones.set(self.next.zones.len() as i64);
    }

    fn free_retired(&mut self) {
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }
}

/// Whether an operator made the change, who is told when it is durable.
fn is_operators(change: &Change) -> bool {
    match change {
        Change::Register(registration) => registration.instance.origin == Origin::Api,
        Change::Deregister { origin, .. }
        | Change::DeregisterCheck { origin, .. }
        | Change::DeregisterNode { origin, .. } => *origin == Origin::Api,
        Change::RegisterCheck(check) => check.origin == Origin::Api,
        Change::RegisterNode(node) => !matches!(node.origin, Origin::Cluster | Origin::Registry),
        Change::InstanceMaintenance { .. } => true,
        Change::SetStatus { .. } | Change::Mirror(_) | Change::ReplaceOrigin { .. } => false,
    }
}

/// The serial after `previous`: follows the clock (which may go around in 2106), never stays or goes back (RFC 1982 arithmetic).
fn later_serial(previous: u32, now: u32) -> u32 {
    let next = previous.wrapping_add(1);
    if (now.wrapping_sub(next) as i32) > 0 { now } else { next }
}

/// Most submissions that one publish takes.
///
/// Source: none, chosen: at some microseconds a change, one batch delays the next by a few milliseconds.
const BATCH_MAX: usize = 1024;

/// Longest sleep while there is nothing to do. Source: none, chosen.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// How often snapshots that readers still held are looked at again. Source: DESIGN: idle workers let go within 250 ms.
const SCAN_INTERVAL: Duration = Duration::from_millis(250);

#[cfg(test)]
#[path = "publisher_tests.rs"]
pub(crate) mod tests;
