//! One copy in memory of what many registrations say alike: texts, lists of tags, meta, check definitions.
//!
//! Belongs to whoever applies changes; nobody else looks at it. What no registration holds any more is let go when
//! what is kept has doubled, so that keeping costs O(1) a change and at most twice what is in use.
//!
//! **Limits:** texts over 256 bytes are not looked at, nor definitions that name a target, which seldom two checks
//! share.

use std::{collections::BTreeMap, hash::Hash, sync::Arc};

use foldhash::fast::FixedState;
use hashbrown::HashSet;

use super::{
    change::{Change, Registration},
    check::{Check, CheckDefinition, CheckKind, HttpCheck},
    names::Tag,
    service::Instance,
    table::Seed,
};

/// What registrations said so far, each once.
#[derive(Debug)]
pub struct Interner {
    texts: Known<str>,
    tags: Known<[Tag]>,
    metas: Known<BTreeMap<Arc<str>, Arc<str>>>,
    definitions: Known<CheckDefinition>,
}

impl Interner {
    /// One that knows nothing yet. The seed is that of its hashes.
    pub fn new(seed: Seed) -> Interner {
        Interner {
            texts: Known::new(seed),
            tags: Known::new(seed),
            metas: Known::new(seed),
            definitions: Known::new(seed),
        }
    }

    /// Makes a change share what was said before.
    pub fn change(&mut self, change: &mut Change) {
        match change {
            Change::Register(registration) => self.registration(registration),
            Change::RegisterCheck(check) => self.check(check),
            Change::SetStatus { result, .. } => self.text(&mut result.output),
            Change::ReplaceOrigin { registrations, .. } => {
                registrations.iter_mut().for_each(|registration| self.registration(registration));
            }
            Change::RegisterNode(_)
            | Change::Deregister { .. }
            | Change::DeregisterCheck { .. }
            | Change::InstanceMaintenance { .. } => {}
        }
    }

    /// Makes the output of a check share what was said before.
    pub fn text(&mut self, text: &mut Arc<str>) {
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
        for port in &mut instance.ports {
            if let Some(name) = &mut port.name {
                self.text(name.text_mut());
            }
        }
        for tagged in &mut instance.tagged_addresses {
            self.text(&mut tagged.role);
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
        self.text(&mut check.output);
        match Arc::get_mut(&mut check.definition).map(|definition| &mut definition.kind) {
            Some(CheckKind::Http(http)) => self.http(http),
            Some(CheckKind::Tcp(_)) | None => {}
            Some(CheckKind::Deadline(_) | CheckKind::External | CheckKind::Maintenance) => {
                self.definitions.share(&mut check.definition);
            }
        }
    }

    fn http(&mut self, http: &mut HttpCheck) {
        self.text(&mut http.method);
        self.text(&mut http.body);
        for (name, value) in &mut http.headers {
            self.text(name);
            self.text(value);
        }
        if let Some(name) = &mut http.tls_server_name {
            self.text(name);
        }
    }
}

/// Values, each once.
#[derive(Debug)]
struct Known<T: ?Sized> {
    values: HashSet<Arc<T>, FixedState>,
    /// How many there may be before those that nobody holds are let go.
    most: usize,
}

impl<T: ?Sized + Hash + Eq> Known<T> {
    fn new(seed: Seed) -> Known<T> {
        Known { values: HashSet::with_hasher(FixedState::with_seed(seed.0)), most: KEPT_MIN }
    }

    /// Puts an equal value that is known in place of this one, which is known from now on if there is none.
    fn share(&mut self, value: &mut Arc<T>) {
        if let Some(known) = self.values.get(&**value) {
            *value = Arc::clone(known);
            return;
        }
        if self.values.len() >= self.most {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.values.shrink_to_fit();
            self.most = KEPT_MIN.max(2 * self.values.len());
        }
        self.values.insert(Arc::clone(value));
    }
}

/// Longest text that is looked at. Source: none, chosen: longer ones are outputs, which seldom come again.
const TEXT_MAX_BYTES: usize = 256;

/// As many are kept whether anybody holds them or not. Source: none, chosen: some tens of kilobytes.
const KEPT_MIN: usize = 1024;

#[cfg(test)]
#[path = "intern_tests.rs"]
mod tests;
