//! How long queries wait in a socket, and what is done when that is too long.
//!
//! A worker that was off the processor for a moment finds queries that have waited. They are answered all the same: a
//! client that gets nothing asks again after seconds. But where the wait stays above 5 ms while the worker has the
//! processor, more comes in than can be answered. From then on what has waited that long is dropped, and the receive
//! buffer is made as small as what can be answered in 2.5 ms, so that the kernel drops what would only have waited, at no
//! cost to us. When the wait has been short for a second, the buffer gets its full size back.
//!
//! ```text
//! wait >= 5 ms, and not falling for 10 ms of work  \
//! wait >= 5 ms for 100 ms                          -> overloaded       wait < 1.25 ms for 1 s -> calm
//! ```
//!
//! What is received together is sent together, and so waits for one another: a batch is no larger than what is answered
//! in half a millisecond.
//!
//! **Limits:** one value for each socket of each worker; a batch is judged as a whole, by its oldest query.
//!
//! **Source:** the standing queue, its interval and its least wait are those of CoDel (RFC 8289 sections 3 and 4).

use std::time::{Duration, Instant};

use super::limits::{BATCH_MAX, BATCH_SPAN, RECEIVE_BUFFER_BYTES, RECEIVE_BUFFER_MIN_BYTES, WAIT_MAX, WAIT_WANTED};

/// What is known of the wait in one socket.
#[derive(Debug)]
pub struct Backlog {
    state: State,
    /// The receive buffer that was asked for last.
    buffer_bytes: usize,
    /// About how long one query takes, in nanoseconds.
    pace_nanos: u32,
}

#[derive(Debug)]
enum State {
    /// No wait.
    Calm,
    /// Queries wait since a moment ago.
    Waiting { since: Instant, work: Work },
    /// More comes in than can be answered; so since at the latest `seen`.
    Overloaded { seen: Instant, look: Look },
}

/// A time in which the worker had the processor, as far as can be told.
#[derive(Debug, Clone, Copy)]
struct Work {
    begun: Instant,
    /// How long the oldest query had waited when it began.
    waited: Duration,
    last: Instant,
}

/// What is seen of the wait between two changes of the buffer.
#[derive(Debug, Clone, Copy)]
struct Look {
    begun: Instant,
    least: Duration,
}

impl Default for Backlog {
    fn default() -> Backlog {
        Backlog::new()
    }
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// Whether it is answered; else it is dropped as a whole.
    pub answer: bool,
    /// The receive buffer to ask for from now on, in bytes, if it changes.
    pub buffer_bytes: Option<usize>,
}

impl Backlog {
    /// A socket that was just opened, with the full buffer.
    pub fn new() -> Backlog {
        Backlog { state: State::Calm, buffer_bytes: RECEIVE_BUFFER_BYTES, pace_nanos: PACE_FIRST_NANOS }
    }

    /// Judges a batch whose oldest query has waited so long. An empty socket is a wait of zero.
    pub fn judge(&mut self, waited: Duration, now: Instant) -> Advice {
        let late = waited >= WAIT_MAX;
        match &mut self.state {
            State::Calm if late => self.state = State::Waiting { since: now, work: Work::new(now, waited) },
            State::Calm => {}
            State::Waiting { .. } if !late => self.state = State::Calm,
            State::Waiting { since, work } => {
                if now.duration_since(*since) >= STANDING_MAX || work.shows_no_end(waited, now) {
                    self.state = State::Overloaded { seen: now, look: Look::new(now) };
                    return Advice { answer: false, buffer_bytes: self.resize(self.affordable_bytes()) };
                }
            }
            State::Overloaded { seen, look } => {
                if waited >= WAIT_MAX / 4 {
                    *seen = now;
                } else if now.duration_since(*seen) >= CALM_MIN {
                    self.state = State::Calm;
                    return Advice { answer: true, buffer_bytes: self.resize(RECEIVE_BUFFER_BYTES) };
                }
                let fitted = look.fit(waited, now, self.buffer_bytes);
                return Advice { answer: !late, buffer_bytes: self.resize(fitted) };
            }
        }
        Advice { answer: true, buffer_bytes: None }
    }

    /// Notes how long the answering of a batch took, until all was sent.
    pub fn answered(&mut self, queries: usize, took: Duration) {
        let nanos = took.as_nanos() / queries.max(1) as u128;
        // A moment off the processor is not to count much.
        let nanos = u32::try_from(nanos).unwrap_or(u32::MAX).min(self.pace_nanos.saturating_mul(4));
        self.pace_nanos = (self.pace_nanos / 8 * 7).saturating_add(nanos / 8).max(PACE_MIN_NANOS);
    }

    /// Queries to receive together.
    pub fn batch_max(&self) -> usize {
        self.affordable(BATCH_SPAN).clamp(1, BATCH_MAX)
    }

    /// Whether more comes in than can be answered.
    pub fn is_overloaded(&self) -> bool {
        matches!(self.state, State::Overloaded { .. })
    }

    /// Queries that can be answered in so long a time.
    fn affordable(&self, span: Duration) -> usize {
        usize::try_from(span.as_nanos()).unwrap_or(usize::MAX) / self.pace_nanos as usize
    }

    /// The buffer that holds what can be answered in the wait that is wanted.
    fn affordable_bytes(&self) -> usize {
        self.affordable(WAIT_WANTED).saturating_mul(QUERY_BYTES).min(self.buffer_bytes)
    }

    fn resize(&mut self, bytes: usize) -> Option<usize> {
        let bytes = bytes.clamp(RECEIVE_BUFFER_MIN_BYTES, RECEIVE_BUFFER_BYTES);
        let before = std::mem::replace(&mut self.buffer_bytes, bytes);
        (bytes != before).then_some(bytes)
    }
}

impl Work {
    fn new(now: Instant, waited: Duration) -> Work {
        Work { begun: now, waited, last: now }
    }

    /// Whether so much was worked off, and the wait fell so little, that it will not end soon. After a moment without the
    /// processor the wait is longer, which tells nothing, and it begins anew.
    fn shows_no_end(&mut self, waited: Duration, now: Instant) -> bool {
        if now.duration_since(self.last) >= GAP_MAX {
            *self = Work::new(now, waited);
            return false;
        }
        self.last = now;
        let worked = now.duration_since(self.begun);
        if worked < WORK_MIN {
            return false;
        }
        // What falls by less than a tenth of the time that goes by needs ten times as long as it has lasted.
        let stands = waited + worked / 10 >= self.waited;
        *self = Work::new(now, waited);
        stands
    }
}

impl Look {
    fn new(now: Instant) -> Look {
        Look { begun: now, least: Duration::MAX }
    }

    /// The buffer that makes the wait what is wanted. The least wait is what tells: a full buffer makes all of them as
    /// long, a moment without the processor only some.
    fn fit(&mut self, waited: Duration, now: Instant, bytes: usize) -> usize {
        self.least = self.least.min(waited);
        if now.duration_since(self.begun) < LOOK_INTERVAL {
            return bytes;
        }
        let least = std::mem::replace(self, Look::new(now)).least;
        if least > WAIT_WANTED {
            (bytes as f64 * WAIT_WANTED.div_duration_f64(least)) as usize
        } else if least < WAIT_WANTED / 2 {
            bytes + bytes / 8
        } else {
            bytes
        }
    }
}

/// How long a wait has to last before it counts as overload, whatever it does meanwhile.
///
/// Source: RFC 8289 section 3.2 (INTERVAL).
const STANDING_MAX: Duration = Duration::from_millis(100);

/// Time of work after which a wait that does not fall counts as overload.
///
/// Source: none, chosen: some twenty batches of the longest kind, so that what is measured is no accident.
const WORK_MIN: Duration = Duration::from_millis(10);

/// Time between two batches after which the worker was off the processor.
///
/// Source: none, chosen: four batches of the longest kind, so that a few sockets may take turns.
const GAP_MAX: Duration = Duration::from_millis(2);

/// How long the wait has to be short before the overload counts as over.
///
/// Source: none, chosen: a hundred times what it takes to see it come back.
const CALM_MIN: Duration = Duration::from_secs(1);

/// How often the buffer is fitted at most.
///
/// Source: none, chosen: a few times the longest wait, in which what was waiting at the last change is gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Bytes to ask for to have room for one query more. Source: Linux counts 768 bytes for a small datagram that came over
/// loopback, and gives twice what it is asked for; where it is more, the first look finds the wait shorter than wanted.
const QUERY_BYTES: usize = 384;

/// Time of one query until the first was answered. Source: none, chosen: twice that of a usual one.
const PACE_FIRST_NANOS: u32 = 8_000;

/// Least time of one query. Source: none, chosen: what a system call costs for each message.
const PACE_MIN_NANOS: u32 = 500;

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
