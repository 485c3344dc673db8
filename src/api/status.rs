//! What the server tells of itself: `/v1/agent/self`, `/v1/status/*`, `/metrics`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Api, call::Call, respond};
use crate::{api::respond::ApiError, observe::exposition::Exposition};

/// `GET /v1/agent/self`: what Prometheus, Nomad and consul-template read.
pub(super) async fn agent_self(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let local = &api.parts.local;
    let (name, address) = (local.node.as_str(), local.advertise.to_string());
    let dns: Vec<String> = local.dns.iter().flat_map(|at| [format!("udp://{at}"), format!("tcp://{at}")]).collect();
    let meta: serde_json::Map<String, Value> =
        local.meta.iter().map(|(key, value)| (key.to_string(), json!(&**value))).collect();
    let snapshot = api.parts.published.load();
    let catalog = &snapshot.catalog;
    let body = json!({
        "Config": {
            "Datacenter": &*local.datacenter,
            "PrimaryDatacenter": &*local.datacenter,
            "NodeName": name,
            "NodeID": &*local.uuid,
            "Revision": NAMEPLATE_VERSION,
            "Server": true,
            "Version": CONSUL_VERSION,
            "BuildDate": "1970-01-01T00:00:00Z",
        },
        "DebugConfig": {
            "DNSPort": local.dns.first().map_or(-1, |at| i32::from(at.port())),
            "DNSAddrs": dns,
            "GRPCPort": -1,
            "GRPCTLSPort": -1,
            "ConnectEnabled": false,
            "Datacenter": &*local.datacenter,
            "NodeName": name,
        },
        "Coord": null,
        "Member": {
            "Name": name,
            "Addr": address,
            "Port": SERF_PORT,
            "Tags": {
                "build": format!("{CONSUL_VERSION}:{NAMEPLATE_VERSION}"),
                "dc": &*local.datacenter,
                "id": &*local.uuid,
                "role": "consul",
                "segment": "",
            },
            "Status": 1,
            "ProtocolMin": 1,
            "ProtocolMax": 5,
            "ProtocolCur": 2,
            "DelegateMin": 2,
            "DelegateMax": 5,
            "DelegateCur": 4,
        },
        "Stats": {
            "build": { "version": CONSUL_VERSION, "revision": NAMEPLATE_VERSION },
            "catalog": {
                "checks": catalog.check_count().to_string(),
                "index": catalog.index().to_string(),
                "instances": catalog.instance_count().to_string(),
                "nodes": catalog.node_count().to_string(),
                "services": catalog.service_count().to_string(),
            },
            "nameplate": { "version": NAMEPLATE_VERSION, "txn_max_ops": api.parts.txn_max_ops.to_string() },
        },
        "Meta": meta,
    });
    respond::json(&body, call.pretty())
}

/// `GET /v1/status/leader`: this server, at the port where Consul's servers talk, which nobody here listens on.
pub(super) async fn leader(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    respond::json(&SocketAddr::new(api.parts.local.advertise, LEADER_PORT).to_string(), call.pretty())
}

/// `GET /v1/status/ready`: 200 when every source has delivered its first list, else 503; the list in both cases.
pub(super) async fn ready(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let snapshot = api.parts.published.load();
    let ready = snapshot.sources.iter().all(|source| source.synced);
    let sources: Vec<Value> = snapshot
        .sources
        .iter()
        .map(|source| {
            json!({
                "Name": &*source.name,
                "Origin": source.origin.as_str(),
                "Synced": source.synced,
                "Stale": source.stale,
            })
        })
        .collect();
    let mut response = respond::json(&json!({ "Ready": ready, "Sources": sources }), call.pretty())?;
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

/// `GET /metrics`. Checks are counted here and not at each change, on a thread of its own: they may be a million.
pub(super) async fn metrics(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let exposition = Exposition::accepted(call.header("accept"));
    let encode = move || {
        let snapshot = api.parts.published.load();
        let mut counts = [0; 3];
        for entry in snapshot.catalog.checks().filter(|entry| entry.check.definition.kind.is_run()) {
            counts[entry.check.status as usize] += 1;
        }
        drop(snapshot);
        let [passing, warning, critical] = counts;
        api.parts.metrics.set_checks(passing, warning, critical);
        api.parts.metrics.encode(exposition)
    };
    let text = tokio::task::spawn_blocking(encode).await.map_err(|error| ApiError::Failed(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, exposition.content_type())], text).into_response())
}

const NAMEPLATE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of Consul's API that is spoken: Nomad and others want to know it.
const CONSUL_VERSION: &str = "1.22.0";

/// The port of Consul's gossip, which is not spoken. Source: Consul's default.
const SERF_PORT: u16 = 8301;

/// The port of Consul's servers, which is not spoken. Source: Consul's default.
const LEADER_PORT: u16 = 8300;
