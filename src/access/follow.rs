//! Following a store that several machines share: policies and tokens as they are there.
//!
//! All indexes of policies and tokens are then that store's revisions, and nothing is decided here: what was done there is told,
//! change by change, or all that there is at one revision. What is told of nothing that there is, is gone.
//!
//! | what another program may write there | what holds |
//! |---|---|
//! | two policies of one name | both, by their IDs; by the name that of the lower ID |
//! | two tokens of one secret | the secret is that of the lower accessor ID |
//! | a token with an end and without a lease | it ends by the clock of each machine ([`super::token::Now`]) |

use std::{collections::BTreeSet, sync::Arc};

use super::{
    directory::{Directory, Touched},
    token::{Policy, Token},
};
use crate::catalog::followed::{self, Told};

/// What was done elsewhere.
pub type Followed = followed::Followed<Event>;

/// Something that happened elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A policy is this, with these indexes.
    Policy(Box<Policy>),
    /// A policy is no more, or cannot be read.
    NoPolicy(Arc<str>),
    /// A token is this, with these indexes and this lease.
    Token(Box<Token>),
    /// A token is no more, or cannot be read.
    NoToken(Arc<str>),
    /// The first token was made, at this revision.
    Bootstrap(u64),
    /// A first token may be made.
    NoBootstrap,
}

impl Directory {
    /// Becomes as it is there. Says what became another.
    pub(super) fn follow(&mut self, followed: Followed) -> Vec<Touched> {
        let mut touched = Vec::new();
        if followed.told == Told::Everything {
            self.drop_unlisted(&followed.events, &mut touched);
        }
        for event in followed.events {
            self.take(event, &mut touched);
        }
        touched
    }

    fn take(&mut self, event: Event, touched: &mut Vec<Touched>) {
        match event {
            Event::Policy(policy) if self.policy(&policy.id).is_some_and(|before| **before == *policy) => {}
            Event::Policy(policy) => touched.append(&mut self.put_policy(*policy)),
            Event::NoPolicy(id) => touched.extend(self.remove_policy(&id)),
            Event::Token(token) if self.token(&token.accessor_id).is_some_and(|before| **before == *token) => {}
            Event::Token(token) => touched.append(&mut self.put_token(*token)),
            Event::NoToken(accessor_id) => touched.extend(self.remove_token(&accessor_id)),
            Event::Bootstrap(revision) => self.set_bootstrap(revision.max(1), touched),
            Event::NoBootstrap => self.set_bootstrap(0, touched),
        }
    }

    fn set_bootstrap(&mut self, index: u64, touched: &mut Vec<Touched>) {
        if self.bootstrap_index != index {
            self.bootstrap_index = index;
            touched.push(Touched::Bootstrap);
        }
    }

    /// Takes away what is not among all that there is.
    fn drop_unlisted(&mut self, events: &[Event], touched: &mut Vec<Touched>) {
        let (mut policies, mut tokens, mut is_bootstrapped) = (BTreeSet::new(), BTreeSet::new(), false);
        for event in events {
            match event {
                Event::Policy(policy) => _ = policies.insert(&*policy.id),
                Event::Token(token) => _ = tokens.insert(&*token.accessor_id),
                Event::Bootstrap(_) => is_bootstrapped = true,
                Event::NoPolicy(_) | Event::NoToken(_) | Event::NoBootstrap => {}
            }
        }
        let policies: Vec<Arc<str>> =
            self.policies().map(|policy| &policy.id).filter(|id| !policies.contains(&***id)).cloned().collect();
        let tokens: Vec<Arc<str>> =
            self.tokens().map(|token| &token.accessor_id).filter(|id| !tokens.contains(&***id)).cloned().collect();
        touched.extend(policies.iter().filter_map(|id| self.remove_policy(id)));
        touched.extend(tokens.iter().filter_map(|accessor_id| self.remove_token(accessor_id)));
        if !is_bootstrapped {
            self.set_bootstrap(0, touched);
        }
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
