//! What the documents of one node make of it.

use std::collections::BTreeMap;

use super::{Aside, Complaint, Followed, instance};
use crate::{
    catalog::{
        change::{Change, ChangeError, Origin, Registration},
        check::{Check, CheckKey, CheckResult},
        names::{NodeName, ServiceId},
        service::InstanceKey,
        state::{InstanceEntry, State},
    },
    sources::etcd::{
        document::NodeRegistration,
        layout::{Layout, Place},
    },
};

/// What is new of a node: what was written, or none where it was deleted.
#[derive(Debug, Default)]
pub(super) struct Updates {
    pub(super) node: Option<Option<NodeRegistration>>,
    pub(super) instances: BTreeMap<ServiceId, Option<Registration>>,
}

/// One node while it is made to follow.
pub(super) struct Settling<'a> {
    /// The catalog as the changes make it.
    scratch: &'a mut State,
    layout: &'a Layout,
    name: &'a NodeName,
    aside: Aside,
    followed: &'a mut Followed,
    /// Instances that are still to be put in, by ID, because of several with one check the lowest has it.
    todo: BTreeMap<ServiceId, Document>,
}

/// A document of an instance.
struct Document {
    registration: Registration,
    is_new: bool,
}

impl<'a> Settling<'a> {
    pub(super) fn new(
        (scratch, layout): (&'a mut State, &'a Layout),
        name: &'a NodeName,
        aside: Aside,
        followed: &'a mut Followed,
    ) -> Settling<'a> {
        Settling { scratch, layout, name, aside, followed, todo: BTreeMap::new() }
    }

    /// Makes the node follow; returns what waits.
    pub(super) fn settle(mut self, updates: Updates) -> Aside {
        // First, because with the node goes all that is on it, as one change.
        if let Some(None) = updates.node {
            self.delete_node(&updates.instances);
        }
        for (id, update) in updates.instances {
            self.aside.instances.remove(&id);
            match update {
                Some(registration) => drop(self.todo.insert(id, Document { registration, is_new: true })),
                None => self.deregister(&id),
            }
        }
        match updates.node {
            Some(Some(node)) => self.put_node(node, true),
            Some(None) => {}
            None => self.retry_node(),
        }
        if self.scratch.node(self.name).is_none() {
            let waiting = self.todo.into_iter().map(|(id, document)| (id, document.registration));
            self.aside.instances.extend(waiting);
            return self.aside;
        }
        for _ in 0..ROUNDS_MAX {
            let before = self.followed.changes.len();
            self.put_instances();
            // What was done may have made room for what waits: where somebody else's instance gave its checks up.
            if self.aside.is_empty() || self.followed.changes.len() == before {
                break;
            }
            self.retry_node();
        }
        self.aside
    }

    fn retry_node(&mut self) {
        if let Some(node) = self.aside.node.take() {
            self.put_node(node, false);
        }
    }

    /// Puts in what is to be, and what waits.
    fn put_instances(&mut self) {
        for (id, registration) in std::mem::take(&mut self.aside.instances) {
            self.todo.entry(id).or_insert(Document { registration, is_new: false });
        }
        while let Some((id, document)) = self.todo.pop_first() {
            self.put_instance(id, document);
        }
    }

    fn put_node(&mut self, registration: NodeRegistration, is_new: bool) {
        let known = self.scratch.node(self.name).cloned();
        // What is registered here stays.
        let mut is_whole = known.as_ref().is_none_or(|known| known.node.origin >= Origin::Cluster);
        if is_whole {
            self.must(Change::RegisterNode(registration.node.clone()));
        }
        let gone = known.iter().flat_map(|known| known.checks.iter()).map(|entry| &entry.check).filter(|check| {
            let listed = registration.checks.binary_search_by(|other| other.id.cmp(&check.id)).is_ok();
            check.origin == Origin::Cluster && !listed
        });
        for check in gone {
            self.must(Change::DeregisterCheck { key: check.key(), origin: Origin::Cluster });
        }
        for check in &registration.checks {
            is_whole &= self.put_node_check(check, is_new);
        }
        self.aside.node = (!is_whole).then_some(registration);
    }

    /// Puts a check of the node in. Returns whether that was possible.
    fn put_node_check(&mut self, check: &Check, is_new: bool) -> bool {
        let key = check.key();
        let result = CheckResult { status: check.status, output: check.output.clone() };
        if let Some((_, Some(home))) = self.scratch.check_and_home(&key) {
            let home = InstanceEntry::clone(home);
            if !self.take_check(&home, &key) {
                self.complain_of_check(is_new.then(|| Place::Node(self.name.clone())), &key);
                return false;
            }
        }
        match self.scratch.apply(Change::RegisterCheck(Box::new(check.clone()))) {
            Ok(effects) => {
                if !effects.is_empty() {
                    self.followed.changes.push(Change::RegisterCheck(Box::new(check.clone())));
                }
                self.must(Change::SetStatus { key, result });
                true
            }
            // It was registered here.
            Err(_) => false,
        }
    }

    /// Takes the node away with what is told of it; what else is told of its instances waits, but for these that are new.
    fn delete_node(&mut self, updates: &BTreeMap<ServiceId, Option<Registration>>) {
        self.aside.node = None;
        let Some(known) = self.scratch.node(self.name).cloned() else { return };
        // What is kept aside is whole.
        let waits = |id: &ServiceId| !updates.contains_key(id) && !self.aside.instances.contains_key(id);
        let keys = self.scratch.of_origin(self.name, Origin::Cluster).into_iter().filter(|key| waits(&key.id));
        let waiting: Vec<_> =
            keys.filter_map(|key| Some((key.id.clone(), told(self.scratch.instance(&key)?)?))).collect();
        let change = Change::DeregisterNode { name: self.name.clone(), origin: Origin::Cluster };
        if self.tries(change).is_ok() {
            self.aside.instances.extend(waiting);
            return;
        }
        // There is something of others on it: only what is told of the node itself goes.
        for check in known.checks.iter().filter(|entry| entry.check.origin == Origin::Cluster) {
            self.must(Change::DeregisterCheck { key: check.check.key(), origin: Origin::Cluster });
        }
    }

    fn deregister(&mut self, id: &ServiceId) {
        let key = InstanceKey { node: self.name.clone(), id: id.clone() };
        let is_told = self.scratch.instance(&key).is_some_and(|entry| told(entry).is_some());
        if is_told {
            self.must(Change::Deregister { key, origin: Origin::Cluster });
        }
    }

    fn put_instance(&mut self, id: ServiceId, document: Document) {
        let Document { registration, is_new } = document;
        let mut tried = registration.clone();
        let mut is_whole = true;
        while let Err(error) = self.tries(Change::Mirror(Box::new(tried.clone()))) {
            let ChangeError::CheckElsewhere(key) = error else {
                debug_assert!(false, "an instance on a known node is refused: {error}");
                break;
            };
            let home =
                self.scratch.check_and_home(&key).and_then(|(_, home)| home).map(|home| InstanceEntry::clone(home));
            let taken = home.is_some_and(|home| home.instance.id > id && self.take_check(&home, &key));
            if !taken {
                tried.checks.retain(|check| check.id != key.id);
                self.complain_of_check(is_new.then(|| instance(self.name, &id)), &key);
                is_whole = false;
            }
        }
        if !is_whole {
            self.aside.instances.insert(id, registration);
        }
    }

    /// Takes a check away from an instance that has it by another document, which is then looked at again. Returns whether that
    /// is so.
    fn take_check(&mut self, home: &InstanceEntry, key: &CheckKey) -> bool {
        let is_told = home.checks.iter().any(|entry| entry.check.id == key.id && entry.check.origin == Origin::Cluster);
        let Some(registration) = told(home).filter(|_| is_told && home.instance.origin == Origin::Cluster) else {
            return false;
        };
        let mut without = registration.clone();
        without.checks.retain(|check| check.id != key.id);
        self.must(Change::Mirror(Box::new(without)));
        let whole = self.aside.instances.remove(&home.instance.id).unwrap_or(registration);
        self.todo.entry(home.instance.id.clone()).or_insert(Document { registration: whole, is_new: false });
        true
    }

    /// Says once that a document is there without one of its checks.
    fn complain_of_check(&mut self, place: Option<Place>, key: &CheckKey) {
        let Some(place) = place else { return };
        let problem = format!("check ID {:?} is another's on this node; all but that check is taken", key.id.as_str());
        self.followed.complaints.push(Complaint { key: self.layout.key(&place), problem });
    }

    /// Does something that nothing stands against.
    fn must(&mut self, change: Change) {
        let done = self.tries(change);
        debug_assert!(done.is_ok(), "{done:?}");
    }

    /// Keeps a change if it does something.
    fn tries(&mut self, change: Change) -> Result<(), ChangeError> {
        let effects = self.scratch.apply(change.clone())?;
        if !effects.is_empty() {
            self.followed.changes.push(change);
        }
        Ok(())
    }
}

/// What another machine told of an instance, be it kept aside in the catalog.
pub(in super::super) fn told(entry: &InstanceEntry) -> Option<Registration> {
    if entry.instance.origin == Origin::Cluster {
        let checks = entry.checks.iter().map(|entry| &entry.check).filter(|check| check.origin == Origin::Cluster);
        let checks = checks.map(|check| Check::clone(check)).collect();
        return Some(Registration { instance: (*entry.instance).clone(), checks, replace_existing_checks: true });
    }
    let aside = entry.shadowed.iter().find(|aside| aside.instance.origin == Origin::Cluster)?;
    Some(Registration::clone(aside))
}

/// How often what waits is looked at again. Source: none, chosen: a check that makes room for another is rare, and a row of them
/// is looked at with the next change of the node.
const ROUNDS_MAX: usize = 4;
