//! From the meaning of a name to the sections of a response.

use std::fmt::Write as _;

use super::{
    Client, External, Need, Transport,
    names::{Chosen, Denier, Meaning, Reading},
    order::Scratch,
    server::{self, Fact},
};
use crate::{
    publish::snapshot::{Owner, Registrant, ServiceAnswers, Snapshot},
    wire::{
        code::{class, extended, rcode, rtype},
        query::{HEADER_BYTES, Query, Question},
        writer::{ExtendedError, Fixed, Flags, Writer},
    },
};

/// A question with all that its answer depends on.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub snapshot: &'a Snapshot,
    pub query: &'a Query,
    pub question: &'a Question,
    pub client: &'a Client,
    pub found: &'a [External],
    pub limit: usize,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// A response of so many bytes.
    Response(usize),
    /// Something must be found first; header and question are as they were.
    Need(Need),
}

/// A response in the making.
pub struct Response<'a> {
    pub asked: Asked<'a>,
    pub reading: Reading<'a>,
    pub may_recurse: bool,
    pub writer: Writer<'a>,
    pub scratch: &'a mut Scratch,
    pub flags: Flags,
    pub rcode: u16,
    pub extended: Option<u16>,
    /// Of RRsets that do not fit: how many records were written, and how many there are.
    pub left: (usize, usize),
    pub need: Option<Need>,
}

/// Where a name that is being answered stands: the question, or the end of an alias.
#[derive(Debug, Clone, Copy)]
pub struct Place<'q> {
    /// The name, type and class.
    pub question: &'q Question,
    /// Where it is spelled in the message.
    pub owner: usize,
}

impl Place<'_> {
    /// Where the name's labels from this one on are spelled in the message.
    pub fn offset(&self, first: usize) -> usize {
        self.owner + self.question.offset(first) - HEADER_BYTES
    }
}

/// Answers a question that the gate let in.
pub fn respond(asked: Asked<'_>, message: &mut [u8], scratch: &mut Scratch) -> Outcome {
    let Asked { snapshot, query, question, client, limit, .. } = asked;
    let may_recurse = snapshot.plan.may_recurse(client.address);
    let network = snapshot.names.client_network(client.address);
    scratch.begin(client.random, client.trail);
    let mut response = Response {
        asked,
        reading: Reading { snapshot, network },
        may_recurse,
        writer: Writer::new(message, question.end(), limit, query.edns.as_ref()).identify(identifier(snapshot)),
        scratch,
        flags: Flags { authoritative: true, recursion_available: may_recurse, truncated: false },
        rcode: rcode::NOERROR,
        extended: None,
        left: (0, 0),
        need: None,
    };
    let place = Place { question, owner: HEADER_BYTES };
    if question.class == class::CH {
        response.about_server(place);
    } else {
        let meaning = response.reading.meaning(question);
        response.answer(place, meaning);
    }
    match response.need.take() {
        Some(need) => Outcome::Need(need),
        None => Outcome::Response(response.finish()),
    }
}

/// Writes a response without records, for a query that may be malformed.
pub fn refuse(
    snapshot: &Snapshot,
    message: &mut [u8],
    query: &Query,
    client: &Client,
    (rcode, error, limit): (u16, Option<ExtendedError<'_>>, usize),
) -> usize {
    let end = query.question().map_or(HEADER_BYTES, Question::end);
    message[4..6].copy_from_slice(&u16::from(query.question().is_some()).to_be_bytes());
    let flags = Flags { recursion_available: snapshot.plan.may_recurse(client.address), ..Flags::default() };
    let mut writer = Writer::new(message, end, limit, query.edns.as_ref()).identify(identifier(snapshot));
    writer.finish(query.header, flags, rcode, query.edns.as_ref().map(|edns| (edns, error)))
}

/// What the server calls itself: its node's name, unless that is hidden.
fn identifier(snapshot: &Snapshot) -> &[u8] {
    let settings = &snapshot.settings;
    if settings.hide_version { &[] } else { settings.node.as_str().as_bytes() }
}

impl<'a> Response<'a> {
    fn finish(&mut self) -> usize {
        let query = self.asked.query;
        let error = self.extended.map(|code| ExtendedError { code, text: self.scratch.text.as_str() });
        self.writer.finish(query.header, self.flags, self.rcode, query.edns.as_ref().map(|edns| (edns, error)))
    }

    /// Answers a place whose meaning is known.
    pub fn answer(&mut self, place: Place<'_>, meaning: Meaning<'a>) {
        match meaning {
            Meaning::Service(chosen) => self.service(place, chosen),
            Meaning::Id { service, label, port, denier } => self.by_id(place, (service, label, port), denier),
            Meaning::Query(prepared, denier) => self.query(place, prepared, denier),
            Meaning::Node(node, denier) => self.node(place, node, denier),
            Meaning::Address(address, denier) => self.spelled_address(place, address, denier),
            Meaning::Apex(number, denier) => self.apex(place, number, denier),
            Meaning::Server(denier) => self.server_address(place, denier),
            Meaning::Reverse(owner) => self.reverse(place, owner),
            Meaning::ReverseLocalhost => self.reverse_localhost(place),
            Meaning::Localhost(denier) => self.localhost(place, denier),
            Meaning::Static(zone, lookup, denier) => self.static_answer(place, (zone, lookup), denier),
            Meaning::Empty(denier) => self.nodata(place, denier, None),
            Meaning::Unknown(denier) => self.unknown(place, denier),
            Meaning::Outside => self.outside(place),
            Meaning::NotOurs => self.not_ours(),
        }
        if self.extended.is_none() && self.rcode == rcode::NOERROR {
            self.mark_stale(meaning);
        }
    }

    /// Says so if what a name means may be out of date.
    pub fn mark_stale(&mut self, meaning: Meaning<'_>) {
        if self.is_held(meaning) {
            self.extended = Some(extended::STALE);
            self.scratch.text.clear();
            let _ = self.scratch.text.write_str("checks held: we may be cut off");
        } else if self.is_stale(meaning) {
            self.extended = Some(extended::STALE);
        }
    }

    /// Whether failures of what a name means are held back, because most checks failed at once.
    fn is_held(&self, meaning: Meaning<'_>) -> bool {
        let Asked { snapshot, .. } = self.asked;
        match meaning {
            _ if snapshot.held.is_none() => false,
            Meaning::Service(Chosen { service, .. }) | Meaning::Id { service, .. } => snapshot.is_held(&service.name),
            Meaning::Query(prepared, _) => snapshot.is_held(&prepared.service.name),
            _ => false,
        }
    }

    /// Whether what a name means was told by a source that is away for too long.
    fn is_stale(&self, meaning: Meaning<'_>) -> bool {
        let Asked { snapshot, .. } = self.asked;
        let tells = |service: &ServiceAnswers| snapshot.stale_origins().any(|origin| service.has_origin(origin));
        match meaning {
            _ if !snapshot.is_stale() => false,
            Meaning::Service(Chosen { service, .. }) | Meaning::Id { service, .. } => tells(service),
            Meaning::Query(prepared, _) => tells(prepared.service),
            Meaning::Reverse(Owner::Service(service)) => snapshot.names.answers_of(service).is_some_and(tells),
            Meaning::Static(zone, ..) => {
                zone.is_live() && snapshot.stale_origins().any(|origin| origin == Registrant::Registry)
            }
            // Nodes beside our own come from other machines and registries, and from the API.
            Meaning::Node(..) | Meaning::Reverse(Owner::Node(_)) => {
                snapshot.stale_origins().any(|origin| matches!(origin, Registrant::Cluster | Registrant::Registry))
            }
            _ => false,
        }
    }

    /// The instances of a service.
    pub fn service(&mut self, place: Place<'_>, chosen: Chosen<'a>) {
        if let Some(both) = chosen.both {
            return self.with_both(place, chosen, both);
        }
        if chosen.selection.is_empty() {
            return self.nobody(place, chosen);
        }
        if self.asked.snapshot.settings.near && matches!(place.question.rtype, rtype::A | rtype::AAAA | rtype::ANY) {
            return self.near_first(place, chosen);
        }
        let before = self.writer.count(crate::wire::writer::Section::Answer);
        let most = chosen.service.rule.max_answers;
        match place.question.rtype {
            rtype::A => self.addresses(place, chosen.selection.v4.best(), most),
            rtype::AAAA => self.addresses(place, chosen.selection.rest().v6.best(), most),
            rtype::ANY => {
                self.addresses(place, chosen.selection.v4.best(), most);
                self.addresses(place, chosen.selection.rest().v6.best(), most);
                self.any_other(place, chosen, before);
            }
            rtype::SRV => self.srv(place, super::srv::Members::Table(&chosen.selection.ported), chosen.denier),
            rtype::HTTPS => self.https(place, chosen.selection),
            rtype::TXT if self.asked.snapshot.settings.service_txt => self.service_texts(place, chosen),
            _ => {}
        }
        if self.wrote_nothing_since(before) && !self.flags.truncated {
            if let rtype::A | rtype::AAAA | rtype::ANY = place.question.rtype
                && !chosen.selection.rest().hosts.best().is_empty()
            {
                return self.host_of(place, chosen);
            }
            let ttl = chosen.service.rule.ttl_secs;
            self.nodata(place, chosen.denier, Some(ttl));
        }
    }

    /// What ANY gets where there are no addresses: the first other RRset that there is (RFC 8482 section 4.1).
    fn any_other(&mut self, place: Place<'_>, chosen: Chosen<'a>, before: u16) {
        if self.wrote_nothing_since(before) {
            self.srv(place, super::srv::Members::Table(&chosen.selection.ported), chosen.denier);
        }
        if self.wrote_nothing_since(before) {
            self.https(place, chosen.selection);
        }
        if self.wrote_nothing_since(before) && self.asked.snapshot.settings.service_txt {
            self.service_texts(place, chosen);
        }
    }

    /// Whether nothing was added to the answer section since it had so many records.
    pub fn wrote_nothing_since(&self, before: u16) -> bool {
        self.writer.count(crate::wire::writer::Section::Answer) == before
    }

    /// Nobody of a known service is eligible, or nobody of those that were asked for.
    pub fn nobody(&mut self, place: Place<'_>, chosen: Chosen<'a>) {
        let service = chosen.service;
        let _ = match service.views(self.reading.network).eligible.all.len() {
            0 if service.eligible > 0 => {
                let (name, eligible) = (&service.name, service.eligible);
                write!(self.scratch.text, "{name}: {eligible} passing, none with an address for this client")
            }
            0 => write!(self.scratch.text, "{}: {} registered, 0 passing", service.name, service.registered),
            others => write!(
                self.scratch.text,
                "{}: {} registered, {others} eligible, none of them as asked",
                service.name, service.registered
            ),
        };
        self.extended = Some(extended::OTHER);
        if service.rule.none_eligible == crate::publish::snapshot::NoneEligible::Nxdomain {
            self.nxdomain(place, chosen.denier);
        } else {
            self.nodata(place, chosen.denier, Some(service.rule.ttl_secs));
        }
    }

    /// A name that nothing gives a meaning. While not all is known yet, that is not known either.
    fn unknown(&mut self, place: Place<'_>, denier: Denier) {
        let of_catalog = matches!(denier, Denier::Domain { .. } | Denier::Nobody);
        if of_catalog && !self.asked.snapshot.is_synced() {
            return self.not_ready();
        }
        if let Denier::Domain { number, .. } = denier
            && self.falls_through(number)
        {
            return self.outside(place);
        }
        self.nxdomain(place, denier);
        if of_catalog && self.asked.snapshot.is_stale() {
            self.extended = Some(extended::STALE_NXDOMAIN);
        }
    }

    /// What is not known yet is not denied either.
    pub fn not_ready(&mut self) {
        self.flags.authoritative = false;
        self.rcode = rcode::SERVFAIL;
        self.extended = Some(extended::NOT_READY);
        let _ = self.scratch.text.write_str("not all sources have delivered their first list");
    }

    /// Whether names of a domain that we do not know are asked elsewhere, for this client.
    pub fn falls_through(&self, number: usize) -> bool {
        self.asked.snapshot.plan.domain(number).falls_through && self.may_forward()
    }

    fn may_forward(&self) -> bool {
        self.may_recurse && self.asked.query.header.recursion_desired
    }

    /// A name of others: asked upstream, if the client may have that.
    pub fn outside(&mut self, place: Place<'_>) {
        if !self.may_recurse {
            return self.refused(extended::PROHIBITED);
        }
        if !self.asked.query.header.recursion_desired {
            return self.refused(extended::NOT_AUTHORITATIVE);
        }
        debug_assert_eq!(place.owner, HEADER_BYTES, "aliases of others are resolved, not forwarded");
        self.need = Some(Need::Forward);
    }

    fn not_ours(&mut self) {
        self.refused(extended::NOT_AUTHORITATIVE);
    }

    fn refused(&mut self, extended: u16) {
        self.flags.authoritative = false;
        self.rcode = rcode::REFUSED;
        self.extended = Some(extended);
    }

    /// Bytes that are kept free where not everything fits, so that the extended error can say so.
    pub fn room_for_error(&self) -> usize {
        let says = self.asked.client.transport == Transport::Tcp && self.asked.query.edns.is_some();
        if says { ERROR_BYTES.min(self.writer.room()) } else { 0 }
    }

    /// What is not everything: over TCP the text of the extended error says so, over UDP the TC bit does.
    pub fn cut(&mut self, written: usize, all: usize) {
        if self.asked.client.transport == Transport::Tcp {
            self.extended = Some(extended::OTHER);
            // ANY has two RRsets of which either may not fit.
            self.left = (self.left.0 + written, self.left.1 + all);
            self.scratch.text.clear();
            let _ = write!(self.scratch.text, "{} of {}", self.left.0, self.left.1);
        } else {
            self.flags.truncated = true;
        }
    }

    /// What the server tells about itself (RFC 4892).
    fn about_server(&mut self, place: Place<'_>) {
        let text = match server::fact(place.question) {
            Some(Fact::Version) => server::VERSION,
            Some(Fact::Identity) => self.asked.snapshot.settings.node.as_str(),
            // The gate lets no other name of this class in.
            None => return self.refused(extended::NOT_SUPPORTED),
        };
        if matches!(place.question.rtype, rtype::TXT | rtype::ANY) {
            let text = &text.as_bytes()[..text.len().min(255)];
            let fixed = Fixed { kind: rtype::TXT, class: class::CH, ttl: 0 };
            let _ = self.writer.record(place.owner, fixed, &[&[text.len() as u8], text]);
        }
    }
}

/// An extended error option that tells two numbers. Source: RFC 8914 section 2.
const ERROR_BYTES: usize = 32;
