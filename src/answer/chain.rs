//! Aliases and host names: names that stand for other names, ours or others'.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr},
};

use super::{
    External, Need,
    addresses::Manner,
    names::{Chosen, Denier, Meaning},
    respond::{Place, Response},
};
use crate::{
    publish::snapshot::{HostNames, Lookup, Member, NodeAnswers, RrSet, Selection, Target},
    wire::{
        code::{class, extended, rcode, rtype},
        name::Name,
        query::Question,
        writer::{Fixed, Section},
    },
};

impl<'a> Response<'a> {
    /// An alias of a static zone: its CNAME, and then what its target has. RCODE is that of the end of the chain, AA
    /// that of its start (RFC 6604).
    pub fn alias(&mut self, place: Place<'_>, rrset: &'a RrSet) {
        let Ok(target) = Name::from_wire(&rrset.rdatas[0]) else { return };
        self.cname(place, &target, rrset.ttl_secs);
    }

    /// Writes a CNAME and goes on at its target.
    pub fn cname(&mut self, place: Place<'_>, target: &Name, ttl: u32) {
        let owner = self.writer.position() + RDATA_OFFSET;
        if self.writer.record(place.owner, Fixed::new(rtype::CNAME, ttl), &[target.as_wire()]).is_err() {
            return self.cut(0, 1);
        }
        if self.writer.count(Section::Answer) > CHAIN_MAX || place.question.rtype == rtype::CNAME {
            return;
        }
        let question = Question::of(target, place.question.rtype, class::IN);
        let meaning = self.reading.meaning(&question);
        match meaning {
            Meaning::Outside => self.outside_target(target, place.question.rtype),
            // The chain is answered as far as it is known.
            Meaning::NotOurs => {}
            Meaning::Unknown(Denier::Domain { number, .. }) if self.falls_through(number) => {
                self.outside_target(target, place.question.rtype);
            }
            _ => self.answer(Place { question: &question, owner }, meaning),
        }
    }

    /// An alias that leads to a name of others.
    fn outside_target(&mut self, target: &Name, rtype: u16) {
        let wanted = self.may_recurse && self.asked.query.header.recursion_desired;
        if !wanted {
            return;
        }
        let Some(external) = self.found(target) else {
            self.need = Some(Need::Resolve { name: target.clone(), rtype });
            return;
        };
        self.rcode = external.rcode;
        self.extended = external.extended;
        for (written, record) in external.records.iter().enumerate() {
            let fixed = Fixed::new(record.rtype, record.ttl_secs);
            if self.writer.record_with_owner(record.owner.as_wire(), fixed, &[&record.rdata]).is_err() {
                return self.cut(written, external.records.len());
            }
        }
    }

    fn found(&self, name: &Name) -> Option<&'a External> {
        self.asked.found.iter().find(|external| external.name == *name)
    }

    /// One of the host names that instances of a service have as their address, by weight.
    pub fn host_of(&mut self, place: Place<'_>, chosen: Chosen<'a>) {
        let selection = chosen.selection;
        let has_address = !selection.v4.best().is_empty() || !selection.rest().v6.best().is_empty();
        match self.a_host(selection) {
            Some(host) if !self.bars_cname(has_address) => {
                self.host(
                    place,
                    host,
                    (selection.rest().hosts.best().ttl(), chosen.service.rule.ttl_secs),
                    chosen.denier,
                );
            }
            _ => self.nodata(place, chosen.denier, Some(chosen.service.rule.ttl_secs)),
        }
    }

    /// One of the host names of a selection, by weight.
    fn a_host(&mut self, selection: &'a Selection) -> Option<&'a Name> {
        let table = &selection.rest().hosts.best().table;
        let sum = table.measure();
        let member = if sum.weight > 0 {
            let target = self.scratch.below(sum.weight);
            table.choose(target, |sum| sum.weight).map(|(member, _)| member)
        } else {
            let at = self.scratch.below(u64::from(sum.count)) as usize;
            table.nth(at)
        };
        match &member?.target {
            Target::Host(host) => Some(host),
            _ => None,
        }
    }

    /// Whether a name must not have a CNAME: caches would answer it in place of the address that it has too.
    pub fn bars_cname(&self, has_address: bool) -> bool {
        has_address && self.asked.snapshot.settings.host_names == HostNames::Cname
    }

    /// The addresses of a host name, at the name that was asked: a catalog name never has a CNAME, because caches
    /// would answer it to other types too (RFC 2181 section 10.1). ANY gets the IPv4 addresses.
    pub fn host(&mut self, place: Place<'_>, host: &Name, (ttl, denied_ttl): (u32, u32), denier: Denier) {
        let mut question = place.question.clone();
        if question.rtype == rtype::ANY {
            question.rtype = rtype::A;
        }
        let place = Place { question: &question, owner: place.owner };
        if self.asked.snapshot.settings.host_names == HostNames::Cname {
            return self.cname(place, host, ttl);
        }
        let before = self.writer.count(Section::Answer);
        let mut end = End { name: host.clone(), ttl };
        for _ in 0..CHAIN_MAX {
            match self.step(place, &mut end) {
                Step::Again => {}
                Step::Done => break,
                Step::Need => return,
            }
        }
        if self.wrote_nothing_since(before) && self.rcode == rcode::NOERROR && !self.flags.truncated {
            self.extended = Some(extended::OTHER);
            self.scratch.text.clear();
            let _ = write!(self.scratch.text, "cannot resolve {host}");
            self.nodata(place, denier, Some(denied_ttl));
        }
    }

    /// Looks the end of a chain up once, in our own data or in what was found.
    fn step(&mut self, place: Place<'_>, end: &mut End) -> Step {
        let question = Question::of(&end.name, place.question.rtype, class::IN);
        let meaning = self.reading.meaning(&question);
        self.mark_stale(meaning);
        match meaning {
            Meaning::Service(chosen) => match chosen.both {
                None => self.step_service(place, chosen.selection, end),
                Some(both) => {
                    let mut members = Vec::new();
                    self.reading.members_with_both(&question, (chosen, both), &mut members);
                    self.step_listed(place, (&members, Manner::of(chosen.service)), end)
                }
            },
            Meaning::Id { service, label, port, .. } => {
                let mut members = Vec::new();
                self.reading.members_of_id(&question, (service, label, port), &mut members);
                self.step_listed(place, (&members, Manner::of(service)), end)
            }
            Meaning::Query(prepared, _) => self.with_query(&question, prepared, |response, members, manner| {
                response.step_listed(place, (members, manner), end)
            }),
            Meaning::Node(node, _) => self.step_node(place, node, end),
            Meaning::Server(_) => {
                self.server_addresses(place.owner, (place.question.rtype, end.ttl));
                Step::Done
            }
            Meaning::Address(IpAddr::V4(v4), _) => self.one(place, (Some(v4.octets()), None), end.ttl),
            Meaning::Address(IpAddr::V6(v6), _) => self.one(place, (None, Some(v6.octets())), end.ttl),
            Meaning::Localhost(_) => {
                self.one(place, (Some([127, 0, 0, 1]), Some(Ipv6Addr::LOCALHOST.octets())), end.ttl)
            }
            Meaning::Static(_, Lookup::Answer(_, rrset), _) => {
                let fixed = Fixed::new(rrset.rtype, end.ttl.min(rrset.ttl_secs));
                self.rdatas(place, fixed, rrset.rdatas.iter().map(|rdata| &**rdata));
                Step::Done
            }
            Meaning::Static(_, Lookup::Cname(_, rrset), _) => {
                let Ok(name) = Name::from_wire(&rrset.rdatas[0]) else { return Step::Done };
                *end = End { name, ttl: end.ttl.min(rrset.ttl_secs) };
                Step::Again
            }
            Meaning::Outside => self.outside_host(place, end),
            Meaning::Unknown(Denier::Domain { .. } | Denier::Nobody) if !self.asked.snapshot.is_synced() => {
                self.not_ready();
                Step::Done
            }
            Meaning::Unknown(Denier::Domain { number, .. })
                if self.asked.snapshot.plan.domain(number).falls_through && self.asked.snapshot.settings.forwarding =>
            {
                self.outside_host(place, end)
            }
            _ => Step::Done,
        }
    }

    fn step_service(&mut self, place: Place<'_>, selection: &'a Selection, end: &mut End) -> Step {
        let (v4, v6) = (selection.v4.best(), selection.rest().v6.best());
        if place.question.rtype == rtype::A && !v4.is_empty() {
            self.addresses_for(place, v4, end.ttl.min(v4.ttl()));
        } else if place.question.rtype == rtype::AAAA && !v6.is_empty() {
            self.addresses_for(place, v6, end.ttl.min(v6.ttl()));
        } else if let Some(host) = self.a_host(selection) {
            *end = End { name: host.clone(), ttl: end.ttl.min(selection.rest().hosts.best().ttl()) };
            return Step::Again;
        }
        Step::Done
    }

    fn step_listed(&mut self, place: Place<'_>, (members, manner): (&[&Member], Manner<'_>), end: &mut End) -> Step {
        let before = self.writer.count(Section::Answer);
        match place.question.rtype {
            rtype::A => self.listed_addresses::<4>(place, (members, manner), (end.ttl, 0)),
            _ => self.listed_addresses::<16>(place, (members, manner), (end.ttl, 0)),
        }
        if !self.wrote_nothing_since(before) || self.flags.truncated {
            return Step::Done;
        }
        let Some((name, ttl)) = self.host_among(members, manner) else { return Step::Done };
        *end = End { name, ttl: end.ttl.min(ttl) };
        Step::Again
    }

    fn step_node(&mut self, place: Place<'_>, node: &'a NodeAnswers, end: &mut End) -> Step {
        end.ttl = end.ttl.min(node.ttl);
        let has_address = match place.question.rtype {
            rtype::A => node.target.v4.is_some(),
            _ => node.target.v6.is_some(),
        };
        match &node.host {
            Some(host) if !has_address => {
                end.name = host.clone();
                Step::Again
            }
            _ => self.one(place, (node.target.v4, node.target.v6), end.ttl),
        }
    }

    /// A host name of others: its addresses with the smallest TTL of its chain.
    fn outside_host(&mut self, place: Place<'_>, end: &End) -> Step {
        let kind = place.question.rtype;
        let Some(external) = self.found(&end.name) else {
            self.need = Some(Need::Resolve { name: end.name.clone(), rtype: kind });
            return Step::Need;
        };
        if external.rcode == rcode::SERVFAIL {
            self.flags.authoritative = false;
            self.rcode = rcode::SERVFAIL;
            self.extended = external.extended;
            return Step::Done;
        }
        let ttl = external.records.iter().map(|record| record.ttl_secs).min().unwrap_or(0).min(end.ttl);
        let addresses = external.records.iter().filter(|record| record.rtype == kind);
        self.rdatas(place, Fixed::new(kind, ttl), addresses.map(|record| &*record.rdata));
        Step::Done
    }

    /// Writes records with these RDATA; as many as fit.
    pub fn rdatas<'r>(&mut self, place: Place<'_>, fixed: Fixed, all: impl Iterator<Item = &'r [u8]> + Clone) {
        for (written, rdata) in all.clone().enumerate() {
            if self.writer.record(place.owner, fixed, &[rdata]).is_err() {
                return self.cut(written, all.count());
            }
        }
    }

    fn one(&mut self, place: Place<'_>, (v4, v6): (Option<[u8; 4]>, Option<[u8; 16]>), ttl: u32) -> Step {
        match (place.question.rtype, v4, v6) {
            (rtype::A, Some(v4), _) => {
                let _ = self.writer.address(place.owner, ttl, &v4);
            }
            (rtype::AAAA, _, Some(v6)) => {
                let _ = self.writer.address(place.owner, ttl, &v6);
            }
            _ => {}
        }
        Step::Done
    }
}

/// Where a chain of host names has come to.
struct End {
    name: Name,
    ttl: u32,
}

enum Step {
    Again,
    Done,
    Need,
}

/// Longest chain of aliases or host names that is followed. Source: DNS.md; as SkyDNS.
const CHAIN_MAX: u16 = 8;

/// From the start of a record to its RDATA where the owner is a pointer.
const RDATA_OFFSET: usize = 12;
