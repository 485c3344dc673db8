//! What a server says when it is up: where it listens, and what to configure so that software asks it.

use std::{
    fmt::{self, Display},
    net::{IpAddr, SocketAddr},
    path::Path,
};

use crate::{forward::Description, sources::docker::Connection, wire::name::Name};

/// What is up.
#[derive(Debug)]
pub struct Banner<'a> {
    /// Where DNS is answered.
    pub dns: &'a [SocketAddr],
    /// Where HTTP is answered.
    pub http: SocketAddr,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The domain.
    pub domain: &'a Name,
    /// Further domains.
    pub alt_domains: &'a [Name],
    /// Where data is kept.
    pub data: Option<&'a Path>,
    /// Static zones, by origin.
    pub zones: Vec<&'a Name>,
    /// Who is asked about other names.
    pub forward: Description,
    /// Suffixes that are forwarded though they may look like ours.
    pub forward_zones: &'a [Name],
    /// How Docker is; none if it is off.
    pub docker: Option<Connection>,
    /// Docker's bridge, where it is asked for.
    pub docker_dns: Option<DockerBridge<'a>>,
    /// An address under which others reach this machine, if there is one.
    pub reached_at: Option<IpAddr>,
}

/// A bridge of Docker on which DNS is to be answered.
#[derive(Debug)]
pub struct DockerBridge<'a> {
    /// Its name.
    pub interface: &'a str,
    /// Its address, if it is there and listened on.
    pub address: Option<IpAddr>,
}

/// The lines of Docker's daemon.json: our address, and a second server if one is known. Never `ndots`: with it Docker asks
/// nobody about names of one label.
#[derive(Debug)]
pub struct DaemonJson<'a> {
    first: IpAddr,
    second: Option<IpAddr>,
    domain: &'a Name,
}

impl DaemonJson<'_> {
    /// For containers that reach us at this address. The second server is the first upstream that they reach too.
    pub fn new<'a>(first: IpAddr, forward: &Description, domain: &'a Name) -> DaemonJson<'a> {
        let reached = |upstream: &&SocketAddr| upstream.port() == 53 && !upstream.ip().is_loopback();
        let second = forward.upstreams.iter().flatten().find(reached).map(SocketAddr::ip);
        DaemonJson { first, second, domain }
    }
}

impl Display for DaemonJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = std::iter::once(self.first).chain(self.second).map(|ip| format!("\"{ip}\"")).collect::<Vec<_>>();
        let domain = self.domain.to_string();
        let domain = domain.trim_end_matches('.');
        write!(f, "{{ \"dns\": [{}], \"dns-search\": [\"service.{domain}\"] }}", servers.join(", "))
    }
}

impl Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "nameplate {} is up", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "  DNS        {} (UDP and TCP)", list(self.dns))?;
        writeln!(f, "  HTTP       {}://{}", self.scheme, self.http)?;
        let domains: Vec<&Name> = std::iter::once(self.domain).chain(self.alt_domains).collect();
        writeln!(f, "  domain     {}", list(&domains))?;
        if !self.zones.is_empty() {
            writeln!(f, "  zones      {}", list(&self.zones))?;
        }
        match self.data {
            Some(data) => writeln!(f, "  data       {}", data.display())?,
            None => writeln!(f, "  data       in memory only (--ephemeral)")?,
        }
        match &self.docker {
            None => writeln!(f, "  Docker     off")?,
            Some(connection) => writeln!(f, "  Docker     {connection}")?,
        }
        match &self.forward.upstreams {
            None => writeln!(f, "  upstreams  none: forwarding is off")?,
            Some(upstreams) if upstreams.is_empty() => {
                writeln!(f, "  upstreams  none found in resolv.conf; set --forward IP[:PORT] for other names")?;
            }
            Some(upstreams) => writeln!(f, "  upstreams  {}", list(upstreams))?,
        }
        if self.forward.upstreams.is_some() && !self.forward_zones.is_empty() {
            writeln!(f, "  forwarded  {}", list(self.forward_zones))?;
        }
        writeln!(f)?;
        self.advice(f)?;
        match &self.docker_dns {
            Some(DockerBridge { interface, address: None }) => {
                writeln!(
                    f,
                    "To ask it from containers: {interface} is not there yet; what to configure is logged when it is."
                )
            }
            Some(DockerBridge { address: Some(address), .. }) => self.docker_advice(f, *address),
            None => Ok(()),
        }
    }
}

impl Banner<'_> {
    fn advice(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = self.domain.to_string();
        let domain = domain.trim_end_matches('.');
        let on_53 = || self.dns.iter().filter(|address| address.port() == 53).map(SocketAddr::ip);
        if let Some(address) = on_53().find(|address| Some(*address) != self.bridge_address()) {
            writeln!(f, "To ask it from this machine, in /etc/resolv.conf:")?;
            writeln!(f, "  nameserver {address}")?;
            writeln!(f, "  search service.{domain}")?;
            match on_53().find(|address| !address.is_loopback()) {
                _ if self.docker_dns.is_some() => {}
                Some(address) => self.docker_advice(f, address)?,
                None => {
                    let reached = self.reached_at.map_or("ADDRESS".to_owned(), |address| address.to_string());
                    let (here, reached) = (bracket(&address.to_string()), bracket(&reached));
                    // Both, because what is named takes the place of the defaults.
                    writeln!(f, "To ask it from containers, listen where they reach it too:")?;
                    writeln!(f, "  nameplate serve --dns {here}:53 --dns {reached}:53")?;
                }
            }
            return Ok(());
        }
        let Some(address) = self.dns.first() else { return Ok(()) };
        writeln!(f, "resolv.conf and Docker's daemon.json can name no port. To use them, listen on port 53:")?;
        let reached = self.reached_at.map_or("127.0.0.1".to_owned(), |address| address.to_string());
        writeln!(f, "  nameplate serve --dns {}:53", bracket(&reached))?;
        writeln!(f, "systemd-resolved, in /etc/systemd/resolved.conf.d/nameplate.conf:")?;
        writeln!(f, "  [Resolve]")?;
        writeln!(f, "  DNS={address}")?;
        // The first sends us every name of the domain, the second completes bare names.
        writeln!(f, "  Domains=~{domain} service.{domain}")?;
        writeln!(f, "dnsmasq:")?;
        writeln!(f, "  server=/{domain}/{}#{}", address.ip(), address.port())?;
        writeln!(f, "Unbound:")?;
        writeln!(f, "  server: domain-insecure: \"{domain}\"")?;
        if address.ip().is_loopback() {
            writeln!(f, "  server: do-not-query-localhost: no")?;
        }
        writeln!(f, "  stub-zone: name: \"{domain}\" stub-addr: {}@{}", address.ip(), address.port())
    }
}

impl Banner<'_> {
    fn bridge_address(&self) -> Option<IpAddr> {
        self.docker_dns.as_ref().and_then(|docker| docker.address)
    }

    /// What Docker is to be told, for containers that reach us at this address.
    fn docker_advice(&self, f: &mut fmt::Formatter<'_>, address: IpAddr) -> fmt::Result {
        let json = DaemonJson::new(address, &self.forward, self.domain);
        writeln!(f, "To ask it from containers, in /etc/docker/daemon.json (then restart Docker):")?;
        writeln!(f, "  {json}")?;
        if json.second.is_some() {
            writeln!(
                f,
                "The second server is for names of others while nameplate is stopped. Let it be another nameplate as"
            )?;
            writeln!(
                f,
                "soon as one container with musl (Alpine) is on the default bridge: musl asks all servers at once and"
            )?;
            writeln!(f, "believes the first that says NXDOMAIN.")?;
        }
        Ok(())
    }
}

fn bracket(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "banner_tests.rs"]
mod tests;
