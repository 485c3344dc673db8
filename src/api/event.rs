//! `/v1/event`: events.
//!
//! A fired event reaches our node if the filters that came with it let it through at that moment; only then it is kept, and
//! listed. As in Consul, whoever fires it is not told.

use std::sync::Arc;

use axum::response::Response;
use regex::{Regex, RegexBuilder};
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
    catalog::{
        names::{NodeName, Text},
        service::Instance,
        state::State,
    },
    kv::{base64::Base64, change::Change, event::Event, template::reason},
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
    let filters = Filters::of(&event)?;
    if filters.let_through(&api.parts.published.load().catalog, &api.parts.local.node) {
        api.parts.feed.store(Change::Fire(event.clone())).await?;
    }
    json(&EventBody::new(&event), call.pretty())
}

/// Which nodes an event is for.
struct Filters {
    node: Option<Regex>,
    service: Option<Regex>,
    tag: Option<Regex>,
}

impl Filters {
    fn of(event: &Event) -> Result<Filters, ApiError> {
        if event.service_filter.is_empty() && !event.tag_filter.is_empty() {
            return Err(ApiError::BadRequest("tag: means nothing without service".to_owned()));
        }
        Ok(Filters {
            node: expression("node", &event.node_filter)?,
            service: expression("service", &event.service_filter)?,
            tag: expression("tag", &event.tag_filter)?,
        })
    }

    /// Whether an event is for a node: its name is right, and one of its instances has the service and the tag.
    fn let_through(&self, catalog: &State, node: &NodeName) -> bool {
        let is_right = |filter: &Option<Regex>, text: &str| filter.as_ref().is_none_or(|regex| regex.is_match(text));
        let mut instances = catalog.node(node).into_iter().flat_map(|node| node.instances());
        let has_tag = |instance: &Instance| {
            self.tag.is_none() || instance.tags.iter().any(|tag| is_right(&self.tag, tag.as_str()))
        };
        is_right(&self.node, node.as_str())
            && (self.service.is_none()
                || instances.any(|instance| is_right(&self.service, instance.service.as_str()) && has_tag(instance)))
    }
}

/// Reads a filter; an empty one is none.
fn expression(parameter: &str, text: &str) -> Result<Option<Regex>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = RegexBuilder::new(text).size_limit(EXPRESSION_MAX_BYTES).build();
    read.map(Some).map_err(|error| ApiError::BadRequest(format!("{parameter}: {}", reason(&error))))
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

/// The events of a name, or all, that the caller may read.
fn events<'a>(snapshot: &'a Snapshot, name: &'a str, caller: &'a Caller) -> impl Iterator<Item = &'a Arc<Event>> {
    let named = snapshot.store.events().iter().filter(move |event| name.is_empty() || event.name == name);
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

/// Most memory of a filter's expression. Source: none, chosen: `\\w` takes a tenth of it.
const EXPRESSION_MAX_BYTES: usize = 256 * 1024;

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
