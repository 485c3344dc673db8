//! All policies and tokens that are in force.

use std::sync::{Arc, LazyLock};

use super::{
    authorizer::Authorizer,
    directory::{Directory, rules_of},
    rules::Level,
    token::{ANONYMOUS_ACCESSOR_ID, MANAGEMENT_POLICY_ID, MANAGEMENT_POLICY_NAME, Policy, Token},
};

/// Several directories as one, the first of them first; and what is built in.
#[derive(Debug, Clone, Copy)]
pub struct Realm<'a>(pub &'a [&'a Directory]);

impl<'a> Realm<'a> {
    /// The policy of this ID.
    pub fn policy(self, id: &str) -> Option<&'a Arc<Policy>> {
        if id == MANAGEMENT_POLICY_ID {
            return Some(&MANAGEMENT);
        }
        self.0.iter().find_map(|directory| directory.policy(id))
    }

    /// The policy of this name.
    pub fn policy_by_name(self, name: &str) -> Option<&'a Arc<Policy>> {
        if name == MANAGEMENT_POLICY_NAME {
            return Some(&MANAGEMENT);
        }
        self.0.iter().find_map(|directory| directory.policy_by_name(name))
    }

    /// The token of this accessor ID, expired or not.
    pub fn token(self, accessor_id: &str) -> Option<&'a Arc<Token>> {
        let found = self.0.iter().find_map(|directory| directory.token(accessor_id));
        found.or((accessor_id == ANONYMOUS_ACCESSOR_ID).then_some(&*ANONYMOUS))
    }

    /// The token that this secret is of, while it is worth something.
    pub fn token_by_secret(self, secret: &str, now_secs: u64) -> Option<&'a Arc<Token>> {
        let found = self.0.iter().find_map(|directory| directory.token_by_secret(secret));
        found.filter(|token| !token.has_expired(now_secs))
    }

    /// What callers without a token are.
    pub fn anonymous(self) -> &'a Arc<Token> {
        self.token(ANONYMOUS_ACCESSOR_ID).unwrap_or(&ANONYMOUS)
    }

    /// What a token may do; the default holds where none of its rules says.
    pub fn authorizer(self, token: &Token, default: Level) -> Authorizer {
        let rules = rules_of(token, |id| self.policy(id));
        Authorizer::new(rules.iter().map(|rules| &**rules), default)
    }
}

static MANAGEMENT: LazyLock<Arc<Policy>> = LazyLock::new(|| Arc::new(Policy::management()));

static ANONYMOUS: LazyLock<Arc<Token>> = LazyLock::new(|| Arc::new(Token::anonymous()));
