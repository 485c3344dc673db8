//! A node that has got another name.
//!
//! The name of a node is mostly that of its host, which may change, and in a container does at each start. What was
//! registered under the earlier name would stay for ever: nobody renews the checks of another node, and `/v1/agent`
//! does not speak of it. The node's UUID tells that both are the same, so all moves to the present name.

use std::{cmp::Reverse, collections::HashSet, sync::Arc};

use crate::{
    catalog::{
        change::Registration,
        check::Check,
        names::{CheckId, NodeName, ServiceId},
        node::Node,
        restore::StoredNode,
        service::Instance,
        state::{CheckEntry, InstanceEntry},
    },
    publish::journal::{Restored, Write},
};

impl Restored {
    /// Moves what is on nodes of this UUID to the node of this name, and says what is to be written for that.
    ///
    /// Of what is on several, that of the present name stays, else the newest. Costs O(n log n) if anything moves.
    pub fn rename_node(&mut self, uuid: &str, name: &NodeName) -> Vec<Write> {
        let is_former = |node: &StoredNode| *node.node.uuid == *uuid && node.node.name != *name;
        let (mut former, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.nodes).into_iter().partition(is_former);
        self.nodes = others;
        if former.is_empty() {
            return Vec::new();
        }
        former.sort_by_key(|stored| Reverse(stored.modify_index));
        let names: HashSet<NodeName> = former.iter().map(|stored| stored.node.name.clone()).collect();
        let (mut moving, staying): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.instances).into_iter().partition(|entry| names.contains(&entry.instance.node));
        moving.sort_by_key(|entry| Reverse(entry.modify_index));
        self.instances = staying;
        let (mut ids, mut taken) = self.ids_on(name);
        let mut writes = Vec::with_capacity(2 * moving.len() + former.len() + 1);
        for entry in moving {
            writes.push(Write::ForgetInstance(entry.instance.key()));
            if ids.insert(entry.instance.id.clone()) {
                let moved = Arc::new(renamed(&entry, name, &mut taken));
                writes.push(Write::Instance(Arc::clone(&moved)));
                self.instances.push(moved);
            }
        }
        self.instances.sort_by(|left, right| {
            let (left, right) = (&left.instance, &right.instance);
            left.node.cmp(&right.node).then_with(|| left.id.cmp(&right.id))
        });
        for stored in former {
            writes.push(Write::ForgetNode(stored.node.name.clone()));
            self.take_over(stored, name, &mut taken);
        }
        writes.extend(self.nodes.iter().filter(|stored| stored.node.name == *name).cloned().map(Write::Node));
        writes
    }

    /// IDs of the instances of a node, and of all checks on it.
    fn ids_on(&self, name: &NodeName) -> (HashSet<ServiceId>, HashSet<CheckId>) {
        let here = || self.instances.iter().filter(|entry| entry.instance.node == *name);
        let of_node = self.nodes.iter().filter(|stored| stored.node.name == *name);
        let checks = of_node.flat_map(|stored| stored.checks.iter()).chain(here().flat_map(|entry| &entry.checks));
        (here().map(|entry| entry.instance.id.clone()).collect(), checks.map(|own| own.check.id.clone()).collect())
    }

    /// Gives a node's own checks to the node of the present name, which is made of it if it is not known.
    fn take_over(&mut self, former: StoredNode, name: &NodeName, taken: &mut HashSet<CheckId>) {
        let checks = moved_checks(&former.checks, name, taken);
        match self.nodes.iter_mut().find(|stored| stored.node.name == *name) {
            Some(stored) => {
                let mut all: Vec<CheckEntry> = stored.checks.iter().cloned().chain(checks).collect();
                all.sort_by(|left, right| left.check.id.cmp(&right.check.id));
                stored.checks = all.into();
            }
            None => {
                let node = Arc::new(Node { name: name.clone(), ..Node::clone(&former.node) });
                self.nodes.push(StoredNode { node, checks: checks.into(), ..former });
                self.nodes.sort_by(|left, right| left.node.name.cmp(&right.node.name));
            }
        }
    }
}

fn renamed(entry: &InstanceEntry, name: &NodeName, taken: &mut HashSet<CheckId>) -> InstanceEntry {
    let instance = |instance: &Instance| Instance { node: name.clone(), ..instance.clone() };
    let check = |check: &Check| Check { node: name.clone(), ..check.clone() };
    let shadowed = |loser: &Arc<Registration>| {
        Arc::new(Registration {
            instance: instance(&loser.instance),
            checks: loser.checks.iter().map(check).collect(),
            replace_existing_checks: loser.replace_existing_checks,
        })
    };
    InstanceEntry {
        instance: Arc::new(instance(&entry.instance)),
        checks: moved_checks(&entry.checks, name, taken).into(),
        shadowed: entry.shadowed.iter().map(shadowed).collect(),
        create_index: entry.create_index,
        modify_index: entry.modify_index,
    }
}

/// The checks under the present name, in their order, but for those whose ID is taken there.
fn moved_checks(checks: &[CheckEntry], name: &NodeName, taken: &mut HashSet<CheckId>) -> Vec<CheckEntry> {
    let free = checks.iter().filter(|own| taken.insert(own.check.id.clone()));
    let moved = |own: &CheckEntry| CheckEntry {
        check: Arc::new(Check { node: name.clone(), ..Check::clone(&own.check) }),
        ..own.clone()
    };
    free.map(moved).collect()
}

#[cfg(test)]
#[path = "rename_tests.rs"]
mod tests;
