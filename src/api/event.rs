//! `/v1/event`: events.
//!
//! A fired event reaches a node if the filters that came with it let it through there when it is heard of; only then it is listed
//! there. As in Consul, whoever fires it is not told.

use std::sync::Arc;

use axum::response::Response;
use serde::Serialize;

use super::{
    Api,
    access::Caller,
    call::Call,
    respond::{ApiError, indexed, json},
    shared::shared,
};
use crate::{
    access::{Level, Resource},
    catalog::names::Text,
    kv::{
        base64::Base64,
        change::Change,
        event::{Event, Filters},
    },
    publish::{snapshot::Snapshot, watch::WatchKey},
    random,
};

/// `PUT /v1/event/fire/:name`
pub(super) async fn fire(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    call.read(&api)?;
    if call.last().is_empty() {
        return Err(ApiError::BadRequest("Missing name".to_owned()));
    }
    call.caller().must(Resource::Event, call.last(), Level::Write)?;
    let filter = |name: &str| Text::from(call.parameter(name).unwrap_or_default());
    let event = Event {
        id: Text::from(random::uuid()),
        name: Text::from(call.last()),
        node_filter: filter("node"),
        service_filter: filter("service"),
        tag_filter: filter("tag"),
        ..Event::default()
    };
    let event = Event { payload: call.take_body().into(), ..event };
    let filters = Filters::of(&event).map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let snapshot = api.parts.published.load();
    let is_here = filters.let_through(&snapshot.catalog, &api.parts.local.node);
    let is_shared = snapshot.store.revision().is_some();
    drop(snapshot);
    // Other machines decide for their own nodes.
    if is_here || is_shared {
        api.parts.feed.store(Change::Fire(Event { is_here, ..event.clone() })).await?;
    }
    json(&EventBody::new(&event), call.pretty())
}

/// `GET /v1/event/list`
pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let name = call.parameter("name").unwrap_or_default().to_owned();
    let last =
        |snapshot: &Snapshot| events(snapshot, &name, &read.caller).last().map_or(0, |event| index_of(&event.id));
    drop(api.newer(&read, WatchKey::Events, last).await?);
    shared(&api, call.into_asked(), 0, move |snapshot| {
        let events: Vec<&Arc<Event>> = events(snapshot, &name, &read.caller).collect();
        let bodies: Vec<EventBody<'_>> = events.iter().map(|event| EventBody::new(event)).collect();
        indexed(&bodies, events.last().map_or(0, |event| index_of(&event.id)), &read)
    })
    .await
}

/// The events of a name, or all, that are for our node and that the caller may read.
fn events<'a>(snapshot: &'a Snapshot, name: &'a str, caller: &'a Caller) -> impl Iterator<Item = &'a Arc<Event>> {
    let here = snapshot.store.events().iter().filter(|event| event.is_here);
    let named = here.filter(move |event| name.is_empty() || event.name == name);
    named.filter(|event| caller.may(Resource::Event, &event.name, Level::Read))
}

/// The index of a list of events is made of the ID of its last one, as Consul does it.
fn index_of(id: &str) -> u64 {
    let bits =
        id.chars().filter_map(|digit| digit.to_digit(16)).fold(0_u128, |bits, digit| bits << 4 | u128::from(digit));
    (bits >> 64) as u64 ^ bits as u64
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EventBody<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    payload: Option<Base64<'a>>,
    node_filter: &'a str,
    service_filter: &'a str,
    tag_filter: &'a str,
    version: u32,
    #[serde(rename = "LTime")]
    number: u64,
}

impl<'a> EventBody<'a> {
    fn new(event: &'a Event) -> EventBody<'a> {
        EventBody {
            id: &event.id,
            name: &event.name,
            payload: Base64::unless_empty(&event.payload),
            node_filter: &event.node_filter,
            service_filter: &event.service_filter,
            tag_filter: &event.tag_filter,
            version: 1,
            number: event.number,
        }
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
