//! Health checks: probes what our own node's checks ask for, and those that were registered for nodes without a nameplate; watches
//! over check deadlines, and deregisters what has been critical for too long.
//!
//! One task, the `scheduler`, owns all timers and state; each probe is a task of its own, bounded by its timeout,
//! so no check ever delays another. What is due when is decided in `schedule`, whose turn it is on a
//! host in `hosts`, when a result counts in `thresholds` and `damping`; these know no clock. Results go into the feed; definitions come out of the published snapshot.
//!
//! | bound | value |
//! |---|---|
//! | probes in flight | the setting (4,096), or a fourth of the open files; due longest goes first |
//! | of them of one target host | the setting (64); due longest goes first |
//! | connections kept for later probes | as many as probes in flight, each 30 s, see `kept` |
//! | a probe's time | its timeout, from when its connection is asked for (10 s where none is given), name resolution included; as much again as this process saw its end late, 5 s at most |
//! | body read | 4 KiB and 1 s beyond the head |
//! | read by probes of other protocols | 4 KiB; a DNS response by TCP 64 KiB |
//! | redirects | 10 |
//! | commands of checks at once | 64, see `command` |
//! | results waiting for the publisher | one a check, the newest |
//! | instances being deregistered at once | 256; the others 200 ms later |
//! | memory | some 100 bytes a check; a probe in flight at most 0.5 MB (the HTTP library's read buffer) |
//!
//! **Limits:** deadlines are those of our own node only; of other nodes, probed checks that were registered by our API
//! are run, or, with a store that machines share, our part of them (`scheduler::ours`), and those of other sources are not. A change of
//! output alone is published at most every 5 minutes a check, as in Consul. Where a probe cannot be made for a reason of ours, the status stays, and the output says why.
//!
//! **Source:** Consul's agent checks, as far as the API shows them.

mod alias;
mod amqp;
mod command;
mod connect;
pub mod damping;
pub mod deadlines;
mod dns;
mod docker;
mod exchange;
mod gap;
mod grpc;
mod guard;
mod h2ping;
mod hosts;
mod http;
mod http2;
mod icmp;
mod kept;
mod mysql;
mod postgres;
mod probe;
pub mod reading;
mod reaper;
mod redis;
mod references;
mod schedule;
mod scheduler;
mod script;
pub mod sessions;
mod slots;
pub mod stats;
mod systemd;
mod tcp;
mod thresholds;
mod tls;
mod udp;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod testing;

use std::{path::PathBuf, sync::Arc};

use rustix::process::{Resource, getrlimit};
use tokio::{sync::oneshot, task::JoinHandle};

use self::{
    damping::DampingSettings,
    deadlines::Deadlines,
    probe::Prober,
    scheduler::Scheduler,
    sessions::{SessionTimes, Sessions},
    stats::Stats,
};
pub use self::{
    probe::{Resolving, TargetResolver},
    references::GuardSettings,
};
use crate::{
    catalog::{names::NodeName, policy::ScriptChecks},
    observe::metrics::Metrics,
    publish::{feed::Feed, watch::Published},
    sources::docker::client::Endpoint,
};

/// What the health checks need to know.
#[derive(Debug, Clone)]
pub struct HealthSettings {
    /// Our own node; all its checks are run.
    pub node: NodeName,
    /// Index of the catalog as the journal had it. Checks that have not changed since are those of a former life:
    /// their first probes are spread over their interval, but over 30 s at most. 0 if nothing came from a journal.
    pub restored_index: u64,
    /// Most probes that run at the same time; each holds one open file, one with redirects two for a moment. A tenth
    /// of this process's limit of open files counts if it is less.
    pub probes_in_flight_max: usize,
    /// Most of them of one target host.
    pub probes_per_host_max: usize,
    /// What is done with checks that flap.
    pub damping: DampingSettings,
    /// Where the results of probes are counted.
    pub metrics: Arc<Metrics>,
    /// Where CA certificates are; none looks at `SSL_CERT_FILE` and the usual places of the system.
    pub ca_bundle: Option<PathBuf>,
    /// Whose checks may run commands.
    pub scripts: ScriptChecks,
    /// Where a Docker daemon may be, in whose containers checks run commands; the first that is there is asked.
    pub docker: Vec<Endpoint>,
    /// How failures are guarded that come all at once; none reports them as they come.
    pub guard: Option<GuardSettings>,
}

/// Most probes that run at the same time, unless an operator says otherwise.
///
/// Source: none, chosen: at an interval of 10 s and 1 s a probe it suffices for 40,000 checks.
pub const PROBES_IN_FLIGHT_MAX: usize = 4096;

/// Probes may have one of so many open files. Source: none, chosen: four fifths are for HTTP, where reads wait.
const FILES_SHARE: u64 = 10;

/// The running health checks. They end when this is dropped.
#[derive(Debug)]
pub struct Health {
    deadlines: Arc<Deadlines>,
    sessions: Sessions,
    stats: Arc<Stats>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Health {
    /// Starts them on the current tokio runtime. There may be one only: it takes the hints of touched checks.
    pub fn start(
        mut settings: HealthSettings,
        feed: Feed,
        published: Arc<Published>,
        resolver: TargetResolver,
    ) -> Health {
        let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let affordable = usize::try_from(open_files / FILES_SHARE).unwrap_or(usize::MAX);
        settings.probes_in_flight_max = settings.probes_in_flight_max.min(affordable).max(1);
        let deadlines = Arc::new(Deadlines::new(Arc::clone(&published)));
        let stats = Arc::new(Stats::default());
        let sessions = Sessions::start(feed.clone(), Arc::clone(&published));
        let prober = Arc::new(
            Prober::new(Arc::clone(&resolver), settings.ca_bundle.clone())
                .keeping(settings.probes_in_flight_max)
                .with_commands(settings.scripts, settings.docker.clone()),
        );
        let (stop, stopped) = oneshot::channel();
        let shared = scheduler::Shared {
            feed,
            published,
            deadlines: Arc::clone(&deadlines),
            prober,
            resolver,
            stats: Arc::clone(&stats),
        };
        let task = tokio::spawn(Scheduler::new(settings, shared).run(stopped));
        Health { deadlines, sessions, stats, stop, task }
    }

    /// The check deadlines, for the HTTP handlers.
    pub fn deadlines(&self) -> Arc<Deadlines> {
        Arc::clone(&self.deadlines)
    }

    /// The times of sessions, for the HTTP handlers.
    pub fn session_times(&self) -> Arc<SessionTimes> {
        self.sessions.times()
    }

    /// The numbers, for metrics.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Ends all probes and timers; returns when nothing is reported any more.
    pub async fn shutdown(self) {
        drop(self.stop);
        self.sessions.shutdown().await;
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the health scheduler had ended before");
        }
    }
}

#[cfg(test)]
mod cluster_tests;

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
