//! What a name of SkyDNS's tree is answered with: of all records at it and below it, by SkyDNS's rules.
//!
//! | type | records |
//! |---|---|
//! | A, AAAA | of hosts that are addresses, each once; at the zone's own name those of `dns/apex`, if there are any |
//! | CNAME | where no host is an address: of the first host that is a name, by priority and key |
//! | SRV | one for each host; the target is the host, or the record's own name less `targetstrip` labels |
//! | MX | for each host with `mail`; as SRV, with the priority as preference |
//! | TXT | each text, in strings of 255 bytes |
//! | NS | at the zone's own name: `<key>.ns.dns.<zone>` for each address below `dns/ns` |
//!
//! Groups: the record with a group that is nearest to the name decides, and deeper ones of other groups are left out; records
//! without one stay; if those on the nearest level do not agree, all stay. Weights are hundredths of their priority's sum, at
//! least 1. The TTL of each set is the smallest in it.
//!
//! **Source:** SkyDNS 2.5 and CoreDNS's plugin `etcd`, with what issues 3931, 6110 and 7028 of CoreDNS ask for.

use std::{collections::BTreeMap, hash::BuildHasher, net::IpAddr};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{
    Record,
    leaf::{Host, Leaf},
};
use crate::{
    wire::name::Name,
    zones::{
        RrSet,
        build::{A, AAAA, CNAME, MX, NS, SRV},
    },
};

/// The RRsets, in order of their types, of a name of this many labels below the zone's, of these records at it and below it.
pub(super) fn rrsets(records: &[&Record], (depth, owner): (usize, Option<&Name>)) -> Vec<RrSet> {
    let is_apex = depth == 0;
    let members: Vec<&Record> = match is_apex {
        // What is reserved says nothing of the zone's services.
        true => records.iter().copied().filter(|record| record.path.first().is_none_or(|top| **top != *DNS)).collect(),
        false => records.to_vec(),
    };
    let members = grouped(members);
    let mut addressed = members.clone();
    let mut sets = Sets::default();
    if is_apex {
        let apex = below(records, &[DNS, b"apex"]);
        if !apex.is_empty() {
            addressed = apex;
        }
        for server in below(records, &[DNS, b"ns"]).into_iter().filter(|record| record.leaf.ip().is_some()) {
            sets.add(NS, server, server.name.as_wire().into());
        }
    }
    for record in &addressed {
        match record.leaf.ip() {
            Some(IpAddr::V4(v4)) => sets.add(A, record, v4.octets().into()),
            Some(IpAddr::V6(v6)) => sets.add(AAAA, record, v6.octets().into()),
            None => {}
        }
    }
    if !is_apex && !sets.has(A) && !sets.has(AAAA) {
        let named = members.iter().filter_map(|record| match &record.leaf.host {
            Some(Host::Name(name)) if Some(name) != owner => Some((record, name)),
            _ => None,
        });
        if let Some((record, name)) = named.min_by_key(|(record, _)| record.leaf.priority) {
            sets.add(CNAME, record, name.as_wire().into());
        }
    }
    services(&members, &mut sets);
    for record in &members {
        if let Some(text) = &record.leaf.text {
            sets.add(TXT, record, strings(text));
        }
    }
    sets.finish()
}

/// The records below these labels of the zone's own name.
fn below<'r>(records: &[&'r Record], top: &[&[u8]]) -> Vec<&'r Record> {
    let is_below = |record: &&Record| record.path.iter().map(|label| &**label).take(top.len()).eq(top.iter().copied());
    records.iter().copied().filter(is_below).collect()
}

/// SRV and MX.
fn services(members: &[&Record], sets: &mut Sets) {
    let weight = |leaf: &Leaf| if leaf.weight == 0 { 100 } else { u64::from(leaf.weight) };
    let mut sums: BTreeMap<u16, u64> = BTreeMap::new();
    for record in members.iter().filter(|record| record.leaf.host.is_some()) {
        *sums.entry(record.leaf.priority).or_default() += weight(&record.leaf);
    }
    for record in members {
        let leaf = &record.leaf;
        let target = match &leaf.host {
            Some(Host::Name(name)) => name.as_wire(),
            Some(Host::Ip(_)) => record.target(),
            None => continue,
        };
        let sum = sums.get(&leaf.priority).copied().unwrap_or(1).max(1);
        let share = u16::try_from((100 * weight(leaf) / sum).max(1)).unwrap_or(u16::MAX);
        let numbers = [leaf.priority, share, leaf.port].map(u16::to_be_bytes).concat();
        sets.add(SRV, record, [&numbers[..], target].concat().into());
        if leaf.mail {
            sets.add(MX, record, [&leaf.priority.to_be_bytes()[..], target].concat().into());
        }
    }
}

/// Those that a group leaves.
fn grouped(members: Vec<&Record>) -> Vec<&Record> {
    let Some(nearest) =
        members.iter().filter(|record| record.leaf.group.is_some()).map(|record| record.path.len()).min()
    else {
        return members;
    };
    let on_level = members.iter().copied().filter(|record| record.path.len() == nearest);
    let mut deciding = on_level.filter_map(|record| record.leaf.group.as_deref());
    let decided = deciding.next();
    if deciding.any(|other| Some(other) != decided) {
        return members;
    }
    members
        .into_iter()
        .filter(|record| record.leaf.group.is_none() || record.leaf.group.as_deref() == decided)
        .collect()
}

/// RDATA of TXT.
fn strings(text: &str) -> Box<[u8]> {
    let mut rdata = Vec::with_capacity(text.len() + 1 + text.len() / 255);
    for piece in text.as_bytes().chunks(255) {
        rdata.push(u8::try_from(piece.len()).expect("a chunk has at most 255 bytes"));
        rdata.extend_from_slice(piece);
    }
    rdata.into()
}

/// RRsets in the making, by type.
#[derive(Default)]
struct Sets(BTreeMap<u16, Draft>);

#[derive(Default)]
struct Draft {
    ttl_secs: u32,
    rdatas: Vec<Box<[u8]>>,
    /// Where each lies, once there are many.
    known: HashTable<usize>,
    hasher: RandomState,
}

impl Draft {
    fn add(&mut self, rdata: Box<[u8]>) {
        let Draft { rdatas, known, hasher, .. } = self;
        if rdatas.len() < FEW {
            if !rdatas.contains(&rdata) {
                rdatas.push(rdata);
            }
            return;
        }
        let hash = |rdatas: &[Box<[u8]>], at: &usize| hasher.hash_one(&rdatas[*at]);
        if known.is_empty() {
            for at in 0..rdatas.len() {
                known.insert_unique(hash(rdatas, &at), at, |at| hash(rdatas, at));
            }
        }
        let is_it = |at: &usize| rdatas[*at] == rdata;
        if known.find(hasher.hash_one(&rdata), is_it).is_none() {
            rdatas.push(rdata);
            let at = rdatas.len() - 1;
            known.insert_unique(hash(rdatas, &at), at, |at| hash(rdatas, at));
        }
    }
}

impl Sets {
    /// Adds a record's data; each once (RFC 2181 section 5).
    fn add(&mut self, rtype: u16, record: &Record, rdata: Box<[u8]>) {
        let draft = self.0.entry(rtype).or_insert_with(|| Draft { ttl_secs: u32::MAX, ..Draft::default() });
        draft.ttl_secs = draft.ttl_secs.min(record.ttl_secs);
        draft.add(rdata);
    }

    fn has(&self, rtype: u16) -> bool {
        self.0.contains_key(&rtype)
    }

    fn finish(self) -> Vec<RrSet> {
        let set = |(rtype, draft): (u16, Draft)| RrSet { rtype, ttl_secs: draft.ttl_secs, rdatas: draft.rdatas.into() };
        self.0.into_iter().map(set).collect()
    }
}

/// What the apex reserves: name servers, its own addresses, stub zones.
const DNS: &[u8] = b"dns";

const TXT: u16 = 16;

/// So many records are compared one by one. Source: none, chosen: most names have fewer, and need no table then.
const FEW: usize = 8;
