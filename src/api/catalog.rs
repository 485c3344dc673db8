//! `/v1/catalog/*`: what is registered, on all nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::response::Response;

use super::{
    Api,
    body::{CatalogServiceBody, NodeBody},
    call::{Call, Read},
    respond::{ApiError, indexed, json},
    shared::shared,
};
use crate::{
    access::{Level, Resource},
    catalog::{
        names::ServiceName,
        state::{InstanceEntry, NodeEntry, ServiceEntry, State},
    },
    publish::watch::WatchKey,
};

/// `GET /v1/catalog/services`
pub(super) async fn services(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let snapshot = api.newer(&read, WatchKey::Services, |snapshot| snapshot.catalog.services_index()).await?;
    // Every instance is looked at for its tags.
    let (size, maker) = (snapshot.catalog.instance_count(), Arc::clone(&api));
    drop(snapshot);
    shared(&api, call.into_asked(), size, move |snapshot| {
        let catalog = &snapshot.catalog;
        let mut services: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for service in catalog.services() {
            if let Some(tags) = tags_of(&maker, catalog, service, &read)? {
                services.insert(service.name.as_str(), tags);
            }
        }
        indexed(&services, catalog.services_index(), &read)
    })
    .await
}

/// `GET /v1/catalog/service/:name`
pub(super) async fn service(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    of_service(api, call, |api, members, (read, index)| {
        let datacenter = &api.parts.local.datacenter;
        let bodies = members.iter().map(|(node, entry)| CatalogServiceBody::new(entry, node, datacenter));
        indexed(&read.select(bodies)?, index, read)
    })
    .await
}

/// `GET /v1/catalog/nodes`
pub(super) async fn nodes(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let snapshot = api.newer(&read, WatchKey::Nodes, |snapshot| snapshot.catalog.nodes_index()).await?;
    let (size, datacenter) = (snapshot.catalog.node_count(), Arc::clone(&api.parts.local.datacenter));
    drop(snapshot);
    shared(&api, call.into_asked(), size, move |snapshot| {
        let nodes = snapshot.catalog.nodes().filter(|node| node_wanted(node, &read));
        let mut bodies = read.select(nodes.map(|node| NodeBody::new(node, &datacenter)))?;
        let far = |body: &NodeBody<'_>| read.near.as_ref().is_some_and(|near| near.as_str() != body.node);
        bodies.sort_unstable_by(|left, right| (far(left), left.node).cmp(&(far(right), right.node)));
        indexed(&bodies, snapshot.catalog.nodes_index(), &read)
    })
    .await
}

/// `GET /v1/catalog/datacenters`
pub(super) async fn datacenters(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    json(&[&*api.parts.local.datacenter], call.pretty())
}

/// `GET /v1/catalog/connect/:name` and its like: instances that take part in a service mesh, which there is none of.
pub(super) async fn none_of_service(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let name = service_name(&call)?;
    let key = WatchKey::Service(name.clone());
    let snapshot = api.newer(&read, key, |snapshot| snapshot.catalog.service_index(&name)).await?;
    let none: [&str; 0] = [];
    indexed(&none, snapshot.catalog.service_index(&name), &read)
}

/// The service that the path names.
pub(super) fn service_name(call: &Call) -> Result<ServiceName, ApiError> {
    ServiceName::new(call.last()).map_err(|error| ApiError::BadRequest(format!("service name: {error}")))
}

/// Makes the response about the service that the path names of those of its instances that are wanted and of its index, as
/// soon as that is newer than what the caller has.
pub(super) async fn of_service(
    api: Arc<Api>,
    call: Call,
    make: impl FnOnce(&Api, &[Member<'_>], (&Read, u64)) -> Result<Response, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let read = call.read(&api)?;
    let name = service_name(&call)?;
    let key = WatchKey::Service(name.clone());
    let snapshot = api.newer(&read, key, |snapshot| snapshot.catalog.service_index(&name)).await?;
    let size = snapshot.catalog.service(&name).map_or(0, |service| service.len());
    let maker = Arc::clone(&api);
    drop(snapshot);
    shared(&api, call.into_asked(), size, move |snapshot| {
        let members = members(&snapshot.catalog, &name, &read);
        make(&maker, &members, (&read, snapshot.catalog.service_index(&name)))
    })
    .await
}

/// An instance with its node.
pub(super) type Member<'a> = (&'a NodeEntry, &'a InstanceEntry);

/// The instances of a service, as far as they are wanted, sorted by node and ID.
fn members<'a>(catalog: &'a State, name: &ServiceName, read: &Read) -> Vec<Member<'a>> {
    let instances = catalog.service(name).into_iter().flat_map(|service| service.instances());
    let mut members: Vec<Member<'_>> = instances
        .filter(|entry| tags_wanted(entry, read))
        .filter_map(|entry| Some((&**catalog.node(&entry.instance.node)?, &**entry)))
        .filter(|(node, _)| node_wanted(node, read))
        .collect();
    let order = |(node, entry): &Member<'a>| {
        let name = &node.node.name;
        (read.is_far(name), name, &entry.instance.id)
    };
    members.sort_unstable_by(|left, right| order(left).cmp(&order(right)));
    members
}

/// The tags of a service's instances, as far as they are wanted; none if it has none such.
fn tags_of<'a>(
    api: &Api,
    catalog: &State,
    service: &'a ServiceEntry,
    read: &Read,
) -> Result<Option<BTreeSet<&'a str>>, ApiError> {
    if !read.may(&service.name) {
        return Ok(None);
    }
    let everyone =
        read.node_meta.is_empty() && read.filter.is_none() && read.caller.may_with_all(Resource::Node, Level::Read);
    let mut tags = BTreeSet::new();
    let mut none = true;
    for entry in service.instances() {
        if !everyone {
            let Some(node) = catalog.node(&entry.instance.node).filter(|node| node_wanted(node, read)) else {
                continue;
            };
            if !read.keeps(&CatalogServiceBody::new(entry, node, &api.parts.local.datacenter))? {
                continue;
            }
        }
        none = false;
        tags.extend(entry.instance.tags.iter().map(|tag| tag.as_str()));
    }
    Ok((!none).then_some(tags))
}

fn tags_wanted(entry: &InstanceEntry, read: &Read) -> bool {
    let has = |wanted: &String| entry.instance.tags.iter().any(|tag| tag.as_str().eq_ignore_ascii_case(wanted));
    read.tags.iter().all(has)
}

pub(super) fn node_wanted(node: &NodeEntry, read: &Read) -> bool {
    let has =
        |(key, value): &(String, String)| node.node.meta.get(key.as_str()).is_some_and(|given| **given == **value);
    read.node_meta.iter().all(has)
}
