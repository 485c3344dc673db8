//! Who calls, and what that caller may do.
//!
//! With access control off no token is looked at, and everybody may do what `access_anonymous` says. With it on, the token is
//! that of `?token=`, else of `X-Consul-Token`, else of `Authorization: Bearer`; callers without one are the anonymous token.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use axum::http::{HeaderMap, header};

use super::respond::ApiError;
use crate::access::{
    Authorizer, Level, Realm, Resource,
    directory::Directory,
    token::{ANONYMOUS_ACCESSOR_ID, ANONYMOUS_SECRET},
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
        /// The tokens file.
        file: Arc<ArcSwap<Directory>>,
    },
}

/// Resolves tokens.
pub(super) struct Access {
    parts: AccessParts,
    /// Where tokens do not count: all callers.
    everybody: Caller,
}

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    authorizer: Arc<Authorizer>,
    /// Of its token; none where tokens do not count.
    accessor_id: Option<Arc<str>>,
    /// What one who was refused can have set.
    cure: Option<Arc<str>>,
}

impl Access {
    pub(super) fn new(parts: AccessParts) -> Access {
        let cure = match &parts.mode {
            AccessMode::Off { cure } => Some(Arc::clone(cure)),
            AccessMode::On { .. } => None,
        };
        let everybody = Caller { authorizer: Arc::new(Authorizer::new([], parts.anonymous)), accessor_id: None, cure };
        Access { parts, everybody }
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

    /// The tokens file, where tokens count.
    pub(super) fn file(&self) -> Option<Guard<Arc<Directory>>> {
        match &self.parts.mode {
            AccessMode::On { file, .. } => Some(file.load()),
            AccessMode::Off { .. } => None,
        }
    }

    /// Who shows this token.
    pub(super) fn caller(&self, token: Option<&str>) -> Result<Caller, ApiError> {
        let AccessMode::On { default, file } = &self.parts.mode else { return Ok(self.everybody.clone()) };
        let file = file.load();
        let directories = [&**file];
        let realm = Realm(&directories);
        let shown = token.filter(|token| *token != ANONYMOUS_SECRET);
        let (token, default) = match shown {
            None => (realm.anonymous(), self.parts.anonymous),
            Some(secret) => {
                let found = realm.token_by_secret(secret, (self.parts.now_secs)());
                (found.ok_or_else(|| ApiError::Forbidden("ACL not found".to_owned()))?, *default)
            }
        };
        let authorizer = Arc::new(realm.authorizer(token, default));
        Ok(Caller { authorizer, accessor_id: Some(Arc::clone(&token.accessor_id)), cure: None })
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
        Arc::clone(&self.authorizer)
    }

    /// The accessor ID of its token; none where tokens do not count.
    pub fn accessor_id(&self) -> Option<&str> {
        self.accessor_id.as_deref()
    }

    /// Whether it may do this with the name.
    pub fn may(&self, resource: Resource, name: &str, level: Level) -> bool {
        self.authorizer.allows(resource, name, level)
    }

    /// Whether it may do this with all names.
    pub fn may_with_all(&self, resource: Resource, level: Level) -> bool {
        self.may_with_all_below(resource, "", level)
    }

    /// Whether it may do this with all names that begin so.
    pub fn may_with_all_below(&self, resource: Resource, prefix: &str, level: Level) -> bool {
        self.authorizer.allows_all_below(resource, prefix, level)
    }

    /// Refuses what it may not do.
    pub fn must(&self, resource: Resource, name: &str, level: Level) -> Result<(), ApiError> {
        if self.may(resource, name, level) { Ok(()) } else { Err(self.refused(resource, name, level)) }
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

/// Most characters of a name that a refusal repeats. Source: none, chosen.
const NAME_SHOWN_MAX_CHARS: usize = 200;

#[cfg(test)]
#[path = "access_tests.rs"]
pub(super) mod tests;
