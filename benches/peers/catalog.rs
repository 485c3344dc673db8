//! The catalog that all servers get: the same names, addresses and additional records, as a zone file and as
//! registrations, and the queries about it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Write},
    net::Ipv4Addr,
    path::Path,
};

use crate::numbers::Numbers;

/// Services of the same size, called `<prefix><number>`.
#[derive(Clone, Copy)]
pub struct Group {
    pub prefix: &'static str,
    pub services: u32,
    pub instances_each: u32,
    /// Added to the number of an instance for its address, so that groups have addresses of their own.
    pub first_address: u32,
}

/// One instance: its service's number, and its own within the service.
pub type Place = (u32, u32);

impl Group {
    pub const fn new(services: u32, instances_each: u32) -> Group {
        Group { prefix: "s", services, instances_each, first_address: 0 }
    }

    pub fn instances(&self) -> u32 {
        self.services * self.instances_each
    }

    pub fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let each = self.instances_each;
        (0..self.services).flat_map(move |service| (0..each).map(move |instance| (service, instance)))
    }

    pub fn address(&self, (service, instance): Place) -> Ipv4Addr {
        Ipv4Addr::from(0x0a00_0000 + self.first_address + service * self.instances_each + instance)
    }

    pub fn id(&self, (service, instance): Place) -> String {
        format!("{}{service}-{instance}", self.prefix)
    }

    /// The addresses of a service, as an answer must have them.
    pub fn addresses(&self, service: u32) -> BTreeSet<Ipv4Addr> {
        (0..self.instances_each).map(|instance| self.address((service, instance))).collect()
    }

    /// The name that is asked.
    pub fn name(&self, kind: Kind, service: u32) -> String {
        let prefix = self.prefix;
        match kind {
            Kind::A => format!("{prefix}{service}.service.{DOMAIN}"),
            Kind::Srv => format!("_{prefix}{service}._tcp.service.{DOMAIN}"),
            Kind::Unknown => format!("nope{service}.service.{DOMAIN}"),
        }
    }

    /// The body of a registration. Its check is one that is renewed by who registers: none is probed, and none ends by
    /// itself within a run.
    pub fn registration(&self, place: Place) -> String {
        self.weighing(place, 1)
    }

    /// [`Group::registration`] with this weight.
    pub fn weighing(&self, place: Place, weight: u32) -> String {
        let (id, address) = (self.id(place), self.address(place));
        let name = format!("{}{}", self.prefix, place.0);
        let port = port(place);
        let check = r#"{"TTL":"24h","Status":"passing"}"#;
        format!(
            r#"{{"Name":"{name}","ID":"{id}","Address":"{address}","Port":{port},"Tags":["t"],"Check":{check},"Weights":{{"Passing":{weight},"Warning":1}}}}"#
        )
    }
}

pub fn port((_, instance): Place) -> u32 {
    8000 + instance % 1000
}

/// Name of an SRV's target, as nameplate spells it.
pub fn target(address: Ipv4Addr) -> String {
    format!("{:08x}.addr.{DOMAIN}", u32::from(address))
}

/// Writes the zone file of these groups.
pub fn write_zone(groups: &[Group], path: &Path) -> io::Result<()> {
    let mut zone = BufWriter::new(File::create(path)?);
    writeln!(zone, "$ORIGIN {DOMAIN}\n$TTL 5")?;
    writeln!(zone, "@ 5 SOA ns hostmaster 1 3600 600 86400 5\n@ 300 NS ns\nns 300 A 127.0.0.1")?;
    for group in groups {
        for place in group.places() {
            let (prefix, service, port, address) = (group.prefix, place.0, port(place), group.address(place));
            let target = format!("{:08x}.addr", u32::from(address));
            writeln!(zone, "{prefix}{service}.service A {address}\n{target} A {address}")?;
            writeln!(zone, "_{prefix}{service}._tcp.service SRV 1 1 {port} {target}")?;
        }
    }
    zone.into_inner()?.sync_all()
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    A,
    Srv,
    Unknown,
}

pub const KINDS: [Kind; 3] = [Kind::A, Kind::Srv, Kind::Unknown];

impl Kind {
    pub fn name(self) -> &'static str {
        ["A", "SRV", "unknown"][self as usize]
    }

    pub fn rcode(self) -> u8 {
        if self == Kind::Unknown { 3 } else { 0 }
    }
}

/// Queries as they are sent, one after the other, and around again.
pub struct Queries {
    wire: Vec<u8>,
    each: Vec<Query>,
    /// Records that an answer to A and SRV must have.
    pub answers: u16,
}

#[derive(Clone, Copy)]
struct Query {
    at: u32,
    length: u8,
    kind: Kind,
}

/// Whether queries have EDNS, offering 1,232 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Edns {
    With,
    Without,
}

impl Queries {
    /// 60 % A, 30 % SRV, 10 % unknown names, of services drawn at random: the same ones in each run.
    pub fn mix(group: &Group, edns: Edns) -> Queries {
        let mut numbers = Numbers::default();
        let kind = |number| match number {
            0..6 => Kind::A,
            6..9 => Kind::Srv,
            _ => Kind::Unknown,
        };
        let asked = (0..QUERIES).map(|_| (kind(numbers.below(10)), numbers.below(group.services)));
        Queries::new(group, asked, edns)
    }

    /// One kind only.
    pub fn only(group: &Group, kind: Kind, edns: Edns) -> Queries {
        let mut numbers = Numbers::default();
        let asked = (0..QUERIES.min(10 * group.services)).map(|_| (kind, numbers.below(group.services)));
        Queries::new(group, asked, edns)
    }

    fn new(group: &Group, asked: impl Iterator<Item = (Kind, u32)>, edns: Edns) -> Queries {
        let mut queries = Queries { wire: Vec::new(), each: Vec::new(), answers: group.instances_each as u16 };
        for (kind, service) in asked {
            let at = queries.wire.len();
            queries.wire.extend(query(&group.name(kind, service), kind, edns));
            let length = (queries.wire.len() - at) as u8;
            queries.each.push(Query { at: at as u32, length, kind });
        }
        queries
    }

    /// The same queries, of which an answer has so many records.
    pub fn with_answers(self, answers: u16) -> Queries {
        Queries { answers, ..self }
    }

    pub fn get(&self, index: usize) -> (Kind, &[u8]) {
        let Query { at, length, kind } = self.each[index % self.each.len()];
        (kind, &self.wire[at as usize..][..usize::from(length)])
    }

    pub fn count(&self) -> usize {
        self.each.len()
    }
}

/// A query with ID 0.
pub fn query(name: &str, kind: Kind, edns: Edns) -> Vec<u8> {
    let edns = edns == Edns::With;
    let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns.into()];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, if kind == Kind::Srv { 33 } else { 1 }, 0, 1]);
    if edns {
        query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    query
}

/// The domain of all names. It ends in the root's dot, whose empty label ends the name on the wire.
pub const DOMAIN: &str = "internal.";

/// Queries of a list.
const QUERIES: u32 = 300_000;
