//! Putting a catalog together from what was stored.

use std::sync::Arc;

use super::{
    apply_checks::is_derived,
    check::Check,
    node::Node,
    state::{CheckEntry, CheckPlace, Indexes, InstanceEntry, NodeEntry, ServiceEntry, State, is_at},
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
    /// The checks of each node and instance must be sorted by ID, as they were in the catalog that was stored.
    /// Instances of nodes that are not stored are left out. Costs O(n log n).
    pub fn restore(seed: Seed, index: u64, nodes: Vec<StoredNode>, instances: Vec<Arc<InstanceEntry>>) -> State {
        let mut state = State::new(seed, index);
        for stored in nodes {
            state.restore_node(stored);
        }
        for entry in instances {
            state.restore_instance(entry);
        }
        // Nobody waits yet, and what waited in an earlier life is answered at once: all is as of now.
        state.indexes = Indexes { services: index, nodes: index, checks: index, extinction: index };
        state
    }

    fn restore_node(&mut self, stored: StoredNode) {
        debug_assert!(are_sorted(&stored.checks), "the checks of {:?} are out of order", stored.node.name);
        let mut places = Table::default();
        for entry in stored.checks.iter() {
            self.place_check(&mut places, &entry.check);
        }
        self.check_count += stored.checks.len();
        let entry = NodeEntry {
            node: stored.node,
            checks: stored.checks,
            create_index: stored.create_index,
            modify_index: stored.modify_index,
            instances: Table::default(),
            check_places: places,
        };
        let name = entry.node.name.clone();
        self.nodes.set(self.seed.hash(&name), Arc::new(entry), |old| old.node.name == name);
    }

    fn restore_instance(&mut self, entry: Arc<InstanceEntry>) {
        let instance = &entry.instance;
        debug_assert!(are_sorted(&entry.checks), "the checks of {:?} are out of order", instance.key());
        let hash = self.seed.hash(&instance.node);
        let Some(mut node) = self.nodes.remove(hash, |old| old.node.name == instance.node) else { return };
        // Taken out of the table, the node has one owner, and is changed in place.
        let changed = Arc::make_mut(&mut node);
        changed.instances.set(self.seed.hash(&instance.id), Arc::clone(instance), |old| old.id == instance.id);
        for check in &entry.checks {
            self.place_check(&mut changed.check_places, &check.check);
        }
        self.check_count += entry.checks.len();
        self.nodes.set(hash, node, |old| old.node.name == instance.node);

        let name = instance.service.clone();
        let hash = self.seed.hash(&name);
        let mut service = self.services.remove(hash, |old| old.name == name).unwrap_or_else(|| {
            Arc::new(ServiceEntry { name: name.clone(), index: self.index, instances: Table::default() })
        });
        let key = instance.key();
        let new = Arc::make_mut(&mut service).instances.set(self.seed.hash(&key), Arc::clone(&entry), is_at(&key));
        self.instance_count += usize::from(new.is_none());
        self.services.set(hash, service, |old| old.name == name);
    }

    fn place_check(&self, places: &mut Table<CheckPlace>, check: &Check) {
        if is_derived(&check.id, check.service_id.as_ref()) {
            return;
        }
        let place = CheckPlace { id: check.id.clone(), service_id: check.service_id.clone() };
        places.set(self.seed.hash(&check.id), place, |old| old.id == check.id);
    }
}

/// Whether each check has a higher ID than the one before it, which is what they are searched by.
fn are_sorted(checks: &[CheckEntry]) -> bool {
    checks.is_sorted_by(|left, right| left.check.id < right.check.id)
}
