//! Writes what this machine found of checks on nodes that are no machine's: each is run by one machine, which tells all.
//!
//! Results of one document go together, in one transaction that is planned as a client's would be, and one at a time, so that no
//! older one comes after a newer. While etcd is away the newest of each check waits; of a check that another machine runs by then
//! it is dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::Shared;
use crate::{
    catalog::{
        change::Change,
        check::{CheckKey, CheckResult},
        names::{NodeName, ServiceId},
        transaction::Operation,
    },
    publish::{feed::SubmitError, machines::runs, sharing::SharedResults},
    sources::etcd::own::until,
};

/// A document: of a node, or of an instance on it.
type Document = (NodeName, Option<ServiceId>);

impl Shared {
    /// Writes results as they come, until it is dropped.
    pub(in super::super) async fn tell_results(self: Arc<Self>, results: Arc<SharedResults>) {
        let (mut writing, mut busy) = (JoinSet::new(), BTreeSet::new());
        loop {
            tokio::select! {
                () = results.wait() => {}
                Some(ended) = writing.join_next() => match ended {
                    Ok(document) => _ = busy.remove(&document),
                    // By a panic, of which the log tells.
                    Err(_) => busy.clear(),
                },
            }
            // Not for each that ends: many may wait.
            if busy.len() > AT_ONCE_MAX / 2 {
                continue;
            }
            for (document, told) in self.together(results.take()) {
                if busy.len() >= AT_ONCE_MAX || busy.contains(&document) {
                    told.into_iter().for_each(|(key, result)| results.put_back(key, result));
                    continue;
                }
                busy.insert(document.clone());
                let (shared, results) = (Arc::clone(&self), Arc::clone(&results));
                writing.spawn(async move {
                    shared.tell(told, &results).await;
                    document
                });
            }
        }
    }

    /// Those of checks that we run, by their documents.
    fn together(&self, results: Vec<(CheckKey, CheckResult)>) -> BTreeMap<Document, Vec<(CheckKey, CheckResult)>> {
        let snapshot = self.published.load();
        let mut together: BTreeMap<Document, Vec<_>> = BTreeMap::new();
        for (key, result) in results {
            let Some(entry) = snapshot.catalog.check(&key) else { continue };
            if runs(&self.settings.node, &snapshot.machines, &key) {
                together.entry((key.node.clone(), entry.check.service_id.clone())).or_default().push((key, result));
            }
        }
        together
    }

    async fn tell(&self, results: Vec<(CheckKey, CheckResult)>, waiting: &SharedResults) {
        let status = |(key, result): &(CheckKey, CheckResult)| {
            Operation::of(Change::SetStatus { key: key.clone(), result: result.clone() })
        };
        let outcome = self.register(results.iter().map(status).collect()).await;
        let Err(error) = outcome else { return };
        if !matches!(error, SubmitError::NoLeader) {
            // One of them is gone, mostly, and the others are the newest of their checks still: the scheduler tells changes alone.
            tracing::debug!("etcd: results of checks were not written; trying again: {error}");
        }
        results.into_iter().for_each(|(key, result)| waiting.put_back(key, result));
        until(Some(Instant::now() + AGAIN)).await;
    }
}

/// Most documents that are written at a time. Source: none, chosen: clients' changes have four times as many places.
const AT_ONCE_MAX: usize = 16;

/// From a result that could not be written to the next attempt. Source: none, chosen: below the usual intervals of checks.
const AGAIN: Duration = Duration::from_secs(1);
