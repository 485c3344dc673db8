//! DNS over TCP: each message behind its length, answered as soon as its answer is ready, whatever order that gives.
//!
//! ```text
//! read -> messages -> answered at once --------------------------> written together
//!                  \-> slow: a task each --as it becomes ready--/
//! ```
//!
//! A connection is one task. It does not read while it writes, so that a client that does not take its responses is not
//! asked for more of them; and it holds no buffer while it waits for a message.
//!
//! **Limits:** [`limits`](super::limits). A message that gets no response (a response, say) closes the connection once
//! what is in flight is answered.
//!
//! **Source:** RFC 7766; RFC 7828 (keepalive).

use std::{
    fmt,
    io::{self, ErrorKind},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::{sleep_until, timeout},
};

use crate::{
    answer::{Buffer, Transport, Verdict},
    observe::dns::{DropReason, Proto},
};

use super::{
    connections::{Connections, Place},
    engine::{self, Engine, SlowQuery},
    limits::{ACCEPT_PAUSE, CONNECTION_SLOW_MAX, WRITE_BATCH_BYTES},
    message::{HEADER_BYTES, add_keepalive, asks_keepalive, drop_reason},
    random::Random,
    record::Observer,
    slow::{Permit, SlowPath},
};

/// What all connections share.
pub struct TcpServer<E: Engine> {
    engine: Arc<E>,
    slow: Arc<SlowPath<E>>,
    observer: Observer,
    connections: Arc<Connections>,
    /// Room to answer in, one for each thread that answers at the same time.
    rooms: Mutex<Vec<Room>>,
    stop: watch::Receiver<bool>,
}

/// Room to answer one message in.
struct Room {
    buffer: Buffer,
    random: Random,
}

impl<E: Engine> TcpServer<E> {
    /// Answers from `engine` until `stop` turns true.
    pub fn new(
        engine: Arc<E>,
        slow: Arc<SlowPath<E>>,
        observer: Observer,
        connections: Arc<Connections>,
        stop: watch::Receiver<bool>,
    ) -> TcpServer<E> {
        TcpServer { engine, slow, observer, connections, rooms: Mutex::default(), stop }
    }

    /// Accepts connections until the stop.
    pub async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut stop = self.stop.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((stream, peer)) => self.open(stream, peer),
                Err(error) if is_out_of_files(&error) => {
                    self.connections.make_room();
                    self.observer.dropped(DropReason::Limit);
                    // The files come free when the connection that made room has closed.
                    if timeout(ACCEPT_PAUSE, stop.wait_for(|stop| *stop)).await.is_ok() {
                        return;
                    }
                }
                // The client gave up before it was accepted.
                Err(_) => {}
            }
        }
    }

    fn open(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Some(place) = self.connections.place(peer.ip().to_canonical()) else {
            self.observer.dropped(DropReason::Limit);
            return;
        };
        // Without it the second of two responses would wait for the client's acknowledgement of the first.
        let _ = stream.set_nodelay(true);
        let server = Arc::clone(self);
        tokio::spawn(async move {
            let idle_since = Instant::now();
            let (answered, answers) = mpsc::channel(CONNECTION_SLOW_MAX);
            let connection = Connection {
                server,
                peer,
                place,
                input: Input::default(),
                output: Vec::new(),
                first: true,
                reading: true,
                idle_since,
                in_flight: 0,
                answered,
            };
            // An error is the client's: it closed, it reset, or it does not read.
            let _ = connection.run(stream, answers).await;
        });
    }

    fn room(&self) -> Room {
        let room = self.rooms.lock().unwrap_or_else(PoisonError::into_inner).pop();
        room.unwrap_or_else(|| Room { buffer: Buffer::tcp(), random: Random::new() })
    }

    fn give_back(&self, room: Room) {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    }
}

impl<E: Engine> fmt::Debug for TcpServer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpServer").field("connections", &self.connections.count()).finish_non_exhaustive()
    }
}

struct Connection<E: Engine> {
    server: Arc<TcpServer<E>>,
    peer: SocketAddr,
    place: Place,
    input: Input,
    /// Responses, each behind its length, that are not yet written.
    output: Vec<u8>,
    /// Whether no message has come yet.
    first: bool,
    /// Whether messages are still taken.
    reading: bool,
    /// The last complete message or written response.
    idle_since: Instant,
    /// Slow queries that are not yet answered.
    in_flight: usize,
    answered: mpsc::Sender<SlowAnswer>,
}

/// The response to a slow query; empty for none.
struct SlowAnswer {
    response: Vec<u8>,
    keepalive: bool,
    received: Instant,
}

impl<E: Engine> Connection<E> {
    async fn run(mut self, mut stream: TcpStream, mut answers: mpsc::Receiver<SlowAnswer>) -> io::Result<()> {
        let mut stop = self.server.stop.clone();
        while self.reading || self.in_flight > 0 {
            let may_read = self.reading && self.in_flight < CONNECTION_SLOW_MAX;
            let deadline = self.idle_since + self.patience();
            tokio::select! {
                Some(answer) = answers.recv(), if self.in_flight > 0 => {
                    self.take_answer(answer);
                    // What else is ready goes out with it.
                    while let Ok(answer) = answers.try_recv() {
                        self.take_answer(answer);
                    }
                }
                ready = stream.readable(), if may_read => {
                    ready?;
                    self.read(&stream)?;
                }
                () = self.place.told_to_close() => self.reading = false,
                _ = stop.wait_for(|stop| *stop), if self.reading => self.reading = false,
                () = sleep_until(deadline.into()), if self.in_flight == 0 => self.reading = false,
            }
            while self.answer_input() {
                self.write(&mut stream).await?;
            }
            self.write(&mut stream).await?;
        }
        stream.shutdown().await
    }

    /// How long the client may be idle now.
    fn patience(&self) -> Duration {
        let limits = self.server.connections.limits();
        if self.first { limits.first_message } else { limits.idle }
    }

    fn read(&mut self, stream: &TcpStream) -> io::Result<()> {
        match self.input.read(stream) {
            // The client has no more messages; it may still wait for what is in flight (RFC 7766 section 6.2.4).
            Ok(0) => self.reading = false,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Answers the complete messages that are there. Returns whether it stopped because enough is to be written.
    fn answer_input(&mut self) -> bool {
        if !self.input.has_message() {
            return false;
        }
        let received = Instant::now();
        let server = Arc::clone(&self.server);
        let mut reader = server.engine.reader();
        let mut room = server.room();
        while self.in_flight < CONNECTION_SLOW_MAX && self.output.len() < WRITE_BATCH_BYTES {
            let Some(message) = self.input.message() else { break };
            let query_len = message.len();
            room.buffer.bytes_mut()[..query_len].copy_from_slice(message);
            self.input.consume(query_len);
            (self.first, self.idle_since) = (false, received);
            self.place.active();
            let answered = catch_unwind(AssertUnwindSafe(|| self.answer(&mut reader, &mut room, query_len, received)));
            if answered.is_err() {
                self.server.observer.dropped(DropReason::Panic);
                self.stop_reading();
                return false;
            }
        }
        server.give_back(room);
        self.output.len() >= WRITE_BATCH_BYTES
    }

    fn answer(&mut self, reader: &mut E::Reader, room: &mut Room, query_len: usize, received: Instant) {
        let Room { buffer, random } = room;
        let client = engine::client(self.peer, Transport::Tcp, random.draw());
        let keepalive = asks_keepalive(&buffer.bytes()[..query_len]);
        let mut verdict = self.server.engine.respond(reader, buffer, query_len, &client);
        if let Verdict::Slow(needed) = verdict {
            if let Some(permit) = self.server.slow.admit(client.address) {
                let message = buffer.bytes()[..needed.query_len].to_vec();
                self.answer_later(permit, SlowQuery { message, client, slow: needed }, (keepalive, received));
                return;
            }
            verdict = self.server.engine.busy(reader, buffer, needed.query_len, &client);
        }
        let Verdict::Response(length) = verdict else {
            self.server.observer.dropped(drop_reason(&buffer.bytes()[..query_len], &client));
            self.stop_reading();
            return;
        };
        self.queue(&buffer.bytes()[..length], keepalive, received);
    }

    /// Has a task answer the query and tell the connection.
    fn answer_later(&mut self, permit: Permit, query: SlowQuery, (keepalive, received): (bool, Instant)) {
        self.in_flight += 1;
        self.place.set_in_flight(self.in_flight);
        let answer = SlowAnswer { response: Vec::new(), keepalive, received };
        let reporter = Reporter { answered: self.answered.clone(), answer: Some(answer) };
        let slow = Arc::clone(&self.server.slow);
        tokio::spawn(async move { reporter.report(slow.answer(permit, query).await) });
    }

    /// Takes no further message, those included that are here already.
    fn stop_reading(&mut self) {
        self.reading = false;
        self.input = Input::default();
    }

    fn take_answer(&mut self, answer: SlowAnswer) {
        self.in_flight -= 1;
        self.place.set_in_flight(self.in_flight);
        self.queue(&answer.response, answer.keepalive, answer.received);
    }

    /// Puts a response behind its length into the output.
    fn queue(&mut self, response: &[u8], keepalive: bool, received: Instant) {
        let is_message = response.len() >= HEADER_BYTES && response.len() <= usize::from(u16::MAX);
        if !is_message {
            if !response.is_empty() {
                self.server.observer.dropped(DropReason::Send);
            }
            return;
        }
        self.server.observer.response(Proto::Tcp, self.peer, response, received.elapsed());
        let at = self.output.len();
        self.output.extend_from_slice(&[0, 0]);
        self.output.extend_from_slice(response);
        if keepalive {
            add_keepalive(&mut self.output, at + LENGTH_BYTES, self.server.connections.limits().idle);
        }
        let length = (self.output.len() - at - LENGTH_BYTES) as u16;
        self.output[at..at + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    }

    /// Writes the output, all at once where the client takes it so.
    async fn write(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let limit = self.server.connections.limits().write;
        timeout(limit, stream.write_all(&self.output)).await.map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
        self.idle_since = Instant::now();
        self.place.active();
        self.output.clear();
        self.output.shrink_to(KEPT_BYTES);
        Ok(())
    }
}

/// Tells the connection that a slow query is done, also when its task panicked.
struct Reporter {
    answered: mpsc::Sender<SlowAnswer>,
    answer: Option<SlowAnswer>,
}

impl Reporter {
    fn report(mut self, response: Vec<u8>) {
        if let Some(answer) = &mut self.answer {
            answer.response = response;
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            // There is room for as many answers as a connection may have in flight; if it is closed, nobody waits.
            let _ = self.answered.try_send(answer);
        }
    }
}

/// What a client sent and is not yet answered.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    /// Where the first message that is not yet answered begins.
    at: usize,
}

impl Input {
    /// Takes what the stream has, a few KiB at a time. Returns 0 at its end.
    fn read(&mut self, stream: &TcpStream) -> io::Result<usize> {
        self.bytes.drain(..self.at);
        self.at = 0;
        // At most one message is incomplete here, so that what is held stays below its size and one read.
        self.bytes.reserve(READ_BYTES);
        let result = stream.try_read_buf(&mut self.bytes);
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
        result
    }

    /// The next message, if it is complete.
    fn message(&self) -> Option<&[u8]> {
        let (length, rest) = self.bytes[self.at..].split_first_chunk::<LENGTH_BYTES>()?;
        rest.get(..usize::from(u16::from_be_bytes(*length)))
    }

    fn has_message(&self) -> bool {
        self.message().is_some()
    }

    /// Passes over the next message.
    fn consume(&mut self, length: usize) {
        self.at += LENGTH_BYTES + length;
        if self.at == self.bytes.len() {
            // Nothing is held while the client is idle.
            *self = Input::default();
        }
    }
}

fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Length of the length before each message. Source: RFC 1035 section 4.2.2.
const LENGTH_BYTES: usize = 2;

/// Bytes that are read at a time.
///
/// Source: none, chosen: some hundred pipelined queries.
const READ_BYTES: usize = 8 << 10;

/// Bytes of output room that an idle connection keeps.
///
/// Source: none, chosen: 2,000 connections keep at most 2 MiB.
const KEPT_BYTES: usize = 1 << 10;

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
