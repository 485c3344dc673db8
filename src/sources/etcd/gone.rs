//! What a machine knew of what is of no node, and what is not there any more where all was listed: for the log, since what nobody
//! deleted while that machine looked is missed by whoever thinks that it is there.

use crate::{
    access::Realm,
    kv::store::{Entry, Store},
};

/// What there is of no node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// Keys, sessions, prepared queries and events.
    pub store: &'a Store,
    /// Policies and tokens.
    pub realm: &'a Realm,
}

/// How much of each kind is gone, as `2 of 3 keys, 1 of 1 events`; empty if none is. An event whose place another one has is not.
pub(super) fn gone(before: Known<'_>, after: Known<'_>) -> String {
    let (store, left) = (before.store, after.store);
    let (stored, left_stored) = (&before.realm.stored, &after.realm.stored);
    let key_is_gone = |entry: &Entry| left.key(&entry.key).is_none();
    let all = [
        ("keys", share(store.keys_below("").map(|entry| key_is_gone(entry)))),
        ("sessions", share(store.sessions().map(|entry| left.session(&entry.session.id).is_none()))),
        ("prepared queries", share(store.queries().map(|entry| left.query(&entry.query.id).is_none()))),
        ("events", share(store.events().iter().map(|event| left.event_in(event.slot()).is_none()))),
        ("policies", share(stored.policies().map(|policy| left_stored.policy(&policy.id).is_none()))),
        ("tokens", share(stored.tokens().map(|token| left_stored.token(&token.accessor_id).is_none()))),
    ];
    let some = all.into_iter().filter(|(_, (gone, _))| *gone > 0);
    some.map(|(what, (gone, of))| format!("{gone} of {of} {what}")).collect::<Vec<_>>().join(", ")
}

/// How many are gone, and how many there were.
fn share(gone: impl Iterator<Item = bool>) -> (usize, usize) {
    gone.fold((0, 0), |(gone, of), is_gone| (gone + usize::from(is_gone), of + 1))
}

#[cfg(test)]
#[path = "gone_tests.rs"]
mod tests;
