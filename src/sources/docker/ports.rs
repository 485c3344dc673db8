//! Which ports a container serves, and where they are published.
//!
//! - The exposed ones and the published ones; a `SERVICE_PORTS` in their place, as `80,53/udp,8000-8010`, for images that expose
//!   none, or others than they serve.
//! - On the host's network each is a port of the host (Registrator's rule).
//! - In another container's network (`container:<id>`) that container's bindings count, for the ports of this one.

use std::collections::BTreeSet;

use super::{
    inspect::{Binding, Container},
    map::{Context, Warnings},
    metadata::Metadata,
};

/// A port of a container.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ServicePort {
    pub(super) number: u16,
    pub(super) protocol: Protocol,
    /// Where it is published, in the daemon's order.
    pub(super) bindings: Vec<Binding>,
}

impl ServicePort {
    /// Whether it is published anywhere.
    pub(super) fn is_published(&self) -> bool {
        self.bindings.iter().any(|binding| published_number(binding).is_some())
    }
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// Docker's word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

/// The ports, by number and protocol, each once.
pub(super) fn ports(context: &Context<'_>, metadata: &Metadata, warnings: &mut Warnings) -> Vec<ServicePort> {
    let container = context.container;
    let mut wanted = BTreeSet::new();
    match metadata.get("ports") {
        Some(entry) => {
            for item in entry.value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                match range(item) {
                    Some((first, last, protocol)) => wanted.extend((first..=last).map(|number| (number, protocol))),
                    None => warnings
                        .add(format!("{}: {item:?} is not a port; write for example 80,53/udp,8000-8010", entry.key)),
                }
            }
        }
        None => {
            let published = container.network_settings.ports.keys();
            for key in container.config.exposed_ports.iter().chain(published) {
                match range(key).filter(|(first, last, _)| first == last) {
                    Some((number, _, protocol)) => drop(wanted.insert((number, protocol))),
                    None => {
                        warnings.add(format!("port {key:?} is not known: it is left out; name it in SERVICE_PORTS"))
                    }
                }
            }
        }
    }
    if wanted.len() > PORTS_MAX {
        warnings.add(format!("of {} ports only {PORTS_MAX} are services; choose them by SERVICE_PORTS", wanted.len()));
    }
    let bindings = |number, protocol| match context.network_container() {
        Some(network) if network.is_on_host_network() => vec![on_host(number)],
        Some(network) => of_port(network, number, protocol),
        None => Vec::new(),
    };
    let wanted = wanted.into_iter().take(PORTS_MAX);
    wanted.map(|(number, protocol)| ServicePort { number, protocol, bindings: bindings(number, protocol) }).collect()
}

/// The number that a binding publishes.
pub(super) fn published_number(binding: &Binding) -> Option<u16> {
    binding.host_port.parse().ok().filter(|number| *number > 0)
}

/// On the host's network a port is as published under its own number.
fn on_host(number: u16) -> Binding {
    Binding { host_ip: String::new(), host_port: number.to_string() }
}

fn of_port(container: &Container, number: u16, protocol: Protocol) -> Vec<Binding> {
    let published = container.network_settings.ports.iter();
    let of_port = published.filter(|(key, _)| range(key) == Some((number, number, protocol)));
    of_port.flat_map(|(_, bindings)| bindings.0.iter().cloned()).collect()
}

/// Reads `80`, `53/udp`, `8000-8010/tcp`: the first, the last, and what is spoken.
fn range(text: &str) -> Option<(u16, u16, Protocol)> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (0 < first && first <= last).then_some((first, last, protocol))
}

/// Most services of a container. Source: none, chosen: each is an instance of its own, and who publishes more has
/// published a range for media.
const PORTS_MAX: usize = 1024;
