//! `/v1/agent/check*`: the checks of this node and its instances.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use axum::response::Response;

use super::{
    ALIVE_CHECK_ID, Api, HeartbeatOutcome,
    agent::{ID_SHOWN_MAX_BYTES, cut},
    body::CheckBody,
    call::Call,
    respond::{ApiError, done, json, made},
    rights,
};
use crate::{
    access::Level,
    catalog::{
        change::{Change, ChangeError, Origin},
        check::{CheckKey, CheckKind, CheckResult, CheckStatus, OUTPUT_MAX_BYTES},
        definition,
        document::DefinitionDocument,
        names::CheckId,
        service::{Instance, InstanceKey},
        state::{CheckEntry, NodeEntry},
    },
};

/// `PUT /v1/agent/check/register`
pub(super) async fn register(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let decoded = definition::check(&call.json()?, "", &api.owner())?;
    let check = decoded.value;
    let snapshot = api.parts.published.load();
    if let Some(before) = snapshot.catalog.check(&check.key()).filter(|before| before.check.origin != Origin::Api) {
        let what = format!("check ID {:?}", check.id.as_str());
        return Err(ApiError::BadRequest(ChangeError::OwnedBy { what, owner: before.check.origin }.to_string()));
    }
    drop(snapshot);
    let service_id = check.service_id.clone();
    api.submit(call.caller(), vec![Change::RegisterCheck(Box::new(check))]).await.map_err(|error| {
        match (error, service_id) {
            (ApiError::NotFound(_), Some(id)) => ApiError::NotFound(format!("ServiceID: no service has the ID {id:?}")),
            (error, _) => error,
        }
    })?;
    Ok(done(&decoded.notices))
}

/// `PUT /v1/agent/check/deregister/:id`
pub(super) async fn deregister(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let key = local_key(&api, &call)?;
    api.submit(call.caller(), vec![Change::DeregisterCheck { key, origin: Origin::Api }]).await.map_err(|error| {
        match error {
            ApiError::NotFound(_) => unknown_check(call.last()),
            other => other,
        }
    })?;
    Ok(done(&[]))
}

/// `PUT /v1/agent/check/pass/:id?note=`
pub(super) async fn pass(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    renew_with_note(&api, &call, CheckStatus::Passing).await
}

/// `PUT /v1/agent/check/warn/:id?note=`
pub(super) async fn warn(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    renew_with_note(&api, &call, CheckStatus::Warning).await
}

/// `PUT /v1/agent/check/fail/:id?note=`
pub(super) async fn fail(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    renew_with_note(&api, &call, CheckStatus::Critical).await
}

/// `PUT /v1/agent/check/update/:id`
pub(super) async fn update(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let update = definition::status_update(&call.json()?)?;
    renew(&api, &call, update.status, &update.output.shown("")).await
}

/// `GET /v1/agent/checks`
pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let snapshot = api.parts.published.load();
    let (size, maker) = (snapshot.catalog.check_count(), Arc::clone(&api));
    made(&api, snapshot, size, move |snapshot| {
        let Some(node) = snapshot.catalog.node(&maker.parts.local.node) else {
            return json(&BTreeMap::<&str, CheckBody<'_>>::new(), read.pretty);
        };
        let keys = node.instance_ids().map(|id| InstanceKey { node: node.node.name.clone(), id: id.clone() });
        let entries: Vec<_> = keys.filter_map(|key| snapshot.catalog.instance(&key)).collect();
        let of_instances = entries
            .iter()
            .flat_map(|entry| entry.checks.iter().map(|check| body(&maker, check, Some(&entry.instance))));
        let of_node = of_node(node).map(|check| body(&maker, check, None));
        let bodies = read.select(of_node.chain(of_instances))?;
        let bodies: BTreeMap<&str, CheckBody<'_>> = bodies.into_iter().map(|body| (body.id, body)).collect();
        json(&bodies, read.pretty)
    })
    .await
}

/// The checks of this node itself, as its agent tells of them. That it is alive is no check of the agent's: with Consul the
/// catalog alone has it.
pub(super) fn of_node(node: &NodeEntry) -> impl Iterator<Item = &CheckEntry> {
    node.checks.iter().filter(|entry| entry.check.id.as_str() != ALIVE_CHECK_ID)
}

/// The body of a check. Of a check deadline of this node it has what the newest heartbeat said, which nothing publishes
/// while the status stays the same.
pub(super) fn body<'a>(api: &Api, entry: &'a CheckEntry, instance: Option<&'a Instance>) -> CheckBody<'a> {
    let mut body = CheckBody::new(entry, instance);
    let check = &entry.check;
    if matches!(check.definition.kind, CheckKind::Deadline(_)) && check.node == api.parts.local.node {
        let newest = (api.parts.newest_output)(&check.key(), check.status);
        body.output = newest.map_or(body.output, |output| Cow::Owned(output.to_string()));
    }
    if check.node != api.parts.local.node {
        // No agent of Consul's runs it, so that it shows what was registered; consul-esm reads it.
        body.definition = DefinitionDocument::new(check);
    }
    body
}

async fn renew_with_note(api: &Api, call: &Call, status: CheckStatus) -> Result<Response, ApiError> {
    renew(api, call, status, call.parameter("note").unwrap_or_default()).await
}

/// Renews a check deadline. One that changes no status moves the deadline only: nothing is published or written.
async fn renew(api: &Api, call: &Call, status: CheckStatus, output: &str) -> Result<Response, ApiError> {
    let key = local_key(api, call)?;
    let output = cut(output, OUTPUT_MAX_BYTES);
    let snapshot = api.parts.published.load();
    let known = snapshot.catalog.check(&key).ok_or_else(|| unknown_check(call.last()))?;
    rights::must_all(call.caller(), rights::check_need(&key, &snapshot.catalog, Level::Write))?;
    if !matches!(known.check.definition.kind, CheckKind::Deadline(_)) {
        let problem = format!("check ID {:?} is not a TTL check; its status comes from elsewhere", key.id.as_str());
        return Err(ApiError::BadRequest(problem));
    }
    api.parts.metrics.check_result(known.check.definition.kind.as_str(), status.as_str());
    drop(snapshot);
    let result = match (api.parts.heartbeat)(&key, status, output) {
        HeartbeatOutcome::Renewed => return Ok(done(&[])),
        HeartbeatOutcome::Changed(result) => result,
        // Registered a moment ago: its deadline begins with the status that is set here.
        HeartbeatOutcome::Unknown => CheckResult { status, output: output.into() },
    };
    api.submit(call.caller(), vec![Change::SetStatus { key, result }]).await.map_err(|error| match error {
        ApiError::NotFound(_) => unknown_check(call.last()),
        other => other,
    })?;
    Ok(done(&[]))
}

fn local_key(api: &Api, call: &Call) -> Result<CheckKey, ApiError> {
    // Longer than a given ID may be: what is made of one (service:<ID>) is longer.
    let id = call.last();
    if id.is_empty() || id.len() > CHECK_ID_MAX_BYTES {
        return Err(unknown_check(id));
    }
    Ok(CheckKey { node: api.parts.local.node.clone(), id: CheckId::derived(id) })
}

fn unknown_check(id: &str) -> ApiError {
    let id = cut(id, ID_SHOWN_MAX_BYTES);
    ApiError::NotFound(format!("Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name."))
}

/// Longest check ID that is looked up. Source: none, chosen: above the longest identifier with any prefix of ours.
const CHECK_ID_MAX_BYTES: usize = 512;
