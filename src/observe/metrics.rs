//! All metrics, in one table; served at `/metrics` and listed in docs/metrics.md, which a test holds to this file.
//!
//! **Limits:** what is counted for each DNS query is in [`super::dns`]; the rest is counted at most a few thousand
//! times a second, where a lock costs nothing that shows.
//!
//! **Source:** OpenMetrics 1.0 text format; names after CoreDNS's and Consul's where they have the thing.

use std::{borrow::Cow, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use super::{
    dns::{DnsCounters, DnsRecorder, DnsTables},
    exposition::{Exposition, to_text},
};

/// Every metric of the server. Shared by all parts; what is counted once is a field, what has labels a method.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    dns: Arc<DnsTables>,
    checks_by_status: Family<StatusLabel, Gauge>,
    check_results: Family<CheckLabels, Counter>,
    forwards: Family<OutcomeLabel, Counter>,
    http_requests: Family<HttpLabels, Counter>,
    kv_operations: Family<OperationLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    sources_synced: Family<SourceLabel, Gauge>,
    sources_stale: Family<SourceLabel, Gauge>,
    sources_away: Family<SourceLabel, Gauge>,
    docker_dns_reached: Family<InterfaceLabel, Gauge>,
    /// Keys of ours that were written or deleted in the shared store.
    pub store_writes: Counter,
    /// Changes that the shared store told.
    pub store_events: Counter,
    /// Times that all of the shared store was read.
    pub store_lists: Counter,
    /// Leases that were taken in the shared store.
    pub store_leases: Counter,
    /// Snapshots that became current.
    pub publishes: Counter,
    /// Time from a change's acceptance into the queue until it is visible to readers, in seconds.
    pub publish_lag_seconds: Histogram,
    /// Submissions waiting in front of the publisher.
    pub feed_waiting: Gauge,
    /// The index of the current snapshot.
    pub catalog_index: Gauge,
    /// Nodes in the catalog.
    pub catalog_nodes: Gauge,
    /// Services in the catalog.
    pub catalog_services: Gauge,
    /// Instances in the catalog.
    pub catalog_instances: Gauge,
    /// Keys with values.
    pub kv_keys: Gauge,
    /// Sessions that live.
    pub kv_sessions: Gauge,
    /// Prepared queries.
    pub kv_queries: Gauge,
    /// Static zones in service.
    pub zones: Gauge,
    /// Batches written and synced by the journal.
    pub journal_commits: Counter,
    /// Batches that the journal could not write.
    pub journal_failures: Counter,
    /// Time of one journal commit, sync included, in seconds.
    pub journal_commit_duration_seconds: Histogram,
    /// Time of one probe, in seconds.
    pub check_duration_seconds: Histogram,
    /// Time by which probes began after they were due, in seconds.
    pub check_lateness_seconds: Histogram,
    /// Probes that could not be made for want of something of ours.
    pub checks_not_made: Counter,
    /// Checks that are held critical because they flap.
    pub checks_flapping: Gauge,
    /// How often a check was held critical because it flapped.
    pub check_holds: Counter,
    /// Checks whose failure is held, because most failed at once and no reference target answers.
    pub checks_held: Gauge,
    /// DNS queries waiting for the slow path.
    pub slow_waiting: Gauge,
    /// DNS connections open over TCP.
    pub tcp_connections: Gauge,
    /// DNS connections accepted over TCP.
    pub tcp_accepted: Counter,
    /// DNS connections over TCP that were closed to make room, or refused by a client's share.
    pub tcp_evicted: Counter,
    /// Time until an upstream's answer, in seconds.
    pub forward_upstream_duration_seconds: Histogram,
    /// Questions being asked upstream.
    pub forward_in_flight: Gauge,
    /// Upstreams that are left out because a query to them came back to us.
    pub forward_loops: Gauge,
    /// Answers in the forward cache.
    pub cache_entries: Gauge,
    /// Forwarded questions that the cache answered.
    pub cache_hits: Counter,
    /// Forwarded questions that the cache could not answer.
    pub cache_misses: Counter,
    /// Forwarded questions that were answered with an expired entry (RFC 8767).
    pub cache_stale: Counter,
    /// Time to answer an HTTP request, waits of blocking queries included, in seconds.
    pub http_request_duration_seconds: Histogram,
    /// Blocking queries that wait now.
    pub http_blocked: Gauge,
    /// Blocking queries that were woken by a change of what they wait for.
    pub http_woken: Counter,
    /// Results of reads that were made.
    pub http_results_made: Counter,
    /// Reads that were answered with a result that was made for another.
    pub http_results_shared: Counter,
    /// Panics that were caught; the part went on.
    pub panics: Counter,
    /// Lines that the query log dropped, by its rate limit or because its file was too slow.
    pub query_log_dropped: Counter,
}

/// How a question that was to be forwarded ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardOutcome {
    /// An upstream answered it.
    Answered,
    /// All upstreams failed or refused.
    Failed,
    /// No upstream answered in time.
    Silent,
    /// A limit of questions in flight was reached.
    Limit,
}

impl ForwardOutcome {
    /// The word in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            ForwardOutcome::Answered => "answered",
            ForwardOutcome::Failed => "failed",
            ForwardOutcome::Silent => "silent",
            ForwardOutcome::Limit => "limit",
        }
    }
}

/// What was reloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The configuration file.
    Config,
    /// The zone files.
    Zones,
    /// The service files.
    Services,
}

impl Reload {
    /// The word in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Reload::Config => "config",
            Reload::Zones => "zones",
            Reload::Services => "services",
        }
    }
}

/// How a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceState {
    /// Whether it has delivered its list.
    pub synced: bool,
    /// Whether it is away too long.
    pub stale: bool,
    /// Whether it cannot be reached just now.
    pub away: bool,
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("nameplate"),
            dns: Arc::new(DnsTables::new()),
            checks_by_status: Family::default(),
            check_results: Family::default(),
            forwards: Family::default(),
            http_requests: Family::default(),
            kv_operations: Family::default(),
            reloads: Family::default(),
            sources_synced: Family::default(),
            sources_stale: Family::default(),
            sources_away: Family::default(),
            docker_dns_reached: Family::default(),
            store_writes: Counter::default(),
            store_events: Counter::default(),
            store_lists: Counter::default(),
            store_leases: Counter::default(),
            publishes: Counter::default(),
            publish_lag_seconds: Histogram::new(SECONDS_SHORT),
            feed_waiting: Gauge::default(),
            catalog_index: Gauge::default(),
            catalog_nodes: Gauge::default(),
            catalog_services: Gauge::default(),
            catalog_instances: Gauge::default(),
            kv_keys: Gauge::default(),
            kv_sessions: Gauge::default(),
            kv_queries: Gauge::default(),
            zones: Gauge::default(),
            journal_commits: Counter::default(),
            journal_failures: Counter::default(),
            journal_commit_duration_seconds: Histogram::new(SECONDS_SHORT),
            check_duration_seconds: Histogram::new(SECONDS_LONG),
            check_lateness_seconds: Histogram::new(SECONDS_LATE),
            checks_not_made: Counter::default(),
            checks_flapping: Gauge::default(),
            check_holds: Counter::default(),
            checks_held: Gauge::default(),
            slow_waiting: Gauge::default(),
            tcp_connections: Gauge::default(),
            tcp_accepted: Counter::default(),
            tcp_evicted: Counter::default(),
            forward_upstream_duration_seconds: Histogram::new(SECONDS_LONG),
            forward_in_flight: Gauge::default(),
            forward_loops: Gauge::default(),
            cache_entries: Gauge::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            cache_stale: Counter::default(),
            http_request_duration_seconds: Histogram::new(SECONDS_LONG),
            http_blocked: Gauge::default(),
            http_woken: Counter::default(),
            http_results_made: Counter::default(),
            http_results_shared: Counter::default(),
            panics: Counter::default(),
            query_log_dropped: Counter::default(),
        };
        metrics.register_dns();
        metrics.register_catalog();
        metrics.register_serving();
        metrics
    }

    /// Counters for a new DNS worker.
    pub fn dns_worker(&self) -> DnsRecorder {
        self.dns.worker()
    }

    /// Counters for DNS tasks that are no workers.
    pub fn dns(&self) -> &DnsCounters {
        self.dns.shared()
    }

    /// Sets how many checks of the catalog have each status.
    pub fn set_checks(&self, passing: i64, warning: i64, critical: i64) {
        for (status, count) in [("passing", passing), ("warning", warning), ("critical", critical)] {
            self.checks_by_status.get_or_create(&StatusLabel { status }).set(count);
        }
    }

    /// Counts a probe's result, or a status set by a call: Consul's words for its kind and status.
    pub fn check_result(&self, kind: &'static str, status: &'static str) {
        self.check_results.get_or_create(&CheckLabels { kind, status }).inc();
    }

    /// Counts an operation on keys by its verb, and whether it was done.
    pub fn kv_operation(&self, verb: &'static str, result: Result<(), ()>) {
        let result = if result.is_ok() { "done" } else { "refused" };
        self.kv_operations.get_or_create(&OperationLabels { verb, result }).inc();
    }

    /// Counts a question that was to be forwarded.
    pub fn forward(&self, outcome: ForwardOutcome) {
        self.forwards.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    /// Counts an HTTP request. `path` is the route's template, never what the client sent.
    pub fn http_request(&self, method: &str, path: impl Into<Cow<'static, str>>, code: u16, duration: Duration) {
        let method = HTTP_METHODS.into_iter().find(|known| *known == method).unwrap_or("other");
        self.http_requests.get_or_create(&HttpLabels { method, path: path.into(), code }).inc();
        self.http_request_duration_seconds.observe(duration.as_secs_f64());
    }

    /// Counts a reload and whether it succeeded.
    pub fn reload(&self, what: Reload, result: Result<(), ()>) {
        let result = if result.is_ok() { "done" } else { "refused" };
        self.reloads.get_or_create(&ReloadLabels { what: what.as_str(), result }).inc();
    }

    /// Tells how a source is.
    pub fn set_source(&self, source: &Arc<str>, state: SourceState) {
        let label = SourceLabel { source: Arc::clone(source) };
        self.sources_synced.get_or_create(&label).set(i64::from(state.synced));
        self.sources_stale.get_or_create(&label).set(i64::from(state.stale));
        self.sources_away.get_or_create(&label).set(i64::from(state.away));
    }

    /// A source is not there any more.
    pub fn forget_source(&self, source: &Arc<str>) {
        let label = SourceLabel { source: Arc::clone(source) };
        self.sources_synced.remove(&label);
        self.sources_stale.remove(&label);
        self.sources_away.remove(&label);
    }

    /// Tells of each of Docker's bridges whether a query from its containers' side is answered; of others nothing is told.
    pub fn set_docker_dns<'a>(&self, bridges: impl Iterator<Item = (&'a str, bool)>) {
        self.docker_dns_reached.clear();
        for (interface, reached) in bridges {
            let label = InterfaceLabel { interface: interface.to_owned() };
            self.docker_dns_reached.get_or_create(&label).set(i64::from(reached));
        }
    }

    /// The metrics as text.
    pub fn encode(&self, exposition: Exposition) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Encoding fails only where writing does, and writing to a String does not.
        let _ = text::encode(&mut text, &self.registry);
        match exposition {
            Exposition::OpenMetrics => text,
            Exposition::Text => to_text(&text),
        }
    }

    fn register_dns(&mut self) {
        let registry = &mut self.registry;
        registry.register_collector(Box::new(Arc::clone(&self.dns)));
        registry.register("slow_waiting", "DNS queries waiting for the slow path", self.slow_waiting.clone());
        registry.register("tcp_connections", "DNS connections open over TCP", self.tcp_connections.clone());
        registry.register("tcp_accepted", "DNS connections accepted over TCP", self.tcp_accepted.clone());
        registry.register("tcp_evicted", "DNS connections closed to make room or refused", self.tcp_evicted.clone());
        let help = "Whether a query from the side of a bridge's containers was answered";
        registry.register("docker_dns_reached", help, self.docker_dns_reached.clone());
        registry.register("forwards", "Questions to be forwarded, by how they ended", self.forwards.clone());
        let help = "Time until an upstream's answer";
        registry.register("forward_upstream_duration_seconds", help, self.forward_upstream_duration_seconds.clone());
        registry.register("forward_in_flight", "Questions being asked upstream", self.forward_in_flight.clone());
        let help = "Upstreams left out because a query to them came back";
        registry.register("forward_loops", help, self.forward_loops.clone());
        registry.register("cache_entries", "Answers in the forward cache", self.cache_entries.clone());
        registry.register("cache_hits", "Forwarded questions answered by the cache", self.cache_hits.clone());
        registry.register("cache_misses", "Forwarded questions not in the cache", self.cache_misses.clone());
        registry.register("cache_stale", "Forwarded questions answered by an expired entry", self.cache_stale.clone());
    }

    fn register_catalog(&mut self) {
        let registry = &mut self.registry;
        registry.register("publishes", "Snapshots that became current", self.publishes.clone());
        let help = "Time from accepting a change until DNS and HTTP show it";
        registry.register("publish_lag_seconds", help, self.publish_lag_seconds.clone());
        registry.register("feed_waiting", "Submissions waiting for the publisher", self.feed_waiting.clone());
        registry.register("catalog_index", "Index of the current snapshot", self.catalog_index.clone());
        registry.register("catalog_nodes", "Nodes in the catalog", self.catalog_nodes.clone());
        registry.register("catalog_services", "Services in the catalog", self.catalog_services.clone());
        registry.register("catalog_instances", "Instances in the catalog", self.catalog_instances.clone());
        registry.register("catalog_checks", "Checks in the catalog, by status", self.checks_by_status.clone());
        registry.register("kv_keys", "Keys with values", self.kv_keys.clone());
        registry.register("kv_sessions", "Sessions that live", self.kv_sessions.clone());
        registry.register("kv_queries", "Prepared queries", self.kv_queries.clone());
        let help = "Operations on keys, by verb and whether they were done";
        registry.register("kv_operations", help, self.kv_operations.clone());
        registry.register("zones", "Static zones in service", self.zones.clone());
        registry.register("source_synced", "Whether a source has delivered its list", self.sources_synced.clone());
        registry.register("source_stale", "Whether a source is away too long", self.sources_stale.clone());
        registry.register("source_away", "Whether a source cannot be reached just now", self.sources_away.clone());
        let help = "Keys of ours that were written or deleted in the shared store";
        registry.register("store_writes", help, self.store_writes.clone());
        registry.register("store_events", "Changes that the shared store told", self.store_events.clone());
        registry.register("store_lists", "Times that all of the shared store was read", self.store_lists.clone());
        let help = "Leases that were taken in the shared store: more than one if ours was lost";
        registry.register("store_leases", help, self.store_leases.clone());
        registry.register("journal_commits", "Batches written and synced", self.journal_commits.clone());
        registry.register("journal_failures", "Batches that could not be written", self.journal_failures.clone());
        let help = "Time of one journal commit, sync included";
        registry.register("journal_commit_duration_seconds", help, self.journal_commit_duration_seconds.clone());
        registry.register("checks", "Results of checks, by kind and status", self.check_results.clone());
        registry.register("check_duration_seconds", "Time of one probe", self.check_duration_seconds.clone());
        let help = "Time by which probes began after they were due";
        registry.register("check_lateness_seconds", help, self.check_lateness_seconds.clone());
        let help = "Probes that could not be made for a reason of ours; the outputs of their checks say it";
        registry.register("checks_not_made", help, self.checks_not_made.clone());
        registry.register("checks_flapping", "Checks held critical because they flap", self.checks_flapping.clone());
        let help = "How often a check was held critical because it flapped";
        registry.register("check_holds", help, self.check_holds.clone());
        let help = "Checks whose failure is held, because most failed at once and we may be cut off";
        registry.register("checks_held", help, self.checks_held.clone());
    }

    fn register_serving(&mut self) {
        let registry = &mut self.registry;
        registry.register("http_requests", "HTTP requests by method, route and code", self.http_requests.clone());
        let help = "Time to answer an HTTP request, blocking included";
        registry.register("http_request_duration_seconds", help, self.http_request_duration_seconds.clone());
        registry.register("http_blocked", "Blocking queries that wait now", self.http_blocked.clone());
        let help = "Blocking queries woken by a change of what they wait for";
        registry.register("http_woken", help, self.http_woken.clone());
        registry.register("http_results_made", "Results of reads that were made", self.http_results_made.clone());
        let help = "Reads answered with a result that was made for another";
        registry.register("http_results_shared", help, self.http_results_shared.clone());
        registry.register("reloads", "Reloads by what was read and whether it took effect", self.reloads.clone());
        registry.register("panics", "Panics that were caught", self.panics.clone());
        let help = "Lines that the query log dropped";
        registry.register("query_log_dropped", help, self.query_log_dropped.clone());
        registry.register("build", "This build", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    kind: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    verb: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    method: &'static str,
    path: Cow<'static, str>,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    what: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InterfaceLabel {
    interface: String,
}

/// Methods that are counted by name; a client may send any word.
const HTTP_METHODS: [&str; 6] = ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"];

/// Buckets for what takes micro- to milliseconds, in seconds. Source: none, chosen around the 2 ms that a
/// registration may take to be visible.
const SECONDS_SHORT: [f64; 12] = [5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 2.5];

/// Buckets for what waits for others, in seconds. Source: none, chosen around the timeouts of probes (10 s) and
/// upstreams (1.5 s).
const SECONDS_LONG: [f64; 12] = [5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.25, 0.5, 1.5, 3.0, 10.0];

/// Buckets for how late a probe begins, in seconds. Source: none, chosen: from the timer's own resolution to what an
/// operator would call broken; 1 s is what the 99th percentile has to stay below.
const SECONDS_LATE: [f64; 9] = [1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 5.0];

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
