//! The rules of the catalog once more, over plain maps: slow and obviously right.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    change::{Change, ChangeError, Origin, Registration},
    check::{Check, CheckKey},
    names::{CheckId, NodeName, ServiceId},
    node::Node,
    service::{Instance, InstanceKey},
    state::State,
};

/// What a catalog holds, without indexes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<NodeName, Node>,
    pub(crate) instances: BTreeMap<InstanceKey, Registered>,
    pub(crate) checks: BTreeMap<CheckKey, Check>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Registered {
    pub(crate) instance: Instance,
    pub(crate) aside: BTreeMap<Origin, (Instance, Vec<Check>)>,
}

impl Model {
    /// What a state holds.
    pub(crate) fn of(state: &State) -> Model {
        let mut model = Model::default();
        model.nodes.extend(state.nodes().map(|entry| (entry.node.name.clone(), Node::clone(&entry.node))));
        for entry in state.services().flat_map(|service| service.instances()) {
            let aside =
                entry.shadowed.iter().map(|one| (one.instance.origin, (one.instance.clone(), one.checks.clone())));
            let registered = Registered { instance: Instance::clone(&entry.instance), aside: aside.collect() };
            model.instances.insert(entry.instance.key(), registered);
        }
        model.checks.extend(state.checks().map(|entry| (entry.check.key(), Check::clone(&entry.check))));
        model
    }

    /// The catalog after a change, or why it is refused.
    pub(crate) fn after(&self, change: Change) -> Result<Model, ChangeError> {
        let mut next = self.clone();
        next.apply(change).map(|()| next)
    }

    fn apply(&mut self, change: Change) -> Result<(), ChangeError> {
        match change {
            Change::RegisterNode(node) => {
                self.nodes.insert(node.name.clone(), node);
                Ok(())
            }
            Change::DeregisterNode { name, origin } => self.deregister_node(&name, origin),
            Change::Register(registration) => self.register(*registration, Results::Kept),
            Change::Mirror(registration) => self.register(*registration, Results::Given),
            Change::Deregister { key, origin } => self.deregister(&key, origin),
            Change::RegisterCheck(check) => self.register_check(*check),
            Change::DeregisterCheck { key, origin } => match self.checks.get(&key) {
                None => Err(ChangeError::UnknownCheck(key)),
                Some(check) if check.origin != origin => Err(owned(check.origin)),
                Some(_) => {
                    self.checks.remove(&key);
                    Ok(())
                }
            },
            Change::SetStatus { key, result } => {
                let check = self.checks.get_mut(&key).ok_or(ChangeError::UnknownCheck(key))?;
                if !check.is_maintenance() {
                    (check.status, check.output) = (result.status, result.output);
                }
                Ok(())
            }
            Change::InstanceMaintenance { key, reason } => self.maintenance(&key, reason),
            Change::ReplaceOrigin { node, origin, registrations } => self.replace_origin(&node, origin, registrations),
        }
    }

    fn deregister_node(&mut self, name: &NodeName, origin: Origin) -> Result<(), ChangeError> {
        let Some(node) = self.nodes.get(name) else { return Err(ChangeError::UnknownNode(name.clone())) };
        let here = self.instances.values().filter(|one| one.instance.node == *name);
        let of_instances = here.flat_map(|one| one.aside.keys().copied().chain([one.instance.origin]));
        let of_checks = self.checks.values().filter(|check| check.node == *name).map(|check| check.origin);
        if let Some(owner) = of_instances.chain(of_checks).chain([node.origin]).find(|owner| *owner != origin) {
            return Err(owned(owner));
        }
        self.nodes.remove(name);
        self.instances.retain(|key, _| key.node != *name);
        self.checks.retain(|key, _| key.node != *name);
        Ok(())
    }

    fn of_instance(&self, key: &InstanceKey) -> impl Iterator<Item = &Check> {
        let of = |check: &&Check| check.node == key.node && check.service_id.as_ref() == Some(&key.id);
        self.checks.values().filter(of)
    }

    fn free(&self, node: &NodeName, id: &CheckId, service_id: Option<&ServiceId>) -> Result<(), ChangeError> {
        let key = CheckKey { node: node.clone(), id: id.clone() };
        match self.checks.get(&key) {
            Some(check) if check.service_id.as_ref() != service_id => Err(ChangeError::CheckElsewhere(key)),
            _ => Ok(()),
        }
    }

    fn put_check(&mut self, check: Check) {
        self.put_check_with(check, Results::Kept);
    }

    fn put_check_with(&mut self, mut check: Check, results: Results) {
        if let Some(before) = self.checks.get(&check.key()).filter(|_| results == Results::Kept) {
            keep_result(&mut check, before);
        }
        self.checks.insert(check.key(), check);
    }

    fn register(&mut self, registration: Registration, results: Results) -> Result<(), ChangeError> {
        let Registration { instance, checks, replace_existing_checks } = registration;
        let (key, origin) = (instance.key(), instance.origin);
        if !self.nodes.contains_key(&key.node) {
            return Err(ChangeError::UnknownNode(key.node));
        }
        let mut first: BTreeMap<CheckId, Check> = BTreeMap::new();
        let wins = self.instances.get(&key).is_none_or(|old| old.instance.origin >= origin);
        for check in checks {
            if wins || results == Results::Kept {
                self.free(&key.node, &check.id, Some(&key.id))?;
            }
            first.entry(check.id.clone()).or_insert(check);
        }
        let mut aside = BTreeMap::new();
        if let Some(old) = self.instances.get(&key) {
            aside = old.aside.clone();
            let winner = old.instance.origin;
            let own = |check: &Check| check.origin == winner && !check.is_maintenance();
            let owned: Vec<Check> = self.of_instance(&key).filter(|check| own(check)).cloned().collect();
            if winner < origin {
                return self.put_aside(&key, instance, (first.into_values().collect(), results));
            }
            if winner > origin {
                aside.insert(winner, (old.instance.clone(), owned.clone()));
            }
            let replaced = |check: &Check| {
                let own = check.origin == origin && !check.is_maintenance();
                let goes = match results {
                    Results::Kept => replace_existing_checks && own,
                    Results::Given => check.origin == origin,
                };
                goes && !first.contains_key(&check.id)
            };
            let goes = |check: &&Check| (winner > origin && own(check)) || replaced(check);
            let gone: Vec<Check> = self.of_instance(&key).filter(goes).cloned().collect();
            for check in first.into_values() {
                let explicit = self.checks.get(&check.key()).is_some_and(|before| before.origin < origin);
                if !explicit {
                    self.put_check_with(check, results);
                }
            }
            for check in gone {
                if self.checks.get(&check.key()).is_some_and(|now| now.origin == check.origin) {
                    self.checks.remove(&check.key());
                }
            }
        } else {
            first.into_values().for_each(|check| self.put_check(check));
        }
        self.instances.insert(key, Registered { instance, aside });
        Ok(())
    }

    fn put_aside(
        &mut self,
        key: &InstanceKey,
        instance: Instance,
        (mut checks, results): (Vec<Check>, Results),
    ) -> Result<(), ChangeError> {
        let aside = &mut self.instances.get_mut(key).expect("it has a winner").aside;
        if let Some((_, kept)) = aside.get(&instance.origin).filter(|_| results == Results::Kept) {
            for check in &mut checks {
                if let Some(kept) = kept.iter().find(|kept| kept.id == check.id) {
                    keep_result(check, kept);
                }
            }
        }
        aside.insert(instance.origin, (instance, checks));
        Ok(())
    }

    fn deregister(&mut self, key: &InstanceKey, origin: Origin) -> Result<(), ChangeError> {
        let Some(old) = self.instances.get_mut(key) else { return Err(ChangeError::UnknownInstance(key.clone())) };
        if old.instance.origin != origin {
            return old.aside.remove(&origin).map(|_| ()).ok_or(owned(old.instance.origin));
        }
        let all = old.aside.len();
        let successor = old.aside.pop_first();
        let mut aside = std::mem::take(&mut old.aside);
        let gone = |check: &&Check| all == 0 || check.origin == origin;
        let gone: Vec<CheckKey> = self.of_instance(key).filter(gone).map(Check::key).collect();
        gone.iter().for_each(|key| drop(self.checks.remove(key)));
        self.instances.remove(key);
        if let Some((_, (instance, checks))) = successor {
            for check in checks {
                let free = self.free(&key.node, &check.id, Some(&key.id)).is_ok();
                let explicit = self.checks.get(&check.key()).is_some_and(|before| before.origin < check.origin);
                if free && !explicit {
                    self.put_check(check);
                }
            }
            aside.remove(&instance.origin);
            self.instances.insert(key.clone(), Registered { instance, aside });
        }
        Ok(())
    }

    fn register_check(&mut self, check: Check) -> Result<(), ChangeError> {
        if !self.nodes.contains_key(&check.node) {
            return Err(ChangeError::UnknownNode(check.node));
        }
        self.free(&check.node, &check.id, check.service_id.as_ref())?;
        if let Some(before) = self.checks.get(&check.key()).filter(|before| before.origin != check.origin) {
            return Err(owned(before.origin));
        }
        if let Some(id) = check.service_id.clone() {
            let key = InstanceKey { node: check.node.clone(), id };
            if !self.instances.contains_key(&key) {
                return Err(ChangeError::UnknownInstance(key));
            }
        }
        self.put_check(check);
        Ok(())
    }

    fn maintenance(&mut self, key: &InstanceKey, reason: Option<Arc<str>>) -> Result<(), ChangeError> {
        if !self.instances.contains_key(key) {
            return Err(ChangeError::UnknownInstance(key.clone()));
        }
        let check = Check::maintenance(key, reason.clone().unwrap_or_default());
        self.free(&key.node, &check.id, Some(&key.id))?;
        match reason {
            Some(_) => self.put_check(check),
            None => drop(self.checks.remove(&check.key())),
        }
        Ok(())
    }

    fn replace_origin(
        &mut self,
        node: &NodeName,
        origin: Origin,
        registrations: Vec<Registration>,
    ) -> Result<(), ChangeError> {
        if !self.nodes.contains_key(node) {
            return Err(ChangeError::UnknownNode(node.clone()));
        }
        let wanted: BTreeMap<_, _> = registrations.into_iter().map(|one| (one.instance.key(), one)).collect();
        let has = |one: &Registered| one.instance.origin == origin || one.aside.contains_key(&origin);
        let here = self.instances.iter().filter(|(key, one)| key.node == *node && has(one));
        let mut here: Vec<InstanceKey> = here.map(|(key, _)| key.clone()).collect();
        here.sort_by_key(|key| !self.instances[key].aside.is_empty());
        for key in &here {
            let listed = match wanted.get(key) {
                Some(one) if !one.replace_existing_checks => continue,
                Some(one) => one.checks.iter().map(|check| check.id.clone()).collect(),
                None => Vec::new(),
            };
            let ours = self.instances[key].instance.origin == origin;
            let goes = |check: &&Check| {
                ours && check.origin == origin && !check.is_maintenance() && !listed.contains(&check.id)
            };
            let gone: Vec<CheckKey> = self.of_instance(key).filter(goes).map(Check::key).collect();
            gone.iter().for_each(|key| drop(self.checks.remove(key)));
        }
        here.iter().filter(|key| !wanted.contains_key(key)).try_for_each(|key| self.deregister(key, origin))?;
        wanted.into_values().try_for_each(|one| self.register(one, Results::Kept))
    }
}

/// Which result a check has that is there already.
#[derive(Clone, Copy, PartialEq)]
enum Results {
    Kept,
    Given,
}

/// A check keeps the result of the one before it, unless it is maintenance.
fn keep_result(check: &mut Check, before: &Check) {
    if !check.is_maintenance() {
        (check.status, check.output) = (before.status, before.output_for(&check.target));
    }
}

fn owned(owner: Origin) -> ChangeError {
    ChangeError::OwnedBy { what: String::new(), owner }
}
