//! Counters of DNS queries, kept so that counting costs a few plain additions.
//!
//! Each worker owns one [`DnsRecorder`], whose numbers nobody else writes; tasks without a worker share
//! [`DnsCounters`] through their atomic way in. A scrape sums them all.
//!
//! **Limits:** RCODEs above [`RCODES`] and types that are not in [`TYPES`] count as `other`. A scrape during a query may
//! see its request before its response.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crossbeam_utils::CachePadded;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter},
};

/// The transport that a query came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proto {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl Proto {
    /// The word in labels and in the query log.
    pub fn as_str(self) -> &'static str {
        match self {
            Proto::Udp => "udp",
            Proto::Tcp => "tcp",
        }
    }
}

/// Why a message got no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Shorter than a header, or a response.
    NotAQuery,
    /// From port 0 or from a listener of our own.
    Source,
    /// A limit of the server or of the client's share was reached.
    Limit,
    /// The socket did not take the response.
    Send,
    /// The worker panicked while it answered.
    Panic,
    /// It waited too long while more came in than could be answered.
    Late,
}

impl DropReason {
    /// The word in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            DropReason::NotAQuery => "not_a_query",
            DropReason::Source => "source",
            DropReason::Limit => "limit",
            DropReason::Send => "send",
            DropReason::Panic => "panic",
            DropReason::Late => "late",
        }
    }
}

/// The numbers of one writer, or of several through [`DnsCounters::record`].
pub struct DnsCounters {
    requests: [[AtomicU64; TYPES.len() + 1]; PROTOS.len()],
    responses: [AtomicU64; RCODES.len() + 1],
    buckets: [AtomicU64; BUCKETS_NANOS.len() + 1],
    nanos: AtomicU64,
    wait_buckets: [AtomicU64; WAIT_BUCKETS_NANOS.len() + 1],
    wait_nanos: AtomicU64,
    drops: [AtomicU64; DROP_REASONS.len()],
}

impl DnsCounters {
    fn new() -> DnsCounters {
        DnsCounters {
            requests: std::array::from_fn(|_| zeros()),
            responses: zeros(),
            buckets: zeros(),
            nanos: AtomicU64::new(0),
            wait_buckets: zeros(),
            wait_nanos: AtomicU64::new(0),
            drops: zeros(),
        }
    }

    /// Counts a query and its response; callable from any thread. `nanos` is the time from receiving to sending.
    pub fn record(&self, proto: Proto, qtype: u16, rcode: u16, nanos: u64) {
        for counter in self.of_response(proto, qtype, rcode).into_iter().chain([self.bucket(nanos)]) {
            counter.fetch_add(1, Relaxed);
        }
        self.nanos.fetch_add(nanos, Relaxed);
    }

    /// Counts a message that got no response; callable from any thread.
    pub fn record_drop(&self, reason: DropReason) {
        self.drops[reason as usize].fetch_add(1, Relaxed);
    }

    fn of_response(&self, proto: Proto, qtype: u16, rcode: u16) -> [&AtomicU64; 2] {
        [&self.requests[proto as usize][type_index(qtype)], &self.responses[rcode_index(rcode)]]
    }

    fn bucket(&self, nanos: u64) -> &AtomicU64 {
        let bucket = BUCKETS_NANOS.iter().position(|bound| nanos <= *bound).unwrap_or(BUCKETS_NANOS.len());
        &self.buckets[bucket]
    }
}

impl fmt::Debug for DnsCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let responses: u64 = self.responses.iter().map(|counter| counter.load(Relaxed)).sum();
        f.debug_struct("DnsCounters").field("responses", &responses).finish_non_exhaustive()
    }
}

/// A worker's own way to count: no locked instruction, because nobody else writes its numbers.
#[derive(Debug)]
pub struct DnsRecorder {
    counters: Arc<CachePadded<DnsCounters>>,
}

impl DnsRecorder {
    /// Counts a query and its response, but not how long it took: see [`DnsRecorder::record_durations`].
    pub fn record(&mut self, proto: Proto, qtype: u16, rcode: u16) {
        for counter in self.counters.of_response(proto, qtype, rcode) {
            add(counter, 1);
        }
    }

    /// Counts that so many queries took `nanos` each from receiving to sending, because they were answered together.
    pub fn record_durations(&mut self, queries: u64, nanos: u64) {
        add(self.counters.bucket(nanos), queries);
        add(&self.counters.nanos, queries.saturating_mul(nanos));
    }

    /// Counts so many queries that had waited in their socket before they were answered, `nanos` each at most.
    pub fn record_wait(&mut self, queries: u64, nanos: u64) {
        let bucket = WAIT_BUCKETS_NANOS.iter().position(|bound| nanos <= *bound).unwrap_or(WAIT_BUCKETS_NANOS.len());
        add(&self.counters.wait_buckets[bucket], queries);
        add(&self.counters.wait_nanos, queries.saturating_mul(nanos));
    }

    /// Counts a message that got no response.
    pub fn record_drop(&mut self, reason: DropReason) {
        add(&self.counters.drops[reason as usize], 1);
    }
}

/// All writers' numbers, as the registry collects them.
#[derive(Debug)]
pub struct DnsTables {
    shared: Arc<CachePadded<DnsCounters>>,
    workers: Mutex<Vec<Arc<CachePadded<DnsCounters>>>>,
}

impl DnsTables {
    /// Tables without a worker.
    pub fn new() -> DnsTables {
        DnsTables { shared: Arc::new(CachePadded::new(DnsCounters::new())), workers: Mutex::new(Vec::new()) }
    }

    /// Counters of a new worker. They are summed for as long as the tables live, so that a worker that ends takes
    /// nothing back.
    pub fn worker(&self) -> DnsRecorder {
        let counters = Arc::new(CachePadded::new(DnsCounters::new()));
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        DnsRecorder { counters }
    }

    /// Counters that tasks without a worker share.
    pub fn shared(&self) -> &DnsCounters {
        &self.shared
    }

    fn sum(&self, pick: impl Fn(&DnsCounters) -> &AtomicU64) -> u64 {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().chain([&self.shared]).map(|counters| pick(counters).load(Relaxed)).sum()
    }
}

impl Default for DnsTables {
    fn default() -> DnsTables {
        DnsTables::new()
    }
}

impl Collector for DnsTables {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        self.encode_requests(&mut encoder)?;
        self.encode_responses(&mut encoder)?;
        self.encode_drops(&mut encoder)?;
        self.encode_durations(&mut encoder)?;
        self.encode_waits(&mut encoder)
    }
}

impl DnsTables {
    fn encode_requests(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let help = "DNS queries by transport and type.";
        let mut family = encoder.encode_descriptor("dns_requests", help, None, MetricType::Counter)?;
        for (proto, name) in PROTOS.iter().enumerate() {
            for (index, (_, qtype)) in TYPES.iter().chain(&OTHER).enumerate() {
                let count = self.sum(|counters| &counters.requests[proto][index]);
                if count > 0 || index == 0 {
                    encode_count(family.encode_family(&[("proto", *name), ("type", *qtype)])?, count)?;
                }
            }
        }
        Ok(())
    }

    fn encode_responses(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let help = "DNS responses by RCODE.";
        let mut family = encoder.encode_descriptor("dns_responses", help, None, MetricType::Counter)?;
        for (index, (_, rcode)) in RCODES.iter().chain(&OTHER).enumerate() {
            let count = self.sum(|counters| &counters.responses[index]);
            if count > 0 || index <= COMMON_RCODE_LAST {
                encode_count(family.encode_family(&[("rcode", *rcode)])?, count)?;
            }
        }
        Ok(())
    }

    fn encode_drops(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let help = "DNS messages that got no response, by reason.";
        let mut family = encoder.encode_descriptor("dns_drops", help, None, MetricType::Counter)?;
        for (index, reason) in DROP_REASONS.iter().enumerate() {
            let count = self.sum(|counters| &counters.drops[index]);
            encode_count(family.encode_family(&[("reason", reason.as_str())])?, count)?;
        }
        Ok(())
    }

    fn encode_durations(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let help = "Time from receiving a DNS query to sending its response.";
        let metric = encoder.encode_descriptor("dns_request_duration_seconds", help, None, MetricType::Histogram)?;
        let nanos = self.sum(|counters| &counters.nanos);
        encode_nanos(metric, &BUCKETS_NANOS, nanos, |bucket| self.sum(|counters| &counters.buckets[bucket]))
    }

    fn encode_waits(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let help = "Time that a UDP query waited in its socket, by the oldest of those answered together.";
        let metric = encoder.encode_descriptor("dns_wait_seconds", help, None, MetricType::Histogram)?;
        let nanos = self.sum(|counters| &counters.wait_nanos);
        encode_nanos(metric, &WAIT_BUCKETS_NANOS, nanos, |bucket| self.sum(|counters| &counters.wait_buckets[bucket]))
    }
}

/// A histogram whose bounds and sum are nanoseconds.
fn encode_nanos(
    mut metric: MetricEncoder,
    bounds: &[u64],
    nanos: u64,
    count: impl Fn(usize) -> u64,
) -> Result<(), fmt::Error> {
    let bounds = bounds.iter().map(|nanos| *nanos as f64 / 1e9).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.enumerate().map(|(bucket, bound)| (bound, count(bucket))).collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    metric.encode_histogram::<NoLabelSet>(nanos as f64 / 1e9, count, &buckets, None)
}

fn encode_count(encoder: MetricEncoder, count: u64) -> Result<(), fmt::Error> {
    ConstCounter::new(count).encode(encoder)
}

/// Adds without a locked instruction; right only where one thread writes.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

fn type_index(qtype: u16) -> usize {
    TYPES.iter().position(|(number, _)| *number == qtype).unwrap_or(TYPES.len())
}

fn rcode_index(rcode: u16) -> usize {
    RCODES.iter().position(|(number, _)| *number == rcode).unwrap_or(RCODES.len())
}

/// The mnemonic of an RCODE; none for those that we never send and seldom forward.
pub fn rcode_name(rcode: u16) -> Option<&'static str> {
    RCODES.get(rcode_index(rcode)).map(|(_, name)| *name)
}

/// The mnemonic of a type; none for those that are seldom asked.
pub fn type_name(qtype: u16) -> Option<&'static str> {
    TYPES.get(type_index(qtype)).map(|(_, name)| *name)
}

const PROTOS: [&str; 2] = ["udp", "tcp"];

const DROP_REASONS: [DropReason; 6] = [
    DropReason::NotAQuery,
    DropReason::Source,
    DropReason::Limit,
    DropReason::Send,
    DropReason::Panic,
    DropReason::Late,
];

/// Types that are counted by name, the most asked first. Source: IANA, DNS Parameters.
const TYPES: [(u16, &str); 19] = [
    (1, "A"),
    (28, "AAAA"),
    (33, "SRV"),
    (65, "HTTPS"),
    (16, "TXT"),
    (12, "PTR"),
    (6, "SOA"),
    (2, "NS"),
    (5, "CNAME"),
    (15, "MX"),
    (255, "ANY"),
    (64, "SVCB"),
    (43, "DS"),
    (48, "DNSKEY"),
    (35, "NAPTR"),
    (257, "CAA"),
    (52, "TLSA"),
    (252, "AXFR"),
    (251, "IXFR"),
];

/// RCODEs that are counted by name. Source: IANA, DNS Parameters.
const RCODES: [(u16, &str); 13] = [
    (0, "NOERROR"),
    (3, "NXDOMAIN"),
    (2, "SERVFAIL"),
    (5, "REFUSED"),
    (1, "FORMERR"),
    (4, "NOTIMP"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (16, "BADVERS"),
    (23, "BADCOOKIE"),
];

/// RCODEs up to this place of [`RCODES`] are shown even when they never occurred, so that alerts have a series.
const COMMON_RCODE_LAST: usize = 5;

const OTHER: [(u16, &str); 1] = [(0, "other")];

/// Upper bounds of the latency buckets, in nanoseconds. Source: none, chosen: answers of our own take about a
/// microsecond, forwarded ones milliseconds, and 3 s is when a client is answered at the latest.
const BUCKETS_NANOS: [u64; 14] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    100_000,
    500_000,
    2_500_000,
    10_000_000,
    50_000_000,
    250_000_000,
    1_000_000_000,
    3_000_000_000,
    10_000_000_000,
];

/// Upper bounds of the buckets of waits, in nanoseconds. Source: none, chosen: fine around the 5 ms that a query may wait
/// under overload; 100 ms is how long they may wait longer before it counts as one.
const WAIT_BUCKETS_NANOS: [u64; 12] = [
    100_000,
    500_000,
    1_000_000,
    2_000_000,
    3_000_000,
    4_000_000,
    5_000_000,
    6_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
    500_000_000,
];

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
