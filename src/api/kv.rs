//! `/v1/kv`: keys with values.

use std::sync::Arc;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    Api,
    call::{Call, Read},
    respond::{ApiError, indexed, json, text, with_index},
    rights::{self, KeyName},
    shared::shared,
};
use crate::{
    access::{Level, Resource},
    catalog::names::Text,
    kv::{
        base64::Base64,
        operation::{Content, Operation, Problem, Verb},
        store::Entry,
    },
    publish::{
        feed::SubmitError,
        transaction::{OperationError, OperationProblem},
        watch::WatchKey,
    },
};

/// `GET /v1/kv/:key`
pub(super) async fn get(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let key = Text::from(call.last());
    if call.parameter("keys").is_some() {
        return names(&api, call, key, read).await;
    }
    if call.parameter("recurse").is_some() {
        return tree(&api, call, key, read).await;
    }
    if key.is_empty() {
        return Err(ApiError::BadRequest(MISSING_KEY.to_owned()));
    }
    read.caller.must(Resource::Key, &key, Level::Read)?;
    let watched = WatchKey::Key(key.clone());
    drop(api.newer(&read, watched, |snapshot| snapshot.store.key_index(&key)).await?);
    read.caller.must(Resource::Key, &key, Level::Read)?;
    count_read(&api, Verb::Get.as_str());
    let raw = call.parameter("raw").is_some();
    shared(&api, call.into_asked(), 1, move |snapshot| {
        let index = snapshot.store.key_index(&key);
        let Some(entry) = snapshot.store.key(&key) else { return Ok(missing(index, &read)) };
        if !raw {
            return indexed(&[KeyBody::new(entry, true)], index, &read);
        }
        // What is stored is anybody's: a browser is to make nothing of it.
        let headers = [
            (header::CONTENT_TYPE, "text/plain"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, "sandbox"),
        ];
        let mut response = (headers, entry.value.to_vec()).into_response();
        with_index(&mut response, index, &read);
        Ok(response)
    })
    .await
}

async fn tree(api: &Api, call: Call, prefix: Text, read: Read) -> Result<Response, ApiError> {
    read.caller.must_list_keys(&prefix)?;
    let watched = WatchKey::Keys(prefix.clone());
    let snapshot = api.newer(&read, watched, |snapshot| snapshot.store.prefix_index(&prefix)).await?;
    read.caller.must_list_keys(&prefix)?;
    let elements = snapshot.store.keys_below(&prefix).take(COUNTED_MAX).count();
    drop(snapshot);
    count_read(api, Verb::GetTree.as_str());
    shared(api, call.into_asked(), elements, move |snapshot| {
        let index = snapshot.store.prefix_index(&prefix);
        let entries: Vec<KeyBody<'_>> =
            readable(snapshot.store.keys_below(&prefix), &read).map(|entry| KeyBody::new(entry, true)).collect();
        if entries.is_empty() { Ok(missing(index, &read)) } else { indexed(&entries, index, &read) }
    })
    .await
}

/// Those that the caller may read.
fn readable<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>, read: &Read) -> impl Iterator<Item = &'a Arc<Entry>> {
    entries.filter(|entry| read.may(&KeyName(&entry.key)))
}

async fn names(api: &Api, call: Call, prefix: Text, read: Read) -> Result<Response, ApiError> {
    read.caller.must_list_keys(&prefix)?;
    let separator = call.parameter("separator").unwrap_or_default().to_owned();
    let watched = WatchKey::Keys(prefix.clone());
    let snapshot = api.newer(&read, watched, |snapshot| snapshot.store.prefix_index(&prefix)).await?;
    read.caller.must_list_keys(&prefix)?;
    let elements = snapshot.store.keys_below(&prefix).take(COUNTED_MAX).count();
    drop(snapshot);
    count_read(api, "keys");
    shared(api, call.into_asked(), elements, move |snapshot| {
        let index = snapshot.store.prefix_index(&prefix);
        let mut names = snapshot.store.names_below(&prefix, &separator);
        names.retain(|name| read.may(&KeyName(name)));
        if names.is_empty() { Ok(missing(index, &read)) } else { indexed(&names, index, &read) }
    })
    .await
}

/// Counts a read among the operations on keys; the publisher counts all others.
fn count_read(api: &Api, verb: &'static str) {
    api.parts.metrics.kv_operation(verb, Ok(()));
}

/// 404 without a body, but with the index to wait for.
fn missing(index: u64, read: &Read) -> Response {
    let mut response = StatusCode::NOT_FOUND.into_response();
    with_index(&mut response, index, read);
    response
}

/// `PUT /v1/kv/:key`
pub(super) async fn put(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    call.read(&api)?;
    let key = key(&call)?;
    only_one_of(&call, &["cas", "acquire", "release"])?;
    let content = Content { flags: number(&call, "flags")?.unwrap_or(0), value: call.take_body().into() };
    let verb = match (number(&call, "cas")?, call.parameter("acquire"), call.parameter("release")) {
        (Some(index), _, _) => Verb::Cas(content, index),
        (_, Some(session), _) => Verb::Lock(content, Text::from(session)),
        (_, _, Some(session)) => Verb::Unlock(content, Text::from(session)),
        _ => Verb::Set(content),
    };
    change(&api, &call, Operation { key, verb }).await
}

/// `DELETE /v1/kv/:key`
pub(super) async fn delete(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    call.read(&api)?;
    only_one_of(&call, &["recurse", "cas"])?;
    let operation = if call.parameter("recurse").is_some() {
        Operation { key: Text::from(call.last()), verb: Verb::DeleteTree }
    } else {
        let verb = number(&call, "cas")?.map_or(Verb::Delete, Verb::DeleteCas);
        Operation { key: key(&call)?, verb }
    };
    change(&api, &call, operation).await
}

fn key(call: &Call) -> Result<Text, ApiError> {
    match call.last() {
        "" => Err(ApiError::BadRequest(MISSING_KEY.to_owned())),
        key => Ok(Text::from(key)),
    }
}

fn only_one_of(call: &Call, names: &[&str]) -> Result<(), ApiError> {
    let given: Vec<&str> = names.iter().copied().filter(|name| call.parameter(name).is_some()).collect();
    if given.len() > 1 { Err(ApiError::BadRequest(format!("Conflicting flags: {}", given.join(", ")))) } else { Ok(()) }
}

fn number(call: &Call, name: &str) -> Result<Option<u64>, ApiError> {
    let parse = |text: &str| {
        text.parse().map_err(|_| ApiError::BadRequest(format!("{name}: expected a number from 0, not {text:?}")))
    };
    call.parameter(name).map(parse).transpose()
}

/// Does one operation: true if it took effect, false if the key is not as it would have to be.
async fn change(api: &Api, call: &Call, operation: Operation) -> Result<Response, ApiError> {
    rights::must_all(call.caller(), [rights::key_need(&operation)])?;
    let pretty = call.pretty();
    match api.parts.feed.transact(vec![operation]).await {
        Ok(_) => json(&true, pretty),
        Err(SubmitError::Failed(errors)) => match &errors[..] {
            [OperationError { problem: OperationProblem::Key(problem @ Problem::UnknownSession(_)), .. }] => {
                // Not 404: that is Consul's answer to a key that is not there.
                Ok(text(StatusCode::INTERNAL_SERVER_ERROR, problem.to_string()))
            }
            _ => json(&false, pretty),
        },
        Err(error) => Err(error.into()),
    }
}

/// A key, as Consul shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyBody<'a> {
    lock_index: u64,
    key: &'a str,
    flags: u64,
    value: Option<Base64<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> KeyBody<'a> {
    pub(super) fn new(entry: &'a Entry, with_value: bool) -> KeyBody<'a> {
        KeyBody {
            lock_index: entry.lock_index,
            key: &entry.key,
            flags: entry.flags,
            value: Base64::unless_empty(&entry.value).filter(|_| with_value),
            session: entry.session.as_deref(),
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        }
    }
}

const MISSING_KEY: &str = "Missing key name";

/// So many keys are counted before a response is made: more makes it a large one anyway.
const COUNTED_MAX: usize = 1000;

#[cfg(test)]
#[path = "kv_tests.rs"]
mod tests;
