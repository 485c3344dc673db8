//! Queries that wait for somebody else: admitted up to a limit, answered by a task, and sent without blocking through the
//! socket they came by, so that no answer of ours ever waits for one.
//!
//! ```text
//! worker or connection --admit--> Permit --spawn--> Engine::finish --> the same socket, or the connection
//!                      \--full--> Engine::busy (SERVFAIL with extended error 23)
//! ```
//!
//! The queue is the set of permits: a query holds one from its admission to its response.
//!
//! **Limits:** 4,096 in flight, 256 of one client address, 5 s each.

use std::{
    fmt,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

use dashmap::DashMap;
use tokio::{runtime::Handle, sync::Notify, time::timeout};

use crate::observe::dns::{DropReason, Proto};

use super::{
    engine::{Engine, SlowQuery},
    limits::SlowLimits,
    record::Observer,
    udp,
};

/// Answers slow queries. One value serves all workers and connections.
pub struct SlowPath<E: Engine> {
    engine: Arc<E>,
    observer: Observer,
    runtime: Handle,
    limits: SlowLimits,
    admission: Arc<Admission>,
}

impl<E: Engine> SlowPath<E> {
    /// Answers on the current tokio runtime.
    pub fn new(engine: Arc<E>, observer: Observer, limits: SlowLimits) -> SlowPath<E> {
        SlowPath { engine, observer, runtime: Handle::current(), limits, admission: Arc::default() }
    }

    /// Room for one more slow query of this client, held until the permit is dropped; none if it is full, which is
    /// counted.
    pub fn admit(&self, client: IpAddr) -> Option<Permit> {
        let permit = self.admission.admit(client, self.limits);
        if permit.is_none() {
            self.observer.busy();
        }
        self.gauge();
        permit
    }

    /// Answers a query that came over UDP, by the socket it came to. Returns at once.
    pub fn answer_udp(self: &Arc<Self>, permit: Permit, query: SlowQuery, back: WayBack) {
        let slow = Arc::clone(self);
        self.runtime.spawn(async move {
            let response = slow.answer(permit, query).await;
            if response.is_empty() {
                return;
            }
            slow.observer.response(Proto::Udp, back.peer, &response, back.received.elapsed());
            // The socket never blocks; one whose send buffer is full loses the response, and the client asks again.
            if udp::send_from(&back.socket, &response, back.peer, back.source).is_err() {
                slow.observer.dropped(DropReason::Send);
            }
        });
    }

    /// The response to a slow query; empty for none, which is counted.
    pub async fn answer(&self, permit: Permit, query: SlowQuery) -> Vec<u8> {
        let unanswered = Unanswered { observer: &self.observer };
        let response = timeout(self.limits.wait, self.engine.finish(query)).await;
        drop(unanswered);
        drop(permit);
        self.gauge();
        let response = response.unwrap_or_default();
        if response.is_empty() {
            self.observer.dropped(DropReason::Limit);
        }
        response
    }

    fn gauge(&self) {
        self.observer.metrics.slow_waiting.set(self.admission.total.load(Relaxed) as i64);
    }

    /// Returns when no slow query is in flight.
    pub async fn drained(&self) {
        loop {
            let freed = self.admission.freed.notified();
            if self.admission.total.load(Relaxed) == 0 {
                return;
            }
            freed.await;
        }
    }
}

impl<E: Engine> fmt::Debug for SlowPath<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlowPath").field("in_flight", &self.admission.total.load(Relaxed)).finish_non_exhaustive()
    }
}

/// How the response to a UDP query gets back.
#[derive(Debug)]
pub struct WayBack {
    /// The socket that the query came by; it never blocks.
    pub socket: Arc<UdpSocket>,
    /// Who asked.
    pub peer: SocketAddr,
    /// The local address that was asked, if the socket is bound to a wildcard.
    pub source: Option<IpAddr>,
    /// When the query was received.
    pub received: Instant,
}

/// Counts a panic of the answering side.
struct Unanswered<'a> {
    observer: &'a Observer,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.observer.dropped(DropReason::Panic);
        }
    }
}

/// Room for one slow query; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    client: IpAddr,
}

impl Drop for Permit {
    fn drop(&mut self) {
        // The count goes to zero and its entry away under one lock, so that no other admission is lost between.
        self.admission.clients.remove_if_mut(&self.client, |_, count| {
            *count -= 1;
            *count == 0
        });
        if self.admission.total.fetch_sub(1, Relaxed) == 1 {
            self.admission.freed.notify_waiters();
        }
    }
}

#[derive(Debug, Default)]
struct Admission {
    total: AtomicUsize,
    clients: DashMap<IpAddr, u32>,
    /// Told when the last query in flight is done.
    freed: Notify,
}

impl Admission {
    fn admit(self: &Arc<Self>, client: IpAddr, limits: SlowLimits) -> Option<Permit> {
        if self.total.fetch_add(1, Relaxed) >= limits.total {
            self.total.fetch_sub(1, Relaxed);
            return None;
        }
        let mut count = self.clients.entry(client).or_insert(0);
        if *count >= limits.client {
            drop(count);
            self.total.fetch_sub(1, Relaxed);
            return None;
        }
        *count += 1;
        Some(Permit { admission: Arc::clone(self), client })
    }
}

#[cfg(test)]
#[path = "slow_tests.rs"]
mod tests;
