//! Names in no zone of ours: bare service names, reverse names, reserved names, the server's own CH names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nameplate::{
    catalog::node::{Address, Node},
    wire::name::Name,
};

use super::{
    answer::{Asking, Outcome, lower, ours, refusal},
    chain::{A, AAAA, ANY, HTTPS, PTR, SRV, SVCB, TXT, exact},
    expected::{Authority, ErrorRule, Member, Members, RrsetRule, SoaRule},
    facts::{self, Family, Filter, Place, octets},
    gate::{FORMERR, NOERROR, NOTIMP, NXDOMAIN, Query, REFUSED, SERVFAIL},
    labels::dotted_labels,
    queries::reverse_name,
    tree::Tree,
    world::PlainInstance,
};

impl<'a> Asking<'a> {
    /// A name in no zone of ours.
    pub fn outside(&self, name: &Name, qtype: u16, step: usize) -> Outcome {
        let labels: Vec<Vec<u8>> = name.labels().map(<[u8]>::to_ascii_lowercase).collect();
        if let Some(last) = labels.last() {
            if last == b"localhost" {
                return self.localhost(name, qtype);
            }
            let reserved = [&b"invalid"[..], b"onion", b"alt"].contains(&&last[..])
                || labels.ends_with(&[b"resolver".to_vec(), b"arpa".to_vec()]);
            if reserved {
                return Outcome::Ours(ours(NXDOMAIN, Authority::Soa(self.any_soa()), "reserved"));
            }
        }
        if labels.len() == 1 {
            return self.bare(name, qtype, &labels, step);
        }
        if let Some(outcome) = self.reverse(name, qtype, None) {
            return outcome;
        }
        if labels.last().is_some_and(|last| last == b"arpa") && !self.world.settings.forwarding {
            return self.empty_zone(name);
        }
        self.foreign()
    }

    fn bare(&self, name: &Name, qtype: u16, labels: &[Vec<u8>], step: usize) -> Outcome {
        if let Some(service) = self.forest.names.by_labels.get(labels) {
            return self.service(name, qtype, (service, &Filter::default(), "bare"), None, step);
        }
        let asked_by_stubs = [A, AAAA, SRV, TXT, HTTPS, SVCB, ANY].contains(&qtype);
        let denied = asked_by_stubs && !self.world.settings.forward_bare;
        if !self.world.synced() && asked_by_stubs {
            let unsynced = Outcome::Ours(refusal(SERVFAIL, vec![ErrorRule::required(14)], "bare unknown"));
            // What is asked upstream anyway may be asked already.
            return if denied { unsynced } else { Outcome::AnyOf(vec![unsynced, self.foreign()]) };
        }
        let mut draft = ours(NXDOMAIN, Authority::Empty, "bare unknown");
        draft.errors = vec![ErrorRule::allowed(19)];
        match (denied, self.world.settings.forward_bare && !self.recursion) {
            (true, _) => Outcome::Ours(draft),
            (false, true) => Outcome::AnyOf(vec![Outcome::Ours(draft), self.foreign()]),
            (false, false) => self.foreign(),
        }
    }

    fn localhost(&self, name: &Name, qtype: u16) -> Outcome {
        let mut rules = Vec::new();
        for (rtype, ip) in [(A, IpAddr::V4(Ipv4Addr::LOCALHOST)), (AAAA, IpAddr::V6(Ipv6Addr::LOCALHOST))] {
            if qtype == rtype || qtype == ANY {
                let rule = exact(name, rtype, 0, vec![Member { rdata: octets(ip), weight: 1 }]);
                rules.push(RrsetRule { ttl: None, ..rule });
            }
        }
        if rules.is_empty() {
            return Outcome::Ours(ours(NOERROR, Authority::Soa(self.any_soa()), "localhost"));
        }
        Outcome::Ours(self.positive(name, rules, "localhost"))
    }

    /// PTR for an address in the catalog; none if the name is no such address's.
    pub fn reverse(&self, name: &Name, qtype: u16, tree: Option<&Tree>) -> Option<Outcome> {
        let ip = from_reverse(name)?;
        if ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || ip == IpAddr::V6(Ipv6Addr::LOCALHOST) {
            return Some(self.pointer(name, qtype, (b"\x09localhost\x00".to_vec(), None), tree));
        }
        // An address that another one hides (a tagged one, by role) is in the catalog and yet not answered: both hold.
        let [shown, hidden] = [false, true].map(|hidden| self.catalog_pointer(name, qtype, ip, tree, hidden));
        match (shown, hidden) {
            (None, Some(_)) if tree.is_some() => None,
            (None, Some(hidden)) => {
                let closed = !self.world.settings.forwarding;
                let denied = if closed { self.empty_zone(name) } else { self.foreign() };
                Some(Outcome::AnyOf(vec![hidden, denied]))
            }
            (Some(shown), Some(hidden)) => Some(Outcome::AnyOf(vec![shown, hidden])),
            (shown, None) => shown,
        }
    }

    fn catalog_pointer(
        &self,
        name: &Name,
        qtype: u16,
        ip: IpAddr,
        tree: Option<&Tree>,
        hidden: bool,
    ) -> Option<Outcome> {
        let settings = &self.world.settings;
        let mut nodes: Vec<&Node> = self
            .world
            .nodes
            .iter()
            .map(|entry| &entry.node)
            .filter(|node| node_ips(node, hidden).contains(&ip))
            .collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(node) = nodes.first() {
            let mut labels = dotted_labels(node.name.as_str());
            labels.push(b"node".to_vec());
            labels.push(settings.datacenter.as_bytes().to_ascii_lowercase());
            let target = Name::from_labels(labels.iter().map(Vec::as_slice).chain(settings.domain.labels())).ok()?;
            let ttl = Some(settings.default_rule.ttl_secs);
            return Some(self.pointer(name, qtype, (lower(&target), ttl), tree));
        }
        let services = self.world.instances.iter().filter(|entry| instance_ips(entry, hidden).contains(&ip));
        let service = services.map(|entry| entry.instance.service.as_str()).min()?;
        let mut labels = self.forest.names.primary[service].clone();
        labels.push(b"service".to_vec());
        let target = Name::from_labels(labels.iter().map(Vec::as_slice).chain(settings.domain.labels())).ok()?;
        Some(self.pointer(name, qtype, (lower(&target), None), tree))
    }

    fn pointer(&self, name: &Name, qtype: u16, (target, ttl): (Vec<u8>, Option<u32>), tree: Option<&Tree>) -> Outcome {
        if qtype == PTR || qtype == ANY {
            let rule = exact(name, PTR, 0, vec![Member { rdata: target, weight: 1 }]);
            let mut draft = self.positive(name, vec![RrsetRule { ttl, ..rule }], "reverse");
            draft.errors.push(ErrorRule::allowed(3));
            return Outcome::Ours(draft);
        }
        let soa = SoaRule {
            owner: tree.is_none().then(|| lower(name)),
            ttls: vec![self.world.settings.negative_ttl_secs],
            rdata: None,
        };
        let mut draft = ours(NOERROR, Authority::Soa(soa), "reverse");
        draft.errors.push(ErrorRule::allowed(3));
        Outcome::Ours(draft)
    }

    /// A name above the names of addresses exists; one above those only that are not answered: either. Else it is
    /// as given.
    pub fn above_pointers(&self, name: &Name, empty: Outcome, otherwise: Outcome) -> Outcome {
        let above = |ip: &IpAddr| {
            let pointer = reverse_name(*ip);
            pointer.is_at_or_below(name) && pointer != *name
        };
        let [shown, hidden] = [false, true].map(|hidden| {
            let nodes = self.world.nodes.iter().flat_map(|entry| node_ips(&entry.node, hidden));
            let instances = self.world.instances.iter().flat_map(|entry| instance_ips(entry, hidden));
            let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            nodes.chain(instances).chain(loopback).any(|ip| above(&ip))
        });
        match (shown, hidden) {
            (true, _) => empty,
            (false, true) => Outcome::AnyOf(vec![empty, otherwise]),
            (false, false) => otherwise,
        }
    }

    /// The empty zones for private and loopback addresses (RFC 6303), when nobody else can be asked.
    fn empty_zone(&self, name: &Name) -> Outcome {
        let apex_in = |zones: &[&str]| {
            let mut apexes = zones.iter().filter_map(|zone| Name::parse(zone).ok());
            apexes.find(|zone| name.is_at_or_below(zone))
        };
        let private_172 = || (16..32).find_map(|octet| apex_in(&[&format!("{octet}.172.in-addr.arpa")]));
        let private = apex_in(&EMPTY_ZONES).or_else(private_172);
        let Some(apex) = private.clone().or_else(|| apex_in(&MORE_EMPTY_ZONES)) else { return self.foreign() };
        let [exists, nowhere] =
            [NOERROR, NXDOMAIN].map(|rcode| Outcome::Ours(ours(rcode, Authority::Soa(self.any_soa()), "empty zone")));
        let mut denied = match *name == apex {
            true => vec![exists],
            false => vec![self.above_pointers(name, exists, nowhere)],
        };
        if !self.world.synced() {
            denied.push(Outcome::Ours(refusal(SERVFAIL, vec![ErrorRule::required(14)], "empty zone")));
        }
        if private.is_none() {
            denied.push(self.foreign());
        }
        Outcome::AnyOf(denied)
    }

    /// The server's own names of class CH.
    pub fn chaos(&self, query: &Query) -> Outcome {
        let name = query.name.to_string().to_lowercase();
        let own = ["version.bind.", "version.server.", "hostname.bind.", "id.server."].contains(&&*name);
        if !own || self.world.settings.hide_version {
            return Outcome::Ours(refusal(REFUSED, vec![ErrorRule::allowed(21), ErrorRule::allowed(18)], "chaos"));
        }
        if [41, 249, 250, 253, 254].contains(&query.qtype) {
            return Outcome::Ours(refusal(NOTIMP, vec![ErrorRule::allowed(21)], "gate"));
        }
        if query.qtype == 252 && !self.asker.tcp {
            return Outcome::Ours(refusal(FORMERR, Vec::new(), "gate"));
        }
        if query.qtype != TXT && query.qtype != ANY {
            return Outcome::Ours(ours(NOERROR, Authority::AnySoa, "chaos"));
        }
        let mut rule = exact(&query.name, TXT, 0, Vec::new());
        rule.class = 3;
        rule.ttl = None;
        rule.members = Members::OneTxt;
        let mut draft = ours(NOERROR, Authority::Empty, "chaos");
        draft.answer = vec![rule];
        Outcome::Ours(draft)
    }

    fn any_soa(&self) -> SoaRule {
        SoaRule { owner: None, ttls: vec![EMPTY_ZONE_TTL], rdata: None }
    }
}

/// The addresses of a node that are answered, or all.
fn node_ips(node: &Node, hidden: bool) -> Vec<IpAddr> {
    let shown = [Family::V4, Family::V6].map(|family| facts::node_place(node, family));
    let all = node.address.ip().into_iter().chain(node.tagged_addresses.values().filter_map(Address::ip));
    let shown = shown.into_iter().filter_map(|place| if let Place::Ip(ip) = place { Some(ip) } else { None });
    if hidden { all.collect() } else { shown.collect() }
}

/// The addresses of an instance that are answered, or all.
fn instance_ips(entry: &PlainInstance, hidden: bool) -> Vec<IpAddr> {
    let instance = &entry.instance;
    if !hidden {
        let shown = |ip: &IpAddr| facts::answered(*ip) == Place::Ip(*ip);
        return [Family::V4, Family::V6]
            .iter()
            .filter_map(|family| facts::own_ip(entry, *family))
            .filter(shown)
            .collect();
    }
    let own = instance.address.iter().filter_map(Address::ip);
    let tagged = instance.tagged_addresses.iter().filter_map(|tagged| tagged.address.ip());
    own.chain(tagged).chain(instance.network_addresses.iter().map(|there| there.address)).collect()
}

/// The address that a reverse name spells in full.
pub fn from_reverse(name: &Name) -> Option<IpAddr> {
    let labels: Vec<String> = name.labels().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect();
    let (digits, zone) = labels.split_at(labels.len().checked_sub(2)?);
    match (zone[0].as_str(), zone[1].as_str(), digits.len()) {
        ("in-addr", "arpa", 4) => {
            let octet = |label: &String| label.parse::<u8>().ok().filter(|octet| octet.to_string() == *label);
            let mut octets = [0; 4];
            for (octet_at, label) in octets.iter_mut().zip(digits.iter().rev()) {
                *octet_at = octet(label)?;
            }
            Some(IpAddr::V4(octets.into()))
        }
        ("ip6", "arpa", 32) => {
            let mut bits = 0u128;
            for label in digits.iter().rev() {
                let [digit] = label.as_bytes() else { return None };
                bits = bits << 4 | u128::from((*digit as char).to_digit(16)?);
            }
            Some(IpAddr::V6(bits.into()))
        }
        _ => None,
    }
}

/// Source: RFC 6303 section 3.
const EMPTY_ZONE_TTL: u32 = 10_800;

/// Private and loopback ranges. Source: RFC 6303 section 4.
const EMPTY_ZONES: [&str; 5] = [
    "10.in-addr.arpa",
    "168.192.in-addr.arpa",
    "127.in-addr.arpa",
    "d.f.ip6.arpa",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
];

/// Further zones of RFC 6303 and RFC 7793, which the rules neither name nor exclude.
const MORE_EMPTY_ZONES: [&str; 14] = [
    "0.in-addr.arpa",
    "254.169.in-addr.arpa",
    "64.100.in-addr.arpa",
    "100.in-addr.arpa",
    "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
    "8.b.d.0.1.0.0.2.ip6.arpa",
];
