//! Reading a name of services: which service it is, and which of its instances.
//!
//! | labels left of the kind | instances |
//! |---|---|
//! | `web` | all |
//! | `<tag>.web`, `_web._<tag>` | those with the tag |
//! | `_web._tcp`, `_web._udp` | all; `_udp` those with the tag `udp` if there are any |
//! | `_<port>._tcp.web`, `_<port>._udp.web` | those with the named port |
//! | `<id>._id.web` | those with the service ID |

use super::names::{Both, Chosen, Denier, Meaning, Reading, Rest};
use crate::{
    publish::snapshot::{Found, FoundService, GroupKind, SERVICE_LABELS_MAX, ServiceAnswers, View, has_port, has_tag},
    wire::{name::LABEL_MAX_BYTES, query::Question},
};

/// Which tag is wanted.
#[derive(Debug, Clone, Copy)]
struct Wanted<'q> {
    tag: &'q [u8],
    at: (usize, usize),
    underscored: bool,
}

impl<'s> Reading<'s> {
    /// A name below `service`.
    pub fn in_services(&self, question: &Question, rest: Rest) -> Meaning<'s> {
        if rest.end == 0 {
            return Meaning::Empty(rest.denier);
        }
        let names = &self.snapshot.names;
        match self.rfc2782(question, rest) {
            Some(Meaning::Unknown(denier)) if self.has_below(question, rest) => return Meaning::Empty(denier),
            Some(meaning) => return meaning,
            None => {}
        }
        let (mut meaning, mut is_above) = (Meaning::Unknown(rest.denier), self.is_above_pairs(question, rest));
        for start in rest.end.saturating_sub(SERVICE_LABELS_MAX)..rest.end {
            match names.service(question.labels(start, rest.end)) {
                FoundService::Service(service) => {
                    meaning = self.of_service(question, service, start, rest);
                    break;
                }
                FoundService::Below { .. } if start == 0 => {
                    is_above |= matches!(self.below(question, rest), Meaning::Empty(_));
                }
                FoundService::Below { .. } | FoundService::Nothing => {}
            }
        }
        match meaning {
            Meaning::Unknown(denier) if is_above => Meaning::Empty(denier),
            meaning => meaning,
        }
    }

    /// Whether the name is one label, and the second of an RFC 2782 form.
    fn is_above_pairs(&self, question: &Question, rest: Rest) -> bool {
        let names = &self.snapshot.names;
        let Some(filter) = question.label(0).strip_prefix(b"_").filter(|_| rest.end == 1) else { return false };
        let mut buffer = [0; LABEL_MAX_BYTES + 1];
        let is_filter = match filter {
            b"tcp" | b"udp" => names.has_singles(),
            tag => names.has_word(GroupKind::Tag, with_length(tag, &mut buffer)),
        };
        is_filter && rest.port.is_none_or(|port| names.has_port_below(question.labels(port, port + 1), &[]))
    }

    /// A name that is no service, or not one with the named port, but has services below it.
    fn below(&self, question: &Question, rest: Rest) -> Meaning<'s> {
        let exists = rest.port.is_none_or(|port| {
            self.snapshot.names.has_port_below(question.labels(port, port + 1), question.labels(0, rest.end))
        });
        if exists { Meaning::Empty(rest.denier) } else { Meaning::Unknown(rest.denier) }
    }

    /// Whether names lie below `_a._b`, which is nothing of itself: those of a service `x._a._b`, or of a service `_b`
    /// with a named port, an ID or a tag.
    fn has_below(&self, question: &Question, rest: Rest) -> bool {
        let below = match self.snapshot.names.service(question.labels(0, rest.end)) {
            FoundService::Below { .. } if rest.end == 2 => self.below(question, rest),
            _ => Meaning::Unknown(rest.denier),
        };
        let left_of = match self.snapshot.names.service(question.labels(rest.end - 1, rest.end)) {
            FoundService::Service(service) if rest.end == 2 => self.of_service(question, service, 1, rest),
            _ => Meaning::Unknown(rest.denier),
        };
        matches!(below, Meaning::Empty(_)) || matches!(left_of, Meaning::Empty(_))
    }

    /// `_web._tcp`, `_web._blue`: none if the labels are not of that form.
    pub fn rfc2782(&self, question: &Question, rest: Rest) -> Option<Meaning<'s>> {
        let names = &self.snapshot.names;
        let mut buffer = [0; LABEL_MAX_BYTES + 1];
        if rest.end != 2 {
            return None;
        }
        let (service, filter) = (question.label(0).strip_prefix(b"_")?, question.label(1).strip_prefix(b"_")?);
        let FoundService::Service(service) = names.service(with_length(service, &mut buffer)) else {
            return Some(Meaning::Unknown(rest.denier));
        };
        if filter == b"tcp" {
            return Some(self.service(question, service, rest));
        }
        let tag = with_length(filter, &mut buffer);
        let found = service.views(self.network).eligible.group(names.seed(), GroupKind::Tag, tag);
        Some(match (filter, found) {
            (b"udp", Found::Nothing | Found::Below) => self.service(question, service, rest),
            (_, Found::Members(_)) => {
                self.tagged(question, service, Wanted { tag, at: (1, 2), underscored: true }, rest)
            }
            _ => Meaning::Unknown(rest.denier),
        })
    }

    /// What is left of a service's name says which of its instances.
    fn of_service(&self, question: &Question, service: &'s ServiceAnswers, start: usize, rest: Rest) -> Meaning<'s> {
        if start == 0 {
            return match self.service(question, service, rest) {
                Meaning::Unknown(_) if rest.port.is_some() => self.below(question, rest),
                meaning => meaning,
            };
        }
        match question.label(start - 1) {
            b"_id" => self.of_id(question, service, start, rest),
            b"_tcp" | b"_udp" if start <= 2 => self.of_port(question, service, start, rest),
            _ => {
                let wanted = Wanted { tag: question.labels(0, start), at: (0, start), underscored: false };
                self.tagged(question, service, wanted, rest)
            }
        }
    }

    /// `<id>._id` left of a service.
    fn of_id(&self, question: &Question, service: &'s ServiceAnswers, start: usize, rest: Rest) -> Meaning<'s> {
        let seed = self.snapshot.names.seed();
        let port = rest.port.map(|at| question.labels(at, at + 1));
        let group = port.map(|port| service.views(self.network).eligible.group(seed, GroupKind::Port, port));
        match (start, group) {
            (1, None | Some(Found::Members(_))) => Meaning::Empty(rest.denier),
            (2, _) => {
                let mut instances = service.by_id(seed, question.labels(0, 1));
                let exists = instances.any(|instance| port.is_none_or(|port| has_port(instance, port)));
                if exists {
                    Meaning::Id { service, label: 0, port: rest.port, denier: rest.denier }
                } else {
                    Meaning::Unknown(rest.denier)
                }
            }
            _ => Meaning::Unknown(rest.denier),
        }
    }

    /// `_<port>._tcp` left of a service.
    fn of_port(&self, question: &Question, service: &'s ServiceAnswers, start: usize, rest: Rest) -> Meaning<'s> {
        let unknown = Meaning::Unknown(rest.denier);
        if rest.port.is_some() {
            return unknown;
        }
        if start == 1 {
            let has_ports = service.views(self.network).eligible.has_ports();
            return if has_ports { Meaning::Empty(rest.denier) } else { unknown };
        }
        let Some(port) = question.label(0).strip_prefix(b"_") else { return unknown };
        let mut buffer = [0; LABEL_MAX_BYTES + 1];
        let port = with_length(port, &mut buffer);
        let seed = self.snapshot.names.seed();
        self.members(service, rest.denier, |view| view.group(seed, GroupKind::Port, port))
    }

    /// The instances with a tag, and with the named port of the location if there is one.
    fn tagged(&self, question: &Question, service: &'s ServiceAnswers, wanted: Wanted<'_>, rest: Rest) -> Meaning<'s> {
        let seed = self.snapshot.names.seed();
        let tag = wanted.tag;
        let Some(port) = rest.port else {
            return match service.views(self.network).eligible.group(seed, GroupKind::Tag, tag) {
                Found::Members(_) => self.members(service, rest.denier, |view| view.group(seed, GroupKind::Tag, tag)),
                Found::Below => Meaning::Empty(rest.denier),
                Found::Nothing => Meaning::Unknown(rest.denier),
            };
        };
        let label = question.labels(port, port + 1);
        let exact = service.instances().any(|instance| has_tag(instance, tag) && has_port(instance, label));
        if exact {
            let both = Both { tag: wanted.at, underscored: wanted.underscored, port };
            let selection = &service.views(self.network).eligible.all;
            return Meaning::Service(Chosen { service, selection, both: Some(both), denier: rest.denier });
        }
        let below = !wanted.underscored && service.has_below(tag, label);
        if below { Meaning::Empty(rest.denier) } else { Meaning::Unknown(rest.denier) }
    }

    /// A service as a whole, or those of its instances that have the named port of the location.
    fn service(&self, question: &Question, service: &'s ServiceAnswers, rest: Rest) -> Meaning<'s> {
        let seed = self.snapshot.names.seed();
        match rest.port {
            None => self.whole(service, rest.denier),
            Some(at) => self
                .members(service, rest.denier, |view| view.group(seed, GroupKind::Port, question.labels(at, at + 1))),
        }
    }

    /// A service as a whole.
    pub fn whole(&self, service: &'s ServiceAnswers, denier: Denier) -> Meaning<'s> {
        self.members(service, denier, |view| Found::Members(&view.all))
    }

    /// The instances of a service, for who chooses among them.
    pub fn chosen(&self, service: &'s ServiceAnswers, denier: Denier) -> Chosen<'s> {
        let views = service.views(self.network);
        let selection = match &views.everyone {
            Some(everyone) if views.eligible.all.is_empty() => &everyone.all,
            _ => &views.eligible.all,
        };
        Chosen { service, selection, both: None, denier }
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
        Meaning::Service(Chosen { service, selection, both: None, denier })
    }

    /// A name without a kind: `web.D`, `_web._tcp.D`, `ns.D`.
    pub fn short(&self, question: &Question, first: usize, denier: Denier) -> Meaning<'s> {
        if first == 1 && question.label(0) == b"ns" {
            return Meaning::Server(denier);
        }
        if question.label(first - 1).first() == Some(&b'_') {
            let rest = Rest { end: first, port: None, denier };
            return match self.rfc2782(question, rest) {
                Some(meaning) => meaning,
                None if self.is_above_pairs(question, rest) => Meaning::Empty(denier),
                None => Meaning::Unknown(denier),
            };
        }
        if first > SERVICE_LABELS_MAX || (0..first).any(|at| question.label(at).first() == Some(&b'_')) {
            return Meaning::Unknown(denier);
        }
        match self.snapshot.names.service(question.labels(0, first)) {
            FoundService::Service(service) => self.whole(service, denier),
            FoundService::Below { short: true } => Meaning::Empty(denier),
            FoundService::Below { short: false } | FoundService::Nothing => Meaning::Unknown(denier),
        }
    }
}

/// A label with its length byte before it.
pub fn with_length<'b>(label: &[u8], buffer: &'b mut [u8; LABEL_MAX_BYTES + 1]) -> &'b [u8] {
    buffer[0] = label.len() as u8;
    buffer[1..=label.len()].copy_from_slice(label);
    &buffer[..=label.len()]
}
