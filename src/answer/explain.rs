//! Why an instance is answered to a question, or is not.

use std::collections::HashSet;

use super::names::{Meaning, Reading};
use crate::{
    publish::snapshot::{Instance, Member, ServiceAnswers, Snapshot},
    wire::query::Question,
};

/// What a name means, for people.
#[derive(Debug)]
pub struct Explained<'s> {
    /// The service, or the instances of a further name, for which or some of which it stands.
    pub answers: Option<&'s ServiceAnswers>,
    /// The form of the name in a word.
    pub form: &'static str,
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
    let (answers, members) = match meaning {
        Meaning::Service(chosen) => {
            let sets = [&chosen.selection.ported, &chosen.selection.rest().portless];
            let members = match chosen.both {
                None => sets.into_iter().flat_map(|set| set.table.iter()).collect(),
                Some(both) => reading.members_with_both(question, chosen, both),
            };
            (Some(chosen.service), members)
        }
        Meaning::Id { service, label, port, .. } => {
            (Some(service), reading.members_of_id(question, (service, label, port)))
        }
        _ => (None, Vec::new()),
    };
    let members = members.into_iter().map(|member: &'s Member| place(&member.instance)).collect();
    Explained { answers, form: form(&meaning), members }
}

fn place(instance: &Instance) -> (&str, &str) {
    (instance.node.as_str(), instance.id.as_str())
}

fn form(meaning: &Meaning<'_>) -> &'static str {
    match meaning {
        Meaning::Service(_) => "service",
        Meaning::Id { .. } => "id",
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
