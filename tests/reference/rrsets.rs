//! SRV, TXT and HTTPS of a service's instances.

use std::collections::BTreeMap;

use nameplate::{catalog::node::Address, wire::name::Name};

use super::{
    answer::{Asking, lower},
    chain::{HTTPS, SRV, TXT, exact},
    expected::{HttpsMember, Member, Members},
    facts::{self, Family, Place},
    labels::dotted_labels,
    services::{Asked, Found, string},
    world::PlainInstance,
};

impl Asking<'_> {
    pub(super) fn srv(&self, asked: &Asked) -> Found {
        let mut weights: BTreeMap<Vec<u8>, Member> = BTreeMap::new();
        let mut shown = Vec::new();
        for entry in &asked.members {
            let Some((port, target)) = self.srv_target(asked, entry) else { continue };
            let scale = u32::from(self.world.settings.srv_weight_scale);
            let weight = (facts::weight(self.world, asked.service, entry, asked.filter) * scale).min(65_535) as u16;
            let numbers = [facts::priority(entry), weight, port];
            let rdata = [&numbers.map(u16::to_be_bytes).concat(), &target[..]].concat();
            weights.insert(rdata.clone(), Member { rdata, weight: 1 });
            shown.push(*entry);
        }
        if shown.is_empty() {
            return Found::Nothing;
        }
        let ttl = self.smallest_ttl(asked, shown.into_iter());
        Found::Rule(exact(asked.name, SRV, ttl, weights.into_values().collect()))
    }

    /// Port and target of an instance's SRV RR.
    fn srv_target(&self, asked: &Asked, entry: &PlainInstance) -> Option<(u16, Vec<u8>)> {
        let index = facts::port_index(entry, asked.filter.port.as_ref())?;
        let below = |labels: &[Vec<u8>]| {
            let domain = self.suffix(asked);
            Name::from_labels(labels.iter().map(Vec::as_slice).chain(domain.labels())).ok().map(|name| lower(&name))
        };
        let hex = |ip| below(&[facts::to_hex(ip), b"addr".to_vec()]);
        if let Some(there) = facts::network_entry(self.world, entry, self.network) {
            let port = there.ports.get(index).copied().unwrap_or(0);
            let Place::Ip(ip) = facts::answered(there.address) else { return None };
            return Some((port, hex(ip)?)).filter(|(port, _)| *port > 0);
        }
        let port = entry.instance.ports[index].number;
        if let Some(host) = facts::own_host(self.world, entry) {
            return Some((port, lower(&Name::parse(&host).ok()?)));
        }
        let of_address = entry.instance.address.as_ref().and_then(Address::ip);
        let mut families = [Family::V4, Family::V6];
        families.sort_by_key(|family| !of_address.is_some_and(|ip| facts::is(ip, *family)));
        let own: Vec<_> = families.iter().filter_map(|family| facts::own_ip(entry, *family)).collect();
        if !own.is_empty() {
            let shown = own.into_iter().find(|ip| matches!(facts::answered(*ip), Place::Ip(_)))?;
            return Some((port, hex(shown)?));
        }
        if facts::is_for_networks_only(entry) {
            return None;
        }
        let node = &facts::node_of(self.world, entry)?.node;
        let places = [Family::V4, Family::V6].map(|family| facts::node_place(node, family));
        if !places.iter().any(|place| matches!(place, Place::Ip(_))) {
            let host = places.into_iter().find_map(|place| match place {
                Place::Host(host) => Some(host),
                _ => None,
            });
            return Some((port, lower(&Name::parse(&host?).ok()?)));
        }
        let mut labels = dotted_labels(node.name.as_str());
        labels.push(b"node".to_vec());
        labels.push(self.world.settings.datacenter.as_bytes().to_ascii_lowercase());
        Some((port, below(&labels)?))
    }

    pub(super) fn txt(&self, asked: &Asked) -> Found {
        if asked.filter.id.is_none() && !self.world.settings.service_txt {
            return Found::Nothing;
        }
        let mut members: BTreeMap<Vec<u8>, Member> = BTreeMap::new();
        let mut shown = Vec::new();
        for entry in &asked.members {
            let rdata: Vec<u8> = facts::txt_pairs(&entry.instance.meta).iter().flat_map(|pair| string(pair)).collect();
            if !rdata.is_empty() {
                members.insert(rdata.clone(), Member { rdata, weight: 1 });
                shown.push(*entry);
            }
        }
        if shown.is_empty() {
            return Found::Nothing;
        }
        Found::Rule(exact(
            asked.name,
            TXT,
            self.smallest_ttl(asked, shown.into_iter()),
            members.into_values().collect(),
        ))
    }

    pub(super) fn https(&self, asked: &Asked) -> Found {
        let mut members = Vec::new();
        let mut shown = Vec::new();
        for entry in &asked.members {
            let Some(alpn) = entry.instance.meta.get("dns-https").filter(|alpn| !alpn.is_empty()) else { continue };
            let there = facts::network_entry(self.world, entry, self.network);
            let index = facts::port_index(entry, asked.filter.port.as_ref());
            let port = index.and_then(|index| match there {
                Some(there) => there.ports.get(index).copied(),
                None => Some(entry.instance.ports[index].number),
            });
            let hints = [Family::V4, Family::V6].into_iter().filter_map(|family| {
                match facts::place(self.world, entry, self.network, family) {
                    Place::Ip(ip) => Some(ip),
                    _ => None,
                }
            });
            let member = HttpsMember {
                priority: facts::priority(entry).max(1),
                alpn: alpn.to_string(),
                port: port.filter(|port| ![0, 443].contains(port)),
                hints: hints.collect(),
            };
            if !members.contains(&member) {
                members.push(member);
            }
            shown.push(*entry);
        }
        if shown.is_empty() {
            return Found::Nothing;
        }
        let mut rule = exact(asked.name, HTTPS, self.smallest_ttl(asked, shown.into_iter()), Vec::new());
        rule.members = Members::Https(members);
        Found::Rule(rule)
    }
}
