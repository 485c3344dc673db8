//! Names of prepared queries, and what they answer.
//!
//! | labels left of `query` | the query |
//! |---|---|
//! | `geo-web`, `geo.web` | of this name or ID, else the template with the longest name that this one begins with |
//! | `_geo-web._tcp` | the same; what the last label says is not looked at |
//!
//! A name exists if its query chooses from a service that is registered; it is then answered as the service's name is, by those
//! of its instances that the query chooses.
//!
//! **Limits:** `Near` and `Failover` are not looked at. A query that does not choose just as its service's name does costs
//! O(instances of the service), one that ignores checks allocates. Above names that a template alone gives, only those are known to
//! exist below which services are.
//!
//! **Source:** Consul's DNS interface, "Prepared Query Lookups".

use std::sync::Arc;

use super::{
    addresses::Manner,
    names::{Denier, Meaning, Prepared, QueryName, Reading, Rest},
    respond::{Asked, Place, Response},
};
use crate::{
    publish::snapshot::{CheckStatus, Filling, FoundService, Instance, Member, Presence},
    wire::{name::NAME_MAX_BYTES, query::Question},
};

impl<'s> Reading<'s> {
    /// A name below `query`, of at least one label.
    pub fn in_queries(&self, question: &Question, rest: Rest) -> Meaning<'s> {
        let underscored = |at: usize| question.label(at).first() == Some(&b'_');
        let name = match rest.end > 1 && underscored(0) && underscored(rest.end - 1) {
            true => QueryName { labels: rest.end - 1, underscored: true },
            false => QueryName { labels: rest.end, underscored: false },
        };
        match self.prepared(question, name) {
            Some(prepared) => Meaning::Query(prepared, rest.denier),
            None if self.is_above_queries(question, rest.end) => Meaning::Empty(rest.denier),
            None => Meaning::Unknown(rest.denier),
        }
    }

    fn prepared(&self, question: &Question, name: QueryName) -> Option<Prepared<'s>> {
        let mut buffer = [0; NAME_MAX_BYTES];
        let text = name.spell(question, &mut buffer)?;
        let query = &*self.snapshot.store.find_query_in_lower_case(text)?.query;
        let mut buffer = [0; NAME_MAX_BYTES];
        let service = Filling::new(query, text).text_in(&query.service, &mut buffer)?;
        Some(Prepared { query, service: self.snapshot.names.service_called(service)?, name })
    }

    /// Whether queries have names below these first labels of a question.
    fn is_above_queries(&self, question: &Question, labels: usize) -> bool {
        let store = &self.snapshot.store;
        let below = |labels: usize| {
            let mut buffer = [0; NAME_MAX_BYTES];
            // An empty one last, so that a dot comes after what is looked for.
            let reversed = (0..labels).rev().map(|at| question.label(at)).chain([&b""[..]]);
            spell(reversed, &mut buffer).is_some_and(|reversed| store.has_query_below(reversed))
        };
        let is_protocol = question.label(labels - 1).first() == Some(&b'_');
        let services = || self.snapshot.names.service(question.labels(0, labels));
        below(labels)
            || (is_protocol && labels == 1 && store.query_count() > 0)
            || (is_protocol && labels > 1 && below(labels - 1))
            || (store.has_templates() && matches!(services(), FoundService::Below { .. }))
    }

    /// The instances that a query takes though others do not, because it ignores checks, each with the status that is left.
    pub fn ignoring(
        &self,
        prepared: Prepared<'s>,
        filling: &Filling<'_>,
    ) -> impl Iterator<Item = (&'s Arc<Instance>, Presence, CheckStatus)> {
        let Prepared { query, service, .. } = prepared;
        let catalog = &self.snapshot.catalog;
        let registered = service.instances().filter(|_| !query.ignore_check_ids.is_empty());
        registered.filter_map(move |instance| {
            let node = catalog.node(&instance.node)?;
            let entry = catalog.instance_of(&instance.service, &instance.key())?;
            let status = query.status_of(node, entry);
            let taken = query.takes(status) && (status == CheckStatus::Passing || !service.rule.only_passing);
            (taken && filling.is_for(&node.node, instance)).then(|| (instance, Presence::of(entry, node), status))
        })
    }

    /// The members that a query chooses without looking aside; where there are none, of everyone, if that is wanted.
    pub fn members_of_query(&self, prepared: Prepared<'s>, filling: &Filling<'_>, members: &mut Vec<&'s Member>) {
        let Prepared { query, service, .. } = prepared;
        let views = service.views(self.network);
        let catalog = &self.snapshot.catalog;
        let is_for = |member: &&Member| {
            catalog.node(&member.instance.node).is_some_and(|node| filling.is_for(&node.node, &member.instance))
        };
        let is_taken = |member: &&Member| {
            let instance = &member.instance;
            let (node, entry) = (catalog.node(&instance.node), catalog.instance_of(&instance.service, &instance.key()));
            !query.only_passing
                || matches!((node, entry), (Some(node), Some(entry)) if query.takes(query.status_of(node, entry)))
        };
        if query.ignore_check_ids.is_empty() {
            members.extend(views.eligible.all.members().filter(is_for).filter(is_taken));
        }
        if members.is_empty()
            && let Some(everyone) = &views.everyone
        {
            members.extend(everyone.all.members().filter(is_for));
        }
    }
}

impl QueryName {
    /// The name as a query's; none if no query has such a name.
    pub fn spell<'b>(&self, question: &Question, buffer: &'b mut [u8; NAME_MAX_BYTES]) -> Option<&'b str> {
        let labels = (0..self.labels).map(|at| match question.label(at) {
            label if at == 0 && self.underscored => &label[1..],
            label => label,
        });
        spell(labels, buffer)
    }
}

/// Labels with dots between them; none if one of them has a dot in it, or they are no text.
fn spell<'q, 'b>(labels: impl Iterator<Item = &'q [u8]>, buffer: &'b mut [u8; NAME_MAX_BYTES]) -> Option<&'b str> {
    let mut length = 0;
    for label in labels {
        if label.contains(&b'.') {
            return None;
        }
        let out = buffer.get_mut(length..=length + label.len())?;
        out[..label.len()].copy_from_slice(label);
        out[label.len()] = b'.';
        length += label.len() + 1;
    }
    std::str::from_utf8(&buffer[..length.checked_sub(1)?]).ok()
}

impl<'a> Response<'a> {
    /// The instances that a prepared query chooses.
    pub fn query(&mut self, place: Place<'_>, prepared: Prepared<'a>, denier: Denier) {
        let service = prepared.service;
        let whole = self.reading.chosen(service, denier);
        if prepared.query.is_plain() {
            return self.service(place, whole);
        }
        let has_texts = self.asked.snapshot.settings.service_txt;
        self.with_query(place.question, prepared, |response, members, manner| match members {
            [] => response.nobody(place, whole),
            _ => response.listed(place, members, (manner, has_texts), denier),
        });
    }

    /// Goes on with the members that a query chooses, and how they are answered.
    pub fn with_query<T>(
        &mut self,
        question: &Question,
        prepared: Prepared<'a>,
        then: impl FnOnce(&mut Self, &[&Member], Manner<'a>) -> T,
    ) -> T {
        let Prepared { query, service, name } = prepared;
        let mut buffer = [0; NAME_MAX_BYTES];
        let filling = Filling::new(query, name.spell(question, &mut buffer).unwrap_or_default());
        let manner = Manner { rule: &service.rule, ttl: query.dns_ttl.as_ref().map(|(seconds, _)| *seconds) };
        let Asked { snapshot, .. } = self.asked;
        let client = (&*snapshot.settings, self.reading.network);
        let ignoring = self.reading.ignoring(prepared, &filling);
        let ignoring: Vec<Member> = ignoring
            .filter_map(|(_, presence, status)| snapshot.names.member(service, (&presence, status), client))
            .collect();
        if !ignoring.is_empty() {
            return then(self, &ignoring.iter().collect::<Vec<_>>(), manner);
        }
        let mut members = self.scratch.take_members();
        self.reading.members_of_query(prepared, &filling, &mut members);
        let done = then(self, &members, manner);
        self.scratch.keep_members(members);
        done
    }
}
