//! Which of the events that were heard of are for our node: each machine decides for its own.

use crate::{
    catalog::{names::NodeName, state::State},
    kv::{event::Filters, follow::Event},
};

/// Decides by the catalog as it now is. What was decided of an event before stays so (`kv::event`).
pub(super) fn decide(events: &mut [Event], catalog: &State, own: &NodeName) {
    for event in events {
        if let Event::Fired(event) = event {
            event.is_here = Filters::of(event).is_ok_and(|filters| filters.let_through(catalog, own));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::table::Seed, kv};

    #[test]
    fn each_machine_decides_for_its_own_node() {
        let fired = |filter: &str| {
            Event::Fired(Box::new(kv::event::Event { node_filter: filter.into(), ..kv::event::Event::default() }))
        };
        let mut events = vec![fired(""), fired("^n1$"), fired("^n2$"), fired("("), Event::NoEvent(3)];
        decide(&mut events, &State::new(Seed(1), 1), &NodeName::new("n1").unwrap());
        let here: Vec<bool> = events.iter().map(is_here).collect();
        assert_eq!(here, [true, true, false, false, false]);
    }

    fn is_here(event: &Event) -> bool {
        matches!(event, Event::Fired(event) if event.is_here)
    }
}
