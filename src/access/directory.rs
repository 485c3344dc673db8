//! All policies and tokens of one kind: those that are stored, or those of the tokens file. Persistent, like the catalog: a
//! clone costs some reference counts, and a change O(log n).

use std::{hash::Hasher, sync::Arc};

use siphasher::sip::SipHasher13;

use super::{
    follow::Followed,
    rules::Rules,
    token::{ANONYMOUS_ACCESSOR_ID, MANAGEMENT_POLICY_ID, Now, Policy, Token},
};
use crate::catalog::table::{Seed, Table};

/// Policies and tokens, found by ID, by name and by secret.
#[derive(Debug, Clone)]
pub struct Directory {
    seed: Seed,
    key: HashKey,
    policies: Table<Arc<Policy>>,
    tokens: Table<Arc<Token>>,
    /// The tokens, by the keyed hash of their secrets, each secret once.
    secrets: Table<Arc<Token>>,
    /// Index of the last change.
    index: u64,
    /// Index at which the first token was made; 0: not yet.
    pub(super) bootstrap_index: u64,
}

/// Key of the hash by which secrets are found; random for each process.
#[derive(Clone, Copy)]
pub struct HashKey(pub [u8; 16]);

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessChange {
    /// A policy is made.
    CreatePolicy(Policy),
    /// A policy that is there becomes another.
    UpdatePolicy(Policy),
    /// A policy goes, by its ID. Tokens that name it have it no more.
    DeletePolicy(Arc<str>),
    /// A token is made.
    CreateToken(Token),
    /// A token that is there gets this one's description, policies and identities; all else of it stays.
    UpdateToken(Token),
    /// A token goes, by its accessor ID.
    DeleteToken(Arc<str>),
    /// All tokens go that are worth nothing at this time, in seconds since 1970, and that no shared store ends.
    Expire(u64),
    /// A token is made, which must be the first one.
    Bootstrap(Token),
    /// Follows what was done in a store that several machines share.
    Follow(Box<Followed>),
}

/// What a change touched, so that what follows from it can follow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Touched {
    /// A policy came, went or changed.
    Policy(Arc<str>),
    /// A token came, went or changed.
    Token(Arc<str>),
    /// The first token was made, or may be made again.
    Bootstrap,
}

/// What was stored.
#[derive(Debug, Default)]
pub struct Stored {
    /// The policies.
    pub policies: Vec<Policy>,
    /// The tokens.
    pub tokens: Vec<Token>,
    /// Index at which the first token was made; 0: not yet.
    pub bootstrap_index: u64,
}

/// Why a change was refused; nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Another policy has this name.
    #[error(
        "Invalid Policy: A Policy with Name {0:?} already exists; choose another name, or change that one by its ID"
    )]
    NameTaken(Arc<str>),
    /// Another token has this secret.
    #[error("Invalid Token: SecretID is already in use; leave it out and one is made")]
    SecretTaken,
    /// Another token or policy has this ID.
    #[error("{0} is already in use")]
    IdTaken(Arc<str>),
    /// It stands in the tokens file.
    #[error("the {kind} {name:?} is of the file that access_tokens names; change it there, it is read again by itself")]
    InFile {
        /// What it is.
        kind: &'static str,
        /// Its name, or its description.
        name: Arc<str>,
    },
    /// There is no such policy.
    #[error("cannot find policy {0:?}")]
    UnknownPolicy(Arc<str>),
    /// There is no such token.
    #[error("Cannot find token {0:?}")]
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

    /// Another one with nothing in it.
    pub fn empty(&self) -> Directory {
        Directory::new(self.seed, self.key)
    }

    /// With what was stored, at this index, which must not be below any index in it, unless a shared store gives those.
    pub fn restore(seed: Seed, key: HashKey, index: u64, stored: Stored) -> Directory {
        let mut directory = Directory::new(seed, key);
        for policy in stored.policies {
            directory.put_policy(policy);
        }
        for token in stored.tokens {
            directory.put_token(token);
        }
        (directory.index, directory.bootstrap_index) = (index, stored.bootstrap_index);
        directory
    }

    /// Index of the last change.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Index at which the first token was made; 0: not yet.
    pub fn bootstrap_index(&self) -> u64 {
        self.bootstrap_index
    }

    /// The policy of this ID.
    pub fn policy(&self, id: &str) -> Option<&Arc<Policy>> {
        self.policies.get(self.seed.hash(id), |policy| *policy.id == *id)
    }

    /// The newest index of all that it has.
    pub fn newest_index(&self) -> u64 {
        let policies = self.policies().map(|policy| policy.modify_index);
        let newest = policies.chain(self.tokens().map(|token| token.modify_index)).max();
        newest.unwrap_or(0).max(self.bootstrap_index).max(self.index)
    }

    /// The policy of this name, O(policies). Another program may give a name to several: that of the lowest ID has it.
    pub fn policy_by_name(&self, name: &str) -> Option<&Arc<Policy>> {
        self.policies.iter().filter(|policy| *policy.name == *name).min_by(|left, right| left.id.cmp(&right.id))
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

    /// Applies a change with the index of it, whole or not at all. Says what it touched.
    pub fn apply(&mut self, change: AccessChange, index: u64) -> Result<Vec<Touched>, AccessError> {
        let touched = match change {
            AccessChange::CreatePolicy(policy) => self.create_policy(policy, index)?,
            AccessChange::UpdatePolicy(policy) => self.update_policy(policy, index)?,
            AccessChange::DeletePolicy(id) => self.delete_policy(id)?,
            AccessChange::CreateToken(token) => {
                let mut touched = self.create_token(token, index)?;
                // Somebody may make tokens, so that no first one is needed any more.
                touched.extend(self.close_bootstrap(index));
                touched
            }
            AccessChange::UpdateToken(token) => self.update_token(token, index)?,
            AccessChange::DeleteToken(accessor_id) => self.delete_token(accessor_id)?,
            AccessChange::Expire(now_secs) => self.expire(now_secs),
            AccessChange::Bootstrap(token) => {
                if self.bootstrap_index > 0 {
                    return Err(AccessError::Bootstrapped(self.bootstrap_index));
                }
                let mut touched = self.create_token(token, index)?;
                touched.extend(self.close_bootstrap(index));
                touched
            }
            AccessChange::Follow(followed) => self.follow(*followed),
        };
        if !touched.is_empty() {
            self.index = self.index.max(index);
        }
        Ok(touched)
    }

    fn close_bootstrap(&mut self, index: u64) -> Option<Touched> {
        (self.bootstrap_index == 0).then(|| {
            self.bootstrap_index = index.max(1);
            Touched::Bootstrap
        })
    }

    fn create_policy(&mut self, policy: Policy, index: u64) -> Result<Vec<Touched>, AccessError> {
        if self.policy(&policy.id).is_some() || *policy.id == *MANAGEMENT_POLICY_ID {
            return Err(AccessError::IdTaken(policy.id));
        }
        if self.policies.len() >= POLICIES_MAX {
            return Err(AccessError::TooMany(POLICIES_MAX));
        }
        self.named_alone(&policy)?;
        Ok(self.put_policy(Policy { create_index: index, modify_index: index, ..policy }))
    }

    fn update_policy(&mut self, policy: Policy, index: u64) -> Result<Vec<Touched>, AccessError> {
        if *policy.id == *MANAGEMENT_POLICY_ID {
            return Err(AccessError::BuiltIn("the policy global-management"));
        }
        let before = self.policy(&policy.id).ok_or_else(|| AccessError::UnknownPolicy(Arc::clone(&policy.id)))?;
        let policy = Policy { create_index: before.create_index, modify_index: before.modify_index, ..policy };
        if **before == policy {
            return Ok(Vec::new());
        }
        self.named_alone(&policy)?;
        Ok(self.put_policy(Policy { modify_index: index, ..policy }))
    }

    /// Refuses a name that another policy has.
    fn named_alone(&self, policy: &Policy) -> Result<(), AccessError> {
        match self.policy_by_name(&policy.name).is_some_and(|other| other.id != policy.id) {
            true => Err(AccessError::NameTaken(Arc::clone(&policy.name))),
            false => Ok(()),
        }
    }

    pub(super) fn put_policy(&mut self, policy: Policy) -> Vec<Touched> {
        let id = Arc::clone(&policy.id);
        self.policies.set(self.seed.hash(&*id), Arc::new(policy), |other| other.id == id);
        vec![Touched::Policy(id)]
    }

    fn delete_policy(&mut self, id: Arc<str>) -> Result<Vec<Touched>, AccessError> {
        if *id == *MANAGEMENT_POLICY_ID {
            return Err(AccessError::BuiltIn("the policy global-management"));
        }
        self.remove_policy(&id).map(|touched| vec![touched]).ok_or(AccessError::UnknownPolicy(id))
    }

    pub(super) fn remove_policy(&mut self, id: &Arc<str>) -> Option<Touched> {
        let gone = self.policies.remove(self.seed.hash(&**id), |policy| policy.id == *id);
        gone.map(|_| Touched::Policy(Arc::clone(id)))
    }

    fn create_token(&mut self, token: Token, index: u64) -> Result<Vec<Touched>, AccessError> {
        if self.token(&token.accessor_id).is_some() {
            return Err(AccessError::IdTaken(token.accessor_id));
        }
        if self.token_by_secret(token.secret.reveal()).is_some() {
            return Err(AccessError::SecretTaken);
        }
        if self.tokens.len() >= TOKENS_MAX {
            return Err(AccessError::TooMany(TOKENS_MAX));
        }
        Ok(self.put_token(Token { create_index: index, modify_index: index, ..token }))
    }

    fn update_token(&mut self, new: Token, index: u64) -> Result<Vec<Touched>, AccessError> {
        let Some(before) = self.token(&new.accessor_id) else { return Err(AccessError::UnknownToken(new.accessor_id)) };
        let Token { description, policies, service_identities, node_identities, .. } = new;
        let token = Token { description, policies, service_identities, node_identities, ..Token::clone(before) };
        if **before == token {
            return Ok(Vec::new());
        }
        Ok(self.put_token(Token { modify_index: index, ..token }))
    }

    /// Puts a token in the place of the one with its accessor ID. Another program may give a secret to several: it is that
    /// of the lowest accessor ID.
    pub(super) fn put_token(&mut self, token: Token) -> Vec<Touched> {
        let token = Arc::new(token);
        let accessor_id = Arc::clone(&token.accessor_id);
        let before = self
            .tokens
            .set(self.seed.hash(&*accessor_id), Arc::clone(&token), |other| other.accessor_id == accessor_id);
        if let Some(before) = before.filter(|before| before.secret != token.secret) {
            self.free_secret(&before);
        }
        let holder = self.token_by_secret(token.secret.reveal());
        if holder.is_none_or(|holder| accessor_id <= holder.accessor_id) {
            self.secrets
                .set(self.key.hash(token.secret.reveal()), Arc::clone(&token), |other| other.secret == token.secret);
        }
        vec![Touched::Token(accessor_id)]
    }

    /// Takes a secret from a token; another one that has the same gets it.
    fn free_secret(&mut self, token: &Token) {
        let hash = self.key.hash(token.secret.reveal());
        if self.secrets.remove(hash, |other| other.accessor_id == token.accessor_id).is_none() {
            return;
        }
        // Mostly none has, and they need not be looked through.
        if self.tokens.len() > self.secrets.len() {
            let others = self
                .tokens
                .iter()
                .filter(|other| other.secret == token.secret && other.accessor_id != token.accessor_id);
            if let Some(next) = others.min_by(|left, right| left.accessor_id.cmp(&right.accessor_id)).cloned() {
                self.secrets.set(hash, next, |_| false);
            }
        }
    }

    fn delete_token(&mut self, accessor_id: Arc<str>) -> Result<Vec<Touched>, AccessError> {
        if *accessor_id == *ANONYMOUS_ACCESSOR_ID {
            return Err(AccessError::BuiltIn("the anonymous token"));
        }
        self.remove_token(&accessor_id).map(|touched| vec![touched]).ok_or(AccessError::UnknownToken(accessor_id))
    }

    pub(super) fn remove_token(&mut self, accessor_id: &Arc<str>) -> Option<Touched> {
        let gone = self.tokens.remove(self.seed.hash(&**accessor_id), |other| other.accessor_id == *accessor_id)?;
        self.free_secret(&gone);
        Some(Touched::Token(Arc::clone(accessor_id)))
    }

    fn expire(&mut self, now_secs: u64) -> Vec<Touched> {
        let expired: Vec<Arc<str>> = self
            .tokens
            .iter()
            .filter(|token| token.has_expired(Now::by_clock(now_secs)) && token.lease == 0)
            .map(|token| Arc::clone(&token.accessor_id))
            .collect();
        expired.into_iter().filter_map(|accessor_id| self.delete_token(accessor_id).ok()).flatten().collect()
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
