//! Who calls, and what that caller may do.
//!
//! With access control off no token is looked at, and everybody may do what `access_anonymous` says. With it on, the token is
//! that of `?token=`, else of `X-Consul-Token`, else of `Authorization: Bearer`; callers without one are the anonymous token.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, header};

use super::respond::ApiError;
use crate::{
    access::{
        Authorizer, Level, Realm, Resource,
        token::{ANONYMOUS_ACCESSOR_ID, ANONYMOUS_SECRET, Now, Token},
    },
    publish::{snapshot::Snapshot, watch::Published},
};

/// What access control stands on.
#[derive(Clone)]
pub struct AccessParts {
    /// Whether tokens count.
    pub mode: AccessMode,
    /// What callers without a token may do where no rule says.
    pub anonymous: Level,
    /// Tells the time, in seconds since 1970.
    pub now_secs: fn() -> u64,
}

/// Whether tokens count.
#[derive(Clone)]
pub enum AccessMode {
    /// They do not.
    Off {
        /// What one who was refused can have set.
        cure: Arc<str>,
    },
    /// They do.
    On {
        /// What tokens may do where none of their rules says.
        default: Level,
        /// Whether reading all keys below a prefix takes the right to list them.
        key_list: bool,
    },
}

/// Resolves tokens.
pub(super) struct Access {
    parts: AccessParts,
    /// Where tokens do not count: all callers.
    everybody: Caller,
    known: Mutex<Known>,
}

/// Rights that were put together before, as long as policies and tokens are what they were.
#[derive(Default)]
struct Known {
    realm: Option<Arc<Realm>>,
    /// What tokens may do, by the accessor ID.
    authorizers: HashMap<Arc<str>, Arc<Authorizer>>,
}

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// What it may do; another, for all clones of it, if that changes while its request waits.
    authorizer: Arc<ArcSwap<Authorizer>>,
    /// Of its token; none where tokens do not count.
    accessor_id: Option<Arc<str>>,
    /// What one who was refused can have set.
    cure: Option<Arc<str>>,
    /// Whether reading all keys below a prefix takes the right to list them.
    key_list: bool,
}

impl Access {
    pub(super) fn new(parts: AccessParts) -> Access {
        let cure = match &parts.mode {
            AccessMode::Off { cure } => Some(Arc::clone(cure)),
            AccessMode::On { .. } => None,
        };
        let authorizer = Arc::new(ArcSwap::from_pointee(Authorizer::new([], parts.anonymous)));
        let everybody = Caller { authorizer, accessor_id: None, cure, key_list: false };
        Access { parts, everybody, known: Mutex::default() }
    }

    /// What is said of rights that no rule gives: `allow` or `deny`.
    pub(super) fn default_policy(&self) -> &'static str {
        match &self.parts.mode {
            AccessMode::On { default, .. } if *default < Level::Write => "deny",
            _ => "allow",
        }
    }

    /// Whether even reading takes a right that nobody has.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.parts.mode, AccessMode::Off { .. }) && self.parts.anonymous == Level::Deny
    }

    /// Whether tokens count; else what Consul says without them.
    pub(super) fn must_be_on(&self) -> Result<(), ApiError> {
        match &self.parts.mode {
            AccessMode::On { .. } => Ok(()),
            AccessMode::Off { .. } => Err(ApiError::AccessOff),
        }
    }

    /// The time, in seconds since 1970.
    pub(super) fn now_secs(&self) -> u64 {
        (self.parts.now_secs)()
    }

    /// By what it is told which tokens of this snapshot are over.
    pub(super) fn now(&self, snapshot: &Snapshot) -> Now {
        Now { secs: self.now_secs(), follows: snapshot.store_is_away().is_none() }
    }

    /// Who shows this token. The token is found by a hash, and its rights are put together once for as long as policies and
    /// tokens are what they are.
    pub(super) fn caller(&self, token: Option<&str>, published: &Published) -> Result<Caller, ApiError> {
        let AccessMode::On { default, key_list } = &self.parts.mode else { return Ok(self.everybody.clone()) };
        let snapshot = published.load();
        let (realm, now) = (Arc::clone(&snapshot.realm), self.now(&snapshot));
        drop(snapshot);
        let shown = token.filter(|token| *token != ANONYMOUS_SECRET);
        let (token, default) = match shown {
            None => (realm.anonymous(), self.parts.anonymous),
            Some(secret) => {
                let found = realm.token_by_secret(secret, now);
                (found.ok_or_else(|| ApiError::Forbidden("ACL not found".to_owned()))?, *default)
            }
        };
        let authorizer = Arc::new(ArcSwap::new(self.authorizer(&realm, token, default)));
        let accessor_id = Some(Arc::clone(&token.accessor_id));
        Ok(Caller { authorizer, accessor_id, cure: None, key_list: *key_list })
    }

    /// Has a caller whose request waited do what its token may do by now; refuses one whose token is worth nothing any more.
    pub(super) fn renew(&self, caller: &Caller, published: &Published) -> Result<(), ApiError> {
        let (AccessMode::On { default, .. }, Some(accessor_id)) = (&self.parts.mode, &caller.accessor_id) else {
            return Ok(());
        };
        let snapshot = published.load();
        let (realm, now) = (Arc::clone(&snapshot.realm), self.now(&snapshot));
        drop(snapshot);
        let token = realm.token(accessor_id).filter(|token| !token.has_expired(now));
        let token = token.ok_or_else(|| ApiError::Forbidden("ACL not found".to_owned()))?;
        let default = if token.is_anonymous() { self.parts.anonymous } else { *default };
        caller.authorizer.store(self.authorizer(&realm, token, default));
        Ok(())
    }

    /// What a token may do.
    fn authorizer(&self, realm: &Arc<Realm>, token: &Token, default: Level) -> Arc<Authorizer> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.realm.as_ref().is_none_or(|before| !Arc::ptr_eq(before, realm)) {
            *known = Known { realm: Some(Arc::clone(realm)), authorizers: HashMap::new() };
        }
        if let Some(authorizer) = known.authorizers.get(&token.accessor_id) {
            return Arc::clone(authorizer);
        }
        if known.authorizers.len() >= KNOWN_MAX {
            known.authorizers.clear();
        }
        let authorizer = Arc::new(realm.authorizer(token, default));
        known.authorizers.insert(Arc::clone(&token.accessor_id), Arc::clone(&authorizer));
        authorizer
    }
}

impl Caller {
    /// Who may do everything.
    #[cfg(test)]
    pub(super) fn of_everybody() -> Caller {
        Access::new(off(Level::Write)).everybody
    }

    /// All that it may do.
    pub(super) fn authorizer(&self) -> Arc<Authorizer> {
        self.authorizer.load_full()
    }

    /// The accessor ID of its token; none where tokens do not count.
    pub fn accessor_id(&self) -> Option<&str> {
        self.accessor_id.as_deref()
    }

    /// Whether it may do this with the name.
    pub fn may(&self, resource: Resource, name: &str, level: Level) -> bool {
        self.authorizer.load().allows(resource, name, level)
    }

    /// Whether it may do this with all names.
    pub fn may_with_all(&self, resource: Resource, level: Level) -> bool {
        self.may_with_all_below(resource, "", level)
    }

    /// Whether it may do this with all names that begin so.
    pub fn may_with_all_below(&self, resource: Resource, prefix: &str, level: Level) -> bool {
        self.authorizer.load().allows_all_below(resource, prefix, level)
    }

    /// Refuses what it may not do.
    pub fn must(&self, resource: Resource, name: &str, level: Level) -> Result<(), ApiError> {
        if self.may(resource, name, level) { Ok(()) } else { Err(self.refused(resource, name, level)) }
    }

    /// Refuses to read all keys below a prefix where that takes a right of its own.
    pub fn must_list_keys(&self, prefix: &str) -> Result<(), ApiError> {
        if self.key_list { self.must(Resource::Key, prefix, Level::List) } else { Ok(()) }
    }

    /// What it is told when it may not do something, in Consul's words.
    pub fn refused(&self, resource: Resource, name: &str, level: Level) -> ApiError {
        let (who, more) = match (&self.accessor_id, &self.cure) {
            (Some(accessor), _) if **accessor == *ANONYMOUS_ACCESSOR_ID => (
                "anonymous token".to_owned(),
                ". The anonymous token is used implicitly when a request does not specify a token.".to_owned(),
            ),
            (Some(accessor), _) => (format!("token with AccessorID '{accessor}'"), String::new()),
            (None, cure) => {
                ("a caller without access control".to_owned(), format!(". {}", cure.as_deref().unwrap_or_default()))
            }
        };
        let shown: String = name.chars().take(NAME_SHOWN_MAX_CHARS).collect();
        let on = if resource.has_names() { format!(" on {shown:?}") } else { String::new() };
        let (resource, level) = (resource.word(), level.word());
        ApiError::Forbidden(format!("Permission denied: {who} lacks permission '{resource}:{level}'{on}{more}"))
    }
}

/// The token that a request shows.
pub(super) fn token<'a>(query: &'a [(String, String)], headers: &'a HeaderMap) -> Option<&'a str> {
    let given = query.iter().find(|(name, _)| name == "token").map(|(_, value)| value.as_str());
    let text = |value: &'a axum::http::HeaderValue| value.to_str().ok().map(str::trim);
    let own = || headers.get("x-consul-token").and_then(text);
    let bearer = || {
        let (scheme, token) = headers.get(header::AUTHORIZATION).and_then(text)?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    let is_given = |token: &&str| !token.is_empty();
    given.filter(is_given).or_else(|| own().filter(is_given)).or_else(|| bearer().filter(is_given))
}

/// Without tokens; everybody may do this.
#[cfg(test)]
pub(super) fn off(anonymous: Level) -> AccessParts {
    AccessParts { mode: AccessMode::Off { cure: "Set access.".into() }, anonymous, now_secs: || 0 }
}

/// Most callers whose rights are remembered; beyond that all are forgotten.
///
/// Source: none, chosen: a token for each of some thousand services; at 10 rules each some megabytes.
const KNOWN_MAX: usize = 4096;

/// Most characters of a name that a refusal repeats. Source: none, chosen.
const NAME_SHOWN_MAX_CHARS: usize = 200;

#[cfg(test)]
#[path = "access_tests.rs"]
pub(super) mod tests;
