//! Why an instance is answered to a question, or is not.

use std::collections::BTreeSet;

use super::names::{Meaning, Reading};
use crate::{
    publish::snapshot::{Instance, Member, ServiceName, Snapshot},
    wire::query::Question,
};

/// What a name means, for people.
#[derive(Debug)]
pub struct Explained<'s> {
    /// The service whose instances it stands for.
    pub service: Option<&'s ServiceName>,
    /// The form of the name in a word.
    pub form: &'static str,
    members: Vec<&'s Member>,
}

impl Explained<'_> {
    /// Whether the instance is among those that the question chooses from.
    pub fn is_answered(&self, instance: &Instance) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.instance.id == instance.id && member.instance.node == instance.node)
    }
}

/// Explains a question as clients outside of our client networks are answered. Costs O(instances of the service).
pub fn explain<'s>(snapshot: &'s Snapshot, question: &Question) -> Explained<'s> {
    let reading = Reading { snapshot, network: None };
    let meaning = reading.meaning(question);
    let (service, members) = match meaning {
        Meaning::Service(chosen) => {
            let sets = [&chosen.selection.ported, &chosen.selection.portless];
            let members = sets.into_iter().flat_map(|set| set.table.iter());
            (Some(&chosen.service.name), members.collect())
        }
        Meaning::Id { service, label, .. } => {
            let seed = snapshot.names.seed();
            let all = &service.views(None).eligible.all;
            let label = question.labels(label, label + 1);
            let of = |instance: &'s Instance| (&instance.node, &instance.id);
            let wanted: BTreeSet<_> = service.by_id(seed, label).map(|instance| of(instance)).collect();
            let sets = [&all.ported, &all.portless];
            let members = sets.into_iter().flat_map(|set| set.table.iter());
            let is_wanted = |member: &&'s Member| wanted.contains(&of(&member.instance));
            (Some(&service.name), members.filter(is_wanted).collect())
        }
        _ => (None, Vec::new()),
    };
    Explained { service, form: form(&meaning), members }
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
