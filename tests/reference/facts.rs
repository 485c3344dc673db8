//! What is known of single instances: where they are, how they are, what their settings are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nameplate::{
    catalog::{
        change::Origin,
        check::CheckStatus,
        node::{Address, Node},
        service::{IpNetwork, Meta, NetworkAddress},
    },
    publish::settings::{DefaultRule, NoneEligible, ServiceRule},
};

use super::{
    labels::{Holder, LabelList},
    prepared::PlainQuery,
    world::{PlainInstance, PlainNode, World},
};

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A.
    V4,
    /// AAAA.
    V6,
}

/// Where something is reached, for one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At this address.
    Ip(IpAddr),
    /// Wherever this host name is.
    Host(String),
    /// Nowhere.
    Nowhere,
}

/// Which instances of a service are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// With this tag, as DNS has it.
    pub tag: Option<LabelList>,
    /// With this port, as DNS has it.
    pub port: Option<Vec<u8>>,
    /// With this service ID, as DNS has it.
    pub id: Option<Vec<u8>>,
    /// Chosen by this query.
    pub query: Option<PlainQuery>,
}

/// Instances of a name's holder that a filter leaves.
pub fn matching<'a>(world: &'a World, holder: &Holder, filter: &Filter) -> Vec<&'a PlainInstance> {
    let all: Vec<_> = world.instances.iter().filter(|entry| holder.has(&entry.instance)).collect();
    let is_an_id = all.iter().any(|entry| filter.id.as_ref() == Some(&entry.id_label));
    let label = |entry: &&PlainInstance| match is_an_id {
        true => Some(entry.id_label.clone()),
        false => entry.alias_label.clone(),
    };
    all.into_iter()
        .filter(|entry| filter.id.is_none() || label(entry) == filter.id)
        .filter(|entry| filter.tag.as_ref().is_none_or(|tag| has_tag(entry, tag)))
        .filter(|entry| filter.query.as_ref().is_none_or(|query| query.fits(world, entry)))
        .filter(|entry| filter.port.as_ref().is_none_or(|port| port_index(entry, Some(port)).is_some()))
        .collect()
}

/// Whether the instance has this tag.
pub fn has_tag(entry: &PlainInstance, tag: &LabelList) -> bool {
    entry.tag_labels.contains(tag)
}

/// Which of its ports is meant: the named one, or without a name the default.
pub fn port_index(entry: &PlainInstance, port: Option<&Vec<u8>>) -> Option<usize> {
    let ports = &entry.instance.ports;
    match port {
        Some(_) => entry.port_labels.iter().position(|label| label.as_ref() == port),
        None if ports.is_empty() => None,
        None => Some(ports.iter().position(|port| port.default).unwrap_or(0)),
    }
}

/// The worst of its own and its node's checks.
pub fn status(world: &World, entry: &PlainInstance) -> CheckStatus {
    status_without(world, entry, &[])
}

/// The worst of its own and its node's checks, these left out.
fn status_without(world: &World, entry: &PlainInstance, ignored: &[String]) -> CheckStatus {
    let node_checks = node_of(world, entry).map_or(&[][..], |node| &node.checks);
    let checks = entry.checks.iter().chain(node_checks).filter(|check| !ignored.contains(&check.id));
    checks.map(|check| check.status).max().unwrap_or(CheckStatus::Passing)
}

/// Whether an instance may be answered now, by a service's settings and by what a query asks.
pub fn is_eligible(world: &World, service: &str, entry: &PlainInstance, filter: &Filter) -> bool {
    let query = filter.query.clone().unwrap_or_default();
    let worst = match rule(world, service).only_passing || query.only_passing {
        true => CheckStatus::Passing,
        false => CheckStatus::Warning,
    };
    status_without(world, entry, &query.ignored) <= worst
}

/// Whether it or its node is in maintenance.
pub fn in_maintenance(world: &World, entry: &PlainInstance) -> bool {
    let node_checks = node_of(world, entry).map_or(&[][..], |node| &node.checks);
    entry.checks.iter().chain(node_checks).any(|check| check.maintenance)
}

/// The node it runs on.
pub fn node_of<'a>(world: &'a World, entry: &PlainInstance) -> Option<&'a PlainNode> {
    world.node(entry.instance.node.as_str())
}

/// Its weight as it is now; where a query ignores checks by the others, if it is eligible by them.
pub fn weight(world: &World, service: &str, entry: &PlainInstance, filter: &Filter) -> u32 {
    let ignored = filter.query.as_ref().map_or(&[][..], |query| &query.ignored);
    let ignored = if is_eligible(world, service, entry, filter) { ignored } else { &[] };
    let weights = entry.instance.weights;
    u32::from(match status_without(world, entry, ignored) {
        CheckStatus::Warning => weights.warning,
        _ => weights.passing,
    })
}

/// Its priority: meta `dns-priority`, default 1.
pub fn priority(entry: &PlainInstance) -> u16 {
    entry
        .instance
        .meta
        .get("dns-priority")
        .and_then(|text| digits(text))
        .and_then(|n| u16::try_from(n).ok())
        .unwrap_or(1)
}

/// Its TTL: that of the query, else meta `dns-ttl` if that is legal, else that of the service or further name that was asked.
pub fn ttl(world: &World, entry: &PlainInstance, (asked, filter): (&str, &Filter)) -> u32 {
    if let Some(ttl) = filter.query.as_ref().and_then(|query| query.ttl) {
        return ttl;
    }
    let own = entry.instance.meta.get("dns-ttl").and_then(|text| digits(text)).filter(|ttl| *ttl <= 86_400);
    own.unwrap_or_else(|| rule(world, asked).ttl_secs)
}

fn digits(text: &str) -> Option<u32> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

/// The settings of a service: each from the most exact pattern that fits and sets it, else the default.
pub fn rule(world: &World, service: &str) -> DefaultRule {
    let service = service.to_lowercase();
    let mut fitting: Vec<(usize, &ServiceRule)> = Vec::new();
    for rule in &world.settings.services {
        match rule.pattern.strip_suffix('*') {
            Some(prefix) if service.starts_with(prefix) => fitting.push((prefix.len(), rule)),
            None if *rule.pattern == *service => fitting.push((usize::MAX, rule)),
            _ => {}
        }
    }
    fitting.sort_by_key(|(exactness, _)| std::cmp::Reverse(*exactness));
    let rules: Vec<&ServiceRule> = fitting.into_iter().map(|(_, rule)| rule).collect();
    let default = world.settings.default_rule;
    DefaultRule {
        ttl_secs: rules.iter().find_map(|rule| rule.ttl_secs).unwrap_or(default.ttl_secs),
        max_answers: rules.iter().find_map(|rule| rule.max_answers).unwrap_or(default.max_answers),
        none_eligible: rules.iter().find_map(|rule| rule.none_eligible).unwrap_or(default.none_eligible),
        only_passing: rules.iter().find_map(|rule| rule.only_passing).unwrap_or(default.only_passing),
    }
}

/// Those of the instances that may be answered now; if nobody may, what `none_eligible` makes of that.
pub fn eligible<'a>(
    world: &World,
    service: &str,
    all: &[&'a PlainInstance],
    filter: &Filter,
) -> Vec<&'a PlainInstance> {
    let eligible: Vec<_> = all.iter().copied().filter(|entry| is_eligible(world, service, entry, filter)).collect();
    if eligible.is_empty() && rule(world, service).none_eligible == NoneEligible::All {
        return everyone(world, all);
    }
    eligible
}

/// Who is answered where nobody is eligible and that is wanted.
pub fn everyone<'a>(world: &World, all: &[&'a PlainInstance]) -> Vec<&'a PlainInstance> {
    all.iter().copied().filter(|entry| !in_maintenance(world, entry)).collect()
}

/// The client network that an asker is in: the most exact one that an instance of our own node names, or one that another machine
/// told of.
pub fn client_network(world: &World, asker: IpAddr) -> Option<IpNetwork> {
    world
        .instances
        .iter()
        .filter(|entry| counts_here(world, entry))
        .flat_map(|entry| entry.instance.network_addresses.iter())
        .map(|address| address.network)
        .filter(|network| network.contains(asker))
        .max_by_key(IpNetwork::prefix_length)
}

/// Whether an instance's client networks are ours.
fn counts_here(world: &World, entry: &PlainInstance) -> bool {
    entry.instance.node == world.settings.node || entry.instance.origin == Origin::Cluster
}

/// What the instance says first of this client network.
pub fn network_entry<'a>(
    world: &World,
    entry: &'a PlainInstance,
    network: Option<IpNetwork>,
) -> Option<&'a NetworkAddress> {
    if !counts_here(world, entry) {
        return None;
    }
    entry.instance.network_addresses.iter().find(|address| Some(address.network) == network)
}

/// Where an instance is reached by an asker in this client network.
pub fn place(world: &World, entry: &PlainInstance, network: Option<IpNetwork>, family: Family) -> Place {
    let there = network_entry(world, entry, network);
    let in_it = |address: &&NetworkAddress| Some(address.network) == network && is(address.address, family);
    if let Some(one) = there.and_then(|_| entry.instance.network_addresses.iter().find(in_it)) {
        return answered(one.address);
    }
    if there.is_some() {
        return Place::Nowhere; // In that network it has addresses of the other family only.
    }
    if let Some(address) = own_ip(entry, family) {
        return answered(address);
    }
    if let Some(host) = own_host(world, entry) {
        return Place::Host(host);
    }
    if matches!(entry.instance.address, Some(Address::Ip(_))) || is_for_networks_only(entry) {
        return Place::Nowhere; // It is somewhere else than its node.
    }
    node_of(world, entry).map_or(Place::Nowhere, |node| node_place(&node.node, family))
}

/// Whether it has no address but those for client networks.
pub fn is_for_networks_only(entry: &PlainInstance) -> bool {
    entry.instance.address.is_none() && !entry.instance.network_addresses.is_empty()
}

/// The instance's own IP address, by tag or Address.
pub fn own_ip(entry: &PlainInstance, family: Family) -> Option<IpAddr> {
    let role = if family == Family::V4 { "lan_ipv4" } else { "lan_ipv6" };
    let tagged = entry.instance.tagged_addresses.iter().find(|tagged| &*tagged.role == role);
    let tagged = tagged.and_then(|tagged| tagged.address.ip()).filter(|ip| is(*ip, family));
    tagged.or_else(|| entry.instance.address.as_ref().and_then(Address::ip).filter(|ip| is(*ip, family)))
}

/// The instance's own host name, unless it is its service's name as registered, which means no address, whichever service
/// has that name in DNS.
pub fn own_host(world: &World, entry: &PlainInstance) -> Option<String> {
    let Some(Address::Host(host)) = &entry.instance.address else { return None };
    let host = host.to_lowercase();
    let service = entry.instance.service.as_str().to_lowercase();
    let below = |domain: String| {
        let domain = domain.trim_end_matches('.').to_lowercase();
        host == format!("{service}.{domain}") || host == format!("{service}.service.{domain}")
    };
    let is_own = host == service || world.domains().iter().any(|domain| below(domain.to_string()));
    (!is_own).then_some(host)
}

/// Where a node is reached.
pub fn node_place(node: &Node, family: Family) -> Place {
    let role = if family == Family::V4 { "lan_ipv4" } else { "lan_ipv6" };
    let tagged = node.tagged_addresses.get(role).and_then(Address::ip).filter(|ip| is(*ip, family));
    match (tagged, &node.address) {
        (Some(ip), _) => answered(ip),
        (None, Address::Ip(ip)) if is(*ip, family) => answered(*ip),
        (None, Address::Ip(_)) => Place::Nowhere,
        (None, Address::Host(host)) => Place::Host(host.to_lowercase()),
    }
}

/// Link-local and multicast addresses are kept but not answered.
pub fn answered(ip: IpAddr) -> Place {
    let hidden = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast(),
    };
    if hidden { Place::Nowhere } else { Place::Ip(ip) }
}

/// Whether the address is of this family.
pub fn is(ip: IpAddr, family: Family) -> bool {
    ip.is_ipv4() == (family == Family::V4)
}

/// RDATA of an address record.
pub fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The address that `addr` names spell in hex.
pub fn from_hex(label: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(label).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    match label.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(text, 16).ok()?))),
        32 => Some(IpAddr::V6(Ipv6Addr::from(u128::from_str_radix(text, 16).ok()?))),
        _ => None,
    }
}

/// The label that spells an address.
pub fn to_hex(ip: IpAddr) -> Vec<u8> {
    octets(ip).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes()
}

/// One TXT string for a pair, attribute name quoted; none if it is not shown.
pub fn txt_pair(key: &str, value: &str) -> Option<Vec<u8>> {
    if key.starts_with("dns-") || key.starts_with("consul-") {
        return None;
    }
    let blanks = |text: &str| text.chars().take_while(|c| *c == ' ' || *c == '\t').count();
    let (head, tail) = (blanks(key), blanks(&key.chars().rev().collect::<String>()));
    let count = key.chars().count();
    let mut text = String::new();
    for (at, character) in key.chars().enumerate() {
        let edge = at < head || at + tail >= count;
        if character == '=' || character == '`' || edge {
            text.push('`');
        }
        text.push(character);
    }
    text.push('=');
    text.push_str(value);
    (text.len() <= 255).then(|| text.into_bytes())
}

/// The pairs of a meta that are shown, as TXT strings.
pub fn txt_pairs(meta: &Meta) -> Vec<Vec<u8>> {
    meta.iter().filter_map(|(key, value)| txt_pair(key, value)).collect()
}
