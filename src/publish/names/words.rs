//! The tags and named ports of services as parts of names.

use std::sync::Arc;

use super::{Names, ServiceAnswers, claims::Claim};
use crate::{
    catalog::table::Seed,
    publish::{
        label::Key,
        view::{GroupChange, GroupKind, GroupName},
    },
};

/// A tag or a named port, and how many names of services have it.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) kind: GroupKind,
    pub(super) key: Key,
    pub(super) services: u32,
}

impl Names {
    /// Notes the tags and named ports that came or went with a service that has, or wants, these keys.
    pub(super) fn count_groups(&mut self, claims: &[(Key, Claim)], changes: Vec<GroupChange>) {
        if changes.is_empty() {
            return;
        }
        let held = self.held(claims);
        for GroupChange { name, exists } in changes {
            for key in &held {
                self.count_at(key, &name, exists);
            }
        }
    }

    /// A service gains or loses a name, with all its tags and named ports.
    pub(super) fn count_all_at(&mut self, key: &Key, answers: &ServiceAnswers, exists: bool) {
        for name in answers.views(None).eligible.group_names() {
            self.count_at(key, name, exists);
        }
    }

    /// Notes a tag or a named port of a service at the names that it makes exist beside the service's own.
    fn count_at(&mut self, key: &Key, name: &GroupName, exists: bool) {
        for word in words_of(key, name) {
            self.count_word(&word, exists);
        }
    }

    fn count_word(&mut self, name: &GroupName, exists: bool) {
        let (kind, labels) = (name.kind, name.key.as_wire());
        let hash = word_hash(self.seed(), kind, labels);
        let is = |word: &Arc<Word>| word.is(kind, labels);
        let before = self.words.get(hash, is).map_or(0, |word| word.services);
        let services = if exists { before + 1 } else { before.saturating_sub(1) };
        if services > 0 {
            self.words.set(hash, Arc::new(Word { kind, key: name.key.clone(), services }), is);
        } else {
            self.words.remove(hash, is);
        }
        if kind == GroupKind::Port {
            self.port_words = (self.port_words + usize::from(before == 0)).saturating_sub(usize::from(services == 0));
        }
    }
}

impl Word {
    pub(super) fn is(&self, kind: GroupKind, labels: &[u8]) -> bool {
        self.kind == kind && self.key.as_wire() == labels
    }
}

/// The names that a tag or a named port of a service makes exist beside the service's own: a named port in locations and
/// at all above, and, where the service's name is one label, `_<tag>` and `_tcp` beside the named port.
pub(super) fn words_of(key: &Key, name: &GroupName) -> Vec<GroupName> {
    let is_single = key.takes_underscore();
    match name.kind {
        GroupKind::Tag if is_single && name.key.takes_underscore() => vec![name.clone()],
        GroupKind::Tag => Vec::new(),
        GroupKind::Port => {
            let above = key.ancestors().chain(is_single.then_some(&[][..]));
            let below = |ancestor| Key::below(name.key.as_wire(), ancestor);
            let port = |key| GroupName { kind: GroupKind::Port, key };
            std::iter::once(name.clone()).chain(above.map(below).map(port)).collect()
        }
    }
}

pub(super) fn word_hash(seed: Seed, kind: GroupKind, labels: &[u8]) -> u32 {
    seed.hash(&(kind, labels))
}
