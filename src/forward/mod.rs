//! Names that are not ours: asking upstreams, and remembering what they said.
//!
//! ```no_run
//! # async fn example(shutdown: tokio::sync::watch::Receiver<bool>, client: std::net::IpAddr, message: &[u8]) {
//! use nameplate::forward::{ForwardQuery, ForwardSettings, Forwarder, SystemFiles, Upstreams};
//! let forwarder = Forwarder::new(ForwardSettings::new(Upstreams::System(SystemFiles::default())));
//! println!("{}", forwarder.describe());
//! tokio::spawn(std::sync::Arc::clone(&forwarder).run(shutdown));
//! let query = ForwardQuery { message, client, limit: 1232, over_tcp: false };
//! let response = forwarder.answer(&query).await;
//! # }
//! ```
//!
//! | a question | goes through |
//! |---|---|
//! | is read, and its response written | `response` |
//! | is looked up in the cache | `cache`, `answer` |
//! | may be in flight | `slots` |
//! | joins the same question, or starts a flight | `flight` |
//! | is put to the upstreams of its name | `routes` (made from `settings` and `system`), `race`, `latency` |
//! | is sent and received | `upstream` |
//!
//! Each upstream is a `NameServerPool` of one server; why, is told in `upstream` and `race`.
//!
//! **Limits:** nothing is validated, so AD is 0 always. An upstream's own extended errors are not passed on.
//! Of two questions in flight that differ in DO or CD, both are asked.
//!
//! **Source:** DNS.md, "Forwarding"; RFC 5625, RFC 8767, RFC 9520.

mod answer;
mod cache;
mod flight;
mod latency;
mod probe;
mod race;
mod response;
mod routes;
mod settings;
mod slots;
mod system;
mod upstream;
mod watch;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch::Receiver};

pub use routes::Description;
pub use settings::{ForwardSettings, Limits, SystemFiles, Upstreams};
pub use system::{Found, SystemResolver};

use answer::{Answer, CNAME, Rr};
use cache::{Cache, ExtendedError, Key, Outcome, State};
use flight::{Crew, Flight, Flights};
use probe::Probes;
use response::{Ageing, ClientQuery, Content, REFUSED, Room, SERVFAIL};
use routes::Routes;
use slots::Slots;

use crate::{
    observe::metrics::{ForwardOutcome, Metrics},
    wire::name::Name,
};

/// Answers what is not ours. One for the whole process, behind an `Arc`.
pub struct Forwarder {
    settings: Mutex<ForwardSettings>,
    limits: ArcSwap<Limits>,
    routes: ArcSwap<Routes>,
    changed: Notify,
    cache: Arc<Cache>,
    flights: Arc<Flights>,
    slots: Arc<Slots>,
    probes: Arc<Probes>,
    metrics: Arc<Metrics>,
}

/// A client's query, as the gate let it pass.
#[derive(Debug, Clone, Copy)]
pub struct ForwardQuery<'a> {
    /// The whole message: one question, its name not compressed.
    pub message: &'a [u8],
    /// Who asks.
    pub client: IpAddr,
    /// Most bytes of the response.
    pub limit: usize,
    /// Whether there is no larger transport to come back by, so that TC=1 would make no sense.
    pub over_tcp: bool,
}

/// What a name has, as upstreams say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// NOERROR (0), NXDOMAIN (3), SERVFAIL (2), or REFUSED (5) where forwarding is off.
    pub rcode: u8,
    /// The answer section, a CNAME chain first and in its order.
    pub records: Vec<ResolvedRecord>,
    /// Info code and text (RFC 8914) of what is wrong with it, if anything.
    pub extended_error: Option<(u16, String)>,
}

/// One resource record of class IN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedRecord {
    /// Whose it is.
    pub owner: Name,
    /// RR type.
    pub rtype: u16,
    /// Seconds for which it may be kept from now on.
    pub ttl_secs: u32,
    /// RDATA, names in it not compressed.
    pub rdata: Vec<u8>,
}

/// How a question ends.
struct Served {
    rcode: u8,
    answer: Option<Arc<Answer>>,
    ageing: Ageing,
    extended_error: Option<ExtendedError>,
}

impl Forwarder {
    /// A forwarder whose counts nobody reads; else as [`Forwarder::counting`].
    pub fn new(settings: ForwardSettings) -> Arc<Forwarder> {
        Forwarder::counting(settings, Arc::new(Metrics::new()))
    }

    /// Makes a forwarder that counts in `metrics`; reads the system's files, sends nothing. Needs a Tokio runtime
    /// once it is asked.
    pub fn counting(settings: ForwardSettings, metrics: Arc<Metrics>) -> Arc<Forwarder> {
        let limits = settings.limits.clone();
        Arc::new(Forwarder {
            routes: ArcSwap::from_pointee(Routes::new(&settings, None)),
            cache: Arc::new(Cache::new(&limits)),
            slots: Slots::new(limits.in_flight_max),
            limits: ArcSwap::from_pointee(limits),
            settings: Mutex::new(settings),
            changed: Notify::new(),
            flights: Arc::default(),
            probes: Arc::default(),
            metrics,
        })
    }

    /// Swaps the settings. Upstreams that stay keep what is known of them; names whose rule changed are
    /// forgotten. Sizes of the cache and the limit of all forwards stay as they were made.
    pub fn set_settings(&self, settings: ForwardSettings) {
        let mut current = self.settings();
        let changed = |zone: &&(Name, Vec<SocketAddr>), other: &ForwardSettings| !other.zones.contains(zone);
        let before = current.zones.iter().filter(|zone| changed(zone, &settings));
        let after = settings.zones.iter().filter(|zone| changed(zone, &current));
        let suffixes: Vec<Name> = before.chain(after).map(|(suffix, _)| suffix.clone()).collect();
        self.limits.store(Arc::new(settings.limits.clone()));
        self.routes.store(Arc::new(Routes::new(&settings, Some(&self.routes.load()))));
        *current = settings;
        drop(current);
        for suffix in &suffixes {
            self.cache.flush(Some(suffix));
        }
        self.changed.notify_one();
    }

    /// Watches the system's files and tests upstreams for loops, until `shutdown` turns true or is gone.
    ///
    /// To be started when our listeners are open: a loop test that comes back must find them.
    pub async fn run(self: Arc<Self>, mut shutdown: Receiver<bool>) {
        tokio::select! {
            () = self.watch() => {}
            _ = shutdown.wait_for(|down| *down) => {}
        }
    }

    /// The response to a query: a whole message.
    pub async fn answer(self: &Arc<Self>, query: &ForwardQuery<'_>) -> Vec<u8> {
        let Some(client_query) = ClientQuery::read(query.message) else {
            return response::write_format_error(query.message);
        };
        let served = if self.is_loop_probe(&client_query.name, client_query.rtype) {
            Served::failed(LOOP)
        } else {
            let key = Key {
                name: client_query.name.to_lowercase(),
                rtype: client_query.rtype,
                class: client_query.class,
                dnssec_ok: client_query.edns.is_some_and(|edns| edns.dnssec_ok),
                checking_disabled: client_query.checking_disabled,
            };
            self.serve(&key, query.client).await
        };
        let content = Content {
            rcode: served.rcode,
            answer: served.answer.as_deref(),
            ageing: served.ageing,
            extended_error: served.extended_error.as_ref(),
        };
        response::write(&client_query, &content, Room { limit: query.limit, may_truncate: !query.over_tcp })
    }

    /// What `name` has of type `rtype`, class IN; for host names and CNAMEs in answers of ours. `client` is
    /// on whose behalf, for the limits.
    pub async fn resolve(self: &Arc<Self>, name: &Name, rtype: u16, client: IpAddr) -> Resolved {
        let key = Key { name: name.to_lowercase(), rtype, class: CLASS_IN, dnssec_ok: false, checking_disabled: false };
        let served = self.serve(&key, client).await;
        let records = served.answer.as_deref().map(|answer| in_chain_order(&answer.answers, name));
        let record = |rr: &Rr| ResolvedRecord {
            owner: rr.owner.clone(),
            rtype: rr.rtype,
            ttl_secs: served.ageing.ttl_secs(rr.ttl_secs),
            rdata: rr.rdata.clone(),
        };
        Resolved {
            rcode: served.rcode,
            records: records.unwrap_or_default().into_iter().map(record).collect(),
            extended_error: served.extended_error.map(|error| (error.code, error.text.to_owned())),
        }
    }

    /// Forgets a name and everything below it, or everything; tells how many entries that were.
    pub fn flush(&self, name: Option<&Name>) -> usize {
        let flushed = self.cache.flush(name);
        self.count_cache();
        flushed
    }

    /// Whether a query that arrived is a loop test of ours; if so, the upstream that sent it is left out from now on.
    pub fn is_loop_probe(&self, qname: &Name, qtype: u16) -> bool {
        let came_back = self.probes.note(qname, qtype);
        if came_back {
            self.count_loops();
        }
        came_back
    }

    /// Who is asked for what; for start-up's output and the API.
    pub fn describe(&self) -> Description {
        self.routes.load().describe()
    }

    /// Forwards in flight.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    fn settings(&self) -> MutexGuard<'_, ForwardSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answering one question.
impl Forwarder {
    async fn serve(self: &Arc<Self>, key: &Key, client: IpAddr) -> Served {
        let expired = match self.cache.state(key, Instant::now()) {
            State::Fresh(answer, age_secs) => {
                self.metrics.cache_hits.inc();
                return Served::fresh(answer, age_secs);
            }
            State::Failed(error) => {
                self.metrics.cache_hits.inc();
                return Served::failed(error);
            }
            State::Stale(answer, true) => return self.stale(answer),
            State::Stale(answer, false) => Some(answer),
            State::Gone => None,
        };
        self.metrics.cache_misses.inc();
        let (mut flight, _slot) = match self.launch(key, client) {
            Ok(launched) => launched,
            Err(refusal) => return expired.map_or(refusal, |answer| self.stale(answer)),
        };
        let limits = self.limits.load_full();
        let deadline = Instant::now() + limits.answer_within;
        if let Some(answer) = expired {
            let outcome = flight.outcome(deadline.min(flight.started() + limits.stale_after)).await;
            return match self.counted(outcome) {
                Ok(answer) => Served::fresh(answer, 0),
                Err(_) => self.stale(answer),
            };
        }
        let outcome = flight.outcome(deadline).await;
        match self.counted(outcome) {
            Ok(answer) => Served::fresh(answer, 0),
            Err(error) => Served::failed(error),
        }
    }

    /// No outcome is silence; counts either.
    fn counted(&self, outcome: Option<Outcome>) -> Outcome {
        let outcome = outcome.unwrap_or(Err(race::SILENT));
        self.metrics.forward(match &outcome {
            Ok(_) => ForwardOutcome::Answered,
            Err(error) if *error == race::SILENT => ForwardOutcome::Silent,
            Err(_) => ForwardOutcome::Failed,
        });
        outcome
    }

    /// Joins or starts the flight for a question, or says why there is none.
    fn launch(self: &Arc<Self>, key: &Key, client: IpAddr) -> Result<(Flight, Option<slots::Slot>), Served> {
        let limits = self.limits.load_full();
        let routes = self.routes.load();
        let Some(group) = routes.route(&key.name) else {
            return Err(Served { rcode: REFUSED, ..Served::failed(OFF) });
        };
        let upstreams = group.usable();
        if upstreams.is_empty() {
            self.metrics.forward(ForwardOutcome::Failed);
            return Err(Served::failed(NOBODY));
        }
        if self.is_loop(key, client, &routes.own) {
            self.metrics.forward(ForwardOutcome::Failed);
            return Err(Served::failed(LOOP));
        }
        let Some(slot) = self.slots.take(client, limits.in_flight_client_max) else {
            self.metrics.forward(ForwardOutcome::Limit);
            return Err(Served::failed(BUSY));
        };
        let crew = Crew {
            flights: Arc::clone(&self.flights),
            cache: Arc::clone(&self.cache),
            metrics: Arc::clone(&self.metrics),
            limits,
            upstreams,
        };
        Ok(Flight::join(crew, key, slot))
    }

    /// Whether an upstream that is being asked this question asks it of us.
    fn is_loop(&self, key: &Key, client: IpAddr, own: &[SocketAddr]) -> bool {
        let client = client.to_canonical();
        // By its address an upstream on this host can't be told from any other program here. A loop through it
        // joins its own question, and the loop test finds it.
        let here = LOCALHOSTS.contains(&client) || own.iter().any(|own| own.ip().to_canonical() == client);
        !here && self.flights.is_asking(key, client)
    }

    fn stale(&self, answer: Arc<Answer>) -> Served {
        self.metrics.cache_stale.inc();
        let error = if answer.rcode == answer::NXDOMAIN { STALE_NXDOMAIN } else { STALE };
        Served {
            rcode: answer.rcode,
            answer: Some(answer),
            ageing: Ageing::Fixed(STALE_TTL_SECS),
            extended_error: Some(error),
        }
    }
}

impl Served {
    fn fresh(answer: Arc<Answer>, age_secs: u32) -> Served {
        Served { rcode: answer.rcode, answer: Some(answer), ageing: Ageing::Less(age_secs), extended_error: None }
    }

    fn failed(error: ExtendedError) -> Served {
        Served { rcode: SERVFAIL, answer: None, ageing: Ageing::Less(0), extended_error: Some(error) }
    }
}

/// The records with the CNAME chain that begins at `name` first, each link before the next.
fn in_chain_order<'a>(records: &'a [Rr], name: &Name) -> Vec<&'a Rr> {
    let mut chain = Vec::new();
    let mut rest: Vec<&Rr> = records.iter().collect();
    let mut at = name.clone();
    while let Some(place) = rest.iter().position(|rr| rr.rtype == CNAME && rr.owner == at) {
        let link = rest.remove(place);
        chain.push(link);
        match Name::from_wire(&link.rdata) {
            Ok(target) => at = target,
            Err(_) => break,
        }
    }
    chain.append(&mut rest);
    chain
}

/// Forwarding is off for the name (RFC 8914 section 4.21).
const OFF: ExtendedError = ExtendedError { code: 20, text: "not ours, and forwarding is off" };

/// There is nobody to ask (RFC 8914 section 4.23).
const NOBODY: ExtendedError = ExtendedError { code: 22, text: "no upstream is known" };

/// Too much is in flight (RFC 8914 section 4.24; DESIGN.md, "Snapshot and answers").
const BUSY: ExtendedError = ExtendedError { code: 23, text: "too many forwards in flight" };

/// An upstream asked us what it is being asked.
const LOOP: ExtendedError = ExtendedError { code: 0, text: "forwarding loop" };

/// An expired answer (RFC 8914 section 4.4).
const STALE: ExtendedError = ExtendedError { code: 3, text: "upstreams are away" };

/// An expired NXDOMAIN (RFC 8914 section 4.20).
const STALE_NXDOMAIN: ExtendedError = ExtendedError { code: 19, text: "upstreams are away" };

/// TTL of an expired answer. Source: RFC 8767 section 4.
const STALE_TTL_SECS: u32 = 30;

/// Class IN. Source: RFC 1035 section 3.2.4.
const CLASS_IN: u16 = 1;

/// Addresses that every program on this host may ask from.
const LOCALHOSTS: [IpAddr; 2] = [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];

#[cfg(test)]
mod fake;
#[cfg(test)]
#[path = "keeping_tests.rs"]
mod keeping_tests;
#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
