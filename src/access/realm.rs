//! All policies and tokens that are in force.

use std::sync::{Arc, LazyLock};

use super::{
    authorizer::Authorizer,
    directory::{AccessChange, AccessError, Directory, Touched, rules_of},
    rules::{Level, Resource},
    token::{ANONYMOUS_ACCESSOR_ID, MANAGEMENT_POLICY_ID, MANAGEMENT_POLICY_NAME, Now, Policy, Token},
};

/// The tokens file, what was made by HTTP, and what is built in. Where two of them have the same, the file's holds. A clone
/// costs some reference counts.
#[derive(Debug, Clone)]
pub struct Realm {
    /// What the tokens file has.
    pub file: Arc<Directory>,
    /// What was made by HTTP: on this machine, or on any of those that share it.
    pub stored: Directory,
}

impl Realm {
    /// Without a tokens file.
    pub fn of(stored: Directory) -> Realm {
        Realm { file: Arc::new(stored.empty()), stored }
    }

    /// The policy of this ID.
    pub fn policy(&self, id: &str) -> Option<&Arc<Policy>> {
        if id == MANAGEMENT_POLICY_ID {
            return Some(&MANAGEMENT);
        }
        self.file.policy(id).or_else(|| self.stored.policy(id))
    }

    /// The policy of this name, O(policies).
    pub fn policy_by_name(&self, name: &str) -> Option<&Arc<Policy>> {
        if name == MANAGEMENT_POLICY_NAME {
            return Some(&MANAGEMENT);
        }
        self.file.policy_by_name(name).or_else(|| self.stored.policy_by_name(name))
    }

    /// All policies, in no order.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        std::iter::once(&*MANAGEMENT).chain(self.file.policies()).chain(self.stored.policies())
    }

    /// The token of this accessor ID, expired or not.
    pub fn token(&self, accessor_id: &str) -> Option<&Arc<Token>> {
        let found = self.file.token(accessor_id).or_else(|| self.stored.token(accessor_id));
        found.or((accessor_id == ANONYMOUS_ACCESSOR_ID).then_some(&*ANONYMOUS))
    }

    /// The token that this secret is of, while it is worth something.
    pub fn token_by_secret(&self, secret: &str, now: Now) -> Option<&Arc<Token>> {
        let found = self.file.token_by_secret(secret).or_else(|| self.stored.token_by_secret(secret));
        found.filter(|token| !token.has_expired(now))
    }

    /// All tokens that are worth something, in no order.
    pub fn tokens(&self, now: Now) -> impl Iterator<Item = &Arc<Token>> {
        let stored = self.stored.tokens().filter(|token| self.file.token(&token.accessor_id).is_none());
        let is_built_in = |directory: &Directory| directory.token(ANONYMOUS_ACCESSOR_ID).is_none();
        let anonymous = (is_built_in(&self.file) && is_built_in(&self.stored)).then_some(&*ANONYMOUS);
        self.file.tokens().chain(stored).chain(anonymous).filter(move |token| !token.has_expired(now))
    }

    /// What callers without a token are.
    pub fn anonymous(&self) -> &Arc<Token> {
        self.token(ANONYMOUS_ACCESSOR_ID).unwrap_or(&ANONYMOUS)
    }

    /// What a token may do; the default holds where none of its rules says.
    pub fn authorizer(&self, token: &Token, default: Level) -> Authorizer {
        let rules = rules_of(token, |id| self.policy(id));
        Authorizer::new(rules.iter().map(|rules| &**rules), default)
    }

    /// Applies a change to what was made by HTTP, with the index of it, whole or not at all. What the file has stays, and
    /// nothing that is made is taken for something of the file.
    pub fn apply(&mut self, change: AccessChange, index: u64) -> Result<Vec<Touched>, AccessError> {
        match &change {
            AccessChange::CreatePolicy(policy) | AccessChange::UpdatePolicy(policy) => self.may_set_policy(policy)?,
            AccessChange::DeletePolicy(id) => self.may_change_policy(id)?,
            AccessChange::CreateToken(token) => self.may_create(token)?,
            AccessChange::UpdateToken(token) => {
                self.may_change_token(&token.accessor_id)?;
                if token.is_anonymous() && self.stored.token(ANONYMOUS_ACCESSOR_ID).is_none() {
                    // It is built in until somebody changes it.
                    let touched = self.stored.apply(AccessChange::CreateToken(Token::anonymous()), index)?;
                    self.stored.apply(change, index)?;
                    return Ok(touched);
                }
            }
            AccessChange::DeleteToken(accessor_id) => self.may_change_token(accessor_id)?,
            AccessChange::Expire(_) | AccessChange::Follow(_) => {}
            AccessChange::Bootstrap(token) => {
                let before = self.stored.bootstrap_index();
                if before > 0 || self.file_has_manager() {
                    return Err(AccessError::Bootstrapped(before.max(1)));
                }
                self.may_create(token)?;
            }
        }
        self.stored.apply(change, index)
    }

    fn may_set_policy(&self, policy: &Policy) -> Result<(), AccessError> {
        self.may_change_policy(&policy.id)?;
        match self.policy_by_name(&policy.name).is_some_and(|other| other.id != policy.id) {
            true => Err(AccessError::NameTaken(Arc::clone(&policy.name))),
            false => Ok(()),
        }
    }

    fn may_change_policy(&self, id: &str) -> Result<(), AccessError> {
        let of_file = |policy: &Arc<Policy>| AccessError::InFile { kind: "policy", name: Arc::clone(&policy.name) };
        self.file.policy(id).map_or(Ok(()), |policy| Err(of_file(policy)))
    }

    fn may_create(&self, token: &Token) -> Result<(), AccessError> {
        if self.token(&token.accessor_id).is_some() {
            return Err(AccessError::IdTaken(Arc::clone(&token.accessor_id)));
        }
        // What a token is spoken of by is no secret.
        let secret = token.secret.reveal();
        let is_known = *secret == token.accessor_id || self.token(secret).is_some();
        match is_known || self.file.token_by_secret(secret).is_some() {
            true => Err(AccessError::SecretTaken),
            false => Ok(()),
        }
    }

    fn may_change_token(&self, accessor_id: &str) -> Result<(), AccessError> {
        let of_file = |token: &Arc<Token>| AccessError::InFile { kind: "token", name: Arc::clone(&token.description) };
        self.file.token(accessor_id).map_or(Ok(()), |token| Err(of_file(token)))
    }

    /// Whether a token of the file may make others, so that nobody else needs a first one.
    fn file_has_manager(&self) -> bool {
        let may = |token: &Arc<Token>| self.authorizer(token, Level::Deny).allows(Resource::Acl, "", Level::Write);
        self.file.tokens().any(may)
    }
}

static MANAGEMENT: LazyLock<Arc<Policy>> = LazyLock::new(|| Arc::new(Policy::management()));

static ANONYMOUS: LazyLock<Arc<Token>> = LazyLock::new(|| Arc::new(Token::anonymous()));

#[cfg(test)]
#[path = "realm_tests.rs"]
mod tests;
