//! What a change makes of nodes.

use std::sync::Arc;

use super::{
    apply::{Apply, TouchedNode},
    apply_checks::changed_checks,
    change::{ChangeError, Origin},
    names::NodeName,
    node::Node,
    state::{InstanceEntry, NodeEntry},
    table::Table,
};

impl Apply<'_> {
    pub(super) fn register_node(&mut self, node: Node) {
        let before = self.state.node(&node.name).cloned();
        if before.as_ref().is_some_and(|entry| *entry.node == node) {
            return;
        }
        let node = Arc::new(node);
        let after = match &before {
            Some(entry) => NodeEntry { node: Arc::clone(&node), modify_index: self.index, ..NodeEntry::clone(entry) },
            None => NodeEntry {
                node: Arc::clone(&node),
                checks: Arc::from([]),
                create_index: self.index,
                modify_index: self.index,
                instances: Table::default(),
                of_origin: Default::default(),
                check_places: Table::default(),
            },
        };
        self.put_node(before, after);
    }

    /// Takes a node away with all that is on it, if it and all of that is this origin's.
    pub(super) fn deregister_node(&mut self, name: &NodeName, origin: Origin) -> Result<(), ChangeError> {
        let before = self.node(name)?;
        let instance = |key| self.state.instance(&key).expect("a node's instance is in its service");
        let here: Vec<Arc<InstanceEntry>> = before.instances().map(|one| Arc::clone(instance(one.key()))).collect();
        let of_instances = here.iter().flat_map(|entry| {
            let shadowed = entry.shadowed.iter().map(|registration| registration.instance.origin);
            let checks = entry.checks.iter().map(|check| check.check.origin);
            shadowed.chain(checks).chain([entry.instance.origin])
        });
        let of_checks = before.checks.iter().map(|check| check.check.origin);
        let mut owners = of_instances.chain(of_checks).chain([before.node.origin]);
        if let Some(owner) = owners.find(|owner| *owner != origin) {
            return Err(ChangeError::OwnedBy { what: format!("what is on node {:?}", name.as_str()), owner });
        }
        for entry in here {
            self.put(Some(entry), None);
        }
        self.count_checks(before.checks.len(), 0);
        self.note_checks(name, changed_checks(&before.checks, &[]));
        self.remove_node(name);
        self.effects.nodes.push(TouchedNode { before: Some(before), after: None });
        Ok(())
    }
}
