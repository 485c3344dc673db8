//! What zones have that follow a registry: their RRsets in turn, names with a label that stands for any, and what is not known yet.

use super::{
    names::Denier,
    respond::{Place, Response},
};
use crate::{
    publish::snapshot::{RrSet, Zone, lowercase_into},
    wire::{
        code::{extended, rtype},
        name::{NAME_MAX_BYTES, Name},
        writer::Fixed,
    },
};

impl<'a> Response<'a> {
    /// An RRset, from a random record on, because clients take the first; and the addresses of what it points at.
    pub fn live_rrset(&mut self, place: Place<'_>, zone: &'a Zone, rrset: &RrSet) {
        let start = self.scratch.below(rrset.rdatas.len() as u64) as usize;
        let (later, first) = rrset.rdatas.split_at(start);
        let turned = first.iter().chain(later).map(|rdata| &**rdata);
        self.rdatas(place, Fixed::new(rrset.rtype, rrset.ttl_secs), turned);
        if !self.flags.truncated && rrset.rdatas.len() <= POINTED_AT_MAX {
            self.zone_additional(Some(zone), rrset);
        }
    }

    /// A name that is not there as it is spelled.
    pub fn live_unknown(&mut self, place: Place<'_>, zone: &'a Zone, denier: Denier) {
        let mut lowered = [0; NAME_MAX_BYTES];
        let qname = lowercase_into(place.question.name(), &mut lowered);
        if let Some(sets) = zone.matching(qname) {
            return self.live_matching(place, (zone, &sets), denier);
        }
        if !self.asked.snapshot.is_synced() {
            return self.not_ready();
        }
        self.nxdomain(place, denier);
        if self.asked.snapshot.is_stale() {
            self.extended = Some(extended::STALE_NXDOMAIN);
        }
    }

    fn live_matching(&mut self, place: Place<'_>, (zone, sets): (&'a Zone, &[RrSet]), denier: Denier) {
        let of_type = |wanted: u16| sets.iter().find(|rrset| rrset.rtype == wanted);
        let wanted = match place.question.rtype {
            rtype::ANY => sets.first(),
            other => of_type(other),
        };
        match (wanted, of_type(rtype::CNAME)) {
            (Some(rrset), _) => self.live_rrset(place, zone, rrset),
            (None, Some(alias)) => {
                if let Ok(target) = Name::from_wire(&alias.rdatas[0]) {
                    self.cname(place, &target, alias.ttl_secs);
                }
            }
            (None, None) => self.nodata(place, denier, None),
        }
    }
}

/// Most records whose targets' addresses are looked for. Source: none, chosen: more do not fit into any answer.
const POINTED_AT_MAX: usize = 1000;
