//! The addresses that are listened on now, and those that come and go while the server runs.
//!
//! | reason | is opened and closed |
//! |---|---|
//! | the settings name it | at the start, and never |
//! | it lies behind a wildcard that could not be had as such | with the host's addresses |
//! | it was asked for at run time | as it is asked for |
//!
//! A wildcard that was had as such needs no keeping up but of the list of what it stands for. The sockets of all other
//! addresses stay what they are when one comes or goes.
//!
//! **Limits:** a local address is opened, closed or listed within 3 s of its coming or going. One that can't be had is
//! left out, with one warning, and tried again each time.

use std::{
    collections::{HashMap, HashSet},
    fmt, io, mem,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    engine::Engine,
    listen::{self, BindError, Listening},
    tcp::TcpServer,
    worker::{Orders, WorkerSocket},
};

/// The open addresses.
pub struct Listeners<E: Engine> {
    server: Arc<TcpServer<E>>,
    orders: Vec<Arc<Orders>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Listener>,
    /// What the wildcards with port 0 were given: the port by the wildcard.
    ports: HashMap<SocketAddr, u16>,
    /// Addresses that can't be had, which was told.
    told: HashSet<(Reason, SocketAddr)>,
    stopped: bool,
}

#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    /// The addresses of this host that it stands for: its own, or those behind a wildcard that was had as such.
    own: Arc<[IpAddr]>,
    reason: Reason,
    accept: JoinHandle<()>,
    sockets: Vec<WorkerSocket>,
}

/// Why an address is listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reason {
    /// The settings name it.
    Settings,
    /// The settings name this wildcard, which stands for it or is it.
    Wildcard(SocketAddr),
    /// It was asked for at run time.
    Asked,
}

impl<E: Engine> Listeners<E> {
    /// None open. Sockets go to the workers behind `orders`.
    pub fn new(server: Arc<TcpServer<E>>, orders: Vec<Arc<Orders>>) -> Listeners<E> {
        Listeners { server, orders, state: Mutex::default() }
    }

    /// Answers on this address.
    pub fn open(&self, listening: Listening) -> Result<(), (SocketAddr, io::Error)> {
        let mut state = self.state();
        let reason = listening.wildcard.map_or(Reason::Settings, Reason::Wildcard);
        self.add(&mut state, listening, reason)?;
        self.hand_out(&state);
        Ok(())
    }

    /// The addresses that are listened on, each by itself.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.state().open.iter().flat_map(Listener::addresses).collect()
    }

    /// Opens local addresses that appeared behind the wildcards, and closes those that are gone.
    pub fn follow(&self, wildcards: &[SocketAddr]) {
        let mut state = self.state();
        if state.stopped {
            return;
        }
        let mut changed = false;
        for wildcard in wildcards {
            let mut numbered = *wildcard;
            if wildcard.port() == 0 {
                let Some(port) = state.ports.get(wildcard) else { continue };
                numbered.set_port(*port);
            }
            match listen::expand(numbered) {
                Ok(local) => changed |= self.follow_one(&mut state, *wildcard, &local),
                Err(error) => tracing::warn!(listen = %wildcard, %error, "cannot list the addresses of this host"),
            }
        }
        if changed {
            self.hand_out(&state);
        }
    }

    /// Of what is asked for at run time, listens on these addresses and no others.
    pub fn set_asked(&self, addresses: &[SocketAddr]) {
        let mut state = self.state();
        if state.stopped {
            return;
        }
        let mut changed = state.close(|reason, address| reason != Reason::Asked || addresses.contains(&address));
        for &address in addresses {
            if !state.open.iter().any(|listener| listen::covers(listener.address, address)) {
                changed |= self.open_local(&mut state, address, Reason::Asked);
            }
        }
        if changed {
            self.hand_out(&state);
        }
    }

    /// Stops accepting and answering.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        self.orders.iter().for_each(|orders| orders.stop());
        state.open.iter().for_each(|listener| listener.accept.abort());
    }

    /// Returns when every socket for new queries is closed, but for those that slow queries still answer by. Call it
    /// after the workers have ended.
    pub async fn closed(&self) {
        self.orders.iter().for_each(|orders| orders.set_sockets(Vec::new()));
        let open = mem::take(&mut self.state().open);
        for listener in open {
            // It was aborted, and ends so.
            let _ = listener.accept.await;
        }
    }

    fn follow_one(&self, state: &mut State, wildcard: SocketAddr, local: &[SocketAddr]) -> bool {
        if let Some(whole) = state.open.iter_mut().find(|listener| listener.is_whole(wildcard)) {
            return whole.stand_for(local);
        }
        let mut changed =
            state.close(|reason, address| reason != Reason::Wildcard(wildcard) || local.contains(&address));
        for &address in local {
            if !state.open.iter().any(|listener| listener.address == address) {
                changed |= self.open_local(state, address, Reason::Wildcard(wildcard));
            }
        }
        changed
    }

    /// Listens on an address that the host has, or had a moment ago. Returns whether it does.
    fn open_local(&self, state: &mut State, address: SocketAddr, reason: Reason) -> bool {
        let opened = listen::open_one(address, self.orders.len()).and_then(|listening| {
            let open = |(address, source)| BindError::Open { address, protocol: listen::Protocol::Tcp, source };
            self.add(state, listening, reason).map_err(open)
        });
        match opened {
            Ok(()) => {
                state.told.remove(&(reason, address));
                tracing::info!(%address, "listening on an address that came");
            }
            // Still being checked for a duplicate, or gone again.
            Err(BindError::NotLocal { .. }) => return false,
            Err(error) => {
                if state.told.insert((reason, address)) {
                    tracing::warn!(%address, "{error}; it is tried again until it succeeds");
                }
                return false;
            }
        }
        true
    }

    fn add(&self, state: &mut State, listening: Listening, reason: Reason) -> Result<(), (SocketAddr, io::Error)> {
        let Listening { address, tcp, udp, .. } = listening;
        let tcp = TcpListener::from_std(tcp).map_err(|error| (address, error))?;
        if let Reason::Wildcard(wildcard) = reason {
            state.ports.insert(wildcard, address.port());
        }
        let accept = tokio::spawn(Arc::clone(&self.server).accept(tcp));
        let own: Arc<[IpAddr]> =
            listen::expand(address).map_err(|error| (address, error))?.iter().map(SocketAddr::ip).collect();
        let socket = |socket| WorkerSocket { local: address, own: Arc::clone(&own), socket: Arc::new(socket) };
        let sockets = udp.into_iter().map(socket).collect();
        state.open.push(Listener { address, own, reason, accept, sockets });
        Ok(())
    }

    /// Gives each worker its socket of each address.
    fn hand_out(&self, state: &State) {
        for (index, orders) in self.orders.iter().enumerate() {
            orders.set_sockets(state.open.iter().map(|listener| listener.sockets[index].clone()).collect());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes what is not to stay, and forgets what was told of it. Returns whether anything was closed.
    fn close(&mut self, stays: impl Fn(Reason, SocketAddr) -> bool) -> bool {
        let before = self.open.len();
        self.open.retain(|listener| {
            let stays = stays(listener.reason, listener.address);
            if !stays {
                listener.accept.abort();
                tracing::info!(address = %listener.address, "no longer listening on an address that went");
            }
            stays
        });
        self.told.retain(|(reason, address)| stays(*reason, *address));
        self.open.len() != before
    }
}

impl Listener {
    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.own.iter().map(|ip| SocketAddr::new(*ip, self.address.port()))
    }

    /// Whether it is this wildcard, had as such.
    fn is_whole(&self, wildcard: SocketAddr) -> bool {
        self.reason == Reason::Wildcard(wildcard) && self.address.ip().is_unspecified()
    }

    /// Makes it stand for these addresses. Returns whether that changes anything.
    fn stand_for(&mut self, local: &[SocketAddr]) -> bool {
        let own: Arc<[IpAddr]> = local.iter().map(SocketAddr::ip).collect();
        let changed = self.own != own;
        self.sockets.iter_mut().for_each(|socket| socket.own = Arc::clone(&own));
        self.own = own;
        changed
    }
}

impl<E: Engine> fmt::Debug for Listeners<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "listeners_tests.rs"]
mod tests;
