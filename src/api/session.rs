//! `/v1/session`: who locks keys.

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::{
    Api,
    access::Caller,
    call::Call,
    respond::{ApiError, indexed, json},
    rights::Guarded,
    shared::shared,
};
use crate::{
    access::{Level, Resource},
    catalog::{
        definition::{
            DefinitionError, Problem,
            fields::{Field, Fields, root},
            tree::{Tree, TreeValue},
        },
        duration::parse_duration,
        names::{CheckId, NodeName, Text},
    },
    kv::{
        change::Change,
        session::{Behavior, Session, SessionEntry},
    },
    publish::{feed::SubmitError, snapshot::Snapshot, watch::WatchKey},
    random,
};

/// `PUT /v1/session/create`
pub(super) async fn create(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    call.read(&api)?;
    let own = &api.parts.local.node;
    let tree = if call.body_bytes() == 0 { Tree { line: 1, value: TreeValue::Map(Vec::new()) } } else { call.json()? };
    let session = decoded(&tree, own, Text::from(random::uuid()))?;
    let id = session.id.clone();
    call.caller().must(Resource::Session, session.node.as_str(), Level::Write)?;
    match api.parts.feed.store(Change::CreateSession(Box::new(session))).await {
        Ok(_) => json(&json!({ "ID": id.as_str() }), call.pretty()),
        // As Consul: what is missing may be there in a moment.
        Err(SubmitError::Store(refused)) => Err(ApiError::Failed(refused.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// `PUT /v1/session/destroy/:id`: one that is not there has ended already.
pub(super) async fn destroy(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    call.read(&api)?;
    let id = id(&call)?;
    if let Some(entry) = api.parts.published.load().store.session(&id) {
        call.caller().must(Resource::Session, entry.session.node.as_str(), Level::Write)?;
    }
    api.parts.feed.store(Change::DestroySession(id)).await?;
    json(&true, call.pretty())
}

/// `PUT /v1/session/renew/:id`: moves the time at which it would end; nothing is published.
pub(super) async fn renew(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let id = id(&call)?;
    let snapshot = api.parts.published.load();
    let Some(entry) = snapshot.store.session(&id) else {
        return Err(ApiError::NotFound(format!("Session id '{id}' not found")));
    };
    call.caller().must(Resource::Session, entry.session.node.as_str(), Level::Write)?;
    api.parts.feed.renew_shared(id).await?;
    (api.parts.renew_session)(&entry.session);
    indexed(&[SessionBody::new(entry)], snapshot.store.sessions_index(), &read)
}

/// `GET /v1/session/info/:id`
pub(super) async fn info(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let id = id(&call)?;
    listed(&api, call, move |snapshot| snapshot.store.session(&id).into_iter().collect()).await
}

/// `GET /v1/session/list`
pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    listed(&api, call, |snapshot| snapshot.store.sessions().collect()).await
}

/// `GET /v1/session/node/:node`
pub(super) async fn of_node(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let node = NodeName::new(call.last()).map_err(|error| ApiError::BadRequest(format!("node: {error}")))?;
    listed(&api, call, move |snapshot| snapshot.store.sessions_of(&node)).await
}

async fn listed(
    api: &Arc<Api>,
    call: Call,
    sessions: impl for<'a> FnOnce(&'a Snapshot) -> Vec<&'a Arc<SessionEntry>> + Send + 'static,
) -> Result<Response, ApiError> {
    let read = call.read(api)?;
    let snapshot = api.newer(&read, WatchKey::Sessions, |snapshot| snapshot.store.sessions_index()).await?;
    drop(snapshot);
    shared(api, call.into_asked(), 0, move |snapshot| {
        let bodies = sessions(snapshot).into_iter().map(|entry| SessionBody::new(entry));
        indexed(&read.select(bodies)?, snapshot.store.sessions_index(), &read)
    })
    .await
}

fn id(call: &Call) -> Result<Text, ApiError> {
    match call.last() {
        "" => Err(ApiError::BadRequest("Missing session".to_owned())),
        id => Ok(Text::from(id)),
    }
}

/// Reads what a client wants for a session; without a node it is this server's.
pub(super) fn decoded(tree: &Tree, own: &NodeName, id: Text) -> Result<Session, DefinitionError> {
    let object = root(tree, "");
    let fields = Fields::read(&object, FIELDS)?;
    let node = fields.filled("Node").map(|field| field.identifier(NodeName::new)).transpose()?;
    let node_checks = match fields.field("NodeChecks").or(fields.field("Checks")) {
        Some(field) => checks(field)?,
        None => vec![CheckId::derived(super::ALIVE_CHECK_ID)],
    };
    let service_checks = fields.items("ServiceChecks", CHECKS_MAX)?;
    let service_checks = service_checks.iter().map(|item| {
        let fields = Fields::read(item, &["ID", "Namespace"])?;
        let field = fields.filled("ID").ok_or_else(|| fields.wrong("ID", Problem::Missing))?;
        Ok(CheckId::derived(field.text()?))
    });
    let ttl = match fields.filled("TTL") {
        Some(field) => ttl(field)?,
        None => None,
    };
    Ok(Session {
        id,
        name: Text::from(fields.text("Name")?.unwrap_or_default()),
        node: node.unwrap_or_else(|| own.clone()),
        node_checks,
        service_checks: service_checks.collect::<Result<_, DefinitionError>>()?,
        lock_delay: fields.field("LockDelay").map_or(Ok(LOCK_DELAY), lock_delay)?,
        behavior: match fields.text("Behavior")? {
            None | Some("release") => Behavior::Release,
            Some("delete") => Behavior::Delete,
            Some(_) => {
                let field = fields.field("Behavior").expect("it has a text");
                return Err(field.expected("\"release\" or \"delete\""));
            }
        },
        ttl,
    })
}

fn checks(field: &Field<'_>) -> Result<Vec<CheckId>, DefinitionError> {
    field.at_most(CHECKS_MAX)?;
    field.items()?.iter().map(|item| Ok(CheckId::derived(item.text()?))).collect()
}

fn ttl(field: &Field<'_>) -> Result<Option<(Duration, Text)>, DefinitionError> {
    let text = field.text()?;
    let span = parse_duration(text).ok();
    if span.is_some_and(|span| span.is_zero()) {
        return Ok(None);
    }
    let span = span.filter(|span| (TTL_MIN..=TTL_MAX).contains(span));
    span.map(|span| Some((span, Text::from(text)))).ok_or_else(|| field.expected("a duration from 10s to 24h"))
}

/// A duration; a small number is one of seconds, another one of nanoseconds, as Consul reads it.
fn lock_delay(field: &Field<'_>) -> Result<Duration, DefinitionError> {
    let span = match field.tree.value {
        TreeValue::Integer(seconds @ 0..SECONDS_BELOW) => Duration::from_secs(seconds as u64),
        _ => field.duration()?,
    };
    // A longer one is cut, as in Consul.
    Ok(span.min(LOCK_DELAY_MAX))
}

/// A session, as Consul shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SessionBody<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    node: &'a str,
    /// In nanoseconds.
    lock_delay: u64,
    behavior: &'static str,
    #[serde(rename = "TTL")]
    ttl: &'a str,
    node_checks: Vec<&'a str>,
    service_checks: Option<Vec<ServiceCheckBody<'a>>>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceCheckBody<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    namespace: &'static str,
}

impl Guarded for SessionBody<'_> {
    fn is_readable_by(&self, caller: &Caller) -> bool {
        caller.may(Resource::Session, self.node, Level::Read)
    }
}

impl<'a> SessionBody<'a> {
    fn new(entry: &'a SessionEntry) -> SessionBody<'a> {
        let session = &*entry.session;
        let of_service = |id: &'a CheckId| ServiceCheckBody { id: id.as_str(), namespace: "" };
        SessionBody {
            id: &session.id,
            name: &session.name,
            node: session.node.as_str(),
            lock_delay: u64::try_from(session.lock_delay.as_nanos()).unwrap_or(u64::MAX),
            behavior: match session.behavior {
                Behavior::Release => "release",
                Behavior::Delete => "delete",
            },
            ttl: session.ttl.as_ref().map_or("", |(_, text)| text),
            node_checks: session.node_checks.iter().map(CheckId::as_str).collect(),
            service_checks: (!session.service_checks.is_empty())
                .then(|| session.service_checks.iter().map(of_service).collect()),
            create_index: entry.create_index,
            modify_index: entry.create_index,
        }
    }
}

/// All known fields; those below the empty comment are accepted without effect.
const FIELDS: &[&str] = &[
    "Name",
    "Node",
    "NodeChecks",
    "ServiceChecks",
    "Checks",
    "LockDelay",
    "Behavior",
    "TTL",
    //
    "ID",
    "CreateIndex",
    "ModifyIndex",
    "Namespace",
    "Partition",
];

/// Lock delay of who names none. Source: Consul.
const LOCK_DELAY: Duration = Duration::from_secs(15);

/// Longest lock delay. Source: Consul.
const LOCK_DELAY_MAX: Duration = Duration::from_secs(60);

/// From this number on, a lock delay is one of nanoseconds. Source: Consul.
const SECONDS_BELOW: i64 = 1000;

/// Shortest and longest time in which a session must be renewed. Source: Consul.
const TTL_MIN: Duration = Duration::from_secs(10);
const TTL_MAX: Duration = Duration::from_secs(86_400);

/// Most checks of a session. Source: none, chosen: as many as a service may have.
const CHECKS_MAX: usize = 128;

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
