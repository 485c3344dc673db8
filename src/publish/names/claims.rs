//! Which service has which name.
//!
//! A service wants up to three keys (`label`), and others may want them too. So do instances with a further name, together for
//! each such name, where no service wants it. A key's claims stand in the order in which they win; the first has it. What has
//! none of its keys is kept hidden.

use std::sync::Arc;

use super::{NameEntry, Names, ServiceAnswers};
use crate::{
    catalog::{names::ServiceName, table::Seed},
    publish::{
        label::{Key, service_keys},
        service::{Called, Standing},
    },
};

/// The order is that in which claims win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    standing: Standing,
    rank: Rank,
    name: ServiceName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It is the name.
    Own,
    /// It is the hashed form, which only a name made to look like it has too.
    Hashed,
    /// It is what DNS makes of the name.
    Plain,
    /// It is the name with `-` for `_`.
    Dashed,
}

impl Claim {
    /// Who claims.
    pub(super) fn called(&self) -> Called {
        Called { standing: self.standing, name: self.name.clone() }
    }
}

impl Names {
    pub(super) fn is_claimed(&self, key: &Key, claim: &Claim) -> bool {
        self.entry(key.as_wire()).is_some_and(|entry| entry.claims.contains(claim))
    }

    /// Those of the keys that their service has.
    pub(super) fn held<'c>(&self, claims: &'c [(Key, Claim)]) -> Vec<&'c Key> {
        let has =
            |key: &Key, claim: &Claim| self.entry(key.as_wire()).and_then(|entry| entry.claims.first()) == Some(claim);
        claims.iter().filter(|(key, claim)| has(key, claim)).map(|(key, _)| key).collect()
    }

    /// What is answered about a service, wherever it is kept.
    pub(super) fn answers(&self, called: &Called, claims: &[(Key, Claim)]) -> Option<ServiceAnswers> {
        let mut held = claims.iter().filter_map(|(key, _)| self.entry(key.as_wire())?.answers.as_ref());
        held.find(|answers| answers.is_of(called)).or_else(|| self.hidden(called)).cloned()
    }

    /// What is answered about a service that has no name.
    pub(super) fn hidden(&self, called: &Called) -> Option<&ServiceAnswers> {
        let found = self.hidden.get(hidden_hash(self.seed(), called), |answers| answers.is_of(called));
        found.map(|answers| &**answers)
    }

    /// Takes in answers about what had no claims yet.
    pub(super) fn join(&mut self, answers: ServiceAnswers) {
        let claims = claims(&answers.called());
        self.claim(&claims);
        for key in self.held(&claims) {
            self.count_all_at(key, &answers, true);
        }
        self.put_answers(&claims, answers);
    }

    /// Puts answers in at all keys that their service holds; if it holds none, they are kept hidden.
    pub(super) fn put_answers(&mut self, claims: &[(Key, Claim)], answers: ServiceAnswers) {
        let mut held = false;
        for (key, claim) in claims {
            let Some(entry) = self.entry(key.as_wire()).filter(|entry| entry.claims.first() == Some(claim)) else {
                continue;
            };
            held = true;
            let entry = NameEntry {
                key: entry.key.clone(),
                claims: entry.claims.clone(),
                below: entry.below,
                below_short: entry.below_short,
                answers: Some(answers.clone()),
            };
            self.put(entry);
        }
        let called = answers.called();
        let hash = hidden_hash(self.seed(), &called);
        if held {
            self.hidden.remove(hash, |old| old.is_of(&called));
        } else {
            self.hidden.set(hash, Arc::new(answers), |old| old.is_of(&called));
        }
    }

    pub(super) fn claim(&mut self, claims: &[(Key, Claim)]) {
        for (key, claim) in claims {
            let mut entry = self.entry_or_new(key);
            let existed = !entry.claims.is_empty();
            let loser = entry.answers.take_if(|_| entry.claims.first().is_some_and(|first| claim < first));
            let mut all = entry.claims.to_vec();
            all.insert(all.partition_point(|other| other < claim), claim.clone());
            entry.claims = all.into();
            self.put(entry);
            if !existed {
                self.count_below(key, true);
            }
            if let Some(loser) = loser {
                self.count_all_at(key, &loser, false);
                self.put_answers(&self::claims(&loser.called()), loser);
            }
        }
    }

    pub(super) fn unclaim(&mut self, called: &Called, claims: &[(Key, Claim)]) {
        for (key, claim) in claims {
            let mut entry = self.entry_or_new(key);
            let held = entry.claims.first() == Some(claim);
            entry.claims = entry.claims.iter().filter(|other| *other != claim).cloned().collect();
            entry.answers.take_if(|answers| answers.is_of(called));
            let next = entry.claims.first().map(Claim::called);
            let exists = !entry.claims.is_empty();
            self.put(entry);
            if !exists {
                self.count_below(key, false);
            }
            if let Some(next) = next {
                let claims = self::claims(&next);
                if let Some(answers) = self.answers(&next, &claims) {
                    if held {
                        self.count_all_at(key, &answers, true);
                    }
                    self.put_answers(&claims, answers);
                }
            }
        }
        self.hidden.remove(hidden_hash(self.seed(), called), |old| old.is_of(called));
    }

    /// Keeps the count of names of one label, and of names below each ancestor of a name.
    fn count_below(&mut self, key: &Key, exists: bool) {
        let short = u32::from(key.has_short_form());
        self.singles = if !key.takes_underscore() {
            self.singles
        } else if exists {
            self.singles + 1
        } else {
            self.singles - 1
        };
        let ancestors: Vec<Key> = key.ancestors().map(Key::from_wire).collect();
        for ancestor in ancestors {
            let mut entry = self.entry_or_new(&ancestor);
            entry.below = if exists { entry.below + 1 } else { entry.below - 1 };
            entry.below_short = if exists { entry.below_short + short } else { entry.below_short - short };
            self.put(entry);
        }
    }
}

/// The keys that a service wants, and how much.
pub(super) fn claims(called: &Called) -> Vec<(Key, Claim)> {
    let keys = service_keys(&called.name);
    let plain = if keys.hashed.is_some() { Rank::Plain } else { Rank::Own };
    let wanted = [(keys.hashed, Rank::Hashed), (keys.plain, plain), (keys.dashed, Rank::Dashed)];
    let claim = |rank| Claim { standing: called.standing, rank, name: called.name.clone() };
    wanted.into_iter().filter_map(|(key, rank)| Some((key?, claim(rank)))).collect()
}

pub(super) fn hidden_hash(seed: Seed, called: &Called) -> u32 {
    seed.hash(&(called.standing, &called.name))
}
