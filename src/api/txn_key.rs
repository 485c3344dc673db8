//! Operations on keys in a transaction.

use super::respond::ApiError;
use crate::{
    catalog::{
        definition::{
            DefinitionError, Problem,
            fields::{Field, Fields},
        },
        names::Text,
    },
    kv::{
        base64,
        operation::{Content, Operation, Verb},
    },
};

/// Reads the operation below `KV`.
pub(super) fn operation(object: &Field<'_>) -> Result<Operation, ApiError> {
    let fields = Fields::read(object, FIELDS)?;
    let index = || fields.field("Index").map_or(Ok(0), Field::index);
    let session = || match fields.text("Session")? {
        Some(session) => Ok(Text::from(session)),
        None => Err(fields.wrong("Session", Problem::Missing)),
    };
    let verb = fields.field("Verb").ok_or_else(|| fields.wrong("Verb", Problem::Missing))?;
    let verb = match verb.text()? {
        "set" => Verb::Set(content(&fields)?),
        "cas" => Verb::Cas(content(&fields)?, index()?),
        "lock" => Verb::Lock(content(&fields)?, session()?),
        "unlock" => Verb::Unlock(content(&fields)?, session()?),
        "get" => Verb::Get,
        "get-or-empty" => Verb::GetOrEmpty,
        "get-tree" => Verb::GetTree,
        "check-index" => Verb::CheckIndex(index()?),
        "check-session" => Verb::CheckSession(session()?),
        "check-not-exists" => Verb::CheckNotExists,
        "delete" => Verb::Delete,
        "delete-tree" => Verb::DeleteTree,
        "delete-cas" => Verb::DeleteCas(index()?),
        _ => return Err(verb.expected(VERBS).into()),
    };
    let key = Text::from(fields.text("Key")?.unwrap_or_default());
    if key.is_empty() && !matches!(verb, Verb::GetTree | Verb::DeleteTree) {
        return Err(fields.wrong("Key", Problem::Missing).into());
    }
    Ok(Operation { key, verb })
}

fn content(fields: &Fields<'_>) -> Result<Content, ApiError> {
    let flags = fields.field("Flags").map_or(Ok(0), Field::index)?;
    let Some(field) = fields.field("Value") else { return Ok(Content { flags, value: Box::default() }) };
    let value = base64::decode(field.text()?).ok_or_else(|| field.expected("a text in base64"))?;
    if value.len() > VALUE_MAX_BYTES {
        let rule = format!("must be at most {} KiB, not {} bytes", VALUE_MAX_BYTES / 1024, value.len());
        let DefinitionError { path, problem, .. } = field.wrong(Problem::Rule(rule));
        return Err(ApiError::TooLarge(format!("{path}: {problem}")));
    }
    Ok(Content { flags, value: value.into() })
}

const FIELDS: &[&str] = &["Verb", "Key", "Value", "Flags", "Index", "Session", "Namespace", "Partition"];

const VERBS: &str = "\"set\", \"cas\", \"lock\", \"unlock\", \"get\", \"get-or-empty\", \"get-tree\", \"check-index\", \
                     \"check-session\", \"check-not-exists\", \"delete\", \"delete-tree\" or \"delete-cas\"";

/// Largest value of a key. Source: Consul.
pub(super) const VALUE_MAX_BYTES: usize = 512 * 1024;

#[cfg(test)]
#[path = "txn_key_tests.rs"]
mod tests;
