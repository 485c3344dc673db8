//! What lies under the keys of policies and tokens, as JSON in Consul's words.
//!
//! | what | lies there as |
//! |---|---|
//! | a policy | `{"ID": "ba08...", "Name": "deploy", "Description": "", "Rules": "service \"web\" { policy = \"write\" }"}` |
//! | a token | `{"AccessorID": "6a12...", "SecretID": "45a3...", "Policies": [{"ID": "ba08..."}], "CreateTime": "2026-11-21T21:06:58Z"}` |
//! | that a first token was made | `{"AccessorID": "6a12..."}`: which one; whatever lies there says it |
//!
//! The indexes are the revisions that etcd gives. A field that is not known is a newer nameplate's, and is passed over; but
//! what is said to hold in certain datacenters alone is refused, because it would hold here.
//!
//! No error repeats what stands in a token, because that may be its secret.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    document::{
        DocumentError, encoded, parsed,
        shape::{or_default, same, wrong},
    },
    kept::{KeptTooLarge, Revisions, within},
};
use crate::{
    access::{
        Rules, time,
        token::{ANONYMOUS_ACCESSOR_ID, ANONYMOUS_SECRET, MANAGEMENT_POLICY_ID, Policy, Secret, Token},
    },
    catalog::uuid::is_uuid,
};

/// What is written of a policy.
pub fn write_policy(policy: &Policy) -> Result<Vec<u8>, KeptTooLarge> {
    let Policy { id, name, description, text, .. } = policy;
    let [id, name, description, rules] = [id, name, description, text].map(|text| text.to_string());
    within(encoded(&PolicyShape { id, name, description, rules, datacenters: Vec::new() }))
}

/// Reads what lies under the key of a policy.
pub fn read_policy(id: &str, value: &[u8], revisions: Revisions) -> Result<Policy, DocumentError> {
    let shape: PolicyShape = parsed(value)?;
    same("ID", &shape.id, id)?;
    in_lower_case("ID", id)?;
    if id == MANAGEMENT_POLICY_ID {
        return Err(wrong("ID", "is that of global-management, which is built in"));
    }
    everywhere("Datacenters", &shape.datacenters)?;
    if shape.name.is_empty() {
        return Err(wrong("Name", "must not be empty"));
    }
    let rules = Rules::parse(&shape.rules).map_err(|error| wrong("Rules", error))?;
    Ok(Policy {
        id: id.into(),
        name: shape.name.into(),
        description: shape.description.into(),
        text: shape.rules.into(),
        rules: Arc::new(rules),
        create_index: revisions.create,
        modify_index: revisions.modify,
    })
}

/// What is written of a token.
pub fn write_token(token: &Token) -> Result<Vec<u8>, KeptTooLarge> {
    let names = |names: &[Arc<str>]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let of_service = |service_name| ServiceIdentity { service_name, datacenters: Vec::new() };
    let of_node = |node_name| NodeIdentity { node_name, datacenter: String::new() };
    within(encoded(&TokenShape {
        accessor_id: token.accessor_id.to_string(),
        secret_id: SecretShape(token.secret.reveal().to_string()),
        description: token.description.to_string(),
        policies: names(&token.policies).into_iter().map(|id| PolicyLink { id }).collect(),
        service_identities: names(&token.service_identities).into_iter().map(of_service).collect(),
        node_identities: names(&token.node_identities).into_iter().map(of_node).collect(),
        local: token.is_local,
        create_time: time::format(token.created_secs),
        expiration_time: token.expires_secs.map(time::format).unwrap_or_default(),
    }))
}

/// Reads what lies under the key of a token, which has this lease, or none: 0.
pub fn read_token(
    accessor_id: &str,
    value: &[u8],
    (revisions, lease): (Revisions, i64),
) -> Result<Token, DocumentError> {
    let shape: TokenShape = parsed(value).map_err(silent)?;
    same("AccessorID", &shape.accessor_id, accessor_id).map_err(|_| wrong("AccessorID", "must be that of the key"))?;
    in_lower_case("AccessorID", accessor_id)?;
    let secret = match accessor_id {
        ANONYMOUS_ACCESSOR_ID => ANONYMOUS_SECRET.to_owned(),
        _ => shape.secret_id.0,
    };
    let is_good = secret.len() >= SECRET_LEAST_BYTES && secret.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_good && accessor_id != ANONYMOUS_ACCESSOR_ID {
        return Err(wrong(
            "SecretID",
            format!("must have at least {SECRET_LEAST_BYTES} letters, digits and signs, and no blanks"),
        ));
    }
    for identity in &shape.service_identities {
        everywhere("ServiceIdentities.Datacenters", &identity.datacenters)?;
    }
    for identity in &shape.node_identities {
        everywhere("NodeIdentities.Datacenter", identity.datacenter.as_bytes())?;
    }
    let moment = |field: &str, text: &str| match text {
        "" => Ok(None),
        text => {
            time::parse(text).map(Some).ok_or_else(|| wrong(field, "must be a moment such as 2027-01-01T00:00:00Z"))
        }
    };
    let expires_secs = moment("ExpirationTime", &shape.expiration_time)?;
    if accessor_id == ANONYMOUS_ACCESSOR_ID && expires_secs.is_some() {
        return Err(wrong("ExpirationTime", "must be left out: what callers without a token may do has no end"));
    }
    Ok(Token {
        description: shape.description.into(),
        policies: shape.policies.into_iter().map(|link| link.id.into()).collect(),
        service_identities: shape.service_identities.into_iter().map(|one| one.service_name.into()).collect(),
        node_identities: shape.node_identities.into_iter().map(|one| one.node_name.into()).collect(),
        is_local: shape.local,
        created_secs: moment("CreateTime", &shape.create_time)?.unwrap_or_default(),
        expires_secs,
        lease,
        create_index: revisions.create,
        modify_index: revisions.modify,
        ..Token::new(accessor_id.into(), Secret::new(secret))
    })
}

/// What is written when the first token is made.
pub fn write_bootstrap(accessor_id: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Document<'a> {
        #[serde(rename = "AccessorID")]
        accessor_id: &'a str,
    }
    encoded(&Document { accessor_id })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyShape {
    #[serde(default, rename = "ID", deserialize_with = "or_default")]
    id: String,
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
    #[serde(default, deserialize_with = "or_default")]
    rules: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    datacenters: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TokenShape {
    #[serde(default, rename = "AccessorID", deserialize_with = "or_default")]
    accessor_id: String,
    #[serde(default, rename = "SecretID", deserialize_with = "or_default")]
    secret_id: SecretShape,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
    #[serde(default, deserialize_with = "or_default")]
    policies: Vec<PolicyLink>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    service_identities: Vec<ServiceIdentity>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    node_identities: Vec<NodeIdentity>,
    #[serde(default, deserialize_with = "or_default")]
    local: bool,
    #[serde(default, deserialize_with = "or_default")]
    create_time: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    expiration_time: String,
}

/// Not to be shown by `Debug`.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct SecretShape(String);

#[derive(Serialize, Deserialize)]
struct PolicyLink {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceIdentity {
    service_name: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    datacenters: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeIdentity {
    node_name: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    datacenter: String,
}

/// IDs are looked up in lower case, so that others would be found by nobody.
fn in_lower_case(field: &str, id: &str) -> Result<(), DocumentError> {
    match is_uuid(id) && !id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Ok(()),
        false => Err(wrong(field, "must be a UUID in lower case")),
    }
}

fn everywhere<T>(field: &str, datacenters: &[T]) -> Result<(), DocumentError> {
    match datacenters {
        [] => Ok(()),
        _ => Err(wrong(field, "must be left out: what lies here holds on all machines that share it")),
    }
}

/// What was wrong, without what stood there: "invalid type: string `...`, expected a boolean", or in a field of a name that
/// is not known.
fn silent(DocumentError { field, problem }: DocumentError) -> DocumentError {
    let problem = match problem.rsplit_once(", expected ").filter(|_| problem.starts_with("invalid")) {
        Some((_, rest)) => format!("expected {rest}"),
        None => problem,
    };
    let is_number = |index: &str| index.trim_end_matches(']').bytes().all(|byte| byte.is_ascii_digit());
    let is_known = |part: &str| match part.split_once('[') {
        Some((name, index)) => TOKEN_FIELDS.contains(&name) && is_number(index),
        None => TOKEN_FIELDS.contains(&part),
    };
    DocumentError { field: if field.split('.').all(is_known) { field } else { String::new() }, problem }
}

/// The names of all fields of a token.
const TOKEN_FIELDS: [&str; 14] = [
    "AccessorID",
    "SecretID",
    "Description",
    "Policies",
    "ID",
    "ServiceIdentities",
    "ServiceName",
    "Datacenters",
    "NodeIdentities",
    "NodeName",
    "Datacenter",
    "Local",
    "CreateTime",
    "ExpirationTime",
];

/// Shortest secret. Source: none, chosen: as in the tokens file.
const SECRET_LEAST_BYTES: usize = 16;

#[cfg(test)]
#[path = "kept_access_tests.rs"]
mod tests;
