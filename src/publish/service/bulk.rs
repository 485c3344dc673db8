//! A service's answers made of all its instances at once.

use std::sync::Arc;

use super::{
    Brought, Called, Context, DefaultRule, Presence, ServiceAnswers, Table, View, Who, alias_hash, eligible, groups,
    id_hash, own_networks,
};
use crate::publish::view::Kind;

impl ServiceAnswers {
    /// The answers about a service with these instances. They are those that following them one by one makes.
    pub fn of(context: Context<'_>, called: Called, rule: DefaultRule, presences: &[Presence]) -> ServiceAnswers {
        let mut answers = ServiceAnswers::new(called, rule);
        if presences.iter().any(|presence| !own_networks(context, Some(presence)).is_empty()) {
            // Each network has views of its own, which begin as that of ordinary clients when the first instance has
            // an address there. There are never many such instances: they all run on this machine.
            for presence in presences {
                answers.change(context, None, Some(presence));
            }
            return answers;
        }
        answers.registered = presences.len() as u32;
        answers.eligible = presences.iter().filter(|presence| answers.counts(presence, Who::Eligible)).count() as u32;
        let (mut hashed, mut aliases) = (Vec::with_capacity(presences.len()), Vec::new());
        for Presence { entry, .. } in presences {
            answers.origins[entry.instance.origin as usize] += 1;
            hashed.push((id_hash(context.seed, &entry.instance), Arc::clone(&entry.instance)));
            let alias = alias_hash(context.seed, &entry.instance);
            aliases.extend(alias.map(|hash| (hash, Arc::clone(&entry.instance))));
        }
        answers.ids = Table::of(hashed);
        answers.aliases = (!aliases.is_empty()).then(|| Arc::new(Table::of(aliases)));
        let (kinds, kind_of) = kinds(presences);
        let view = |who| {
            let members = presences.iter().zip(&kind_of).filter(|(presence, _)| answers.counts(presence, who));
            let entry = |(presence, kind): (&Presence, &usize)| {
                let reach = eligible::reach(&presence.entry.instance, &presence.node, context.settings);
                Some((*kind, answers.entry(context, presence, reach, kinds[*kind].brought.port)?))
            };
            View::of(context.seed, &kinds, members.filter_map(entry).collect())
        };
        let eligible = view(Who::Eligible);
        let everyone = answers.ordinary.everyone.is_some().then(|| Arc::new(view(Who::Everyone)));
        (answers.ordinary.eligible, answers.ordinary.everyone) = (eligible, everyone);
        answers
    }
}

/// The kinds of instances, and of which each is. Two kinds may be alike: that costs time and is no mistake.
fn kinds(presences: &[Presence]) -> (Vec<Kind>, Vec<usize>) {
    let mut kinds: Vec<Kind> = Vec::new();
    let mut examples: Vec<&Presence> = Vec::new();
    let mut kind_of = Vec::with_capacity(presences.len());
    for presence in presences {
        let instance = &presence.entry.instance;
        let is_alike = |other: &&Presence| {
            let other = &other.entry.instance;
            Arc::ptr_eq(&other.tags, &instance.tags) && Arc::ptr_eq(&other.ports, &instance.ports)
        };
        let newest = examples.len().saturating_sub(KINDS_COMPARED);
        let at = match examples[newest..].iter().position(is_alike) {
            Some(at) => newest + at,
            None => {
                let brought: Brought = groups(instance, None);
                kinds.push(Kind { brought, registered: 0 });
                examples.push(presence);
                kinds.len() - 1
            }
        };
        kinds[at].registered += 1;
        kind_of.push(at);
    }
    (kinds, kind_of)
}

/// With so many of the newest kinds an instance is compared. Source: none, chosen: most services have one or two.
const KINDS_COMPARED: usize = 8;
