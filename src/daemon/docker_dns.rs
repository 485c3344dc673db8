//! Answering on Docker's bridge: following its addresses, and telling when a firewall keeps its containers from them.
//!
//! ```text
//! each second: the bridge's addresses -> Transport::listen_also
//! now and then: a thread asks from a container's side -> a warning with its cure, a metric
//! ```
//!
//! **Limits:** an address is followed within a second. There is nothing to ask from until a container runs.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{banner::DaemonJson, engine::DnsEngine};
use crate::{
    config::Config,
    forward::Forwarder,
    observe::metrics::Metrics,
    transport::{
        Transport,
        bridge::{self, Reached},
        listen::Protocol,
    },
};

/// Follows the bridge that the settings name.
#[derive(Debug)]
pub struct DockerDns {
    metrics: Arc<Metrics>,
    /// The bridge's addresses at the last look, with the port.
    addresses: Vec<SocketAddr>,
    /// The question that is being asked from the side of containers.
    asking: Option<JoinHandle<io::Result<Reached>>>,
    /// When it is asked next.
    ask_at: Instant,
    /// What was told of each bridge.
    told: BTreeMap<String, Vec<Protocol>>,
    told_unseen: bool,
    started: bool,
}

impl DockerDns {
    /// Has not looked yet.
    pub fn new(metrics: Arc<Metrics>) -> DockerDns {
        DockerDns {
            metrics,
            addresses: Vec::new(),
            asking: None,
            ask_at: Instant::now(),
            told: BTreeMap::new(),
            told_unseen: false,
            started: false,
        }
    }

    /// The bridge's address that containers are to ask, if it is there and listened on.
    pub fn address(&self, listened: &[SocketAddr]) -> Option<IpAddr> {
        // IPv4 comes first, which all containers have.
        self.addresses.iter().find(|address| listened.contains(address)).map(SocketAddr::ip)
    }

    /// Looks where the bridge is now, and whether its containers get answers. What the first look finds is told by the
    /// banner, and later changes are logged.
    pub fn look(&mut self, config: &Config, transport: &Transport<DnsEngine>, forwarder: &Forwarder) {
        let found = match &config.docker_dns {
            Some(wanted) => bridge::addresses(&wanted.interface)
                .map(|ips| ips.into_iter().map(|ip| SocketAddr::new(ip, wanted.port)).collect()),
            None => Ok(Vec::new()),
        };
        let addresses: Vec<SocketAddr> = match found {
            Ok(addresses) => addresses,
            // Out of files, say: what is listened on stays.
            Err(error) => return tracing::debug!(%error, "the addresses of this host cannot be listed"),
        };
        transport.listen_also(&addresses);
        let listened = transport.local_addresses();
        if addresses != self.addresses {
            self.addresses = addresses;
            self.ask_at = Instant::now();
            self.told.clear();
            self.metrics.set_docker_dns(std::iter::empty());
            if self.started
                && let Some(address) = self.address(&listened)
            {
                let json = DaemonJson::new(address, &forwarder.describe(), &config.domain);
                tracing::info!("to ask from containers, in /etc/docker/daemon.json (then restart Docker): {json}");
            }
        }
        self.started = true;
        self.take_answer();
        let server = self.addresses.iter().find(|address| address.is_ipv4() && listened.contains(address));
        if let (Some(wanted), Some(server)) = (&config.docker_dns, server) {
            self.ask(*server, wanted.interface.clone());
        }
    }

    /// Asks from the side of containers when it is time to.
    fn ask(&mut self, server: SocketAddr, interface: String) {
        if self.asking.is_some() || Instant::now() < self.ask_at {
            return;
        }
        let is_bridge = move |name: &str| name == interface || is_network_of_docker(name);
        let thread = std::thread::Builder::new().name("docker-dns-test".to_owned());
        match thread.spawn(move || bridge::ask_from_containers(server, is_bridge)) {
            Ok(thread) => self.asking = Some(thread),
            Err(error) => tracing::debug!(%error, "no thread to ask from the side of containers"),
        }
    }

    /// Tells what came of the last question, if that is known now.
    fn take_answer(&mut self) {
        let Some(thread) = self.asking.take_if(|thread| thread.is_finished()) else { return };
        let Some(server) = self.addresses.iter().find(|address| address.is_ipv4()) else { return };
        let reached = match thread.join() {
            Ok(Ok(reached)) => reached,
            Ok(Err(error)) => {
                tracing::debug!(%error, "cannot ask from the side of containers");
                Reached::default()
            }
            Err(_) => Reached::default(),
        };
        self.ask_at = Instant::now() + until_next(&reached);
        if reached.unseen && !self.told_unseen {
            self.told_unseen = true;
            tracing::info!(
                "whether a firewall drops what containers send to {server} cannot be tested: that needs the capabilities \
                 SYS_ADMIN and SYS_PTRACE, and the host's processes"
            );
        }
        self.metrics.set_docker_dns(reached.silent.iter().map(|(name, silent)| (name.as_str(), silent.is_empty())));
        for (interface, silent) in &reached.silent {
            let before = self.told.get(interface);
            if before == Some(silent) {
                continue;
            }
            if silent.is_empty() {
                tracing::info!(%interface, address = %server, "containers get answers on this bridge");
            } else {
                let over = silent.iter().map(Protocol::to_string).collect::<Vec<_>>().join(" and ");
                tracing::warn!(
                    %interface, address = %server, %over,
                    "containers on {interface} get no answer from {server} over {over}: a firewall of this host drops what \
                     they ask. To let it in: {}",
                    Firewall::found().cure(*server)
                );
            }
        }
        self.told = reached.silent;
    }
}

/// Whether this is what Docker calls the bridge of a user-defined network: its containers ask the same address.
fn is_network_of_docker(interface: &str) -> bool {
    interface.strip_prefix("br-").is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// How long to wait before it is asked again.
fn until_next(reached: &Reached) -> Duration {
    match reached {
        Reached { silent, .. } if silent.values().any(|silent| !silent.is_empty()) => FAILED_PAUSE,
        Reached { silent, unseen: false } if silent.is_empty() => NOBODY_PAUSE,
        _ => REACHED_PAUSE,
    }
}

/// What keeps packets out of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Firewall {
    Firewalld,
    Ufw,
    Rules,
}

impl Firewall {
    fn found() -> Firewall {
        let ufw_is_on = || {
            let settings = fs::read_to_string("/etc/ufw/ufw.conf").unwrap_or_default();
            settings.lines().any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes"))
        };
        match Path::new("/run/firewalld").exists() {
            true => Firewall::Firewalld,
            false if ufw_is_on() => Firewall::Ufw,
            false => Firewall::Rules,
        }
    }

    /// A command that lets questions to this address in, whatever bridge they come from.
    fn cure(self, server: SocketAddr) -> String {
        let (ip, port) = (server.ip(), server.port());
        match self {
            Firewall::Firewalld => format!(
                "firewall-cmd --permanent --zone=docker --add-port={port}/udp --add-port={port}/tcp && firewall-cmd --reload"
            ),
            Firewall::Ufw => format!("ufw allow from any to {ip} port {port}"),
            Firewall::Rules => format!(
                "for p in udp tcp; do iptables -I INPUT -d {ip} -p $p --dport {port} -j ACCEPT; done # and, where nftables \
                 has rules of its own: nft insert rule inet filter input ip daddr {ip} meta l4proto '{{ tcp, udp }}' th \
                 dport {port} accept"
            ),
        }
    }
}

/// How soon it is asked again while no container is there. Source: none, chosen: what a first container waits to be told
/// of its firewall; looking for one takes some milliseconds where thousands of processes run.
const NOBODY_PAUSE: Duration = Duration::from_secs(5);

/// How soon it is asked again after there was no answer. Source: none, chosen: who mends a firewall looks that long.
const FAILED_PAUSE: Duration = Duration::from_secs(30);

/// How soon it is asked again after all was well, or nothing could be seen. Source: none, chosen: firewalls are loaded
/// anew now and then.
const REACHED_PAUSE: Duration = Duration::from_secs(300);

#[cfg(test)]
#[path = "docker_dns_tests.rs"]
mod tests;
