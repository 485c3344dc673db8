//! Several operations as one: all take effect, or none does.
//!
//! An operation is about one node, instance or check: it reads it, sets it, or takes it away; the last two also only if
//! it is still as somebody saw it (compare and set, by the index of its last change). Each sees what those before it
//! did.
//!
//! **Source:** the node, service and check operations of Consul's `PUT /v1/txn`, whose texts the errors are.

use std::sync::Arc;

use super::{
    apply::Effects,
    change::{Change, ChangeError},
    check::CheckKey,
    names::NodeName,
    node::Node,
    service::{Instance, InstanceKey},
    state::{CheckEntry, InstanceEntry, State},
};

/// What an operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A node.
    Node(NodeName),
    /// An instance.
    Instance(InstanceKey),
    /// A check.
    Check(CheckKey),
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// What it is about.
    pub subject: Subject,
    /// What is done with it.
    pub action: Action,
}

/// What an operation does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Reads; fails if there is no such thing.
    Get,
    /// Makes these changes, of the subject alone.
    Set {
        /// What brings it about.
        changes: Vec<Change>,
        /// The modify index that the subject must have; 0: it must not be there. None: whatever is there.
        expected: Option<u64>,
    },
    /// Takes the subject away, if it is there.
    Delete {
        /// What brings it about.
        change: Change,
        /// The modify index that the subject must have. None: whatever is there, be it nothing.
        expected: Option<u64>,
    },
}

impl Operation {
    /// One that brings a change about.
    pub fn of(change: Change) -> Operation {
        let subject = match &change {
            Change::RegisterNode(_) | Change::DeregisterNode { .. } | Change::ReplaceOrigin { .. } => {
                Subject::Node(change.node().clone())
            }
            Change::Register(registration) | Change::Mirror(registration) => {
                Subject::Instance(registration.instance.key())
            }
            Change::Deregister { key, .. } | Change::InstanceMaintenance { key, .. } => Subject::Instance(key.clone()),
            Change::RegisterCheck(check) => Subject::Check(check.key()),
            Change::DeregisterCheck { key, .. } | Change::SetStatus { key, .. } => Subject::Check(key.clone()),
        };
        let takes_away = matches!(
            change,
            Change::DeregisterNode { .. } | Change::Deregister { .. } | Change::DeregisterCheck { .. }
        );
        let action = match takes_away {
            true => Action::Delete { change, expected: None },
            false => Action::Set { changes: vec![change], expected: None },
        };
        Operation { subject, action }
    }

    /// Whether it only reads.
    pub fn is_read(&self) -> bool {
        matches!(self.action, Action::Get)
    }
}

impl Action {
    /// The changes that it may make.
    pub fn changes(&self) -> &[Change] {
        match self {
            Action::Get => &[],
            Action::Set { changes, .. } => changes,
            Action::Delete { change, .. } => std::slice::from_ref(change),
        }
    }

    /// The changes that it may make.
    pub fn changes_mut(&mut self) -> &mut [Change] {
        match self {
            Action::Get => &mut [],
            Action::Set { changes, .. } => changes,
            Action::Delete { change, .. } => std::slice::from_mut(change),
        }
    }
}

/// What there is after an operation.
#[derive(Debug, Clone)]
pub enum Found {
    /// A node.
    Node {
        /// The node.
        node: Arc<Node>,
        /// Index of its registration.
        create_index: u64,
        /// Index of its last change.
        modify_index: u64,
    },
    /// An instance.
    Instance(Arc<InstanceEntry>),
    /// A check.
    Check {
        /// The check.
        entry: CheckEntry,
        /// Whose it is; none: the node's.
        instance: Option<Arc<Instance>>,
    },
}

/// What a transaction did.
#[derive(Debug, Default)]
pub struct Transacted {
    /// What the changes touched, in order.
    pub effects: Vec<Effects>,
    /// What was read and set, in order; what was taken away is left out.
    pub found: Vec<Found>,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation {at}: {problem}")]
pub struct OperationError {
    /// Which operation, from 0.
    pub at: usize,
    /// Why.
    pub problem: OperationProblem,
}

/// What is wrong with an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationProblem {
    /// The catalog refused it.
    #[error(transparent)]
    Refused(#[from] ChangeError),
    /// Read, but not there.
    #[error("{0} doesn't exist")]
    Missing(Subject),
    /// To be set only if it is still as it was, and it is not.
    #[error("failed to set {0}, index is stale; read it again, and set it with the ModifyIndex that it has now")]
    SetStale(Subject),
    /// To be taken away only if it is still as it was, and it is not.
    #[error("failed to delete {0}, index is stale; read it again, and delete it with the ModifyIndex that it has now")]
    DeleteStale(Subject),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Subject::Node(name) => write!(f, "node {name:?}"),
            Subject::Instance(key) => write!(f, "service {:?} on node {:?}", key.id, key.node),
            Subject::Check(key) => write!(f, "check {:?} on node {:?}", key.id, key.node),
        }
    }
}

impl State {
    /// Applies all operations; or says which failed, and then nothing has changed.
    pub fn transact(&mut self, operations: Vec<Operation>) -> Result<Transacted, Vec<OperationError>> {
        let kept = self.clone();
        let mut done = Transacted::default();
        let mut errors = Vec::new();
        for (at, operation) in operations.into_iter().enumerate() {
            if let Err(problem) = self.operate(operation, &mut done) {
                errors.push(OperationError { at, problem });
            }
        }
        if errors.is_empty() {
            return Ok(done);
        }
        *self = kept;
        Err(errors)
    }

    /// Applies one operation and adds what it did. One that fails may have changed something already.
    pub fn operate(&mut self, operation: Operation, done: &mut Transacted) -> Result<(), OperationProblem> {
        let Operation { subject, action } = operation;
        let index = || self.find(&subject).map(|found| found.modify_index());
        match action {
            Action::Get => {}
            Action::Set { expected: Some(expected), .. } if index().unwrap_or(0) != expected => {
                return Err(OperationProblem::SetStale(subject));
            }
            Action::Delete { expected: Some(expected), .. } if index() != Some(expected) => {
                return Err(OperationProblem::DeleteStale(subject));
            }
            Action::Set { changes, .. } => {
                for change in changes {
                    done.effects.push(self.apply(change)?);
                }
            }
            Action::Delete { change, .. } => {
                if index().is_some() {
                    done.effects.push(self.apply(change)?);
                }
                return Ok(());
            }
        }
        match self.find(&subject) {
            Some(found) => done.found.push(found),
            None => return Err(OperationProblem::Missing(subject)),
        }
        Ok(())
    }

    /// What there is of this now.
    pub fn find(&self, subject: &Subject) -> Option<Found> {
        match subject {
            Subject::Node(name) => self.node(name).map(|entry| Found::Node {
                node: Arc::clone(&entry.node),
                create_index: entry.create_index,
                modify_index: entry.modify_index,
            }),
            Subject::Instance(key) => self.instance(key).cloned().map(Found::Instance),
            Subject::Check(key) => self.check_and_home(key).map(|(entry, home)| Found::Check {
                entry: entry.clone(),
                instance: home.map(|home| Arc::clone(&home.instance)),
            }),
        }
    }
}

impl Found {
    fn modify_index(&self) -> u64 {
        match self {
            Found::Node { modify_index, .. } => *modify_index,
            Found::Instance(entry) => entry.modify_index,
            Found::Check { entry, .. } => entry.modify_index,
        }
    }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
