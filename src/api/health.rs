//! `/v1/health/*`: what is registered, with how it is.

use std::sync::Arc;

use axum::response::Response;

use super::{
    Api,
    body::{HealthBody, NodeBody, ServiceBody},
    call::Call,
    catalog::{members, service_name},
    checks,
    respond::{ApiError, indexed, made},
};
use crate::{
    catalog::{
        check::CheckStatus,
        state::{InstanceEntry, NodeEntry},
    },
    publish::watch::WatchKey,
};

/// `GET /v1/health/service/:name`
pub(super) async fn service(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let name = service_name(&call)?;
    let key = WatchKey::Service(name.clone());
    let snapshot = api.newer(&read, key, |snapshot| snapshot.catalog.service_index(&name)).await?;
    let size = snapshot.catalog.service(&name).map_or(0, |service| service.len());
    let maker = Arc::clone(&api);
    made(&api, snapshot, size, move |snapshot| {
        let members = members(&snapshot.catalog, &name, &read);
        let wanted = members
            .iter()
            .filter(|(node, entry)| !read.passing || node.status().max(entry.status()) == CheckStatus::Passing)
            .map(|(node, entry)| body(&maker, node, entry));
        indexed(&read.select(wanted)?, snapshot.catalog.service_index(&name), &read)
    })
    .await
}

fn body<'a>(api: &'a Api, node: &'a NodeEntry, entry: &'a InstanceEntry) -> HealthBody<'a> {
    let datacenter = &api.parts.local.datacenter;
    let of_node = node.checks.iter().map(|check| checks::body(api, check, None));
    let of_instance = entry.checks.iter().map(|check| checks::body(api, check, Some(&entry.instance)));
    HealthBody {
        node: NodeBody::new(node, datacenter),
        service: ServiceBody::new(entry, datacenter),
        checks: of_node.chain(of_instance).collect(),
    }
}
