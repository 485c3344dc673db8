//! Who reaches a container where.
//!
//! | `docker_address` | clients in a Docker network that the container is on | everybody else |
//! |---|---|---|
//! | `auto` | its address there, its own port | the host's address and the published port; else nothing |
//! | `host` | as everybody else | the host's address and the published port; else it is no service |
//! | `container` | as everybody else | its address in the chosen network, its own port |
//!
//! - A port bound to one address of the host has that address; one bound to all has the host's own ([`HostAddresses`]), in both families
//!   if it is bound in both. Of several bindings the first counts that is not on loopback, IPv4 before IPv6; the other family counts
//!   if its number is the same. All of them are tagged addresses.
//! - `docker_ip` takes the place of all of these.
//! - A port bound to loopback only: with `auto`, clients on loopback get it and nobody else; with `host` it is registered as Registrator does,
//!   with a warning.
//! - On the host's network: the host's address, IPv6 only where the host has no IPv4, as it is not known where the
//!   process listens. Without ports: the host's address alone.
//! - Without a network (`none`): only with an address by `docker_ip_label`.
//! - In another container's network: its networks and bindings.
//! - macvlan and ipvlan: the container's address is one of the LAN, so that everybody gets it where no port is published.
//! - overlay: containers on any overlay network ask from Docker's `docker_gwbridge`. They get the published port if there is one, which is
//!   right wherever they are, else the address in the overlay.
//! - Chosen network: `docker_network` if the container is on it, else `bridge`, else that of its network mode, else the first by name.
//! - `docker_ip_label`: that address for everybody outside Docker's networks, with the published port if there is one, else the container's own.
//!
//! Unlike Registrator, the published port never goes with the address that the container has in a user-defined network: nothing
//! listens there.
//!
//! **Limits:** of a network whose prefix length is not known only the tagged address is made.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    AddressMode, HostAddresses, Network,
    inspect::Container,
    map::{Context, Warnings},
    ports::{ServicePort, published_number},
};
use crate::catalog::{
    service::{IpNetwork, NetworkAddress},
    spanning::{SpanningNetwork, SpanningNetworks},
};

/// Where one service is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reached {
    /// By clients in none of the networks: the address, and the port if there is one.
    pub(super) ordinary: Option<(IpAddr, Option<u16>)>,
    /// By role.
    pub(super) tagged: BTreeMap<String, (IpAddr, Option<u16>)>,
    /// By client network.
    pub(super) networks: Vec<NetworkAddress>,
}

impl Reached {
    /// Where we ourselves reach it.
    pub(super) fn probed(&self) -> Option<(IpAddr, u16)> {
        let there = self.networks.iter().map(|there| (there.address, there.ports.first().copied()));
        self.ordinary.into_iter().chain(there).find_map(|(address, port)| Some((address, port?)))
    }

    fn tag(&mut self, prefix: &str, address: IpAddr, port: Option<u16>) {
        let family = family(address);
        let mut role = format!("{prefix}_{family}");
        let mut count = 1;
        while self.tagged.contains_key(&role) {
            count += 1;
            role = format!("{prefix}_{count}_{family}");
        }
        self.tagged.insert(role, (address, port));
    }
}

/// Where a port is reached, or a container that serves none; nothing if nowhere.
pub(super) fn reach(port: Option<&ServicePort>, context: &Context<'_>, warnings: &mut Warnings) -> Option<Reached> {
    let mode = context.settings.address;
    let own = port.map(|port| port.number);
    let endpoints = endpoints(context);
    let places = places(port, context, warnings);
    let mut reached = Reached::default();
    let chosen = match mode {
        AddressMode::Container => chosen(&endpoints, context).map(|endpoint| endpoint.places(own)),
        AddressMode::Auto | AddressMode::Host => None,
    };
    let mut rest = chosen.unwrap_or_else(|| places.clone());
    if mode == AddressMode::Auto && rest.iter().all(|place| place.address.is_loopback() && place.is_given) {
        // Nobody outside reaches it; who asks over loopback is on this host.
        for place in rest.drain(..) {
            reached.tag("host", place.address, place.port);
            reached.networks.extend(loopback_network(&place));
        }
    }
    if mode == AddressMode::Auto && rest.is_empty() && reached.networks.is_empty() {
        rest =
            endpoints.iter().filter(|endpoint| endpoint.is_direct).flat_map(|endpoint| endpoint.places(own)).collect();
    }
    if let Some(address) = label_address(context, warnings) {
        let published = places.first().and_then(|place| place.port).filter(|_| mode != AddressMode::Container);
        rest.insert(0, Place { address, port: published.or(own), is_given: true });
        take(&mut reached, &mut rest, 0);
    } else if let Some(at) = best(&rest) {
        take(&mut reached, &mut rest, at);
        let main = reached.ordinary;
        let other = |place: &Place| {
            main.is_some_and(|(address, port)| {
                !place.address.is_loopback() && address.is_ipv4() != place.address.is_ipv4() && port == place.port
            })
        };
        if let Some(at) = rest.iter().position(other) {
            take(&mut reached, &mut rest, at);
        }
    }
    if let Some((address, _)) = reached.ordinary.filter(|(address, _)| address.is_loopback()) {
        let cure = "set docker_ip to the address at which others reach this host";
        warnings.add(format!("{address} is registered, at which no other machine reaches it; {cure}"));
    }
    rest.iter().for_each(|place| reached.tag("host", place.address, place.port));
    for endpoint in &endpoints {
        let role = format!("docker_{}", endpoint.network);
        endpoint.places(own).into_iter().for_each(|place| reached.tag(&role, place.address, place.port));
    }
    if mode == AddressMode::Auto {
        reached.networks.extend(endpoints.iter().flat_map(|endpoint| endpoint.client_networks(own)));
        if reached.ordinary.is_none() {
            reached.networks.extend(of_overlay(&endpoints, own, context));
        }
        // The family of the clients first: it is the one that an SRV record points at.
        let other_family = |there: &NetworkAddress| there.network.address().is_ipv4() != there.address.is_ipv4();
        reached.networks.sort_by_key(|there| (there.network, other_family(there), there.address));
        reached.networks.dedup_by(|one, other| one.network == other.network && one.address == other.address);
    }
    (reached.ordinary.is_some() || !reached.networks.is_empty()).then_some(reached)
}

/// Where a port can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    address: IpAddr,
    port: Option<u16>,
    /// Whether that very address was asked for.
    is_given: bool,
}

/// The place that counts first: not on loopback if there is another, IPv4 before IPv6.
fn best(places: &[Place]) -> Option<usize> {
    (0..places.len()).min_by_key(|at| (places[*at].address.is_loopback(), places[*at].address.is_ipv6()))
}

/// Makes a place one that is answered: the first is the address, of another family the second.
fn take(reached: &mut Reached, rest: &mut Vec<Place>, at: usize) {
    let place = rest.remove(at);
    reached.ordinary.get_or_insert((place.address, place.port));
    reached.tagged.insert(format!("lan_{}", family(place.address)), (place.address, place.port));
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ipv4" } else { "ipv6" }
}

/// Where the host offers the port, in the order of the bindings, each once.
fn places(port: Option<&ServicePort>, context: &Context<'_>, warnings: &mut Warnings) -> Vec<Place> {
    let host = context.around.host;
    let on_host = context.network_container().is_some_and(Container::is_on_host_network);
    let Some(port) = port else {
        let without_port = on_host && context.settings.address != AddressMode::Host;
        let addresses = if without_port { of_host(context, true) } else { Vec::new() };
        return addresses.into_iter().map(|address| Place { address, port: None, is_given: false }).collect();
    };
    let mut all = Vec::new();
    for binding in &port.bindings {
        let Some(number) = published_number(binding) else { continue };
        let (addresses, is_given) = match (context.settings.ip, binding.host_ip.as_str()) {
            (Some(_), _) | (None, "") => (of_host(context, on_host), false),
            (None, "0.0.0.0") => (host.v4.map(IpAddr::V4).into_iter().collect(), false),
            (None, "::") => (host.v6.map(IpAddr::V6).into_iter().collect(), false),
            (None, text) => (text.parse().map(|ip: IpAddr| ip.to_canonical()).into_iter().collect(), true),
        };
        for address in addresses.into_iter().filter(|address: &IpAddr| !address.is_unspecified()) {
            let place = Place { address, port: Some(number), is_given };
            if !all.contains(&place) {
                all.push(place);
            }
        }
    }
    if all.is_empty() && port.is_published() {
        let number = port.number;
        warnings.add(format!("port {number} is published, but the host's address is not known; set docker_ip"));
    }
    all
}

/// The host's addresses: the one that is set, else those that are known; one of them only if it is not known in which
/// family the port is open.
fn of_host(context: &Context<'_>, one: bool) -> Vec<IpAddr> {
    let HostAddresses { v4, v6 } = context.around.host;
    let known = v4.map(IpAddr::V4).into_iter().chain(v6.map(IpAddr::V6));
    match context.settings.ip {
        Some(ip) => vec![ip],
        None if one => known.take(1).collect(),
        None => known.collect(),
    }
}

/// The container's address by label; nothing if there is no such label.
fn label_address(context: &Context<'_>, warnings: &mut Warnings) -> Option<IpAddr> {
    let label = context.settings.ip_label.as_deref()?;
    let text = context.container.config.labels.get(label).filter(|text| !text.is_empty())?;
    let address = text.rsplit_once('/').map_or(text.as_str(), |(address, _)| address).trim();
    match address.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() => Some(address.to_canonical()),
        _ => {
            warnings.add(format!("label {label}: {text:?} is not an IP address, so that it is not used; correct it"));
            None
        }
    }
}

/// Clients on loopback, for a port that is open there only.
fn loopback_network(place: &Place) -> Option<NetworkAddress> {
    let network = match place.address {
        IpAddr::V4(_) => IpNetwork::new(Ipv4Addr::LOCALHOST.into(), 8),
        IpAddr::V6(_) => IpNetwork::new(Ipv6Addr::LOCALHOST.into(), 128),
    };
    Some(NetworkAddress { network: network?, address: place.address, ports: place.port.into_iter().collect() })
}

/// A container in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    network: String,
    /// Its addresses, each with the prefix that it lies in, if that is known.
    addresses: Vec<(IpAddr, Option<IpNetwork>)>,
    /// Whether they are addresses of the LAN that the host is on.
    is_direct: bool,
    /// Whether it spans machines.
    is_overlay: bool,
}

impl Endpoint {
    fn places(&self, port: Option<u16>) -> Vec<Place> {
        self.addresses.iter().map(|(address, _)| Place { address: *address, port, is_given: true }).collect()
    }

    /// For clients in each of its prefixes the addresses of both families: who asks over IPv4 may connect over IPv6.
    fn client_networks(&self, port: Option<u16>) -> impl Iterator<Item = NetworkAddress> {
        let networks = self.addresses.iter().filter_map(|(_, network)| *network);
        networks.flat_map(move |network| {
            let addresses = self.addresses.iter().map(|(address, _)| *address);
            addresses.map(move |address| NetworkAddress { network, address, ports: port.into_iter().collect() })
        })
    }
}

/// The networks that the container has an address in, by name.
fn endpoints(context: &Context<'_>) -> Vec<Endpoint> {
    let networks = context.network_container().into_iter().flat_map(|container| &container.network_settings.networks);
    let endpoint = |(name, told): (&String, &super::inspect::Endpoint)| {
        let known = context.around.networks.get(name);
        if known.map_or(name == "ingress", |known| known.ingress) {
            return None;
        }
        let address = |text: &str, length: i64| {
            let address = text.parse::<IpAddr>().ok()?.to_canonical();
            let subnets = known.into_iter().flat_map(|known| &known.subnets);
            let told = u8::try_from(length).ok().filter(|length| *length > 0);
            let network = subnets
                .copied()
                .find(|subnet| subnet.contains(address))
                .or_else(|| told.and_then(|length| IpNetwork::new(address, length)));
            (!address.is_unspecified() && !address.is_loopback()).then_some((address, network))
        };
        let v4 = address(&told.ip_address, told.ip_prefix_len);
        let v6 = address(&told.global_ipv6_address, told.global_ipv6_prefix_len);
        let addresses: Vec<_> = v4.into_iter().chain(v6).collect();
        let is_direct = known.is_some_and(|known| matches!(known.driver.as_str(), "macvlan" | "ipvlan"));
        let is_overlay = known.is_some_and(|known| known.driver == "overlay");
        (!addresses.is_empty()).then(|| Endpoint { network: name.clone(), addresses, is_direct, is_overlay })
    };
    networks.filter_map(endpoint).collect()
}

/// The address in an overlay network, for the containers on any: their queries leave through the bridge that links all of them to
/// the host, so that it is not seen which overlay they are on.
fn of_overlay(endpoints: &[Endpoint], port: Option<u16>, context: &Context<'_>) -> Vec<NetworkAddress> {
    let overlay = endpoints.iter().find(|endpoint| endpoint.is_overlay);
    let addresses = overlay.map_or(&[][..], |overlay| &overlay.addresses);
    let clients = context.around.networks.get(OVERLAY_BRIDGE).map_or(&[][..], |bridge| &bridge.subnets);
    let pairs = clients.iter().flat_map(|network| addresses.iter().map(move |(address, _)| (*network, *address)));
    pairs.map(|(network, address)| NetworkAddress { network, address, ports: port.into_iter().collect() }).collect()
}

/// The networks that span machines, as other machines may be told of them and tell of them: none where clients in Docker's networks
/// are answered as everybody else.
pub(super) fn spanning(mode: AddressMode, networks: &BTreeMap<String, Network>) -> SpanningNetworks {
    if mode != AddressMode::Auto {
        return SpanningNetworks::default();
    }
    let clients = networks.get(OVERLAY_BRIDGE).map_or(&[][..], |bridge| &bridge.subnets);
    let overlays = networks
        .iter()
        .filter(|(_, network)| network.driver == "overlay" && !network.ingress && !network.id.is_empty());
    SpanningNetworks(
        overlays
            .map(|(name, network)| SpanningNetwork {
                id: network.id.as_str().into(),
                name: name.as_str().into(),
                subnets: network.subnets.clone(),
                clients: clients.to_vec(),
            })
            .collect(),
    )
}

/// The network whose address counts for everybody.
fn chosen<'a>(endpoints: &'a [Endpoint], context: &Context<'_>) -> Option<&'a Endpoint> {
    let mode = context.network_container().map(|container| container.host_config.network_mode.as_str());
    let named = |name: &str| endpoints.iter().find(|endpoint| endpoint.network == name);
    let set = context.settings.network.as_deref().and_then(named);
    set.or_else(|| named("bridge")).or_else(|| mode.and_then(named)).or_else(|| endpoints.first())
}

/// The bridge through which containers on overlay networks reach the host. Source: Docker, libnetwork.
const OVERLAY_BRIDGE: &str = "docker_gwbridge";
