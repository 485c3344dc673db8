//! Which containers are to be inspected, each at most once at a time. Pure.
//!
//! Of a container about which something was heard while it was being inspected, what comes of that inspection is old: it is
//! inspected again. Containers that something was heard of come before those that are only looked at now and then.

use std::collections::{BTreeMap, BTreeSet};

/// The containers that wait, and those that are being inspected.
#[derive(Debug, Default)]
pub(super) struct Inspections {
    heard_of: BTreeSet<String>,
    listed: BTreeSet<String>,
    running: BTreeMap<String, Running>,
}

#[derive(Debug, Default)]
struct Running {
    is_listed: bool,
    /// Whether something was heard meanwhile.
    again: bool,
}

impl Inspections {
    /// Something was heard of a container: what is inspected from now on counts.
    pub(super) fn heard_of(&mut self, id: &str) {
        if let Some(running) = self.running.get_mut(id) {
            running.again = true;
            return;
        }
        self.listed.remove(id);
        self.heard_of.insert(id.to_owned());
    }

    /// A container is to be inspected, if it is not going to be anyway.
    pub(super) fn listed(&mut self, id: &str) {
        if !self.running.contains_key(id) && !self.heard_of.contains(id) {
            self.listed.insert(id.to_owned());
        }
    }

    /// The next to begin with, if there may be one more.
    pub(super) fn next(&mut self) -> Option<String> {
        if self.running.len() >= RUNNING_MAX {
            return None;
        }
        if let Some(id) = self.heard_of.pop_first() {
            self.running.insert(id.clone(), Running::default());
            return Some(id);
        }
        if self.running.values().filter(|running| running.is_listed).count() >= LISTED_MAX {
            return None;
        }
        let id = self.listed.pop_first()?;
        self.running.insert(id.clone(), Running { is_listed: true, again: false });
        Some(id)
    }

    /// An inspection has ended. Whether what came of it counts; if not, the container waits again.
    pub(super) fn ended(&mut self, id: &str) -> bool {
        let again = self.running.remove(id).is_some_and(|running| running.again);
        if again {
            self.heard_of.insert(id.to_owned());
        }
        !again
    }
}

/// Most inspections at once. Source: none, chosen: a daemon answers them from memory, and its own work is not to wait for
/// them.
const RUNNING_MAX: usize = 16;

/// Most at once of containers of which nothing was heard. Source: none, chosen: half, so that a daemon that is slow about some
/// containers does not hold up what has just been started.
const LISTED_MAX: usize = RUNNING_MAX / 2;

#[cfg(test)]
#[path = "inspections_tests.rs"]
mod tests;
