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
//! **Limits:** 100,000 records. A change costs O(records times labels); a question with `*` or `any` looks at 10,000 records.

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
    zone::{APEX, ByName, NO_NODE, Soa, ZoneNode, parent_of},
};
use crate::wire::name::Name;

/// All records below a prefix.
#[derive(Debug)]
pub struct Tree {
    /// Ends in a slash.
    root: String,
    zones: Vec<(Name, BTreeMap<Labels, Arc<Record>>)>,
    pointers: BTreeMap<Labels, Arc<Record>>,
    /// TTL of records that name none.
    ttl_secs: u32,
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
        let zones = origins.into_iter().map(|origin| (origin.to_lowercase(), BTreeMap::new())).collect();
        Tree { root: format!("{}/", prefix.trim_end_matches('/')), zones, pointers: BTreeMap::new(), ttl_secs }
    }

    /// What all keys begin with.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// A key was put; `remaining_secs` is what its lease has left, if it has one. Where it cannot be read, what was there stays.
    pub fn put(&mut self, key: &[u8], value: &[u8], remaining_secs: Option<u32>) -> Result<(), RecordError> {
        let Some((place, name, path)) = self.place(key)? else { return Ok(()) };
        let leaf = Leaf::read(value)?;
        if matches!(place, Place::Pointer) && !matches!(leaf.host, Some(Host::Name(_))) {
            return Err(RecordError::Pointer);
        }
        let count = self.len();
        let ttl_secs = leaf.ttl_secs.unwrap_or(self.ttl_secs).min(remaining_secs.map_or(u32::MAX, |secs| secs.max(1)));
        let records = self.records(&place);
        if count >= RECORDS_MAX && !records.contains_key(&path) {
            return Err(RecordError::Full);
        }
        records.insert(path.clone(), Arc::new(Record { path, name, leaf, ttl_secs }));
        Ok(())
    }

    /// A key was deleted.
    pub fn delete(&mut self, key: &[u8]) {
        if let Ok(Some((place, _, path))) = self.place(key) {
            self.records(&place).remove(&path);
        }
    }

    /// These are all keys that there are.
    pub fn keep<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>) {
        let mut kept: BTreeSet<(Option<usize>, Labels)> = BTreeSet::new();
        for key in keys {
            match self.place(key) {
                Ok(Some((Place::Zone(number), _, path))) => drop(kept.insert((Some(number), path))),
                Ok(Some((Place::Pointer, _, path))) => drop(kept.insert((None, path))),
                _ => {}
            }
        }
        for (number, (_, records)) in self.zones.iter_mut().enumerate() {
            records.retain(|path, _| kept.contains(&(Some(number), path.clone())));
        }
        self.pointers.retain(|path, _| kept.contains(&(None, path.clone())));
    }

    /// The zones, with this serial.
    pub fn zones(&self, serial: u32) -> Zones {
        let zones = self.zones.iter().map(|(origin, records)| zone(origin, records.values(), serial));
        let pointers = self.pointers.values().filter_map(|record| pointer(record, serial));
        Zones::live(zones.chain(pointers).map(Arc::new))
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.zones.iter().map(|(_, records)| records.len()).sum::<usize>() + self.pointers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn records(&mut self, place: &Place) -> &mut BTreeMap<Labels, Arc<Record>> {
        match place {
            Place::Zone(number) => &mut self.zones[*number].1,
            Place::Pointer => &mut self.pointers,
        }
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
        let zones = self.zones.iter().enumerate().filter(|(_, (origin, _))| name.is_at_or_below(origin));
        let Some((number, (origin, _))) = zones.max_by_key(|(_, (origin, _))| origin.label_count()) else {
            return Ok(None);
        };
        let below = labels.into_iter().skip(origin.label_count()).collect();
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

fn zone<'r>(origin: &Name, records: impl Iterator<Item = &'r Arc<Record>>, serial: u32) -> Zone {
    let live = Live { records: records.map(Arc::clone).collect() };
    let all: Vec<&Record> = live.records.iter().map(|record| &**record).collect();
    let mut nodes = Vec::new();
    visit(&all, (0, origin), &mut nodes);
    finish(origin, (nodes, live), serial)
}

/// Makes a node of a name, and of each name below it.
fn visit(records: &[&Record], (depth, name): (usize, &Name), nodes: &mut Vec<ZoneNode>) {
    let rrsets = answers::rrsets(records, (depth, Some(name))).into();
    nodes.push(ZoneNode { owner: name.clone(), rrsets, cut: NO_NODE, wildcard: NO_NODE, is_delegation: false });
    let mut rest = &records[records.partition_point(|record| record.path.len() == depth)..];
    while let Some(first) = rest.first() {
        let label = &first.path[depth];
        let (below, others) = rest.split_at(rest.partition_point(|record| record.path[depth] == *label));
        let child = name.prepend(label).expect("the names of its records are longer, and names");
        visit(below, (depth + 1, &child), nodes);
        rest = others;
    }
}

/// The zone of one reverse name.
fn pointer(record: &Record, serial: u32) -> Option<Zone> {
    let Some(Host::Name(target)) = &record.leaf.host else { return None };
    let rrsets = Box::new([rrset_of_one((PTR, record.ttl_secs), target.as_wire())]);
    let owner = record.name.clone();
    let node = ZoneNode { owner, rrsets, cut: NO_NODE, wildcard: NO_NODE, is_delegation: false };
    Some(finish(&record.name, (vec![node], Live::default()), serial))
}

fn finish(origin: &Name, (mut nodes, live): (Vec<ZoneNode>, Live), serial: u32) -> Zone {
    let soa = soa(origin, serial);
    let apex = &mut nodes[APEX];
    let mut rrsets: Vec<RrSet> = apex.rrsets.iter().cloned().chain([soa.clone()]).collect();
    rrsets.sort_by_key(|rrset| rrset.rtype);
    apex.rrsets = rrsets.into();
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

/// Most records. Source: none, chosen: at some 3 us a record and label, a change is answered within a second.
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
