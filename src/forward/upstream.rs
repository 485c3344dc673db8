//! One upstream: a `NameServerPool` of one server, asked with a query of our own.
//!
//! The pool's part is what is hard to do well: a socket with a random port and a random ID for each query,
//! the check of source address, ID and question, UDP with resends, TCP when a response is truncated, TCP
//! connections that are shared and made again. Which upstream is asked when is not left to it (see [`super::race`]).
//!
//! The pool turns responses into errors when they hold no answer. They become answers again here: NODATA
//! and NXDOMAIN with their authority section, which is all that they had.
//!
//! **Limits:** letter case is not randomised (0x20): upstreams compress names against the question, so that the
//! random case would reach clients in RDATA. The query has an OPT always; a server so old that it answers
//! FORMERR without a question counts as silent. A try holds up to four sockets. No TLS, HTTPS or QUIC.
//!
//! **Source:** RFC 5452 (forged responses), RFC 6891, RFC 7766.

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{DnsRequest, DnsRequestOptions, DnsResponse, Query, ResponseCode},
    rr::{self, DNSClass, RecordType},
    serialize::binary::{BinDecodable, BinDecoder},
};
use hickory_resolver::{
    ConnectionProvider, NameServerPool, PoolContext, TlsConfig,
    config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverOpts},
    net::{
        DnsError, NetError,
        runtime::TokioRuntimeProvider,
        tcp::TcpClientStream,
        udp::UdpClientStream,
        xfer::{DnsExchange, DnsHandle, FirstAnswer},
    },
};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use super::{
    answer::{Answer, Sections},
    cache::Key,
    latency::Latency,
    response::PAYLOAD_BYTES,
    settings::Limits,
};

/// A server that is asked.
pub(super) struct Upstream {
    address: SocketAddr,
    pool: NameServerPool<Connector>,
    latency: Mutex<Latency>,
    looping: AtomicBool,
    answered: AtomicBool,
}

/// Why a try gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing came.
    Silent,
    /// The network said no.
    Unreachable,
    /// SERVFAIL, REFUSED, NOTIMP, FORMERR, or a response that makes no sense.
    Refused,
}

impl Upstream {
    /// Makes it known; nothing is sent yet. `own_ports` are not used to ask from.
    pub(super) fn new(address: SocketAddr, limits: &Limits, own_ports: impl IntoIterator<Item = u16>) -> Upstream {
        let mut options = ResolverOpts::default();
        options.timeout = limits.background;
        options.num_concurrent_reqs = 1;
        options.max_active_requests = TCP_ACTIVE_MAX;
        options.avoid_local_udp_ports = Arc::new(own_ports.into_iter().collect());
        let tls = TlsConfig::new().expect("without TLS there is nothing to set up");
        let context = Arc::new(PoolContext::new(options, tls));
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = address.port();
            connection
        });
        let server = NameServerConfig::new(address.ip(), true, connections.into());
        let connector = Connector::new(address, limits);
        Upstream {
            address,
            pool: NameServerPool::from_config([server], context, connector),
            latency: Mutex::new(Latency::new(Instant::now())),
            looping: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it sends our questions back to us.
    pub(super) fn is_looping(&self) -> bool {
        self.looping.load(Ordering::Acquire)
    }

    /// Notes that it does or does not loop; tells whether that is new.
    pub(super) fn set_looping(&self, looping: bool) -> bool {
        self.looping.swap(looping, Ordering::AcqRel) != looping
    }

    /// Whether it has ever given an answer.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }

    pub(super) fn latency(&self) -> MutexGuard<'_, Latency> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and waits as long as [`Limits::background`] says. Cancelled by being dropped.
    pub(super) async fn ask(&self, key: &Key) -> Result<Answer, Failure> {
        let request = request(key).ok_or(Failure::Refused)?;
        let asked = request.queries.clone();
        let started = Instant::now();
        self.latency().asked(started);
        // hickory warns of every forged datagram, and what strangers send is to cause no log line.
        let response = self.pool.send(request).first_answer().with_subscriber(NoSubscriber::new());
        let result = match response.await {
            Ok(response) if !same_question(&asked, &response.queries) => Err(Failure::Refused),
            Ok(response) => from_response(&response, key.rtype),
            Err(NetError::Dns(DnsError::NoRecordsFound(records))) => {
                let sections = Sections {
                    rcode: records.response_code,
                    answers: &[],
                    authorities: records.authorities.as_deref().unwrap_or_default(),
                    additionals: &[],
                };
                let same = same_question(&asked, std::slice::from_ref(&*records.query));
                Answer::new(&sections, key.rtype).filter(|_| same).ok_or(Failure::Refused)
            }
            Err(NetError::Timeout) => Err(Failure::Silent),
            // Truncated: its answer is to be had over TCP only, and TCP failed.
            Err(NetError::Io(_) | NetError::NoConnections | NetError::Busy | NetError::Truncated) => {
                Err(Failure::Unreachable)
            }
            Err(_) => Err(Failure::Refused),
        };
        match &result {
            Ok(_) => {
                self.answered.store(true, Ordering::Release);
                self.latency().answered(started.elapsed());
            }
            Err(Failure::Refused) => self.latency().refused(),
            Err(Failure::Silent | Failure::Unreachable) => self.latency().failed(),
        }
        result
    }
}

/// A query of our own: the question, RD=1, the client's CD and DO, our OPT.
fn request(key: &Key) -> Option<DnsRequest> {
    let name = rr::Name::read(&mut BinDecoder::new(key.name.as_wire())).ok()?;
    let mut query = Query::query(name, RecordType::from(key.rtype));
    query.set_query_class(DNSClass::from(key.class));
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    options.edns_payload_len = PAYLOAD_BYTES;
    options.edns_set_dnssec_ok = key.dnssec_ok;
    options.recursion_desired = true;
    let mut request = DnsRequest::from_query(query, options);
    request.metadata.checking_disabled = key.checking_disabled;
    Some(request)
}

// Over UDP the pool has seen to this already; over TCP it has not.
fn same_question(asked: &[Query], answered: &[Query]) -> bool {
    asked == answered
}

fn from_response(response: &DnsResponse, qtype: u16) -> Result<Answer, Failure> {
    if !matches!(response.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Err(Failure::Refused);
    }
    let sections = Sections {
        rcode: response.response_code,
        answers: &response.answers,
        authorities: &response.authorities,
        additionals: &response.additionals,
    };
    Answer::new(&sections, qtype).ok_or(Failure::Refused)
}

/// Opens connections to one upstream; unlike the pool's own, it knows the scope of a link-local
/// address, and resends as slowly as DNS.md says.
#[derive(Clone)]
struct Connector {
    address: SocketAddr,
    resend_after: Duration,
    sends_max: u8,
    runtime: TokioRuntimeProvider,
}

impl Connector {
    fn new(address: SocketAddr, limits: &Limits) -> Connector {
        let sends = limits.background.as_millis().div_ceil(limits.try_after.as_millis().max(1));
        Connector {
            address,
            resend_after: limits.try_after,
            sends_max: u8::try_from(sends).unwrap_or(SENDS_MAX).clamp(1, SENDS_MAX),
            runtime: TokioRuntimeProvider::new(),
        }
    }
}

impl ConnectionProvider for Connector {
    type Conn = DnsExchange<TokioRuntimeProvider>;
    type FutureConn = Pin<Box<dyn Future<Output = Result<Self::Conn, NetError>> + Send>>;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        _ip: IpAddr,
        config: &ConnectionConfig,
        context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let (address, runtime, options) = (self.address, self.runtime.clone(), &context.options);
        if config.protocol != ProtocolConfig::Udp {
            let active_max = Some(options.max_active_requests);
            return Ok(Box::pin(TcpClientStream::exchange(address, None, options.timeout, active_max, runtime)));
        }
        let stream = UdpClientStream::builder(address, runtime)
            .with_timeout(Some(options.timeout))
            .with_max_retries(self.sends_max)
            .with_retry_interval_floor(self.resend_after.as_millis() as u64)
            .avoid_local_ports(Arc::clone(&options.avoid_local_udp_ports));
        Ok(Box::pin(async move { Ok(stream.exchange()) }))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.runtime
    }
}

/// Most queries on one TCP connection at a time. Source: none, chosen: a quarter of all forwards.
const TCP_ACTIVE_MAX: usize = 1024;

/// Most sends of one query over UDP; each has a socket until the query ends.
///
/// Source: none, chosen: with 1.5 s between them they go on beyond the client's three seconds, for those that join.
const SENDS_MAX: u8 = 4;
