//! The names of SkyDNS, and of CoreDNS's plugin `etcd`, as zones.
//!
//! A record's key is its name's labels from the right: what lies at `/skydns/local/skydns/east/web/1` is of the name
//! `1.web.east.skydns.local.`, and counts for all names above it up to the zone's own. So each name of the zone is answered with
//! what lies at it and below it ([`answers`]), which is worked out when the records change, and looked up as in any zone. A label
//! `*` or `any` of a question stands for any label; what it matches is worked out when it is asked for.
//!
//! Of `/skydns/arpa/in-addr/...` and `ip6` each record that leads to a name is a zone of that one name with its PTR, so that all
//! other reverse names are whose they are.
//!
//! A zone is made anew when a record of it changes, and so is a reverse name; what did not change stays the zone that it was, with
//! its serial. In a zone that is made anew the names stay at and below which nothing changed.
//!
//! **Limits:** 100,000 records. A change costs O(records of its zone), because the zone's own name is answered with all of them:
//! 160 ms with 100,000 records, 5 ms with 10,000, 0.4 ms with 1,000; and with 50,000 reverse names 13 ms more, because all zones
//! are collected. (Measured once: [`Tree::put`] of one record and [`Tree::zones`], the median of seven, optimised, on one of two
//! cores that had other work, names of five labels, 100 records to a service.) A question with `*` or `any` looks at 10,000 records.

mod answers;
mod leaf;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use self::leaf::{Host, Leaf, LeafError};
use super::{
    RrSet, Zone, Zones,
    build::SOA,
    zone::{ByName, NO_NODE, Soa, ZoneNode, parent_of},
};
use crate::wire::name::Name;

/// All records below a prefix. Clones share the records.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Ends in a slash.
    root: String,
    branches: Vec<Branch>,
    pointers: BTreeMap<Labels, Pointer>,
    /// TTL of records that name none.
    ttl_secs: u32,
}

/// The records of a zone.
#[derive(Debug, Clone)]
struct Branch {
    origin: Name,
    records: BTreeMap<Labels, Arc<Record>>,
    /// What was made of them.
    made: Option<Arc<Zone>>,
    /// Whether they changed since.
    is_changed: bool,
}

/// The record of a reverse name.
#[derive(Debug, Clone)]
struct Pointer {
    record: Arc<Record>,
    /// What was made of it; none after a change.
    made: Option<Arc<Zone>>,
}

/// A record of a name.
#[derive(Debug)]
struct Record {
    /// The labels below the zone's name, from the right, in lower case.
    path: Labels,
    name: Name,
    leaf: Leaf,
    ttl_secs: u32,
}

type Labels = Vec<Box<[u8]>>;

/// Why a key or its value is passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The key is no name.
    #[error("is not the key of a name")]
    Key,
    /// The value is no record.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// A reverse name leads to a name.
    #[error("host: a name is expected at a reverse name")]
    Pointer,
    /// There are too many.
    #[error("is one more than the {RECORDS_MAX} records that are answered")]
    Full,
}

/// Where a key belongs.
enum Place {
    /// To a zone, by number.
    Zone(usize),
    /// To the reverse names.
    Pointer,
}

impl Tree {
    /// A tree without records, for these zones.
    pub fn new(prefix: &str, origins: impl IntoIterator<Item = Name>, ttl_secs: u32) -> Tree {
        let branch = |origin: Name| {
            let origin = origin.to_lowercase();
            Branch { origin, records: BTreeMap::new(), made: None, is_changed: true }
        };
        let root = format!("{}/", prefix.trim_end_matches('/'));
        Tree { root, branches: origins.into_iter().map(branch).collect(), pointers: BTreeMap::new(), ttl_secs }
    }

    /// What all keys begin with.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// A key was put; `remaining_secs` is what its lease has left, if it has one. Where it cannot be read, what was there stays.
    /// Returns the key of the record that changed, if one did: the same for all spellings of it.
    pub fn put(
        &mut self,
        key: &[u8],
        value: &[u8],
        remaining_secs: Option<u32>,
    ) -> Result<Option<Vec<u8>>, RecordError> {
        let Some((place, name, path)) = self.place(key)? else { return Ok(None) };
        let leaf = Leaf::read(value)?;
        if matches!(place, Place::Pointer) && !matches!(leaf.host, Some(Host::Name(_))) {
            return Err(RecordError::Pointer);
        }
        let ttl_secs = leaf.ttl_secs.unwrap_or(self.ttl_secs).min(remaining_secs.map_or(u32::MAX, |secs| secs.max(1)));
        match self.record(&place, &path) {
            Some(known) if known.leaf == leaf && known.ttl_secs == ttl_secs => return Ok(None),
            None if self.len() >= RECORDS_MAX => return Err(RecordError::Full),
            _ => {}
        }
        let record = Arc::new(Record { path: path.clone(), name, leaf, ttl_secs });
        let key = self.key(&record);
        match place {
            Place::Zone(number) => {
                let branch = &mut self.branches[number];
                branch.records.insert(path, record);
                branch.is_changed = true;
            }
            Place::Pointer => drop(self.pointers.insert(path, Pointer { record, made: None })),
        }
        Ok(Some(key))
    }

    /// A key was deleted. Returns the key of the record that went, if one did.
    pub fn delete(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let (place, _, path) = self.place(key).ok()??;
        let record = match place {
            Place::Zone(number) => {
                let branch = &mut self.branches[number];
                let record = branch.records.remove(&path)?;
                branch.is_changed = true;
                record
            }
            Place::Pointer => self.pointers.remove(&path)?.record,
        };
        Some(self.key(&record))
    }

    /// These are all keys that there are. Returns the keys of the records that went.
    pub fn keep<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>) -> Vec<Vec<u8>> {
        let kept: BTreeSet<Vec<u8>> = keys.into_iter().map(|key| self.folded(key)).collect();
        let all = self.branches.iter().flat_map(|branch| branch.records.values());
        let all = all.chain(self.pointers.values().map(|pointer| &pointer.record));
        let gone: Vec<_> = all.map(|record| self.key(record)).filter(|key| !kept.contains(key)).collect();
        for key in &gone {
            self.delete(key);
        }
        gone
    }

    /// The zones; those that changed since the last time have this serial.
    pub fn zones(&mut self, serial: u32) -> Zones {
        let zones = self.branches.iter_mut().map(|branch| {
            let unchanged = branch.made.as_ref().filter(|_| !branch.is_changed);
            let zone = unchanged.cloned().unwrap_or_else(|| Arc::new(zone(branch, serial)));
            branch.is_changed = false;
            branch.made = Some(Arc::clone(&zone));
            zone
        });
        let pointers = self
            .pointers
            .values_mut()
            .map(|Pointer { record, made }| Arc::clone(made.get_or_insert_with(|| Arc::new(pointer(record, serial)))));
        Zones::live(zones.chain(pointers))
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.branches.iter().map(|branch| branch.records.len()).sum::<usize>() + self.pointers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn record(&self, place: &Place, path: &Labels) -> Option<&Arc<Record>> {
        match place {
            Place::Zone(number) => self.branches[*number].records.get(path),
            Place::Pointer => self.pointers.get(path).map(|pointer| &pointer.record),
        }
    }

    /// The key of a record, in lower case.
    fn key(&self, record: &Record) -> Vec<u8> {
        let labels: Vec<&[u8]> = record.name.labels().collect();
        let mut key = self.root.as_bytes().to_vec();
        for (number, label) in labels.iter().rev().enumerate() {
            key.extend((number > 0).then_some(b'/'));
            key.extend_from_slice(label);
        }
        key
    }

    /// A key as that of its record.
    fn folded(&self, key: &[u8]) -> Vec<u8> {
        let (root, rest) = key.split_at(self.root.len().min(key.len()));
        [root, &rest.to_ascii_lowercase()].concat()
    }

    /// Where a key belongs, its name, and its labels below that; none if it is of a zone that is not answered here.
    fn place(&self, key: &[u8]) -> Result<Option<(Place, Name, Labels)>, RecordError> {
        let rest = key.strip_prefix(self.root.as_bytes()).ok_or(RecordError::Key)?;
        if rest == CONFIG {
            return Ok(None);
        }
        let labels: Labels = rest.split(|byte| *byte == b'/').map(|label| label.to_ascii_lowercase().into()).collect();
        let name = Name::from_labels(labels.iter().rev()).map_err(|_| RecordError::Key)?;
        let reverse: [&[&[u8]]; 2] = [&[b"arpa", b"in-addr"], &[b"arpa", b"ip6"]];
        if reverse
            .iter()
            .any(|top| labels.len() > top.len() && top.iter().zip(&labels).all(|(top, label)| *top == &**label))
        {
            return Ok(Some((Place::Pointer, name, labels)));
        }
        let branches = self.branches.iter().enumerate().filter(|(_, branch)| name.is_at_or_below(&branch.origin));
        let Some((number, branch)) = branches.max_by_key(|(_, branch)| branch.origin.label_count()) else {
            return Ok(None);
        };
        let below = labels.into_iter().skip(branch.origin.label_count()).collect();
        Ok(Some((Place::Zone(number), name, below)))
    }
}

impl Record {
    /// Where its SRV leads, in wire form: to its name, less what is stripped of it.
    fn target(&self) -> &[u8] {
        let mut target = self.name.as_wire();
        // The zone's own name stays.
        for _ in 0..usize::from(self.leaf.strip).min(self.path.len()) {
            target = parent_of(target).expect("a record's name has the labels of its path");
        }
        target
    }
}

/// What a zone keeps of its records, for questions with `*` and `any`.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// In the order of their paths.
    records: Vec<Arc<Record>>,
}

impl Live {
    /// The RRsets of a name, given in wire form and lower case, in which a label stands for any; none if there is no such label,
    /// or nothing that it stands for.
    pub(super) fn matching(&self, origin: &Name, qname: &[u8]) -> Option<Vec<RrSet>> {
        let name = Name::from_wire(qname).ok()?;
        let mut pattern: Vec<&[u8]> = name.labels().collect();
        pattern.reverse();
        let pattern = pattern.get(origin.label_count()..)?;
        let first = pattern.iter().position(|label| stands_for_any(label))?;
        let plain = &pattern[..first];
        let before =
            |record: &Arc<Record>| record.path.iter().map(|label| &**label).take(plain.len()).lt(plain.iter().copied());
        let from = self.records.partition_point(before);
        let matches = |record: &&Record| {
            record.path.len() >= pattern.len()
                && pattern.iter().zip(&record.path).all(|(wanted, label)| stands_for_any(wanted) || *wanted == &**label)
        };
        let in_reach = self.records[from..].iter().map(|record| &**record).take(SCANNED_MAX);
        let found: Vec<&Record> = in_reach.filter(matches).collect();
        (!found.is_empty()).then(|| answers::rrsets(&found, (pattern.len(), None)))
    }
}

fn stands_for_any(label: &[u8]) -> bool {
    label == b"*" || label == b"any"
}

fn zone(branch: &Branch, serial: u32) -> Zone {
    let live = Live { records: branch.records.values().map(Arc::clone).collect() };
    let all: Vec<&Record> = live.records.iter().map(|record| &**record).collect();
    let before = branch.made.as_deref();
    let mut nodes = Nodes { before, all: Vec::new() };
    let known = before.and_then(|zone| zone.live.as_ref()).map_or(&[][..], |live| &live.records);
    let soa = soa(&branch.origin, serial);
    nodes.visit((&all, known), (0, &branch.origin), Some(soa.clone()));
    let nodes = nodes.all;
    finish(&branch.origin, (nodes, live), soa)
}

/// Nodes in the making.
struct Nodes<'z> {
    /// The zone as it was.
    before: Option<&'z Zone>,
    all: Vec<ZoneNode>,
}

impl Nodes<'_> {
    /// Makes a node of a name, and of each name below it. Where the records below a name are those that there were, its nodes are
    /// those that it had.
    fn visit(
        &mut self,
        (records, known): (&[&Record], &[Arc<Record>]),
        (depth, name): (usize, &Name),
        further: Option<RrSet>,
    ) {
        let mut rrsets = answers::rrsets(records, (depth, Some(name)));
        rrsets.extend(further);
        rrsets.sort_by_key(|rrset| rrset.rtype);
        self.all.push(node(name.clone(), rrsets.into()));
        let mut rest = &records[records.partition_point(|record| record.path.len() == depth)..];
        while let Some(first) = rest.first() {
            let label = &first.path[depth];
            let (below, others) = rest.split_at(rest.partition_point(|record| record.path[depth] == *label));
            let from = known.partition_point(|record| record.path.get(depth) < Some(label));
            let known = &known[from..];
            let known = &known[..known.partition_point(|record| record.path.get(depth) == Some(label))];
            let child = name.prepend(label).expect("the names of its records are longer, and names");
            let are_same = known.len() == below.len()
                && known.iter().zip(below).all(|(known, record)| std::ptr::eq::<Record>(&**known, *record));
            match self.before.filter(|_| are_same) {
                Some(before) => self.all.extend_from_slice(at_and_below(before, &child)),
                None => self.visit((below, known), (depth + 1, &child), None),
            }
            rest = others;
        }
    }
}

/// The nodes of a name and of those below it, which stand together.
fn at_and_below<'z>(zone: &'z Zone, name: &Name) -> &'z [ZoneNode] {
    let from = zone.index.get(name.as_wire()).map_or(zone.nodes.len(), |at| *at as usize);
    let nodes = &zone.nodes[from..];
    &nodes[..nodes.partition_point(|node| node.owner.is_at_or_below(name))]
}

fn node(owner: Name, rrsets: Arc<[RrSet]>) -> ZoneNode {
    ZoneNode { owner, rrsets, cut: NO_NODE, wildcard: NO_NODE, is_delegation: false }
}

/// The zone of one reverse name, whose host is a name.
fn pointer(record: &Record, serial: u32) -> Zone {
    let target = match &record.leaf.host {
        Some(Host::Name(target)) => target.as_wire(),
        _ => record.name.as_wire(),
    };
    let soa = soa(&record.name, serial);
    let rrsets = Arc::new([soa.clone(), rrset_of_one((PTR, record.ttl_secs), target)]);
    finish(&record.name, (vec![node(record.name.clone(), rrsets)], Live::default()), soa)
}

fn finish(origin: &Name, (nodes, live): (Vec<ZoneNode>, Live), soa: RrSet) -> Zone {
    let at = (0u32..).zip(&nodes).map(|(at, node)| (Box::<[u8]>::from(node.owner.as_wire()), at));
    let index: ByName<u32> = at.collect();
    Zone {
        origin: origin.clone(),
        soa: Soa::from_rrset(soa),
        labels_max: nodes.iter().map(|node| node.owner.label_count()).max().unwrap_or(0),
        nodes,
        index,
        file: Arc::from(Path::new("etcd")),
        included: Vec::new(),
        is_domain: false,
        live: Some(live),
    }
}

fn soa(origin: &Name, serial: u32) -> RrSet {
    let below = |labels: &[&[u8]]| {
        let name = Name::from_labels(labels.iter().copied().chain(origin.labels()));
        // One that is too long for it names itself.
        name.unwrap_or_else(|_| origin.clone())
    };
    let (server, mailbox) = (below(&[b"ns", b"dns"]), below(&[b"hostmaster"]));
    let numbers = [serial, TIMERS_SECS[0], TIMERS_SECS[1], TIMERS_SECS[2], NEGATIVE_TTL_SECS].map(u32::to_be_bytes);
    let rdata = [server.as_wire(), mailbox.as_wire(), &numbers.concat()[..]].concat();
    rrset_of_one((SOA, NEGATIVE_TTL_SECS), &rdata)
}

fn rrset_of_one((rtype, ttl_secs): (u16, u32), rdata: &[u8]) -> RrSet {
    RrSet { rtype, ttl_secs, rdatas: Box::new([Box::from(rdata)]) }
}

const PTR: u16 = 12;

/// The key of SkyDNS's own settings, which is no name's.
const CONFIG: &[u8] = b"config";

/// Most records. Source: none, chosen: all of them are made into zones within a second.
const RECORDS_MAX: usize = 100_000;

/// Most records that a question with `*` or `any` looks at. Source: none, chosen: about a millisecond.
const SCANNED_MAX: usize = 10_000;

/// Refresh, retry and expire. Source: DNS.md, as of our own domain.
const TIMERS_SECS: [u32; 3] = [3600, 600, 86_400];

/// For how long it is believed that something is not there. Source: DNS.md, as of our own domain.
const NEGATIVE_TTL_SECS: u32 = 5;

#[cfg(test)]
#[path = "../skydns_tests.rs"]
mod tests;
