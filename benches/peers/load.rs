//! The load over UDP: from one thread, batched, over a few sockets, closed loop or at a given rate.
//!
//! Closed loop: so many queries are on the way at any time; what is not answered within [`PATIENCE`] is given up as lost.
//! At a rate: queries are sent when they are due, whatever comes back; if the load can't keep up, what was sent tells.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::{
    batch::{BATCH, Batch},
    catalog::{Kind, Queries},
    tally::{Checking, Tally},
};

/// How queries are sent.
#[derive(Clone, Copy)]
pub enum Pace {
    /// So many are on the way.
    Window(usize),
    /// So many a second.
    Rate(f64),
}

/// What is sent where.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    pub port: u16,
    pub queries: &'a Queries,
    pub checking: Checking,
    pub pace: Pace,
    pub lasts: Duration,
    /// What else is done on the load's core: called every [`MEANWHILE`] turns, and short.
    pub meanwhile: &'a dyn Fn(),
}

impl Load<'_> {
    pub fn run(self) -> Result<Tally> {
        let started = Instant::now();
        let mut run = Run {
            sockets: (0..SOCKETS).map(|_| Socket::open(self.port)).collect::<io::Result<_>>()?,
            load: self,
            batch: Batch::new(),
            next: 0,
            tally: Tally::default(),
            started,
        };
        for turn in 1_u64.. {
            if started.elapsed() >= self.lasts {
                break;
            }
            run.turn()?;
            if turn % MEANWHILE == 0 {
                (self.meanwhile)();
            }
        }
        // By the time in which queries were sent; what is still on the way is waited for, and counted, in neither rate.
        run.tally.seconds = started.elapsed().as_secs_f64();
        let received = run.tally.received;
        let ended = Instant::now();
        while run.on_the_way() > 0 && ended.elapsed() < PATIENCE {
            run.receive_all()?;
        }
        run.tally.lost += run.on_the_way() as u64;
        run.tally.received = received;
        ensure!(run.tally.received > 0, "no response came from port {}", self.port);
        if let Some(wrong) = &run.tally.wrong {
            anyhow::bail!("a wrong response came from port {}: {wrong}", self.port);
        }
        Ok(run.tally)
    }
}

struct Run<'a> {
    load: Load<'a>,
    sockets: Vec<Socket>,
    batch: Batch,
    /// The query that is sent next.
    next: usize,
    tally: Tally,
    started: Instant,
}

struct Socket {
    socket: UdpSocket,
    /// By ID: what is on the way.
    slots: Vec<Option<(Instant, Kind)>>,
    id: u16,
    /// The first ID that may still be on the way.
    oldest: u16,
    on_the_way: usize,
}

impl Socket {
    fn open(port: u16) -> io::Result<Socket> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        socket.set_nonblocking(true)?;
        socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        Ok(Socket { socket, slots: vec![None; 1 << 16], id: 0, oldest: 0, on_the_way: 0 })
    }
}

impl Run<'_> {
    fn on_the_way(&self) -> usize {
        self.sockets.iter().map(|socket| socket.on_the_way).sum()
    }

    /// Sends what is to be sent now, and takes what is there.
    fn turn(&mut self) -> Result<()> {
        match self.load.pace {
            Pace::Window(window) => {
                let window = window / SOCKETS;
                for at in 0..SOCKETS {
                    let room = window.saturating_sub(self.sockets[at].on_the_way).min(BATCH);
                    // Not one by one: that would make the server's batches small.
                    if room >= (window / 4).clamp(1, BATCH) {
                        self.send(at, room)?;
                    }
                    self.receive(at)?;
                }
            }
            Pace::Rate(rate) => {
                let due = (self.started.elapsed().as_secs_f64() * rate) as u64;
                let late = due.saturating_sub(self.tally.sent) as usize;
                if late > 0 {
                    self.send((self.tally.sent / BATCH as u64) as usize % SOCKETS, late.min(BATCH))?;
                }
                self.receive_all()?;
            }
        }
        Ok(())
    }

    fn receive_all(&mut self) -> Result<()> {
        (0..SOCKETS).try_for_each(|at| self.receive(at))
    }

    fn send(&mut self, at: usize, count: usize) -> Result<()> {
        let socket = &mut self.sockets[at];
        for index in 0..count {
            let (_, query) = self.load.queries.get(self.next + index);
            let room = self.batch.room(index);
            room[..query.len()].copy_from_slice(query);
            room[..2].copy_from_slice(&socket.id.wrapping_add(index as u16).to_be_bytes());
            self.batch.put(index, query.len());
        }
        let now = Instant::now();
        let sent = self.batch.send(&socket.socket, count)?;
        for index in 0..sent {
            let (kind, _) = self.load.queries.get(self.next + index);
            let slot = &mut socket.slots[usize::from(socket.id)];
            if slot.replace((now, kind)).is_some() {
                // The IDs are used up and come around: what had this one before is lost.
                self.tally.lost += 1;
                socket.on_the_way -= 1;
            }
            socket.id = socket.id.wrapping_add(1);
            if socket.oldest == socket.id {
                socket.oldest = socket.id.wrapping_add(1);
            }
        }
        self.next = (self.next + sent) % self.load.queries.count();
        socket.on_the_way += sent;
        self.tally.sent += sent as u64;
        Ok(())
    }

    fn receive(&mut self, at: usize) -> Result<()> {
        let socket = &mut self.sockets[at];
        let count = self.batch.receive(&socket.socket)?;
        let now = Instant::now();
        for index in 0..count {
            let response = self.batch.received(index);
            ensure!(response.len() >= 12, "a response of {} bytes came", response.len());
            let id = usize::from(u16::from_be_bytes([response[0], response[1]]));
            // One that was given up already, or an ID that nobody sent: neither is counted.
            let Some((sent, kind)) = socket.slots[id].take() else { continue };
            socket.on_the_way -= 1;
            self.tally.latency.count(now - sent);
            self.tally.response(kind, response, (self.load.queries, self.load.checking));
        }
        self.tally.lost += socket.give_up(now);
        Ok(())
    }
}

impl Socket {
    /// Gives up what was waited for long enough. Returns how many that are.
    fn give_up(&mut self, now: Instant) -> u64 {
        let mut lost = 0;
        while self.oldest != self.id {
            match &self.slots[usize::from(self.oldest)] {
                Some((sent, _)) if now - *sent < PATIENCE => break,
                Some(_) => lost += 1,
                None => {}
            }
            self.slots[usize::from(self.oldest)] = None;
            self.oldest = self.oldest.wrapping_add(1);
        }
        self.on_the_way -= lost;
        lost as u64
    }
}

/// Turns between two calls of what else is to be done. At half load a turn takes some microseconds.
const MEANWHILE: u64 = 8;

/// Sockets of the load, each with a port of its own.
const SOCKETS: usize = 4;

/// How long a response is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// So that no response is lost on our side.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;
