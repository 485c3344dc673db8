//! A thread that answers over UDP: it waits for its sockets, answers what they have in batches, and sends what came of it.
//!
//! Each worker has sockets, buffers, counters and a hold on the snapshot of its own, so that workers share nothing that
//! is written. A panic of the answering side costs the query that caused it: it is caught, counted, and the rest of the
//! batch is answered.
//!
//! **Limits:** a worker looks at its sockets' list, the stop flag and the snapshot at least every 250 ms.

use std::{
    collections::HashMap,
    iter, mem,
    net::{IpAddr, SocketAddr, UdpSocket},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    answer::{Client, TOGETHER_MAX, Trail, Transport, Verdict},
    observe::dns::{DnsRecorder, DropReason},
};

use super::{
    backlog::Backlog,
    engine::{self, Engine, SlowQuery},
    limits::{BATCH_MAX, BUSY_ROUNDS_MAX, IDLE_MAX, SLICE},
    message::drop_reason,
    random::Random,
    record::{Observer, nanos},
    slow::{SlowPath, WayBack},
    udp::{self, Batch, Poller},
};

/// A socket of a worker.
#[derive(Debug, Clone)]
pub struct WorkerSocket {
    /// The address that it is bound to; it may be a wildcard.
    pub local: SocketAddr,
    /// The addresses of this host that it stands for.
    pub own: Arc<[IpAddr]>,
    /// The socket; it never blocks.
    pub socket: Arc<UdpSocket>,
}

impl WorkerSocket {
    /// Whether what comes from this address comes from here.
    fn is_at(&self, peer: SocketAddr) -> bool {
        self.local.port() == peer.port() && self.own.contains(&peer.ip().to_canonical())
    }
}

/// What others tell a worker: which sockets are its own, and when to stop.
#[derive(Debug, Default)]
pub struct Orders {
    sockets: Mutex<Vec<WorkerSocket>>,
    /// Counts the changes of the list.
    changes: AtomicU64,
    stop: AtomicBool,
}

impl Orders {
    /// Gives the worker these sockets instead of those it has; it takes them within 250 ms.
    pub fn set_sockets(&self, sockets: Vec<WorkerSocket>) {
        *self.sockets.lock().unwrap_or_else(PoisonError::into_inner) = sockets;
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Makes the worker end within 250 ms and the batch that it is at.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// All that a worker is made of.
pub struct Parts<E: Engine> {
    /// The answering side.
    pub engine: Arc<E>,
    /// The way of slow queries.
    pub slow: Arc<SlowPath<E>>,
    /// The metrics and the query log.
    pub observer: Observer,
    /// What others tell it.
    pub orders: Arc<Orders>,
}

/// Answers until it is told to stop. The body of a thread.
pub fn run<E: Engine>(parts: Parts<E>) {
    // Where that is refused, answers only wait longer for the other threads of their core.
    let _ = udp::ask_for_slices(SLICE);
    let mut worker = Worker {
        reader: parts.engine.reader(),
        recorder: parts.observer.metrics.dns_worker(),
        batch: Batch::new(),
        outcomes: [Outcome::None; BATCH_MAX],
        backlogs: Vec::new(),
        ready: Vec::new(),
        random: Random::new(),
        randoms: [0; BATCH_MAX],
        panics: 0,
        parts,
    };
    let (mut sockets, mut seen, mut poller): (Vec<WorkerSocket>, _, _) = (Vec::new(), None, Poller::new(iter::empty()));
    let mut refreshed = Instant::now();
    while !worker.parts.orders.stop.load(Ordering::Relaxed) {
        let changes = worker.parts.orders.changes.load(Ordering::Acquire);
        if seen != Some(changes) {
            let before = sockets;
            sockets = worker.parts.orders.sockets.lock().unwrap_or_else(PoisonError::into_inner).clone();
            poller = Poller::new(sockets.iter().map(|one| &*one.socket));
            worker.backlogs = carried_over(mem::take(&mut worker.backlogs), &before, &sockets);
            seen = Some(changes);
        }
        poller.wait(IDLE_MAX);
        worker.serve(&sockets, &poller);
        // A busy worker gets the current snapshot by each answer; one that only drops or waits has to ask for it.
        if refreshed.elapsed() >= IDLE_MAX {
            worker.parts.engine.refresh(&mut worker.reader);
            refreshed = Instant::now();
        }
    }
}

/// What is known of the sockets that stay, and nothing of those that are new. One that is overloaded has a small receive
/// buffer, which nobody would make large again if that were forgotten.
fn carried_over(backlogs: Vec<Backlog>, before: &[WorkerSocket], sockets: &[WorkerSocket]) -> Vec<Backlog> {
    let known = backlogs.into_iter().zip(before).map(|(backlog, one)| (Arc::as_ptr(&one.socket), backlog));
    let mut known: HashMap<_, _> = known.collect();
    sockets.iter().map(|one| known.remove(&Arc::as_ptr(&one.socket)).unwrap_or_default()).collect()
}

struct Worker<E: Engine> {
    parts: Parts<E>,
    reader: E::Reader,
    recorder: DnsRecorder,
    batch: Batch,
    /// What came of each message of the batch.
    outcomes: [Outcome; BATCH_MAX],
    /// How long queries wait in each socket, in the order of the list.
    backlogs: Vec<Backlog>,
    /// Sockets that may have something, by their place in the list; here to keep its room.
    ready: Vec<usize>,
    random: Random,
    /// A random number for each message of the batch.
    randoms: [u64; BATCH_MAX],
    panics: u64,
}

/// What came of a message, for counting when it is sent.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// Nothing to be counted: it was counted already, or will be.
    None,
    Response {
        length: usize,
        peer: SocketAddr,
    },
}

impl<E: Engine> Worker<E> {
    /// Answers what the ready sockets have, a few batches in turn, so that a busy one delays the others little and the
    /// list of those that are ready is not asked for with each batch.
    fn serve(&mut self, sockets: &[WorkerSocket], poller: &Poller) {
        let mut ready = mem::take(&mut self.ready);
        ready.clear();
        ready.extend((0..sockets.len()).filter(|index| poller.is_ready(*index)));
        for _ in 0..BUSY_ROUNDS_MAX {
            ready.retain(|index| self.serve_batch(sockets, *index));
            if ready.is_empty() {
                break;
            }
        }
        self.ready = ready;
    }

    /// Answers one batch. Returns whether the socket may have more.
    fn serve_batch(&mut self, sockets: &[WorkerSocket], index: usize) -> bool {
        let WorkerSocket { local, socket, .. } = &sockets[index];
        let count = match self.batch.receive(socket, local.ip(), self.backlogs[index].batch_max()) {
            Ok(count) => count,
            Err(error) => {
                self.is_in_time(index, socket, Duration::ZERO, Instant::now());
                return after_receive_error(&error);
            }
        };
        let (received, waited) = (Instant::now(), self.batch.waited());
        if !self.is_in_time(index, socket, waited, received) {
            (0..count).for_each(|_| self.recorder.record_drop(DropReason::Late));
            return true;
        }
        self.randoms[..count].fill_with(|| self.random.draw());
        for first in (0..count).step_by(TOGETHER_MAX) {
            self.answer_together(first..count.min(first + TOGETHER_MAX), sockets, socket, received);
        }
        let took = self.finish_batch(socket, count, received);
        self.recorder.record_wait(count as u64, nanos(waited));
        self.backlogs[index].answered(count, took);
        // A batch that was not full may have left the socket empty, but under load it seldom has.
        true
    }

    /// Answers some messages of the batch, so few that what is brought into the cache for them stays there meanwhile.
    fn answer_together(
        &mut self,
        messages: Range<usize>,
        sockets: &[WorkerSocket],
        socket: &Arc<UdpSocket>,
        received: Instant,
    ) {
        let none = [Trail::NONE; TOGETHER_MAX];
        let trails = if messages.len() >= WARM_MIN {
            let queries = self.batch.messages(messages.clone()).zip(self.randoms[messages.clone()].iter().copied());
            match catch_unwind(AssertUnwindSafe(|| self.parts.engine.warm(&mut self.reader, queries))) {
                Ok(trails) => trails,
                Err(_) => {
                    self.panicked();
                    none
                }
            }
        } else {
            none
        };
        let mut next = messages.start;
        while next < messages.end {
            let rest = catch_unwind(AssertUnwindSafe(|| {
                while next < messages.end {
                    let index = next;
                    next += 1;
                    self.outcomes[index] = Outcome::None;
                    let trail = trails[index - messages.start];
                    self.outcomes[index] = self.answer((index, trail), sockets, socket, received);
                }
            }));
            if rest.is_err() {
                self.panicked();
            }
        }
    }

    /// Whether a batch that waited so long is to be answered. Fits the receive buffer to what can be answered.
    fn is_in_time(&mut self, index: usize, socket: &UdpSocket, waited: Duration, now: Instant) -> bool {
        let backlog = &mut self.backlogs[index];
        let was_overloaded = backlog.is_overloaded();
        let advice = backlog.judge(waited, now);
        if let Some(bytes) = advice.buffer_bytes {
            // A kernel that refuses leaves the buffer as it was; what waited too long is dropped all the same.
            let _ = udp::set_receive_buffer(socket, bytes);
        }
        if backlog.is_overloaded() != was_overloaded {
            tracing::debug!(overloaded = !was_overloaded, "more DNS queries come in than can be answered, or no more");
        }
        advice.answer
    }

    fn answer(
        &mut self,
        (index, trail): (usize, Trail),
        sockets: &[WorkerSocket],
        socket: &Arc<UdpSocket>,
        received: Instant,
    ) -> Outcome {
        let (buffer, query_len, peer) = self.batch.message(index);
        let Some(peer) = peer else { return Outcome::None };
        let client = Client {
            own_listener: sockets.iter().any(|one| one.is_at(peer)),
            trail,
            ..engine::client(peer, Transport::Udp, self.randoms[index])
        };
        let Parts { engine, slow, .. } = &self.parts;
        let mut verdict = engine.respond(&mut self.reader, buffer, query_len, &client);
        if let Verdict::Slow(needed) = verdict {
            if let Some(permit) = slow.admit(client.address) {
                let message = buffer.bytes()[..needed.query_len].to_vec();
                let back =
                    WayBack { socket: Arc::clone(socket), peer, source: self.batch.destination(index), received };
                slow.answer_udp(permit, SlowQuery { message, client, slow: needed }, back);
                return Outcome::None;
            }
            verdict = engine.busy(&mut self.reader, buffer, needed.query_len, &client);
        }
        let Verdict::Response(length) = verdict else {
            let reason = drop_reason(&buffer.bytes()[..query_len], &client);
            self.recorder.record_drop(reason);
            return Outcome::None;
        };
        self.batch.queue(index, length);
        Outcome::Response { length, peer }
    }

    /// Sends and counts the responses. Returns how long it took from receiving to sending.
    fn finish_batch(&mut self, socket: &UdpSocket, count: usize, received: Instant) -> Duration {
        let lost = self.batch.send(socket);
        for _ in 0..lost {
            self.recorder.record_drop(DropReason::Send);
        }
        let duration = received.elapsed();
        let mut responses = 0;
        for (index, outcome) in self.outcomes[..count].iter().enumerate() {
            if let Outcome::Response { length, peer } = *outcome {
                let response = self.batch.bytes(index, length);
                self.parts.observer.worker_response(&mut self.recorder, peer, response, duration);
                responses += 1;
            }
        }
        self.recorder.record_durations(responses, nanos(duration));
        duration
    }

    fn panicked(&mut self) {
        self.recorder.record_drop(DropReason::Panic);
        self.parts.observer.metrics.panics.inc();
        self.panics += 1;
        // Once: a client that knows how to cause it could fill the log with it.
        if self.panics == 1 {
            tracing::error!("a DNS query made its answer panic; the query was dropped, please report it with this log");
        }
        // Whatever the panic left half done in the hold on the snapshot goes with it.
        self.reader = self.parts.engine.reader();
    }
}

/// Whether the socket may have more after this error.
fn after_receive_error(error: &std::io::Error) -> bool {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => false,
        // An ICMP error of an earlier response was taken off the socket, or a signal came: what it has is still there.
        Some(libc::EINTR | libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH) => true,
        _ => {
            // Out of memory, say: not to be asked again at once.
            thread::park_timeout(ERROR_PAUSE);
            false
        }
    }
}

/// Fewest queries that are worth looking at together. Source: none, chosen: what one waits for, four wait for at once.
const WARM_MIN: usize = 4;

/// Pause after an error of receiving that has no cure.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
