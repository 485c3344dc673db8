//! Keys `<prefix>/<service>/<id>` as instances of the catalog.
//!
//! All of them are on one node, which stands for the registry and not for a machine, as Consul's own syncs from other registries
//! have it: what is known of an instance is where it is reached, not on which machine it runs. The service ID is what the key has
//! behind the prefix, `web/web-1`, because an ID is unique on its node and the last part of such a key is not.
//!
//! | a key | what it does |
//! |---|---|
//! | whose value can be read | is an instance |
//! | whose value cannot | changes nothing: what was there before stays, until the key is deleted; its neighbours do not know of it |
//! | with less or more parts | is passed over |
//!
//! **Limits:** an instance has no checks, and is there as long as its key is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use super::leaf::{self, Leaf};
use crate::{
    catalog::{
        change::{Change, Origin, Registration},
        names::{NodeName, ServiceId, ServiceName},
        node::{Address, Node},
        service::{Instance, InstanceKey, Meta, Port, Weights},
        state::{InstanceEntry, State},
    },
    sources::etcd::mirror::{Complaint, Event, Followed},
};

/// Makes changes of keys.
#[derive(Debug, Clone)]
pub struct Services {
    /// Ends in a slash.
    root: String,
    node: NodeName,
    meta: Meta,
}

impl Services {
    /// Of the keys below this prefix.
    pub fn new(prefix: &str) -> Services {
        let meta = BTreeMap::from([(Arc::from(EXTERNAL_SOURCE), Arc::from("etcd"))]);
        Services { root: format!("{}/", prefix.trim_end_matches('/')), node: node_name(), meta: Arc::new(meta) }
    }

    /// What all keys begin with.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What follows from these events, in their order, for a catalog in which all that was told before took effect.
    pub fn changes(&self, state: &State, events: impl IntoIterator<Item = Event>) -> Followed {
        let mut followed = Followed::default();
        let updates = self.read(events, &mut followed.complaints);
        self.follow(state, updates, &mut followed);
        followed
    }

    /// What follows from a list of all keys: as if each was written now, and what is not listed was deleted.
    pub fn relisted(&self, state: &State, listed: impl IntoIterator<Item = Event>) -> Followed {
        let mut followed = Followed::default();
        let mut there = BTreeSet::new();
        let listed = listed.into_iter().inspect(|event| {
            // One that cannot be read is there, nonetheless.
            there.extend(self.place(&event.key).map(|(_, id)| id));
        });
        let mut updates = self.read(listed, &mut followed.complaints);
        for key in state.of_origin(&self.node, Origin::Registry) {
            if !there.contains(&key.id) {
                updates.entry(key.id).or_insert(None);
            }
        }
        self.follow(state, updates, &mut followed);
        followed
    }

    /// What each instance is to be; none where it goes.
    fn read(
        &self,
        events: impl IntoIterator<Item = Event>,
        complaints: &mut Vec<Complaint>,
    ) -> BTreeMap<ServiceId, Option<Registration>> {
        let mut updates = BTreeMap::new();
        for event in events {
            let mut complain = |problem: String| {
                let key = String::from_utf8_lossy(&event.key).escape_debug().to_string();
                complaints.push(Complaint { key, problem });
            };
            let Some((service, id)) = self.place(&event.key) else {
                complain("is not the key of an instance".to_owned());
                continue;
            };
            match event.value.as_deref().map(leaf::read) {
                None => drop(updates.insert(id, None)),
                Some(Ok(leaf)) => {
                    let registration = self.registration((service, id.clone()), leaf);
                    updates.insert(id, Some(registration));
                }
                Some(Err(error)) => complain(error.to_string()),
            }
        }
        updates
    }

    fn follow(&self, state: &State, updates: BTreeMap<ServiceId, Option<Registration>>, followed: &mut Followed) {
        let is_node_known = state.node(&self.node).is_some();
        if !is_node_known && updates.values().any(Option::is_some) {
            followed.changes.push(Change::RegisterNode(self.node()));
        }
        for (id, update) in updates {
            let key = InstanceKey { node: self.node.clone(), id };
            let known = state.instance(&key);
            match update {
                Some(registration) => {
                    if known.is_none_or(|known| *known.instance != registration.instance) {
                        followed.changes.push(Change::Register(Box::new(registration)));
                    }
                }
                None => {
                    if known.is_some_and(|known| is_told(known)) {
                        followed.changes.push(Change::Deregister { key, origin: Origin::Registry });
                    }
                }
            }
        }
    }

    /// The service and the service ID that a key stands for.
    fn place(&self, key: &[u8]) -> Option<(ServiceName, ServiceId)> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.root)?;
        let (service, id) = rest.split_once('/')?;
        let is_one = !id.is_empty() && !id.contains('/');
        Some((ServiceName::new(service).ok()?, ServiceId::new(rest).ok()?)).filter(|_| is_one)
    }

    fn registration(&self, (service, id): (ServiceName, ServiceId), leaf: Leaf) -> Registration {
        let ports = leaf.port.map(|number| Port { name: None, number, default: true });
        let instance = Instance {
            node: self.node.clone(),
            id,
            service,
            address: Some(leaf.address),
            ports: ports.into_iter().collect(),
            tags: leaf.tags.into(),
            meta: Arc::clone(&self.meta),
            weights: Weights::default(),
            tagged_addresses: Default::default(),
            network_addresses: Default::default(),
            further_names: Default::default(),
            enable_tag_override: false,
            origin: Origin::Registry,
        };
        Registration { instance, checks: Vec::new(), replace_existing_checks: true }
    }

    fn node(&self) -> Node {
        Node {
            name: self.node.clone(),
            uuid: Arc::from(NODE_UUID),
            // All instances have addresses of their own.
            address: Address::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            tagged_addresses: BTreeMap::new(),
            meta: Arc::clone(&self.meta),
            origin: Origin::Registry,
        }
    }
}

/// Whether a registry has it, be it kept aside in the catalog.
fn is_told(entry: &InstanceEntry) -> bool {
    let mut aside = entry.shadowed.iter().map(|registration| registration.instance.origin);
    entry.instance.origin == Origin::Registry || aside.any(|origin| origin == Origin::Registry)
}

/// Whether instances of such a registry are known, from disk.
pub fn is_known(catalog: &State) -> bool {
    !catalog.of_origin(&node_name(), Origin::Registry).is_empty()
}

/// What takes back what such a registry had, where none is followed any more.
pub fn none_followed(catalog: &State) -> Vec<Change> {
    let (name, origin) = (node_name(), Origin::Registry);
    let Some(entry) = catalog.node(&name) else { return Vec::new() };
    let change = Change::DeregisterNode { name: name.clone(), origin };
    if entry.node.origin == origin && catalog.clone().apply(change.clone()).is_ok() {
        return vec![change];
    }
    // There is something of others on it.
    let keys = catalog.of_origin(&name, origin).into_iter();
    keys.map(|key| Change::Deregister { key, origin }).collect()
}

fn node_name() -> NodeName {
    NodeName::new(NODE).expect("it is no empty text")
}

/// The node that stands for the registry. Source: none, chosen: as the setting is called.
const NODE: &str = "etcd-services";

/// Its ID, which is the same everywhere. Source: none, chosen: no machine has one of this kind.
const NODE_UUID: &str = "00000000-0000-8000-8000-657463645376";

/// The key of meta that says where something came from. Source: Consul, whose syncs set it and whose UI shows it.
const EXTERNAL_SOURCE: &str = "external-source";

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
