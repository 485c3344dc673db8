//! What a program is told of the services that it needs: the variables that a Docker link gives.
//!
//! `--link db:pg` is one instance of the service `db`: the first that passes, else the first whose check warns, by node and ID. Where
//! there is none, it is the running container of that name, as Docker has it. Its own variables are handed on if there is a
//! container of that name.
//!
//! | variable | value |
//! |---|---|
//! | `PG_NAME` | `/<our name>/pg` |
//! | `PG_PORT` | `tcp://<address>:<port>`, of the first port: the lowest of TCP, else the lowest of another protocol |
//! | `PG_PORT_5432_TCP` | the same of each port; and `_ADDR`, `_PORT`, `_PROTO` |
//! | `PG_PORT_9000_TCP_START` | of three ports or more in a row: the first; and `_PORT_START`, `_END`, `_PORT_END` |
//! | `PG_ENV_<NAME>` | each variable of the container but `HOME` and `PATH` |
//!
//! The number in a variable's name is that of the port that the container itself listens on, which is what programs look for; the address
//! and port in its value are where it is reached: published, if it is published.
//!
//! **Source:** what Docker 20.10 gives, compared by `tests/e2e/exec.rs`.

use std::{collections::BTreeSet, net::IpAddr, path::Path, str::FromStr};

use super::{super::shapes::HealthEntry, complain};
use crate::{
    api::client::{Client, ClientError},
    sources::docker::{
        Container,
        client::{Client as Docker, Endpoint},
    },
};

/// What `--link` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    target: String,
    alias: String,
}

impl FromStr for Link {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Link, &'static str> {
        let (target, alias) = text.rsplit_once(':').unwrap_or((text, text));
        let legal = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        if target.is_empty() || alias.is_empty() || !alias.chars().all(legal) {
            return Err("expected NAME or NAME:ALIAS, the alias of letters, digits, _ . and -");
        }
        Ok(Link { target: target.to_owned(), alias: alias.to_owned() })
    }
}

/// What a link stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Linked {
    ports: Vec<LinkedPort>,
    /// `NAME=value`.
    environment: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct LinkedPort {
    /// TCP first, then as the words sort.
    protocol: (bool, String),
    /// Its own.
    number: u16,
    /// Where it is reached; a host name, or an address as in a URL.
    host: String,
    port: u16,
}

impl LinkedPort {
    fn new(protocol: &str, number: u16, (host, port): (&str, u16)) -> LinkedPort {
        LinkedPort { protocol: (protocol != "tcp", protocol.to_owned()), number, host: host.to_owned(), port }
    }

    fn url(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{}://{host}:{}", self.protocol.1, self.port)
    }
}

/// The variables of all links, for a program of this name.
pub(super) async fn variables(
    client: &Client,
    links: &[Link],
    own_name: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let aliases: BTreeSet<String> = links.iter().map(|link| prefix(&link.alias)).collect();
    if aliases.len() < links.len() {
        anyhow::bail!("--link: two aliases give variables of one name");
    }
    let mut all = Vec::new();
    for link in links {
        let linked = resolve(client, &link.target).await?;
        all.extend(linked.variables(&link.alias, own_name));
    }
    Ok(all)
}

/// What a name stands for.
async fn resolve(client: &Client, target: &str) -> anyhow::Result<Linked> {
    let instances: Result<Vec<HealthEntry>, ClientError> = client.get(&["health", "service", target], &[]).await;
    let service = instances.as_deref().ok().and_then(chosen).map(of_instance);
    let container = match container(target).await {
        Ok(container) => container,
        Err(problem) => {
            complain(&format!("--link {target}: Docker is not asked: {problem}"));
            None
        }
    };
    let environment = container.iter().flat_map(|container| container.config.env.clone()).collect();
    let ports = match (service, &container) {
        (Some(ports), _) => ports,
        (None, Some(container)) => of_container(container)?,
        (None, None) => match instances {
            Err(error) => return Err(error.into()),
            Ok(_) => {
                let message = format!(
                    "--link {target}: no instance of that service passes, and no running container has that name"
                );
                // As for the other verbs: the answer is no.
                return Err(ClientError::Refused { status: 404, message }.into());
            }
        },
    };
    Ok(Linked { ports, environment })
}

/// The instance that is linked: one that passes, else one whose check warns.
fn chosen(instances: &[HealthEntry]) -> Option<&HealthEntry> {
    let has = |entry: &HealthEntry, status: &str| entry.checks.iter().any(|check| check.status == status);
    let eligible = || instances.iter().filter(|entry| !has(entry, "critical"));
    eligible().find(|entry| !has(entry, "warning")).or_else(|| eligible().next())
}

fn of_instance(entry: &HealthEntry) -> Vec<LinkedPort> {
    let service = &entry.service;
    let protocol = if service.tags.iter().any(|tag| tag.eq_ignore_ascii_case("udp")) { "udp" } else { "tcp" };
    // Only instances that the Docker source registered have these: the container's own address and port in each of its networks.
    let mut own = service.tagged_addresses.iter().filter(|(role, _)| role.starts_with("docker_"));
    let own = own.find(|(role, _)| *role == "docker_bridge_ipv4").or_else(|| own.next());
    if let Some((_, at)) = own.filter(|_| service.origin == "docker") {
        let published = (&*service.address, service.port);
        let reached = if service.address.is_empty() { (&*at.address, at.port) } else { published };
        return vec![LinkedPort::new(protocol, at.port, reached)];
    }
    let address = if service.address.is_empty() { &entry.node.address } else { &service.address };
    let mut numbers: Vec<u16> = service.ports.iter().map(|port| port.port).collect();
    if numbers.is_empty() && service.port > 0 {
        numbers.push(service.port);
    }
    numbers.into_iter().map(|number| LinkedPort::new(protocol, number, (address, number))).collect()
}

/// The container of that name, if it runs.
async fn container(name: &str) -> anyhow::Result<Option<Container>> {
    let Some(endpoint) = endpoint()? else { return Ok(None) };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if !name.bytes().all(legal) {
        return Ok(None);
    }
    let docker = Docker::connect(endpoint).await?;
    let document = match docker.get(&format!("/containers/{name}/json")).await {
        Err(error) if error.is_not_found() => return Ok(None),
        document => document?,
    };
    let container = Container::read(&document)?;
    // The beginning of an ID finds one too, but is no name.
    Ok(Some(container).filter(|container| container.state.running && container.plain_name() == name))
}

/// Where the Docker daemon is, if there is one.
fn endpoint() -> anyhow::Result<Option<Endpoint>> {
    match std::env::var("DOCKER_HOST").ok().filter(|named| !named.is_empty()) {
        Some(named) => Ok(Some(named.parse()?)),
        None => Ok(Path::new(SOCKET).exists().then(|| Endpoint::Unix(SOCKET.into()))),
    }
}

/// The ports that a container exposes, at its own address.
fn of_container(container: &Container) -> anyhow::Result<Vec<LinkedPort>> {
    let name = container.plain_name();
    let networks = &container.network_settings.networks;
    let endpoint = networks.get("bridge").or_else(|| networks.get(&container.host_config.network_mode));
    let endpoints = endpoint.into_iter().chain(networks.values());
    let mut addresses = endpoints.flat_map(|endpoint| [&endpoint.ip_address, &endpoint.global_ipv6_address]);
    let Some(address) = addresses.find_map(|address| address.parse::<IpAddr>().ok()) else {
        anyhow::bail!("--link {name}: the container has no address of its own; register a service of that name");
    };
    let exposed = container.config.exposed_ports.iter().chain(container.network_settings.ports.keys());
    let ports = exposed.filter_map(|port| {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let number = number.parse().ok()?;
        Some(LinkedPort::new(protocol, number, (&address.to_string(), number)))
    });
    Ok(ports.collect())
}

impl Linked {
    fn variables(mut self, alias: &str, own_name: &str) -> Vec<(String, String)> {
        self.ports.sort();
        self.ports.dedup();
        let prefix = prefix(alias);
        let mut all = vec![(format!("{prefix}_NAME"), format!("/{own_name}/{alias}"))];
        if let Some(first) = self.ports.first() {
            all.push((format!("{prefix}_PORT"), first.url()));
        }
        let of = |port: &LinkedPort| format!("{prefix}_PORT_{}_{}", port.number, port.protocol.1.to_ascii_uppercase());
        for port in &self.ports {
            let name = of(port);
            all.extend([
                (format!("{name}_ADDR"), port.host.clone()),
                (format!("{name}_PORT"), port.port.to_string()),
                (format!("{name}_PROTO"), port.protocol.1.clone()),
                (name, port.url()),
            ]);
        }
        let in_a_row = |one: &LinkedPort, next: &LinkedPort| {
            one.protocol == next.protocol && one.number.checked_add(1) == Some(next.number)
        };
        for range in self.ports.chunk_by(in_a_row).filter(|range| range.len() >= RANGE_MIN) {
            let (Some(first), Some(last)) = (range.first(), range.last()) else { continue };
            let name = of(first);
            all.extend([
                (format!("{name}_START"), first.url()),
                (format!("{name}_PORT_START"), first.port.to_string()),
                (format!("{name}_END"), last.url()),
                (format!("{name}_PORT_END"), last.port.to_string()),
            ]);
        }
        let own = self.environment.iter().filter_map(|variable| variable.split_once('='));
        let own = own.filter(|(name, _)| !LEFT_OUT.contains(name));
        all.extend(own.map(|(name, value)| (format!("{prefix}_ENV_{name}"), value.to_owned())));
        all
    }
}

/// What an alias is in the names of variables.
fn prefix(alias: &str) -> String {
    alias.to_uppercase().replace('-', "_")
}

/// Where Docker's daemon listens. Source: Docker.
const SOCKET: &str = "/var/run/docker.sock";

/// Variables of a container that say nothing to others. Source: Docker.
const LEFT_OUT: [&str; 2] = ["HOME", "PATH"];

/// Fewest ports of a range. Source: Docker 20.10.
const RANGE_MIN: usize = 3;

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
