//! What came back: counted by kind of query, checked, and how long it took.

use std::time::Duration;

use crate::catalog::{KINDS, Kind, Queries};

/// Counts of one run.
#[derive(Clone, Default)]
pub struct Tally {
    pub seconds: f64,
    pub sent: u64,
    pub received: u64,
    /// Not answered by the end.
    pub lost: u64,
    pub kinds: [Counts; 3],
    pub latency: Latency,
    /// The first response that was not what it must be.
    pub wrong: Option<String>,
}

/// Sums over the responses to one kind of query.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub responses: u64,
    pub bytes: u64,
    /// Records in the answer, authority and additional sections.
    pub sections: [u64; 3],
}

/// How a response is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Checking {
    /// RCODE and the number of answers must be right.
    Strict,
    /// As strict, but TC is expected: not all answers fit.
    Cut,
    /// RCODE must be right; how many answers there are changes all the time.
    Changing,
    /// The echo knows nothing.
    Echo,
}

impl Tally {
    pub fn per_second(&self) -> f64 {
        self.received as f64 / self.seconds
    }

    /// Counts a response to a query of this kind. Its ID was found to be that of a query on the way.
    pub fn response(&mut self, kind: Kind, response: &[u8], (queries, checking): (&Queries, Checking)) {
        self.received += 1;
        let counts = &mut self.kinds[kind as usize];
        counts.responses += 1;
        counts.bytes += response.len() as u64;
        let number = |at: usize| u16::from_be_bytes([response[at], response[at + 1]]);
        let sections = [number(6), number(8), number(10)];
        for (sum, records) in counts.sections.iter_mut().zip(sections) {
            *sum += u64::from(records);
        }
        let (is_response, is_cut, rcode) = (response[2] & 0x80 != 0, response[2] & 2 != 0, response[3] & 15);
        let answers = if kind == Kind::Unknown { 0 } else { queries.answers };
        let right = match checking {
            Checking::Echo => is_response,
            Checking::Changing => is_response && !is_cut && rcode == kind.rcode() && sections[0] <= answers,
            Checking::Strict => is_response && !is_cut && rcode == kind.rcode() && sections[0] == answers,
            Checking::Cut => is_response && is_cut && rcode == kind.rcode() && sections[0] > 0,
        };
        if !right && self.wrong.is_none() {
            let bits = [is_response, is_cut];
            self.wrong = Some(format!("{} with rcode {rcode}, QR and TC {bits:?}, records {sections:?}", kind.name()));
        }
    }

    /// Bytes and records by section of each kind, as `A 88 (3+0+0)`.
    pub fn sizes(&self) -> String {
        let mut parts = Vec::new();
        for kind in KINDS {
            let counts = &self.kinds[kind as usize];
            if counts.responses > 0 {
                let each = |sum: u64| sum as f64 / counts.responses as f64;
                let [answer, authority, additional] = counts.sections.map(|sum| each(sum).round());
                let bytes = each(counts.bytes).round();
                parts.push(format!("{} {bytes} ({answer}+{authority}+{additional})", kind.name()));
            }
        }
        parts.join(", ")
    }

    pub fn add(&mut self, other: &Tally) {
        self.seconds += other.seconds;
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        for (sum, counts) in self.kinds.iter_mut().zip(other.kinds) {
            sum.responses += counts.responses;
            sum.bytes += counts.bytes;
            sum.sections.iter_mut().zip(counts.sections).for_each(|(sum, records)| *sum += records);
        }
        self.latency.add(&other.latency);
        self.wrong = self.wrong.take().or_else(|| other.wrong.clone());
    }
}

/// Times from sending to receiving: 1 us fine below 10 ms, 100 us fine below 1 s, and one bucket for the rest.
#[derive(Clone)]
pub struct Latency {
    buckets: Vec<u64>,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency { buckets: vec![0; FINE + COARSE + 1] }
    }
}

impl Latency {
    pub fn count(&mut self, took: Duration) {
        let micros = took.as_micros() as usize;
        let bucket = if micros < FINE { micros } else { (FINE + micros / COARSE_MICROS).min(FINE + COARSE) };
        self.buckets[bucket] += 1;
    }

    /// Microseconds within which this part was answered.
    pub fn micros(&self, part: f64) -> f64 {
        let total: u64 = self.buckets.iter().sum();
        let mut left = (total as f64 * part) as u64;
        for (bucket, count) in self.buckets.iter().enumerate() {
            if left < *count {
                return if bucket < FINE { bucket } else { (bucket - FINE) * COARSE_MICROS } as f64;
            }
            left -= count;
        }
        0.0
    }

    fn add(&mut self, other: &Latency) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(sum, count)| *sum += count);
    }
}

const FINE: usize = 10_000;
const COARSE: usize = 10_000;
const COARSE_MICROS: usize = 100;
