//! One copy in memory of what many registrations say alike: texts, lists of tags and ports, meta, check definitions.
//!
//! Belongs to whoever applies changes; nobody else looks at it. What no registration holds any more is let go when
//! what is kept has doubled, so that keeping costs O(1) a change and at most twice what is in use.
//!
//! **Limits:** texts over 256 bytes are not looked at, nor what checks have for themselves: their IDs and targets.

use std::{hash::Hash, sync::Arc};

use foldhash::fast::FixedState;
use hashbrown::HashSet;

use super::{
    change::{Change, Registration},
    check::{Check, CheckDefinition},
    names::{Tag, Text},
    output::Output,
    service::{Instance, Meta, Port},
    table::Seed,
};

/// What registrations said so far, each once.
#[derive(Debug)]
pub struct Interner {
    texts: Known<Text>,
    roles: Known<Arc<str>>,
    tags: Known<Arc<[Tag]>>,
    ports: Known<Arc<[Port]>>,
    metas: Known<Meta>,
    definitions: Known<Arc<CheckDefinition>>,
}

impl Interner {
    /// One that knows nothing yet. The seed is that of its hashes.
    pub fn new(seed: Seed) -> Interner {
        Interner {
            texts: Known::new(seed),
            roles: Known::new(seed),
            tags: Known::new(seed),
            ports: Known::new(seed),
            metas: Known::new(seed),
            definitions: Known::new(seed),
        }
    }

    /// Makes a change share what was said before.
    pub fn change(&mut self, change: &mut Change) {
        match change {
            Change::Register(registration) | Change::Mirror(registration) => self.registration(registration),
            Change::RegisterCheck(check) => self.check(check),
            Change::SetStatus { result, .. } => self.output(&mut result.output),
            Change::ReplaceOrigin { registrations, .. } => {
                registrations.iter_mut().for_each(|registration| self.registration(registration));
            }
            Change::RegisterNode(_)
            | Change::DeregisterNode { .. }
            | Change::Deregister { .. }
            | Change::DeregisterCheck { .. }
            | Change::InstanceMaintenance { .. } => {}
        }
    }

    /// Makes the output of a check share what was said before.
    pub fn output(&mut self, output: &mut Output) {
        self.text(output.text_mut());
    }

    fn text(&mut self, text: &mut Text) {
        if text.len() <= TEXT_MAX_BYTES {
            self.texts.share(text);
        }
    }

    fn registration(&mut self, registration: &mut Registration) {
        self.instance(&mut registration.instance);
        for check in &mut registration.checks {
            self.check(check);
            if check.service_id.as_ref() == Some(&registration.instance.id) {
                check.service_id = Some(registration.instance.id.clone());
            }
        }
    }

    fn instance(&mut self, instance: &mut Instance) {
        self.text(instance.node.text_mut());
        self.text(instance.service.text_mut());
        for port in Arc::get_mut(&mut instance.ports).into_iter().flatten() {
            if let Some(name) = &mut port.name {
                self.text(name.text_mut());
            }
        }
        self.ports.share(&mut instance.ports);
        for tagged in &mut instance.tagged_addresses {
            self.roles.share(&mut tagged.role);
        }
        for further in &mut instance.further_names {
            self.text(further.name.text_mut());
        }
        for tag in Arc::get_mut(&mut instance.tags).into_iter().flatten() {
            self.text(tag.text_mut());
        }
        self.tags.share(&mut instance.tags);
        self.metas.share(&mut instance.meta);
    }

    fn check(&mut self, check: &mut Check) {
        self.text(check.node.text_mut());
        self.text(&mut check.name);
        self.text(&mut check.notes);
        check.output = Output::new(&check.output.shown(&check.target), &check.target);
        self.output(&mut check.output);
        self.definitions.share(&mut check.definition);
    }
}

/// A reference to a value that may have several.
trait Shared: Clone + Hash + Eq {
    /// How many references there are.
    fn count(&self) -> usize;
}

impl<T: ?Sized + Hash + Eq> Shared for Arc<T> {
    fn count(&self) -> usize {
        Arc::strong_count(self)
    }
}

impl Shared for Text {
    fn count(&self) -> usize {
        // One that is part of the program has no count.
        Text::strong_count(self).unwrap_or(1)
    }
}

/// Values, each once.
#[derive(Debug)]
struct Known<S> {
    values: HashSet<S, FixedState>,
    /// How many there may be before those that nobody holds are let go.
    most: usize,
}

impl<S: Shared> Known<S> {
    fn new(seed: Seed) -> Known<S> {
        Known { values: HashSet::with_hasher(FixedState::with_seed(seed.0)), most: KEPT_MIN }
    }

    /// Puts an equal value that is known in place of this one, which is known from now on if there is none.
    fn share(&mut self, value: &mut S) {
        if let Some(known) = self.values.get(value) {
            *value = known.clone();
            return;
        }
        if self.values.len() >= self.most {
            self.values.retain(|value| value.count() > 1);
            self.values.shrink_to_fit();
            self.most = KEPT_MIN.max(2 * self.values.len());
        }
        self.values.insert(value.clone());
    }
}

/// Longest text that is looked at. Source: none, chosen: longer ones are outputs, which seldom come again.
const TEXT_MAX_BYTES: usize = 256;

/// As many are kept whether anybody holds them or not. Source: none, chosen: some tens of kilobytes.
const KEPT_MIN: usize = 1024;

#[cfg(test)]
#[path = "intern_tests.rs"]
mod tests;
