//! What Consul has and nameplate has not, answered as by a Consul that has it not either: its service mesh is off, it is
//! the community edition without namespaces and partitions, and it is one server alone.

use std::sync::Arc;

use axum::response::Response;
use serde_json::json;

use super::{
    Api,
    call::Call,
    respond::{ApiError, indexed, json},
    status::LEADER_PORT,
};

/// Whatever needs the service mesh.
pub(super) async fn no_mesh(_: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    Err(ApiError::Failed("Connect must be enabled in order to use this endpoint".to_owned()))
}

/// A list that would have something in it if there were a service mesh, or peers.
pub(super) async fn nothing(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    list(&api, &call)
}

/// `GET /v1/connect/intentions/*`: without intentions everything is allowed, and none is found.
pub(super) async fn intention(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let missing = |name: &str| ApiError::BadRequest(format!("required query parameter {name:?} not set"));
    match call.last() {
        "match" => {
            let name = call.parameter("name").filter(|name| !name.is_empty()).ok_or_else(|| missing("name"))?;
            let none: [(); 0] = [];
            json(&json!({ name: none }), call.pretty())
        }
        "check" => {
            for name in ["source", "destination"] {
                call.parameter(name).filter(|name| !name.is_empty()).ok_or_else(|| missing(name))?;
            }
            json(&json!({ "Allowed": true }), call.pretty())
        }
        "" => list(&api, &call),
        _ => Err(ApiError::NotFound("Intention not found".to_owned())),
    }
}

/// `GET /v1/config/:kind` and `/v1/config/:kind/:name`
pub(super) async fn config_entries(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    match call.last().split_once('/') {
        None | Some((_, "")) => list(&api, &call),
        Some((kind, name)) => Err(ApiError::NotFound(format!("Config entry not found for \"{kind}\" / \"{name}\""))),
    }
}

/// `PUT /v1/config`
pub(super) async fn set_config_entry(_: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    let problem = "config entries are not kept: they set up a service mesh, which nameplate is not";
    Err(ApiError::BadRequest(problem.to_owned()))
}

/// `GET /v1/peering/:name`
pub(super) async fn peering(_: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    Err(ApiError::NotFound(format!("Peering not found for {:?}", call.last())))
}

/// `GET` and `PUT /v1/snapshot`
pub(super) async fn snapshot(_: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    let problem = "there are no snapshots of Raft, because there is no Raft; GET /v1/export and nameplate import save and \
                   restore what was registered";
    Err(ApiError::NotFound(problem.to_owned()))
}

/// `GET /v1/operator/raft/configuration`: this server alone.
pub(super) async fn raft(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let server = json!({
        "ID": &*api.parts.local.uuid,
        "Node": api.parts.local.node.as_str(),
        "Address": address(&api),
        "Leader": true,
        "ProtocolVersion": "3",
        "Voter": true,
        "LastIndex": api.parts.published.load().index(),
    });
    json(&json!({ "Servers": [server], "Index": 1 }), call.pretty())
}

/// `GET /v1/operator/autopilot/configuration`: Consul's defaults, for there is nothing to pilot.
pub(super) async fn autopilot(_: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let body = json!({
        "CleanupDeadServers": true,
        "LastContactThreshold": "200ms",
        "MaxTrailingLogs": 250,
        "MinQuorum": 0,
        "ServerStabilizationTime": "10s",
        "RedundancyZoneTag": "",
        "DisableUpgradeMigration": false,
        "UpgradeVersionTag": "",
        "CreateIndex": 1,
        "ModifyIndex": 1,
    });
    json(&body, call.pretty())
}

/// `GET /v1/operator/autopilot/health`: who answers this is healthy.
pub(super) async fn autopilot_health(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let server = json!({
        "ID": &*api.parts.local.uuid,
        "Name": api.parts.local.node.as_str(),
        "Address": address(&api),
        "SerfStatus": "alive",
        "Version": super::agent_node::CONSUL_VERSION,
        "Leader": true,
        "LastContact": "0s",
        "LastTerm": 1,
        "LastIndex": api.parts.published.load().index(),
        "Healthy": true,
        "Voter": true,
        "StableSince": "1970-01-01T00:00:00Z",
    });
    json(&json!({ "Healthy": true, "FailureTolerance": 0, "Servers": [server] }), call.pretty())
}

fn address(api: &Api) -> String {
    std::net::SocketAddr::new(api.parts.local.advertise, LEADER_PORT).to_string()
}

fn list(api: &Arc<Api>, call: &Call) -> Result<Response, ApiError> {
    let read = call.read(api)?;
    let none: [(); 0] = [];
    indexed(&none, 1, &read)
}

#[cfg(test)]
#[path = "missing_tests.rs"]
mod tests;
