//! Keeps one connection: to the next member whenever the last one failed.
//!
//! All members are tried without a pause; after that each attempt waits, 100 ms at first and twice as long each time up to
//! 2 s, drawn between half of it and all, so that many clients of a cluster that is back do not come at once.

use std::{
    hash::{BuildHasher, RandomState},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use tracing::debug;

use super::{Host, Settings, connection::Connection, error::Error};

/// How the connection is.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// There was none yet, or the last one has just ended, or could not be made, for this reason.
    Looking(Option<Error>),
    /// It is there.
    Up(Arc<Connection>),
    /// No member has answered for a while; this was the last attempt.
    Down(Error),
}

/// Keeps a connection for as long as it is polled.
pub(super) struct Link {
    settings: Settings,
    state: watch::Sender<State>,
}

impl Link {
    pub(super) fn new(settings: Settings) -> (Link, watch::Receiver<State>) {
        let (state, states) = watch::channel(State::Looking(None));
        (Link { settings, state }, states)
    }

    pub(super) async fn run(self) {
        let hosts = &self.settings.hosts;
        // Not all clients of a cluster are with its first member.
        let first = usize::try_from(random() >> 32).unwrap_or_default();
        let mut missed_since = Instant::now();
        // Attempts in a row that led to nothing, or to nothing that lasted.
        let mut failed: usize = 0;
        for host in hosts.iter().cycle().skip(first % hosts.len().max(1)) {
            let mut up_since = None;
            let error = self.follow(host, &mut up_since).await;
            let now = Instant::now();
            debug!(endpoint = %host, %error, "no connection to etcd, or no longer");
            if let Some(since) = up_since {
                missed_since = now;
                if now - since >= STEADY {
                    failed = 0;
                    self.state.send_replace(State::Looking(Some(error)));
                    continue;
                }
            }
            failed += 1;
            let all_failed = failed >= hosts.len();
            // What lasts no longer than an election does is waited for by calls.
            let is_down = all_failed && now - missed_since >= self.settings.timeouts.call;
            self.state.send_replace(if is_down { State::Down(error) } else { State::Looking(Some(error)) });
            if all_failed {
                tokio::time::sleep_until(now + pause(failed - hosts.len())).await;
            }
        }
    }

    /// Connects to a member and stays with it until something is wrong, which is returned.
    async fn follow(&self, host: &Host, up_since: &mut Option<Instant>) -> Error {
        let (connection, driver) = match Connection::open(host, &self.settings).await {
            Ok((connection, driver)) => (Arc::new(connection), driver),
            Err(error) => return error,
        };
        let mut driver = pin!(driver);
        let kept = tokio::select! {
            biased;
            // Tells more of a connection that broke than what each call sees of it.
            ended = &mut driver => Err(ended),
            error = self.keep(&connection, up_since) => Ok(error),
        };
        let error = kept.unwrap_or_else(|ended| {
            let problem = ended.map_or_else(|error| format!("the connection broke: {error}"), |()| CLOSED.to_owned());
            // A member that expects something else hangs up.
            let hint = match self.settings.tls {
                _ if up_since.is_some() => "",
                None => "; if it speaks TLS, write store as etcds://...",
                Some(_) => "; does it want another certificate of ours (store_tls_cert)?",
            };
            Error::Unavailable { endpoint: host.to_string(), problem: problem + hint }
        });
        connection.retire(&error);
        error
    }

    async fn keep(&self, connection: &Arc<Connection>, up_since: &mut Option<Instant>) -> Error {
        let proven = async {
            connection.log_in().await?;
            connection.prove().await
        };
        if let Err(error) = proven.await {
            return error;
        }
        *up_since = Some(Instant::now());
        self.state.send_replace(State::Up(Arc::clone(connection)));
        loop {
            tokio::select! {
                error = connection.retired() => return error,
                () = connection.stale_token() => {
                    if let Err(error) = connection.log_in().await {
                        return error;
                    }
                }
            }
        }
    }
}

/// How long to wait after this many attempts beyond one at each member.
fn pause(beyond: usize) -> Duration {
    let doublings = u32::try_from(beyond).unwrap_or(u32::MAX).min(10);
    let longest = (PAUSE_LEAST * 2u32.pow(doublings)).min(PAUSE_MOST);
    longest / 2 + (longest / 2).mul_f64(random() as f64 / u64::MAX as f64)
}

/// Spreads load, and is no secret.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

const CLOSED: &str = "it closed the connection";

/// Source: none, chosen: a member that restarts is back within some hundred milliseconds.
const PAUSE_LEAST: Duration = Duration::from_millis(100);

/// Source: none, chosen: a cluster that is back is found within 2 s, and an attempt each second costs nobody anything.
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// A connection that lasted for so long was a good one. Source: none, chosen: as [`PAUSE_MOST`].
const STEADY: Duration = Duration::from_secs(2);

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
