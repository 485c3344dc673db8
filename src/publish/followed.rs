//! What was touched on one node, for who tells others of it: hints only, what counts is the published snapshot.
//!
//! | bound | value |
//! |---|---|
//! | instances that are kept while nobody takes them | 65,536; with more, all of the node counts as touched |

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::RandomState;
use tokio::sync::Notify;

use crate::catalog::{
    apply::Effects,
    names::{NodeName, ServiceId},
};

/// What was touched on the node that is followed: definitions, statuses and outputs alike.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TouchedOnNode {
    /// Whether anything may have been.
    pub all: bool,
    /// Whether it was the node, or a check of its own.
    pub node: bool,
    /// Which instances, with their checks.
    pub instances: HashSet<ServiceId, RandomState>,
}

impl TouchedOnNode {
    /// Adds what a change touched on a node.
    pub fn take_in(&mut self, node: &NodeName, effects: &Effects) {
        let is_ours = |of: &NodeName| of == node;
        // Of the node's own checks only the output changed, if no instance was touched.
        let outputs = effects.instances.is_empty() && effects.statuses.iter().any(|key| is_ours(&key.node));
        self.node |= outputs || effects.nodes.iter().any(|touched| is_ours(touched.name()));
        for touched in &effects.instances {
            let (before, after) = (touched.before.as_ref(), touched.after.as_ref());
            // A change of the node touches all that is on it, and changes nothing of that.
            let same = before.zip(after).is_some_and(|(before, after)| Arc::ptr_eq(&before.entry, &after.entry));
            if let Some(presence) = after.or(before).filter(|one| !same && is_ours(&one.entry.instance.node)) {
                self.instances.insert(presence.entry.instance.id.clone());
            }
        }
    }

    /// Whether nothing was touched.
    pub fn is_empty(&self) -> bool {
        !self.all && !self.node && self.instances.is_empty()
    }

    fn merge(&mut self, other: TouchedOnNode) {
        (self.all, self.node) = (self.all || other.all, self.node || other.node);
        self.instances.extend(other.instances);
        if self.instances.len() > INSTANCES_MAX {
            (self.all, self.instances) = (true, HashSet::default());
        }
    }
}

/// The node that is followed, and what was touched on it since somebody asked.
#[derive(Debug, Default)]
pub(super) struct Followed {
    state: Mutex<State>,
    touched: Notify,
}

#[derive(Debug, Default)]
struct State {
    node: Option<NodeName>,
    touched: TouchedOnNode,
}

impl Followed {
    /// Follows this node from now on; all of it counts as touched.
    pub(super) fn follow(&self, node: NodeName) {
        let touched = TouchedOnNode { all: true, ..TouchedOnNode::default() };
        *self.lock() = State { node: Some(node), touched };
        self.touched.notify_one();
    }

    /// The node that is followed, if there is one.
    pub(super) fn node(&self) -> Option<NodeName> {
        self.lock().node.clone()
    }

    /// Adds what a batch touched, which was looked at for this node.
    pub(super) fn touch(&self, node: Option<&NodeName>, touched: TouchedOnNode) {
        let mut state = self.lock();
        if state.node.is_none() {
            return;
        }
        if state.node.as_ref() != node {
            // Following began while the batch was made.
            state.touched.all = true;
        } else if touched.is_empty() {
            return;
        } else {
            state.touched.merge(touched);
        }
        drop(state);
        self.touched.notify_one();
    }

    /// What was touched since it was last taken.
    pub(super) fn take(&self) -> TouchedOnNode {
        std::mem::take(&mut self.lock().touched)
    }

    /// Returns when there may be something to take.
    pub(super) async fn touched(&self) {
        self.touched.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Source: none, chosen: some megabytes of IDs.
const INSTANCES_MAX: usize = 65_536;

#[cfg(test)]
#[path = "followed_tests.rs"]
mod tests;
