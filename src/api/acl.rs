//! `/v1/acl/*`: tokens and policies, as far as they are in force.
//!
//! With access control off, all of it is what Consul answers without it. Tokens and policies are those of the tokens file and
//! what is built in, and are changed there.
//!
//! **Limits:** nothing is made, changed or deleted by HTTP.

use std::sync::Arc;

use axum::response::Response;
use serde::Serialize;

use super::{
    Api,
    call::Call,
    respond::{ApiError, json},
};
use crate::access::{
    Level, Realm, Resource, time,
    token::{ANONYMOUS_ACCESSOR_ID, Policy, Token},
};

/// `GET /v1/acl/:rest`
pub(super) async fn get(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let file = api.access.file().ok_or(ApiError::AccessOff)?;
    let directories = [&**file];
    let realm = Realm(&directories);
    let caller = call.caller();
    let path: Vec<&str> = call.last().split('/').collect();
    if path[..] == ["token", "self"] {
        let own = caller.accessor_id().and_then(|accessor| realm.token(accessor)).ok_or_else(not_found)?;
        return json(&TokenBody::new(own, realm, Secrets::Shown), call.pretty());
    }
    caller.must(Resource::Acl, "", Level::Read)?;
    let secrets = if caller.may(Resource::Acl, "", Level::Write) { Secrets::Shown } else { Secrets::Hidden };
    match path[..] {
        ["tokens"] => {
            let mut tokens: Vec<&Arc<Token>> = file.tokens().collect();
            if file.token(ANONYMOUS_ACCESSOR_ID).is_none() {
                tokens.push(realm.anonymous());
            }
            tokens.sort_unstable_by(|left, right| left.accessor_id.cmp(&right.accessor_id));
            let bodies: Vec<_> = tokens.into_iter().map(|token| TokenBody::new(token, realm, secrets)).collect();
            json(&bodies, call.pretty())
        }
        ["token", accessor] => {
            let token = realm.token(accessor).ok_or_else(not_found)?;
            json(&TokenBody::new(token, realm, secrets), call.pretty())
        }
        ["policies"] => {
            let mut policies: Vec<&Arc<Policy>> = file.policies().chain(realm.policy_by_name(MANAGEMENT)).collect();
            policies.sort_unstable_by(|left, right| left.name.cmp(&right.name));
            let bodies: Vec<_> = policies.into_iter().map(|policy| PolicyBody::new(policy, None)).collect();
            json(&bodies, call.pretty())
        }
        ["policy", "name", name] => policy(realm.policy_by_name(name), &call),
        ["policy", id] => policy(realm.policy(id), &call),
        _ => Err(ApiError::NotFound(format!("no such path: /v1/acl/{}", call.last()))),
    }
}

/// `PUT /v1/acl/:rest`, and `DELETE`.
pub(super) async fn change(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    api.access.file().ok_or(ApiError::AccessOff)?;
    call.caller().must(Resource::Acl, "", Level::Write)?;
    let cure = "tokens and policies are those of the file that access_tokens names; change them there, it is read again by itself";
    Err(ApiError::Forbidden(cure.to_owned()))
}

fn policy(found: Option<&Arc<Policy>>, call: &Call) -> Result<Response, ApiError> {
    let found = found.ok_or_else(not_found)?;
    json(&PolicyBody::new(found, Some(&found.text)), call.pretty())
}

/// As Consul answers for a token or policy that is not there.
fn not_found() -> ApiError {
    ApiError::Forbidden("ACL not found".to_owned())
}

/// Whether the caller may see secrets: who may write tokens could make them anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secrets {
    Shown,
    Hidden,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TokenBody<'a> {
    #[serde(rename = "AccessorID")]
    accessor_id: &'a str,
    #[serde(rename = "SecretID")]
    secret_id: &'a str,
    description: &'a str,
    policies: Vec<PolicyLink<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_identities: Vec<ServiceIdentity<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    node_identities: Vec<NodeIdentity<'a>>,
    local: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_time: Option<String>,
    create_time: String,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize)]
struct PolicyLink<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Name")]
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceIdentity<'a> {
    service_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeIdentity<'a> {
    node_name: &'a str,
}

impl<'a> TokenBody<'a> {
    fn new(token: &'a Token, realm: Realm<'a>, secrets: Secrets) -> TokenBody<'a> {
        let policies = token.policies.iter().filter_map(|id| realm.policy(id));
        TokenBody {
            accessor_id: &token.accessor_id,
            secret_id: if secrets == Secrets::Shown { token.secret.reveal() } else { HIDDEN },
            description: &token.description,
            policies: policies.map(|policy| PolicyLink { id: &policy.id, name: &policy.name }).collect(),
            service_identities: token
                .service_identities
                .iter()
                .map(|service_name| ServiceIdentity { service_name })
                .collect(),
            node_identities: token.node_identities.iter().map(|node_name| NodeIdentity { node_name }).collect(),
            local: token.is_local,
            expiration_time: token.expires_secs.map(time::format),
            create_time: time::format(token.created_secs),
            create_index: token.create_index,
            modify_index: token.modify_index,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyBody<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<&'a str>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> PolicyBody<'a> {
    /// Lists leave the rules out.
    fn new(policy: &'a Policy, rules: Option<&'a str>) -> PolicyBody<'a> {
        PolicyBody {
            id: &policy.id,
            name: &policy.name,
            description: &policy.description,
            rules,
            create_index: policy.create_index,
            modify_index: policy.modify_index,
        }
    }
}

const MANAGEMENT: &str = crate::access::token::MANAGEMENT_POLICY_NAME;

/// In place of a secret. Source: Consul.
const HIDDEN: &str = "<hidden>";

#[cfg(test)]
#[path = "acl_tests.rs"]
mod tests;
