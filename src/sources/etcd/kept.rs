//! What lies under the keys of what is of no node: a client's key, and a session, as JSON in Consul's words.
//!
//! | what | lies there as |
//! |---|---|
//! | a key | `{"Value": "MQ==", "Flags": 0, "Session": "6e9c...", "LockIndex": 1}` |
//! | a session | `{"ID": "6e9c...", "Node": "n1", "NodeChecks": ["serfHealth"], "LockDelay": "15s", "Behavior": "release", "TTL": "30s"}` |
//! | that a session is renewed | nothing; the key's lease tells it |
//! | that a key cannot be locked | `{"Session": "6e9c..."}`: who held it |
//!
//! `Value` is in base64, because JSON carries no bytes. The indexes of a key are the revisions that etcd gives it. A field that
//! is not known is a newer nameplate's, and is passed over.
//!
//! **Limits:** a document has at most [`DOCUMENT_MAX_BYTES`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::document::{
    DOCUMENT_MAX_BYTES, DocumentError, encoded, parsed,
    shape::{or_default, same, wrong},
};
use crate::{
    catalog::{
        duration::{format_duration, parse_duration},
        names::{CheckId, NodeName, Text},
    },
    kv::{
        base64::{self, Base64},
        session::{Behavior, Session},
        store::Entry,
    },
};

/// Which revisions etcd gives a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revisions {
    /// That in which it came.
    pub create: u64,
    /// That of its last change.
    pub modify: u64,
}

/// A document would be larger than one may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it would take {bytes} bytes in etcd; at most {DOCUMENT_MAX_BYTES} are shared")]
pub struct KeptTooLarge {
    /// How many bytes it would have.
    pub bytes: usize,
}

/// What is written of a client's key.
pub fn write_key(entry: &Entry) -> Result<Vec<u8>, KeptTooLarge> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document<'a> {
        value: Base64<'a>,
        flags: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<&'a str>,
        lock_index: u64,
    }
    let session = entry.session.as_deref();
    let document = Document { value: Base64(&entry.value), flags: entry.flags, session, lock_index: entry.lock_index };
    within(encoded(&document))
}

/// Reads what lies under the key of a client's key.
pub fn read_key(key: &Text, value: &[u8], revisions: Revisions) -> Result<Entry, DocumentError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Shape {
        #[serde(default, deserialize_with = "or_default")]
        value: String,
        #[serde(default, deserialize_with = "or_default")]
        flags: u64,
        #[serde(default, deserialize_with = "or_default")]
        session: String,
        #[serde(default, deserialize_with = "or_default")]
        lock_index: u64,
    }
    let shape: Shape = parsed(value)?;
    let value = base64::decode(&shape.value).ok_or_else(|| wrong("Value", "must be a text in base64"))?;
    Ok(Entry {
        key: key.clone(),
        value: value.into(),
        flags: shape.flags,
        session: Some(shape.session).filter(|session| !session.is_empty()).map(Text::from),
        lock_index: shape.lock_index,
        create_index: revisions.create,
        modify_index: revisions.modify,
    })
}

/// What is written of a session.
pub fn write_session(session: &Session) -> Result<Vec<u8>, KeptTooLarge> {
    let ids = |ids: &[CheckId]| ids.iter().map(|id| id.as_str().to_owned()).collect();
    let of_service = |id: &CheckId| ServiceCheckShape { id: id.as_str().to_owned() };
    within(encoded(&SessionShape {
        id: session.id.as_str().to_owned(),
        name: session.name.as_str().to_owned(),
        node: session.node.as_str().to_owned(),
        node_checks: ids(&session.node_checks),
        service_checks: session.service_checks.iter().map(of_service).collect(),
        lock_delay: format_duration(session.lock_delay),
        behavior: match session.behavior {
            Behavior::Release => BehaviorShape::Release,
            Behavior::Delete => BehaviorShape::Delete,
        },
        ttl: session.ttl.as_ref().map(|(_, text)| text.as_str().to_owned()).unwrap_or_default(),
    }))
}

/// Reads what lies under the key of a session.
pub fn read_session(id: &Text, value: &[u8]) -> Result<Session, DocumentError> {
    let shape: SessionShape = parsed(value)?;
    same("ID", &shape.id, id)?;
    let ttl = match &*shape.ttl {
        "" => None,
        text => Some((span("TTL", text, TTL_MAX)?, Text::from(text))).filter(|(span, _)| !span.is_zero()),
    };
    Ok(Session {
        id: id.clone(),
        name: Text::from(shape.name),
        node: NodeName::new(shape.node).map_err(|error| wrong("Node", error))?,
        node_checks: shape.node_checks.iter().map(|id| CheckId::derived(id)).collect(),
        service_checks: shape.service_checks.iter().map(|check| CheckId::derived(&check.id)).collect(),
        lock_delay: span("LockDelay", &shape.lock_delay, LOCK_DELAY_MAX)?,
        behavior: match shape.behavior {
            BehaviorShape::Release => Behavior::Release,
            BehaviorShape::Delete => Behavior::Delete,
        },
        ttl,
    })
}

/// What is written where a session is renewed.
pub fn write_session_ttl() -> Vec<u8> {
    b"{}".to_vec()
}

/// What is written where a key cannot be locked.
pub fn write_lock_delay(session: &str) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document<'a> {
        session: &'a str,
    }
    encoded(&Document { session })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionShape {
    #[serde(default, rename = "ID", deserialize_with = "or_default")]
    id: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    name: String,
    node: String,
    #[serde(default, deserialize_with = "or_default")]
    node_checks: Vec<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    service_checks: Vec<ServiceCheckShape>,
    #[serde(default = "lock_delay")]
    lock_delay: String,
    #[serde(default, deserialize_with = "or_default")]
    behavior: BehaviorShape,
    #[serde(default, rename = "TTL", deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    ttl: String,
}

#[derive(Serialize, Deserialize)]
struct ServiceCheckShape {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BehaviorShape {
    #[default]
    Release,
    Delete,
}

/// Lock delay of who names none. Source: Consul.
fn lock_delay() -> String {
    "15s".to_owned()
}

fn span(field: &str, text: &str, most: Duration) -> Result<Duration, DocumentError> {
    let span = parse_duration(text).map_err(|error| wrong(field, error))?;
    match span <= most {
        true => Ok(span),
        false => Err(wrong(field, format!("must be at most {}", format_duration(most)))),
    }
}

pub(super) fn within(document: Vec<u8>) -> Result<Vec<u8>, KeptTooLarge> {
    match document.len() {
        ..=DOCUMENT_MAX_BYTES => Ok(document),
        bytes => Err(KeptTooLarge { bytes }),
    }
}

/// Longest lock delay. Source: Consul.
const LOCK_DELAY_MAX: Duration = Duration::from_secs(60);

/// Longest time in which a session must be renewed. Source: Consul.
const TTL_MAX: Duration = Duration::from_secs(86_400);

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
