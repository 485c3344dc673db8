//! Reading a name: what it means in terms of zones and the catalog. Nothing is written here.
//!
//! Labels left of the domain are read from the right: a location, the kind, the rest. See DNS.md "Names".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::location::{Kind, Location, locate};
use crate::{
    publish::snapshot::{
        FoundNode, FoundService, IpNetwork, Lookup, NodeAnswers, Origin, Owner, PreparedQuery, Selection,
        ServiceAnswers, Snapshot, Zone,
    },
    wire::{code::rtype, name::Name, query::Question},
};

/// What a name means.
#[derive(Debug, Clone, Copy)]
pub enum Meaning<'s> {
    /// The instances of a service, or some of them.
    Service(Chosen<'s>),
    /// The instances of a service with one service ID.
    Id {
        /// The service.
        service: &'s ServiceAnswers,
        /// Which label of the question is the ID.
        label: usize,
        /// Which label of the question is the named port, if one is.
        port: Option<usize>,
        /// Who denies.
        denier: Denier,
    },
    /// Those instances of a service that a prepared query chooses.
    Query(Prepared<'s>, Denier),
    /// A node.
    Node(&'s NodeAnswers, Denier),
    /// An address spelled in hex.
    Address(IpAddr, Denier),
    /// The apex of a domain of ours, by number.
    Apex(usize, Denier),
    /// `ns.D`.
    Server(Denier),
    /// An address that has a name.
    Reverse(Owner<'s>),
    /// 127.0.0.1 or ::1 by number: `localhost.`
    ReverseLocalhost,
    /// `localhost` or below.
    Localhost(Denier),
    /// What a static zone has.
    Static(&'s Zone, Lookup<'s>, Denier),
    /// The name exists, without records.
    Empty(Denier),
    /// The name does not exist.
    Unknown(Denier),
    /// Not ours: to be forwarded.
    Outside,
    /// Not ours, and there is nobody to forward to.
    NotOurs,
}

/// Instances that a name stands for.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'s> {
    /// Their service.
    pub service: &'s ServiceAnswers,
    /// Those that may be answered.
    pub selection: &'s Selection,
    /// The tag and the named port that they must have at once; then `selection` is not narrowed down yet.
    pub both: Option<Both>,
    /// Who denies what they lack.
    pub denier: Denier,
}

/// A prepared query under one of its names.
#[derive(Debug, Clone, Copy)]
pub struct Prepared<'s> {
    /// The query.
    pub query: &'s PreparedQuery,
    /// The service from which it chooses.
    pub service: &'s ServiceAnswers,
    /// Its name in the question.
    pub name: QueryName,
}

/// The first labels of a question, as the name of a prepared query.
#[derive(Debug, Clone, Copy)]
pub struct QueryName {
    /// How many labels.
    pub labels: usize,
    /// Whether the name begins after a `_`.
    pub underscored: bool,
}

/// A tag and a named port, as labels of the question.
#[derive(Debug, Clone, Copy)]
pub struct Both {
    /// The first label of the tag, and the one after its last.
    pub tag: (usize, usize),
    /// Whether the tag's label has `_` before it.
    pub underscored: bool,
    /// The label of the port.
    pub port: usize,
}

/// Whose SOA stands in a negative response, by the label of the question at which its zone begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denier {
    /// A domain of ours.
    Domain {
        /// Its number.
        number: usize,
        /// The label of the question at which it begins.
        first: usize,
    },
    /// The name itself: one name, not a zone.
    Itself,
    /// A static zone.
    Zone {
        /// The label of the question at which it begins.
        first: usize,
    },
    /// A zone that is empty by definition (RFC 6303).
    EmptyZone {
        /// The label of the question at which it begins.
        first: usize,
    },
    /// A single label that is no service: no SOA, so that no cache takes it for a top-level domain.
    Nobody,
}

/// Who reads, and from what.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'s> {
    /// The snapshot.
    pub snapshot: &'s Snapshot,
    /// The client network of ours in which the client is.
    pub network: Option<IpNetwork>,
}

impl<'s> Reading<'s> {
    /// What the name of the question means.
    pub fn meaning(&self, question: &Question) -> Meaning<'s> {
        let meaning = match self.snapshot.plan.origin(question) {
            Some((first, Origin::Domain(number))) => self.in_domain(question, *number, first),
            Some((first, Origin::Zone(zone))) => {
                let (lookup, denier) = (zone.lookup(question.name(), question.rtype), Denier::Zone { first });
                match lookup {
                    Lookup::Referral(_) => Meaning::Static(zone, lookup, denier),
                    _ => self.reverse_beside(question, zone, denier).unwrap_or(Meaning::Static(zone, lookup, denier)),
                }
            }
            Some((_, Origin::Forward)) => return self.outside(),
            Some((_, Origin::Refused)) => return Meaning::NotOurs,
            None => return self.elsewhere(question),
        };
        match meaning {
            // What lies above another zone or a forward rule exists, and so no wildcard answers for it.
            Meaning::Unknown(denier) | Meaning::Static(_, Lookup::Nxdomain { .. }, denier)
                if self.snapshot.plan.lies_above(question) =>
            {
                Meaning::Empty(denier)
            }
            Meaning::Static(_, lookup, denier)
                if lookup.is_synthesised() && self.snapshot.plan.lies_above(question) =>
            {
                Meaning::Empty(denier)
            }
            meaning => meaning,
        }
    }

    fn outside(&self) -> Meaning<'s> {
        if self.snapshot.settings.forwarding { Meaning::Outside } else { Meaning::NotOurs }
    }

    /// A name of no zone of ours.
    fn elsewhere(&self, question: &Question) -> Meaning<'s> {
        let labels = question.label_count();
        if labels == 0 {
            return self.outside();
        }
        let last = question.label(labels - 1);
        match last {
            b"localhost" => return Meaning::Localhost(Denier::EmptyZone { first: labels - 1 }),
            b"invalid" | b"onion" | b"alt" => return Meaning::Unknown(Denier::EmptyZone { first: labels - 1 }),
            b"arpa" if labels > 1 => return self.in_arpa(question),
            _ => {}
        }
        if labels > 1 {
            return self.outside();
        }
        if let FoundService::Service(service) = self.snapshot.names.service(question.labels(0, 1)) {
            return self.whole(service, Denier::Itself);
        }
        let asked_by_stubs = matches!(
            question.rtype,
            rtype::A | rtype::AAAA | rtype::SRV | rtype::TXT | rtype::HTTPS | rtype::SVCB | rtype::ANY
        );
        if asked_by_stubs && !(self.snapshot.settings.forward_bare && self.snapshot.settings.forwarding) {
            return Meaning::Unknown(Denier::Nobody);
        }
        self.outside()
    }

    fn in_arpa(&self, question: &Question) -> Meaning<'s> {
        let labels = question.label_count();
        if question.label(labels - 2) == b"resolver" {
            return Meaning::Unknown(Denier::EmptyZone { first: labels - 2 });
        }
        let spelled = Spelled::read(question);
        if let Some(meaning) = spelled.and_then(|spelled| self.reverse(spelled.whole()?)) {
            return meaning;
        }
        if self.snapshot.settings.forwarding {
            return Meaning::Outside;
        }
        let exists = |first| first == 0 || spelled.is_some_and(|spelled| self.is_above_pointer(spelled));
        match super::server::empty_reverse_zone(question) {
            Some(first) if exists(first) => Meaning::Empty(Denier::EmptyZone { first }),
            Some(first) => Meaning::Unknown(Denier::EmptyZone { first }),
            None => Meaning::NotOurs,
        }
    }

    fn reverse(&self, address: IpAddr) -> Option<Meaning<'s>> {
        if LOOPBACK.contains(&address) {
            return Some(Meaning::ReverseLocalhost);
        }
        let names = &self.snapshot.names;
        names.reverse.owner(names.seed(), address).map(Meaning::Reverse)
    }

    /// Whether names of addresses that have one lie below this one, which makes it exist (RFC 8020).
    fn is_above_pointer(&self, spelled: Spelled) -> bool {
        let loopback = || LOOPBACK.iter().any(|address| spelled.begins(*address));
        self.snapshot.names.reverse.has_prefix(spelled.address, spelled.bits) || loopback()
    }

    /// A static reverse zone keeps its records; catalog names are added where it has no such name.
    fn reverse_beside(&self, question: &Question, zone: &Zone, denier: Denier) -> Option<Meaning<'s>> {
        let spelled = Spelled::read(question)?;
        if zone.node(question.name()).is_some() {
            return None;
        }
        match spelled.whole() {
            Some(address) => self.reverse(address),
            None => self.is_above_pointer(spelled).then_some(Meaning::Empty(denier)),
        }
    }

    fn in_domain(&self, question: &Question, number: usize, first: usize) -> Meaning<'s> {
        let denier = Denier::Domain { number, first };
        if first == 0 {
            return Meaning::Apex(number, denier);
        }
        match self.snapshot.plan.domain(number).zone.as_deref() {
            Some(zone) => self.beside_zone(question, zone, (number, first)),
            None => self.ours(question, denier, first),
        }
    }

    /// What a name under a domain means to the catalog alone.
    fn ours(&self, question: &Question, denier: Denier, first: usize) -> Meaning<'s> {
        match locate(self.snapshot, question, first) {
            Location::Kind { kind, at, port } => self.of_kind(question, kind, Rest { end: at, port, denier }),
            Location::Nowhere => Meaning::Unknown(denier),
            Location::Between => Meaning::Empty(denier),
            Location::Short => self.short(question, first, denier),
        }
    }

    /// What a name means where a static zone adds to the domain: a delegation or a record of the file, else what the
    /// catalog has, else what a wildcard of the file makes of it.
    fn beside_zone(&self, question: &Question, zone: &'s Zone, (number, first): (usize, usize)) -> Meaning<'s> {
        let denier = Denier::Domain { number, first };
        let lookup = zone.lookup(question.name(), question.rtype);
        let found = match &lookup {
            Lookup::Referral(_) => return Meaning::Static(zone, lookup, denier),
            Lookup::Nxdomain { .. } => return self.ours(question, denier, first),
            Lookup::Answer(found, _) | Lookup::Cname(found, _) | Lookup::Any(found) | Lookup::Nodata(found) => found,
        };
        if !found.is_synthesised && !found.node.is_empty_non_terminal() {
            return Meaning::Static(zone, lookup, denier);
        }
        match self.ours(question, denier, first) {
            Meaning::Unknown(_) if !found.is_synthesised => Meaning::Static(zone, lookup, denier),
            Meaning::Unknown(_)
                if self.covers(found.node.owner(), question, (number, first)) && self.is_known(found.node.owner()) =>
            {
                Meaning::Static(zone, lookup, denier)
            }
            ours => ours,
        }
    }

    /// Whether a wildcard answers for the name: not if a name of the catalog between them exists, which would be the
    /// closest encloser (RFC 4592 section 3.3.1).
    fn covers(&self, wildcard: &Name, question: &Question, (number, first): (usize, usize)) -> bool {
        let encloser = question.label_count() + 1 - wildcard.label_count();
        (1..encloser).all(|label| {
            let Ok(ancestor) = Name::from_wire(question.suffix(label)) else { return false };
            let ancestor = Question::of(&ancestor, question.rtype, question.class);
            let first = first - label;
            matches!(self.ours(&ancestor, Denier::Domain { number, first }, first), Meaning::Unknown(_))
        })
    }

    /// Whether it is known which names the wildcard answers for: that of unknown services is not, until all are known.
    fn is_known(&self, wildcard: &Name) -> bool {
        self.snapshot.is_synced() || !wildcard.labels().nth(1).is_some_and(|kind| kind.eq_ignore_ascii_case(b"service"))
    }

    fn of_kind(&self, question: &Question, kind: Kind, rest: Rest) -> Meaning<'s> {
        let unknown = Meaning::Unknown(rest.denier);
        let names = &self.snapshot.names;
        match kind {
            Kind::Service => self.in_services(question, rest),
            Kind::Foreign => unknown,
            _ if rest.port.is_some() => unknown,
            _ if rest.end == 0 => Meaning::Empty(rest.denier),
            Kind::Node => match names.nodes.find(names.seed(), question.labels(0, rest.end)) {
                FoundNode::Node(node) => Meaning::Node(node, rest.denier),
                FoundNode::Below => Meaning::Empty(rest.denier),
                FoundNode::Nothing => unknown,
            },
            Kind::Query => self.in_queries(question, rest),
            Kind::Addr if rest.end == 1 => {
                spelled_address(question.label(0)).map_or(unknown, |address| Meaning::Address(address, rest.denier))
            }
            Kind::Addr => unknown,
        }
    }
}

/// What a name under a kind still has to say.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    /// The kind's label: what is left of it is the rest.
    pub end: usize,
    /// The label of the named port in the location.
    pub port: Option<usize>,
    /// Who denies.
    pub denier: Denier,
}

/// The address that 8 or 32 hex digits spell.
fn spelled_address(label: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(label).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    match text.len() {
        8 => Some(Ipv4Addr::from(u32::from_str_radix(text, 16).ok()?).into()),
        32 => Some(Ipv6Addr::from(u128::from_str_radix(text, 16).ok()?).into()),
        _ => None,
    }
}

/// The address that a reverse name spells, or its first bits (RFC 1035 section 3.5, RFC 3596 section 2.5).
#[derive(Debug, Clone, Copy)]
struct Spelled {
    /// Zeros where nothing is spelled.
    address: IpAddr,
    bits: u32,
}

impl Spelled {
    fn read(question: &Question) -> Option<Spelled> {
        let labels = question.label_count();
        let spelled = labels.checked_sub(2)?;
        // The first part of an address stands last.
        let parts = (0..spelled).rev().map(|at| question.label(at));
        match question.labels(spelled, labels) {
            b"\x07in-addr\x04arpa" if spelled <= 4 => {
                let mut octets = [0; 4];
                for (text, octet) in parts.zip(&mut octets) {
                    let text = std::str::from_utf8(text).ok()?;
                    // One spelling each: no leading zeros, no sign.
                    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                    let plain = digits && (text.len() == 1 || !text.starts_with('0'));
                    *octet = text.parse().ok().filter(|_| plain)?;
                }
                Some(Spelled { address: octets.into(), bits: 8 * spelled as u32 })
            }
            b"\x03ip6\x04arpa" if spelled <= 32 => {
                let mut number: u128 = 0;
                for (at, digit) in (1..).zip(parts) {
                    let [digit] = digit else { return None };
                    number |= u128::from((*digit as char).to_digit(16)?) << (128 - 4 * at);
                }
                Some(Spelled { address: Ipv6Addr::from(number).into(), bits: 4 * spelled as u32 })
            }
            _ => None,
        }
    }

    /// The address, if all of it is spelled.
    fn whole(self) -> Option<IpAddr> {
        let all = if self.address.is_ipv4() { 32 } else { 128 };
        (self.bits == all).then_some(self.address)
    }

    /// Whether an address begins so.
    fn begins(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u32::from(own) ^ u32::from(other)).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (u128::from(own) ^ u128::from(other)).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// The addresses whose name is `localhost.` (RFC 6761 section 6.3).
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
