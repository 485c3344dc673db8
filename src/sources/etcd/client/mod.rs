//! A client of etcd, version 3.4 or later: reading, transactions, leases and watches by gRPC.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use nameplate::sources::etcd::client::{Client, Host, Settings, Timeouts};
//! let hosts = ["h1", "h2", "h3"].map(|name| Host { name: name.to_owned(), port: 2379 });
//! let settings = Settings { hosts: hosts.to_vec(), tls: None, login: None, timeouts: Timeouts::default() };
//! let client = Client::connect(settings);
//! let listing = client.range(b"/nameplate/v1/", None).await?;
//! let mut watch = client.watch(b"/nameplate/v1/", listing.header.revision + 1).await?;
//! loop {
//!     let batch = watch.next().await?;
//!     println!("{} events, at revision {}", batch.events.len(), batch.revision);
//! }
//! # }
//! ```
//!
//! All calls share one HTTP/2 connection to one member. It is made anew, to the next member, when it breaks, and when the
//! member is silent, knows no leader or says that it cannot. Reads and leases are then asked for again there by themselves;
//! a transaction only if it was certainly not made; a watch ends, and its owner goes on from [`Watch::next_revision`].
//!
//! | bound | value |
//! |---|---|
//! | one answer | [`MESSAGE_MAX_BYTES`]: a page with more is read in smaller ones |
//! | what changed at once | [`CHANGE_MAX_BYTES`] to be read, [`HELD_MAX_BYTES`] in memory; else [`WatchEnd::TooLarge`] |
//! | a listing held | [`LISTING_MAX_BYTES`] |
//! | one attempt at a member | [`Timeouts::connect`], then [`Timeouts::call`] |
//! | attempts of a call | one a member, and one more |
//! | a member that hangs, seen by a watch | [`Timeouts::silence`] and 1 s; a way to it that is cut: 4 s |
//! | pause after all members failed | 100 ms to 2 s |
//!
//! What etcd does (3.4.23 and its sources), and what follows:
//!
//! - A lease is granted for at least one and a half elections, 2 s by default, whatever is asked for.
//! - A cluster that was wiped and set up again with the same flags has the same ID; its revisions begin anew. A watch from
//!   the old one on would wait in silence, so that it is refused with [`Error::WentBack`]. Once the new one has come as far,
//!   nothing here tells; but leases are gone then ([`Client::keep_alive`] is none), which is when to list again.
//! - In 3.4.25 to 3.4.30 and 3.5.8 to 3.5.12 a watch that is asked for progress while it catches up may never answer again
//!   until something changes. It is then taken for one that hangs, and a new one does not.
//! - Without a majority a member's answer is silence until it notices, after an election's time, that it has no leader.
//! - A simple token is forgotten when it was not used for its time (`--auth-token-ttl`, 300 s), and when its member restarts.
//!
//! **Limits:** what progress says of a revision (a [`Batch`] without events) is not to be gone on from: etcd before 3.4.25 and
//! 3.5.8 says it of what it has, not of what it has sent. A message of nothing but empty events takes some twenty times its
//! size in memory before it is refused. Compression is not spoken.
//!
//! **Source:** etcd's API reference, gRPC over HTTP2.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prost::Message;
use rustls::ClientConfig;
use tokio::{sync::watch as level, task::JoinHandle, time::timeout};

mod connection;
mod error;
mod grpc;
mod kv;
mod lease;
mod link;
mod messages;
mod watch;

pub use error::{Error, Refusal};
pub use kv::{Compare, Done, Is, LISTING_MAX_BYTES, Listing, Op, Pages, Txn, TxnDone, With};
pub use lease::{Lease, Remaining};
pub use messages::{Header, KeyValue};
pub use watch::{Batch, CHANGE_MAX_BYTES, Event, HELD_MAX_BYTES, Watch, WatchEnd};

use connection::Connection;
use grpc::framed;
use link::{Link, State};

/// What a client needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The members, at least one.
    pub hosts: Vec<Host>,
    /// How they are spoken to over TLS; what the configuration offers besides (ALPN) is replaced.
    pub tls: Option<Arc<ClientConfig>>,
    /// As whom.
    pub login: Option<Login>,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name or address, an IPv6 address without brackets.
    pub name: String,
    /// Its port for clients.
    pub port: u16,
}

/// A user of etcd.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Finding a member's address, connecting, and TLS.
    pub connect: Duration,
    /// The answer to a call by one member, and waiting for a connection before it.
    pub call: Duration,
    /// The answer to a watch that asks whether anybody is there.
    pub silence: Duration,
}

/// How the connection is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// A member is looked for. Calls wait.
    Connecting,
    /// It is there.
    Connected {
        /// With this member.
        endpoint: String,
    },
    /// No member has answered for a while. Calls fail at once, until one does.
    Away(Error),
}

/// A client; its clones share a connection, which ends with the last of them and their watches.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    endpoints: String,
    members: usize,
    timeouts: Timeouts,
    state: level::Receiver<State>,
    cluster_id: AtomicU64,
    link: JoinHandle<()>,
}

/// Whether a call is made again when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Twice does what once does.
    Always,
    /// Only if it was certainly not done.
    UnlessDone,
}

impl Client {
    /// A client that begins to connect. Needs a runtime, on which its connection is kept.
    pub fn connect(settings: Settings) -> Client {
        let endpoints = settings.hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(",");
        let (members, timeouts) = (settings.hosts.len(), settings.timeouts);
        let (link, state) = Link::new(settings);
        let link = tokio::spawn(link.run());
        let shared = Shared { endpoints, members, timeouts, state, cluster_id: AtomicU64::new(0), link };
        Client { shared: Arc::new(shared) }
    }

    /// How the connection is.
    pub fn status(&self) -> Status {
        match &*self.shared.state.borrow() {
            State::Looking(_) => Status::Connecting,
            State::Up(connection) => Status::Connected { endpoint: connection.endpoint.clone() },
            State::Down(error) => Status::Away(error.clone()),
        }
    }

    /// Waits until a member is connected that has a leader.
    pub async fn connected(&self) {
        let mut state = self.shared.state.clone();
        let connected = state.wait_for(|state| matches!(state, State::Up(connection) if !connection.is_retired()));
        if connected.await.is_err() {
            // The runtime ends, and this task with it.
            std::future::pending().await
        }
    }

    /// The cluster that answered last, as it says; none before the first answer.
    pub fn cluster_id(&self) -> Option<u64> {
        Some(self.shared.cluster_id.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    fn timeouts(&self) -> &Timeouts {
        &self.shared.timeouts
    }

    /// Asks the member that is connected, and others as it may.
    async fn call<A: Message + Default>(
        &self,
        method: &'static str,
        request: &impl Message,
        repeat: Repeat,
    ) -> Result<A, Error> {
        let request = framed(request);
        let mut attempts_left = self.shared.members;
        loop {
            let connection = self.connection().await?;
            let failure = match connection.call(method, &request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let may_repeat = repeat == Repeat::Always || failure.is_undone();
            let error = failure.at(&connection.endpoint);
            if error.is_passing() {
                connection.retire(&error);
            }
            if !error.is_passing() || !may_repeat || attempts_left == 0 {
                return Err(error);
            }
            attempts_left -= 1;
        }
    }

    /// The connection, waited for while there may soon be one.
    async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let mut state = self.shared.state.clone();
        let settled = state.wait_for(|state| match state {
            State::Looking(_) => false,
            State::Up(connection) => !connection.is_retired(),
            State::Down(_) => true,
        });
        let state = match timeout(self.timeouts().call, settled).await {
            Ok(Ok(settled)) => settled.clone(),
            // Not in time, or the runtime ends.
            Ok(Err(_)) | Err(_) => self.shared.state.borrow().clone(),
        };
        match state {
            State::Up(connection) => Ok(connection),
            State::Down(error) | State::Looking(Some(error)) => Err(error),
            State::Looking(None) => {
                let problem = "no connection in time".to_owned();
                Err(Error::Unavailable { endpoint: self.shared.endpoints.clone(), problem })
            }
        }
    }

    /// What every answer says of where it comes from.
    fn header(&self, header: Option<Header>) -> Result<Header, Error> {
        let header = header.ok_or_else(|| self.broken("an answer without a header"))?;
        self.shared.cluster_id.store(header.cluster_id, Ordering::Relaxed);
        Ok(header)
    }

    fn broken(&self, problem: &str) -> Error {
        Error::Broken { endpoint: self.shared.endpoints.clone(), problem: problem.to_owned() }
    }
}

impl Default for Timeouts {
    /// What fits a lease of 10 s, renewed every third of it: one member that hangs does not cost it.
    fn default() -> Timeouts {
        Timeouts { connect: Duration::from_secs(2), call: Duration::from_secs(3), silence: Duration::from_secs(3) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.link.abort();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoints", &self.shared.endpoints).finish_non_exhaustive()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// Longest answer of one message.
///
/// Source: etcd takes values of at most its `--max-request-bytes`, which its documentation lets be raised to 10 MiB.
pub const MESSAGE_MAX_BYTES: usize = 16 << 20;

#[cfg(test)]
pub(super) mod fake;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod tls_tests;
