//! Which upstreams are asked, and when: the fastest first, the next besides it when it is slow.
//!
//! This is done here and not by one `NameServerPool` over all upstreams, because that pool asks the next
//! only after the one before has failed for good, asks several at once only from the beginning, and
//! returns NOTIMP, FORMERR and SERVFAIL instead of asking the next.
//!
//! | after | happens |
//! |---|---|
//! | 0 | the fastest is asked; besides it one that was not asked for a minute |
//! | 1.5 s | the next is asked too; later ones after half the wait before, so that a fourth still has time |
//! | a failure | the next is asked at once |
//! | 10 s | the end |
//!
//! A SERVFAIL counts as a failure like REFUSED: another upstream may be able, as libc assumes too.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{self, timeout_at},
};

use super::{
    answer::Answer,
    cache::{ExtendedError, Key, Outcome},
    latency::{self, Latency},
    settings::Limits,
    upstream::{Failure, Upstream},
};
use crate::observe::metrics::Metrics;

/// The addresses that are being asked for one question.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<Vec<IpAddr>>);

impl Asked {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }

    fn push(&self, address: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(address);
    }
}

/// One question on its way to upstreams.
pub(super) struct Race<'a> {
    pub(super) key: &'a Key,
    pub(super) limits: &'a Limits,
    pub(super) metrics: &'a Metrics,
    pub(super) asked: &'a Asked,
}

struct Tries {
    running: JoinSet<(usize, Result<Answer, Failure>)>,
    started: Vec<(Arc<Upstream>, Instant)>,
    done: Vec<bool>,
    failures: Vec<Failure>,
}

impl Race<'_> {
    /// Asks the upstreams until one answers, all have failed, or [`Limits::background`] has passed.
    pub(super) async fn run(&self, upstreams: &[Arc<Upstream>]) -> Outcome {
        let now = Instant::now();
        let latencies: Vec<Latency> = upstreams.iter().map(|upstream| upstream.latency().clone()).collect();
        let (order, at_once) = latency::order(&latencies, self.limits.explore_after, now);
        let mut waiting = order.into_iter().map(|index| Arc::clone(&upstreams[index]));
        let mut tries = Tries { running: JoinSet::new(), started: vec![], done: vec![], failures: vec![] };
        waiting.by_ref().take(at_once).for_each(|upstream| self.start(&mut tries, upstream));
        let end = now + self.limits.background;
        let mut wait = self.limits.try_after;
        let mut next_at = now + wait;
        loop {
            match timeout_at(time::Instant::from_std(next_at.min(end)), tries.running.join_next()).await {
                Ok(Some(Ok((index, Ok(answer))))) => {
                    let elapsed = tries.started[index].1.elapsed();
                    self.metrics.forward_upstream_duration_seconds.observe(elapsed.as_secs_f64());
                    tries.note_slow(index);
                    return Ok(Arc::new(answer));
                }
                Ok(Some(Ok((index, Err(failure))))) => {
                    tries.done[index] = true;
                    tries.failures.push(failure);
                    waiting.by_ref().take(1).for_each(|upstream| self.start(&mut tries, upstream));
                }
                // A try that panicked has told nothing.
                Ok(Some(Err(_))) => tries.failures.push(Failure::Refused),
                Ok(None) => break,
                Err(_) if Instant::now() >= end => break,
                Err(_) => {
                    tries.note_slow(usize::MAX);
                    wait = wait.div_f32(2.0).max(WAIT_MIN);
                    next_at = match waiting.next() {
                        Some(upstream) => {
                            self.start(&mut tries, upstream);
                            Instant::now() + wait
                        }
                        None => end,
                    };
                }
            }
        }
        Err(tries.explain())
    }

    fn start(&self, tries: &mut Tries, upstream: Arc<Upstream>) {
        self.asked.push(upstream.address().ip().to_canonical());
        let index = tries.started.len();
        tries.started.push((Arc::clone(&upstream), Instant::now()));
        tries.done.push(false);
        let key = self.key.clone();
        tries.running.spawn(async move { (index, upstream.ask(&key).await) });
    }
}

impl Tries {
    /// Says why there is no answer: silence weighs more than a network error, that more than a refusal.
    fn explain(&self) -> ExtendedError {
        for ((upstream, _), _) in self.started.iter().zip(&self.done).filter(|(_, done)| !**done) {
            upstream.latency().failed();
        }
        if !self.running.is_empty() || self.failures.contains(&Failure::Silent) || self.started.is_empty() {
            SILENT
        } else if self.failures.contains(&Failure::Unreachable) {
            UNREACHABLE
        } else {
            REFUSED
        }
    }

    /// Whoever is being asked still, besides `winner`, is at least as slow as it has been so far.
    fn note_slow(&self, winner: usize) {
        for (index, (upstream, since)) in self.started.iter().enumerate() {
            if index != winner && !self.done[index] {
                upstream.latency().slow(since.elapsed());
            }
        }
    }
}

/// Upstreams are silent (RFC 8914 section 4.23).
pub(super) const SILENT: ExtendedError = ExtendedError { code: 22, text: "no upstream answered in time" };

/// Upstreams can't be reached (RFC 8914 section 4.24).
const UNREACHABLE: ExtendedError = ExtendedError { code: 23, text: "no upstream can be reached" };

/// Upstreams answered, but with an error (RFC 8914 section 4.1).
const REFUSED: ExtendedError = ExtendedError { code: 0, text: "upstreams answered with an error" };

/// Shortest wait for one upstream. Source: none, chosen: a dozen upstreams are asked within the second half.
const WAIT_MIN: Duration = Duration::from_millis(100);
