//! Settings and static zones, made ready for answering: which suffix leads where, and who may do what.

use std::{cmp::Reverse, net::IpAddr, sync::Arc};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use crate::{
    catalog::{names::NodeName, service::IpNetwork, table::Seed},
    publish::{
        machines::{Machine, rank},
        settings::Settings,
    },
    wire::{name::Name, query::Question},
    zones::{Zone, Zones},
};

/// Settings and static zones, made ready for answering.
#[derive(Debug)]
pub struct Plan {
    domains: Vec<Domain>,
    origins: HashMap<Box<[u8]>, Origin, FixedState>,
    /// Bit n: some origin has n labels.
    label_counts: u128,
    /// Bit n: some origin has n bytes, modulo 128; a look-up costs more than to see that it would be in vain.
    lengths: u128,
    /// Names of our domains and static zones between them and origins further down: they exist, because those do.
    above: HashSet<Box<[u8]>, FixedState>,
    allow_query: Networks,
    allow_recursion: Networks,
    payload_max: Vec<(IpNetwork, u16)>,
    /// Our datacenter's label in lower case, with its length byte.
    pub datacenter: Box<[u8]>,
    /// Addresses at `ns.D`.
    pub servers_v4: Box<[[u8; 4]]>,
    /// Addresses at `ns.D`.
    pub servers_v6: Box<[[u8; 16]]>,
}

/// D, or an alternative domain.
#[derive(Debug)]
pub struct Domain {
    /// Its name as configured.
    pub name: Name,
    /// The static zone that adds to it.
    pub zone: Option<Arc<Zone>>,
    /// Whether names that we do not know are asked elsewhere.
    pub falls_through: bool,
}

/// Where a suffix leads.
#[derive(Debug, Clone)]
pub enum Origin {
    /// To a domain of ours, by its number.
    Domain(usize),
    /// To a static zone.
    Zone(Arc<Zone>),
    /// To an upstream.
    Forward,
    /// Nowhere: its names are refused.
    Refused,
}

impl Plan {
    /// Makes settings and zones ready. The seed is that of the look-up by suffix.
    pub fn new(settings: &Settings, zones: &Zones, seed: Seed) -> Plan {
        let names = std::iter::once(&settings.domain).chain(&settings.alt_domains);
        let domains: Vec<Domain> = names.map(|name| domain(name, settings, zones)).collect();
        let mut plan = Plan {
            origins: HashMap::with_hasher(FixedState::with_seed(seed.0)),
            label_counts: 0,
            lengths: 0,
            above: HashSet::with_hasher(FixedState::with_seed(seed.0)),
            allow_query: Networks::new(&settings.allow_query),
            allow_recursion: Networks::new(if settings.forwarding { &settings.allow_recursion } else { &[] }),
            payload_max: settings.udp_payload_max.clone(),
            datacenter: [&[settings.datacenter.len() as u8], settings.datacenter.to_ascii_lowercase().as_bytes()]
                .concat()
                .into(),
            servers_v4: each_once(settings.advertise.iter().filter_map(v4)),
            servers_v6: each_once(settings.advertise.iter().filter_map(v6)),
            domains: Vec::new(),
        };
        for name in &settings.forward_zones {
            plan.lead(name, Origin::Forward);
        }
        for name in &settings.refused_zones {
            plan.lead(name, Origin::Refused);
        }
        for zone in zones.iter() {
            plan.lead(zone.origin(), Origin::Zone(Arc::clone(zone)));
        }
        for (number, domain) in domains.iter().enumerate() {
            plan.lead(&domain.name, Origin::Domain(number));
        }
        plan.domains = domains;
        plan.above = plan.names_above();
        plan.payload_max.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_length()));
        plan
    }

    /// The same with the addresses of other machines at `ns.D`, beside our own: of the [`SERVERS_MAX`] that rank highest, the
    /// same on each machine, and as many of each family.
    pub fn with_machines(mut self, settings: &Settings, machines: &[Machine]) -> Plan {
        if machines.is_empty() {
            return self;
        }
        let own = std::iter::once((&settings.node, &settings.advertise[..]));
        let others = machines.iter().map(|machine| (&machine.node, &machine.addresses[..]));
        let mut servers: Vec<_> = own.chain(others).collect();
        servers.sort_by_cached_key(|(node, _)| (Reverse(rank(node, SERVERS)), NodeName::clone(node)));
        let addresses = || servers.iter().take(SERVERS_MAX).flat_map(|(_, addresses)| *addresses);
        self.servers_v4 = each_once(addresses().filter_map(v4).take(SERVERS_MAX));
        self.servers_v6 = each_once(addresses().filter_map(v6).take(SERVERS_MAX));
        self
    }

    fn lead(&mut self, name: &Name, origin: Origin) {
        self.label_counts |= 1 << name.label_count();
        self.lengths |= 1 << (name.as_wire().len() % 128);
        self.origins.insert(name.to_lowercase().as_wire().into(), origin);
    }

    /// The names between each origin and the one above it.
    fn names_above(&self) -> HashSet<Box<[u8]>, FixedState> {
        let mut above = HashSet::with_hasher(self.origins.hasher().clone());
        for origin in self.origins.keys() {
            let mut between: Vec<Box<[u8]>> = Vec::new();
            let mut rest: &[u8] = origin;
            while let Some(length) = rest.first().filter(|length| **length > 0) {
                rest = &rest[1 + usize::from(*length)..];
                if self.origins.contains_key(rest) {
                    above.extend(between);
                    break;
                }
                between.push(rest.into());
            }
        }
        above
    }

    /// Whether the name exists because a zone or a forward rule lies below it.
    pub fn lies_above(&self, question: &Question) -> bool {
        !self.above.is_empty() && self.above.contains(question.name())
    }

    /// The longest suffix of the name that leads somewhere, by its first label, and where.
    pub fn origin(&self, question: &Question) -> Option<(usize, &Origin)> {
        let labels = question.label_count();
        (0..=labels)
            .filter(|first| self.label_counts >> (labels - first) & 1 == 1)
            .map(|first| (first, question.suffix(first)))
            .filter(|(_, suffix)| self.lengths >> (suffix.len() % 128) & 1 == 1)
            .find_map(|(first, suffix)| self.origins.get(suffix).map(|origin| (first, origin)))
    }

    /// A domain of ours by its number; 0 is D.
    pub fn domain(&self, number: usize) -> &Domain {
        &self.domains[number]
    }

    /// Whether the client may ask at all.
    pub fn may_ask(&self, address: IpAddr) -> bool {
        self.allow_query.contains(address)
    }

    /// Whether the client may recurse; nobody may while there is no forwarding.
    pub fn may_recurse(&self, address: IpAddr) -> bool {
        self.allow_recursion.contains(address)
    }

    /// Largest payload over UDP that the operator set for the client's network.
    pub fn payload_max(&self, address: IpAddr) -> Option<u16> {
        self.payload_max.iter().find(|(network, _)| network.contains(address)).map(|(_, bytes)| *bytes)
    }
}

fn domain(name: &Name, settings: &Settings, zones: &Zones) -> Domain {
    Domain {
        name: name.clone(),
        zone: zones.get(name.to_lowercase().as_wire()).cloned(),
        falls_through: settings.fallthrough.iter().any(|(domain, _)| domain == name),
    }
}

/// RRsets have no record twice (RFC 2181 section 5).
fn each_once<T: PartialEq>(all: impl Iterator<Item = T>) -> Box<[T]> {
    let mut once = Vec::new();
    for each in all {
        if !once.contains(&each) {
            once.push(each);
        }
    }
    once.into()
}

fn v4(address: &IpAddr) -> Option<[u8; 4]> {
    match address {
        IpAddr::V4(v4) => Some(v4.octets()),
        IpAddr::V6(_) => None,
    }
}

fn v6(address: &IpAddr) -> Option<[u8; 16]> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(v6.octets()),
    }
}

/// A set of prefixes as masks.
#[derive(Debug, Default)]
struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    fn new(networks: &[IpNetwork]) -> Networks {
        let mut masks = Networks::default();
        for network in networks {
            let length = u32::from(network.prefix_length());
            match network.address() {
                IpAddr::V4(v4) => masks.v4.push((v4.into(), u32::MAX.checked_shl(32 - length).unwrap_or(0))),
                IpAddr::V6(v6) => masks.v6.push((v6.into(), u128::MAX.checked_shl(128 - length).unwrap_or(0))),
            }
        }
        masks
    }

    fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.v4.iter().any(|(network, mask)| u32::from(v4) & mask == *network),
            IpAddr::V6(v6) => self.v6.iter().any(|(network, mask)| u128::from(v6) & mask == *network),
        }
    }
}

/// What machines rank for as name servers.
const SERVERS: &[u8] = b"ns";

/// Most machines, and addresses of each family, at `ns.D`.
///
/// Source: none, chosen: with a domain of up to 90 bytes all of them are in a response of 512 bytes, and a resolver needs no
/// more to find one that answers.
const SERVERS_MAX: usize = 8;

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
