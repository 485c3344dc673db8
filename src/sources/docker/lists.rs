//! The daemon's lists, as far as they are read: of containers their IDs, of networks what their members do not tell; and what a
//! manager tells of swarm.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{
    Network,
    client::{Client, ClientError},
    events::is_id,
    swarm::{Swarm, items},
};
use crate::catalog::service::IpNetwork;

/// IDs of the containers of `GET /containers/json`.
pub(super) fn container_ids(document: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Listed {
        #[serde(rename = "Id")]
        id: Option<String>,
    }
    let listed: Option<Vec<Listed>> = serde_json::from_slice(document)?;
    let ids = listed.unwrap_or_default().into_iter().filter_map(|listed| listed.id);
    Ok(ids.filter(|id| is_id(id)).collect())
}

/// IDs of the containers with one of these names, of `GET /containers/json`.
pub(super) fn ids_of_names(document: &[u8], names: &BTreeSet<String>) -> Result<Vec<String>, serde_json::Error> {
    let listed: Option<Vec<Value>> = serde_json::from_slice(document)?;
    let has = |name: &Value| name.as_str().is_some_and(|name| names.contains(name.trim_start_matches('/')));
    let is_named = |one: &Value| one["Names"].as_array().is_some_and(|all| all.iter().any(has));
    let ids = listed.unwrap_or_default().into_iter().filter(is_named);
    Ok(ids.filter_map(|one| one["Id"].as_str().filter(|id| is_id(id)).map(str::to_owned)).collect())
}

/// The networks of `GET /networks` by name; of several of one name the first.
pub(super) fn networks(document: &[u8]) -> Result<BTreeMap<String, Network>, serde_json::Error> {
    let listed: Option<Vec<Value>> = serde_json::from_slice(document)?;
    let mut networks = BTreeMap::new();
    for network in listed.unwrap_or_default() {
        let Some(name) = network["Name"].as_str() else { continue };
        let prefixes = network["IPAM"]["Config"].as_array().into_iter().flatten();
        let subnets = prefixes.filter_map(|prefix| IpNetwork::parse(prefix["Subnet"].as_str()?)).collect();
        let driver = network["Driver"].as_str().unwrap_or_default().to_owned();
        let ingress = network["Ingress"].as_bool().unwrap_or_default();
        let id = network["Id"].as_str().unwrap_or_default().to_owned();
        networks.entry(name.to_owned()).or_insert(Network { id, driver, ingress, subnets });
    }
    Ok(networks)
}

/// Asks a daemon for swarm's services and tasks; none if it is no manager.
pub(super) async fn swarm(client: &Client) -> Result<Option<Swarm>, ClientError> {
    let Some(node_id) = client.read("/info", manager).await? else { return Ok(None) };
    Ok(Some(Swarm {
        node_id,
        services: client.read("/services", items).await?,
        tasks: client.read("/tasks", items).await?,
        nodes: client.read("/nodes", items).await?,
        networks: client.read("/networks", items).await?,
    }))
}

/// The ID of the daemon's node in swarm, of `GET /info`, if it is a manager that can be asked.
fn manager(document: &[u8]) -> Result<Option<String>, serde_json::Error> {
    let info: Value = serde_json::from_slice(document)?;
    let swarm = &info["Swarm"];
    let is_manager = swarm["ControlAvailable"].as_bool().unwrap_or_default();
    Ok(swarm["NodeID"].as_str().filter(|id| is_manager && !id.is_empty()).map(str::to_owned))
}

#[cfg(test)]
#[path = "lists_tests.rs"]
mod tests;
