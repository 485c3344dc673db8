//! Reading a name: what it means in terms of zones and the catalog. Nothing is written here.
//!
//! Labels left of the domain are read from the right: a location, the kind, the rest. See DNS.md "Names".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    publish::snapshot::{
        Found, FoundNode, FoundService, GroupKind, IpNetwork, Lookup, NodeAnswers, Origin, Owner, SERVICE_LABELS_MAX,
        Selection, ServiceAnswers, Snapshot, View, Zone,
    },
    wire::{code::rtype, name::LABEL_MAX_BYTES, query::Question},
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
    /// Whether they must also have the tag that the question's labels from this one to that one name.
    pub tag: Option<(usize, usize)>,
    /// Who denies what they lack.
    pub denier: Denier,
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
        match self.snapshot.plan.origin(question) {
            Some((first, Origin::Domain(number))) => self.in_domain(question, *number, first),
            Some((first, Origin::Zone(zone))) => {
                if let Some(reverse) = self.reverse_beside(question, zone) {
                    return reverse;
                }
                Meaning::Static(zone, zone.lookup(question.name(), question.rtype), Denier::Zone { first })
            }
            Some((_, Origin::Forward)) => self.outside(),
            None => self.elsewhere(question),
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
            b"arpa" => return self.in_arpa(question),
            _ => {}
        }
        if labels > 1 {
            return self.outside();
        }
        if let FoundService::Service(service) = self.snapshot.names.service(question.labels(0, 1)) {
            return self.service(service, None, Denier::Itself);
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
        if labels >= 2 && question.label(labels - 2) == b"resolver" {
            return Meaning::Unknown(Denier::EmptyZone { first: labels - 2 });
        }
        if let Some(meaning) = reverse_address(question).and_then(|address| self.reverse(address)) {
            return meaning;
        }
        if self.snapshot.settings.forwarding {
            return Meaning::Outside;
        }
        match super::server::empty_reverse_zone(question) {
            Some(first) if first == 0 => Meaning::Empty(Denier::EmptyZone { first }),
            Some(first) => Meaning::Unknown(Denier::EmptyZone { first }),
            None => Meaning::NotOurs,
        }
    }

    fn reverse(&self, address: IpAddr) -> Option<Meaning<'s>> {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        if loopback.contains(&address) {
            return Some(Meaning::ReverseLocalhost);
        }
        let names = &self.snapshot.names;
        names.reverse.owner(names.seed(), address).map(Meaning::Reverse)
    }

    /// A static reverse zone keeps its records; catalog names are added where it has no such name.
    fn reverse_beside(&self, question: &Question, zone: &Zone) -> Option<Meaning<'s>> {
        let address = reverse_address(question)?;
        if zone.node(question.name()).is_some() {
            return None;
        }
        self.reverse(address)
    }

    fn in_domain(&self, question: &Question, number: usize, first: usize) -> Meaning<'s> {
        let denier = Denier::Domain { number, first };
        if first == 0 {
            return Meaning::Apex(number, denier);
        }
        let ours = match self.located(question, first) {
            Located::Kind { kind, at, port } => return self.of_kind(question, kind, Rest { end: at, port, denier }),
            Located::Nowhere => return Meaning::Unknown(denier),
            Located::Between => return Meaning::Empty(denier),
            Located::Short => self.short(question, first, denier),
        };
        self.beside_zone(question, number, denier, ours)
    }

    /// What a name without a kind means if the static zone that adds to the domain has it, or else what it means to us.
    fn beside_zone(&self, question: &Question, number: usize, denier: Denier, ours: Meaning<'s>) -> Meaning<'s> {
        let Some(zone) = self.snapshot.plan.domain(number).zone.as_deref() else { return ours };
        let Denier::Domain { first, .. } = denier else { return ours };
        let lookup = zone.lookup(question.name(), question.rtype);
        let has_records = match &lookup {
            Lookup::Referral(_) => true,
            Lookup::Nxdomain { .. } => false,
            Lookup::Answer(found, _) | Lookup::Cname(found, _) | Lookup::Any(found) | Lookup::Nodata(found) => {
                !found.is_synthesised && !found.node.is_empty_non_terminal()
            }
        };
        if has_records {
            return Meaning::Static(zone, lookup, denier);
        }
        match (ours, lookup) {
            (Meaning::Unknown(_), Lookup::Nxdomain { .. }) => Meaning::Unknown(denier),
            // A name of ours between the wildcard and this one is its closest encloser (RFC 4592 section 3.3.1).
            (Meaning::Unknown(_), _) if first > 1 && self.is_known_below_apex(question, first) => {
                Meaning::Unknown(denier)
            }
            (Meaning::Unknown(_), lookup) => Meaning::Static(zone, lookup, denier),
            (ours, _) => ours,
        }
    }

    /// Whether the name one label below the apex, above the question's, is one of ours.
    fn is_known_below_apex(&self, question: &Question, first: usize) -> bool {
        let label = question.labels(first - 1, first);
        !matches!(self.snapshot.names.service(label), FoundService::Nothing)
    }

    /// What stands between the domain and the rest of the name.
    fn located(&self, question: &Question, first: usize) -> Located {
        let plan = &self.snapshot.plan;
        let names = &self.snapshot.names;
        let kind_at = (0..first).rev().find(|at| Kind::of(question.label(*at)).is_some());
        let mut end = first;
        let mut port = None;
        let mut datacenter = false;
        let stop = kind_at.map_or(0, |at| at + 1);
        while end > stop {
            let label = question.label(end - 1);
            let pair = end - 1 > stop;
            if label == b"dc" && !datacenter {
                if pair {
                    if question.labels(end - 2, end - 1) != &*plan.datacenter {
                        return Located::Nowhere;
                    }
                    end -= 2;
                } else if kind_at.is_none() && end == 1 {
                    return Located::Between;
                } else {
                    return Located::Nowhere;
                }
                datacenter = true;
            } else if label == b"port" && port.is_none() && (kind_at.is_some() || names.has_ports()) {
                if pair {
                    if !names.has_word(GroupKind::Port, question.labels(end - 2, end - 1)) {
                        return Located::Nowhere;
                    }
                    port = Some(end - 2);
                    end -= 2;
                } else if kind_at.is_none() && end == 1 {
                    return Located::Between;
                } else {
                    return Located::Nowhere;
                }
            } else if question.labels(end - 1, end) == &*plan.datacenter && !datacenter {
                datacenter = true;
                end -= 1;
            } else if kind_at.is_none() && end == first {
                return Located::Short;
            } else {
                return Located::Nowhere;
            }
        }
        match kind_at {
            Some(at) => match Kind::of(question.label(at)) {
                Some(kind) => Located::Kind { kind, at, port },
                None => Located::Nowhere,
            },
            // Nothing but a location: names below it exist.
            None => Located::Between,
        }
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
            Kind::Addr if rest.end == 1 => {
                spelled_address(question.label(0)).map_or(unknown, |address| Meaning::Address(address, rest.denier))
            }
            Kind::Addr => unknown,
        }
    }

    /// A name below `service`.
    fn in_services(&self, question: &Question, rest: Rest) -> Meaning<'s> {
        if rest.end == 0 {
            return Meaning::Empty(rest.denier);
        }
        if let Some(meaning) = self.rfc2782(question, rest) {
            return meaning;
        }
        let mut nearest = None;
        for start in rest.end.saturating_sub(SERVICE_LABELS_MAX)..rest.end {
            match self.snapshot.names.service(question.labels(start, rest.end)) {
                FoundService::Service(service) => return self.of_service(question, service, start, rest),
                FoundService::Below if start == 0 => return Meaning::Empty(rest.denier),
                FoundService::Below => nearest = nearest.or(Some(start)),
                FoundService::Nothing => {}
            }
        }
        match self.wildcard(question, rest.denier) {
            // A name between would be its closest encloser (RFC 4592 section 3.3.1).
            Some(meaning) if nearest.is_none() && rest.port.is_none() => meaning,
            _ => Meaning::Unknown(rest.denier),
        }
    }

    /// `*.service.D` of the static zone that adds to the domain, for a service that nobody registered.
    fn wildcard(&self, question: &Question, denier: Denier) -> Option<Meaning<'s>> {
        let Denier::Domain { number, .. } = denier else { return None };
        let zone = self.snapshot.plan.domain(number).zone.as_deref()?;
        let lookup = zone.lookup(question.name(), question.rtype);
        (!matches!(lookup, Lookup::Nxdomain { .. })).then_some(Meaning::Static(zone, lookup, denier))
    }

    /// `_web._tcp`, `_web._blue`: none if the labels are not of that form.
    fn rfc2782(&self, question: &Question, rest: Rest) -> Option<Meaning<'s>> {
        let names = &self.snapshot.names;
        if rest.end == 1 {
            let filter = question.label(0).strip_prefix(b"_")?;
            let exists = match filter {
                b"tcp" | b"udp" => names.has_services(),
                tag => {
                    let mut buffer = [0; LABEL_MAX_BYTES + 1];
                    names.has_word(GroupKind::Tag, with_length(tag, &mut buffer))
                }
            };
            return exists.then_some(Meaning::Empty(rest.denier));
        }
        let (service, filter) = (question.label(0).strip_prefix(b"_")?, question.label(1).strip_prefix(b"_")?);
        if rest.end != 2 || service.is_empty() {
            return None;
        }
        let mut buffer = [0; LABEL_MAX_BYTES + 1];
        let FoundService::Service(service) = names.service(with_length(service, &mut buffer)) else {
            return Some(self.wildcard(question, rest.denier).unwrap_or(Meaning::Unknown(rest.denier)));
        };
        let tag = with_length(filter, &mut buffer);
        let found = service.views(self.network).eligible.group(names.seed(), GroupKind::Tag, tag);
        Some(match (filter, found) {
            (b"tcp", _) => self.service(service, rest.port.map(|at| (question, at)), rest.denier),
            (b"udp", Found::Nothing | Found::Below) => {
                self.service(service, rest.port.map(|at| (question, at)), rest.denier)
            }
            (_, Found::Members(_)) => {
                self.grouped(question, service, Wanted { tag: Some(tag), at: Some((1, 2)) }, rest)
            }
            _ => Meaning::Unknown(rest.denier),
        })
    }

    /// What is left of a service's name says which of its instances.
    fn of_service(&self, question: &Question, service: &'s ServiceAnswers, start: usize, rest: Rest) -> Meaning<'s> {
        let (unknown, empty) = (Meaning::Unknown(rest.denier), Meaning::Empty(rest.denier));
        let seed = self.snapshot.names.seed();
        if start == 0 {
            return self.service(service, rest.port.map(|at| (question, at)), rest.denier);
        }
        let view = &service.views(self.network).eligible;
        let last = question.label(start - 1);
        if last == b"_id" {
            return match start {
                1 => empty,
                2 if service.by_id(seed, question.labels(0, 1)).next().is_some() => {
                    Meaning::Id { service, label: 0, port: rest.port, denier: rest.denier }
                }
                _ => unknown,
            };
        }
        if (last == b"_tcp" || last == b"_udp") && start <= 2 {
            if start == 1 {
                return if view.has_ports() { empty } else { unknown };
            }
            if let (Some(port), None) = (question.label(0).strip_prefix(b"_"), rest.port) {
                let mut buffer = [0; LABEL_MAX_BYTES + 1];
                let port = with_length(port, &mut buffer);
                return match view.group(seed, GroupKind::Port, port) {
                    Found::Members(_) => {
                        self.members(service, rest.denier, |view| view.group(seed, GroupKind::Port, port))
                    }
                    _ => unknown,
                };
            }
            return unknown;
        }
        let wanted = Wanted { tag: Some(question.labels(0, start)), at: Some((0, start)) };
        self.grouped(question, service, wanted, rest)
    }

    /// The instances with a tag, and with the named port of the location if there is one.
    fn grouped(&self, question: &Question, service: &'s ServiceAnswers, wanted: Wanted<'_>, rest: Rest) -> Meaning<'s> {
        let seed = self.snapshot.names.seed();
        let view = &service.views(self.network).eligible;
        let Some(tag) = wanted.tag else { return Meaning::Unknown(rest.denier) };
        match (view.group(seed, GroupKind::Tag, tag), rest.port) {
            (Found::Nothing, _) => Meaning::Unknown(rest.denier),
            (Found::Below, _) => Meaning::Empty(rest.denier),
            (Found::Members(_), None) => {
                self.members(service, rest.denier, |view| view.group(seed, GroupKind::Tag, tag))
            }
            (Found::Members(_), Some(port)) => {
                let both = self.service(service, Some((question, port)), rest.denier);
                match (both, wanted.at) {
                    (Meaning::Service(chosen), Some(at)) => Meaning::Service(Chosen { tag: Some(at), ..chosen }),
                    (other, _) => other,
                }
            }
        }
    }

    /// A service as a whole, or those of its instances that have the named port at this label of the question.
    fn service(&self, service: &'s ServiceAnswers, port: Option<(&Question, usize)>, denier: Denier) -> Meaning<'s> {
        let seed = self.snapshot.names.seed();
        match port {
            None => self.members(service, denier, |view| Found::Members(&view.all)),
            Some((question, at)) => {
                self.members(service, denier, |view| view.group(seed, GroupKind::Port, question.labels(at, at + 1)))
            }
        }
    }

    /// The eligible members of a group, or everyone in it if nobody is eligible and that is wanted.
    fn members(
        &self,
        service: &'s ServiceAnswers,
        denier: Denier,
        group: impl Fn(&'s View) -> Found<'s>,
    ) -> Meaning<'s> {
        let views = service.views(self.network);
        let Found::Members(mut selection) = group(&views.eligible) else { return Meaning::Unknown(denier) };
        if selection.is_empty()
            && let Some(everyone) = &views.everyone
            && let Found::Members(all) = group(everyone)
        {
            selection = all;
        }
        Meaning::Service(Chosen { service, selection, tag: None, denier })
    }

    /// A name without a kind: `web.D`, `_web._tcp.D`, `ns.D`.
    fn short(&self, question: &Question, first: usize, denier: Denier) -> Meaning<'s> {
        if first == 1 && question.label(0) == b"ns" {
            return Meaning::Server(denier);
        }
        let rest = Rest { end: first, port: None, denier };
        if question.label(first - 1).first() == Some(&b'_') {
            return self.rfc2782(question, rest).unwrap_or(Meaning::Unknown(denier));
        }
        if first > SERVICE_LABELS_MAX {
            return Meaning::Unknown(denier);
        }
        match self.snapshot.names.service(question.labels(0, first)) {
            FoundService::Service(service) => self.service(service, None, denier),
            FoundService::Below => Meaning::Empty(denier),
            FoundService::Nothing => Meaning::Unknown(denier),
        }
    }
}

/// What a name under a kind still has to say.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// The kind's label: what is left of it is the rest.
    end: usize,
    /// The label of the named port in the location.
    port: Option<usize>,
    denier: Denier,
}

/// Which tag is wanted.
#[derive(Debug, Clone, Copy)]
struct Wanted<'q> {
    tag: Option<&'q [u8]>,
    at: Option<(usize, usize)>,
}

enum Located {
    /// The kind is at this label; a named port's label, if the location has one.
    Kind { kind: Kind, at: usize, port: Option<usize> },
    /// A location that is not there.
    Nowhere,
    /// A name that only has names below it.
    Between,
    /// Neither location nor kind.
    Short,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Service,
    Node,
    Addr,
    /// Consul's kinds that we do not have.
    Foreign,
}

impl Kind {
    fn of(label: &[u8]) -> Option<Kind> {
        match label {
            b"service" => Some(Kind::Service),
            b"node" => Some(Kind::Node),
            b"addr" => Some(Kind::Addr),
            b"query" | b"connect" | b"ingress" | b"virtual" => Some(Kind::Foreign),
            _ => None,
        }
    }
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

/// The address whose reverse name this is (RFC 1035 section 3.5, RFC 3596 section 2.5).
fn reverse_address(question: &Question) -> Option<IpAddr> {
    let labels = question.label_count();
    if labels == 6 && question.labels(4, 6) == b"\x07in-addr\x04arpa" {
        let mut octets = [0; 4];
        for (at, octet) in octets.iter_mut().rev().enumerate() {
            let text = std::str::from_utf8(question.label(at)).ok()?;
            // One spelling each: no leading zeros, no sign.
            let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
            *octet = text.parse().ok().filter(|_| plain)?;
        }
        return Some(IpAddr::from(octets));
    }
    if labels == 34 && question.labels(32, 34) == b"\x03ip6\x04arpa" {
        let mut number: u128 = 0;
        for at in (0..32).rev() {
            let [digit] = question.label(at) else { return None };
            number = number << 4 | u128::from((*digit as char).to_digit(16)?);
        }
        return Some(Ipv6Addr::from(number).into());
    }
    None
}

/// A label with its length byte before it.
fn with_length<'b>(label: &[u8], buffer: &'b mut [u8; LABEL_MAX_BYTES + 1]) -> &'b [u8] {
    buffer[0] = label.len() as u8;
    buffer[1..=label.len()].copy_from_slice(label);
    &buffer[..=label.len()]
}
