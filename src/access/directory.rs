//! All policies and tokens of one kind: those that are stored, or those of the tokens file. Persistent, like the catalog: a
//! clone costs some reference counts, and a change O(log n).

use std::{hash::Hasher, sync::Arc};

use siphasher::sip::SipHasher13;

use super::{
    rules::Rules,
    token::{ANONYMOUS_ACCESSOR_ID, MANAGEMENT_POLICY_ID, Policy, Token},
};
use crate::catalog::table::{Seed, Table};

/// Policies and tokens, found by ID, by name and by secret.
#[derive(Debug, Clone)]
pub struct Directory {
    seed: Seed,
    key: HashKey,
    policies: Table<Arc<Policy>>,
    tokens: Table<Arc<Token>>,
    /// The tokens, by the keyed hash of their secrets.
    secrets: Table<Arc<Token>>,
    /// Index of the last change.
    index: u64,
    /// Index at which the first token of management was made; 0: not yet.
    bootstrap_index: u64,
}

/// Key of the hash by which secrets are found; random for each process.
#[derive(Clone, Copy)]
pub struct HashKey(pub [u8; 16]);

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessChange {
    /// A policy is made, or becomes another.
    SetPolicy(Policy),
    /// A policy goes, by its ID. Tokens that name it have it no more.
    DeletePolicy(Arc<str>),
    /// A token is made, or becomes another.
    SetToken(Token),
    /// A token goes, by its accessor ID.
    DeleteToken(Arc<str>),
    /// The first token of management is made; a second time that is refused.
    Bootstrap(Token),
}

/// Why a change was refused; nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Another policy has this name.
    #[error("a policy with the name {0:?} exists already; choose another name, or change that one by its ID")]
    NameTaken(Arc<str>),
    /// Another token has this secret.
    #[error("another token has this secret; leave SecretID out and one is made")]
    SecretTaken,
    /// There is no such policy.
    #[error("no policy has the ID {0:?}")]
    UnknownPolicy(Arc<str>),
    /// There is no such token.
    #[error("no token has the accessor ID {0:?}")]
    UnknownToken(Arc<str>),
    /// It is built in.
    #[error("{0} is built in and stays")]
    BuiltIn(&'static str),
    /// There is one already.
    #[error("ACL bootstrap no longer allowed (reset index: {0})")]
    Bootstrapped(u64),
    /// A bound is reached.
    #[error("there are {0} already, the most there may be; delete some that are no longer used")]
    TooMany(usize),
}

impl Directory {
    /// With nothing in it.
    pub fn new(seed: Seed, key: HashKey) -> Directory {
        Directory {
            seed,
            key,
            policies: Table::default(),
            tokens: Table::default(),
            secrets: Table::default(),
            index: 0,
            bootstrap_index: 0,
        }
    }

    /// Index of the last change.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Index at which the first token of management was made; 0: not yet.
    pub fn bootstrap_index(&self) -> u64 {
        self.bootstrap_index
    }

    /// The policy of this ID.
    pub fn policy(&self, id: &str) -> Option<&Arc<Policy>> {
        self.policies.get(self.seed.hash(id), |policy| *policy.id == *id)
    }

    /// The policy of this name, O(policies).
    pub fn policy_by_name(&self, name: &str) -> Option<&Arc<Policy>> {
        self.policies.iter().find(|policy| *policy.name == *name)
    }

    /// All policies, in no order.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.iter()
    }

    /// The token of this accessor ID.
    pub fn token(&self, accessor_id: &str) -> Option<&Arc<Token>> {
        self.tokens.get(self.seed.hash(accessor_id), |token| *token.accessor_id == *accessor_id)
    }

    /// The token that this secret is of, expired or not.
    pub fn token_by_secret(&self, secret: &str) -> Option<&Arc<Token>> {
        self.secrets.get(self.key.hash(secret), |token| token.secret.is(secret))
    }

    /// All tokens, in no order.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.tokens.iter()
    }

    /// Applies a change with the index of it, whole or not at all.
    pub fn apply(&mut self, change: AccessChange, index: u64) -> Result<(), AccessError> {
        match change {
            AccessChange::SetPolicy(policy) => self.set_policy(policy, index)?,
            AccessChange::DeletePolicy(id) => self.delete_policy(&id)?,
            AccessChange::SetToken(token) => self.set_token(token, index)?,
            AccessChange::DeleteToken(accessor_id) => self.delete_token(&accessor_id)?,
            AccessChange::Bootstrap(token) => {
                if self.bootstrap_index > 0 {
                    return Err(AccessError::Bootstrapped(self.bootstrap_index));
                }
                self.set_token(token, index)?;
                self.bootstrap_index = index.max(1);
            }
        }
        self.index = self.index.max(index);
        Ok(())
    }

    fn set_policy(&mut self, policy: Policy, index: u64) -> Result<(), AccessError> {
        if *policy.id == *MANAGEMENT_POLICY_ID {
            return Err(AccessError::BuiltIn("the policy global-management"));
        }
        if self.policy_by_name(&policy.name).is_some_and(|other| other.id != policy.id) {
            return Err(AccessError::NameTaken(policy.name));
        }
        let before = self.policy(&policy.id).map(|before| before.create_index);
        if before.is_none() && self.policies.len() >= POLICIES_MAX {
            return Err(AccessError::TooMany(POLICIES_MAX));
        }
        let id = Arc::clone(&policy.id);
        let policy = Policy { create_index: before.unwrap_or(index), modify_index: index, ..policy };
        self.policies.set(self.seed.hash(&*id), Arc::new(policy), |other| other.id == id);
        Ok(())
    }

    fn delete_policy(&mut self, id: &str) -> Result<(), AccessError> {
        if id == MANAGEMENT_POLICY_ID {
            return Err(AccessError::BuiltIn("the policy global-management"));
        }
        let gone = self.policies.remove(self.seed.hash(id), |policy| *policy.id == *id);
        gone.map(|_| ()).ok_or_else(|| AccessError::UnknownPolicy(id.into()))
    }

    fn set_token(&mut self, token: Token, index: u64) -> Result<(), AccessError> {
        if self.token_by_secret(token.secret.reveal()).is_some_and(|other| other.accessor_id != token.accessor_id) {
            return Err(AccessError::SecretTaken);
        }
        let before = self.token(&token.accessor_id).map(Arc::clone);
        if before.is_none() && self.tokens.len() >= TOKENS_MAX {
            return Err(AccessError::TooMany(TOKENS_MAX));
        }
        if let Some(before) = &before {
            self.secrets.remove(self.key.hash(before.secret.reveal()), |other| other.accessor_id == before.accessor_id);
        }
        let create_index = before.map_or(index, |before| before.create_index);
        let token = Arc::new(Token { create_index, modify_index: index, ..token });
        let is = |other: &Arc<Token>| other.accessor_id == token.accessor_id;
        self.secrets.set(self.key.hash(token.secret.reveal()), Arc::clone(&token), is);
        self.tokens.set(self.seed.hash(&*token.accessor_id), Arc::clone(&token), is);
        Ok(())
    }

    fn delete_token(&mut self, accessor_id: &str) -> Result<(), AccessError> {
        if accessor_id == ANONYMOUS_ACCESSOR_ID {
            return Err(AccessError::BuiltIn("the anonymous token"));
        }
        let is = |other: &Arc<Token>| *other.accessor_id == *accessor_id;
        let gone = self.tokens.remove(self.seed.hash(accessor_id), is);
        let gone = gone.ok_or_else(|| AccessError::UnknownToken(accessor_id.into()))?;
        self.secrets.remove(self.key.hash(gone.secret.reveal()), is);
        Ok(())
    }
}

impl HashKey {
    fn hash(self, secret: &str) -> u32 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(secret.as_bytes());
        hasher.finish() as u32
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(hidden)")
    }
}

/// The rules of a token: those of its policies, which are looked up by ID, and of its identities.
pub fn rules_of<'a>(token: &Token, policy: impl Fn(&str) -> Option<&'a Arc<Policy>>) -> Vec<Arc<Rules>> {
    let mut rules: Vec<Arc<Rules>> = Vec::with_capacity(token.policies.len() + 1);
    rules.extend(token.policies.iter().filter_map(|id| policy(id)).map(|policy| Arc::clone(&policy.rules)));
    if !token.service_identities.is_empty() || !token.node_identities.is_empty() {
        rules.push(Arc::new(token.identity_rules()));
    }
    rules
}

/// Most policies. Source: none, chosen: names are looked up one by one when a policy is written.
pub const POLICIES_MAX: usize = 4096;

/// Most tokens. Source: none, chosen: some 30 MB of them.
pub const TOKENS_MAX: usize = 65_536;

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
