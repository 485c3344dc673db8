//! From the configuration to the plain settings of each part.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::{self, Path, PathBuf},
    sync::Arc,
};

use axum::Router;
use rustix::process::{Resource, getrlimit};

use super::{
    http::{
        self, Http,
        clients::Clients,
        tls::{Tls, TlsFiles},
    },
    own,
};
use crate::{
    api::hosts::Hosts,
    catalog::service::IpNetwork,
    config::{self, Config, DataDirectory, Forward, HttpTls, MassFailure, ZoneUpstreams},
    forward::{Description, ForwardSettings, Forwarder, SystemFiles, Upstreams},
    health::GuardSettings,
    observe::query_log::{QueryLog, QueryLogMode},
    publish::settings::Settings,
    wire::name::Name,
    zones::{ZoneContext, Zones},
};

/// Settings of answering. `search` are the suffixes of the host's resolv.conf.
pub fn answering(config: &Config, search: &[Name], advertise: &[IpAddr]) -> Settings {
    Settings {
        domain: config.domain.clone(),
        alt_domains: config.alt_domains.clone(),
        datacenter: config.datacenter.clone(),
        node: config.node.clone(),
        advertise: advertise.to_vec(),
        services: config.service_rules.clone(),
        default_rule: config.default_rule,
        negative_ttl_secs: config.negative_ttl_secs,
        service_txt: config.service_txt,
        srv_weight_scale: config.srv_weight_scale,
        host_names: config.host_names,
        near: config.near,
        hide_version: config.hide_version,
        forward_bare: config.forward_bare,
        forwarding: config.forward != Forward::Off,
        forward_zones: forward_zones(config, search),
        refused_zones: refused_zones(config),
        fallthrough: config.fallthrough.clone(),
        allow_query: config.allow_query.clone(),
        allow_recursion: recursion(&config.allow_recursion, &own_addresses(config, advertise)),
        udp_payload_max: config.udp_payload_max.clone(),
        // What the tokens say is not the configuration's.
        readers: None,
        access: None,
    }
}

/// Addresses that are this machine's: where DNS is listened for, and what is advertised.
fn own_addresses(config: &Config, advertise: &[IpAddr]) -> Vec<IpAddr> {
    let listens = config.dns.iter().map(SocketAddr::ip).filter(|address| !address.is_unspecified());
    listens.chain(advertise.iter().copied()).collect()
}

/// Who may recurse. What this machine asks at an address of its own comes from that address, public ones included, so
/// that is as good as from loopback: where one may recurse, the other may. No other machine can send from it: the
/// kernel takes no packet that claims to come from an address of its own.
fn recursion(allowed: &[IpNetwork], own: &[IpAddr]) -> Vec<IpNetwork> {
    let loopback = |own: &IpAddr| if own.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let may = |address: IpAddr| allowed.iter().any(|network| network.contains(address));
    let own = own.iter().filter(|own| may(loopback(own)) && !may(**own));
    let own = own.filter_map(|own| IpNetwork::new(*own, if own.is_ipv4() { 32 } else { 128 }));
    allowed.iter().copied().chain(own).collect()
}

/// Settings of forwarding.
pub fn forwarding(config: &Config, own_addresses: Vec<SocketAddr>) -> ForwardSettings {
    let upstreams = match &config.forward {
        Forward::System => Upstreams::System(SystemFiles::default()),
        Forward::Off => Upstreams::Off,
        Forward::Upstreams(listed) => Upstreams::Listed(listed.clone()),
    };
    let rules = config.forward_zones.iter().filter_map(|zone| match &zone.upstreams {
        ZoneUpstreams::Servers(servers) => Some((zone.suffix.clone(), servers.clone())),
        ZoneUpstreams::Default | ZoneUpstreams::Off => None,
    });
    let fallthrough = config.fallthrough.iter().map(|(domain, server)| (domain.clone(), vec![*server]));
    ForwardSettings {
        zones: rules.chain(fallthrough).collect(),
        own_addresses,
        state_file: data_directory(config).map(|directory| directory.join("upstreams")),
        ..ForwardSettings::new(upstreams)
    }
}

/// How failures are guarded that come all at once, if they are.
pub fn guard(config: &Config, forwarder: &Arc<Forwarder>) -> Option<GuardSettings> {
    let MassFailure { guard, targets, hold } = &config.mass_failure;
    let forwarder = Arc::clone(forwarder);
    let upstream = move || forwarder.describe().upstreams.and_then(|upstreams| upstreams.first().copied());
    guard.then(|| GuardSettings { targets: targets.clone(), hold: *hold, upstream: Arc::new(upstream) })
}

/// What HTTPS is spoken with, if it is.
pub fn http_tls(config: &Config) -> anyhow::Result<Option<Arc<Tls>>> {
    let Some(HttpTls { cert, key, client_ca }) = config.http_api.tls.clone() else { return Ok(None) };
    Ok(Some(Arc::new(Tls::load(TlsFiles { cert, key, client_ca })?)))
}

/// What connections of HTTP are served with.
pub fn http(config: &Config, router: Router, tls: Option<Arc<Tls>>) -> Http {
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let affordable = http::connections_max(open_files);
    let connections_max = config.http_api.connections.unwrap_or(affordable);
    if connections_max > affordable {
        tracing::warn!(
            open_files,
            affordable,
            "http_connections: {connections_max} connections may leave too few open files for DNS and health checks; raise the \
             limit of open files (LimitNOFILE=), or lower it"
        );
    }
    Http { router, tls, connections_max, clients: Clients::new(config.http_api.connections_per_client) }
}

/// Which names requests of HTTP may be for: where others than this machine reach it, all.
pub fn hosts(config: &Config) -> Hosts {
    if !config.http.ip().is_loopback() {
        return Hosts::Any;
    }
    let own = [config.node.as_str().to_ascii_lowercase(), own::SERVICE.to_owned()];
    let domains = std::iter::once(&config.domain).chain(&config.alt_domains);
    Hosts::Only {
        names: own.into_iter().chain(config.http_api.hosts.iter().cloned()).collect(),
        domains: domains.map(|domain| domain.to_string().trim_end_matches('.').to_owned()).collect(),
    }
}

/// Where static zones belong.
pub fn zones(config: &Config, previous: Zones) -> ZoneContext {
    ZoneContext {
        domain: config.domain.clone(),
        alt_domains: config.alt_domains.clone(),
        datacenter: config.datacenter.clone(),
        previous,
    }
}

/// Has the queries logged that are to be.
pub fn set_query_log(log: &QueryLog, config: &Config) -> anyhow::Result<()> {
    let file = config.query_log_file.as_deref();
    log.set(query_log(config), file).map_err(|error| {
        let file = file.unwrap_or(Path::new("its file")).display();
        anyhow::anyhow!("query_log_file: cannot open {file}: {error}; name a file that this user may write")
    })
}

/// Which queries are logged.
fn query_log(config: &Config) -> QueryLogMode {
    match config.query_log {
        config::QueryLog::Off => QueryLogMode::Off,
        config::QueryLog::Errors => QueryLogMode::Errors,
        config::QueryLog::All => QueryLogMode::All,
    }
}

/// The data directory, if there is one; absolute, because who reads of it in an error does not know where the server
/// was started.
pub fn data_directory(config: &Config) -> Option<PathBuf> {
    match &config.data {
        DataDirectory::At(directory) => Some(path::absolute(directory).unwrap_or_else(|_| directory.clone())),
        DataDirectory::Ephemeral => None,
    }
}

/// The addresses under which others reach this machine: those configured, else the one it would send from.
pub fn advertised(config: &Config) -> Vec<IpAddr> {
    if !config.advertise.is_empty() {
        return config.advertise.clone();
    }
    // Connecting a datagram socket sends nothing; it only chooses the source address.
    let source = |bind: IpAddr, towards: IpAddr| {
        let socket = UdpSocket::bind((bind, 0)).ok()?;
        socket.connect((towards, 53)).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_unspecified() && !address.is_loopback()).then_some(address)
    };
    let v4 = source(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into());
    let v6 = source(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
    let found: Vec<IpAddr> = v4.into_iter().chain(v6).collect();
    if found.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { found }
}

/// Suffixes that are forwarded: those of the rules, and those of the host's search list that lie below our domains.
fn forward_zones(config: &Config, search: &[Name]) -> Vec<Name> {
    let ruled = config.forward_zones.iter().filter(|zone| zone.upstreams != ZoneUpstreams::Off);
    let mut suffixes: Vec<Name> = ruled.map(|zone| zone.suffix.clone()).collect();
    let refused = |name: &Name| config.forward_zones.iter().any(|zone| zone.suffix == *name);
    let ours = |name: &Name| {
        let mut domains = std::iter::once(&config.domain).chain(&config.alt_domains);
        domains.any(|domain| name != domain && name.is_at_or_below(domain) && !is_ours(name, domain, config))
    };
    suffixes.extend(search.iter().filter(|name| ours(name) && !refused(name)).cloned());
    suffixes.sort();
    suffixes.dedup();
    suffixes
}

/// Suffixes of rules whose names nobody is asked about, and that are not ours either.
fn refused_zones(config: &Config) -> Vec<Name> {
    let domains = std::iter::once(&config.domain).chain(&config.alt_domains);
    let is_ours = |name: &Name| domains.clone().any(|domain| name.is_at_or_below(domain));
    let off = config.forward_zones.iter().filter(|zone| zone.upstreams == ZoneUpstreams::Off);
    off.map(|zone| zone.suffix.clone()).filter(|name| !is_ours(name)).collect()
}

/// Whether a search suffix is one of those that we tell people to set: `service.D` and the like.
fn is_ours(name: &Name, domain: &Name, config: &Config) -> bool {
    let left: Vec<Vec<u8>> = name.labels().map(<[u8]>::to_ascii_lowercase).collect();
    let left = &left[..left.len() - domain.label_count()];
    let kinds: [&[u8]; 5] = [b"service", b"node", b"addr", b"query", b"port"];
    let datacenter = config.datacenter.as_bytes();
    left.iter().any(|label| kinds.contains(&label.as_slice()) || label == b"dc" || label == datacenter)
}

/// What the forwarder tells about the host's search list.
pub fn search(description: &Description) -> Vec<Name> {
    description.search.clone()
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
