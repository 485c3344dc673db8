//! `/v1/acl/*`: tokens and policies.
//!
//! With access control off, all of it is what Consul answers without it. What the tokens file has and what is built in is shown
//! and cannot be changed here; the rest is, durably, and holds as soon as it is answered: for each request after that, and for
//! DNS, where it is about callers without a token.
//!
//! | bound | value |
//! |---|---|
//! | policies | 4,096; rules of one: 64 KiB |
//! | tokens | 65,536; policies of one: 128, identities of each kind: 128 |
//! | time of a token that expires | 1 minute to 24 hours |
//!
//! **Limits:** no roles, auth methods, binding rules, templated policies; who made the first token and lost it writes another
//! into the tokens file.
//!
//! **Source:** Consul's `api-docs/acl`.

use std::sync::Arc;

use axum::response::Response;

use super::{
    Api,
    acl_body::{self, PolicyBody, PolicyGiven, Secrets, TokenBody, TokenGiven},
    call::{CONSISTENT, Call, Read},
    respond::{ApiError, indexed, json},
};
use crate::{
    access::{
        Level, Realm, Resource,
        directory::AccessChange,
        token::{ANONYMOUS_ACCESSOR_ID, MANAGEMENT_POLICY_ID, Now, Policy, Secret, Token},
    },
    catalog::uuid::is_uuid,
    random,
};

/// `PUT /v1/acl/bootstrap`: makes the first token, which may do everything. Nobody has a right yet, so that none is asked for.
pub(super) async fn bootstrap(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let secret = if call.body_bytes() == 0 { None } else { acl_body::bootstrap_secret(&call.json()?)? };
    let token = Token {
        description: "Bootstrap Token (Global Management)".into(),
        policies: vec![MANAGEMENT_POLICY_ID.into()],
        created_secs: api.access.now_secs(),
        ..new_token(None, secret)
    };
    api.parts.feed.access(AccessChange::Bootstrap(token.clone())).await?;
    let accessor_id = &*token.accessor_id;
    tracing::info!(accessor_id, "the first token of access control was made by /v1/acl/bootstrap");
    let realm = realm(&api);
    // Nobody else will be told its secret, whether this machine has heard of it by now or not.
    let token = realm.token(accessor_id).map_or(&token, |known| known);
    let mut body = TokenBody::new(token, (&realm, &api.parts.local.datacenter), Secrets::Shown);
    body.id = Some(token.secret.reveal());
    json(&body, call.pretty())
}

/// `GET /v1/acl/token/self`: who has the secret may see it.
pub(super) async fn own_token(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (read, realm, _) = read(&api, &call).await?;
    let own = call.caller().accessor_id().and_then(|accessor_id| realm.token(accessor_id));
    shown(&api, &read, (own.ok_or_else(unknown_own)?, &realm), Secrets::Shown)
}

/// `GET /v1/acl/tokens`
pub(super) async fn tokens(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (read, realm, now) = read(&api, &call).await?;
    let given = |name: &'static str| call.parameter(name).filter(|value| !value.is_empty());
    let (policy, service) = (given("policy"), given("servicename"));
    // Of these there are none, so that no token has one.
    let has_none = given("role").or(given("authmethod")).is_some();
    let mut tokens: Vec<&Arc<Token>> = realm
        .tokens(now)
        .filter(|_| !has_none)
        .filter(|token| policy.is_none_or(|policy| token.policies.iter().any(|id| id.eq_ignore_ascii_case(policy))))
        .filter(|token| service.is_none_or(|service| token.service_identities.iter().any(|name| **name == *service)))
        .collect();
    tokens.sort_unstable_by(|left, right| left.accessor_id.cmp(&right.accessor_id));
    let (secrets, context) = (secrets(&call), (&*realm, &*api.parts.local.datacenter));
    let bodies: Vec<_> = tokens.into_iter().map(|token| TokenBody::new(token, context, secrets)).collect();
    indexed(&bodies, realm.stored.index(), &read)
}

/// `GET /v1/acl/token/:id`
pub(super) async fn token(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (read, realm, now) = read(&api, &call).await?;
    let token = found(&realm, now, call.last())?;
    shown(&api, &read, (token, &realm), secrets(&call))
}

/// `PUT /v1/acl/token`
pub(super) async fn create_token(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (realm, _) = newest(&api).await?;
    let given = acl_body::token(&call.json()?, &realm, &api.parts.local.datacenter)?;
    let created_secs = api.access.now_secs();
    let expires_secs = expiry(&given, created_secs)?;
    let token = Token { created_secs, expires_secs, ..filled(given) };
    set(&api, &call, (Arc::clone(&token.accessor_id), AccessChange::CreateToken(token))).await
}

/// `PUT /v1/acl/token/:id/clone`: another token with the same rights and a secret of its own.
pub(super) async fn clone_token(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (realm, now) = newest(&api).await?;
    let original = found(&realm, now, call.last())?;
    let given = match call.body_bytes() {
        0 => None,
        _ => acl_body::token(&call.json()?, &realm, &api.parts.local.datacenter)?.description,
    };
    let fresh = new_token(None, None);
    let token = Token {
        accessor_id: fresh.accessor_id,
        secret: fresh.secret,
        description: given.unwrap_or_else(|| Arc::clone(&original.description)),
        created_secs: api.access.now_secs(),
        ..Token::clone(original)
    };
    set(&api, &call, (Arc::clone(&token.accessor_id), AccessChange::CreateToken(token))).await
}

/// `PUT /v1/acl/token/:id`: another description, other policies and identities; all else of a token stays.
pub(super) async fn update_token(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let accessor_id = call.last().to_ascii_lowercase();
    if !is_uuid(&accessor_id) {
        return Err(ApiError::BadRequest("AccessorID is not a valid UUID".to_owned()));
    }
    let (realm, now) = newest(&api).await?;
    let missing = |_| ApiError::NotFound(format!("Cannot find token {accessor_id:?}"));
    let before = found(&realm, now, &accessor_id).map_err(missing)?;
    let given = acl_body::token(&call.json()?, &realm, &api.parts.local.datacenter)?;
    may_become(&given, before)?;
    let token = Token { accessor_id: Arc::clone(&before.accessor_id), ..filled(given) };
    set(&api, &call, (Arc::clone(&before.accessor_id), AccessChange::UpdateToken(token))).await
}

/// `DELETE /v1/acl/token/:id`
pub(super) async fn delete_token(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let accessor_id = call.last().to_ascii_lowercase();
    let refused = if !is_uuid(&accessor_id) {
        Some("Accessor ID is missing or an invalid UUID")
    } else if accessor_id == ANONYMOUS_ACCESSOR_ID {
        Some("Delete operation not permitted on the anonymous token")
    } else if call.caller().accessor_id() == Some(&accessor_id) {
        Some("Deletion of the request's authorization token is not permitted")
    } else {
        None
    };
    match refused {
        Some(problem) => Err(ApiError::BadRequest(problem.to_owned())),
        None => delete(&api, &call, (AccessChange::DeleteToken(accessor_id.into()), "token")).await,
    }
}

/// `GET /v1/acl/policies`
pub(super) async fn policies(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (read, realm, _) = read(&api, &call).await?;
    let mut policies: Vec<&Arc<Policy>> = realm.policies().collect();
    policies.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    let bodies: Vec<_> = policies.into_iter().map(|policy| PolicyBody::new(policy, None)).collect();
    indexed(&bodies, realm.stored.index(), &read)
}

/// `GET /v1/acl/policy/:id`
pub(super) async fn policy(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (read, realm, _) = read(&api, &call).await?;
    shown_policy(&read, &realm, realm.policy(&call.last().to_ascii_lowercase()))
}

/// `GET /v1/acl/policy/name/:name`
pub(super) async fn policy_by_name(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (read, realm, _) = read(&api, &call).await?;
    shown_policy(&read, &realm, realm.policy_by_name(call.last()))
}

/// `PUT /v1/acl/policy`
pub(super) async fn create_policy(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let given = acl_body::policy(&call.json()?, &api.parts.local.datacenter)?;
    if given.id.is_some() {
        return Err(ApiError::BadRequest("Cannot specify the ID when creating a new policy".to_owned()));
    }
    set_policy(&api, &call, AccessChange::CreatePolicy(made(given, random::uuid().into()))).await
}

/// `PUT /v1/acl/policy/:id`
pub(super) async fn update_policy(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let id = call.last().to_ascii_lowercase();
    let given = acl_body::policy(&call.json()?, &api.parts.local.datacenter)?;
    if given.id.as_ref().is_some_and(|given| *given != id) {
        return Err(ApiError::BadRequest("Policy ID in URL and payload do not match".to_owned()));
    }
    set_policy(&api, &call, AccessChange::UpdatePolicy(made(given, id.into()))).await
}

/// `DELETE /v1/acl/policy/:id`
pub(super) async fn delete_policy(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let id = call.last().to_ascii_lowercase();
    delete(&api, &call, (AccessChange::DeletePolicy(id.into()), "policy")).await
}

/// All else of `/v1/acl`.
pub(super) async fn other(_: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let there_is = "there are tokens and policies here, and none of Consul's other ways to give rights";
    Err(ApiError::NotFound(format!("no such path: /v1/acl/{}; {there_is}", call.last())))
}

/// `PUT /v1/agent/token/:type`
pub(super) async fn agents_token(_: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    let instead = "give the anonymous token policies for requests without one";
    Err(ApiError::NotFound(format!("this server needs no token for what it does itself; {instead}")))
}

fn realm(api: &Api) -> Arc<Realm> {
    known(api).0
}

fn known(api: &Api) -> (Arc<Realm>, Now) {
    let snapshot = api.parts.published.load();
    (Arc::clone(&snapshot.realm), api.access.now(&snapshot))
}

/// With all that was done on any machine before: what a token is made of may have been made on another one just now.
async fn newest(api: &Api) -> Result<(Arc<Realm>, Now), ApiError> {
    api.parts.feed.catch_up().await?;
    Ok(known(api))
}

/// How to read, and what.
async fn read(api: &Arc<Api>, call: &Call) -> Result<(Read, Arc<Realm>, Now), ApiError> {
    let read = call.read(api)?;
    let (realm, now) = if read.consistency == CONSISTENT { newest(api).await? } else { known(api) };
    Ok((read, realm, now))
}

fn secrets(call: &Call) -> Secrets {
    if call.caller().may(Resource::Acl, "", Level::Write) { Secrets::Shown } else { Secrets::Hidden }
}

/// The token of this accessor ID, while it is worth something.
fn found<'a>(realm: &'a Realm, now: Now, accessor_id: &str) -> Result<&'a Arc<Token>, ApiError> {
    let found = realm.token(&accessor_id.to_ascii_lowercase());
    found.filter(|token| !token.has_expired(now)).ok_or_else(no_token)
}

fn shown(api: &Api, read: &Read, (token, realm): (&Token, &Realm), secrets: Secrets) -> Result<Response, ApiError> {
    indexed(&TokenBody::new(token, (realm, &api.parts.local.datacenter), secrets), realm.stored.index(), read)
}

fn shown_policy(read: &Read, realm: &Realm, found: Option<&Arc<Policy>>) -> Result<Response, ApiError> {
    let found = found.ok_or_else(|| ApiError::NotFound("Requested policy does not exist: ACL not found".to_owned()))?;
    indexed(&PolicyBody::new(found, Some(&found.text)), realm.stored.index(), read)
}

fn new_token(accessor_id: Option<String>, secret: Option<String>) -> Token {
    let accessor_id = accessor_id.unwrap_or_else(random::uuid);
    Token::new(accessor_id.into(), Secret::new(secret.unwrap_or_else(random::uuid)))
}

/// A token as it is wanted.
fn filled(given: TokenGiven) -> Token {
    Token {
        description: given.description.unwrap_or_default(),
        policies: given.policies,
        service_identities: given.service_identities,
        node_identities: given.node_identities,
        is_local: given.is_local,
        ..new_token(given.accessor_id, given.secret)
    }
}

fn made(given: PolicyGiven, id: Arc<str>) -> Policy {
    let PolicyGiven { name, description, text, rules, .. } = given;
    Policy { id, name, description, text, rules: Arc::new(rules), create_index: 0, modify_index: 0 }
}

/// When a new token expires.
fn expiry(given: &TokenGiven, created_secs: u64) -> Result<Option<u64>, ApiError> {
    let wrong = |problem: &str| Err(ApiError::BadRequest(problem.to_owned()));
    let at = match (given.expires_secs, given.expires_after) {
        (Some(_), Some(_)) => return wrong("Token Expiration TTL and Expiration Time cannot both be set"),
        (Some(at), None) => at,
        (None, Some(after)) => created_secs.saturating_add(after.as_secs()),
        (None, None) => return Ok(None),
    };
    match at.checked_sub(created_secs) {
        None => wrong("ExpirationTime cannot be before CreateTime"),
        Some(..EXPIRES_AFTER_LEAST_SECS) => wrong("ExpirationTime cannot be less than 1m0s in the future"),
        Some(EXPIRES_AFTER_LEAST_SECS..=EXPIRES_AFTER_MOST_SECS) => Ok(Some(at)),
        Some(_) => wrong("ExpirationTime cannot be more than 24h0m0s in the future"),
    }
}

/// Refuses what cannot be changed of a token.
fn may_become(given: &TokenGiven, before: &Token) -> Result<(), ApiError> {
    let accessor_id = &before.accessor_id;
    let problem = if given.accessor_id.as_ref().is_some_and(|given| **given != **accessor_id) {
        "Token Accessor ID in URL and payload do not match".to_owned()
    } else if given.secret.as_ref().is_some_and(|given| !before.secret.is(given)) {
        "Changing a token's SecretID is not permitted".to_owned()
    } else if given.is_local != before.is_local {
        format!("Cannot toggle local mode of {accessor_id}")
    } else if given.expires_after.is_some() || given.expires_secs.is_some_and(|at| Some(at) != before.expires_secs) {
        format!("Cannot change expiration time of {accessor_id}")
    } else {
        return Ok(());
    };
    Err(ApiError::BadRequest(problem))
}

/// Has a token made or changed, and shows it as it then is.
async fn set(
    api: &Arc<Api>,
    call: &Call,
    (accessor_id, change): (Arc<str>, AccessChange),
) -> Result<Response, ApiError> {
    call.only_our_datacenter(api, None)?;
    api.parts.feed.access(change).await?;
    let realm = realm(api);
    let token = realm.token(&accessor_id).ok_or_else(no_token)?;
    json(&TokenBody::new(token, (&realm, &api.parts.local.datacenter), Secrets::Shown), call.pretty())
}

/// Has a policy made or changed, and shows it as it then is.
async fn set_policy(api: &Arc<Api>, call: &Call, change: AccessChange) -> Result<Response, ApiError> {
    let (AccessChange::CreatePolicy(Policy { id, .. }) | AccessChange::UpdatePolicy(Policy { id, .. })) = &change
    else {
        return Err(ApiError::Failed("this is no change of a policy".to_owned()));
    };
    let id = Arc::clone(id);
    call.only_our_datacenter(api, None)?;
    api.parts.feed.access(change).await?;
    let realm = realm(api);
    let policy = realm.policy(&id).ok_or_else(|| ApiError::NotFound(format!("cannot find policy {id}")))?;
    json(&PolicyBody::new(policy, Some(&policy.text)), call.pretty())
}

/// Takes a token or a policy away; answers `true`, as Consul.
async fn delete(api: &Api, call: &Call, (change, what): (AccessChange, &str)) -> Result<Response, ApiError> {
    call.only_our_datacenter(api, None)?;
    match api.parts.feed.access(change).await.map_err(ApiError::from) {
        Ok(_) => json(&true, call.pretty()),
        Err(ApiError::NotFound(_)) => Err(ApiError::NotFound(format!("Cannot find {what} to delete"))),
        Err(error) => Err(error),
    }
}

fn no_token() -> ApiError {
    ApiError::NotFound("Requested token does not exist: ACL not found".to_owned())
}

/// Of a token that asks for itself. Source: Consul.
pub(super) fn unknown_own() -> ApiError {
    ApiError::NotFound("Supplied token does not exist".to_owned())
}

/// Shortest and longest time from a token's creation to its end. Source: Consul's defaults.
const EXPIRES_AFTER_LEAST_SECS: u64 = 60;
const EXPIRES_AFTER_MOST_SECS: u64 = 86_400;

#[cfg(test)]
#[path = "acl_tests.rs"]
mod tests;
