//! The open TCP connections, and which of them makes room for a new one.
//!
//! **Limits:** choosing the one to close looks at all connections, at most 2,000, and only when the limit is reached.
//!
//! **Source:** RFC 7766 section 6.1 and 6.2.3: limits by server and client, idle connections closed under load.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use tokio::sync::Notify;

use super::limits::TcpLimits;
use crate::observe::metrics::Metrics;

/// The open connections. Shared by all listeners.
#[derive(Debug)]
pub struct Connections {
    limits: TcpLimits,
    metrics: Arc<Metrics>,
    started: Instant,
    open: Mutex<Open>,
    /// Told when the last connection is gone.
    empty: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    by_id: HashMap<u64, Arc<Activity>>,
    by_client: HashMap<IpAddr, usize>,
    /// Places that are still held, those of connections that are closing included.
    places: usize,
}

/// What is known of one connection.
#[derive(Debug)]
struct Activity {
    client: IpAddr,
    /// Milliseconds from the start of the table to the last message or response.
    last_millis: AtomicU64,
    in_flight: AtomicU32,
    close: Notify,
}

/// A connection's place among the open ones; given back when dropped.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    id: u64,
    activity: Arc<Activity>,
}

impl Connections {
    /// None open. What comes and goes is counted in `metrics`.
    pub fn new(limits: TcpLimits, metrics: Arc<Metrics>) -> Connections {
        Connections { limits, metrics, started: Instant::now(), open: Mutex::default(), empty: Notify::new() }
    }

    /// The limits in force.
    pub fn limits(&self) -> TcpLimits {
        self.limits
    }

    /// A place for a new connection of this client. If all places, or the client's share of them, are taken, the
    /// connection (of the client) that is idle longest is closed; if none is idle, there is no place.
    pub fn place(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        self.metrics.tcp_accepted.inc();
        let place = self.find_place(client);
        if place.is_none() {
            self.metrics.tcp_evicted.inc();
        }
        place
    }

    fn find_place(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let share =
            if client.is_loopback() { self.limits.connections_loopback } else { self.limits.connections_client };
        if open.by_client.get(&client).is_some_and(|count| *count >= share) {
            self.close_idle(&mut open, |activity| activity.client == client)?;
        }
        if open.by_id.len() >= self.limits.connections {
            self.close_idle(&mut open, |_| true)?;
        }
        let activity = Arc::new(Activity {
            client,
            last_millis: AtomicU64::new(self.now_millis()),
            in_flight: AtomicU32::new(0),
            close: Notify::new(),
        });
        let id = open.next_id;
        open.next_id += 1;
        open.places += 1;
        open.by_id.insert(id, Arc::clone(&activity));
        *open.by_client.entry(client).or_insert(0) += 1;
        self.gauge(&open);
        drop(open);
        Some(Place { connections: Arc::clone(self), id, activity })
    }

    /// Closes the connection that is idle longest. Returns whether there was one.
    pub fn make_room(&self) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.close_idle(&mut open, |_| true).is_some()
    }

    /// How many connections are open.
    pub fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).by_id.len()
    }

    /// Returns when no connection is left, those that are closing included.
    pub async fn drained(&self) {
        loop {
            let emptied = self.empty.notified();
            if self.open.lock().unwrap_or_else(PoisonError::into_inner).places == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn close_idle(&self, open: &mut Open, may_close: impl Fn(&Activity) -> bool) -> Option<()> {
        open.close_idle(may_close)?;
        self.metrics.tcp_evicted.inc();
        self.gauge(open);
        Some(())
    }

    fn gauge(&self, open: &Open) {
        self.metrics.tcp_connections.set(open.by_id.len() as i64);
    }

    fn now_millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Open {
    /// Tells the connection to close that is idle longest among those of which `may_close` holds, and takes it off the
    /// count at once.
    fn close_idle(&mut self, may_close: impl Fn(&Activity) -> bool) -> Option<()> {
        let (id, activity) = self
            .by_id
            .iter()
            .filter(|(_, activity)| activity.in_flight.load(Relaxed) == 0 && may_close(activity))
            .min_by_key(|(id, activity)| (activity.last_millis.load(Relaxed), **id))?;
        activity.close.notify_one();
        let id = *id;
        self.take(id);
        Some(())
    }

    fn take(&mut self, id: u64) {
        let Some(activity) = self.by_id.remove(&id) else { return };
        if let Some(count) = self.by_client.get_mut(&activity.client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&activity.client);
            }
        }
    }
}

impl Place {
    /// Notes a message that came or a response that was written.
    pub fn active(&self) {
        self.activity.last_millis.store(self.connections.now_millis(), Relaxed);
    }

    /// Notes how many slow queries are in flight; with any, the connection is not idle.
    pub fn set_in_flight(&self, count: usize) {
        self.activity.in_flight.store(u32::try_from(count).unwrap_or(u32::MAX), Relaxed);
    }

    /// Returns when the connection is to make room for another.
    pub async fn told_to_close(&self) {
        self.activity.close.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.take(self.id);
        self.connections.gauge(&open);
        open.places -= 1;
        if open.places == 0 {
            self.connections.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
