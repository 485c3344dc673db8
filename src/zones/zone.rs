//! The zones as they are served: immutable, found by lower-cased owner name in wire form.
//!
//! A name that exists only because others lie below it (an empty non-terminal) is a node without RRsets. Each node
//! knows the delegation that governs it and the wildcard below it, so that a query costs one look-up for a name
//! that exists and at most one a label for one that does not.
//!
//! **Limits:** class IN. Nothing is signed.

use std::{fmt, path::Path, sync::Arc};

use hashbrown::HashMap;

use super::skydns::Live;
use crate::wire::name::Name;

/// All static zones. Clones share the zones.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    by_origin: Arc<ByName<Arc<Zone>>>,
    /// Whether they follow a registry.
    are_live: bool,
}

impl Zones {
    /// Collects zones; of two with the same origin the later one stays.
    pub fn new(zones: impl IntoIterator<Item = Arc<Zone>>) -> Zones {
        let by_origin = zones.into_iter().map(|zone| (zone.origin.to_lowercase().as_wire().into(), zone)).collect();
        Zones { by_origin: Arc::new(by_origin), are_live: false }
    }

    /// Collects zones that follow a registry.
    pub(super) fn live(zones: impl IntoIterator<Item = Arc<Zone>>) -> Zones {
        Zones { are_live: true, ..Zones::new(zones) }
    }

    /// These, and those of the other kind that there were: zones of files and zones that follow a registry are told apart from
    /// each other. Of two with the same origin the file's stays.
    pub fn beside(self, before: &Zones) -> Zones {
        let others = before.iter().filter(|zone| zone.is_live() != self.are_live).cloned();
        let (files, live): (Vec<_>, Vec<_>) = self.iter().cloned().chain(others).partition(|zone| !zone.is_live());
        Zones::new(live.into_iter().chain(files))
    }

    /// Those of files.
    pub fn of_files(&self) -> Zones {
        Zones::new(self.iter().filter(|zone| !zone.is_live()).cloned())
    }

    /// The zone of exactly this origin, given in wire form and lower case.
    pub fn get(&self, origin: &[u8]) -> Option<&Arc<Zone>> {
        self.by_origin.get(origin)
    }

    /// The zone with the longest origin at or above the name, given in wire form and lower case.
    ///
    /// Costs one look-up a label, and none if there are no zones.
    pub fn enclosing(&self, qname: &[u8]) -> Option<&Arc<Zone>> {
        if self.by_origin.is_empty() {
            return None;
        }
        let mut rest = Some(qname);
        while let Some(name) = rest {
            if let Some(zone) = self.by_origin.get(name) {
                return Some(zone);
            }
            rest = parent_of(name);
        }
        None
    }

    /// All zones, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.by_origin.values()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_origin.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_origin.len()
    }
}

/// One static zone.
pub struct Zone {
    pub(super) origin: Name,
    pub(super) soa: Option<Soa>,
    pub(super) nodes: Vec<ZoneNode>,
    pub(super) index: ByName<u32>,
    /// Labels of the deepest node.
    pub(super) labels_max: usize,
    pub(super) file: Arc<Path>,
    pub(super) included: Vec<Arc<Path>>,
    pub(super) is_domain: bool,
    /// What it follows, if it follows a registry.
    pub(super) live: Option<Live>,
}

impl Zone {
    /// The zone's apex.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The SOA of the file. A zone that is D or an alternative domain may have none; there it gives RNAME and
    /// timers only, and is not among the RRsets of the apex.
    pub fn soa(&self) -> Option<&Soa> {
        self.soa.as_ref()
    }

    /// Whether it is D or an alternative domain, so that its records are added to those of the catalog.
    pub fn is_domain(&self) -> bool {
        self.is_domain
    }

    /// Whether it follows a registry.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// The RRsets of a name, given in wire form and lower case, in which a label stands for any, in a zone that follows a
    /// registry; none if nothing matches.
    pub fn matching(&self, qname: &[u8]) -> Option<Vec<RrSet>> {
        self.live.as_ref()?.matching(&self.origin, qname)
    }

    /// The file it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The files that it includes.
    pub fn included(&self) -> &[Arc<Path>] {
        &self.included
    }

    /// The node of exactly this owner name, given in wire form and lower case; occluded ones too.
    pub fn node(&self, owner: &[u8]) -> Option<&ZoneNode> {
        self.index.get(owner).map(|&at| &self.nodes[at as usize])
    }

    /// The node of the zone's name; it always exists.
    pub fn apex(&self) -> &ZoneNode {
        &self.nodes[APEX]
    }

    /// All nodes, the apex first, empty non-terminals among them.
    pub fn nodes(&self) -> impl Iterator<Item = &ZoneNode> {
        self.nodes.iter()
    }
}

/// Origin, file and size; the records are too many to print.
impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({} from {}, {} nodes)", self.origin, self.file.display(), self.nodes.len())
    }
}

/// A name of a zone: one that has RRsets, or an empty non-terminal.
#[derive(Debug, Clone)]
pub struct ZoneNode {
    pub(super) owner: Name,
    /// Shared with the node that it was before, where only others changed.
    pub(super) rrsets: Arc<[RrSet]>,
    /// The topmost delegation at or above the node; `NO_NODE` if there is none.
    pub(super) cut: u32,
    /// The node `*` directly below; `NO_NODE` if there is none.
    pub(super) wildcard: u32,
    pub(super) is_delegation: bool,
}

impl ZoneNode {
    /// The owner name, in the letter case of the file.
    pub fn owner(&self) -> &Name {
        &self.owner
    }

    /// The RRsets in order of their types; none for an empty non-terminal.
    pub fn rrsets(&self) -> &[RrSet] {
        &self.rrsets
    }

    /// The RRset of the type.
    pub fn rrset(&self, rtype: u16) -> Option<&RrSet> {
        self.rrsets.iter().find(|rrset| rrset.rtype == rtype)
    }

    /// The RRset with the least data, the lowest type among equals (for ANY, RFC 8482).
    pub fn smallest_rrset(&self) -> Option<&RrSet> {
        self.rrsets.iter().min_by_key(|rrset| rrset.rdatas.iter().map(|rdata| rdata.len()).sum::<usize>())
    }

    /// Whether it exists only because names below it do.
    pub fn is_empty_non_terminal(&self) -> bool {
        self.rrsets.is_empty()
    }

    /// Whether it has NS below the apex: a zone cut.
    pub fn is_delegation(&self) -> bool {
        self.is_delegation
    }

    /// Whether it is a delegation or lies below one: its addresses are glue, all else is never answered.
    pub fn is_at_or_below_cut(&self) -> bool {
        self.cut != NO_NODE
    }

    /// Whether a wildcard is directly below it.
    pub fn has_wildcard(&self) -> bool {
        self.wildcard != NO_NODE
    }
}

/// All records of one owner name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RrSet {
    /// The type's number.
    pub rtype: u16,
    /// One TTL for all: the smallest in the file.
    pub ttl_secs: u32,
    /// At least one; uncompressed wire form, in the order of the file.
    pub rdatas: Box<[Box<[u8]>]>,
}

/// The fields of a SOA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soa {
    /// The RRset, one record.
    pub rrset: RrSet,
    /// The primary server.
    pub mname: Name,
    /// The mailbox of who is responsible.
    pub rname: Name,
    /// The serial.
    pub serial: u32,
    /// Seconds between a secondary's questions for news.
    pub refresh_secs: u32,
    /// Seconds until it asks again when there was no response.
    pub retry_secs: u32,
    /// Seconds after which it drops the zone.
    pub expire_secs: u32,
    /// The MINIMUM field, in seconds.
    pub minimum_secs: u32,
    /// TTL of negative answers: the smaller of the SOA's own TTL and MINIMUM (RFC 2308 section 3).
    pub negative_ttl_secs: u32,
}

impl Soa {
    /// Takes the fields from well-formed RDATA; none if it is not.
    pub(super) fn from_rrset(rrset: RrSet) -> Option<Soa> {
        let rdata = rrset.rdatas.first()?;
        let (mname, rest) = split_name(rdata)?;
        let (rname, rest) = split_name(rest)?;
        let numbers: &[u8; 20] = rest.try_into().ok()?;
        let number = |at: usize| {
            u32::from_be_bytes([numbers[4 * at], numbers[4 * at + 1], numbers[4 * at + 2], numbers[4 * at + 3]])
        };
        Some(Soa {
            mname,
            rname,
            serial: number(0),
            refresh_secs: number(1),
            retry_secs: number(2),
            expire_secs: number(3),
            minimum_secs: number(4),
            negative_ttl_secs: rrset.ttl_secs.min(number(4)),
            rrset,
        })
    }
}

/// The name at the start of the bytes, and what follows it.
pub(super) fn split_name(bytes: &[u8]) -> Option<(Name, &[u8])> {
    let mut end = 0;
    loop {
        let length = *bytes.get(end)? as usize;
        end += 1 + length;
        if length == 0 {
            break;
        }
    }
    Some((Name::from_wire(bytes.get(..end)?).ok()?, &bytes[end..]))
}

/// The name, in wire form, without its leftmost label; none for the root and for what is no name.
pub(super) fn parent_of(name: &[u8]) -> Option<&[u8]> {
    match *name.first()? {
        0 => None,
        length => name.get(1 + length as usize..),
    }
}

/// Keyed by lower-cased names in wire form; seeded at random for each map.
pub(super) type ByName<V> = HashMap<Box<[u8]>, V, foldhash::fast::RandomState>;

/// Where the apex is among the nodes.
pub(super) const APEX: usize = 0;

/// Stands for "no node".
pub(super) const NO_NODE: u32 = u32::MAX;
