//! Several operations as one, whatever they are about: all take effect, or none does.

use std::time::Duration;

use crate::{
    catalog::{self, state::State, transaction::Transacted},
    kv::{self, At, change::Touched, store::Store},
    observe::metrics::Metrics,
};

/// One operation.
#[derive(Debug, Clone)]
pub enum Operation {
    /// On a node, an instance or a check.
    Catalog(catalog::transaction::Operation),
    /// On keys.
    Key(kv::operation::Operation),
}

/// What there is after an operation.
#[derive(Debug, Clone)]
pub enum Found {
    /// A node, an instance or a check.
    Catalog(catalog::transaction::Found),
    /// A key.
    Key(kv::operation::Found),
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
    /// On a node, an instance or a check.
    #[error(transparent)]
    Catalog(#[from] catalog::transaction::OperationProblem),
    /// On keys.
    #[error(transparent)]
    Key(#[from] kv::operation::Problem),
}

/// What operations did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the changes of the catalog touched, in order.
    pub effects: Vec<catalog::apply::Effects>,
    /// What was touched of the store, in order.
    pub touched: Vec<Touched>,
    /// What was read and set, in order; what was taken away is left out.
    pub found: Vec<Found>,
}

impl From<catalog::transaction::Operation> for Operation {
    fn from(operation: catalog::transaction::Operation) -> Operation {
        Operation::Catalog(operation)
    }
}

impl From<kv::operation::Operation> for Operation {
    fn from(operation: kv::operation::Operation) -> Operation {
        Operation::Key(operation)
    }
}

impl Operation {
    /// What it does with keys, in a word; none if it is about something else.
    pub fn key_verb(&self) -> Option<&'static str> {
        match self {
            Operation::Catalog(_) => None,
            Operation::Key(operation) => Some(operation.verb.as_str()),
        }
    }

    /// Whether it only reads.
    pub fn is_read(&self) -> bool {
        match self {
            Operation::Catalog(operation) => operation.is_read(),
            Operation::Key(operation) => operation.verb.is_read(),
        }
    }
}

/// Applies all operations, at this time of a clock that only goes forward, and counts them; or says which failed, and then
/// nothing has changed.
pub fn transact(
    state: (&mut State, &mut Store),
    operations: Vec<Operation>,
    (now, metrics): (Duration, &Metrics),
) -> Result<Outcome, Vec<OperationError>> {
    let verbs: Vec<&'static str> = operations.iter().filter_map(Operation::key_verb).collect();
    let outcome = all_or_none(state, operations, now);
    for verb in verbs {
        metrics.kv_operation(verb, outcome.as_ref().map(|_| ()).map_err(|_| ()));
    }
    outcome
}

fn all_or_none(
    (catalog, store): (&mut State, &mut Store),
    operations: Vec<Operation>,
    now: Duration,
) -> Result<Outcome, Vec<OperationError>> {
    let kept = (catalog.clone(), store.clone());
    let mut outcome = Outcome::default();
    let mut errors = Vec::new();
    for (at, operation) in operations.into_iter().enumerate() {
        if let Err(problem) = operate((catalog, store), operation, (now, &mut outcome)) {
            errors.push(OperationError { at, problem });
        }
    }
    if errors.is_empty() {
        return Ok(outcome);
    }
    (*catalog, *store) = kept;
    Err(errors)
}

fn operate(
    (catalog, store): (&mut State, &mut Store),
    operation: Operation,
    (now, outcome): (Duration, &mut Outcome),
) -> Result<(), OperationProblem> {
    match operation {
        Operation::Catalog(operation) => {
            let mut done = Transacted::default();
            catalog.operate(operation, &mut done)?;
            outcome.effects.extend(done.effects);
            outcome.found.extend(done.found.into_iter().map(Found::Catalog));
        }
        Operation::Key(operation) => {
            let done = store.operate(operation, At { index: catalog.index() + 1, now })?;
            if !done.touched.is_empty() {
                catalog.advance();
            }
            outcome.touched.extend(done.touched);
            outcome.found.extend(done.found.into_iter().map(Found::Key));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
