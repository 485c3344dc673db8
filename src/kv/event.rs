//! Events: a name and some bytes, told to whoever looks at the newest of them.
//!
//! **Limits:** the last [`EVENTS_MAX`] are kept. Filters are only shown here: what they do not let through is not fired.
//!
//! **Source:** Consul's `/v1/event`.

use std::sync::Arc;

use super::{
    change::{Done, Touched},
    store::Store,
};
use crate::catalog::names::Text;

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its ID, a UUID.
    pub id: Text,
    /// Its name.
    pub name: Text,
    /// What it carries.
    pub payload: Box<[u8]>,
    /// Which nodes it is for, as its sender wrote it.
    pub node_filter: Text,
    /// Which services it is for.
    pub service_filter: Text,
    /// Which tags it is for.
    pub tag_filter: Text,
    /// The how manieth it is, from 1; 0 before it is fired.
    pub number: u64,
}

impl Event {
    /// The place that it has among those that are kept.
    fn slot(&self) -> u8 {
        (self.number % EVENTS_MAX as u64) as u8
    }
}

impl Store {
    /// The events that are kept, the newest last.
    pub fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// The event in a place, if there is one.
    pub fn event_in(&self, slot: u8) -> Option<&Arc<Event>> {
        self.events.iter().find(|event| event.slot() == slot)
    }

    pub(super) fn fire(&mut self, event: Event) -> Done {
        let number = self.events.last().map_or(0, |last| last.number) + 1;
        let event = Arc::new(Event { number, ..event });
        let skip = (self.events.len() + 1).saturating_sub(EVENTS_MAX);
        let touched = vec![Touched::Event(event.slot())];
        self.events = self.events.iter().skip(skip).cloned().chain([event]).collect();
        Done { touched, ..Done::default() }
    }

    /// Puts stored events in.
    pub(super) fn put_events(&mut self, mut events: Vec<Event>) {
        events.sort_unstable_by_key(|event| event.number);
        self.events = events.into_iter().map(Arc::new).collect();
    }
}

/// Most events that are kept. Source: Consul.
pub const EVENTS_MAX: usize = 256;
