//! Keeps the catalog as a daemon's containers are.

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    AddressMode, HostAddresses, Settings,
    client::{Client, ClientError, Endpoint, first_socket},
    known::Known,
    session::{Session, SessionError, Step},
};
use crate::{
    catalog::{
        change::{ChangeError, Origin},
        spanning::SpanningNetworks,
    },
    publish::{
        feed::{Feed, SourceStatus, SubmitError},
        watch::Published,
    },
};

/// What the source needs to know.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    /// Which daemon.
    pub daemon: Daemon,
    /// What is made of its containers.
    pub containers: Settings,
    /// The addresses of this host.
    pub host: HostAddresses,
    /// How long the daemon may be away before what it told counts as stale.
    pub stale_after: Duration,
}

/// Which daemon is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Daemon {
    /// This one, and nothing is complete without it.
    Named(Endpoint),
    /// The first of these that is there, if any is.
    Found(Vec<Endpoint>),
}

/// How the daemon is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// It has not been looked for yet, or not all is known of it yet.
    Looking,
    /// There is none.
    Absent,
    /// It cannot be reached, for this reason.
    Away(String),
    /// All is known of it: where it is and the version of its API, how many containers have services, how many services.
    Connected {
        /// Where it is, and what is spoken.
        daemon: String,
        /// Containers that have services.
        containers: usize,
        /// Their services.
        services: usize,
    },
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        match self {
            Connection::Looking => f.write_str("not read yet; the log tells when it is"),
            Connection::Absent => f.write_str("no daemon found (--docker URL names one)"),
            Connection::Away(problem) => f.write_str(problem),
            Connection::Connected { daemon, containers, services } => {
                let (more, others) = (plural(*containers), plural(*services));
                write!(f, "{daemon}: {containers} container{more} with {services} service{others}")
            }
        }
    }
}

/// A running source.
#[derive(Debug)]
pub struct DockerSource {
    settings: DockerSettings,
    feed: Feed,
    published: Arc<Published>,
    known: Known,
    /// As it was told; none while there is no daemon.
    status: Option<SourceStatus>,
    /// Whether anything was ever known, from a list or from disk.
    was_read: bool,
    started: Instant,
    away: Option<Away>,
    progress: Progress,
    connection: watch::Sender<Connection>,
    /// Told which networks span machines, if somebody wants to know.
    spanning: Option<watch::Sender<Option<Arc<SpanningNetworks>>>>,
}

/// Since when the daemon cannot be read, and why.
#[derive(Debug)]
struct Away {
    since: Instant,
    problem: String,
}

/// What the catalog has of what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing: the first list is not complete.
    Nothing,
    /// All but the last changes.
    UpToDate,
    /// Something could not be submitted, so that all of it is submitted again.
    Unsubmitted,
}

/// Whether the server still takes changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Running,
    Stopping,
}

/// Why a session is over.
enum End {
    Stopping,
    NoSocket,
    Error(SessionError),
}

impl<E: Into<SessionError>> From<E> for End {
    fn from(error: E) -> End {
        End::Error(error.into())
    }
}

impl DockerSource {
    /// A source that has not looked yet, and how its daemon is, as that changes. `status` is what [`DockerSource::initial_status`]
    /// said.
    pub fn new(
        settings: DockerSettings,
        status: Option<SourceStatus>,
        feed: Feed,
        published: Arc<Published>,
    ) -> (DockerSource, watch::Receiver<Connection>) {
        let settings = elsewhere(settings);
        let (connection, connections) = watch::channel(Connection::Looking);
        let source = DockerSource {
            known: Known::new(settings.containers.clone(), settings.host),
            settings,
            feed,
            published,
            was_read: status.as_ref().is_some_and(|status| status.synced),
            status,
            started: Instant::now(),
            away: None,
            progress: Progress::Nothing,
            connection,
            spanning: None,
        };
        (source, connections)
    }

    /// Has it tell which networks span machines, as they change.
    pub fn tells_networks(self, spanning: watch::Sender<Option<Arc<SpanningNetworks>>>) -> DockerSource {
        DockerSource { spanning: Some(spanning), ..self }
    }

    /// How the source is before it has looked: the publisher waits for its first list, unless there is no daemon, or what it
    /// last told is known from disk, which is stale until the first list. None: no such source.
    pub fn initial_status(daemon: &Daemon, is_on_disk: bool) -> Option<SourceStatus> {
        let is_there = match daemon {
            Daemon::Named(_) => true,
            Daemon::Found(candidates) => first_socket(candidates).is_some(),
        };
        let (name, origin) = (NAME.into(), Origin::Docker);
        let status = SourceStatus { name, origin, synced: is_on_disk, stale: is_on_disk, away: None };
        (is_there || is_on_disk).then_some(status)
    }

    /// Works until the server stops.
    pub async fn run(mut self) {
        let mut wait = RECONNECT_LEAST;
        self.known.remember(&self.published.load().catalog);
        loop {
            let synced_before = self.away.is_none();
            let Err(end) = self.session().await;
            if !synced_before && self.away.is_none() {
                wait = RECONNECT_LEAST;
            }
            let server = match end {
                End::Stopping => Server::Stopping,
                End::NoSocket => self.away(Instant::now(), None).await,
                End::Error(error) => self.away(Instant::now(), Some(&error)).await,
            };
            if server == Server::Stopping {
                return;
            }
            tokio::time::sleep_until((Instant::now() + wait).into()).await;
            wait = (wait * 2).min(RECONNECT_MOST);
        }
    }

    /// Follows a daemon until it goes away.
    async fn session(&mut self) -> Result<std::convert::Infallible, End> {
        let endpoint = match &self.settings.daemon {
            Daemon::Named(endpoint) => endpoint,
            Daemon::Found(candidates) => first_socket(candidates).ok_or(End::NoSocket)?,
        };
        let client = Client::connect(endpoint.clone()).await?;
        let mut session = Session::open(client, self.known.remembered()).await?;
        let mut is_listed = false;
        loop {
            let retry = (self.progress == Progress::Unsubmitted).then(|| Instant::now() + SUBMIT_AGAIN);
            let stepped = session.step(&mut self.known, retry).await;
            self.tell_networks();
            for problem in session.take_problems() {
                self.known.warn(problem);
            }
            let whole = matches!(stepped, Ok(Step::Whole));
            is_listed |= whole;
            let whole = whole || self.progress == Progress::Unsubmitted;
            if (whole || self.progress == Progress::UpToDate) && self.submit(whole).await == Server::Stopping {
                return Err(End::Stopping);
            }
            // What was heard before the end was true.
            stepped?;
            let is_synced = is_listed && self.progress == Progress::UpToDate;
            if is_synced {
                self.known.forget();
            }
            if is_synced && self.synced(session.client()).await == Server::Stopping {
                return Err(End::Stopping);
            }
        }
    }

    fn tell_networks(&self) {
        let (Some(told), Some(now)) = (&self.spanning, self.known.spanning()) else { return };
        told.send_if_modified(|before| {
            let is_new = before.as_deref() != Some(&now);
            if is_new {
                *before = Some(Arc::new(now));
            }
            is_new
        });
    }

    /// Brings the catalog to what is known: to what changed of it, or to all of it.
    async fn submit(&mut self, mut whole: bool) -> Server {
        for _ in 0..SUBMITS_MAX {
            let snapshot = self.published.load();
            let mut plan = if whole { self.known.whole(&snapshot.catalog) } else { self.known.plan(&snapshot.catalog) };
            drop(snapshot);
            for warning in self.known.take_warnings() {
                tracing::warn!("docker: {warning}");
            }
            if plan.is_empty() {
                return Server::Running;
            }
            match self.feed.submit(std::mem::take(&mut plan.changes)).await {
                // What the journal could not write is listed again at the next start.
                Ok(_) | Err(SubmitError::Journal(_)) => {
                    self.known.applied(plan);
                    self.progress = Progress::UpToDate;
                    return Server::Running;
                }
                Err(SubmitError::Closed) => return Server::Stopping,
                Err(SubmitError::Refused(ChangeError::CheckElsewhere(check))) => {
                    self.known.refuse(check);
                    whole = true;
                }
                // Something was deregistered between looking and submitting.
                Err(SubmitError::Refused(_)) if !whole => whole = true,
                Err(error) => {
                    self.known.warn(format!("services could not be registered, which is tried again: {error}"));
                    break;
                }
            }
        }
        self.progress = Progress::Unsubmitted;
        Server::Running
    }

    /// What was listed is in the catalog.
    async fn synced(&mut self, client: &Client) -> Server {
        let (containers, services) = self.known.counts();
        let daemon = format!("{}, API {}", client.endpoint(), client.version());
        let connection = Connection::Connected { daemon, containers, services };
        let was_away = self.away.take();
        if was_away.is_some() || !matches!(*self.connection.borrow(), Connection::Connected { .. }) {
            let after = was_away.map(|away| format!(", after: {}", away.problem)).unwrap_or_default();
            tracing::info!(containers, services, "docker: connected to {connection}{after}");
        }
        self.connection.send_replace(connection);
        self.was_read = true;
        let (name, origin) = (NAME.into(), Origin::Docker);
        let status = SourceStatus { name, origin, synced: true, stale: false, away: None };
        self.tell(Some(status)).await
    }

    /// The daemon cannot be read: all stays as it is, and counts as stale after a while. Without a problem there is none.
    async fn away(&mut self, now: Instant, problem: Option<&SessionError>) -> Server {
        let text = problem.map_or_else(|| "no container engine's socket is there".to_owned(), ToString::to_string);
        // What it says while it is being started again is no news.
        let is_new = self.away.is_none();
        let since = self.away.as_ref().map_or(now, |away| away.since);
        if !is_new {
            tracing::debug!("docker: {text}");
        }
        self.away = Some(Away { since, problem: text.clone() });
        let is_found = matches!(self.settings.daemon, Daemon::Found(_));
        if is_found && !self.was_read {
            // It is only tried, so that nothing waits for it any longer than it may still be starting.
            let is_forbidden = matches!(problem, Some(SessionError::Client(ClientError::Forbidden(_))));
            let is_over = now.saturating_duration_since(self.started) >= ABSENT_AFTER;
            if problem.is_none() || is_forbidden || is_over {
                return self.absent(problem.map(|_| text)).await;
            }
        }
        if is_new && self.was_read {
            tracing::error!("docker: {text}; what its containers registered stays in force");
        } else if is_new && !is_found {
            tracing::error!("docker: {text}; names that are not known are not denied until it is there");
        }
        let away: Option<Arc<str>> = Some(Arc::from(&*text));
        self.connection.send_replace(Connection::Away(text));
        let stale = now.saturating_duration_since(since) >= self.settings.stale_after;
        let status = self.status.clone().map(|status| SourceStatus { stale: status.stale || stale, away, ..status });
        self.tell(status).await
    }

    /// Nobody counts on a daemon.
    async fn absent(&mut self, problem: Option<String>) -> Server {
        let connection = problem.map_or(Connection::Absent, Connection::Away);
        let is_new = *self.connection.borrow() != connection || self.status.is_some();
        if let Connection::Away(problem) = &connection
            && is_new
        {
            tracing::warn!("docker: {problem}; going on without it, and it is tried again");
        }
        self.connection.send_replace(connection);
        self.tell(None).await
    }

    async fn tell(&mut self, status: Option<SourceStatus>) -> Server {
        if status == self.status {
            return Server::Running;
        }
        let told = match &status {
            Some(status) => self.feed.set_source(status.clone()).await,
            None => self.feed.forget_source(NAME.into()).await,
        };
        match told {
            Ok(_) => self.status = status,
            Err(SubmitError::Closed) => return Server::Stopping,
            // Told again at the next list or look, because the status is not yet this one.
            Err(_) => {}
        }
        Server::Running
    }
}

/// A daemon on another machine: that machine's address is the host's, and none of its containers' networks is one that our
/// clients are in.
fn elsewhere(mut settings: DockerSettings) -> DockerSettings {
    let endpoint = match &settings.daemon {
        Daemon::Named(endpoint) => Some(endpoint),
        Daemon::Found(candidates) => candidates.first(),
    };
    let Some(Endpoint::Tcp(host, _)) = endpoint else { return settings };
    let address: Option<IpAddr> = host.parse().ok();
    let own = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.is_loopback() || settings.host.v4 == Some(v4),
        IpAddr::V6(v6) => v6.is_loopback() || settings.host.v6 == Some(v6),
    };
    if host == "localhost" || address.is_some_and(own) {
        return settings;
    }
    settings.host = match address {
        Some(IpAddr::V4(v4)) => HostAddresses { v4: Some(v4), v6: None },
        Some(IpAddr::V6(v6)) => HostAddresses { v4: None, v6: Some(v6) },
        None => HostAddresses::default(),
    };
    if settings.containers.address == AddressMode::Auto {
        settings.containers.address = AddressMode::Host;
    }
    settings
}

/// What the source is called.
const NAME: &str = "docker";

/// From one attempt to reach the daemon to the next, at first and at last. Source: none, chosen: one that is back is read within
/// 2 s, and a socket that nobody listens on costs little to try.
const RECONNECT_LEAST: Duration = Duration::from_millis(100);
const RECONNECT_MOST: Duration = Duration::from_secs(1);

/// After this time a daemon that was only found by its socket, and was never read, is not waited for. Source: DNS.md, "At start".
const ABSENT_AFTER: Duration = Duration::from_secs(30);

/// After this time what could not be submitted is submitted again. Source: none, chosen.
const SUBMIT_AGAIN: Duration = Duration::from_secs(1);

/// How often something is submitted without those checks whose IDs are found to be others'. Source: none, chosen: more than such
/// checks are ever likely to be; what is left is tried again.
const SUBMITS_MAX: usize = 64;

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
