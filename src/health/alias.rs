//! Alias checks: as another instance with its node is, or as a node is.
//!
//! | of the target's checks | status |
//! |---|---|
//! | all pass, or there are none | passing |
//! | the worst warns, or is critical | that one |
//! | the target is not registered | critical |
//!
//! Nothing is probed and no interval counts: each task waits for changes of the target's node, and looks at the published
//! snapshot.
//!
//! What is reported is counted and logged as the results of probes are.
//!
//! **Limits:** other alias checks are not followed, so that no ring of them can hold itself up; thresholds do not count.
//!
//! **Source:** Consul's alias check, and its outputs.

use std::sync::Arc;

use tokio::task::AbortHandle;

use super::scheduler::log_change;
use crate::{
    catalog::{
        check::{AliasCheck, Check, CheckKey, CheckKind, CheckResult, CheckStatus},
        names::NodeName,
        service::InstanceKey,
        state::State,
    },
    observe::metrics::Metrics,
    publish::{
        feed::Feed,
        watch::{Published, WatchKey},
    },
};

/// A target that is followed until this is dropped.
#[derive(Debug)]
pub(super) struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What it takes to follow.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) published: Arc<Published>,
    pub(super) feed: Feed,
    pub(super) metrics: Arc<Metrics>,
}

/// Reports of a check how its target is, now and whenever that changes. None if it is of another kind.
pub(super) fn follow(check: &Check, means: impl FnOnce() -> Means) -> Option<Following> {
    let CheckKind::Alias(alias) = &check.definition.kind else { return None };
    let (key, alias, means) = (check.key(), alias.clone(), means());
    let task = tokio::spawn(async move {
        let node = alias.node.clone().unwrap_or_else(|| key.node.clone());
        let mut ticket = means.published.register(WatchKey::Node(node.clone()));
        let mut last = None;
        loop {
            // The ticket was there before, so that no change falls in between.
            report(&means, (&key, &node, &alias), &mut last);
            ticket.changed().await;
        }
    });
    Some(Following(task.abort_handle()))
}

/// Reports what now holds, unless that is published, or on its way.
fn report(means: &Means, (key, node, alias): (&CheckKey, &NodeName, &AliasCheck), last: &mut Option<CheckResult>) {
    let snapshot = means.published.load();
    let Some(entry) = snapshot.catalog.check(key) else { return };
    let result = result_of(&snapshot.catalog, node, alias);
    let is_known = entry.check.status == result.status && entry.check.output == result.output;
    if !is_known && last.as_ref() != Some(&result) {
        means.metrics.check_result(entry.check.definition.kind.as_str(), result.status.as_str());
        if entry.check.status != result.status {
            log_change(&entry.check, result.status);
        }
        means.feed.report(key.clone(), result.clone());
    }
    *last = Some(result);
}

/// How the target is.
fn result_of(catalog: &State, node: &NodeName, alias: &AliasCheck) -> CheckResult {
    let critical = |output: String| CheckResult { status: CheckStatus::Critical, output: output.as_str().into() };
    let Some(found) = catalog.node(node) else { return critical(format!("Node {node} could not be found")) };
    let instance = alias.service_id.as_ref().map(|id| InstanceKey { node: node.clone(), id: id.clone() });
    let own = match instance.map(|key| (catalog.instance(&key), key.id)) {
        Some((None, id)) => return critical(format!("Service {id} could not be found on node {node}")),
        Some((Some(entry), _)) => &entry.checks[..],
        None => &[],
    };
    let all = found.checks.iter().chain(own).map(|entry| &entry.check);
    let followed = || all.clone().filter(|check| !matches!(check.definition.kind, CheckKind::Alias(_)));
    let worst = followed().map(|check| check.status).max();
    let status = worst.unwrap_or(CheckStatus::Passing);
    let output = match followed().find(|check| check.status == status) {
        None => "No checks found.".to_owned(),
        Some(_) if status == CheckStatus::Passing => "All checks passing.".to_owned(),
        Some(check) => format!("Aliased check \"{}\" failing: {}", check.name, check.shown_output()),
    };
    CheckResult { status, output: super::probe::cut(&output).into() }
}

#[cfg(test)]
#[path = "alias_tests.rs"]
mod tests;
