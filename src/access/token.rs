//! Policies and tokens.

use std::{fmt, hint::black_box, sync::Arc};

use super::rules::{Level, Resource, Rule, Rules, Scope};

/// A named set of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// UUID, in lower case.
    pub id: Arc<str>,
    /// Its name, which no other policy has.
    pub name: Arc<str>,
    /// For people.
    pub description: Arc<str>,
    /// The rules as they were written.
    pub text: Arc<str>,
    /// The rules as they were read.
    pub rules: Arc<Rules>,
    /// Index of its creation.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// What a caller shows, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// UUID by which it is spoken of, in lower case.
    pub accessor_id: Arc<str>,
    /// What the caller shows.
    pub secret: Secret,
    /// For people.
    pub description: Arc<str>,
    /// IDs of its policies.
    pub policies: Vec<Arc<str>>,
    /// Services that it registers and finds the neighbours of.
    pub service_identities: Vec<Arc<str>>,
    /// Nodes that it registers.
    pub node_identities: Vec<Arc<str>>,
    /// Whether it was made for one datacenter only, which says nothing here.
    pub is_local: bool,
    /// When it was made, in seconds since 1970.
    pub created_secs: u64,
    /// From when on it is worth nothing.
    pub expires_secs: Option<u64>,
    /// The lease of the store that machines share by which its time runs; 0: none that is known.
    pub lease: i64,
    /// Index of its creation.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// The secret of a token. It is never shown by `Debug`, and compared in constant time.
#[derive(Clone)]
pub struct Secret(Arc<str>);

/// By what it is told whether the time of a token is over.
///
/// The clocks of machines differ. So a token that they share is worth something as long as the shared store has it, which ends
/// it by a lease; only who does not hear of that store goes by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// This machine's clock, in seconds since 1970.
    pub secs: u64,
    /// Whether what the shared store has is heard of.
    pub follows: bool,
}

impl Now {
    /// By the clock alone.
    pub fn by_clock(secs: u64) -> Now {
        Now { secs, follows: false }
    }
}

impl Secret {
    /// Takes it.
    pub fn new(secret: impl Into<Arc<str>>) -> Secret {
        Secret(secret.into())
    }

    /// The secret itself, for its owner and for the disk.
    pub fn reveal(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether this is it; how long that takes depends on the length of what was given alone.
    pub fn is(&self, given: &str) -> bool {
        if self.0.len() != given.len() {
            return false;
        }
        let differing = self.0.bytes().zip(given.bytes()).fold(0, |differing, (own, given)| {
            // Opaque to the compiler, which else might stop at the first difference.
            black_box(differing | (own ^ given))
        });
        differing == 0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Policy {
    /// The policy that allows everything.
    pub fn management() -> Policy {
        let rules = Rules::all();
        let line = |rule: &Rule| match rule.scope {
            Scope::Whole => format!("{} = \"write\"", rule.resource.word()),
            _ => format!("{}_prefix \"\" {{ policy = \"write\" }}", rule.resource.word()),
        };
        let text = rules.iter().map(line).collect::<Vec<_>>().join("\n");
        Policy {
            id: MANAGEMENT_POLICY_ID.into(),
            name: MANAGEMENT_POLICY_NAME.into(),
            description: "Allows everything.".into(),
            text: text.into(),
            rules: Arc::new(rules),
            create_index: 0,
            modify_index: 0,
        }
    }
}

impl Token {
    /// A token of nothing yet.
    pub fn new(accessor_id: Arc<str>, secret: Secret) -> Token {
        Token {
            accessor_id,
            secret,
            description: "".into(),
            policies: Vec::new(),
            service_identities: Vec::new(),
            node_identities: Vec::new(),
            is_local: false,
            created_secs: 0,
            expires_secs: None,
            lease: 0,
            create_index: 0,
            modify_index: 0,
        }
    }

    /// What callers without a token are.
    pub fn anonymous() -> Token {
        let token = Token::new(ANONYMOUS_ACCESSOR_ID.into(), Secret::new(ANONYMOUS_SECRET));
        Token { description: "Anonymous Token".into(), ..token }
    }

    /// Whether callers without a token have it.
    pub fn is_anonymous(&self) -> bool {
        *self.accessor_id == *ANONYMOUS_ACCESSOR_ID
    }

    /// Whether it is worth nothing any more.
    pub fn has_expired(&self, now: Now) -> bool {
        let is_leased = self.lease != 0 && now.follows;
        self.expires_secs.is_some_and(|at| at <= now.secs) && !is_leased
    }

    /// The rules that its identities stand for.
    ///
    /// Source: Consul's documentation, "service identities" and "node identities".
    pub fn identity_rules(&self) -> Rules {
        let rule = |resource, scope, level| Rule { resource, scope, level };
        let all = |resource| rule(resource, Scope::Prefix("".into()), Level::Read);
        let mut rules = Vec::new();
        for service in &self.service_identities {
            let name = |suffix: &str| Scope::Exact(format!("{service}{suffix}").into());
            rules.push(rule(Resource::Service, name(""), Level::Write));
            rules.push(rule(Resource::Service, name("-sidecar-proxy"), Level::Write));
            rules.extend([all(Resource::Service), all(Resource::Node)]);
        }
        for node in &self.node_identities {
            rules.push(rule(Resource::Node, Scope::Exact((**node).into()), Level::Write));
            rules.push(all(Resource::Service));
        }
        Rules::new(rules)
    }
}

/// Source: Consul.
pub const MANAGEMENT_POLICY_ID: &str = "00000000-0000-0000-0000-000000000001";

/// Source: Consul.
pub const MANAGEMENT_POLICY_NAME: &str = "global-management";

/// Source: Consul.
pub const ANONYMOUS_ACCESSOR_ID: &str = "00000000-0000-0000-0000-000000000002";

/// What Consul calls the secret of those who have none. Source: Consul.
pub const ANONYMOUS_SECRET: &str = "anonymous";

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
