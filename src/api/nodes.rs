//! What is on one node: `/v1/catalog/node/:n`, `/v1/catalog/node-services/:n`, `/v1/health/node/:n`; and how far nodes
//! are from each other, `/v1/coordinate/*`, which is not measured here.
//!
//! Their index is that of the lists of nodes and services, as in Consul; who waits is woken by the one node only.

use std::{collections::BTreeMap, sync::Arc};

use axum::response::Response;
use serde::Serialize;

use super::{
    Api,
    body::{NodeBody, ServiceBody},
    call::{Call, Read},
    checks,
    respond::{ApiError, done, indexed},
    shared::shared,
};
use crate::{
    catalog::{
        names::NodeName,
        state::{InstanceEntry, NodeEntry, State},
    },
    publish::{snapshot::Snapshot, watch::WatchKey},
};

/// `GET /v1/catalog/node/:n`
pub(super) async fn node(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    of_node(api, call, |api, found, Answering { read, index }| {
        let Some((node, instances)) = found else { return indexed(&(), *index, read) };
        let datacenter = &api.parts.local.datacenter;
        let services = read.select(instances.iter().map(|entry| ServiceBody::new(entry, datacenter)))?;
        let services: BTreeMap<&str, ServiceBody<'_>> = services.into_iter().map(|body| (body.id, body)).collect();
        indexed(&WithServices { node: Some(NodeBody::new(node, datacenter)), services }, *index, read)
    })
    .await
}

/// `GET /v1/catalog/node-services/:n`
pub(super) async fn node_services(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    of_node(api, call, |api, found, Answering { read, index }| {
        let datacenter = &api.parts.local.datacenter;
        let instances = found.iter().flat_map(|(_, instances)| instances);
        let services = read.select(instances.map(|entry| ServiceBody::new(entry, datacenter)))?;
        let node = found.as_ref().map(|(node, _)| NodeBody::new(node, datacenter));
        indexed(&WithServices { node, services }, *index, read)
    })
    .await
}

/// `GET /v1/health/node/:n`
pub(super) async fn node_checks(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    of_node(api, call, |api, found, Answering { read, index }| {
        let of_node = found.iter().flat_map(|(node, _)| node.checks.iter().map(|check| (check, None)));
        let instances = found.iter().flat_map(|(_, instances)| instances);
        let of_instances = instances.flat_map(|entry| entry.checks.iter().map(|check| (check, Some(&*entry.instance))));
        let checks = of_node.chain(of_instances).map(|(check, instance)| checks::body(api, check, instance));
        indexed(&read.select(checks)?, *index, read)
    })
    .await
}

/// `GET /v1/coordinate/*`: nobody measures how far nodes are from each other.
pub(super) async fn no_coordinates(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let snapshot = api.newer(&read, WatchKey::Nodes, |snapshot| snapshot.catalog.nodes_index()).await?;
    let none: [&str; 0] = [];
    indexed(&none, snapshot.catalog.nodes_index(), &read)
}

/// `PUT /v1/coordinate/update`: taken, as consul-esm sends it, and not kept.
pub(super) async fn coordinate_update(_: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    Ok(done(&[]))
}

/// A node and its instances, sorted by ID; none if there is no such node.
type Found<'a> = Option<(&'a NodeEntry, Vec<&'a InstanceEntry>)>;

/// What an answer is made with.
struct Answering {
    read: Read,
    index: u64,
}

async fn of_node(
    api: Arc<Api>,
    call: Call,
    make: impl FnOnce(&Api, Found<'_>, &Answering) -> Result<Response, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let name = NodeName::new(call.last()).map_err(|error| ApiError::BadRequest(format!("node name: {error}")))?;
    let snapshot = api.newer(&read, WatchKey::Node(name.clone()), index).await?;
    let size = snapshot.catalog.node(&name).map_or(0, |node| node.instance_count());
    let maker = Arc::clone(&api);
    drop(snapshot);
    shared(&api, call.into_asked(), size, move |snapshot| {
        let found = found(&snapshot.catalog, &name).filter(|_| read.may(&name));
        make(&maker, found, &Answering { read, index: index(snapshot) })
    })
    .await
}

fn index(snapshot: &Snapshot) -> u64 {
    let catalog = &snapshot.catalog;
    catalog.nodes_index().max(catalog.services_index()).max(catalog.checks_index())
}

fn found<'a>(catalog: &'a State, name: &NodeName) -> Found<'a> {
    let node = catalog.node(name)?;
    let instances = node.instances().filter_map(|instance| catalog.instance(&instance.key()));
    let mut instances: Vec<&InstanceEntry> = instances.map(|entry| &**entry).collect();
    instances.sort_unstable_by(|left, right| left.instance.id.cmp(&right.instance.id));
    Some((node, instances))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WithServices<'a, S> {
    node: Option<NodeBody<'a>>,
    services: S,
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
