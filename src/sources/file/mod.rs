//! Registration by file: a directory of TOML or JSON definitions in Consul's shape, read again when one changes.
//!
//! ```toml
//! [[services]]
//! name = "web"
//! port = 80
//! tags = ["blue"]
//! check = { http = "http://127.0.0.1/health", interval = "10s" }
//! ```
//!
//! All files together are one state: what no file defines any more is deregistered. A file that is wrong is reported
//! with its line, once, and what it last held that was good stays in force; if it was never good since the start, what
//! files had registered before stays until it is good or gone. Of two definitions of the same ID, that of the file
//! whose name comes first stands, and the other is reported. Write a file under another name and rename it, so that
//! it is never seen half written.
//!
//! | bound | value |
//! |---|---|
//! | files | 4,096, else the directory counts as unreadable |
//! | size of a file | 1 MiB |
//! | from a change to its registration | 1 s, or at once by [`Reload`] |
//!
//! **Limits:** no subdirectories; names that begin with a dot, or end in neither `.toml` nor `.json`, are passed over.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, mem,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::spawn_blocking, time::MissedTickBehavior};

use crate::{
    catalog::{
        change::{Change, Origin, Registration},
        check::{Check, CheckKey},
        definition::Owner,
        names::{CheckId, NodeName, ServiceId},
        policy::ScriptChecks,
        service::Instance,
        state::State,
    },
    observe::metrics::{self, Metrics},
    publish::{
        feed::{Feed, SourceStatus, SubmitError},
        watch::Published,
    },
};

mod directory;
mod merge;
mod toml_tree;

use directory::Directory;
use merge::{Defined, LeftOut, merge};

/// Why a file was refused, or what its author should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct FileProblem {
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// What is wrong.
    pub problem: String,
}

/// What the source needs to know.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// The directory.
    pub directory: PathBuf,
    /// The node on which the instances run: our own.
    pub node: NodeName,
    /// Whose checks may run commands.
    pub script_checks: ScriptChecks,
    /// How long the directory may be unreadable before what it brought counts as stale.
    pub stale_after: Duration,
    /// Where reloads are counted.
    pub metrics: Arc<Metrics>,
}

/// Keeps the catalog as the files say.
#[derive(Debug)]
pub struct FileSource {
    settings: FileSettings,
    feed: Feed,
    published: Arc<Published>,
    reload: Arc<Notify>,
    directory: Directory,
    /// Whether what the files say is not yet in the catalog.
    pending: bool,
    /// Whether files were read again of which it is not yet known what came of it.
    reloading: bool,
    inherited: Option<Inherited>,
    away: Option<Away>,
    status: SourceStatus,
    /// What was logged and still holds; said only once.
    reported: BTreeSet<Report>,
}

/// Since when the directory cannot be read, and why.
#[derive(Debug)]
struct Away {
    since: Instant,
    problem: String,
}

/// One log line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Report {
    /// Someone must act.
    Error(String),
    /// It was coped with.
    Warning(String),
}

/// What files had registered before the server started, kept while a file that was bad at the start still is.
#[derive(Debug)]
struct Inherited {
    defined: Defined,
    waiting_for: BTreeSet<PathBuf>,
}

/// Asks the source to read all files again, now.
#[derive(Debug, Clone)]
pub struct Reload(Arc<Notify>);

impl Reload {
    /// Returns at once.
    pub fn reload(&self) {
        self.0.notify_one();
    }
}

/// Whether the server still takes changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Running,
    Stopping,
}

impl FileSource {
    /// A source that has not looked yet, and the handle that makes it look.
    pub fn new(settings: FileSettings, feed: Feed, published: Arc<Published>) -> (FileSource, Reload) {
        let reload = Arc::new(Notify::new());
        let owner = Owner { node: settings.node.clone(), origin: Origin::File };
        let source = FileSource {
            directory: Directory::new(settings.directory.clone(), owner, settings.script_checks),
            status: FileSource::initial_status(&settings.directory),
            settings,
            feed,
            published,
            reload: Arc::clone(&reload),
            pending: true,
            reloading: false,
            inherited: None,
            away: None,
            reported: BTreeSet::new(),
        };
        (source, Reload(reload))
    }

    /// How the source is before it has looked: the publisher waits for its first list.
    pub fn initial_status(directory: &Path) -> SourceStatus {
        let name = Arc::from(format!("file {}", directory.display()));
        SourceStatus { name, origin: Origin::File, synced: false, stale: false, away: None }
    }

    /// Works until the server stops.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(LOOK_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let reload = Arc::clone(&self.reload);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = reload.notified() => {
                    self.directory.forget();
                    self.reloading = true;
                }
            }
            if self.step(Instant::now()).await == Server::Stopping {
                return;
            }
        }
    }

    /// Looks once, and brings the catalog to what the files say.
    async fn step(&mut self, now: Instant) -> Server {
        let changed = match self.look().await {
            Ok(changed) => changed,
            Err(error) => {
                self.count_reload(Err(()));
                return self.away(now, &error).await;
            }
        };
        let first = !self.status.synced && self.inherited.is_none();
        self.pending |= changed;
        self.reloading |= changed && !first;
        let mut server = Server::Running;
        if self.pending {
            server = self.apply(first).await;
        }
        let refused = self.reported.iter().any(|report| matches!(report, Report::Error(_)));
        self.count_reload(if refused { Err(()) } else { Ok(()) });
        if server == Server::Running && !self.pending {
            if let Some(away) = self.away.take() {
                tracing::info!("the directory of services can be read again, after: {}", away.problem);
            }
            server = self.tell(SourceStatus { synced: true, stale: false, away: None, ..self.status.clone() }).await;
        }
        server
    }

    /// Counts what came of files that were read again, once.
    fn count_reload(&mut self, result: Result<(), ()>) {
        if mem::take(&mut self.reloading) {
            self.settings.metrics.reload(metrics::Reload::Services, result);
        }
    }

    async fn look(&mut self) -> io::Result<bool> {
        let owner = Owner { node: self.settings.node.clone(), origin: Origin::File };
        let empty = Directory::new(PathBuf::new(), owner.clone(), self.settings.script_checks);
        let mut directory = mem::replace(&mut self.directory, empty);
        let looked = spawn_blocking(move || {
            let outcome = directory.look();
            (directory, outcome)
        });
        match looked.await {
            Ok((directory, outcome)) => {
                self.directory = directory;
                outcome
            }
            Err(error) => {
                // Only when the runtime is going down, or by a panic, whose files are then read again.
                let (directory, scripts) = (self.settings.directory.clone(), self.settings.script_checks);
                self.directory = Directory::new(directory, owner, scripts);
                Err(io::Error::other(error))
            }
        }
    }

    /// The directory cannot be read: all stays as it is, and counts as stale after a while.
    async fn away(&mut self, now: Instant, error: &io::Error) -> Server {
        let path = self.settings.directory.display();
        let problem = format!("{path}: the directory of services cannot be read: {error}");
        if self.away.as_ref().is_none_or(|away| away.problem != problem) {
            tracing::error!("{problem}; what its files brought stays in force");
        }
        let since = self.away.as_ref().map_or(now, |away| away.since);
        let away = Some(Arc::from(&*problem));
        self.away = Some(Away { since, problem });
        let stale = now.saturating_duration_since(since) >= self.settings.stale_after;
        self.tell(SourceStatus { stale, away, ..self.status.clone() }).await
    }

    async fn tell(&mut self, status: SourceStatus) -> Server {
        if status == self.status {
            return Server::Running;
        }
        match self.feed.set_source(status.clone()).await {
            Ok(_) => self.status = status,
            Err(SubmitError::Closed) => return Server::Stopping,
            // Told again at the next look, because the status is not yet this one.
            Err(_) => {}
        }
        Server::Running
    }

    async fn apply(&mut self, first: bool) -> Server {
        let snapshot = self.published.load();
        let catalog = &snapshot.catalog;
        let (mut defined, left_out) = merge(self.directory.definitions(), catalog, &self.settings.node);
        if first {
            let waiting_for: BTreeSet<PathBuf> = self.directory.never_good().map(Path::to_owned).collect();
            self.inherited = Some(Inherited { defined: registered(catalog, &self.settings.node), waiting_for });
        }
        self.inherit(&mut defined);
        let mut reports = self.reports(&left_out);
        let count = defined.services.len();
        let changes = changes(catalog, &self.settings.node, defined);
        drop(snapshot);
        match self.feed.submit(changes).await {
            Ok(_) => {
                self.pending = false;
                let directory = self.settings.directory.display();
                tracing::info!(services = count, "{directory}: {count} services of files are registered");
            }
            Err(SubmitError::Closed) => return Server::Stopping,
            Err(SubmitError::Journal(failure)) => {
                // The files are read again at the next start, so nothing is lost.
                self.pending = false;
                reports.insert(Report::Error(failure.to_string()));
            }
            Err(error) => {
                let path = self.settings.directory.display();
                let problem = format!("{path}: the services could not be registered, which is tried again: {error}");
                reports.insert(Report::Error(problem));
            }
        }
        self.report(reports);
        Server::Running
    }

    /// Adds what was registered before the start, while a file that was bad then still is.
    fn inherit(&mut self, defined: &mut Defined) {
        let Some(inherited) = &mut self.inherited else { return };
        let still_bad: BTreeSet<&Path> = self.directory.never_good().collect();
        inherited.waiting_for.retain(|path| still_bad.contains(path.as_path()));
        if inherited.waiting_for.is_empty() {
            inherited.defined = Defined::default();
        }
        for (id, registration) in &inherited.defined.services {
            defined.services.entry(id.clone()).or_insert_with(|| registration.clone());
        }
        for (id, check) in &inherited.defined.node_checks {
            defined.node_checks.entry(id.clone()).or_insert_with(|| check.clone());
        }
    }

    /// What is to be said of the files as they are now.
    fn reports(&self, left_out: &[LeftOut]) -> BTreeSet<Report> {
        let place = |file: &Path, line: u32| match line {
            0 => file.display().to_string(),
            line => format!("{} line {line}", file.display()),
        };
        let left_out =
            left_out.iter().map(|left| format!("{}: left out: {}", place(&left.file, left.line), left.problem));
        let of_files = self.directory.reports().map(|(file, report, refused)| {
            let text = format!("{}: {report}", place(file, report.line));
            if refused {
                Report::Error(format!("{text}; what it last held stays in force"))
            } else {
                Report::Warning(text)
            }
        });
        of_files.chain(left_out.map(Report::Error)).collect()
    }

    /// Logs what is new of these.
    fn report(&mut self, reports: BTreeSet<Report>) {
        for report in reports.difference(&self.reported) {
            match report {
                Report::Error(text) => tracing::error!("{text}"),
                Report::Warning(text) => tracing::warn!("{text}"),
            }
        }
        self.reported = reports;
    }
}

/// All that files have in the catalog.
fn registered(catalog: &State, node: &NodeName) -> Defined {
    let of_file = |check: &&Arc<Check>| check.origin == Origin::File && !check.is_maintenance();
    let keys = catalog.of_origin(node, Origin::File);
    let services: BTreeMap<ServiceId, Registration> = keys
        .iter()
        .filter_map(|key| catalog.instance(key))
        .filter_map(|entry| {
            let shadowed = entry.shadowed.iter().find(|loser| loser.instance.origin == Origin::File);
            let registration = match shadowed {
                Some(loser) => Registration::clone(loser),
                None if entry.instance.origin == Origin::File => Registration {
                    instance: Instance::clone(&entry.instance),
                    checks: entry
                        .checks
                        .iter()
                        .map(|own| &own.check)
                        .filter(of_file)
                        .map(|c| Check::clone(c))
                        .collect(),
                    replace_existing_checks: true,
                },
                None => return None,
            };
            Some((registration.instance.id.clone(), registration))
        })
        .collect();
    let node_checks = node_checks(catalog, node).map(|check| (check.id.clone(), Check::clone(check))).collect();
    Defined { services, node_checks }
}

/// The node's checks that files registered.
fn node_checks<'a>(catalog: &'a State, node: &NodeName) -> impl Iterator<Item = &'a Arc<Check>> {
    let checks = catalog.node(node).into_iter().flat_map(|entry| entry.checks.iter().map(|own| &own.check));
    checks.filter(|check| check.origin == Origin::File)
}

/// What makes the catalog as the files say, as one change.
fn changes(catalog: &State, node: &NodeName, defined: Defined) -> Vec<Change> {
    let key = |id: &CheckId| CheckKey { node: node.clone(), id: id.clone() };
    let gone = node_checks(catalog, node).filter(|check| !defined.node_checks.contains_key(&check.id));
    let mut changes: Vec<Change> =
        gone.map(|check| Change::DeregisterCheck { key: key(&check.id), origin: Origin::File }).collect();
    changes.push(Change::ReplaceOrigin {
        node: node.clone(),
        origin: Origin::File,
        registrations: defined.services.into_values().collect(),
    });
    changes.extend(defined.node_checks.into_values().map(|check| Change::RegisterCheck(Box::new(check))));
    changes
}

/// What makes the catalog as if no file defined anything, for a server without a directory of services: what files had
/// registered before can be taken back by nobody else.
pub fn none_defined(catalog: &State, node: &NodeName) -> Vec<Change> {
    changes(catalog, node, Defined::default())
}

/// How often the directory is looked at. Source: DESIGN: files are watched each second.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
