//! The composition root: it alone sees every part, starts them in order, reloads and stops them.
//!
//! ```text
//! journal -> catalog -> publisher -> (own registration) -> health, HTTP, sources -> DNS -> "is up"
//! ```
//!
//! The ports open when the journal is loaded: closed until then, never empty. SIGHUP reloads configuration, zones
//! and service files; files are looked at each second. SIGTERM and SIGINT stop: no new work, what is in flight is
//! finished, what is to be kept is written.

mod access;
mod banner;
mod docker_dns;
mod engine;
mod explain;
mod http;
mod own;
mod process;
mod reload;
mod settings;
mod sources;
mod store;

use std::{
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use self::{
    access::AccessControl,
    banner::{Banner, DockerBridge},
    docker_dns::DockerDns,
    engine::DnsEngine,
    reload::{Files, Reloader},
    sources::Sources,
};
pub use self::{access::check as check_tokens, process::runtime, reload::Why};
use crate::{
    api::{self, ApiParts, HeartbeatOutcome, LocalNode},
    catalog::names::NodeName,
    config::{Config, LogFormat},
    forward::Forwarder,
    health::{
        Health, HealthSettings, PROBES_IN_FLIGHT_MAX, TargetResolver, damping::DampingSettings, deadlines::Heartbeat,
    },
    observe::{logging, metrics::Metrics, query_log::QueryLog},
    publish::{
        feed::Feed,
        journal::{Batch, Journal, Place, Restored, Write},
        publisher::{Publisher, Start},
        settings::Settings,
        watch::Published,
    },
    random,
    transport::{self, BindError, Observer, Transport, TransportSettings},
    wire::name::Name,
    zones::{self, Zones},
};

/// Runs the server until it is told to stop.
pub fn serve(config: Config) -> anyhow::Result<()> {
    let format = match config.log_format {
        LogFormat::Text => logging::LogFormat::Text,
        LogFormat::Json => logging::LogFormat::Json,
    };
    let log = logging::init(&config.log, format)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    process::raise_open_files();
    let runtime = runtime().context("cannot start threads")?;
    runtime.block_on(async {
        // From here on, so that a signal during the start is no end without order.
        let signals = Signals::watch()?;
        let server = Server::start(config, Some(log)).await?;
        server.reloader.sources().settled().await;
        // Who has closed standard output, as `head` does, wants the server all the same.
        let _ = io::stdout().lock().write_all(server.banner().as_bytes());
        server.run_until_told(signals).await;
        Ok(())
    })
}

/// A running server.
pub struct Server {
    config: Config,
    advertised: Vec<IpAddr>,
    http_address: SocketAddr,
    publisher: Publisher,
    feed: Feed,
    published: Arc<Published>,
    forwarder: Arc<Forwarder>,
    health: Health,
    transport: Transport<DnsEngine>,
    docker_dns: DockerDns,
    /// Where DNS is answered, for the API to tell.
    listened: watch::Sender<Vec<SocketAddr>>,
    reloader: Reloader,
    stopping: watch::Sender<bool>,
    http: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts all parts; returns when DNS is answered.
    pub async fn start(config: Config, log: Option<logging::LogHandle>) -> anyhow::Result<Server> {
        let metrics = Arc::new(Metrics::new());
        let query_log = QueryLog::start(metrics.query_log_dropped.clone()).context("cannot start the query log")?;
        let (zones, included) = load_zones(&config)?;
        let (http_socket, http_address) = http::bind(config.http).map_err(|error| http::taken(error, config.http))?;
        let (tls, access) = (settings::http_tls(&config)?, AccessControl::load(&config)?);
        // The publisher and the journal inherit it.
        transport::give_way();
        let (journal, restored, uuid) = open_journal(&config)?;
        let advertised = settings::advertised(&config);
        let stores = store::connect(&config, (&uuid, &advertised), &metrics).await?;
        // By default it lies in the data directory, which is there from here on.
        settings::set_query_log(&query_log, &config)?;
        let (restored_index, serial) = (if restored.fresh { 0 } else { restored.index }, restored.serial);

        let forwarder = Forwarder::counting(settings::forwarding(&config, Vec::new()), Arc::clone(&metrics));
        let search = settings::search(&forwarder.describe());
        let (zones, names) = sources::known_names(&config, (&journal, &restored), zones);
        let (catalog, store, directory) = store::stored(&config, (&journal, restored), stores.shared.as_ref()).await?;
        let (publisher, feed, published) = Publisher::start(Start {
            sources: Sources::initial(&config, &catalog, names.as_ref()),
            catalog,
            store,
            access: directory,
            settings: Settings { access: access.settings(), ..settings::answering(&config, &search, &advertised) },
            zones,
            serial,
            clock: unix_secs,
            journal,
            metrics: Arc::clone(&metrics),
        })
        .context("cannot start the publisher")?;
        let engine = Arc::new(DnsEngine::new(Arc::clone(&published), Arc::clone(&forwarder)));
        let (stopping, stopped) = watch::channel(false);

        // Before DNS, by which it is found, and before the first check of our own.
        let listener = http::listen(http_socket).map_err(|error| http::taken(error, config.http))?;
        let transport =
            open_dns(&config, &engine, Observer { metrics: Arc::clone(&metrics), query_log: Some(query_log.clone()) })?;
        let mut docker_dns = DockerDns::new(Arc::clone(&metrics));
        docker_dns.look(&config, &transport, &forwarder);
        let (listened, dns) = watch::channel(transport.local_addresses());
        forwarder.set_settings(settings::forwarding(&config, dns.borrow().clone()));
        tokio::spawn(Arc::clone(&forwarder).run(stopped.clone()));

        let local = own::local_node(&config, uuid, &advertised, dns);
        register_own(&config, (&local, http_address), (&feed, &published)).await?;
        let health = start_health(&config, restored_index, (&feed, &published), (&engine, &forwarder, &metrics));
        let sources = Sources::start(&config, &advertised, (&feed, &published), (&metrics, stores, names));
        let parts = api_parts(
            local,
            (&feed, &published),
            (&forwarder, &engine, &health),
            (Arc::clone(&metrics), stopped.clone(), (&config, &access)),
        );
        let files = Files { included, tls: tls.clone(), access, told: Arc::clone(&parts.reload) };
        let reloader = Reloader::new(sources, log, query_log, Arc::clone(&metrics), files);
        let served = settings::http(&config, api::router(parts), tls);
        let http = tokio::spawn(http::serve(listener, served, stopped));
        Ok(Server {
            config,
            advertised,
            http_address,
            publisher,
            feed,
            published,
            forwarder,
            health,
            transport,
            docker_dns,
            listened,
            reloader,
            stopping,
            http,
        })
    }

    /// Where HTTP is answered.
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Where DNS is answered.
    pub fn dns_addresses(&self) -> Vec<SocketAddr> {
        self.transport.local_addresses()
    }

    /// Where changes are proposed, for who has the server in a program of their own.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// What to tell who started it.
    pub fn banner(&self) -> String {
        let snapshot = self.published.load();
        let data = settings::data_directory(&self.config);
        let dns = self.dns_addresses();
        let banner = Banner {
            dns: &dns,
            http: self.http_address,
            scheme: if self.config.http_api.tls.is_some() { "https" } else { "http" },
            domain: &self.config.domain,
            alt_domains: &self.config.alt_domains,
            data: data.as_deref(),
            zones: snapshot.zones.iter().map(|zone| zone.origin()).collect(),
            forward: self.forwarder.describe(),
            forward_zones: &snapshot.settings.forward_zones,
            docker: self.reloader.sources().docker(),
            docker_dns: self
                .config
                .docker_dns
                .as_ref()
                .map(|wanted| DockerBridge { interface: &wanted.interface, address: self.docker_dns.address(&dns) }),
            reached_at: self.advertised.iter().copied().find(|address| !address.is_loopback()),
        };
        banner.to_string()
    }

    /// Runs until SIGTERM or SIGINT; follows SIGHUP and changed files.
    async fn run_until_told(mut self, mut signals: Signals) {
        let mut tick = tokio::time::interval(reload::LOOK_INTERVAL);
        let reload = self.reloader.told();
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
                _ = signals.hangup.recv() => self.reload(Why::Told).await,
                () = reload.notified() => self.reload(Why::Told).await,
                _ = tick.tick() => self.reload(Why::Looked).await,
            }
        }
        tracing::info!("stopping");
        self.shutdown().await;
    }

    /// Reads again what was changed, or everything if told to.
    pub async fn reload(&mut self, why: Why) {
        let Server { reloader, config, advertised, feed, published, forwarder, transport, .. } = self;
        self.docker_dns.look(config, transport, forwarder);
        let dns = transport.local_addresses();
        if *self.listened.borrow() != dns {
            self.listened.send_replace(dns.clone());
        }
        let parts = reload::Parts { feed, published, forwarder, dns, advertised };
        if let Some(new) = reloader.look(why, config, &parts).await {
            *config = new;
        }
    }

    /// Takes no more work, finishes what is in flight, writes what is to be kept.
    pub async fn shutdown(self) {
        let Server { publisher, feed, published, health, transport, stopping, http, reloader, .. } = self;
        stopping.send_replace(true);
        // First, so that other machines lead nobody here any more, and what is stopped is not found critical.
        reloader.stop().await;
        health.shutdown().await;
        transport.shutdown().await;
        let _ = http.await;
        // The publisher ends when no feed is left, and the journal with it.
        drop((feed, published));
        let _ = tokio::task::spawn_blocking(|| publisher.join()).await;
    }
}

/// What a server is told by signals.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn watch() -> anyhow::Result<Signals> {
        let watch = |kind| signal(kind).context("cannot watch for signals");
        Ok(Signals {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            hangup: watch(SignalKind::hangup())?,
        })
    }
}

/// The zones, and the files that they include.
fn load_zones(config: &Config) -> anyhow::Result<(Zones, Vec<PathBuf>)> {
    let Some(directory) = &config.zones else { return Ok(Default::default()) };
    let loaded = zones::load(directory, &settings::zones(config, Zones::default()));
    for problem in &loaded.problems {
        if !problem.is_error() {
            tracing::warn!("{problem}");
        }
    }
    if loaded.has_errors() {
        let errors: Vec<String> =
            loaded.problems.iter().filter(|problem| problem.is_error()).map(ToString::to_string).collect();
        anyhow::bail!("{}", errors.join("\n"));
    }
    Ok((loaded.zones, loaded.included))
}

/// The journal, what was in it, and the UUID of our node, which keeps what it has under whatever name.
fn open_journal(config: &Config) -> anyhow::Result<(Journal, Restored, Arc<str>)> {
    let place = match settings::data_directory(config) {
        Some(directory) => Place::Directory(directory),
        None => Place::Ephemeral { unix_micros: unix_micros() },
    };
    let (journal, mut restored) = Journal::open(place)?;
    let uuid = restored.node_uuid.take().unwrap_or_else(|| new_node_uuid(&journal, &restored));
    follow_name(&config.node, &uuid, &journal, &mut restored);
    Ok((journal, restored, uuid))
}

fn open_dns(config: &Config, engine: &Arc<DnsEngine>, observer: Observer) -> anyhow::Result<Transport<DnsEngine>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut transports = TransportSettings::new(config.dns.clone(), config.workers.unwrap_or(cores));
    if config.dns_is_default {
        // The second of the defaults is left out where the host has no IPv6; port 53 where it may not be had.
        transports.listen_if_possible = transports.listen.split_off(1.min(transports.listen.len()));
        transports.listen_if_possible.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
    }
    let transport = Transport::start(transports, Arc::clone(engine), observer).context("dns")?;
    for error in transport.left_out() {
        let expected = matches!(error, BindError::Forbidden { .. }) || matches!(error, BindError::NotLocal { .. });
        if !expected {
            tracing::warn!("{error}; going on without it");
        }
    }
    Ok(transport)
}

/// Brings what the server itself registers, and what nobody else can take back, to what now holds.
async fn register_own(
    config: &Config,
    (local, http): (&LocalNode, SocketAddr),
    (feed, published): (&Feed, &Arc<Published>),
) -> anyhow::Result<()> {
    let own = own::registrations(local, (http, config.http_api.tls.as_ref()), &published.load().catalog)?;
    feed.submit(own).await.context("cannot register this node")?;
    let forgotten = Sources::forgotten(config, &published.load().catalog);
    feed.submit(forgotten).await.context("cannot deregister what sources had registered that are off")?;
    Ok(())
}

fn start_health(
    config: &Config,
    restored_index: u64,
    (feed, published): (&Feed, &Arc<Published>),
    (engine, forwarder, metrics): (&Arc<DnsEngine>, &Arc<Forwarder>, &Arc<Metrics>),
) -> Health {
    let engine = Arc::clone(engine);
    let resolver: TargetResolver = Arc::new(move |host| {
        let engine = Arc::clone(&engine);
        Box::pin(async move { engine.addresses(&host).await })
    });
    let settings = HealthSettings {
        node: config.node.clone(),
        restored_index,
        probes_in_flight_max: PROBES_IN_FLIGHT_MAX,
        probes_per_host_max: config.health.probes_per_host_max,
        damping: DampingSettings {
            changes: config.health.flap_changes,
            window: config.health.flap_window,
            hold: config.health.flap_hold,
            hold_max: config.health.flap_hold_max,
        },
        metrics: Arc::clone(metrics),
        ca_bundle: None,
        scripts: config.script_checks,
        docker: config.docker.daemon.endpoints(),
        guard: settings::guard(config, forwarder),
    };
    Health::start(settings, feed.clone(), Arc::clone(published), resolver)
}

fn api_parts(
    local: LocalNode,
    (feed, published): (&Feed, &Arc<Published>),
    (forwarder, engine, health): (&Arc<Forwarder>, &Arc<DnsEngine>, &Health),
    (metrics, stopping, (config, access)): (Arc<Metrics>, watch::Receiver<bool>, (&Config, &AccessControl)),
) -> ApiParts {
    let (deadlines, times) = (health.deadlines(), health.session_times());
    let [of_checks, of_answers, of_reads] = std::array::from_fn(|_| Arc::clone(&deadlines));
    let forwarder = Arc::clone(forwarder);
    let (engine, explained) = (Arc::clone(engine), Arc::clone(published));
    ApiParts {
        feed: feed.clone(),
        published: Arc::clone(published),
        local,
        heartbeat: Arc::new(move |key, status, output| match deadlines.heartbeat(key, status, output) {
            Heartbeat::Unknown | Heartbeat::NotRenewable => HeartbeatOutcome::Unknown,
            Heartbeat::Renewed => HeartbeatOutcome::Renewed,
            Heartbeat::Changed(result) => HeartbeatOutcome::Changed(result),
        }),
        renew_session: Arc::new(move |session| times.renew(session)),
        newest_output: Arc::new(move |key, status| of_checks.newest_output(key, status)),
        said: Arc::new(move || of_reads.said()),
        flush: Arc::new(move |name| {
            let name = name.map(Name::parse).transpose().map_err(|error| error.to_string())?;
            Ok(forwarder.flush(name.as_ref()) as u64)
        }),
        metrics,
        explain: Arc::new(move |name, kind| {
            let (engine, parts) = (Arc::clone(&engine), (Arc::clone(&explained), Arc::clone(&of_answers)));
            let (name, kind) = (name.to_owned(), kind.to_owned());
            Box::pin(async move { explain::explain(&engine, parts, &name, &kind).await })
        }),
        reload: Arc::default(),
        access: access.parts(config),
        hosts: settings::hosts(config),
        script_checks: config.script_checks,
        txn_max_ops: config.txn_max_ops,
        waiting_max: config.http_api.waiting,
        stopping,
    }
}

/// A UUID for this node, which the journal keeps for its next start.
fn new_node_uuid(journal: &Journal, restored: &Restored) -> Arc<str> {
    let uuid: Arc<str> = Arc::from(random::uuid());
    write_first(journal, restored, vec![Write::NodeUuid(Arc::clone(&uuid))]);
    uuid
}

/// Moves what was registered on this node under an earlier name to its present one.
fn follow_name(node: &NodeName, uuid: &str, journal: &Journal, restored: &mut Restored) {
    let writes = restored.rename_node(uuid, node);
    for write in &writes {
        if let Write::ForgetNode(former) = write {
            tracing::info!(%node, %former, "this node was {former} before; what was registered on it is on {node} now");
        }
    }
    write_first(journal, restored, writes);
}

/// Writes what a start changes in what was stored.
fn write_first(journal: &Journal, restored: &Restored, writes: Vec<Write>) {
    if writes.is_empty() {
        return;
    }
    journal.write(Batch {
        index: restored.index,
        serial: restored.serial,
        extinction_index: restored.extinction_index,
        writes,
        acknowledge: Vec::new(),
        urgent: true,
    });
}

#[allow(
    clippy::disallowed_methods,
    reason = "the serial and the first index of an ephemeral catalog follow the wall clock"
)]
fn since_1970() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn unix_secs() -> u64 {
    since_1970().as_secs()
}

fn unix_micros() -> u64 {
    u64::try_from(since_1970().as_micros()).unwrap_or(u64::MAX)
}
