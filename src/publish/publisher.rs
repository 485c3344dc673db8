//! The one writer: takes what waits in the feed as a batch, applies it, swaps the snapshot, and hands the batch to
//! the journal. What arrives meanwhile is the next batch; there is no timer.

use std::{
    collections::HashSet,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    catalog::{
        apply::Effects,
        change::{Change, ChangeError},
        names::ServiceName,
        state::State,
    },
    publish::{
        feed::{Feed, Intake, Receipt, SourceStatus, Submission, SubmitError, Work},
        names::Names,
        plan::Plan,
        settings::Settings,
        snapshot::Snapshot,
        watch::{Published, WatchKey},
    },
    zones::Zones,
};

/// What the publisher begins with.
#[derive(Debug)]
pub struct Start {
    /// The catalog as it was stored, or an empty one.
    pub catalog: State,
    /// The settings in force.
    pub settings: Settings,
    /// Static zones.
    pub zones: Zones,
    /// The sources that must deliver a first list.
    pub sources: Vec<SourceStatus>,
    /// The last SOA serial that was published.
    pub serial: u32,
    /// Seconds since 1970; the serial follows it.
    pub clock: fn() -> u32,
}

/// The writer's thread. It ends when all feeds are dropped or [`Publisher::stop`] is called.
#[derive(Debug)]
pub struct Publisher {
    thread: JoinHandle<()>,
}

impl Publisher {
    /// Builds the first snapshot and starts the thread.
    pub fn start(start: Start) -> std::io::Result<(Publisher, Feed, Arc<Published>)> {
        let (feed, intake) = Feed::new();
        let settings = Arc::new(start.settings);
        let plan = Plan::new(&settings, &start.zones, start.catalog.seed());
        let first = Arc::new(Snapshot {
            names: Names::build(&start.catalog, &settings),
            catalog: start.catalog,
            settings,
            zones: Arc::new(start.zones),
            plan: Arc::new(plan),
            sources: start.sources.into(),
            serial: later_serial(start.serial, (start.clock)()),
        });
        let published = Arc::new(Published::new(Arc::clone(&first)));
        let writer = Writer {
            intake,
            published: Arc::clone(&published),
            next: Snapshot::clone(&first),
            retired: Vec::new(),
            clock: start.clock,
        };
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
    /// Snapshots that a reader may still hold; freed here, never by a thread that answers.
    retired: Vec<Arc<Snapshot>>,
    clock: fn() -> u32,
}

/// What one batch did.
#[derive(Default)]
struct Batch {
    touched: Touched,
    /// Whether anything that a reader sees has changed.
    changed: bool,
    /// Whether what DNS answers may have changed.
    zone_changed: bool,
    done: Vec<(oneshot::Sender<Result<Receipt, SubmitError>>, u64, Instant)>,
}

#[derive(Default)]
struct Touched {
    services: HashSet<ServiceName>,
    nodes: bool,
    checks: bool,
    sources: bool,
}

impl Writer {
    fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime with nothing but a clock can be built");
        loop {
            let wait = if self.retired.is_empty() { Duration::from_secs(3600) } else { SCAN_INTERVAL };
            match runtime.block_on(async { tokio::time::timeout(wait, self.intake.submissions.recv()).await }) {
                Ok(None) => break,
                Ok(Some(first)) => self.batch(first),
                Err(_) => {}
            }
            self.free_retired();
            std::thread::yield_now();
        }
    }

    fn batch(&mut self, first: Submission) {
        let mut batch = Batch::default();
        self.take(first, &mut batch);
        for _ in 1..BATCH_MAX {
            match self.intake.submissions.try_recv() {
                Ok(submission) => self.take(submission, &mut batch),
                Err(_) => break,
            }
        }
        for (key, result) in self.intake.take_results() {
            // An unknown check was deregistered while its probe ran.
            if let Ok(effects) = self.next.catalog.apply(Change::SetStatus { key, result }) {
                self.follow(&effects, &mut batch);
            }
        }
        self.publish(batch);
    }

    fn take(&mut self, submission: Submission, batch: &mut Batch) {
        let Submission { work, accepted, done } = submission;
        match work {
            Work::Results => return,
            Work::Changes(changes) => {
                if let Err(error) = self.changes(changes, batch) {
                    let _ = done.send(Err(error.into()));
                    return;
                }
            }
            Work::Settings(settings) => {
                self.next.settings = Arc::new(*settings);
                self.plan();
                self.next.names = Names::build(&self.next.catalog, &self.next.settings);
                (batch.changed, batch.zone_changed) = (true, true);
            }
            Work::Zones(zones) => {
                self.next.zones = Arc::new(zones);
                self.plan();
                (batch.changed, batch.zone_changed) = (true, true);
            }
            Work::Source(status) => {
                let mut sources: Vec<_> =
                    self.next.sources.iter().filter(|source| source.name != status.name).cloned().collect();
                sources.push(status);
                self.next.sources = sources.into();
                (batch.changed, batch.touched.sources) = (true, true);
            }
        }
        batch.done.push((done, self.next.catalog.index(), accepted));
    }

    fn plan(&mut self) {
        self.next.plan = Arc::new(Plan::new(&self.next.settings, &self.next.zones, self.next.catalog.seed()));
    }

    /// Applies all changes, or none.
    fn changes(&mut self, changes: Vec<Change>, batch: &mut Batch) -> Result<(), ChangeError> {
        let kept = self.next.catalog.clone();
        let mut all = Vec::with_capacity(changes.len());
        for change in changes {
            match self.next.catalog.apply(change) {
                Ok(effects) => all.push(effects),
                Err(error) => {
                    self.next.catalog = kept;
                    return Err(error);
                }
            }
        }
        for effects in &all {
            self.follow(effects, batch);
        }
        Ok(())
    }

    /// Lets what follows from the catalog follow.
    fn follow(&mut self, effects: &Effects, batch: &mut Batch) {
        if effects.is_empty() {
            return;
        }
        batch.changed = true;
        batch.zone_changed |= self.next.names.follow(effects, &self.next.settings);
        for touched in &effects.instances {
            let presences = touched.before.iter().chain(&touched.after);
            batch.touched.services.extend(presences.map(|presence| presence.entry.instance.service.clone()));
        }
        batch.touched.nodes |= !effects.nodes.is_empty();
        batch.touched.checks |= !effects.checks.is_empty() || !effects.statuses.is_empty();
        if !effects.checks.is_empty() {
            self.published.touch_checks(effects.checks.iter().cloned());
        }
    }

    fn publish(&mut self, batch: Batch) {
        if batch.changed {
            if batch.zone_changed {
                self.next.serial = later_serial(self.next.serial, (self.clock)());
            }
            let old = self.published.swap(Arc::new(self.next.clone()));
            self.retired.push(old);
            self.wake(&batch.touched);
        }
        for (done, index, _) in batch.done {
            let _ = done.send(Ok(Receipt { index }));
        }
    }

    fn wake(&self, touched: &Touched) {
        if !self.published.has_waiters() {
            return;
        }
        for service in &touched.services {
            self.published.touch(&WatchKey::Service(service.clone()));
        }
        let lists = [
            (!touched.services.is_empty(), WatchKey::Services),
            (touched.nodes, WatchKey::Nodes),
            (touched.checks, WatchKey::Checks),
            (touched.sources, WatchKey::Sources),
        ];
        for (_, key) in lists.iter().filter(|(touched, _)| *touched) {
            self.published.touch(key);
        }
    }

    fn free_retired(&mut self) {
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }
}

/// The serial after `previous`: follows the clock, never stays or goes back (RFC 1982 arithmetic).
fn later_serial(previous: u32, now: u32) -> u32 {
    let next = previous.wrapping_add(1);
    if (now.wrapping_sub(next) as i32) > 0 { now } else { next }
}

/// Most submissions that one publish takes.
///
/// Source: none, chosen: at some microseconds a change, one batch delays the next by a few milliseconds.
const BATCH_MAX: usize = 1024;

/// How often snapshots that readers still held are looked at again. Source: DESIGN: idle workers let go within 250 ms.
const SCAN_INTERVAL: Duration = Duration::from_millis(250);
