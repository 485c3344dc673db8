//! `/v1/agent/service*`: the instances of this node.

use std::{collections::BTreeMap, hash::Hasher, sync::Arc};

use axum::{
    http::{HeaderValue, StatusCode},
    response::Response,
};
use siphasher::sip::SipHasher13;

use super::{
    Api,
    body::{HashedServiceBody, ServiceBody},
    call::{Call, parse_bool},
    respond::{ApiError, done, json, made},
};
use crate::{
    access::{Level, Resource},
    catalog::{
        change::{Change, Origin, Registration},
        definition,
        names::ServiceId,
        service::InstanceKey,
        state::{InstanceEntry, State},
    },
    publish::{label, watch::WatchKey},
};

/// `PUT /v1/agent/service/register`
pub(super) async fn register(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let replace_existing_checks = call.flag("replace-existing-checks")?;
    let decoded = definition::service(&call.json()?, "", &api.owner())?;
    let registration = Registration { replace_existing_checks, ..decoded.value };
    let mut warnings = decoded.notices;
    let key = registration.instance.key();
    warnings.extend(label::warning(&registration.instance.service, key.id.as_str()));
    api.submit(call.caller(), vec![Change::Register(Box::new(registration))]).await?;
    warnings.extend(api.parts.published.load().catalog.instance(&key).and_then(|entry| shadow_warning(entry)));
    Ok(done(&warnings))
}

/// `PUT /v1/agent/service/deregister/:id`
pub(super) async fn deregister(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let key = local_key(&api, &call)?;
    api.submit(call.caller(), vec![Change::Deregister { key, origin: Origin::Api }]).await.map_err(
        |error| match error {
            ApiError::NotFound(_) => unknown_service(call.last()),
            other => other,
        },
    )?;
    Ok(done(&[]))
}

/// `PUT /v1/agent/service/maintenance/:id?enable=&reason=`
pub(super) async fn maintenance(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let reason = maintenance_reason(&call)?;
    let key = local_key(&api, &call)?;
    api.submit(call.caller(), vec![Change::InstanceMaintenance { key, reason }]).await.map_err(
        |error| match error {
            ApiError::NotFound(_) => unknown_service(call.last()),
            other => other,
        },
    )?;
    Ok(done(&[]))
}

/// Why something is put into maintenance; none if it is taken out.
pub(super) fn maintenance_reason(call: &Call) -> Result<Option<Arc<str>>, ApiError> {
    let enable = call
        .parameter("enable")
        .ok_or_else(|| ApiError::BadRequest("enable: must be given, as true or false".to_owned()))?;
    let enable = parse_bool(enable)
        .ok_or_else(|| ApiError::BadRequest(format!("enable: expected true or false, not {enable:?}")))?;
    let reason = call.parameter("reason").filter(|reason| !reason.is_empty()).unwrap_or(MAINTENANCE_REASON);
    Ok(enable.then(|| Arc::from(cut(reason, REASON_MAX_BYTES))))
}

/// `GET /v1/agent/services`
pub(super) async fn services(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let snapshot = api.parts.published.load();
    let (size, local) = (snapshot.catalog.instance_count(), api.parts.local.clone());
    made(&api, snapshot, size, move |snapshot| {
        let node = snapshot.catalog.node(&local.node);
        let keys = node.into_iter().flat_map(|node| node.instances().map(|instance| instance.key()));
        let entries: Vec<_> = keys.filter_map(|key| snapshot.catalog.instance(&key)).collect();
        let bodies = read.select(entries.iter().map(|entry| ServiceBody::new(entry, &local.datacenter)))?;
        let bodies: BTreeMap<&str, ServiceBody<'_>> = bodies.into_iter().map(|body| (body.id, body)).collect();
        json(&bodies, read.pretty)
    })
    .await
}

/// `GET /v1/agent/service/:id`, and with `hash` a wait until it is another one.
pub(super) async fn service(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let key = local_key(&api, &call)?;
    let known = call.parameter("hash").unwrap_or_default();
    let name = api.parts.published.load().catalog.instance(&key).map(|entry| entry.instance.service.clone());
    let snapshot = match name.filter(|_| !known.is_empty()) {
        Some(name) => {
            let other = |catalog: &State| content_hash(&api, catalog, &key).as_deref() != Some(known);
            let snapshot = api.until(read.wait, WatchKey::Service(name), |snapshot| other(&snapshot.catalog)).await?;
            api.access.renew(call.caller(), &api.parts.published)?;
            snapshot
        }
        None => api.parts.published.load(),
    };
    let entry = snapshot.catalog.instance(&key).ok_or_else(|| unknown_service(call.last()))?;
    call.caller().must(Resource::Service, entry.instance.service.as_str(), Level::Read)?;
    let hash = content_hash(&api, &snapshot.catalog, &key).unwrap_or_default();
    let service = ServiceBody::new(entry, &api.parts.local.datacenter);
    let mut response = json(&HashedServiceBody { service, content_hash: &hash }, read.pretty)?;
    if let Ok(value) = HeaderValue::from_str(&hash) {
        response.headers_mut().insert("x-consul-contenthash", value);
    }
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}

/// Which instance of this node the path names.
fn local_key(api: &Api, call: &Call) -> Result<InstanceKey, ApiError> {
    let id = ServiceId::new(call.last()).map_err(|_| unknown_service(call.last()))?;
    Ok(InstanceKey { node: api.parts.local.node.clone(), id })
}

fn unknown_service(id: &str) -> ApiError {
    let id = cut(id, ID_SHOWN_MAX_BYTES);
    ApiError::NotFound(format!(
        "Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name."
    ))
}

/// A number for all that a client sees of an instance; equal for equal ones, whatever their indexes.
fn content_hash(api: &Api, catalog: &State, key: &InstanceKey) -> Option<String> {
    let entry = catalog.instance(key)?;
    let body = ServiceBody { create_index: 0, modify_index: 0, ..ServiceBody::new(entry, &api.parts.local.datacenter) };
    let mut hasher = SipHasher13::new();
    hasher.write(&serde_json::to_vec(&body).ok()?);
    Some(format!("{:016x}", hasher.finish()))
}

/// What is said of a registration that is kept aside, because another source's beats it.
pub(super) fn shadow_warning(entry: &InstanceEntry) -> Option<String> {
    let (owner, id) = (entry.instance.origin, &entry.instance.id);
    (owner != Origin::Api).then(|| format!("service ID {id} is registered by the {owner} source too, which goes first"))
}

/// The text's beginning, of at most so many bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// The reason if none is given.
const MAINTENANCE_REASON: &str = "Maintenance mode is on; no reason was given.";

/// Longest reason that is kept. Source: none, chosen.
const REASON_MAX_BYTES: usize = 1024;

/// Most bytes of an unknown ID that the answer repeats. Source: none, chosen.
pub(super) const ID_SHOWN_MAX_BYTES: usize = 253;
