//! Putting a catalog together from what was stored.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{
    apply_checks::is_derived,
    change::Origin,
    check::Check,
    names::{NodeName, ServiceId, ServiceName},
    node::Node,
    service::Instance,
    state::{CheckEntry, CheckPlace, InstanceEntry, NodeEntry, ServiceEntry, State, is_listed},
    table::{Seed, Table},
};

/// A node as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNode {
    /// What is known of it.
    pub node: Arc<Node>,
    /// Its own checks (not those of its instances), sorted by ID.
    pub checks: Arc<[CheckEntry]>,
    /// Index at which it was first registered.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

impl State {
    /// The catalog that was stored, at `index`, which must not be below any index in it.
    ///
    /// The checks of each node and instance must be sorted by ID, as they were in the catalog that was stored, and no
    /// node and no instance be there twice. Instances of nodes that are not stored are left out. Costs O(n log n), and
    /// least if instances of one node and service come one after the other.
    pub fn restore(seed: Seed, index: u64, nodes: Vec<StoredNode>, instances: Vec<Arc<InstanceEntry>>) -> State {
        let mut restoring = Restoring::new(seed, nodes);
        for entry in instances {
            restoring.take(entry);
        }
        restoring.state(index)
    }
}

/// A catalog that is put together: what is to lie in its tables, which are made when all is known.
struct Restoring {
    seed: Seed,
    nodes: Vec<RestoringNode>,
    node_places: HashMap<NodeName, usize>,
    last_node: usize,
    services: Vec<RestoringService>,
    service_places: HashMap<ServiceName, usize>,
    last_service: usize,
    check_count: usize,
}

struct RestoringNode {
    stored: StoredNode,
    instances: Vec<(u32, Arc<Instance>)>,
    of_origin: [Vec<(u32, ServiceId)>; Origin::COUNT],
    check_places: Vec<(u32, CheckPlace)>,
}

struct RestoringService {
    name: ServiceName,
    instances: Vec<(u32, Arc<InstanceEntry>)>,
}

impl Restoring {
    fn new(seed: Seed, nodes: Vec<StoredNode>) -> Restoring {
        let node_places = nodes.iter().enumerate().map(|(at, stored)| (stored.node.name.clone(), at)).collect();
        let mut restoring = Restoring {
            seed,
            nodes: Vec::with_capacity(nodes.len()),
            node_places,
            last_node: 0,
            services: Vec::new(),
            service_places: HashMap::new(),
            last_service: 0,
            check_count: 0,
        };
        for stored in nodes {
            debug_assert!(are_sorted(&stored.checks), "the checks of {:?} are out of order", stored.node.name);
            let places = stored.checks.iter().filter_map(|entry| place(seed, &entry.check)).collect();
            restoring.check_count += stored.checks.len();
            let (instances, of_origin) = Default::default();
            restoring.nodes.push(RestoringNode { stored, instances, of_origin, check_places: places });
        }
        restoring
    }

    fn take(&mut self, entry: Arc<InstanceEntry>) {
        let seed = self.seed;
        let instance = &entry.instance;
        debug_assert!(are_sorted(&entry.checks), "the checks of {:?} are out of order", instance.key());
        let Some(node) = self.node(&instance.node) else { return };
        let hash = seed.hash(&instance.id);
        node.instances.push((hash, Arc::clone(instance)));
        for origin in entry.origins().filter(|origin| is_listed(*origin)) {
            node.of_origin[origin as usize].push((hash, instance.id.clone()));
        }
        node.check_places.extend(entry.checks.iter().filter_map(|entry| place(seed, &entry.check)));
        self.check_count += entry.checks.len();
        let hash = seed.hash(&(&instance.node, &instance.id));
        self.service(&instance.service).instances.push((hash, entry));
    }

    fn node(&mut self, name: &NodeName) -> Option<&mut RestoringNode> {
        if self.nodes.get(self.last_node).is_none_or(|node| node.stored.node.name != *name) {
            self.last_node = *self.node_places.get(name)?;
        }
        self.nodes.get_mut(self.last_node)
    }

    fn service(&mut self, name: &ServiceName) -> &mut RestoringService {
        if self.services.get(self.last_service).is_none_or(|service| service.name != *name) {
            let next = self.services.len();
            self.last_service = *self.service_places.entry(name.clone()).or_insert(next);
            if self.last_service == next {
                self.services.push(RestoringService { name: name.clone(), instances: Vec::new() });
            }
        }
        &mut self.services[self.last_service]
    }

    fn state(self, index: u64) -> State {
        let seed = self.seed;
        drop((self.node_places, self.service_places));
        let node = |RestoringNode { stored, instances, of_origin, check_places }: RestoringNode| {
            let entry = NodeEntry {
                node: stored.node,
                checks: stored.checks,
                create_index: stored.create_index,
                modify_index: stored.modify_index,
                instances: Table::of(instances),
                of_origin: of_origin.map(Table::of),
                check_places: Table::of(check_places),
            };
            (seed.hash(&entry.node.name), Arc::new(entry))
        };
        let service = |RestoringService { name, instances }: RestoringService| {
            (seed.hash(&name), Arc::new(ServiceEntry { index, instances: Table::of(instances), name }))
        };
        State {
            instance_count: self.services.iter().map(|service| service.instances.len()).sum(),
            check_count: self.check_count,
            nodes: Table::of(self.nodes.into_iter().map(node).collect()),
            services: Table::of(self.services.into_iter().map(service).collect()),
            // Nobody waits yet, and what waited in an earlier life is answered at once: all is as of now.
            ..State::new(seed, index)
        }
    }
}

/// Where a check of this ID is looked for, with the hash of the ID; none where its ID tells that.
fn place(seed: Seed, check: &Check) -> Option<(u32, CheckPlace)> {
    let place = || CheckPlace { id: check.id.clone(), service_id: check.service_id.clone() };
    (!is_derived(&check.id, check.service_id.as_ref())).then(|| (seed.hash(&check.id), place()))
}

/// Whether each check has a higher ID than the one before it, which is what they are searched by.
fn are_sorted(checks: &[CheckEntry]) -> bool {
    checks.is_sorted_by(|left, right| left.check.id < right.check.id)
}
