//! How long queries wait in a socket, and what is done when that is too long.
//!
//! A worker that was off the processor for a moment finds queries that have waited. They are answered all the same: a
//! client that gets nothing asks again after seconds. But where every batch for 100 ms began with a query that had waited
//! longer than 5 ms, more comes in than can be answered. From then on what has waited that long is dropped, so that what
//! is answered is answered in time, and the receive buffer is made smaller, so that the kernel drops what would only have
//! waited, at no cost to us. When the wait has been short for a second, the buffer gets its full size back.
//!
//! ```text
//! wait >= 5 ms for 100 ms:  calm -> overloaded       wait < 1.25 ms for 1 s:  overloaded -> calm
//! ```
//!
//! **Limits:** one value for each socket of each worker; a batch is judged as a whole, by its oldest query.
//!
//! **Source:** the standing queue and its interval are those of CoDel (RFC 8289 section 3).

use std::time::{Duration, Instant};

use super::limits::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFER_MIN_BYTES, WAIT_MAX};

/// What is known of the wait in one socket.
#[derive(Debug)]
pub struct Backlog {
    state: State,
    /// The receive buffer that was asked for last.
    buffer_bytes: usize,
}

#[derive(Debug)]
enum State {
    /// No wait, or one that began a moment ago.
    Calm { waiting_since: Option<Instant> },
    /// More comes in than can be answered; so since at the latest `seen`.
    Overloaded { seen: Instant, shrunk: Instant },
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
        Backlog { state: State::Calm { waiting_since: None }, buffer_bytes: RECEIVE_BUFFER_BYTES }
    }

    /// Judges a batch whose oldest query has waited so long. An empty socket is a wait of zero.
    pub fn judge(&mut self, waited: Duration, now: Instant) -> Advice {
        let late = waited >= WAIT_MAX;
        match &mut self.state {
            State::Calm { waiting_since } if !late => *waiting_since = None,
            State::Calm { waiting_since } => {
                let since = *waiting_since.get_or_insert(now);
                if now.duration_since(since) >= STANDING_MIN {
                    self.state = State::Overloaded { seen: now, shrunk: now };
                    return Advice { answer: false, buffer_bytes: self.resize(self.buffer_bytes / 2) };
                }
            }
            State::Overloaded { seen, shrunk } if late => {
                *seen = now;
                // Not with each batch: those that the last change kept out have to be missed first.
                let again = now.duration_since(*shrunk) >= SHRINK_INTERVAL;
                if again {
                    *shrunk = now;
                }
                let bytes = if again { self.buffer_bytes / 4 * 3 } else { self.buffer_bytes };
                return Advice { answer: false, buffer_bytes: self.resize(bytes) };
            }
            State::Overloaded { seen, .. } if waited >= WAIT_MAX / 4 => *seen = now,
            State::Overloaded { seen, .. } => {
                if now.duration_since(*seen) >= CALM_MIN {
                    self.state = State::Calm { waiting_since: None };
                    return Advice { answer: true, buffer_bytes: self.resize(RECEIVE_BUFFER_BYTES) };
                }
            }
        }
        Advice { answer: true, buffer_bytes: None }
    }

    /// Whether more comes in than can be answered.
    pub fn is_overloaded(&self) -> bool {
        matches!(self.state, State::Overloaded { .. })
    }

    fn resize(&mut self, bytes: usize) -> Option<usize> {
        let bytes = bytes.clamp(RECEIVE_BUFFER_MIN_BYTES, RECEIVE_BUFFER_BYTES);
        let before = std::mem::replace(&mut self.buffer_bytes, bytes);
        (bytes != before).then_some(bytes)
    }
}

/// How long a wait has to last before it counts as overload. Source: RFC 8289 section 3.2 (INTERVAL).
const STANDING_MIN: Duration = Duration::from_millis(100);

/// How long the wait has to be short before the overload counts as over.
///
/// Source: none, chosen: ten times what it takes to see it come back.
const CALM_MIN: Duration = Duration::from_secs(1);

/// How often the buffer is made smaller at most.
///
/// Source: none, chosen: a few times the longest wait.
const SHRINK_INTERVAL: Duration = Duration::from_millis(20);

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
