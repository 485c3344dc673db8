//! The load over TCP: pipelined queries over a few connections, from one thread.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use socket2::{Domain, Socket, Type};

use crate::{
    catalog::{Kind, Queries},
    tally::{Checking, Tally},
};

/// What is sent where, and how much of it is on the way.
#[derive(Clone, Copy)]
pub struct TcpLoad<'a> {
    pub port: u16,
    pub queries: &'a Queries,
    pub connections: usize,
    /// Queries on the way on each connection.
    pub pipelined: usize,
    pub lasts: Duration,
}

impl TcpLoad<'_> {
    pub fn run(self) -> Result<Tally> {
        let mut connections: Vec<Connection> =
            (0..self.connections).map(|number| Connection::open(self, number)).collect::<io::Result<_>>()?;
        let mut tally = Tally::default();
        let mut next = 0;
        let started = Instant::now();
        let mut heard = started;
        while started.elapsed() < self.lasts {
            for connection in &mut connections {
                connection.send(&mut next, &mut tally)?;
                if connection.receive(&mut tally)? {
                    heard = Instant::now();
                }
            }
            ensure!(heard.elapsed() < PATIENCE, "nothing came over TCP from port {} for a while", self.port);
        }
        tally.seconds = started.elapsed().as_secs_f64();
        if let Some(wrong) = &tally.wrong {
            bail!("a wrong response came over TCP from port {}: {wrong}", self.port);
        }
        Ok(tally)
    }
}

struct Connection<'a> {
    load: TcpLoad<'a>,
    stream: TcpStream,
    /// By ID: what is on the way.
    slots: Vec<Option<(Instant, Kind)>>,
    id: usize,
    on_the_way: usize,
    /// What is to be sent, from `sent` on.
    output: Vec<u8>,
    sent: usize,
    /// What was received, from `taken` on, up to `filled`.
    input: Box<[u8]>,
    taken: usize,
    filled: usize,
}

impl<'a> Connection<'a> {
    /// Opens one of many; a few hundred have a client address together.
    fn open(load: TcpLoad<'a>, number: usize) -> io::Result<Connection<'a>> {
        let client = Ipv4Addr::new(127, 0, 0, 1 + (number / CLIENT_CONNECTIONS) as u8);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((client, 0)).into())?;
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, load.port)).into())?;
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            load,
            stream,
            slots: vec![None; 2 * load.pipelined],
            id: 0,
            on_the_way: 0,
            output: Vec::new(),
            sent: 0,
            input: vec![0; INPUT_BYTES].into(),
            taken: 0,
            filled: 0,
        })
    }

    /// Fills up the pipeline.
    fn send(&mut self, next: &mut usize, tally: &mut Tally) -> Result<()> {
        let room = self.load.pipelined - self.on_the_way;
        if self.output.is_empty() && room > 0 {
            let now = Instant::now();
            for _ in 0..room {
                let (kind, query) = self.load.queries.get(*next);
                *next = (*next + 1) % self.load.queries.count();
                self.output.extend_from_slice(&(query.len() as u16).to_be_bytes());
                let at = self.output.len();
                self.output.extend_from_slice(query);
                while self.slots[self.id].is_some() {
                    self.id = (self.id + 1) % self.slots.len();
                }
                self.output[at..at + 2].copy_from_slice(&(self.id as u16).to_be_bytes());
                self.slots[self.id] = Some((now, kind));
                self.id = (self.id + 1) % self.slots.len();
            }
            self.on_the_way += room;
            tally.sent += room as u64;
        }
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("writing to the server"),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }

    /// Takes what is there. Returns whether anything was.
    fn receive(&mut self, tally: &mut Tally) -> Result<bool> {
        self.input.copy_within(self.taken..self.filled, 0);
        (self.taken, self.filled) = (0, self.filled - self.taken);
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(count) => self.filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("reading from the server"),
        }
        // A server that leaves Nagle's algorithm on waits for this.
        socket2::SockRef::from(&self.stream).set_tcp_quickack(true)?;
        let now = Instant::now();
        while let Some((length, rest)) = self.input[self.taken..self.filled].split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(response) = rest.get(..length) else { break };
            ensure!(length >= 12, "a response of {length} bytes came over TCP");
            let id = usize::from(u16::from_be_bytes([response[0], response[1]]));
            let slot = self.slots.get_mut(id).and_then(Option::take);
            let (sent, kind) = slot.context("a response came over TCP that nobody asked for")?;
            tally.latency.count(now - sent);
            tally.response(kind, response, (self.load.queries, Checking::Strict));
            self.on_the_way -= 1;
            self.taken += 2 + length;
        }
        Ok(true)
    }
}

/// Connections of one client address: below what servers admit.
const CLIENT_CONNECTIONS: usize = 500;

const INPUT_BYTES: usize = 256 << 10;

/// How long nothing may come at all.
const PATIENCE: Duration = Duration::from_secs(2);
