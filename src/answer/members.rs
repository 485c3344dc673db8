//! The members that a name stands for where they are found one by one: by service ID, or by a tag and a named port at
//! once.
//!
//! **Limits:** costs O(instances with the port) or O(instances with the ID).

use std::sync::Arc;

use super::{
    names::{Both, Chosen, Reading},
    services::with_length,
};
use crate::{
    publish::snapshot::{Found, GroupKind, Instance, Member, Selection, ServiceAnswers, has_tag},
    wire::{name::LABEL_MAX_BYTES, query::Question},
};

impl<'s> Reading<'s> {
    /// The members that have a tag and a named port at once.
    pub fn members_with_both(
        &self,
        question: &Question,
        (chosen, both): (Chosen<'s>, Both),
        members: &mut Vec<&'s Member>,
    ) {
        let mut buffer = [0; LABEL_MAX_BYTES + 1];
        let tag = match both.underscored {
            true => with_length(&question.label(both.tag.0)[1..], &mut buffer),
            false => question.labels(both.tag.0, both.tag.1),
        };
        let port = question.labels(both.port, both.port + 1);
        for selection in self.selections(chosen.service, Some(port)) {
            members.extend(selection.members().filter(|member| has_tag(&member.instance, tag)));
            if !members.is_empty() {
                return;
            }
        }
    }

    /// The members with the service ID in a label, one a node, and with the named port in another, if there is one.
    pub fn members_of_id(
        &self,
        question: &Question,
        (service, label, port): (&'s ServiceAnswers, usize, Option<usize>),
        members: &mut Vec<&'s Member>,
    ) {
        let seed = self.snapshot.names.seed();
        let id = question.labels(label, label + 1);
        for selection in self.selections(service, port.map(|at| question.labels(at, at + 1))) {
            let sets = [&selection.ported, &selection.rest().portless];
            let member = |instance: &Arc<Instance>| {
                let hash = seed.hash(&(&instance.node, &instance.id));
                let same = |other: &Member| other.instance.id == instance.id && other.instance.node == instance.node;
                sets.into_iter().find_map(|set| set.table.get(hash, same))
            };
            members.extend(service.by_id(seed, id).filter_map(member));
            if !members.is_empty() {
                return;
            }
        }
    }

    /// What a client chooses from: the eligible members, with the named port if one is asked for, and then everyone, if
    /// that is wanted where nobody is eligible.
    fn selections(&self, service: &'s ServiceAnswers, port: Option<&[u8]>) -> impl Iterator<Item = &'s Selection> {
        let seed = self.snapshot.names.seed();
        let views = service.views(self.network);
        let views = std::iter::once(&views.eligible).chain(views.everyone.as_deref());
        views.filter_map(move |view| match port.map(|port| view.group(seed, GroupKind::Port, port)) {
            None => Some(&view.all),
            Some(Found::Members(selection)) => Some(selection),
            Some(Found::Below | Found::Nothing) => None,
        })
    }
}
