//! `/v1/agent/health/service/*`: one word for an instance or a service of this node, also as the HTTP status, for load
//! balancers that look at nothing else.
//!
//! | aggregated status | HTTP |
//! |---|---|
//! | passing | 200 |
//! | warning | 429 |
//! | critical, maintenance | 503 |
//! | no such instance or service here | 404 |

use std::sync::Arc;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use serde::Serialize;

use super::{
    Api,
    body::{CheckBody, ServiceBody},
    call::{Call, Read},
    checks,
    respond::{ApiError, json, made, text},
};
use crate::{
    access::{Level, Resource},
    catalog::{
        check::CheckStatus,
        names::ServiceId,
        service::InstanceKey,
        state::{InstanceEntry, NodeEntry},
    },
};

/// `GET /v1/agent/health/service/id/:id`
pub(super) async fn by_id(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let as_text = wants_text(&call);
    let read = call.read(&api)?;
    let snapshot = api.parts.published.load();
    let node = snapshot.catalog.node(&api.parts.local.node);
    let entry = ServiceId::new(call.last()).ok().and_then(|id| {
        let key = InstanceKey { node: api.parts.local.node.clone(), id };
        snapshot.catalog.instance(&key)
    });
    let (Some(node), Some(entry)) = (node, entry) else {
        let nothing = Unknown { aggregated_status: Aggregated::Critical.as_str(), service: (), checks: () };
        return missing(&format!("ServiceId {} not found", call.last()), &nothing, (as_text, &read));
    };
    call.caller().must(Resource::Service, entry.instance.service.as_str(), Level::Read)?;
    let status = Aggregated::of(node, entry);
    if as_text {
        return plain(status);
    }
    status.on(json(&body(&api, node, entry), read.pretty)?)
}

/// `GET /v1/agent/health/service/name/:name`
pub(super) async fn by_name(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let as_text = wants_text(&call);
    let read = call.read(&api)?;
    let name = call.last().to_owned();
    call.caller().must(Resource::Service, &name, Level::Read)?;
    let snapshot = api.parts.published.load();
    let (size, maker) = (snapshot.catalog.instance_count(), Arc::clone(&api));
    made(&api, snapshot, size, move |snapshot| {
        let catalog = &snapshot.catalog;
        let node = catalog.node(&maker.parts.local.node);
        let on_node = node.into_iter().flat_map(|node| node.instances());
        let here = on_node.filter(|instance| instance.service.as_str() == name);
        let mut entries: Vec<&InstanceEntry> =
            here.filter_map(|instance| catalog.instance(&instance.key())).map(|entry| &**entry).collect();
        entries.sort_unstable_by(|left, right| left.instance.id.cmp(&right.instance.id));
        let worst = node.and_then(|node| entries.iter().map(|entry| Aggregated::of(node, entry)).max());
        let (Some(node), Some(worst)) = (node, worst) else {
            let nothing: [(); 0] = [];
            return missing(&format!("ServiceName {name} Not Found"), &nothing, (as_text, &read));
        };
        if as_text {
            return plain(worst);
        }
        let bodies: Vec<HealthOfInstance<'_>> = entries.iter().map(|entry| body(&maker, node, entry)).collect();
        worst.on(json(&bodies, read.pretty)?)
    })
    .await
}

/// The worst of an instance's and its node's checks; maintenance is worse than critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aggregated {
    Passing,
    Warning,
    Critical,
    Maintenance,
}

impl Aggregated {
    fn of(node: &NodeEntry, entry: &InstanceEntry) -> Aggregated {
        let maintained = node.checks.iter().chain(entry.checks.iter()).any(|entry| entry.check.is_maintenance());
        match node.status().max(entry.status()) {
            _ if maintained => Aggregated::Maintenance,
            CheckStatus::Passing => Aggregated::Passing,
            CheckStatus::Warning => Aggregated::Warning,
            CheckStatus::Critical => Aggregated::Critical,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Aggregated::Passing => "passing",
            Aggregated::Warning => "warning",
            Aggregated::Critical => "critical",
            Aggregated::Maintenance => "maintenance",
        }
    }

    fn http(self) -> StatusCode {
        match self {
            Aggregated::Passing => StatusCode::OK,
            Aggregated::Warning => StatusCode::TOO_MANY_REQUESTS,
            Aggregated::Critical | Aggregated::Maintenance => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The response with this as its status, and as the header that tells why a load balancer got it.
    fn on(self, mut response: Response) -> Result<Response, ApiError> {
        *response.status_mut() = self.http();
        response.headers_mut().insert(REASON_HEADER, HeaderValue::from_static(self.as_str()));
        Ok(response)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthOfInstance<'a> {
    aggregated_status: &'static str,
    service: ServiceBody<'a>,
    checks: Vec<CheckBody<'a>>,
}

/// What there is of an instance that is not here.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Unknown {
    aggregated_status: &'static str,
    service: (),
    checks: (),
}

fn body<'a>(api: &'a Api, node: &'a NodeEntry, entry: &'a InstanceEntry) -> HealthOfInstance<'a> {
    let of_node = checks::of_node(node).map(|check| checks::body(api, check, None));
    let of_instance = entry.checks.iter().map(|check| checks::body(api, check, Some(&entry.instance)));
    HealthOfInstance {
        aggregated_status: Aggregated::of(node, entry).as_str(),
        service: ServiceBody::new(entry, &api.parts.local.datacenter),
        checks: of_node.chain(of_instance).collect(),
    }
}

fn wants_text(call: &Call) -> bool {
    let accept = call.header("accept").unwrap_or_default();
    call.parameter("format") == Some("text") || accept.split(',').any(|media| media.trim().starts_with("text/plain"))
}

fn plain(status: Aggregated) -> Result<Response, ApiError> {
    status.on(text(status.http(), status.as_str().to_owned()))
}

/// Nothing of that is here: told in words to who wants text, and else with the body that is made of nothing.
fn missing(reason: &str, nothing: &impl Serialize, asked: (bool, &Read)) -> Result<Response, ApiError> {
    let (as_text, read) = asked;
    let mut response =
        if as_text { text(StatusCode::NOT_FOUND, reason.to_owned()) } else { json(nothing, read.pretty)? };
    *response.status_mut() = StatusCode::NOT_FOUND;
    if let Ok(value) = HeaderValue::from_str(reason) {
        response.headers_mut().insert(REASON_HEADER, value);
    }
    Ok(response)
}

/// Why a load balancer got the status that it got. Source: Consul.
const REASON_HEADER: HeaderName = HeaderName::from_static("x-consul-reason");

#[cfg(test)]
#[path = "agent_health_tests.rs"]
mod tests;
