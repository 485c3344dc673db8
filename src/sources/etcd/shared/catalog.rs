//! Writes what clients register for nodes that are no machine's.

use super::Shared;
use crate::{
    catalog::transaction::{Action, Found as InCatalog, Operation, Subject},
    publish::{
        feed::{Receipt, SubmitError},
        snapshot::Snapshot,
        transaction::Found,
    },
    sources::etcd::plan::{Plan, catalog::Known},
};

impl Shared {
    /// Does operations on the catalog, as one.
    pub(super) async fn register(&self, operations: Vec<Operation>) -> Result<Receipt, SubmitError> {
        let set: Vec<Option<Subject>> = operations.iter().filter_map(found_by).collect();
        let plan = |known: &Snapshot, revision| {
            let known = Known {
                layout: &self.layout,
                catalog: &known.catalog,
                revision,
                machines: &known.machines,
                datacenter: &self.settings.datacenter,
            };
            Ok(Plan::catalog(known, operations.clone())?)
        };
        let (_, found) = self.made(plan).await?;
        Ok(self.told(&set, found))
    }

    /// What was found and set, the latter with the indexes that it has here, where it is published by now.
    fn told(&self, set: &[Option<Subject>], found: Vec<InCatalog>) -> Receipt {
        let snapshot = self.published.load();
        let newest = |(at, planned): (usize, InCatalog)| {
            let subject = set.get(at).and_then(Option::as_ref);
            subject.and_then(|subject| snapshot.catalog.find(subject)).unwrap_or(planned)
        };
        let found = found.into_iter().enumerate().map(newest).map(Found::Catalog).collect();
        Receipt { index: snapshot.index(), found }
    }
}

/// Of an operation that finds something: what it sets, if it sets it.
fn found_by(operation: &Operation) -> Option<Option<Subject>> {
    match &operation.action {
        Action::Get => Some(None),
        Action::Set { .. } => Some(Some(operation.subject.clone())),
        Action::Delete { .. } => None,
    }
}
