//! The catalog's state: what is registered, and how to read it. [`super::apply`] tells what a change makes of it.
//!
//! | read | cost |
//! |---|---|
//! | a node, a service, an instance, a check by its key | O(log n) |
//! | the instances of a service or a node | O(what it returns) |
//! | any index, any count | O(1) |

use std::{hint::black_box, sync::Arc};

use thin_vec::ThinVec;

use super::{
    change::{Origin, Registration},
    check::{Check, CheckKey, CheckStatus},
    few::Few,
    names::{CheckId, NodeName, ServiceId, ServiceName, Tag},
    node::Node,
    service::{Instance, InstanceKey},
    table::{Seed, Table, Unmeasured},
};

/// The whole catalog at one index. A clone shares everything.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) seed: Seed,
    pub(super) index: u64,
    pub(super) nodes: Table<Arc<NodeEntry>>,
    pub(super) services: Table<Arc<ServiceEntry>>,
    pub(super) indexes: Indexes,
    pub(super) instance_count: usize,
    pub(super) check_count: usize,
}

/// When parts of the catalog last changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Indexes {
    /// The list of services, or any instance.
    pub services: u64,
    /// The list of nodes.
    pub nodes: u64,
    /// Any check.
    pub checks: u64,
    /// The last disappearance of any service: the index of all services without instances.
    pub extinction: u64,
}

/// An instance with its checks, as registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceEntry {
    /// What the winning registration says.
    pub instance: Arc<Instance>,
    /// Its own checks, sorted by ID.
    pub checks: Few<CheckEntry>,
    /// Registrations of lower precedence with the same key, best first.
    pub shadowed: ThinVec<Arc<Registration>>,
    /// Index at which it was first registered.
    pub create_index: u64,
    /// Index of its last change, not counting its checks.
    pub modify_index: u64,
}

impl InstanceEntry {
    /// The origins that have a registration of it, the winning one first.
    pub(super) fn origins(&self) -> impl Iterator<Item = Origin> {
        let shadowed = self.shadowed.iter().map(|registration| registration.instance.origin);
        std::iter::once(self.instance.origin).chain(shadowed)
    }

    /// The worst status of its own checks that are run; passing without any.
    pub fn status(&self) -> CheckStatus {
        worst(&self.checks)
    }

    /// One of its own checks, by its ID.
    pub fn check(&self, id: &CheckId) -> Option<&CheckEntry> {
        find_check(&self.checks, id)
    }

    /// Whether it is in maintenance.
    pub fn in_maintenance(&self) -> bool {
        self.checks.iter().any(|entry| entry.check.is_maintenance())
    }
}

/// A check with its indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckEntry {
    /// The check.
    pub check: Arc<Check>,
    /// Index at which it was first registered.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// A node with its own checks.
#[derive(Debug, Clone)]
pub struct NodeEntry {
    /// What is known of it.
    pub node: Arc<Node>,
    /// Its own checks (not those of its instances), sorted by ID.
    pub checks: Arc<[CheckEntry]>,
    /// Index at which it was first registered.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
    pub(super) instances: Table<Arc<Instance>>,
    /// Those of them that each origin has a registration of, be it a shadowed one. Not for the API: it mostly has nearly
    /// all, and what it registered is never taken as a whole.
    pub(super) of_origin: [Table<ServiceId>; Origin::COUNT],
    /// Where its checks are, but for those whose ID tells it (see [`State::derived_check`]).
    pub(super) check_places: Table<CheckPlace>,
}

impl NodeEntry {
    /// The worst status of its own checks that are run; passing without any.
    pub fn status(&self) -> CheckStatus {
        worst(&self.checks)
    }

    /// Keeps the lists of what each origin registered.
    pub(super) fn list(
        &mut self,
        (hash, id): (u32, &ServiceId),
        before: Option<&Arc<InstanceEntry>>,
        after: Option<&Arc<InstanceEntry>>,
    ) {
        for origin in origins(before) {
            self.of_origin[origin as usize].remove(hash, |old| old == id);
        }
        for origin in origins(after).filter(|origin| is_listed(*origin)) {
            self.of_origin[origin as usize].set(hash, id.clone(), |old| old == id);
        }
    }

    /// IDs of the instances that run on it, in no order.
    pub fn instance_ids(&self) -> impl Iterator<Item = &ServiceId> {
        self.instances.iter().map(|instance| &instance.id)
    }

    /// How many instances run on it.
    pub fn instance_count(&self) -> usize {
        self.instances.len()
    }

    /// The instances that run on it, in no order.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances.iter()
    }
}

/// Which instance a check ID belongs to; none means the node.
#[derive(Debug, Clone)]
pub(super) struct CheckPlace {
    pub(super) id: CheckId,
    pub(super) service_id: Option<ServiceId>,
}

impl Unmeasured for CheckPlace {}

impl Unmeasured for ServiceId {}

/// A service: its instances, and the index of its last change.
#[derive(Debug, Clone)]
pub struct ServiceEntry {
    /// Its name.
    pub name: ServiceName,
    /// Index of the last change to its instances, their checks or their nodes.
    pub index: u64,
    pub(super) instances: Table<Arc<InstanceEntry>>,
}

impl ServiceEntry {
    /// How many instances it has; at least one.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Never true: a service without instances is not in the catalog.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// Its instances, in no order.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<InstanceEntry>> {
        self.instances.iter()
    }

    /// Its instances, in the order in which they lie in memory.
    pub fn instances_by_place(&self) -> Vec<&Arc<InstanceEntry>> {
        let mut instances: Vec<_> = self.instances().collect();
        instances.sort_unstable_by_key(|instance| Arc::as_ptr(instance));
        instances
    }
}

impl State {
    /// An empty catalog. The seed is that of all its hashes; the index, where counting goes on.
    pub fn new(seed: Seed, index: u64) -> State {
        State {
            seed,
            index,
            nodes: Table::default(),
            services: Table::default(),
            indexes: Indexes { services: index, nodes: index, checks: index, extinction: index },
            instance_count: 0,
            check_count: 0,
        }
    }

    /// Index of the last change.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Gives the next index away, to a change of something that has the same index.
    pub fn advance(&mut self) -> u64 {
        self.index += 1;
        self.index
    }

    /// The seed of all hashes.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// A node by name.
    pub fn node(&self, name: &NodeName) -> Option<&Arc<NodeEntry>> {
        self.nodes.get(self.seed.hash(name), |entry| entry.node.name == *name)
    }

    /// All nodes, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<NodeEntry>> {
        self.nodes.iter()
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// A service by name.
    pub fn service(&self, name: &ServiceName) -> Option<&Arc<ServiceEntry>> {
        self.services.get(self.seed.hash(name), |entry| entry.name == *name)
    }

    /// All services, in no order.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceEntry>> {
        self.services.iter()
    }

    /// All services, in the order in which they lie in memory, which after a start is that of what they hold, too. Read
    /// in the order of hashes, nearly each of them would wait for memory: for who reads all of very many.
    pub fn services_by_place(&self) -> Vec<&Arc<ServiceEntry>> {
        let mut services: Vec<_> = self.services().collect();
        services.sort_unstable_by_key(|service| Arc::as_ptr(service));
        services
    }

    /// How many services there are.
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    /// How many instances there are, shadowed ones not counted.
    pub fn instance_count(&self) -> usize {
        self.instance_count
    }

    /// How many checks there are, those of nodes among them.
    pub fn check_count(&self) -> usize {
        self.check_count
    }

    /// An instance by node and service ID.
    pub fn instance(&self, key: &InstanceKey) -> Option<&Arc<InstanceEntry>> {
        self.instance_on(self.node(&key.node)?, &key.id)
    }

    fn instance_on(&self, node: &NodeEntry, id: &ServiceId) -> Option<&Arc<InstanceEntry>> {
        let instance = node.instances.get(self.seed.hash(id), |instance| instance.id == *id)?;
        self.instance_of(&instance.service, &instance.key())
    }

    /// An instance by its service, node and service ID.
    pub fn instance_of(&self, service: &ServiceName, key: &InstanceKey) -> Option<&Arc<InstanceEntry>> {
        self.service(service)?.instances.get(self.seed.hash(key), is_at(key))
    }

    /// A check by node and check ID.
    pub fn check(&self, key: &CheckKey) -> Option<&CheckEntry> {
        self.check_and_home(key).map(|(check, _)| check)
    }

    /// A check by node and check ID, with the instance that it is about; none: it is the node's own.
    pub fn check_and_home(&self, key: &CheckKey) -> Option<(&CheckEntry, Option<&Arc<InstanceEntry>>)> {
        let node = self.node(&key.node)?;
        if let Some((check, home)) = self.derived_check(node, &key.id) {
            return Some((check, Some(home)));
        }
        let place = node.check_places.get(self.seed.hash(&key.id), |place| place.id == key.id)?;
        let home = match &place.service_id {
            None => None,
            Some(id) => Some(self.instance_on(node, id)?),
        };
        let checks = home.map_or(&node.checks[..], |home| &home.checks);
        Some((find_check(checks, &key.id)?, home))
    }

    /// The check of a node whose ID follows from that of its instance, which is how it is found.
    pub(super) fn derived_check(&self, node: &NodeEntry, id: &CheckId) -> Option<(&CheckEntry, &Arc<InstanceEntry>)> {
        let home = self.instance_on(node, &id.service_id()?)?;
        Some((find_check(&home.checks, id)?, home))
    }

    /// Has what results of these checks, at most [`FOUND_TOGETHER_MAX`], will change brought into the cache, as far as it
    /// follows from their IDs and they are of one node; a guess that nothing depends on. Tells the services that were found.
    pub fn warm<'s, 'k>(&'s self, keys: impl Iterator<Item = &'k CheckKey> + Clone) -> Vec<&'s ServiceName> {
        let Some(node) = keys.clone().next().and_then(|key| self.node(&key.node)) else { return Vec::new() };
        let ids = keys.filter(|key| key.node == node.node.name).filter_map(|key| key.id.service_id());
        let hashes: Vec<u32> = ids.map(|id| self.seed.hash(&id)).collect();
        let mut instances: Vec<&Arc<Instance>> = Vec::with_capacity(hashes.len());
        node.instances.find_all(&hashes, |instance| instances.extend(instance));
        black_box(
            instances.iter().map(|instance| usize::from(instance.enable_tag_override)).fold(0, usize::wrapping_add),
        );
        let names: Vec<&ServiceName> = instances.iter().map(|instance| &instance.service).collect();
        let hashes: Vec<u32> = names.iter().map(|name| self.seed.hash(*name)).collect();
        let mut services: Vec<&Arc<ServiceEntry>> = Vec::with_capacity(hashes.len());
        self.services.find_all(&hashes, |service| services.extend(service));
        black_box(services.iter().map(|service| service.instances.len()).fold(0, usize::wrapping_add));
        black_box(services.iter().map(|service| service.instances.touch()).fold(0, u32::wrapping_add));
        // Of a larger service most are not needed.
        let small = || services.iter().filter(|service| service.len() <= WARMED_INSTANCES_MAX);
        let entries = || small().filter_map(|service| service.instances.few()).flatten();
        black_box(entries().map(|entry| entry.checks.len()).fold(0, usize::wrapping_add));
        let checks = || entries().flat_map(|entry| entry.checks.iter());
        black_box(checks().map(|entry| usize::from(entry.check.takes_results())).fold(0, usize::wrapping_add));
        names
    }

    /// All checks, in no order: those of nodes and those of instances.
    pub fn checks(&self) -> impl Iterator<Item = &CheckEntry> {
        let of_nodes = self.nodes().flat_map(|entry| entry.checks.iter());
        let entries = self.services_by_place().into_iter().flat_map(|service| service.instances());
        of_nodes.chain(entries.flat_map(|entry| entry.checks.iter()))
    }

    /// X-Consul-Index of a read of one service, whether it exists or not.
    pub fn service_index(&self, name: &ServiceName) -> u64 {
        self.service(name).map_or(self.indexes.extinction, |service| service.index)
    }

    /// X-Consul-Index of the list of services.
    pub fn services_index(&self) -> u64 {
        self.indexes.services
    }

    /// X-Consul-Index of the list of nodes.
    pub fn nodes_index(&self) -> u64 {
        self.indexes.nodes
    }

    /// X-Consul-Index of all checks.
    pub fn checks_index(&self) -> u64 {
        self.indexes.checks
    }

    /// The indexes that the journal keeps.
    pub fn indexes(&self) -> Indexes {
        self.indexes
    }

    /// Tags of all instances of a service, each once, sorted; empty if it is unknown.
    pub fn service_tags(&self, name: &ServiceName) -> Vec<Tag> {
        let entries = self.service(name).into_iter().flat_map(|service| service.instances());
        let mut tags: Vec<Tag> = entries.flat_map(|entry| entry.instance.tags.iter().cloned()).collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// All that an origin has registered on a node, shadowed registrations included, in no order. Costs O(what it returns),
    /// but for the API O(the node's instances).
    pub fn of_origin(&self, node: &NodeName, origin: Origin) -> Vec<InstanceKey> {
        let Some(entry) = self.node(node) else { return Vec::new() };
        if is_listed(origin) {
            let key = |id: &ServiceId| InstanceKey { node: node.clone(), id: id.clone() };
            return entry.of_origin[origin as usize].iter().map(key).collect();
        }
        let has =
            |key: &InstanceKey| self.instance(key).is_some_and(|entry| entry.origins().any(|other| other == origin));
        entry.instances.iter().map(|instance| instance.key()).filter(has).collect()
    }
}

/// The origins that have a registration of an instance, if there is one.
pub(super) fn origins(entry: Option<&Arc<InstanceEntry>>) -> impl Iterator<Item = Origin> {
    entry.into_iter().flat_map(|entry| entry.origins())
}

/// Whether nodes keep a list of what this origin registered.
pub(super) fn is_listed(origin: Origin) -> bool {
    origin != Origin::Api
}

/// What tells an instance from others of the same hash.
pub(super) fn is_at(key: &InstanceKey) -> impl Fn(&Arc<InstanceEntry>) -> bool {
    move |entry| entry.instance.id == key.id && entry.instance.node == key.node
}

/// The check of this ID among those of one instance or node, which are sorted by it.
pub(super) fn find_check<'a>(checks: &'a [CheckEntry], id: &CheckId) -> Option<&'a CheckEntry> {
    checks.binary_search_by(|entry| entry.check.id.cmp(id)).ok().map(|at| &checks[at])
}

fn worst(checks: &[CheckEntry]) -> CheckStatus {
    checks.iter().map(|entry| entry.check.status).max().unwrap_or(CheckStatus::Passing)
}

/// Services with more instances are not read ahead by [`State::warm`]. Source: none, chosen.
const WARMED_INSTANCES_MAX: usize = 8;
