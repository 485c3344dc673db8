//! Semantic warnings on a zone that could be read: what is allowed and probably not meant.
//!
//! ```text
//! zones/example.zone line 9: NS target ns2.example. has no address in the zone; add its A or AAAA
//! ```
//!
//! **Limits:** only the zone itself is looked at; a target in another zone is taken to exist, and so is every
//! target in a zone that is D, where services come and go. CNAMEs are followed [`CNAME_STEPS_MAX`] steps.
//!
//! **Source:** RFC 1034, RFC 1912, RFC 2181 section 10.3, RFC 2308 section 5, RFC 4592 section 4.2.

use hashbrown::HashSet;

use super::{
    build::{A, AAAA, CNAME, DS, MX, NS, SOA, SRV, name_offset},
    file::Record,
    lookup::{Lookup, lowercase_into},
    problem::{Lint, Problems},
    zone::{Soa, Zone, ZoneNode},
};
use crate::wire::name::{NAME_MAX_BYTES, Name};

/// Notes what is probably not meant.
pub(super) fn check(zone: &Zone, records: &[Record], problems: &mut Problems) {
    let mut linter = Linter { zone, glue_names: HashSet::new(), shadows_seen: HashSet::new() };
    linter.glue_names.extend(records.iter().filter(|record| record.rtype == NS).filter_map(target_of));
    for record in records {
        let mut found = Vec::new();
        linter.check_record(record, &mut found);
        for lint in found {
            problems.note(&record.path, Some(record.line), lint);
        }
    }
    if !zone.is_domain() && zone.apex().rrset(NS).is_none() {
        problems.note(&zone.file, None, Lint::NoNs { origin: zone.origin().clone() });
    }
}

struct Linter<'z> {
    zone: &'z Zone,
    /// Targets of NS anywhere in the zone: addresses of these below a cut are glue.
    glue_names: HashSet<Name>,
    shadows_seen: HashSet<Name>,
}

impl<'z> Linter<'z> {
    fn check_record(&mut self, record: &Record, found: &mut Vec<Lint>) {
        let owner = &record.owner;
        if record.ttl_secs == 0 {
            found.push(Lint::TtlZero);
        }
        if owner.labels().skip(1).any(|label| label == b"*") && !self.zone.origin().labels().any(|label| label == b"*")
        {
            found.push(Lint::InnerAsterisk { owner: owner.clone() });
        }
        self.check_cut(record, found);
        self.check_shadow(owner, found);
        match record.rtype {
            SOA => found.extend(self.zone.soa().into_iter().flat_map(|soa| soa_lints(soa, self.zone.origin()))),
            NS => self.check_ns(record, found),
            CNAME => self.check_cname(record, found),
            MX => self.check_target(record, "MX", found),
            SRV => self.check_target(record, "SRV", found),
            _ => {}
        }
    }

    /// Records that a delegation hides.
    fn check_cut(&self, record: &Record, found: &mut Vec<Lint>) {
        let Some(node) = self.node(&record.owner).filter(|node| node.is_at_or_below_cut()) else { return };
        let is_glue = matches!(record.rtype, A | AAAA) && self.glue_names.contains(&record.owner);
        let Lookup::Referral(referral) = self.lookup(&record.owner, ANY) else { return };
        let cut = referral.cut.owner();
        if is_glue || (cut == node.owner() && matches!(record.rtype, NS | DS)) {
            return;
        }
        let owner = record.owner.clone();
        found.push(if cut == node.owner() {
            Lint::BesideCut { owner }
        } else {
            Lint::BelowCut { owner, cut: cut.clone() }
        });
    }

    /// Names, empty non-terminals too, that take themselves out of a wildcard with addresses.
    fn check_shadow(&mut self, owner: &Name, found: &mut Vec<Lint>) {
        let has_address = |node: &ZoneNode| [A, AAAA, CNAME].iter().any(|&rtype| node.rrset(rtype).is_some());
        let mut name = owner.clone();
        while let Some(parent) = name.parent().filter(|_| name != *self.zone.origin()) {
            let wildcard =
                parent.prepend(b"*").ok().and_then(|wildcard| self.node(&wildcard)).filter(|at| has_address(at));
            if let (Some(wildcard), Some(node)) = (wildcard, self.node(&name))
                && !name.labels().next().is_some_and(|label| label == b"*" || label.starts_with(b"_"))
                && !has_address(node)
                && !node.is_at_or_below_cut()
                && self.shadows_seen.insert(name.clone())
            {
                found.push(Lint::ShadowsWildcard { owner: name.clone(), wildcard: wildcard.owner().clone() });
            }
            name = parent;
        }
    }

    fn check_ns(&self, record: &Record, found: &mut Vec<Lint>) {
        let Some(target) = self.target_in_zone(record) else { return };
        let node = self.node(&target);
        if node.is_some_and(|node| node.rrset(CNAME).is_some()) {
            found.push(Lint::TargetIsCname { rtype: "NS", target });
        } else if node.is_none_or(|node| node.rrset(A).or(node.rrset(AAAA)).is_none()) {
            let is_apex = record.owner == *self.zone.origin();
            if !is_apex && target.is_at_or_below(&record.owner) {
                found.push(Lint::MissingGlue { target, cut: record.owner.clone() });
            } else if is_apex && self.zone.is_domain() && target.parent().as_ref() == Some(self.zone.origin()) {
                // In a zone that is D, ns.D and names of services are answered from elsewhere.
            } else if !matches!(self.lookup(&target, A), Lookup::Answer(..) | Lookup::Referral(_)) {
                found.push(Lint::NsWithoutAddress { target });
            }
        }
    }

    fn check_cname(&self, record: &Record, found: &mut Vec<Lint>) {
        self.check_exists(record, found);
        let mut seen = vec![record.owner.clone()];
        let mut next = target_of(record).filter(|target| target.is_at_or_below(self.zone.origin()));
        while let Some(target) = next.take().filter(|_| seen.len() <= CNAME_STEPS_MAX) {
            if seen.contains(&target) {
                found.push(Lint::CnameLoop { owner: record.owner.clone() });
                return;
            }
            if let Lookup::Cname(_, rrset) = self.lookup(&target, A) {
                next = Name::from_wire(&rrset.rdatas[0]).ok();
                next = next.filter(|target| target.is_at_or_below(self.zone.origin()));
            }
            seen.push(target);
        }
    }

    fn check_target(&self, record: &Record, rtype: &'static str, found: &mut Vec<Lint>) {
        let Some(target) = self.target_in_zone(record) else { return };
        if matches!(self.lookup(&target, A), Lookup::Cname(..)) {
            found.push(Lint::TargetIsCname { rtype, target });
        } else {
            self.check_exists(record, found);
        }
    }

    fn check_exists(&self, record: &Record, found: &mut Vec<Lint>) {
        let Some(target) = self.target_in_zone(record) else { return };
        if !self.zone.is_domain() && matches!(self.lookup(&target, A), Lookup::Nxdomain { .. }) {
            found.push(Lint::NoSuchTarget { target });
        }
    }

    fn target_in_zone(&self, record: &Record) -> Option<Name> {
        target_of(record).filter(|target| target.is_at_or_below(self.zone.origin()))
    }

    fn node(&self, name: &Name) -> Option<&'z ZoneNode> {
        self.zone.node(lowercase_into(name.as_wire(), &mut [0; NAME_MAX_BYTES]))
    }

    fn lookup(&self, name: &Name, qtype: u16) -> Lookup<'z> {
        self.zone.lookup(lowercase_into(name.as_wire(), &mut [0; NAME_MAX_BYTES]), qtype)
    }
}

fn target_of(record: &Record) -> Option<Name> {
    Name::from_wire(record.rdata.get(name_offset(record.rtype)?..)?).ok()
}

fn soa_lints(soa: &Soa, origin: &Name) -> Vec<Lint> {
    let timers = [
        ("refresh", soa.refresh_secs, 60..=604_800, "1m to 1w"),
        ("retry", soa.retry_secs, 60..=86_400, "1m to 1d"),
        ("expire", soa.expire_secs, 86_400..=31_536_000, "1d to 52w"),
        ("minimum", soa.minimum_secs, 1..=86_400, "1s to 1d (it is the TTL of negative answers)"),
    ];
    let mut found: Vec<Lint> = timers
        .into_iter()
        .filter(|(_, secs, usual, _)| !usual.contains(secs))
        .map(|(timer, secs, _, usual)| Lint::SoaTimer { timer, secs, usual })
        .collect();
    if u64::from(soa.expire_secs) <= u64::from(soa.refresh_secs) + u64::from(soa.retry_secs) {
        found.push(Lint::SoaExpire { origin: origin.clone() });
    }
    if soa.serial == 0 {
        found.push(Lint::SoaSerialZero);
    }
    found
}

const ANY: u16 = 255;

/// How far a chain of CNAMEs is followed. Source: none, chosen; resolvers give up after 8 to 16.
const CNAME_STEPS_MAX: usize = 16;

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
