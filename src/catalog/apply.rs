//! What a change makes of the catalog.
//!
//! Every change either takes effect as a whole or is refused with nothing done. An identical one changes nothing.
//! The [`Effects`] say what was touched, before and after, so that whoever keeps something that follows from the
//! catalog can follow in O(what changed).

use std::sync::Arc;

use super::{
    apply_checks::{ChangedChecks, changed_checks, place},
    apply_instances::Results,
    change::{Change, ChangeError},
    check::{CheckKey, CheckStatus},
    names::{NodeName, ServiceName},
    node::Node,
    service::{Instance, InstanceKey},
    state::{CheckEntry, InstanceEntry, NodeEntry, ServiceEntry, State, find_check, is_at, origins},
    table::Table,
};

/// What a change touched.
#[derive(Debug, Default)]
pub struct Effects {
    /// Instances, in the order in which they were touched; one may stand several times.
    pub instances: Vec<TouchedInstance>,
    /// Nodes that are new, or of which something other than their list of instances changed.
    pub nodes: Vec<TouchedNode>,
    /// Checks that came, went, or got another definition.
    pub checks: Vec<CheckKey>,
    /// Checks of which only status or output changed.
    pub statuses: Vec<CheckKey>,
    /// Whether nothing but outputs of checks changed, which nobody waits for.
    pub outputs_only: bool,
}

impl Effects {
    /// Whether nothing at all changed.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.nodes.is_empty() && self.checks.is_empty() && self.statuses.is_empty()
    }
}

/// An instance before and after.
#[derive(Debug, Clone)]
pub struct TouchedInstance {
    /// Before; none if it is new.
    pub before: Option<Presence>,
    /// After; none if it is gone.
    pub after: Option<Presence>,
}

impl TouchedInstance {
    /// Whether instance and node are registered as they were, so that nothing but checks, or what is kept aside, has changed.
    pub fn is_registered_alike(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => before.is_registered_as(after),
            _ => false,
        }
    }
}

/// An instance and what counts of its node.
#[derive(Debug, Clone)]
pub struct Presence {
    /// The instance with its checks.
    pub entry: Arc<InstanceEntry>,
    /// Its node.
    pub node: Arc<Node>,
    /// The status of the node's own checks.
    pub node_status: CheckStatus,
    /// Whether the node is in maintenance.
    pub node_in_maintenance: bool,
}

impl Presence {
    /// An instance on its node.
    pub fn of(entry: &Arc<InstanceEntry>, node: &NodeEntry) -> Presence {
        Presence {
            entry: Arc::clone(entry),
            node: Arc::clone(&node.node),
            node_status: node.status(),
            node_in_maintenance: node.checks.iter().any(|check| check.check.is_maintenance()),
        }
    }

    /// Whether instance and node are registered as there: by one and the same registration.
    pub fn is_registered_as(&self, other: &Presence) -> bool {
        Arc::ptr_eq(&self.entry.instance, &other.entry.instance) && Arc::ptr_eq(&self.node, &other.node)
    }

    /// Whether the instance or its node is in maintenance.
    pub fn in_maintenance(&self) -> bool {
        self.node_in_maintenance || self.entry.in_maintenance()
    }
}

/// A node before and after.
#[derive(Debug, Clone)]
pub struct TouchedNode {
    /// Before; none if it is new.
    pub before: Option<Arc<NodeEntry>>,
    /// After; none if it is gone.
    pub after: Option<Arc<NodeEntry>>,
}

impl TouchedNode {
    /// Its name.
    pub fn name(&self) -> &NodeName {
        let entry = self.after.as_ref().or(self.before.as_ref()).expect("a touched node was or is there");
        &entry.node.name
    }
}

impl State {
    /// Applies one change, which gets the index after the current one if it changes anything that has an index;
    /// or says why not, and then nothing has changed.
    pub fn apply(&mut self, change: Change) -> Result<Effects, ChangeError> {
        // Only kept where it is needed: what is shared with it would be copied anew by every change.
        let kept = change.has_steps().then(|| self.clone());
        let index = self.index + 1;
        let mut apply = Apply { index, effects: Effects::default(), state: self, bumped: false, vanished: Vec::new() };
        let outcome = apply.change(change);
        let (bumped, mut effects, vanished) = (apply.bumped, apply.effects, apply.vanished);
        effects.outputs_only = !bumped;
        if let Err(error) = outcome {
            debug_assert!(kept.is_some() || (!bumped && effects.is_empty()), "refused when something was done already");
            if let Some(kept) = kept {
                *self = kept;
            }
            return Err(error);
        }
        if bumped {
            self.index = index;
        }
        if vanished.iter().any(|name| self.service(name).is_none()) {
            self.indexes.extinction = index;
        }
        Ok(effects)
    }
}

pub(super) struct Apply<'a> {
    pub(super) state: &'a mut State,
    pub(super) index: u64,
    pub(super) effects: Effects,
    bumped: bool,
    /// Services that lost their last instance; the same change may bring another.
    vanished: Vec<ServiceName>,
}

impl Apply<'_> {
    fn change(&mut self, change: Change) -> Result<(), ChangeError> {
        match change {
            Change::RegisterNode(node) => {
                self.register_node(node);
                Ok(())
            }
            Change::DeregisterNode { name, origin } => self.deregister_node(&name, origin),
            Change::Register(registration) => self.register(*registration, Results::Kept),
            Change::Mirror(registration) => self.register(*registration, Results::Given),
            Change::Deregister { key, origin } => self.deregister(&key, origin),
            Change::RegisterCheck(check) => self.register_check(*check),
            Change::DeregisterCheck { key, origin } => self.deregister_check(&key, origin),
            Change::SetStatus { key, result } => self.set_status(&key, &result),
            Change::InstanceMaintenance { key, reason } => self.instance_maintenance(&key, reason),
            Change::ReplaceOrigin { node, origin, registrations } => self.replace_origin(&node, origin, registrations),
        }
    }

    /// Puts a node in of which more than the list of its instances changed, and touches all its instances.
    pub(super) fn put_node(&mut self, before: Option<Arc<NodeEntry>>, after: NodeEntry) {
        let after = Arc::new(after);
        self.set_node(Arc::clone(&after));
        self.state.indexes.nodes = self.index;
        self.bumped = true;
        if let Some(before) = &before {
            let keys: Vec<_> =
                after.instances.iter().map(|instance| (instance.service.clone(), instance.key())).collect();
            for (service, key) in keys {
                let entry = self.state.instance_of(&service, &key).expect("a node's instance is in its service");
                let entry = Arc::clone(entry);
                let presence = |node: &NodeEntry| Presence::of(&entry, node);
                self.effects
                    .instances
                    .push(TouchedInstance { before: Some(presence(before)), after: Some(presence(&after)) });
                self.bump_service(&entry.instance);
            }
        }
        self.effects.nodes.push(TouchedNode { before, after: Some(after) });
    }

    /// Puts an instance in place of another: the one way by which instances change.
    pub(super) fn put(&mut self, before: Option<Arc<InstanceEntry>>, after: Option<InstanceEntry>) {
        if before.as_deref() == after.as_ref() {
            return;
        }
        let none: &[CheckEntry] = &[];
        let changed = changed_checks(
            before.as_ref().map_or(none, |entry| &entry.checks),
            after.as_ref().map_or(none, |entry| &entry.checks),
        );
        self.put_changed((before, after), changed);
    }

    /// Puts an instance in place of another that it differs from, where it is known how their checks differ.
    pub(super) fn put_changed(
        &mut self,
        (before, after): (Option<Arc<InstanceEntry>>, Option<InstanceEntry>),
        changed: ChangedChecks,
    ) {
        let after = after.map(Arc::new);
        let some = before.as_ref().or(after.as_ref()).expect("something is put in or taken out");
        let node = Arc::clone(self.state.node(&some.instance.node).expect("an instance's node is known"));
        let same_instance = match (&before, &after) {
            (Some(before), Some(after)) => {
                Arc::ptr_eq(&before.instance, &after.instance) && before.shadowed == after.shadowed
            }
            _ => false,
        };
        let keep_index = same_instance && changed.output_only;
        self.put_in_node(&node, before.as_ref(), after.as_ref(), &changed);
        self.put_in_service(before.as_ref(), after.as_ref(), keep_index);
        self.count_checks(
            before.as_ref().map_or(0, |entry| entry.checks.len()),
            after.as_ref().map_or(0, |entry| entry.checks.len()),
        );
        self.note_checks(&node.node.name, changed);
        self.bumped |= !keep_index;
        let presence = |entry: Arc<InstanceEntry>| Presence::of(&entry, &node);
        self.effects.instances.push(TouchedInstance { before: before.map(presence), after: after.map(presence) });
    }

    /// Keeps a node's lists of its instances and of where its checks are.
    fn put_in_node(
        &mut self,
        node: &Arc<NodeEntry>,
        before: Option<&Arc<InstanceEntry>>,
        after: Option<&Arc<InstanceEntry>>,
        changed: &ChangedChecks,
    ) {
        let moved = match (before, after) {
            (Some(before), Some(after)) => !Arc::ptr_eq(&before.instance, &after.instance),
            _ => true,
        };
        let same_origins = origins(before).eq(origins(after));
        if !moved && changed.definitions.is_empty() && same_origins {
            return;
        }
        let mut entry = NodeEntry::clone(node);
        if let Some(id) = before.or(after).map(|entry| &entry.instance.id) {
            let hash = self.state.seed.hash(id);
            match after.filter(|_| moved) {
                Some(after) => drop(entry.instances.set(hash, Arc::clone(&after.instance), |old| old.id == *id)),
                None if moved => drop(entry.instances.remove(hash, |old| old.id == *id)),
                None => {}
            }
            if !same_origins {
                entry.list((hash, id), before, after);
            }
        }
        for id in &changed.definitions {
            let home = after.filter(|after| find_check(&after.checks, id).is_some());
            place(&mut entry, self.state, id, home.map(|after| Some(after.instance.id.clone())));
        }
        self.set_node(Arc::new(entry));
    }

    fn put_in_service(
        &mut self,
        before: Option<&Arc<InstanceEntry>>,
        after: Option<&Arc<InstanceEntry>>,
        keep_index: bool,
    ) {
        if let Some(before) =
            before.filter(|before| after.is_none_or(|after| after.instance.service != before.instance.service))
        {
            self.leave_service(before);
        }
        let Some(after) = after else { return };
        let key = after.instance.key();
        let name = &after.instance.service;
        let (seed, index) = (self.state.seed, self.index);
        let put = |service: &mut ServiceEntry| {
            if !keep_index {
                service.index = index;
            }
            service.instances.set(seed.hash(&key), Arc::clone(after), is_at(&key)).is_none()
        };
        let hash = seed.hash(name);
        let there = |entry: &Arc<ServiceEntry>| entry.name == *name;
        let new = match self.state.services.edit(hash, there, |service| put(Arc::make_mut(service))) {
            Some(new) => new,
            None => {
                let mut service = ServiceEntry { name: name.clone(), index, instances: Table::default() };
                put(&mut service);
                self.state.services.set(hash, Arc::new(service), there);
                true
            }
        };
        if !keep_index {
            self.state.indexes.services = index;
        }
        self.state.instance_count += usize::from(new);
    }

    fn leave_service(&mut self, before: &Arc<InstanceEntry>) {
        let key = before.instance.key();
        let name = &before.instance.service;
        let mut service =
            ServiceEntry::clone(self.state.service(name).expect("an instance's service is in the catalog"));
        service.instances.remove(self.state.seed.hash(&key), is_at(&key));
        service.index = self.index;
        self.state.instance_count -= 1;
        self.state.indexes.services = self.index;
        let hash = self.state.seed.hash(name);
        if service.instances.is_empty() {
            self.state.services.remove(hash, |entry| entry.name == *name);
            self.vanished.push(name.clone());
        } else {
            self.state.services.set(hash, Arc::new(service), |entry| entry.name == *name);
        }
    }

    fn bump_service(&mut self, instance: &Instance) {
        let name = &instance.service;
        let Some(service) = self.state.service(name).filter(|service| service.index != self.index) else { return };
        let service = ServiceEntry { index: self.index, ..ServiceEntry::clone(service) };
        let hash = self.state.seed.hash(name);
        self.state.services.set(hash, Arc::new(service), |entry| entry.name == *name);
        self.state.indexes.services = self.index;
    }

    pub(super) fn set_node(&mut self, entry: Arc<NodeEntry>) {
        let name = entry.node.name.clone();
        self.state.nodes.set(self.state.seed.hash(&name), entry, |old| old.node.name == name);
    }

    pub(super) fn remove_node(&mut self, name: &NodeName) {
        self.state.nodes.remove(self.state.seed.hash(name), |old| old.node.name == *name);
        self.state.indexes.nodes = self.index;
        self.bumped = true;
    }

    pub(super) fn node(&self, name: &NodeName) -> Result<Arc<NodeEntry>, ChangeError> {
        self.state.node(name).cloned().ok_or_else(|| ChangeError::UnknownNode(name.clone()))
    }

    pub(super) fn instance(&self, key: &InstanceKey) -> Result<Arc<InstanceEntry>, ChangeError> {
        self.state.instance(key).cloned().ok_or_else(|| ChangeError::UnknownInstance(key.clone()))
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
