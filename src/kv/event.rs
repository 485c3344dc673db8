//! Events: a name and some bytes, told to whoever looks at the newest of them.
//!
//! An event is for the nodes that its filters let through. Where a machine is alone, what is not for its node is not kept. Where
//! machines share a store all events are kept on all of them, with the same numbers, and each decides once, when it hears of an
//! event, whether that is for its node.
//!
//! **Limits:** the last [`EVENTS_MAX`] are kept.
//!
//! **Source:** Consul's `/v1/event`.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::{
    change::{Done, Touched},
    store::Store,
    template::{EXPRESSION_MAX_BYTES, reason},
};
use crate::catalog::{
    names::{NodeName, Text},
    service::Instance,
    state::State,
};

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
    /// Whether it is for this machine's node, as its filters were decided when it was heard of.
    pub is_here: bool,
}

impl Event {
    /// The place that it has among those that are kept.
    pub fn slot(&self) -> u8 {
        (self.number % EVENTS_MAX as u64) as u8
    }
}

/// Which nodes an event is for.
#[derive(Debug)]
pub struct Filters {
    node: Option<Regex>,
    service: Option<Regex>,
    tag: Option<Regex>,
}

/// Why a filter cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{filter}: {problem}")]
pub struct FilterError {
    /// Which: `node`, `service` or `tag`.
    pub filter: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl Filters {
    /// Those of an event.
    pub fn of(event: &Event) -> Result<Filters, FilterError> {
        if event.service_filter.is_empty() && !event.tag_filter.is_empty() {
            return Err(FilterError { filter: "tag", problem: "means nothing without service".to_owned() });
        }
        Ok(Filters {
            node: expression("node", &event.node_filter)?,
            service: expression("service", &event.service_filter)?,
            tag: expression("tag", &event.tag_filter)?,
        })
    }

    /// Whether an event is for a node: its name is right, and one of its instances has the service and the tag.
    pub fn let_through(&self, catalog: &State, node: &NodeName) -> bool {
        let is_right = |filter: &Option<Regex>, text: &str| filter.as_ref().is_none_or(|regex| regex.is_match(text));
        let mut instances = catalog.node(node).into_iter().flat_map(|node| node.instances());
        let has_tag = |instance: &Instance| {
            self.tag.is_none() || instance.tags.iter().any(|tag| is_right(&self.tag, tag.as_str()))
        };
        is_right(&self.node, node.as_str())
            && (self.service.is_none()
                || instances.any(|instance| is_right(&self.service, instance.service.as_str()) && has_tag(instance)))
    }
}

/// Reads a filter; an empty one is none.
fn expression(filter: &'static str, text: &str) -> Result<Option<Regex>, FilterError> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = RegexBuilder::new(text).size_limit(EXPRESSION_MAX_BYTES).build();
    read.map(Some).map_err(|error| FilterError { filter, problem: reason(&error) })
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

    /// The number of the next event.
    pub fn next_event(&self) -> u64 {
        self.events.last().map_or(0, |last| last.number) + 1
    }

    pub(super) fn fire(&mut self, event: Event) -> Done {
        let number = self.next_event();
        Done::touching([self.keep_event(Event { number, ..event })])
    }

    /// Keeps an event that was told, with what was decided of it if it is known.
    pub(super) fn put_told_event(&mut self, event: Event) -> Option<Touched> {
        let before = self.event_in(event.slot()).cloned();
        let known = before.as_ref().filter(|before| (before.number, &before.id) == (event.number, &event.id));
        let is_here = known.map_or(event.is_here, |known| known.is_here);
        let event = Event { is_here, ..event };
        before.is_none_or(|before| *before != event).then(|| self.keep_event(event))
    }

    pub(super) fn remove_told_event(&mut self, slot: u8) -> Option<Touched> {
        self.event_in(slot)?;
        self.events = self.events.iter().filter(|event| event.slot() != slot).cloned().collect();
        Some(Touched::Event(slot))
    }

    /// Keeps an event in its place, in the order of the numbers.
    fn keep_event(&mut self, event: Event) -> Touched {
        let slot = event.slot();
        let others = self.events.iter().filter(|event| event.slot() != slot);
        let mut events: Vec<Arc<Event>> = others.cloned().chain([Arc::new(event)]).collect();
        events.sort_by_key(|event| event.number);
        self.events = events.into();
        Touched::Event(slot)
    }

    /// Puts stored events in.
    pub(super) fn put_events(&mut self, mut events: Vec<Event>) {
        events.sort_unstable_by_key(|event| event.number);
        self.events = events.into_iter().map(Arc::new).collect();
    }
}

/// Most events that are kept. Source: Consul.
pub const EVENTS_MAX: usize = 256;

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
