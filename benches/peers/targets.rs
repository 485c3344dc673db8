//! Targets of HTTP checks: listeners on addresses of loopback, each of which answers that it is well.
//!
//! They answer from a thread of their own on the load's core, and while the load runs between two turns of that: else each
//! of the two would wait for as long as the kernel lets the other one run, and that would count as the server's.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
};

use crate::process::{Cores, pause, pin};

pub struct Targets {
    addresses: Vec<SocketAddr>,
    sockets: Mutex<Sockets>,
    /// Whether the load runs.
    lent: AtomicBool,
}

struct Sockets {
    epoll: OwnedFd,
    listeners: Vec<TcpListener>,
    /// By number, from that of the listeners on.
    connections: HashMap<u64, TcpStream>,
    next: u64,
}

impl Targets {
    /// Starts so many, until this program ends.
    pub fn start(cores: Cores, count: usize) -> Result<Arc<Targets>> {
        let mut sockets = Sockets {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            listeners: Vec::new(),
            connections: HashMap::new(),
            next: count as u64,
        };
        let mut addresses = Vec::new();
        for number in 0..count {
            let ip = Ipv4Addr::new(127, 1, (number / 250) as u8, (number % 250 + 1) as u8);
            let listener = TcpListener::bind((ip, 0))?;
            listener.set_nonblocking(true)?;
            addresses.push(listener.local_addr()?);
            epoll::add(&sockets.epoll, &listener, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
            sockets.listeners.push(listener);
        }
        let targets = Arc::new(Targets { addresses, sockets: Mutex::new(sockets), lent: AtomicBool::new(false) });
        let running = Arc::clone(&targets);
        thread::spawn(move || -> Result<()> {
            pin(cores.load)?;
            loop {
                while running.lent.load(Ordering::Relaxed) {
                    pause(TURN);
                }
                running.lock().turn(TURN);
            }
        });
        Ok(targets)
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Does this while they answer whenever it calls what it is given.
    pub fn between<T>(&self, load: impl FnOnce(&dyn Fn()) -> T) -> T {
        self.lent.store(true, Ordering::Relaxed);
        let done = load(&|| self.lock().turn(Duration::ZERO));
        self.lent.store(false, Ordering::Relaxed);
        done
    }

    fn lock(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sockets {
    /// Does a little of what there is to do; waits for it so long at most.
    fn turn(&mut self, patience: Duration) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS_MAX);
        let patience = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
        // Interrupted: the next turn is soon.
        let _ = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&patience));
        for event in events {
            let number = event.data.u64();
            match self.listeners.get(number as usize) {
                Some(listener) => {
                    let Ok((stream, _)) = listener.accept() else { continue };
                    let watched = epoll::EventData::new_u64(self.next);
                    if epoll::add(&self.epoll, &stream, watched, epoll::EventFlags::IN).is_ok() {
                        self.connections.insert(self.next, stream);
                        self.next += 1;
                    }
                }
                None => {
                    let Some(stream) = self.connections.get_mut(&number) else { continue };
                    if !answer(stream) {
                        self.connections.remove(&number);
                    }
                }
            }
        }
    }
}

/// Answers what came. Returns whether the connection goes on.
fn answer(stream: &mut TcpStream) -> bool {
    // A probe's request is one piece of some hundred bytes here.
    let mut request = [0; 4096];
    let read = stream.read(&mut request).unwrap_or(0);
    request[..read].ends_with(b"\r\n\r\n")
        && stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
}

/// Most sockets that are looked at in a turn, so that the load is not late itself.
const EVENTS_MAX: usize = 4;

/// How long a turn waits while there is no load.
const TURN: Duration = Duration::from_millis(5);
