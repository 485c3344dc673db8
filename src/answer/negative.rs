//! Negative responses: NODATA and NXDOMAIN with the SOA that tells for how long.

use super::{
    names::Denier,
    respond::{Place, Response},
    srv::join,
};
use crate::wire::{
    code::{rcode, rtype},
    name::NAME_MAX_BYTES,
    writer::{Fixed, Section},
};

impl Response<'_> {
    /// The name exists, but not with this type. `ttl` is that of the service, if it is one.
    pub fn nodata(&mut self, place: Place<'_>, denier: Denier, ttl: Option<u32>) {
        let negative = self.asked.snapshot.settings.negative_ttl_secs;
        self.deny(place, denier, ttl.map_or(negative, |ttl| ttl.min(negative)));
    }

    /// The name does not exist.
    pub fn nxdomain(&mut self, place: Place<'_>, denier: Denier) {
        self.rcode = rcode::NXDOMAIN;
        self.deny(place, denier, self.asked.snapshot.settings.negative_ttl_secs);
    }

    /// Writes the SOA of whoever denies. It caches for the smaller of its TTL and MINIMUM (RFC 2308 section 5),
    /// so both are that time.
    fn deny(&mut self, place: Place<'_>, denier: Denier, ttl: u32) {
        self.writer.begin(Section::Authority);
        let fitted = match denier {
            Denier::Nobody => Ok(()),
            Denier::Domain { number, first } => self.domain_soa(place, (number, first), ttl),
            Denier::Itself => {
                let domain = self.asked.snapshot.plan.domain(0).name.clone();
                let mut rdata = [0; SOA_MAX_BYTES];
                let rdata = self.soa_rdata(&mut rdata, (0, domain.as_wire()), ttl);
                self.writer.record(place.owner, Fixed::new(rtype::SOA, ttl), &[rdata])
            }
            Denier::EmptyZone { first } => {
                let offset = place.offset(first);
                let mut rdata = [0; SOA_MAX_BYTES];
                // RFC 6303 section 3: the zone itself as MNAME, nobody.invalid. as RNAME.
                let pointer = (0xc000 | offset as u16).to_be_bytes();
                let numbers = numbers([1, 3600, 1200, 604_800, EMPTY_ZONE_TTL_SECS]);
                let rdata = join(&mut rdata, &[&pointer, b"\x06nobody\x07invalid\0", &numbers]);
                self.writer.record(offset, Fixed::new(rtype::SOA, EMPTY_ZONE_TTL_SECS), &[rdata])
            }
            Denier::Zone { first } => self.zone_soa(place, first),
        };
        // Names, SOA and OPT together are far below 512 bytes, the least that any client takes, but for names of
        // nearly 255 bytes after an alias; then the SOA is what gives way.
        let _ = fitted;
    }

    /// The SOA of a domain of ours, owned by the apex.
    pub fn domain_soa(
        &mut self,
        place: Place<'_>,
        (number, first): (usize, usize),
        ttl: u32,
    ) -> Result<(), crate::wire::writer::Full> {
        let offset = place.offset(first);
        let pointer = (0xc000 | offset as u16).to_be_bytes();
        let mut rdata = [0; SOA_MAX_BYTES];
        let rdata = self.soa_rdata(&mut rdata, (number, &pointer), ttl);
        self.writer.record(offset, Fixed::new(rtype::SOA, ttl), &[rdata])
    }

    /// RDATA of the SOA of a domain of ours, its names ending in `suffix`. RNAME and timers are those of the static
    /// zone that adds to it, if that says any.
    fn soa_rdata<'b>(
        &self,
        buffer: &'b mut [u8; SOA_MAX_BYTES],
        (number, suffix): (usize, &[u8]),
        minimum: u32,
    ) -> &'b [u8] {
        let snapshot = self.asked.snapshot;
        let file = snapshot.plan.domain(number).zone.as_deref().and_then(|zone| zone.soa());
        let timers = file.map_or(TIMERS_SECS, |soa| [soa.refresh_secs, soa.retry_secs, soa.expire_secs]);
        let numbers = numbers([snapshot.serial, timers[0], timers[1], timers[2], minimum]);
        match file {
            Some(soa) => join(buffer, &[b"\x02ns", suffix, soa.rname.as_wire(), &numbers]),
            None => join(buffer, &[b"\x02ns", suffix, b"\x0ahostmaster", suffix, &numbers]),
        }
    }

    fn zone_soa(&mut self, place: Place<'_>, first: usize) -> Result<(), crate::wire::writer::Full> {
        let snapshot = self.asked.snapshot;
        let zone = snapshot.zones.get(place.question.suffix(first));
        let Some(soa) = zone.and_then(|zone| zone.soa()) else { return Ok(()) };
        let fixed = Fixed::new(rtype::SOA, soa.negative_ttl_secs);
        self.writer.record(place.offset(first), fixed, &[&soa.rrset.rdatas[0]])
    }
}

fn numbers(values: [u32; 5]) -> [u8; 20] {
    let mut bytes = [0; 20];
    for (value, out) in values.into_iter().zip(bytes.chunks_exact_mut(4)) {
        out.copy_from_slice(&value.to_be_bytes());
    }
    bytes
}

/// Two names and five numbers.
const SOA_MAX_BYTES: usize = 2 * NAME_MAX_BYTES + 20;

/// Refresh, retry and expire. Source: DNS.md, as Consul's.
const TIMERS_SECS: [u32; 3] = [3600, 600, 86_400];

/// Source: RFC 6303 section 3.
const EMPTY_ZONE_TTL_SECS: u32 = 10_800;
