//! Finds what a zone has for a question.
//!
//! | the zone has | `lookup("a.www.example.", A)` |
//! |---|---|
//! | `a.www A` | `Answer` |
//! | `a.www CNAME b` | `Cname` |
//! | `www NS ns.other.` | `Referral`, before any wildcard |
//! | `a.www TXT`, or `x.a.www A` | `Nodata` |
//! | `*.www A` | `Answer`, synthesised |
//! | `*.www TXT` | `Nodata`, synthesised |
//! | none of these | `Nxdomain` |
//!
//! Nothing is allocated. Cost: one look-up for a name that exists, else one a label, never more than the deepest
//! name of the zone has.
//!
//! **Limits:** one step only: CNAMEs are chased by who asks.
//!
//! **Source:** RFC 1034 section 4.3.2, RFC 4592, RFC 8020; DS at a cut is the parent's, RFC 4035 section 3.1.4.1.

use super::zone::{NO_NODE, RrSet, Zone, ZoneNode, parent_of};
use crate::wire::name::NAME_MAX_BYTES;

/// What a zone has for a question.
#[derive(Debug, Clone, Copy)]
pub enum Lookup<'z> {
    /// The RRset that was asked for.
    Answer(Match<'z>, &'z RrSet),
    /// The name is an alias, and its CNAME was not asked for by type.
    Cname(Match<'z>, &'z RrSet),
    /// ANY at a name that has RRsets: the caller chooses among them (RFC 8482).
    Any(Match<'z>),
    /// The name is delegated.
    Referral(Referral<'z>),
    /// The name exists, or is covered by a wildcard, but not with this type.
    Nodata(Match<'z>),
    /// The name does not exist, nor does anything below it.
    Nxdomain {
        /// The longest name that exists at or above it.
        closest_encloser: &'z ZoneNode,
    },
}

impl Lookup<'_> {
    /// Whether a wildcard answers.
    pub fn is_synthesised(&self) -> bool {
        match self {
            Lookup::Answer(found, _) | Lookup::Cname(found, _) | Lookup::Any(found) | Lookup::Nodata(found) => {
                found.is_synthesised
            }
            Lookup::Referral(_) | Lookup::Nxdomain { .. } => false,
        }
    }
}

/// The node that answers.
#[derive(Debug, Clone, Copy)]
pub struct Match<'z> {
    /// The node; with `is_synthesised` the wildcard that is the source of synthesis.
    pub node: &'z ZoneNode,
    /// Whether the owner name of the answer is QNAME and not the node's.
    pub is_synthesised: bool,
}

/// A delegation.
#[derive(Debug, Clone, Copy)]
pub struct Referral<'z> {
    /// The zone cut; its owner name is that of the NS.
    pub cut: &'z ZoneNode,
    /// Its NS.
    pub ns: &'z RrSet,
}

/// Addresses that a zone has for a name, as answers or glue.
#[derive(Debug, Clone, Copy)]
pub struct Addresses<'z> {
    /// The node that has them.
    pub node: &'z ZoneNode,
    /// A.
    pub a: Option<&'z RrSet>,
    /// AAAA.
    pub aaaa: Option<&'z RrSet>,
}

impl Zone {
    /// What the zone has for a name at or below its origin, given in wire form and lower case.
    pub fn lookup(&self, qname: &[u8], qtype: u16) -> Lookup<'_> {
        let (node, is_exact) = self.closest(qname);
        if let Some(referral) = self.referral(node)
            // For DS at the cut itself the parent answers.
            && !(is_exact && std::ptr::eq(referral.cut, node) && qtype == DS)
        {
            return Lookup::Referral(referral);
        }
        if is_exact {
            return at(Match { node, is_synthesised: false }, qtype);
        }
        match self.nodes.get(node.wildcard as usize) {
            Some(wildcard) => at(Match { node: wildcard, is_synthesised: true }, qtype),
            None => Lookup::Nxdomain { closest_encloser: node },
        }
    }

    /// The addresses of a name, given in wire form and lower case: for glue of a referral, in-domain and sibling
    /// (RFC 9471), and for the additional section. No wildcard is applied.
    pub fn addresses(&self, owner: &[u8]) -> Option<Addresses<'_>> {
        let node = self.node(owner)?;
        let (a, aaaa) = (node.rrset(A), node.rrset(AAAA));
        (a.is_some() || aaaa.is_some()).then_some(Addresses { node, a, aaaa })
    }

    /// The node of the name, or else of its closest encloser. A name outside the zone gets the apex.
    fn closest(&self, qname: &[u8]) -> (&ZoneNode, bool) {
        let mut labels = 0;
        let mut rest = Some(qname);
        while let Some(parent) = rest.and_then(parent_of) {
            labels += 1;
            rest = Some(parent);
        }
        // What is deeper than any node cannot be found: a name of 127 labels costs no more than one of few.
        let mut name = Some(qname);
        for _ in self.labels_max..labels {
            name = name.and_then(parent_of);
        }
        while let Some(candidate) = name {
            if let Some(node) = self.node(candidate) {
                return (node, candidate.len() == qname.len());
            }
            name = parent_of(candidate);
        }
        (self.apex(), false)
    }

    fn referral(&self, node: &ZoneNode) -> Option<Referral<'_>> {
        if node.cut == NO_NODE {
            return None;
        }
        let cut = self.nodes.get(node.cut as usize)?;
        Some(Referral { cut, ns: cut.rrset(NS)? })
    }
}

fn at(found: Match<'_>, qtype: u16) -> Lookup<'_> {
    if qtype == ANY && !found.node.rrsets.is_empty() {
        return Lookup::Any(found);
    }
    if let Some(rrset) = found.node.rrset(qtype) {
        return Lookup::Answer(found, rrset);
    }
    match found.node.rrset(CNAME) {
        Some(rrset) => Lookup::Cname(found, rrset),
        None => Lookup::Nodata(found),
    }
}

/// Writes a name of at most 255 bytes in wire form into the buffer in lower case, for a look-up; what is longer
/// gives the empty slice, which no zone has.
pub fn lowercase_into<'b>(name: &[u8], buffer: &'b mut [u8; NAME_MAX_BYTES]) -> &'b [u8] {
    let Some(lowered) = buffer.get_mut(..name.len()) else { return &[] };
    // Length bytes are below 64 and so never letters.
    lowered.copy_from_slice(name);
    lowered.make_ascii_lowercase();
    lowered
}

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const DS: u16 = 43;
const ANY: u16 = 255;

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
