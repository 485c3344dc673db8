//! Makes a zone of records, and finds what is wrong between them.
//!
//! The origin is the owner of the SOA; without one, the origin at the first record. Errors: a record outside the
//! zone, no SOA or two, a CNAME beside other data, a wildcard that delegates, and in a zone that is D records at
//! our own names. Duplicates and differing TTLs are lint.
//!
//! **Limits:** [`NODES_MAX`] names, empty non-terminals included.
//!
//! **Source:** RFC 1034 section 3.6.2, RFC 2181 sections 5.2 and 10.1, RFC 4592.

use std::{path::Path, sync::Arc};

use hashbrown::{HashMap, hash_map::Entry};

use super::{
    ZoneContext,
    file::{Record, ZoneText},
    lint,
    problem::{Lint, Problems, ZoneFileError},
    zone::{APEX, ByName, NO_NODE, RrSet, Soa, Zone, ZoneNode, parent_of},
};
use crate::wire::name::Name;

/// The zone, if there are no errors; problems are noted.
pub(super) fn build(
    file: &Arc<Path>,
    text: ZoneText,
    context: &ZoneContext,
    problems: &mut Problems,
) -> Option<Arc<Zone>> {
    if text.records.is_empty() && problems.has_errors() {
        return None; // That it then has no SOA either is no news.
    }
    let soa = text.records.iter().find(|record| record.rtype == SOA);
    let Some(origin) = soa.map(|soa| soa.owner.clone()).or(text.origin) else {
        problems.note(file, None, ZoneFileError::NoOrigin);
        return None;
    };
    let is_domain = context.is_domain(&origin);
    if soa.is_none() && !is_domain {
        problems.note(file, None, ZoneFileError::NoSoa { origin: origin.clone() });
    }
    let mut drafts = Drafts::new(&origin);
    for (at, record) in text.records.iter().enumerate() {
        let allowed = check_owner(record, &origin, context);
        if let Err(error) = allowed.and_then(|()| drafts.place(at, record)) {
            problems.note(&record.path, Some(record.line), error);
        }
        if problems.is_full() {
            return None;
        }
    }
    let mut nodes: Vec<ZoneNode> = Vec::with_capacity(drafts.nodes.len());
    for draft in &drafts.nodes {
        let rrsets = rrsets_of(draft, &text.records, &origin, problems);
        let inherited = nodes.get(draft.parent as usize).map_or(NO_NODE, |parent: &ZoneNode| parent.cut);
        let is_delegation = nodes.len() != APEX && rrsets.iter().any(|rrset| rrset.rtype == NS);
        let cut = if inherited == NO_NODE && is_delegation { nodes.len() as u32 } else { inherited };
        let (owner, wildcard) = (draft.owner.clone(), draft.wildcard);
        nodes.push(ZoneNode { owner, rrsets: rrsets.into(), cut, wildcard, is_delegation });
    }
    if problems.has_errors() {
        return None;
    }
    let soa = take_soa(&mut nodes[APEX], is_domain);
    let labels_max = nodes.iter().map(|node| node.owner.label_count()).max().unwrap_or(0);
    let (index, file, included) = (drafts.index, Arc::clone(file), text.included);
    let zone = Zone { origin, soa, nodes, index, labels_max, file, included, is_domain, live: None };
    lint::check(&zone, &text.records, problems);
    Some(Arc::new(zone))
}

/// The SOA of the apex; in a zone that is D it is taken out, because the SOA answered there is ours.
fn take_soa(apex: &mut ZoneNode, is_domain: bool) -> Option<Soa> {
    let rrset = apex.rrset(SOA)?.clone();
    if is_domain {
        apex.rrsets = apex.rrsets.iter().filter(|rrset| rrset.rtype != SOA).cloned().collect();
    }
    Soa::from_rrset(rrset)
}

/// Whether a record may have this owner.
fn check_owner(record: &Record, origin: &Name, context: &ZoneContext) -> Result<(), ZoneFileError> {
    let owner = &record.owner;
    if !owner.is_at_or_below(origin) {
        return Err(ZoneFileError::OutOfZone { owner: owner.clone(), origin: origin.clone() });
    }
    if record.rtype == SOA && owner != origin {
        return Err(ZoneFileError::SecondSoa { origin: origin.clone() });
    }
    if record.rtype == NS && owner != origin && owner.labels().next() == Some(b"*") {
        return Err(ZoneFileError::WildcardNs);
    }
    if context.is_domain(origin) && is_catalog_name(owner, origin, &context.datacenter) {
        return Err(ZoneFileError::CatalogName { owner: owner.clone(), domain: origin.clone() });
    }
    Ok(())
}

/// Whether a name of the domain is one of the catalog's: at or below a kind label, with or without a location; the
/// wildcard for unknown services is not.
fn is_catalog_name(owner: &Name, domain: &Name, datacenter: &str) -> bool {
    let is = |label: &[u8], word: &str| label.eq_ignore_ascii_case(word.as_bytes());
    let left = owner.label_count() - domain.label_count();
    let labels: Vec<&[u8]> = owner.labels().take(left).collect();
    if matches!(labels.as_slice(), [b"*", kind] if is(kind, "service")) {
        return false;
    }
    let mut rest = labels.as_slice();
    loop {
        match rest {
            [before @ .., last] if is(last, datacenter) => rest = before,
            [before @ .., _, last] if is(last, "dc") || is(last, "port") => rest = before,
            [.., last] => return KIND_LABELS.iter().any(|kind| is(last, kind)),
            [] => return false,
        }
    }
}

/// Names and what stands at them, parents before children.
struct Drafts {
    nodes: Vec<Draft>,
    index: ByName<u32>,
}

struct Draft {
    owner: Name,
    /// Places in the list of records.
    records: Vec<usize>,
    parent: u32,
    wildcard: u32,
}

impl Drafts {
    fn new(origin: &Name) -> Drafts {
        let apex = Draft { owner: origin.clone(), records: Vec::new(), parent: NO_NODE, wildcard: NO_NODE };
        let index = [(origin.to_lowercase().as_wire().into(), APEX as u32)].into_iter().collect();
        Drafts { nodes: vec![apex], index }
    }

    /// Puts a record to its name, which lies at or below the apex; names between them become nodes.
    fn place(&mut self, at: usize, record: &Record) -> Result<(), ZoneFileError> {
        let (owner, lowered) = (record.owner.as_wire(), record.owner.to_lowercase());
        let mut missing: Vec<usize> = Vec::new();
        let mut rest = lowered.as_wire();
        let mut node = loop {
            if let Some(&node) = self.index.get(rest) {
                break node;
            }
            missing.push(owner.len() - rest.len());
            rest = parent_of(rest).expect("the apex is in the index and the owner lies below it");
        };
        while let Some(start) = missing.pop() {
            if self.nodes.len() >= NODES_MAX {
                return Err(ZoneFileError::TooManyNames { max: NODES_MAX });
            }
            let name = Name::from_wire(&owner[start..]).expect("the end of a name is a name");
            let child = self.nodes.len() as u32;
            if name.labels().next() == Some(b"*") {
                self.nodes[node as usize].wildcard = child;
            }
            self.nodes.push(Draft { owner: name, records: Vec::new(), parent: node, wildcard: NO_NODE });
            self.index.insert(lowered.as_wire()[start..].into(), child);
            node = child;
        }
        let draft = &mut self.nodes[node as usize];
        if draft.records.is_empty() {
            draft.owner = record.owner.clone();
        }
        draft.records.push(at);
        Ok(())
    }
}

/// The RRsets of one name, in order of their types.
fn rrsets_of(draft: &Draft, records: &[Record], origin: &Name, problems: &mut Problems) -> Vec<RrSet> {
    let mut here: Vec<&Record> = draft.records.iter().map(|&at| &records[at]).collect();
    here.sort_by_key(|record| record.rtype);
    let sets: Vec<&[&Record]> = here.chunk_by(|a, b| a.rtype == b.rtype).collect();
    if let Some(cname) = here.iter().find(|record| record.rtype == CNAME)
        && let Some(other) = here.iter().find(|record| record.rtype != CNAME)
    {
        let (first, later) = if cname.line < other.line { (cname, other) } else { (other, cname) };
        let error = ZoneFileError::CnameAndOther { owner: draft.owner.clone(), other: first.line };
        problems.note(&later.path, Some(later.line), error);
    }
    sets.into_iter().map(|set| rrset_of(set, origin, problems)).collect()
}

/// One RRset: each record once, with the smallest TTL.
fn rrset_of(set: &[&Record], origin: &Name, problems: &mut Problems) -> RrSet {
    let first = set[0];
    let mut seen: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut rdatas: Vec<Box<[u8]>> = Vec::with_capacity(set.len());
    for record in set {
        if record.ttl_secs != first.ttl_secs {
            let (ttl_secs, first_secs) = (record.ttl_secs, first.ttl_secs);
            let lint = Lint::TtlDiffers { ttl_secs, first_secs, first: first.line };
            problems.note(&record.path, Some(record.line), lint);
        }
        match seen.entry(comparable(record)) {
            Entry::Occupied(same) => {
                problems.note(&record.path, Some(record.line), Lint::Duplicate { first: *same.get() });
                continue;
            }
            Entry::Vacant(free) => free.insert(record.line),
        };
        if !rdatas.is_empty() && record.rtype == SOA {
            problems.note(&record.path, Some(record.line), ZoneFileError::SecondSoa { origin: origin.clone() });
        }
        if !rdatas.is_empty() && record.rtype == CNAME {
            let error = ZoneFileError::SecondCname { owner: record.owner.clone(), other: first.line };
            problems.note(&record.path, Some(record.line), error);
        }
        rdatas.push(record.rdata.clone());
    }
    let ttl_secs = set.iter().map(|record| record.ttl_secs).min().unwrap_or(first.ttl_secs);
    RrSet { rtype: first.rtype, ttl_secs, rdatas: rdatas.into() }
}

/// The data in a form in which equal records are equal bytes: names compare without letter case.
fn comparable(record: &Record) -> Vec<u8> {
    let mut bytes = record.rdata.to_vec();
    if let Some(start) = name_offset(record.rtype) {
        bytes.iter_mut().skip(start).for_each(u8::make_ascii_lowercase);
    }
    bytes
}

/// Where the one name in the data of such a type begins; it goes to the end.
pub(super) fn name_offset(rtype: u16) -> Option<usize> {
    match rtype {
        NS | CNAME | PTR => Some(0),
        MX => Some(2),
        SRV => Some(6),
        _ => None,
    }
}

pub(super) const A: u16 = 1;
pub(super) const NS: u16 = 2;
pub(super) const CNAME: u16 = 5;
pub(super) const SOA: u16 = 6;
const PTR: u16 = 12;
pub(super) const MX: u16 = 15;
pub(super) const AAAA: u16 = 28;
pub(super) const SRV: u16 = 33;
pub(super) const DS: u16 = 43;

/// Labels under D below which the catalog answers, or NXDOMAIN is ours to say.
const KIND_LABELS: [&str; 7] = ["service", "node", "addr", "query", "connect", "ingress", "virtual"];

/// Most names of one zone.
///
/// Source: none, chosen: as many as fit into the text limit at some 30 bytes a record, while deep names cannot
/// multiply.
const NODES_MAX: usize = 2_000_000;

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
