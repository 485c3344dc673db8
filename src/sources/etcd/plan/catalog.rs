//! What a change of nodes that are no machine's asks of etcd: a transaction, planned on what this machine knows of them.
//!
//! The operations are done on a copy of the catalog as if etcd told of them, so that what they mean is said in one place
//! (`catalog::transaction`). What they name is compared: the transaction is made only if etcd has it as this machine knew it, and
//! then it is true of etcd, too, why they were refused.
//!
//! | what an operation names | compares |
//! |---|---|
//! | a node, or an instance, that is known | it is there, and has not changed since what this machine followed |
//! | one that is not | it is not there |
//! | the node of what it names | it is there |
//! | a node that goes with all that is on it | also: nothing came to it or changed on it |
//! | a check that is not known, or comes to another instance | also: nothing came to its node or changed on it, which might have the check's ID; who has it has it still |
//!
//! **Limits:** a document is written anew with all that is known of it: fields that this version does not know are gone then, and
//! so is a check that waits because another has its ID.

use std::collections::BTreeSet;

use super::{OPERATIONS_MAX, Plan, PlanError, Write, signed};
use crate::{
    catalog::{
        change::{Change, ChangeError, Origin, Registration},
        check::Check,
        names::NodeName,
        service::InstanceKey,
        spanning::SpanningNetworks,
        state::{NodeEntry, State},
        transaction::{Action, Found, Operation, OperationProblem, Subject, Transacted},
    },
    publish::{
        machines::Machine,
        transaction::{self, OperationError},
    },
    sources::etcd::{
        client::{Compare, Is, With},
        document::{Outputs, write_instance, write_node},
        layout::{Layout, Place},
        mirror::told,
    },
};

/// What is known here.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The keys.
    pub layout: &'a Layout,
    /// The catalog.
    pub catalog: &'a State,
    /// Up to which revision it has what etcd has.
    pub revision: u64,
    /// The other machines, whose nodes are theirs, by name.
    pub machines: &'a [Machine],
    /// The datacenter that documents of nodes name.
    pub datacenter: &'a str,
}

impl Plan {
    /// Plans operations on nodes that are no machine's, and tells what they find and set, as far as this machine can tell.
    pub fn catalog(known: Known<'_>, operations: Vec<Operation>) -> Result<(Plan, Vec<Found>), PlanError> {
        let mut footprint = Footprint::default();
        for operation in operations.iter().filter(|operation| !operation.is_read()) {
            footprint.add(known.catalog, operation);
        }
        let mut after = known.catalog.clone();
        let done = done(&mut after, operations, known.machines);
        let going = Going { nodes: &footprint.nodes, before: known.catalog, after: &after };
        let writes = match &done {
            Ok(_) => footprint.writes(known, going)?,
            Err(_) => Vec::new(),
        };
        let compares = footprint.compares(known, going);
        let (outcome, found) = match done {
            Ok(found) => (Ok(Vec::new()), found),
            Err(errors) => (Err(errors), Vec::new()),
        };
        Ok((Plan { outcome, ..Plan::of(compares, writes) }.within()?, found))
    }

    /// Plans that nodes, and what is on them, are in etcd, where nothing lies at their keys.
    pub fn node_copies(layout: &Layout, documents: Vec<(Place, Vec<u8>)>) -> Vec<Plan> {
        let mut plans: Vec<Plan> = Vec::new();
        for (place, document) in documents {
            let key = layout.key(&place);
            let compare = Compare::absent(key.clone().into_bytes());
            let writes = vec![Write::Put(key, document)];
            if plans.last().is_none_or(|last| !last.has_room(&writes)) {
                plans.push(Plan::of(Vec::new(), Vec::new()));
            }
            let last = plans.last_mut().expect("one was pushed");
            last.compares.push(compare);
            last.writes.extend(writes);
        }
        plans
    }

    /// Plans that nodes are not in etcd, nor anything on them.
    pub fn node_deletions(layout: &Layout, nodes: &[NodeName]) -> Vec<Plan> {
        let deletion = |name: &NodeName| {
            [Write::Delete(layout.key(&Place::Node(name.clone()))), Write::DeletePrefix(layout.instances_of(name))]
        };
        let some = |nodes: &[NodeName]| Plan::of(Vec::new(), nodes.iter().flat_map(deletion).collect());
        nodes.chunks(OPERATIONS_MAX / 2).map(some).collect()
    }
}

/// All that operations look at.
#[derive(Debug, Default)]
struct Footprint {
    /// Nodes that may be changed.
    nodes: BTreeSet<NodeName>,
    /// Instances that may be, or that have a check's ID.
    instances: BTreeSet<InstanceKey>,
    /// Nodes on which checks are not known that are to come to them, or are named.
    claimed: BTreeSet<NodeName>,
}

/// Which of these nodes go, with all that is on them.
#[derive(Clone, Copy)]
struct Going<'a> {
    nodes: &'a BTreeSet<NodeName>,
    before: &'a State,
    after: &'a State,
}

impl Going<'_> {
    fn has(self, name: &NodeName) -> bool {
        self.nodes.contains(name) && told_node(self.before, name).is_some() && told_node(self.after, name).is_none()
    }
}

impl Footprint {
    fn add(&mut self, catalog: &State, operation: &Operation) {
        match &operation.subject {
            Subject::Node(name) => self.add_node(name),
            Subject::Instance(key) => self.add_instance(key.clone()),
            Subject::Check(key) => match catalog.check_and_home(key) {
                Some((_, Some(home))) => self.add_instance(home.instance.key()),
                Some((_, None)) => self.add_node(&key.node),
                None => _ = self.claimed.insert(key.node.clone()),
            },
        }
        for change in operation.action.changes() {
            match change {
                Change::RegisterNode(node) => self.add_node(&node.name),
                Change::DeregisterNode { name, .. } => {
                    let here = catalog.node(name).into_iter().flat_map(|node| node.instances());
                    self.instances.extend(here.map(|instance| instance.key()));
                }
                Change::Register(registration) => {
                    self.add_instance(registration.instance.key());
                    registration.checks.iter().for_each(|check| self.add_check(catalog, check));
                }
                Change::RegisterCheck(check) => {
                    match &check.service_id {
                        Some(id) => self.add_instance(InstanceKey { node: check.node.clone(), id: id.clone() }),
                        None => self.add_node(&check.node),
                    }
                    self.add_check(catalog, check);
                }
                // Of these the operation's subject says all.
                _ => {}
            }
        }
    }

    /// A check that is to be there, and who has its ID, if somebody else has.
    fn add_check(&mut self, catalog: &State, check: &Check) {
        let home = match catalog.check_and_home(&check.key()) {
            Some((known, _)) if known.check.service_id == check.service_id => return,
            Some((_, home)) => Some(home.map(|home| home.instance.key())),
            None => None,
        };
        match home {
            Some(Some(instance)) => self.add_instance(instance),
            Some(None) => self.add_node(&check.node),
            None => {}
        }
        self.claimed.insert(check.node.clone());
    }

    fn add_node(&mut self, name: &NodeName) {
        self.nodes.insert(name.clone());
    }

    fn add_instance(&mut self, key: InstanceKey) {
        self.instances.insert(key);
    }

    /// Instances, but for those that go with their nodes.
    fn instances<'a>(&'a self, going: Going<'a>) -> impl Iterator<Item = &'a InstanceKey> {
        self.instances.iter().filter(move |key| !going.has(&key.node))
    }

    /// What brings about what the operations did.
    fn writes(&self, known: Known<'_>, going: Going<'_>) -> Result<Vec<Write>, PlanError> {
        let layout = known.layout;
        let mut writes = Vec::new();
        for name in &self.nodes {
            let key = layout.key(&Place::Node(name.clone()));
            match (told_node(going.before, name), told_node(going.after, name)) {
                (Some(_), None) => {
                    writes.extend([Write::Delete(key), Write::DeletePrefix(layout.instances_of(name))]);
                }
                (was, Some(is)) if was.is_none_or(|was| !is_same(was, is)) => {
                    let told = (known.datacenter, None);
                    let document = write_node(&is.node, told_checks(is), told, Outputs::Whole)?;
                    writes.push(put(was.is_some(), key, document));
                }
                _ => {}
            }
        }
        for instance in self.instances(going) {
            let key = layout.key(&Place::Instance(instance.clone()));
            match (told_instance(going.before, instance), told_instance(going.after, instance)) {
                (Some(_), None) => writes.push(Write::Delete(key)),
                (was, Some(is)) if was.as_ref() != Some(&is) => {
                    let document =
                        write_instance(&is.instance, &SpanningNetworks::default(), is.checks.iter(), Outputs::Whole)?;
                    writes.push(put(was.is_some(), key, document));
                }
                _ => {}
            }
        }
        Ok(writes)
    }

    /// That etcd has all of it as this machine does.
    fn compares(&self, known: Known<'_>, going: Going<'_>) -> Vec<Compare> {
        let before = known.catalog;
        let mut compares = Vec::new();
        for name in &self.nodes {
            let place = Place::Node(name.clone());
            compares.extend(as_known(known, &place, told_node(before, name).is_some()));
            if going.has(name) && !self.claimed.contains(name) {
                compares.push(none_newer_on(known, name));
            }
        }
        compares.extend(self.claimed.iter().map(|name| none_newer_on(known, name)));
        let mut on: BTreeSet<&NodeName> = self.claimed.iter().collect();
        for instance in self.instances(going) {
            let place = Place::Instance(instance.clone());
            compares.extend(as_known(known, &place, told_instance(before, instance).is_some()));
            on.insert(&instance.node);
        }
        for name in on.into_iter().filter(|name| !self.nodes.contains(*name)) {
            let place = Place::Node(name.clone());
            let is_there = told_node(before, name).is_some();
            let compare = as_known(known, &place, is_there);
            // That it is there comes first; its own checks matter to who claims an ID.
            let wanted = if self.claimed.contains(name) { compare.len() } else { 1 };
            compares.extend(compare.into_iter().take(wanted));
        }
        compares
    }
}

/// Writes a document. What is there keeps its lease: another program's goes with that program, whoever checks it.
fn put(is_there: bool, key: String, document: Vec<u8>) -> Write {
    if is_there { Write::Replace(key, document) } else { Write::Put(key, document) }
}

/// That something is as it was.
fn as_known(known: Known<'_>, place: &Place, is_there: bool) -> Vec<Compare> {
    let key = known.layout.key(place).into_bytes();
    if !is_there {
        return vec![Compare::absent(key)];
    }
    let newer = With::ModRevision(signed(known.revision).saturating_add(1));
    vec![Compare::present(key.clone()), Compare::one(key, Is::Less, newer)]
}

/// That nothing came to a node or changed on it.
fn none_newer_on(known: Known<'_>, name: &NodeName) -> Compare {
    Compare::none_after(known.layout.instances_of(name).as_bytes(), signed(known.revision))
}

/// Does all operations on a copy of the catalog, as if etcd told of them; or says which cannot be done.
fn done(
    catalog: &mut State,
    operations: Vec<Operation>,
    machines: &[Machine],
) -> Result<Vec<Found>, Vec<OperationError>> {
    let (mut done, mut errors) = (Transacted::default(), Vec::new());
    for (at, operation) in operations.into_iter().enumerate() {
        if let Err(problem) = operate(catalog, operation, (machines, &mut done)) {
            errors.push(OperationError { at, problem: transaction::OperationProblem::Catalog(problem) });
        }
    }
    if errors.is_empty() { Ok(done.found) } else { Err(errors) }
}

fn operate(
    catalog: &mut State,
    operation: Operation,
    (machines, done): (&[Machine], &mut Transacted),
) -> Result<(), OperationProblem> {
    let is_machine = |node: &&NodeName| machines.binary_search_by(|machine| machine.node.cmp(node)).is_ok();
    if let Some(node) = operation.action.changes().iter().map(Change::node).find(is_machine) {
        return Err(ChangeError::OfMachine(node.clone()).into());
    }
    let Operation { subject, action } = operation;
    let told = |change: Change| change.by(Origin::Cluster);
    let mut set = BTreeSet::new();
    let action = match action {
        Action::Get => Action::Get,
        Action::Set { changes, expected } => {
            set.extend(changes.iter().map(|change| change.node().clone()));
            Action::Set { changes: changes.into_iter().map(told).collect(), expected }
        }
        Action::Delete { change, expected } => Action::Delete { change: told(change), expected },
    };
    catalog.operate(Operation { subject, action }, done)?;
    // What is on a node that etcd does not have would wait on all other machines.
    let elsewhere = set.iter().filter_map(|name| catalog.node(name)).find(|entry| entry.node.origin != Origin::Cluster);
    elsewhere.map_or(Ok(()), |entry| {
        let what = format!("node {:?}", entry.node.name.as_str());
        Err(ChangeError::OwnedBy { what, owner: entry.node.origin }.into())
    })
}

/// A node as etcd tells of it.
fn told_node<'a>(catalog: &'a State, name: &NodeName) -> Option<&'a NodeEntry> {
    catalog.node(name).map(|entry| &**entry).filter(|entry| entry.node.origin == Origin::Cluster)
}

fn told_checks(node: &NodeEntry) -> impl Iterator<Item = &Check> + Clone {
    node.checks.iter().map(|entry| &*entry.check).filter(|check| check.origin == Origin::Cluster)
}

fn told_instance(catalog: &State, key: &InstanceKey) -> Option<Registration> {
    catalog.instance(key).and_then(|entry| told(entry))
}

fn is_same(was: &NodeEntry, is: &NodeEntry) -> bool {
    was.node == is.node && told_checks(was).eq(told_checks(is))
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
