//! Aliases and host names: names that stand for other names, ours or others'.

use std::{fmt::Write as _, net::IpAddr};

use super::{
    External, Need,
    names::{Chosen, Denier, Meaning},
    respond::{Place, Response},
};
use crate::{
    publish::snapshot::{Addressed, HostNames, Lookup, RrSet, Selection, Set, Target},
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
    fn cname(&mut self, place: Place<'_>, target: &Name, ttl: u32) {
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
            Meaning::Outside | Meaning::NotOurs => self.outside_target(target),
            Meaning::Unknown(Denier::Domain { number, .. }) if self.falls_through(number) => {
                self.outside_target(target);
            }
            _ => self.answer(Place { question: &question, owner }, meaning),
        }
    }

    /// An alias that leads to a name of others.
    fn outside_target(&mut self, target: &Name) {
        let wanted = self.may_recurse && self.asked.query.header.recursion_desired;
        if !wanted || !self.asked.snapshot.settings.forwarding {
            return;
        }
        let rtype = self.asked.question.rtype;
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
        let table = &chosen.selection.hosts.table;
        let sum = table.measure();
        let member = if sum.weight > 0 {
            let target = self.scratch.below(sum.weight);
            table.choose(target, |sum| sum.weight)
        } else {
            let at = self.scratch.below(u64::from(sum.count)) as usize;
            table.nth(at)
        };
        match member.map(|member| &member.target) {
            Some(Target::Host(host)) => self.host(place, host, chosen.selection.hosts.ttl(), chosen.denier),
            _ => self.nodata(place, chosen.denier, Some(chosen.service.rule.ttl_secs)),
        }
    }

    /// The addresses of a host name, at the name that was asked: a catalog name never has a CNAME, because caches
    /// would answer it to other types too (RFC 2181 section 10.1).
    pub fn host(&mut self, place: Place<'_>, host: &Name, ttl: u32, denier: Denier) {
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
        if self.wrote_nothing_since(before) && self.rcode == rcode::NOERROR {
            self.extended = Some(extended::OTHER);
            let _ = write!(self.text, "cannot resolve {host}");
            self.nodata(place, denier, Some(ttl));
        }
    }

    /// Looks the end of a chain up once, in our own data or in what was found.
    fn step(&mut self, place: Place<'_>, end: &mut End) -> Step {
        let kind = place.question.rtype;
        let question = Question::of(&end.name, kind, class::IN);
        match self.reading.meaning(&question) {
            Meaning::Service(chosen) if kind == rtype::A => {
                self.service_at_end(place, chosen.selection, chosen.selection.v4.best(), end)
            }
            Meaning::Service(chosen) => self.service_at_end(place, chosen.selection, chosen.selection.v6.best(), end),
            Meaning::Node(node, _) => {
                end.ttl = end.ttl.min(node.ttl);
                self.one(place, (node.target.v4, node.target.v6), end.ttl);
                match &node.host {
                    Some(host) if node.target.v4.is_none() && node.target.v6.is_none() => {
                        end.name = host.clone();
                        Step::Again
                    }
                    _ => Step::Done,
                }
            }
            Meaning::Address(IpAddr::V4(v4), _) => {
                self.one(place, (Some(v4.octets()), None), end.ttl);
                Step::Done
            }
            Meaning::Address(IpAddr::V6(v6), _) => {
                self.one(place, (None, Some(v6.octets())), end.ttl);
                Step::Done
            }
            Meaning::Static(_, Lookup::Answer(_, rrset), _) => {
                let fixed = Fixed::new(kind, end.ttl.min(rrset.ttl_secs));
                for rdata in &rrset.rdatas {
                    if self.writer.record(place.owner, fixed, &[rdata]).is_err() {
                        self.cut(0, rrset.rdatas.len());
                        break;
                    }
                }
                Step::Done
            }
            Meaning::Static(_, Lookup::Cname(_, rrset), _) => {
                end.ttl = end.ttl.min(rrset.ttl_secs);
                match Name::from_wire(&rrset.rdatas[0]) {
                    Ok(name) => {
                        end.name = name;
                        Step::Again
                    }
                    Err(_) => Step::Done,
                }
            }
            Meaning::Localhost(_) => {
                let mut v6 = [0; 16];
                v6[15] = 1;
                self.one(place, (Some([127, 0, 0, 1]), Some(v6)), end.ttl);
                Step::Done
            }
            Meaning::Outside => self.outside_host(place, end),
            Meaning::Unknown(Denier::Domain { number, .. })
                if self.asked.snapshot.plan.domain(number).falls_through && self.asked.snapshot.settings.forwarding =>
            {
                self.outside_host(place, end)
            }
            _ => Step::Done,
        }
    }

    /// A service at the end of a chain: its addresses, else the host names that its instances have.
    fn service_at_end<const N: usize>(
        &mut self,
        place: Place<'_>,
        selection: &Selection,
        addresses: &Set<Addressed<N>>,
        end: &mut End,
    ) -> Step {
        if addresses.is_empty() {
            return self.next_host(selection, end);
        }
        end.ttl = end.ttl.min(addresses.ttl());
        let fitting = self.writer.room() / (RDATA_OFFSET + N);
        if addresses.table.len() > fitting {
            self.cut(fitting, addresses.table.len());
        }
        self.scratch.choose(&addresses.table, fitting);
        self.write_picks::<N>(place, end.ttl);
        Step::Done
    }

    fn next_host(&self, selection: &Selection, end: &mut End) -> Step {
        match selection.hosts.table.nth(0).map(|member| &member.target) {
            Some(Target::Host(host)) => {
                end.ttl = end.ttl.min(selection.hosts.ttl());
                end.name = host.clone();
                Step::Again
            }
            _ => Step::Done,
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
        let count = addresses.clone().count();
        for (written, record) in addresses.enumerate() {
            if self.writer.record(place.owner, Fixed::new(kind, ttl), &[&record.rdata]).is_err() {
                self.cut(written, count);
                break;
            }
        }
        Step::Done
    }

    fn one(&mut self, place: Place<'_>, (v4, v6): (Option<[u8; 4]>, Option<[u8; 16]>), ttl: u32) {
        match (place.question.rtype, v4, v6) {
            (rtype::A, Some(v4), _) => {
                let _ = self.writer.address(place.owner, ttl, &v4);
            }
            (rtype::AAAA, _, Some(v6)) => {
                let _ = self.writer.address(place.owner, ttl, &v6);
            }
            _ => {}
        }
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
