//! `/v1/query`: prepared queries, kept and executed.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Api,
    call::{Call, Read},
    catalog::Member,
    health,
    query_body::{QueryBody, decoded},
    respond::{ApiError, indexed, json},
    rights::Guarded,
    shared::shared,
};
use crate::{
    access::{Level, Resource},
    catalog::{
        names::{NodeName, ServiceName, Text},
        state::{InstanceEntry, State},
    },
    kv::{
        change::{Change, ChangeError},
        query::Query,
        template::Filling,
    },
    publish::{feed::SubmitError, watch::WatchKey},
    random,
};

/// `POST /v1/query`
pub(super) async fn create(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    call.read(&api)?;
    let query = decoded(&call.json()?, Text::from(random::uuid()))?;
    call.caller().must(Resource::Query, &query.name, Level::Write)?;
    let id = query.id.clone();
    set(&api, query).await?;
    json(&json!({ "ID": id.as_str() }), call.pretty())
}

/// `PUT /v1/query/:id`
pub(super) async fn update(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    call.read(&api)?;
    let query = decoded(&call.json()?, Text::from(call.last()))?;
    may_change(&api, &call)?.ok_or(ApiError::NoQuery)?;
    call.caller().must(Resource::Query, &query.name, Level::Write)?;
    set(&api, query).await?;
    Ok(StatusCode::OK.into_response())
}

/// Refuses a caller who may not change the query of the path, if it is there.
fn may_change(api: &Api, call: &Call) -> Result<Option<()>, ApiError> {
    let snapshot = api.parts.published.load();
    let known = snapshot.store.query(call.last());
    known.map(|entry| call.caller().must(Resource::Query, &entry.query.name, Level::Write)).transpose()
}

async fn set(api: &Api, query: Query) -> Result<(), ApiError> {
    match api.parts.feed.store(Change::SetQuery(Box::new(query))).await {
        Ok(_) => Ok(()),
        Err(SubmitError::Store(refused @ ChangeError::UnknownSession(_))) => Err(ApiError::Failed(refused.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// `DELETE /v1/query/:id`: one that is not there is gone already.
pub(super) async fn delete(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    call.read(&api)?;
    may_change(&api, &call)?;
    api.parts.feed.store(Change::DeleteQuery(Text::from(call.last()))).await?;
    Ok(StatusCode::OK.into_response())
}

/// `GET /v1/query`
pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let snapshot = api.newer(&read, WatchKey::Queries, |snapshot| snapshot.store.queries_index()).await?;
    let elements = snapshot.store.queries().count();
    drop(snapshot);
    shared(&api, call.into_asked(), elements, move |snapshot| {
        let queries = snapshot.store.queries();
        let readable = queries.filter(|entry| read.caller.may(Resource::Query, &entry.query.name, Level::Read));
        let bodies: Vec<QueryBody<'_>> = readable.map(|entry| QueryBody::of(entry)).collect();
        indexed(&bodies, snapshot.store.queries_index(), &read)
    })
    .await
}

/// `GET /v1/query/:id`
pub(super) async fn get(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    drop(api.newer(&read, WatchKey::Queries, |snapshot| snapshot.store.queries_index()).await?);
    let id = Text::from(call.last());
    shared(&api, call.into_asked(), 1, move |snapshot| {
        let entry = snapshot.store.query(&id).ok_or(ApiError::NoQuery)?;
        read.caller.must(Resource::Query, &entry.query.name, Level::Read)?;
        indexed(&[QueryBody::of(entry)], snapshot.store.queries_index(), &read)
    })
    .await
}

/// `GET /v1/query/:name/explain`
pub(super) async fn explain(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    api.caught_up(&read).await?;
    let snapshot = api.parts.published.load();
    let entry = snapshot.store.find_query(call.last()).ok_or(ApiError::NoQuery)?;
    read.caller.must(Resource::Query, &entry.query.name, Level::Read)?;
    let query = entry.query.rendered(call.last());
    let body = QueryBody::new(&query, (entry.create_index, entry.modify_index));
    indexed(&json!({ "Query": body }), snapshot.store.queries_index(), &read)
}

/// `GET /v1/query/:name/execute`
pub(super) async fn execute(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    api.caught_up(&read).await?;
    let snapshot = api.parts.published.load();
    let entry = snapshot.store.find_query(call.last()).ok_or(ApiError::NoQuery)?;
    let filling = Filling::new(&entry.query, call.last());
    let limit = match call.parameter("limit").filter(|text| !text.is_empty()) {
        Some(text) => {
            text.parse().map_err(|_| ApiError::BadRequest(format!("limit: expected a number, not {text:?}")))?
        }
        None => 0,
    };
    let limit = if limit == 0 { usize::MAX } else { limit };
    let mut nodes: Vec<Value> = Vec::new();
    // Who executes it sees of it what he may read of services and nodes.
    for (node, instance) in chosen(&snapshot.catalog, &filling, &near(&api, &filling, &read)) {
        if nodes.len() == limit {
            break;
        }
        let body = health::body(&api, node, instance);
        if !body.is_readable_by(&read.caller) {
            continue;
        }
        nodes.push(serde_json::to_value(&body).map_err(|error| ApiError::Failed(error.to_string()))?);
    }
    let body = json!({
        "Service": filling.text(&entry.query.service).as_str(),
        "Nodes": nodes,
        "DNS": { "TTL": entry.query.dns_ttl.as_ref().map_or("", |(_, text)| text) },
        "Datacenter": &*api.parts.local.datacenter,
        "Failovers": 0,
    });
    indexed(&body, snapshot.index(), &read)
}

/// The node whose instances stand first: that of the request, else that of the query.
fn near(api: &Api, filling: &Filling<'_>, read: &Read) -> Option<NodeName> {
    let of_query = || match filling.text(&filling.query().near).as_str() {
        "" => None,
        "_agent" | "_ip" => Some(api.parts.local.node.clone()),
        name => NodeName::new(name).ok(),
    };
    read.near.clone().or_else(of_query)
}

/// The instances that a query chooses, in random order, those of the near node first.
fn chosen<'a>(catalog: &'a State, filling: &Filling<'_>, near: &Option<NodeName>) -> Vec<Member<'a>> {
    let query = filling.query();
    let service = ServiceName::new(filling.text(&query.service)).ok().and_then(|name| catalog.service(&name));
    let instances = service.into_iter().flat_map(|service| service.instances());
    let mut chosen: Vec<Member<'_>> = instances
        .filter_map(|entry| Some((&**catalog.node(&entry.instance.node)?, &**entry)))
        .filter(|(node, entry)| {
            query.takes(query.status_of(node, entry)) && filling.is_for(&node.node, &entry.instance)
        })
        .collect();
    let random = RandomState::new();
    let place = |entry: &InstanceEntry| {
        let is_far = near.as_ref().is_some_and(|near| entry.instance.node != *near);
        (is_far, random.hash_one((entry.instance.node.as_str(), entry.instance.id.as_str())))
    };
    chosen.sort_by_cached_key(|(_, entry)| place(entry));
    chosen
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
