//! What a change of policies and tokens asks of etcd.
//!
//! The change is applied to a copy of what this machine knows, so that what it means is said in one place (`access::realm`).
//!
//! | what | compares | writes |
//! |---|---|---|
//! | making or changing a policy | its last change, that of who has the name, and that no policy is newer | it |
//! | making a token | that it is not there, the last change of who has the secret, and that no token is newer | it, and that a first one was made |
//! | the first token | also: that none was made | the same |
//! | changing a token | its last change | it, under the lease that it has |
//! | deleting either | its last change | |
//! | a refusal | all of the above but what is newer | nothing |
//! | a refusal for what the tokens file has or is built in | nothing | nothing |
//!
//! A token with an end is put under a lease of that time, counted from its creation: so it ends for all machines at once, and
//! whatever their clocks say. Another one with the same end, a clone, is put under the same lease.
//!
//! **Limits:** that there are too many is told of what this machine knows.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    super::{
        client::Compare,
        kept::KeptTooLarge,
        kept_access::{write_bootstrap, write_policy, write_token},
        layout::{Kept, Layout},
    },
    Plan, PlanError, Write, signed,
};
use crate::access::{
    Realm,
    directory::{AccessChange, AccessError, Directory, Touched},
    token::Policy,
};

impl Plan {
    /// Plans a change of policies and tokens, on what this machine knows: all up to a revision, or more. Says, too, what came
    /// of the change if etcd has it as this machine knew it.
    pub fn access(
        layout: &Layout,
        (realm, revision): (&Realm, u64),
        change: &AccessChange,
    ) -> Result<(Plan, Result<(), AccessError>), PlanError> {
        let mut after = Realm::clone(realm);
        let mut plan = Plan::of(looked_at(layout, realm, change), Vec::new());
        let touched = match after.apply(change.clone(), 0) {
            Ok(touched) => touched,
            // Whatever etcd has, that stays so.
            Err(error @ (AccessError::InFile { .. } | AccessError::BuiltIn(_))) => {
                return Ok((Plan::nothing(), Err(error)));
            }
            Err(error) => return Ok((plan, Err(error))),
        };
        if let Some(folder) = named_in(layout, change) {
            plan.compares.push(Compare::none_after(folder.as_bytes(), signed(revision)));
        }
        for touched in touched {
            match touched {
                Touched::Policy(id) => plan.writes.push(policy_write(layout, &after.stored, &id)?),
                Touched::Token(id) => plan.add_token(layout, &id, [&realm.stored, &after.stored])?,
                Touched::Bootstrap => {
                    let place = layout.kept_key(&Kept::Bootstrap);
                    plan.compares.push(Compare::absent(place.clone().into_bytes()));
                    plan.writes.push(Write::Put(place, write_bootstrap(maker(change))));
                }
            }
        }
        Ok((plan.within()?, Ok(())))
    }

    /// Plans that policies and tokens of this machine alone become shared ones, where there are none with these IDs. Tokens
    /// that have ended at this time stay behind.
    pub fn copies_of_access(layout: &Layout, directory: &Directory, now_secs: u64) -> Result<Vec<Plan>, PlanError> {
        let mut plans = vec![Plan::nothing()];
        let mut own = Vec::new();
        let mut add = |write: Write, key: String| {
            if plans.last().is_some_and(|last| !last.has_room(std::slice::from_ref(&write))) {
                plans.push(Plan::nothing());
            }
            let last = plans.last_mut().expect("there is one from the beginning on");
            last.compares.push(Compare::absent(key.into_bytes()));
            last.writes.push(write);
        };
        for policy in directory.policies() {
            let key = policy_key(layout, &policy.id);
            add(Write::Put(key.clone(), write_policy(policy)?), key);
        }
        for token in directory.tokens() {
            let (key, value) = (token_key(layout, &token.accessor_id), write_token(token)?);
            match token.expires_secs {
                None => add(Write::Put(key.clone(), value), key),
                Some(at) if at <= now_secs => {}
                Some(at) => {
                    let compare = Compare::absent(key.clone().into_bytes());
                    let lease = Some(Duration::from_secs(at - now_secs));
                    own.push(Plan { lease, ..Plan::of(vec![compare], vec![Write::PutUnderLease(key, value)]) });
                }
            }
        }
        if directory.bootstrap_index() > 0 {
            let key = layout.kept_key(&Kept::Bootstrap);
            add(Write::Put(key.clone(), write_bootstrap("")), key);
        }
        plans.retain(|plan| !plan.writes.is_empty());
        plans.append(&mut own);
        Ok(plans)
    }

    fn nothing() -> Plan {
        Plan::of(Vec::new(), Vec::new())
    }

    /// Whether there is nothing to be looked at, and nothing to be written.
    pub fn is_empty(&self) -> bool {
        self.compares.is_empty() && self.writes.is_empty()
    }

    /// Brings about what became of a token.
    fn add_token(
        &mut self,
        layout: &Layout,
        accessor_id: &Arc<str>,
        [before, after]: [&Directory; 2],
    ) -> Result<(), PlanError> {
        let key = token_key(layout, accessor_id);
        let write = match after.token(accessor_id) {
            None => Write::Delete(key),
            Some(token) if token.lease != 0 => Write::PutUnder(key, write_token(token)?, token.lease),
            Some(token) => match token.expires_secs.filter(|_| before.token(accessor_id).is_none()) {
                Some(at) => {
                    self.lease = Some(Duration::from_secs(at.saturating_sub(token.created_secs).max(1)));
                    Write::PutUnderLease(key, write_token(token)?)
                }
                None => Write::Put(key, write_token(token)?),
            },
        };
        self.writes.push(write);
        Ok(())
    }
}

/// Values are left out: there are secrets among them.
impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Write::Put(key, _) | Write::Replace(key, _) | Write::PutUnderLease(key, _) | Write::PutUnder(key, ..) => {
                write!(f, "Put({key})")
            }
            Write::Delete(key) => write!(f, "Delete({key})"),
            Write::DeletePrefix(key) => write!(f, "DeletePrefix({key})"),
        }
    }
}

/// That what a change looks at is in etcd as this machine knows it.
fn looked_at(layout: &Layout, realm: &Realm, change: &AccessChange) -> Vec<Compare> {
    let stored = &realm.stored;
    let policy = |id: &str| {
        let seen = stored.policy(id).map_or(0, |policy| policy.modify_index);
        Compare::unchanged(policy_key(layout, id).into_bytes(), signed(seen))
    };
    let token = |id: &str| {
        let seen = stored.token(id).map_or(0, |token| token.modify_index);
        Compare::unchanged(token_key(layout, id).into_bytes(), signed(seen))
    };
    match change {
        AccessChange::CreatePolicy(new) | AccessChange::UpdatePolicy(new) => {
            let named = stored.policy_by_name(&new.name).filter(|named| named.id != new.id);
            [&new.id].into_iter().chain(named.map(|named| &named.id)).map(|id| policy(id)).collect()
        }
        AccessChange::DeletePolicy(id) => vec![policy(id)],
        AccessChange::CreateToken(new) | AccessChange::Bootstrap(new) => {
            let secret = new.secret.reveal();
            let same = stored.token_by_secret(secret).into_iter().chain(stored.token(secret));
            let others = same.map(|other| &other.accessor_id).filter(|id| **id != new.accessor_id);
            let mut compares: Vec<Compare> = [&new.accessor_id].into_iter().chain(others).map(|id| token(id)).collect();
            if matches!(change, AccessChange::Bootstrap(_)) && stored.bootstrap_index() > 0 {
                compares.push(Compare::present(layout.kept_key(&Kept::Bootstrap).into_bytes()));
            }
            compares
        }
        AccessChange::UpdateToken(new) => vec![token(&new.accessor_id)],
        AccessChange::DeleteToken(accessor_id) => vec![token(accessor_id)],
        AccessChange::Expire(_) | AccessChange::Follow(_) => Vec::new(),
    }
}

/// The folder in which nothing else may get the name or the secret at the same time.
fn named_in(layout: &Layout, change: &AccessChange) -> Option<String> {
    match change {
        AccessChange::CreatePolicy(_) | AccessChange::UpdatePolicy(_) => Some(layout.policies()),
        AccessChange::CreateToken(_) | AccessChange::Bootstrap(_) => Some(layout.tokens()),
        _ => None,
    }
}

/// The token with which the first one was made.
fn maker(change: &AccessChange) -> &str {
    match change {
        AccessChange::CreateToken(token) | AccessChange::Bootstrap(token) | AccessChange::UpdateToken(token) => {
            &token.accessor_id
        }
        _ => "",
    }
}

fn policy_write(layout: &Layout, after: &Directory, id: &str) -> Result<Write, KeptTooLarge> {
    let key = policy_key(layout, id);
    let write = after.policy(id).map(|policy: &Arc<Policy>| Ok(Write::Put(key.clone(), write_policy(policy)?)));
    write.unwrap_or(Ok(Write::Delete(key)))
}

fn policy_key(layout: &Layout, id: &str) -> String {
    layout.kept_key(&Kept::Policy(id.into()))
}

fn token_key(layout: &Layout, accessor_id: &str) -> String {
    layout.kept_key(&Kept::Token(accessor_id.into()))
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
