//! Nodes, spelled addresses, the apex, reverse names, localhost, TXT and HTTPS.

use std::net::IpAddr;

use super::{
    addresses::Manner,
    names::{Chosen, Denier},
    respond::{Place, Response},
    srv::{Domain, join},
};
use crate::{
    publish::snapshot::{Instance, Member, NodeAnswers, Owner, Selection, eligible, text_pairs},
    wire::{
        code::rtype,
        name::NAME_MAX_BYTES,
        writer::{Fixed, Full, Section},
    },
};

impl<'a> Response<'a> {
    /// A node's addresses, whatever its checks say, and TXT of its meta.
    pub fn node(&mut self, place: Place<'_>, node: &'a NodeAnswers, denier: Denier) {
        let before = self.writer.count(Section::Answer);
        let (v4, v6) = (node.target.v4, node.target.v6);
        let kind = place.question.rtype;
        self.address_pair(place, (v4, v6), node.ttl);
        let texts = kind == rtype::TXT || (kind == rtype::ANY && self.wrote_nothing_since(before));
        if texts {
            self.rdatas(place, Fixed::new(rtype::TXT, node.ttl), node.texts.iter().map(|text| &**text));
        }
        if self.wrote_nothing_since(before) && !self.flags.truncated {
            let has_address = v4.is_some() || v6.is_some();
            match (&node.host, kind) {
                _ if self.bars_cname(has_address) => self.nodata(place, denier, None),
                (Some(host), rtype::A | rtype::AAAA | rtype::ANY) => {
                    self.host(place, host, (node.ttl, node.ttl), denier)
                }
                _ => self.nodata(place, denier, None),
            }
        }
    }

    /// The address that a name spells.
    pub fn spelled_address(&mut self, place: Place<'_>, address: IpAddr, denier: Denier) {
        let before = self.writer.count(Section::Answer);
        let ttl = self.asked.snapshot.settings.default_rule.ttl_secs;
        let pair = match address {
            IpAddr::V4(v4) => (Some(v4.octets()), None),
            IpAddr::V6(v6) => (None, Some(v6.octets())),
        };
        self.address_pair(place, pair, ttl);
        if self.wrote_nothing_since(before) {
            self.nodata(place, denier, None);
        }
    }

    /// `ns.D`: the addresses of this nameplate.
    pub fn server_address(&mut self, place: Place<'_>, denier: Denier) {
        let before = self.writer.count(Section::Answer);
        self.server_addresses(place.owner, (place.question.rtype, FIXED_TTL_SECS));
        if self.wrote_nothing_since(before) {
            self.nodata(place, denier, None);
        }
    }

    /// `localhost` and below (RFC 6761 section 6.3).
    pub fn localhost(&mut self, place: Place<'_>, denier: Denier) {
        let before = self.writer.count(Section::Answer);
        let (mut v6, v4) = ([0; 16], [127, 0, 0, 1]);
        v6[15] = 1;
        self.address_pair(place, (Some(v4), Some(v6)), FIXED_TTL_SECS);
        if self.wrote_nothing_since(before) {
            self.nodata(place, denier, None);
        }
    }

    /// The apex of a domain: SOA, NS, and what the static zone that adds to it has there.
    pub fn apex(&mut self, place: Place<'_>, number: usize, denier: Denier) {
        let before = self.writer.count(Section::Answer);
        let kind = place.question.rtype;
        let zone = self.asked.snapshot.plan.domain(number).zone.as_deref();
        match kind {
            rtype::SOA | rtype::ANY => {
                let _ = self.domain_soa(place, (number, 0), self.asked.snapshot.settings.negative_ttl_secs);
            }
            rtype::NS if zone.is_none_or(|zone| zone.apex().rrset(rtype::NS).is_none()) => {
                let pointer = (0xc000 | place.owner as u16).to_be_bytes();
                let target = self.writer.position() + 12;
                let fixed = Fixed::new(rtype::NS, FIXED_TTL_SECS);
                if self.writer.record(place.owner, fixed, &[b"\x02ns", &pointer]).is_ok() {
                    self.writer.begin(Section::Additional);
                    let mut name = [0; NAME_MAX_BYTES];
                    let name = join(&mut name, &[b"\x02ns", place.question.suffix(0)]);
                    match zone.filter(|zone| zone.node(name).is_some()) {
                        // The file's records win, whole name.
                        Some(zone) => {
                            self.glue(zone, name);
                        }
                        None => self.server_addresses(target, (rtype::ANY, FIXED_TTL_SECS)),
                    }
                }
            }
            _ => {
                if let Some(rrset) = zone.and_then(|zone| zone.apex().rrset(kind)) {
                    self.rrset(place, rrset);
                    self.zone_additional(zone, rrset);
                }
            }
        }
        if self.wrote_nothing_since(before) && !self.flags.truncated {
            self.nodata(place, denier, None);
        }
    }

    /// The name of an address.
    pub fn reverse(&mut self, place: Place<'_>, owner: Owner<'a>) {
        if !matches!(place.question.rtype, rtype::PTR | rtype::ANY) {
            return self.nodata(place, Denier::Itself, None);
        }
        let snapshot = self.asked.snapshot;
        let domain = Domain::of(self, place, Denier::Itself);
        let mut target = [0; NAME_MAX_BYTES];
        let (target, ttl) = match owner {
            Owner::Node(node) => {
                let key = crate::publish::snapshot::dotted_key(node.as_str());
                let ttl = snapshot.settings.default_rule.ttl_secs;
                (join(&mut target, &[key.as_wire(), domain.of_node()]), ttl)
            }
            Owner::Service(service) => {
                let Some(key) = snapshot.names.labels_of(service) else {
                    return self.nodata(place, Denier::Itself, None);
                };
                let ttl = snapshot.settings.rule(service.as_str()).ttl_secs;
                (join(&mut target, &[key.as_wire(), b"\x07service", domain.wire()]), ttl)
            }
        };
        let _ = self.writer.record(place.owner, Fixed::new(rtype::PTR, ttl), &[target]);
    }

    /// The name of 127.0.0.1 and ::1.
    pub fn reverse_localhost(&mut self, place: Place<'_>) {
        if !matches!(place.question.rtype, rtype::PTR | rtype::ANY) {
            return self.nodata(place, Denier::Itself, None);
        }
        let _ = self.writer.record(place.owner, Fixed::new(rtype::PTR, FIXED_TTL_SECS), &[b"\x09localhost\0"]);
    }

    /// TXT of the meta of all eligible instances.
    pub fn service_texts(&mut self, place: Place<'_>, chosen: Chosen<'a>) {
        let instances = chosen.selection.members().map(|member| &*member.instance);
        self.texts(place, instances, Manner::of(chosen.service));
    }

    /// TXT of the meta of instances: one record each, a string a pair; equal ones once.
    pub fn texts<'m>(&mut self, place: Place<'_>, instances: impl Iterator<Item = &'m Instance>, manner: Manner<'_>) {
        let mut texts: Vec<Vec<u8>> = Vec::new();
        let mut ttl = u32::MAX;
        for instance in instances {
            let pairs = text_pairs(&instance.meta);
            let text: Vec<u8> = pairs.flat_map(|pair| std::iter::once(pair.len() as u8).chain(pair)).collect();
            if !text.is_empty() {
                ttl = ttl.min(manner.ttl_of(instance));
                texts.push(text);
            }
        }
        texts.sort_unstable();
        texts.dedup();
        self.rdatas(place, Fixed::new(rtype::TXT, ttl), texts.iter().map(Vec::as_slice));
    }

    /// HTTPS of the eligible instances that ask for it.
    pub fn https(&mut self, place: Place<'_>, selection: &'a Selection) {
        self.https_of(place, selection.rest().https.table.iter(), selection.rest().https.ttl());
    }

    /// HTTPS of these members, as far as they ask for it (RFC 9460 section 9); equal records once.
    pub fn https_of<'m>(&mut self, place: Place<'_>, members: impl Iterator<Item = &'m Member>, ttl: u32) {
        let mut all: Vec<Vec<u8>> = members.filter_map(|member| self.https_rdata(member)).collect();
        all.sort_unstable();
        all.dedup();
        self.rdatas(place, Fixed::new(rtype::HTTPS, ttl), all.iter().map(Vec::as_slice));
    }

    /// RDATA of a member's HTTPS record, if it asks for one.
    fn https_rdata(&self, member: &Member) -> Option<Vec<u8>> {
        let alpn = eligible::https(&member.instance)?;
        let reach = self.reach(member)?;
        let mut ids = Vec::new();
        for id in alpn.split(',').map(str::trim).filter(|id| (1..=255).contains(&id.len())) {
            ids.push(id.len() as u8);
            ids.extend_from_slice(id.as_bytes());
        }
        let port = member.port.to_be_bytes();
        let has_port = member.port != 443 && member.port != 0;
        let parameters: [(u16, &[u8]); 4] = [
            (1, &ids),
            (3, if has_port { &port } else { &[] }),
            (4, reach.v4.as_ref().map_or(&[], |v4| v4)),
            (6, reach.v6.as_ref().map_or(&[], |v6| v6)),
        ];
        let mut rdata = Vec::with_capacity(64);
        rdata.extend_from_slice(&member.priority.max(1).to_be_bytes());
        rdata.push(0);
        for (key, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
            rdata.extend_from_slice(&key.to_be_bytes());
            rdata.extend_from_slice(&(value.len() as u16).to_be_bytes());
            rdata.extend_from_slice(value);
        }
        Some(rdata)
    }

    /// A and AAAA, as far as the question's type asks for them.
    fn address_pair(&mut self, place: Place<'_>, (v4, v6): (Option<[u8; 4]>, Option<[u8; 16]>), ttl: u32) {
        let kind = place.question.rtype;
        if let (Some(v4), rtype::A | rtype::ANY) = (v4, kind) {
            let _ = self.writer.address(place.owner, ttl, &v4);
        }
        if let (Some(v6), rtype::AAAA | rtype::ANY) = (v6, kind) {
            let _ = self.writer.address(place.owner, ttl, &v6);
        }
    }

    /// The advertised addresses, owned by the name at `owner`, with no TTL above this one; what does not fit is left
    /// out.
    pub fn server_addresses(&mut self, owner: usize, (kind, ttl): (u16, u32)) {
        let plan = &self.asked.snapshot.plan;
        let ttl = ttl.min(FIXED_TTL_SECS);
        let all = |response: &mut Self| -> Result<(), Full> {
            if matches!(kind, rtype::A | rtype::ANY) {
                plan.servers_v4.iter().try_for_each(|v4| response.writer.address(owner, ttl, v4))?;
            }
            if matches!(kind, rtype::AAAA | rtype::ANY) {
                plan.servers_v6.iter().try_for_each(|v6| response.writer.address(owner, ttl, v6))?;
            }
            Ok(())
        };
        let _ = all(self);
    }
}

/// TTL of NS, of the servers' addresses and of what never changes. Source: DNS.md.
const FIXED_TTL_SECS: u32 = 300;
