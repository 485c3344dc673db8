//! HTTP/2 connections that gRPC probes leave to those that follow: a handshake less each, which over TLS is most of what
//! a probe costs.
//!
//! | a connection is kept | why |
//! |---|---|
//! | of gRPC probes | they are calls, for which clients keep connections; an HTTP/2 server gives no thread away for one |
//! | whose target is an address | a name may stand for another address by then |
//! | for 30 s from when it was made | so often it is tested that new ones can be made, and the certificate is looked at |
//! | one for each target and its TLS options | whoever needs a second one at the same time makes it |
//! | as many as probes may be in flight | they are open files, too |
//!
//! All other probes have connections of their own. An idle one of HTTP/1.1 may occupy the only thread of a server, and
//! what a probe of TCP, of a database or of an HTTP/2 ping finds out is that a connection can be made.
//!
//! **Limits:** a kept connection on which a call fails, or takes half of a probe's time, says nothing: the call is made
//! again on a new one. While it is kept nobody reads from it, so that a server can cause no work by it.

use std::{
    collections::HashMap,
    fmt, mem,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use h2::client::SendRequest;
use hyper::body::Bytes;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    connect::{Connector, Target},
    http2::{self, Http2Connection, Opened},
    probe::Outcome,
};
use crate::catalog::check::ClientTls;

/// The connections that are kept. Clones share them.
#[derive(Clone)]
pub(super) struct Kept {
    most: usize,
    lasts: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    idle: HashMap<Key, Idle>,
    /// Whether a task closes those whose time is over.
    swept: bool,
}

type Key = (SocketAddr, ClientTls);

struct Idle {
    opened: Opened,
    until: Instant,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("idle", &self.lock().idle.len()).finish_non_exhaustive()
    }
}

impl Kept {
    /// Keeps at most so many; none if it is 0.
    pub(super) fn new(most: usize) -> Kept {
        Kept { most, lasts: LASTS, state: Arc::default() }
    }

    /// Whether a connection of a check with this interval is kept long enough for its next probe.
    pub(super) fn suffices(&self, interval: Duration) -> bool {
        interval < self.lasts
    }

    /// Does this on a connection to the target: one that is kept if there is one, which is then kept again; else on a
    /// new one.
    pub(super) async fn call<T, W>(
        &self,
        connector: &Connector,
        (target, tls): (Target<'_>, &ClientTls),
        work: impl Fn(SendRequest<Bytes>) -> W,
    ) -> Result<T, Outcome>
    where
        W: Future<Output = Result<T, h2::Error>>,
    {
        let key = target.at.parse().ok().map(|at| (at, tls.clone()));
        if let Some(Idle { opened: (requests, connection), until }) = key.as_ref().and_then(|key| self.take(key)) {
            let now = Instant::now();
            let half = now + target.deadline.saturating_duration_since(now) / 2;
            let call = http2::drive(connection, work(requests.clone()));
            if let Ok((Ok(done), connection)) = timeout_at(half, call).await {
                self.keep(key, (requests, connection), until);
                return Ok(done);
            }
        }
        let until = Instant::now() + self.lasts;
        let (requests, connection) = http2::open(connector, target, tls).await?;
        let (done, connection) = http2::drive(connection, work(requests.clone())).await;
        self.keep(key, (requests, connection), until);
        done.map_err(|error| http2::failed(target, &error))
    }

    /// One whose time is not over, and whose server has not ended it.
    fn take(&self, key: &Key) -> Option<Idle> {
        let idle = self.lock().idle.remove(key)?;
        Some(idle).filter(|idle| Instant::now() < idle.until).and_then(Idle::if_open)
    }

    fn keep(
        &self,
        key: Option<Key>,
        (requests, connection): (SendRequest<Bytes>, Option<Box<Http2Connection>>),
        until: Instant,
    ) {
        let Some((key, connection)) = key.zip(connection) else { return };
        let Some(idle) = (Idle { opened: (requests, connection), until }).if_open() else { return };
        let mut state = self.lock();
        if state.idle.len() >= self.most || state.idle.contains_key(&key) {
            return;
        }
        if !mem::replace(&mut state.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.state), idle.until));
        }
        state.idle.insert(key, idle);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    /// Itself, unless it has ended. What has come from the server is read.
    fn if_open(mut self) -> Option<Idle> {
        let (_, connection) = &mut self.opened;
        let mut nobody = Context::from_waker(Waker::noop());
        match Pin::new(connection).poll(&mut nobody) {
            Poll::Pending => Some(self),
            Poll::Ready(_) => None,
        }
    }
}

/// Closes what nobody has taken in its time, until there is nothing left.
async fn sweep(state: Weak<Mutex<State>>, first: Instant) {
    let mut next = first;
    loop {
        sleep_until(next).await;
        let Some(state) = state.upgrade() else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.idle.retain(|_, idle| now < idle.until);
        match state.idle.values().map(|idle| idle.until).min() {
            Some(earliest) => next = earliest,
            None => {
                state.swept = false;
                return;
            }
        }
    }
}

/// How long a connection may be used. Source: none, chosen: three probes at the interval that is usual.
const LASTS: Duration = Duration::from_secs(30);

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
