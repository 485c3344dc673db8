//! How the server is: `/v1/status/*`, `/metrics`, `/v1/agent/metrics`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Api, call::Call, respond};
use crate::{
    api::respond::ApiError,
    observe::{clock, exposition::Exposition},
};

/// `GET /v1/status/leader`: this server, at the port where Consul's servers talk, which nobody here listens on.
pub(super) async fn leader(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    respond::json(&SocketAddr::new(api.parts.local.advertise, LEADER_PORT).to_string(), call.pretty())
}

/// `GET /v1/status/peers`: the same, then the other machines that share our catalog.
pub(super) async fn peers(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let snapshot = api.parts.published.load();
    let others = snapshot.machines.iter().filter_map(|machine| machine.address.ip());
    let peers = std::iter::once(api.parts.local.advertise).chain(others);
    let peers: Vec<_> = peers.map(|address| SocketAddr::new(address, LEADER_PORT).to_string()).collect();
    respond::json(&peers, call.pretty())
}

/// `GET /v1/status/ready`: 200 when every source has delivered its first list, else 503; the list in both cases.
pub(super) async fn ready(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let snapshot = api.parts.published.load();
    let ready = snapshot.sources.iter().all(|source| source.synced);
    let sources: Vec<Value> = snapshot
        .sources
        .iter()
        .map(|source| {
            let mut status = json!({
                "Name": &*source.name,
                "Origin": source.origin.as_str(),
                "Synced": source.synced,
                "Stale": source.stale,
            });
            if let Some(problem) = &source.away {
                status["Away"] = Value::from(&**problem);
            }
            status
        })
        .collect();
    let mut response = respond::json(&json!({ "Ready": ready, "Sources": sources }), call.pretty())?;
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

/// `GET /metrics`
pub(super) async fn metrics(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let exposition = Exposition::accepted(call.header("accept"));
    let text = encoded(api, exposition).await?;
    Ok(([(header::CONTENT_TYPE, exposition.content_type())], text).into_response())
}

/// `GET /v1/agent/metrics`: the same in Consul's JSON, or with `format=prometheus` as text.
pub(super) async fn agent_metrics(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    if call.parameter("format") == Some("prometheus") {
        return metrics(api, call).await;
    }
    let text = encoded(api, Exposition::Text).await?;
    respond::json(&in_consuls_shape(&text), call.pretty())
}

/// The text of all metrics. Checks are counted here and not at each change, on a thread of its own: they may be a million.
async fn encoded(api: Arc<Api>, exposition: Exposition) -> Result<String, ApiError> {
    let encode = move || {
        let snapshot = api.parts.published.load();
        let mut counts = [0; 3];
        for entry in snapshot.catalog.checks() {
            counts[entry.check.status as usize] += 1;
        }
        drop(snapshot);
        let [passing, warning, critical] = counts;
        api.parts.metrics.set_checks(passing, warning, critical);
        api.parts.metrics.encode(exposition)
    };
    tokio::task::spawn_blocking(encode).await.map_err(|error| ApiError::Failed(error.to_string()))
}

/// Gauges and counters of the text format as Consul's agent shows its own. Histograms have no shape there, and are left to
/// `format=prometheus`; a counter's numbers are those since the start.
fn in_consuls_shape(text: &str) -> Value {
    let (mut gauges, mut counters) = (Vec::new(), Vec::new());
    let mut kind = "";
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            kind = declared.rsplit(' ').next().unwrap_or_default();
        } else if let Some((series, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) {
            let Ok(value) = value.parse::<f64>() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels_of(labels.trim_end_matches('}'));
            match kind {
                "gauge" => gauges.push(json!({ "Name": name, "Value": value, "Labels": labels })),
                "counter" => counters.push(json!({
                    "Name": name, "Count": value, "Rate": 0.0, "Sum": value, "Min": 0.0, "Max": value,
                    "Mean": 0.0, "Stddev": 0.0, "Labels": labels,
                })),
                _ => {}
            }
        }
    }
    json!({ "Timestamp": clock::now(), "Gauges": gauges, "Points": [], "Counters": counters, "Samples": [] })
}

/// `a="1",b="2"` as an object.
fn labels_of(text: &str) -> serde_json::Map<String, Value> {
    let mut labels = serde_json::Map::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next() {
                Some((_, '\\')) => value.extend(characters.next().map(|(_, escaped)| escaped)),
                Some((at, '"')) => break at + 1,
                Some((_, character)) => value.push(character),
                None => break after.len(),
            }
        };
        labels.insert(name.trim_start_matches(',').to_owned(), Value::String(value));
        rest = &after[end..];
    }
    labels
}

/// The port of Consul's servers, which is not spoken. Source: Consul's default.
pub(super) const LEADER_PORT: u16 = 8300;

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
