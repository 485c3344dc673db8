//! DNS over UDP and TCP: the only place, with [`forward`](crate::forward), where DNS bytes meet the kernel.
//!
//! ```text
//! listen -> worker (one thread each, UDP) -\
//!        \-> tcp (tasks) ------------------+-> Engine::respond, at once
//!                                           \-> slow -> Engine::finish, then back the same way
//! ```
//!
//! What is asked of the answering side is the trait [`Engine`]; the numbers that bound everything are in [`limits`].
//!
//! **Limits:** Linux; no TLS, HTTPS or QUIC.
//!
//! **Source:** RFC 1035 section 4.2, RFC 7766, RFC 7828.

use std::{fmt, net::SocketAddr, sync::Arc, thread::JoinHandle};

use tokio::{
    sync::watch,
    task::{self, JoinHandle as TaskHandle},
    time::timeout,
};

mod backlog;
pub mod bridge;
mod connections;
pub mod engine;
pub mod holder;
pub mod limits;
pub mod listen;
mod listeners;
mod message;
mod random;
pub mod record;
mod slow;
mod tcp;
mod udp;
mod worker;

pub use self::{engine::Engine, listen::BindError, record::Observer};

use self::{
    connections::Connections,
    limits::{ADDRESSES_REFRESH, OTHERS_SLICE, STOP_MAX, SlowLimits, TcpLimits},
    listen::Listening,
    listeners::Listeners,
    slow::SlowPath,
    tcp::TcpServer,
    worker::{Orders, Parts},
};

/// Has the calling thread, and those that it starts, give the processor back soon where a worker wants it. Changes nothing
/// where the kernel does not know of it, or forbids it: answers then only wait longer for other threads of their core.
pub fn give_way() {
    let _ = udp::ask_for_slices(OTHERS_SLICE);
}

/// What the transports are started with.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// Addresses to listen on, over UDP and TCP. A wildcard stands for every local address of its family, also those
    /// that come later. With port 0 the kernel chooses.
    pub listen: Vec<SocketAddr>,
    /// The same, but one that can't be had is left out; [`Transport::left_out`] tells why.
    pub listen_if_possible: Vec<SocketAddr>,
    /// Threads that answer over UDP, at least 1.
    pub workers: usize,
    /// Limits of TCP connections.
    pub tcp: TcpLimits,
    /// Limits of slow queries.
    pub slow: SlowLimits,
}

impl TransportSettings {
    /// These addresses, with the usual limits.
    pub fn new(listen: Vec<SocketAddr>, workers: usize) -> TransportSettings {
        let (tcp, slow) = (TcpLimits::default(), SlowLimits::default());
        TransportSettings { listen, listen_if_possible: Vec::new(), workers, tcp, slow }
    }
}

/// The running transports. Dropping it stops them without waiting for what is in flight.
pub struct Transport<E: Engine> {
    listeners: Arc<Listeners<E>>,
    left_out: Vec<BindError>,
    slow: Arc<SlowPath<E>>,
    connections: Arc<Connections>,
    threads: Vec<JoinHandle<()>>,
    refresh: TaskHandle<()>,
    stop: watch::Sender<bool>,
}

impl<E: Engine> Transport<E> {
    /// Opens the addresses and answers on them. Call it inside a tokio runtime, which runs TCP and the slow queries.
    pub fn start(settings: TransportSettings, engine: Arc<E>, observer: Observer) -> Result<Transport<E>, BindError> {
        let workers = settings.workers.max(1);
        let (opened, left_out) = open_all(&settings, workers)?;
        let (stop, stopped) = watch::channel(false);
        let slow = Arc::new(SlowPath::new(Arc::clone(&engine), observer.clone(), settings.slow));
        let connections = Arc::new(Connections::new(settings.tcp, Arc::clone(&observer.metrics)));
        let server = Arc::new(TcpServer::new(
            Arc::clone(&engine),
            Arc::clone(&slow),
            observer.clone(),
            Arc::clone(&connections),
            stopped,
        ));
        let orders: Vec<Arc<Orders>> = (0..workers).map(|_| Arc::default()).collect();
        let listeners = Arc::new(Listeners::new(server, orders.clone()));
        for listening in opened {
            listeners.open(listening).map_err(|(address, source)| BindError::Open {
                address,
                protocol: listen::Protocol::Tcp,
                source,
            })?;
        }
        let wildcards = settings.listen.iter().chain(&settings.listen_if_possible).copied();
        let wildcards = wildcards.filter(|address| address.ip().is_unspecified()).collect();
        let refresh = tokio::spawn(follow_addresses(Arc::clone(&listeners), wildcards));
        let mut transport = Transport { listeners, left_out, slow, connections, threads: Vec::new(), refresh, stop };
        for (index, orders) in orders.into_iter().enumerate() {
            let (engine, slow) = (Arc::clone(&engine), Arc::clone(&transport.slow));
            let parts = Parts { engine, slow, observer: observer.clone(), orders };
            let thread = std::thread::Builder::new()
                .name(format!("dns-udp-{index}"))
                .spawn(move || worker::run(parts))
                .map_err(|source| BindError::Thread { source })?;
            transport.threads.push(thread);
        }
        Ok(transport)
    }

    /// The addresses that are listened on now, with their ports.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.addresses()
    }

    /// Listens on these addresses beside those of the settings, and no longer on what an earlier call named and this one
    /// does not. What can't be had is told once in the log, and tried again by the next call.
    pub fn listen_also(&self, addresses: &[SocketAddr]) {
        self.listeners.set_asked(addresses);
    }

    /// Why addresses of `listen_if_possible` were left out.
    pub fn left_out(&self) -> &[BindError] {
        &self.left_out
    }

    /// TCP connections that are open.
    pub fn connection_count(&self) -> usize {
        self.connections.count()
    }

    /// Takes no further query, answers those that are in flight, and closes everything; at most 6 s.
    pub async fn shutdown(mut self) {
        self.tell_to_stop();
        let threads = std::mem::take(&mut self.threads);
        let in_flight = async {
            let joined =
                task::spawn_blocking(|| threads.into_iter().map(JoinHandle::join).all(|result| result.is_ok()));
            if !joined.await.unwrap_or(false) {
                tracing::error!("a thread that answers over UDP had ended by a panic");
            }
            self.listeners.closed().await;
            // No worker admits a slow query from here on, and no connection reads one.
            self.connections.drained().await;
            self.slow.drained().await;
        };
        if timeout(STOP_MAX, in_flight).await.is_err() {
            tracing::warn!(waited_secs = STOP_MAX.as_secs(), "stopped before all DNS queries were answered");
        }
    }

    fn tell_to_stop(&self) {
        self.refresh.abort();
        self.stop.send_replace(true);
        self.listeners.stop();
    }
}

impl<E: Engine> Drop for Transport<E> {
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

impl<E: Engine> fmt::Debug for Transport<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("addresses", &self.local_addresses()).finish_non_exhaustive()
    }
}

/// Opens all addresses, each once, those that must be had before those that may be missing.
fn open_all(settings: &TransportSettings, workers: usize) -> Result<(Vec<Listening>, Vec<BindError>), BindError> {
    let mut opened: Vec<Listening> = Vec::new();
    let mut left_out = Vec::new();
    // A wildcard before its addresses, which it then has already.
    let mut listen = settings.listen.clone();
    listen.sort_by_key(|address| !address.ip().is_unspecified());
    let must = listen.iter().map(|address| (*address, true));
    for (address, must) in must.chain(settings.listen_if_possible.iter().map(|address| (*address, false))) {
        // An IPv6 socket takes no IPv4, also where IPv4 is written as IPv6.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if opened.iter().any(|one| listen::covers(one.address, address)) {
            continue;
        }
        let taken: Vec<SocketAddr> = opened.iter().map(|one| one.address).collect();
        match listen::open(address, workers, &taken) {
            Ok(more) => opened.extend(more),
            Err(error) if must => return Err(error),
            Err(error) => left_out.push(error),
        }
    }
    Ok((opened, left_out))
}

/// Opens local addresses behind the wildcards that appear, and closes those that are gone, until it is aborted.
async fn follow_addresses<E: Engine>(listeners: Arc<Listeners<E>>, wildcards: Vec<SocketAddr>) {
    if wildcards.is_empty() {
        return;
    }
    let mut ticks = tokio::time::interval(ADDRESSES_REFRESH);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        listeners.follow(&wildcards);
    }
}

#[cfg(test)]
mod stub;

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
