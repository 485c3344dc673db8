//! Events: a ring of places, in each of which the newest lies.
//!
//! An event's number, one above the highest that is known, tells its place. Two machines that fire at the same time choose the
//! same number and so the same place, where nothing may be newer than what they know: one of them is planned again.

use super::{Plan, PlanError, Write, signed};
use crate::{
    kv::{event::Event, store::Store},
    sources::etcd::{
        client::{Compare, Is, With},
        kept_event::{NUMBER_MAX, write_event},
        layout::{Kept, Layout},
    },
};

impl Plan {
    /// Plans that an event is fired, after all that this machine knows.
    pub fn fire(layout: &Layout, store: &Store, event: &Event) -> Result<Plan, PlanError> {
        let event = Event { number: store.next_event(), ..event.clone() };
        if event.number > NUMBER_MAX {
            let last = store.events().last().map_or(0, |last| last.slot());
            return Err(PlanError::LastEvent(layout.kept_key(&Kept::Event(last))));
        }
        let key = layout.kept_key(&Kept::Event(event.slot()));
        let followed = signed(store.revision().unwrap_or(0));
        let not_since = With::ModRevision(followed.saturating_add(1));
        let compare = Compare::one(key.clone().into_bytes(), Is::Less, not_since);
        Plan::of(vec![compare], vec![Write::Put(key, write_event(&event)?)]).within()
    }

    /// Plans that events of this machine alone become shared ones, where there are none.
    pub fn event_copies<'a>(layout: &Layout, events: impl Iterator<Item = &'a Event>) -> Result<Vec<Plan>, PlanError> {
        Plan::batches(events.map(|event| {
            let key = layout.kept_key(&Kept::Event(event.slot()));
            Ok((Compare::absent(key.clone().into_bytes()), vec![Write::Put(key, write_event(event)?)]))
        }))
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
