//! What static zones have: answers, aliases, referrals.

use super::{
    Transport,
    names::Denier,
    respond::{Place, Response},
};
use crate::{
    publish::snapshot::{Lookup, Referral, RrSet, Zone, lowercase_into},
    wire::{
        code::rtype,
        name::{NAME_MAX_BYTES, Name},
        writer::{Fixed, Section},
    },
};

impl<'a> Response<'a> {
    /// What a static zone has for a name.
    pub fn static_answer(&mut self, place: Place<'_>, (zone, lookup): (&'a Zone, Lookup<'a>), denier: Denier) {
        match lookup {
            Lookup::Answer(_, rrset) if zone.is_live() => self.live_rrset(place, zone, rrset),
            Lookup::Nxdomain { .. } if zone.is_live() => self.live_unknown(place, zone, denier),
            Lookup::Answer(_, rrset) => {
                self.rrset(place, rrset);
                self.zone_additional(Some(zone), rrset);
            }
            Lookup::Cname(_, rrset) => self.alias(place, rrset),
            Lookup::Any(found) => {
                let before = self.writer.count(Section::Answer);
                for kind in [rtype::A, rtype::AAAA] {
                    if let Some(rrset) = found.node.rrset(kind) {
                        self.rrset(place, rrset);
                    }
                }
                if self.wrote_nothing_since(before)
                    && let Some(rrset) = found.node.smallest_rrset()
                {
                    self.rrset(place, rrset);
                }
            }
            Lookup::Referral(referral) => self.referral(place, zone, referral),
            Lookup::Nodata(_) => self.nodata(place, denier, None),
            Lookup::Nxdomain { .. } => self.nxdomain(place, denier),
        }
    }

    /// Writes an RRset, owned by the place; as many of its records as fit.
    pub fn rrset(&mut self, place: Place<'_>, rrset: &RrSet) {
        let fixed = Fixed::new(rrset.rtype, rrset.ttl_secs);
        self.rdatas(place, fixed, rrset.rdatas.iter().map(|rdata| &**rdata));
    }

    /// The addresses that the zone has for what an RRset points at; what does not fit is left out.
    pub fn zone_additional(&mut self, zone: Option<&'a Zone>, rrset: &RrSet) {
        let Some(zone) = zone else { return };
        let skipped = match rrset.rtype {
            rtype::NS => 0,
            rtype::MX => 2,
            rtype::SRV => 6,
            _ => return,
        };
        self.writer.begin(Section::Additional);
        for (at, rdata) in rrset.rdatas.iter().enumerate() {
            let target = &rdata[skipped..];
            let earlier = rrset.rdatas[..at].iter().any(|other| other[skipped..].eq_ignore_ascii_case(target));
            if !earlier && !self.glue(zone, target) {
                return;
            }
        }
    }

    /// The addresses of a name in the zone; whether they fitted.
    pub fn glue(&mut self, zone: &'a Zone, target: &[u8]) -> bool {
        let mut lowered = [0; NAME_MAX_BYTES];
        let Some(addresses) = zone.addresses(lowercase_into(target, &mut lowered)) else { return true };
        for rrset in [addresses.a, addresses.aaaa].into_iter().flatten() {
            let mark = self.writer.mark();
            for rdata in &rrset.rdatas {
                let fixed = Fixed::new(rrset.rtype, rrset.ttl_secs);
                if self.writer.record_with_owner(target, fixed, &[rdata]).is_err() {
                    self.writer.back_to(mark);
                    return false;
                }
            }
        }
        true
    }

    /// The name is delegated: NS in the authority section, and the addresses without which they cannot be reached.
    fn referral(&mut self, place: Place<'_>, zone: &'a Zone, referral: Referral<'a>) {
        // After an alias AA stays that of its start (RFC 6604 section 2).
        self.flags.authoritative = self.writer.count(Section::Answer) > 0;
        self.writer.begin(Section::Authority);
        let first = place.question.label_count() - referral.cut.owner().label_count();
        let owner = place.offset(first);
        for rdata in &referral.ns.rdatas {
            if self.writer.record(owner, Fixed::new(rtype::NS, referral.ns.ttl_secs), &[rdata]).is_err() {
                self.flags.truncated = self.asked.client.transport == Transport::Udp;
                return;
            }
        }
        self.writer.begin(Section::Additional);
        let cut = referral.cut.owner();
        let targets = || referral.ns.rdatas.iter().filter_map(|rdata| Some((rdata, Name::from_wire(rdata).ok()?)));
        // In-domain glue first: without it the referral is of no use, so it is not left out silently (RFC 9471).
        for (rdata, name) in targets() {
            if name.is_at_or_below(cut) && !self.glue(zone, rdata) {
                self.flags.truncated = self.asked.client.transport == Transport::Udp;
                return;
            }
        }
        for (rdata, name) in targets() {
            if !name.is_at_or_below(cut) && !self.glue(zone, rdata) {
                return;
            }
        }
    }
}
