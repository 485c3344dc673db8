//! `PUT /v1/txn`: several operations on keys, nodes, services and checks as one.

use std::{hash::Hasher, sync::Arc, time::Duration};

use axum::{http::StatusCode, response::Response};
use serde::Serialize;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::{
    Api,
    agent::shadow_warning,
    body::{CheckBody, NodeBody, ServiceBody},
    call::{Call, Read},
    checks,
    kv::KeyBody,
    respond::{ApiError, indexed, json, warn},
    rights, txn_key,
};
use crate::{
    catalog::{
        change::Change,
        check::{CheckKey, CheckStatus},
        definition::{
            self, Decoded, Owner,
            fields::{Field, root},
            tree::{Tree, TreeValue},
        },
        document::DefinitionDocument,
        names::NodeName,
        node::Node,
        state::State,
        transaction::{self as catalog, Action, Subject},
    },
    publish::{
        feed::SubmitError,
        label,
        transaction::{self, Found, Operation},
    },
};

/// `PUT /v1/txn`
pub(super) async fn txn(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let Decoded { value: mut operations, notices } = decoded(&api, call).await?;
    let snapshot = api.parts.published.load();
    let needs = operations.iter().flat_map(|operation| rights::needs_of_operation(operation, &snapshot.catalog));
    let lacking = rights::must_all(&read.caller, needs);
    drop(snapshot);
    lacking?;
    if operations.iter().all(Operation::is_read) {
        return answer_reads(&api, operations, &read);
    }
    for (at, operation) in operations.iter().enumerate() {
        let Operation::Catalog(catalog::Operation { action: Action::Set { changes, .. }, .. }) = operation else {
            continue;
        };
        changes.iter().try_for_each(|change| api.may_be_checked(change)).map_err(|error| match error {
            ApiError::BadRequest(problem) => ApiError::BadRequest(format!("[{at}]: {problem}")),
            other => other,
        })?;
    }
    let refused = complete(&api, &mut operations);
    if !refused.is_empty() {
        return conflict(refused, read.pretty);
    }
    let mut warnings = notices;
    warnings.extend(operations.iter().filter_map(name_warning));
    let renewals = renewals(&api, &operations);
    let found = match api.parts.feed.transact(operations).await {
        Ok(receipt) => receipt.found,
        Err(SubmitError::Failed(errors)) => {
            let errors = errors.into_iter().map(|error| (error.at, error.problem.to_string()));
            return conflict(errors.collect(), read.pretty);
        }
        Err(error) => return Err(error.into()),
    };
    for (key, status, output) in &renewals {
        // What the status is stands in the catalog already; this moves the deadline.
        let _ = (api.parts.heartbeat)(key, *status, output);
    }
    let entries = found.iter().filter_map(|found| match found {
        Found::Catalog(catalog::Found::Instance(entry)) => Some(entry),
        _ => None,
    });
    warnings.extend(entries.filter_map(|entry| shadow_warning(entry)));
    let mut response = json(&body(&api, &found), read.pretty)?;
    warn(&mut response, &warnings);
    Ok(response)
}

/// Reads the body; a long one on a thread of its own, so that it holds up no other task.
async fn decoded(api: &Arc<Api>, call: Call) -> Result<Decoded<Vec<Operation>>, ApiError> {
    let (owner, most) = (api.owner(), api.parts.txn_max_ops);
    let long = call.body_bytes() > LONG_BODY_BYTES;
    let decode = move || {
        let tree = call.json()?;
        match &tree.value {
            TreeValue::List(items) if items.len() > most => Err(ApiError::TooLarge(format!(
                "the transaction has {} operations, and at most {most} are taken; split it, or raise txn_max_ops",
                items.len()
            ))),
            _ => operations(&tree, &owner),
        }
    };
    if !long {
        return decode();
    }
    let decoded = tokio::task::spawn_blocking(decode).await;
    decoded.unwrap_or_else(|_| Err(ApiError::Failed("internal error; the server goes on".to_owned())))
}

pub(super) fn operations(tree: &Tree, owner: &Owner) -> Result<Decoded<Vec<Operation>>, ApiError> {
    let mut notices = Vec::new();
    let read = |item: &Field<'_>| match item.member("KV") {
        Some(key) => Ok(Operation::Key(txn_key::operation(&key)?)),
        None => Ok(Operation::Catalog(definition::operation(item, owner, &mut notices)?)),
    };
    let value = root(tree, "").items()?.iter().map(read).collect::<Result<_, ApiError>>()?;
    Ok(Decoded { value, notices })
}

fn answer_reads(api: &Api, operations: Vec<Operation>, read: &Read) -> Result<Response, ApiError> {
    let snapshot = api.parts.published.load();
    let (mut catalog, mut store) = (snapshot.catalog.clone(), snapshot.store.clone());
    match transaction::transact((&mut catalog, &mut store), operations, (Duration::ZERO, &api.parts.metrics)) {
        Ok(done) => indexed(&body(api, &done.found), catalog.index(), read),
        Err(errors) => {
            let errors = errors.into_iter().map(|error| (error.at, error.problem.to_string()));
            conflict(errors.collect(), read.pretty)
        }
    }
}

/// Gives nodes without UUID the one that they have, or one made from their name. Returns which operations would change
/// the node that this server is, which only its settings do.
fn complete(api: &Api, operations: &mut [Operation]) -> Vec<(usize, String)> {
    let snapshot = api.parts.published.load();
    let own = &api.parts.local.node;
    let mut refused = Vec::new();
    for (at, operation) in operations.iter_mut().enumerate() {
        let Operation::Catalog(operation) = operation else { continue };
        if operation.subject == Subject::Node(own.clone()) && !matches!(operation.action, Action::Get) {
            let what = format!("node {own:?} is this server itself; its address and meta come from its settings");
            refused.push((at, what));
        }
        for change in operation.action.changes_mut() {
            let Change::RegisterNode(node) = change else { continue };
            match complete_node(api, &snapshot.catalog, node) {
                Err(what) if node.name != *own => refused.push((at, what)),
                _ => {}
            }
        }
    }
    refused
}

/// Gives a node without UUID the one that it has, or one made from its name; refuses the UUID of this server's own node and
/// a name that DNS takes for its name, under which nobody could tell the two apart.
pub(super) fn complete_node(api: &Api, catalog: &State, node: &mut Node) -> Result<(), String> {
    if node.uuid.is_empty() {
        let known = catalog.node(&node.name);
        node.uuid = known.map_or_else(|| uuid_of(&node.name), |known| Arc::clone(&known.node.uuid));
    }
    let own = &api.parts.local.node;
    if node.name != *own && label::dotted_key(node.name.as_str()) == label::dotted_key(own.as_str()) {
        return Err(format!("Node: {:?} is the same to DNS as {own:?}, which is this server itself", node.name));
    }
    if node.uuid != api.parts.local.uuid {
        return Ok(());
    }
    Err(format!(
        "ID: {} is that of node {own:?}, which is this server itself; give node {:?} another",
        node.uuid, node.name
    ))
}

/// A UUID that is the same for a name on every server (RFC 9562 section 5.8).
fn uuid_of(name: &NodeName) -> Arc<str> {
    let mut hasher = SipHasher13::new();
    hasher.write(name.as_str().as_bytes());
    let bits = hasher.finish128().as_u128() & !(0xf << 76) & !(0b11 << 62) | 8 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    Arc::from(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

fn name_warning(operation: &Operation) -> Option<String> {
    let Operation::Catalog(catalog::Operation { action: Action::Set { changes, .. }, .. }) = operation else {
        return None;
    };
    match changes.first()? {
        Change::Register(registration) => {
            let instance = &registration.instance;
            label::warning(&instance.service, instance.id.as_str())
        }
        _ => None,
    }
}

/// The checks of this node whose status is set: where they have a deadline, it is renewed.
fn renewals(api: &Api, operations: &[Operation]) -> Vec<Renewal> {
    let actions = operations.iter().filter_map(|operation| match operation {
        Operation::Catalog(catalog::Operation { action: Action::Set { changes, .. }, .. }) => Some(changes),
        _ => None,
    });
    let renewal = |change: &Change| match change {
        Change::SetStatus { key, result } if key.node == api.parts.local.node => {
            // A deadline has no target that its output could name.
            Some((key.clone(), result.status, result.output.shown("").into_owned()))
        }
        _ => None,
    };
    actions.flatten().filter_map(renewal).collect()
}

type Renewal = (CheckKey, CheckStatus, String);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TxnBody<'a> {
    /// `null` if it took no effect. Source: Consul.
    results: Option<Vec<ResultBody<'a>>>,
    /// `null` if it took effect. Source: Consul.
    errors: Option<Vec<ErrorBody>>,
}

#[derive(Serialize)]
enum ResultBody<'a> {
    #[serde(rename = "KV")]
    Key(KeyBody<'a>),
    Node(NodeBody<'a>),
    Service(ServiceBody<'a>),
    Check(CheckBody<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorBody {
    op_index: usize,
    what: String,
}

fn body<'a>(api: &'a Api, found: &'a [Found]) -> TxnBody<'a> {
    let datacenter = &api.parts.local.datacenter;
    let result = |found: &'a Found| match found {
        Found::Key(found) => ResultBody::Key(KeyBody::new(&found.entry, found.with_value)),
        Found::Catalog(catalog::Found::Node { node, create_index, modify_index }) => {
            ResultBody::Node(NodeBody::of(node, (*create_index, *modify_index), datacenter))
        }
        Found::Catalog(catalog::Found::Instance(entry)) => ResultBody::Service(ServiceBody::new(entry, datacenter)),
        Found::Catalog(catalog::Found::Check { entry, instance }) => {
            let definition = DefinitionDocument::new(&entry.check);
            ResultBody::Check(CheckBody { definition, ..checks::body(api, entry, instance.as_deref()) })
        }
    };
    TxnBody { results: Some(found.iter().map(result).collect()), errors: None }
}

fn conflict(errors: Vec<(usize, String)>, pretty: bool) -> Result<Response, ApiError> {
    let errors = errors.into_iter().map(|(op_index, what)| ErrorBody { op_index, what }).collect();
    let mut response = json(&TxnBody { results: None, errors: Some(errors) }, pretty)?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}

/// From so many bytes on a body is long. Source: none, chosen: a millisecond of reading it.
const LONG_BODY_BYTES: usize = 64 * 1024;

#[cfg(test)]
#[path = "txn_tests.rs"]
mod tests;
