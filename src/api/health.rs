//! `/v1/health/*`: what is registered, with how it is.

use std::sync::Arc;

use axum::response::Response;

use super::{
    Api,
    body::{HealthBody, NodeBody, ServiceBody},
    call::Call,
    catalog::{self, node_wanted},
    checks,
    respond::{ApiError, indexed},
    shared::shared,
};
use crate::{
    catalog::{
        check::CheckStatus,
        service::Instance,
        state::{CheckEntry, InstanceEntry, NodeEntry},
    },
    publish::watch::WatchKey,
};

/// `GET /v1/health/service/:name`
pub(super) async fn service(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    catalog::of_service(api, call, |api, members, (read, index)| {
        let wanted = members
            .iter()
            .filter(|(node, entry)| !read.passing || node.status().max(entry.status()) == CheckStatus::Passing)
            .map(|(node, entry)| body(api, node, entry));
        indexed(&read.select(wanted)?, index, read)
    })
    .await
}

/// `GET /v1/health/checks/:name`: the checks of a service's instances, not those of their nodes.
pub(super) async fn of_service(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    catalog::of_service(api, call, |api, members, (read, index)| {
        let checks = members
            .iter()
            .flat_map(|(_, entry)| entry.checks.iter().map(|check| checks::body(api, check, Some(&entry.instance))));
        indexed(&read.select(checks)?, index, read)
    })
    .await
}

/// `GET /v1/health/state/:s`: all checks of a status, or of `any`.
pub(super) async fn state(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let (any, status) = (call.last() == "any", CheckStatus::parse(call.last()));
    let snapshot = api.newer(&read, WatchKey::Checks, |snapshot| snapshot.catalog.checks_index()).await?;
    let (size, maker) = (snapshot.catalog.check_count(), Arc::clone(&api));
    drop(snapshot);
    shared(&api, call.into_asked(), size, move |snapshot| {
        let catalog = &snapshot.catalog;
        let nodes = catalog.nodes().filter(|node| node_wanted(node, &read));
        let of_nodes = nodes.flat_map(|node| node.checks.iter().map(|check| (check, None)));
        let instances = catalog.services_by_place().into_iter().flat_map(|service| service.instances());
        let instances = instances.filter(|entry| {
            read.node_meta.is_empty() || catalog.node(&entry.instance.node).is_some_and(|node| node_wanted(node, &read))
        });
        let of_instances = instances.flat_map(|entry| entry.checks.iter().map(|check| (check, Some(&*entry.instance))));
        let mut wanted: Vec<(&CheckEntry, Option<&Instance>)> =
            of_nodes.chain(of_instances).filter(|(entry, _)| any || status == Some(entry.check.status)).collect();
        wanted.sort_unstable_by_key(|(entry, _)| {
            let check = &entry.check;
            (read.is_far(&check.node), &check.node, &check.id)
        });
        let bodies = wanted.into_iter().map(|(check, instance)| checks::body(&maker, check, instance));
        indexed(&read.select(bodies)?, catalog.checks_index(), &read)
    })
    .await
}

pub(super) fn body<'a>(api: &'a Api, node: &'a NodeEntry, entry: &'a InstanceEntry) -> HealthBody<'a> {
    let datacenter = &api.parts.local.datacenter;
    let of_node = node.checks.iter().map(|check| checks::body(api, check, None));
    let of_instance = entry.checks.iter().map(|check| checks::body(api, check, Some(&entry.instance)));
    HealthBody {
        node: NodeBody::new(node, datacenter),
        service: ServiceBody::new(entry, datacenter),
        checks: of_node.chain(of_instance).collect(),
    }
}
