//! Which machines live, and what each tells of itself: those whose node's document says that a nameplate runs there.

use std::collections::BTreeMap;

use super::document::{Nameplate, NodeRegistration, read_node};
use crate::{catalog::names::NodeName, publish::machines::Machine};

/// The machines that live, but for our own.
#[derive(Debug, Default)]
pub(super) struct Alive {
    by_name: BTreeMap<NodeName, Machine>,
    /// What was told to others last.
    told: Vec<Machine>,
    /// Whether it may differ.
    is_due: bool,
}

impl Alive {
    /// Forgets all, before a list.
    pub(super) fn clear(&mut self) {
        self.by_name.clear();
        self.is_due = true;
    }

    /// Takes what lies under the key of a node now; none if it is gone.
    pub(super) fn take(&mut self, name: NodeName, document: Option<&[u8]>) {
        let machine = match document.map(|document| read_node(&name, document)) {
            Some(Ok(read)) => machine(read),
            // What was told before stays, as in the catalog.
            Some(Err(_)) => return,
            None => None,
        };
        // Most documents say something new of checks only.
        self.is_due |= self.by_name.get(&name) != machine.as_ref();
        match machine {
            Some(machine) => self.by_name.insert(name, machine),
            None => self.by_name.remove(&name),
        };
    }

    /// All of them, by name, if others have not been told so.
    pub(super) fn news(&mut self) -> Option<Vec<Machine>> {
        if !self.is_due {
            return None;
        }
        let all: Vec<_> = self.by_name.values().cloned().collect();
        self.is_due = all != self.told;
        self.is_due.then_some(all)
    }

    /// Those that were told of last, with those that have come since, by name, if any have: before what they wrote is told. Others
    /// are told of these, too, and [`Alive::news`] says then what holds.
    pub(super) fn coming(&self) -> Option<Vec<Machine>> {
        let is_told = |name: &NodeName| self.told.binary_search_by(|one| one.node.cmp(name)).is_ok();
        if self.by_name.keys().all(is_told) {
            return None;
        }
        let told = self.told.iter().map(|one| (&one.node, one));
        let all: BTreeMap<_, _> = told.chain(self.by_name.iter()).collect();
        Some(all.into_values().cloned().collect())
    }

    /// Others have been told of these.
    pub(super) fn told(&mut self, all: Vec<Machine>) {
        self.is_due = !all.iter().eq(self.by_name.values());
        self.told = all;
    }
}

fn machine(NodeRegistration { node, nameplate, .. }: NodeRegistration) -> Option<Machine> {
    let Nameplate { addresses, version } = nameplate?;
    Some(Machine { node: node.name, uuid: node.uuid, address: node.address, addresses, version })
}

#[cfg(test)]
#[path = "alive_tests.rs"]
mod tests;
