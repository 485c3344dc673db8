//! Why an instance is answered to a question, or is not.

use std::collections::HashSet;

use super::names::{Meaning, Reading};
use crate::{
    publish::snapshot::{Filling, Instance, Member, ServiceAnswers, Snapshot},
    wire::{name::NAME_MAX_BYTES, query::Question},
};

/// What a name means, for people.
#[derive(Debug)]
pub struct Explained<'s> {
    /// The service, or the instances of a further name, for which or some of which it stands.
    pub answers: Option<&'s ServiceAnswers>,
    /// The form of the name in a word.
    pub form: &'static str,
    /// Whether those are answered whom checks would leave out that the query ignores.
    pub ignores_checks: bool,
    /// Node and service ID of those that the question chooses from.
    members: HashSet<(&'s str, &'s str)>,
}

impl Explained<'_> {
    /// Whether the instance is among those that the question chooses from.
    pub fn is_answered(&self, instance: &Instance) -> bool {
        self.members.contains(&place(instance))
    }
}

/// Explains a question as clients outside of our client networks are answered. Costs O(instances of the service).
pub fn explain<'s>(snapshot: &'s Snapshot, question: &Question) -> Explained<'s> {
    let reading = Reading { snapshot, network: None };
    let meaning = reading.meaning(question);
    let mut members = Vec::new();
    let mut ignoring = HashSet::new();
    let answers = match meaning {
        Meaning::Service(chosen) => {
            match chosen.both {
                None => members.extend(chosen.selection.members()),
                Some(both) => reading.members_with_both(question, (chosen, both), &mut members),
            }
            Some(chosen.service)
        }
        Meaning::Id { service, label, port, .. } => {
            reading.members_of_id(question, (service, label, port), &mut members);
            Some(service)
        }
        Meaning::Query(prepared, _) => {
            let mut buffer = [0; NAME_MAX_BYTES];
            let name = prepared.name.spell(question, &mut buffer).unwrap_or_default();
            let filling = Filling::new(prepared.query, name);
            ignoring.extend(reading.ignoring(prepared, &filling).map(|(instance, ..)| place(instance)));
            if ignoring.is_empty() {
                reading.members_of_query(prepared, &filling, &mut members);
            }
            Some(prepared.service)
        }
        _ => None,
    };
    let members = members.into_iter().map(|member: &'s Member| place(&member.instance));
    let ignores_checks = !ignoring.is_empty();
    let members = members.chain(ignoring).collect();
    Explained { answers, form: form(&meaning), members, ignores_checks }
}

fn place(instance: &Instance) -> (&str, &str) {
    (instance.node.as_str(), instance.id.as_str())
}

fn form(meaning: &Meaning<'_>) -> &'static str {
    match meaning {
        Meaning::Service(_) => "service",
        Meaning::Id { .. } => "id",
        Meaning::Query(..) => "query",
        Meaning::Node(..) => "node",
        Meaning::Address(..) => "address",
        Meaning::Apex(..) => "apex",
        Meaning::Server(_) => "server",
        Meaning::Reverse(_) | Meaning::ReverseLocalhost => "reverse",
        Meaning::Localhost(_) => "localhost",
        Meaning::Static(..) => "zone",
        Meaning::Empty(_) => "empty",
        Meaning::Unknown(_) => "unknown",
        Meaning::Outside => "forwarded",
        Meaning::NotOurs => "refused",
    }
}
