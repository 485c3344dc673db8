//! Who is answered, with which addresses, for how long. All policy about that is here.

use std::net::IpAddr;

use crate::{
    catalog::{
        apply::Presence,
        change::Origin,
        check::CheckStatus,
        names::ServiceName,
        node::{Address, Node},
        service::{Instance, IpNetwork, NetworkAddress},
    },
    publish::{
        selection::answerable,
        settings::{DefaultRule, Settings},
    },
};

/// Addresses that may be answered, and what an SRV record would point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach<'a> {
    /// The IPv4 address.
    pub v4: Option<[u8; 4]>,
    /// The IPv6 address.
    pub v6: Option<[u8; 16]>,
    /// Where an SRV record points.
    pub via: Via<'a>,
    /// The host name that stands for a family without address.
    pub host: Option<&'a str>,
}

/// What an SRV record points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via<'a> {
    /// The IPv4 address of [`Reach`].
    V4,
    /// The IPv6 address of [`Reach`].
    V6,
    /// The node.
    Node,
    /// A host name.
    Host(&'a str),
    /// Nothing that may be answered.
    Nothing,
}

/// The status that counts: the worst of the instance's and its node's checks.
pub fn status(presence: &Presence) -> CheckStatus {
    presence.entry.status().max(presence.node_status)
}

/// Whether an instance may be answered now.
pub fn is_eligible(presence: &Presence, rule: &DefaultRule) -> bool {
    match status(presence) {
        CheckStatus::Passing => true,
        CheckStatus::Warning => !rule.only_passing,
        CheckStatus::Critical => false,
    }
}

/// The weight that counts at this status.
pub fn weight(instance: &Instance, status: CheckStatus) -> u16 {
    match status {
        CheckStatus::Warning => instance.weights.warning,
        CheckStatus::Passing | CheckStatus::Critical => instance.weights.passing,
    }
}

/// TTL in seconds of an instance's records: its meta `dns-ttl`, else its service's.
pub fn ttl(instance: &Instance, rule: &DefaultRule) -> u32 {
    let own = instance.meta.get("dns-ttl").and_then(|text| text.parse().ok());
    own.filter(|ttl| *ttl <= TTL_MAX_SECS).unwrap_or(rule.ttl_secs)
}

/// An instance's priority: its meta `dns-priority`, else 1. Lower is better.
pub fn priority(instance: &Instance) -> u16 {
    instance.meta.get("dns-priority").and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The ALPN list of an instance that asks for HTTPS records.
pub fn https(instance: &Instance) -> Option<&str> {
    instance.meta.get("dns-https").map(|list| &**list)
}

/// How an instance is reached by clients outside of its client networks.
pub fn reach<'a>(instance: &'a Instance, node: &'a Node, settings: &Settings) -> Reach<'a> {
    let tagged = |role| instance.tagged_address(role).map(|tagged| &tagged.address);
    let address = instance.address.as_ref().filter(|address| !names_itself(address, &instance.service, settings));
    let own_v4 = own(tagged("lan_ipv4"), address, IpAddr::is_ipv4);
    let own_v6 = own(tagged("lan_ipv6"), address, IpAddr::is_ipv6);
    let (v4, v6) = (v4(own_v4), v6(own_v6));
    let via_v4 = v4.map(|_| Via::V4);
    let via_v6 = v6.map(|_| Via::V6);
    let of_own = match address {
        Some(Address::Host(host)) => return Reach { v4, v6, via: Via::Host(host), host: Some(host) },
        Some(Address::Ip(IpAddr::V6(_))) => via_v6.or(via_v4),
        _ => via_v4.or(via_v6),
    };
    if address.is_some() || is_for_networks_only(instance) {
        // Where an instance has an address of its own, or none but in client networks, its node's leads elsewhere.
        return Reach { v4, v6, via: of_own.unwrap_or(Via::Nothing), host: None };
    }
    let node = node_reach(node);
    let of_node = if own_v4.is_none() && own_v6.is_none() { node.via } else { Via::Nothing };
    Reach {
        v4: if own_v4.is_none() { node.v4 } else { v4 },
        v6: if own_v6.is_none() { node.v6 } else { v6 },
        via: of_own.unwrap_or(of_node),
        host: node.host,
    }
}

/// Whether only clients in certain networks reach it, as a container that publishes no port.
pub fn is_for_networks_only(instance: &Instance) -> bool {
    instance.address.is_none() && !instance.network_addresses.is_empty()
}

/// Whether its client networks are those of our clients: of our own node, and of others where the networks are ours, too
/// (`catalog::spanning`).
pub fn is_for_our_networks(instance: &Instance, settings: &Settings) -> bool {
    instance.node == settings.node || instance.origin == Origin::Cluster
}

/// How a node is reached.
pub fn node_reach(node: &Node) -> Reach<'_> {
    let v4 = v4(own(node.tagged_addresses.get("lan_ipv4"), Some(&node.address), IpAddr::is_ipv4));
    let v6 = v6(own(node.tagged_addresses.get("lan_ipv6"), Some(&node.address), IpAddr::is_ipv6));
    let host = match &node.address {
        Address::Host(host) => Some(&**host),
        Address::Ip(_) => None,
    };
    let via = match host {
        _ if v4.is_some() || v6.is_some() => Via::Node,
        Some(host) => Via::Host(host),
        None => Via::Nothing,
    };
    Reach { v4, v6, via, host }
}

/// How an instance is reached by clients in one of its client networks, of which this is its first address: there alone, in
/// both families. Its addresses elsewhere go with ports that are not open there, or not reached from there.
pub fn network_reach(address: &NetworkAddress, instance: &Instance) -> Reach<'static> {
    let mut there = network_address_reach(address);
    for other in instance.network_addresses.iter().filter(|other| other.network == address.network) {
        let other = network_address_reach(other);
        (there.v4, there.v6) = (there.v4.or(other.v4), there.v6.or(other.v6));
    }
    there
}

/// The address of an instance in one of its client networks.
pub fn network_address_reach(address: &NetworkAddress) -> Reach<'static> {
    let (v4, v6) = (v4(Some(address.address)), v6(Some(address.address)));
    let via = match (v4, v6) {
        (Some(_), _) => Via::V4,
        (_, Some(_)) => Via::V6,
        _ => Via::Nothing,
    };
    Reach { v4, v6, via, host: None }
}

/// The instance's first address in a client network, with the ports there.
pub fn network_address(instance: &Instance, network: IpNetwork) -> Option<&NetworkAddress> {
    instance.network_addresses.iter().find(|address| address.network == network)
}

/// Whether a host name is the service's own as registered (`web`, `web.D`, `web.service.D`), which means that there is no
/// address, whichever service has that name in DNS.
fn names_itself(address: &Address, service: &ServiceName, settings: &Settings) -> bool {
    let Address::Host(host) = address else { return false };
    let Some((own, rest)) = host.as_bytes().split_at_checked(service.as_str().len()) else { return false };
    if !own.eq_ignore_ascii_case(service.as_str().as_bytes()) {
        return false;
    }
    let Some(rest) = rest.strip_prefix(b".") else { return rest.is_empty() };
    let labels = || rest.split(|byte| *byte == b'.');
    let mut domains = std::iter::once(&settings.domain).chain(&settings.alt_domains);
    domains.any(|domain| {
        let below = |first: Option<&'static [u8]>| {
            let wanted = first.into_iter().chain(domain.labels());
            labels().map(<[u8]>::to_ascii_lowercase).eq(wanted.map(<[u8]>::to_ascii_lowercase))
        };
        below(None) || below(Some(b"service"))
    })
}

/// The address of one family: the tagged one, else the Address. One that is not answered hides what comes after it.
fn own(tagged: Option<&Address>, address: Option<&Address>, is_of_family: fn(&IpAddr) -> bool) -> Option<IpAddr> {
    [tagged, address].into_iter().flatten().filter_map(Address::ip).find(is_of_family)
}

fn v4(address: Option<IpAddr>) -> Option<[u8; 4]> {
    match answerable(address?)? {
        IpAddr::V4(v4) => Some(v4.octets()),
        IpAddr::V6(_) => None,
    }
}

fn v6(address: Option<IpAddr>) -> Option<[u8; 16]> {
    match answerable(address?)? {
        IpAddr::V6(v6) => Some(v6.octets()),
        IpAddr::V4(_) => None,
    }
}

/// Longest TTL that meta may ask for. Source: one day, DNS.md.
const TTL_MAX_SECS: u32 = 86_400;
