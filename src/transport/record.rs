//! Counting and, where it is wanted, logging what was answered.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::observe::{
    dns::{DnsRecorder, DropReason, Proto},
    metrics::{ForwardOutcome, Metrics},
    query_log::{QueryLine, QueryLog},
};

use super::message::{Facts, HEADER_BYTES};

/// Where the transports tell what they did. Clones share everything.
#[derive(Debug, Clone)]
pub struct Observer {
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The query log, if there is one.
    pub query_log: Option<QueryLog>,
}

impl Observer {
    /// Counts and logs a response of a task that is no worker. Call it before the response is gone.
    pub fn response(&self, proto: Proto, peer: SocketAddr, response: &[u8], duration: Duration) {
        let facts = Facts::of(response);
        self.metrics.dns().record(proto, facts.qtype, facts.rcode, nanos(duration));
        self.log((proto, peer), response, facts, duration);
    }

    /// Counts and logs a response of a worker, which counts by itself how long those of a batch took.
    pub fn worker_response(&self, recorder: &mut DnsRecorder, peer: SocketAddr, response: &[u8], duration: Duration) {
        let facts = Facts::of(response);
        recorder.record(Proto::Udp, facts.qtype, facts.rcode);
        self.log((Proto::Udp, peer), response, facts, duration);
    }

    /// Counts a message that got no response, of a task that is no worker.
    pub fn dropped(&self, reason: DropReason) {
        if reason == DropReason::Panic {
            self.metrics.panics.inc();
        }
        self.metrics.dns().record_drop(reason);
    }

    /// Counts a slow query that the server was too busy for.
    pub fn busy(&self) {
        self.metrics.forward(ForwardOutcome::Limit);
    }

    fn log(&self, (proto, client): (Proto, SocketAddr), response: &[u8], facts: Facts, duration: Duration) {
        let Some(log) = self.query_log.as_ref().filter(|log| log.wants(facts.rcode)) else { return };
        let Facts { qtype, rcode, answers, qname_end } = facts;
        let qname = response.get(HEADER_BYTES..qname_end).unwrap_or_default().into();
        log.record(QueryLine { proto, client, qname, qtype, rcode, answers, duration });
    }
}

/// A duration in nanoseconds.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
