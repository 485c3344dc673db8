use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    catalog::{followed::Told, table::Seed},
    kv::follow::{Event as ToldEvent, Followed},
};

fn event(number: u64, id: &str, is_here: bool) -> Event {
    Event { number, id: id.into(), name: "deploy".into(), is_here, ..Event::default() }
}

fn numbers(store: &Store) -> Vec<u64> {
    store.events().iter().map(|event| event.number).collect()
}

fn follow(store: &mut Store, revision: u64, told: Told, events: Vec<ToldEvent>) -> Vec<Touched> {
    store.follow(Followed { revision, told, events }).touched
}

fn fired(event: Event) -> ToldEvent {
    ToldEvent::Fired(Box::new(event))
}

#[test]
fn what_was_decided_of_an_event_stays() {
    let mut store = Store::new(Seed(1), 0);
    store.share();
    let told = vec![fired(event(1, "a", true)), fired(event(2, "b", false))];
    let touched = follow(&mut store, 5, Told::Changes, told);
    assert_eq!(touched, [Touched::Revision, Touched::Event(1), Touched::Event(2)]);
    // The services of the node are others when all is listed again.
    let told = vec![fired(event(1, "a", false)), fired(event(2, "b", true))];
    assert_eq!(follow(&mut store, 5, Told::Everything, told), []);
    let here: Vec<bool> = store.events().iter().map(|event| event.is_here).collect();
    assert_eq!(here, [true, false]);
    // Another one in its place is another one.
    let told = vec![fired(event(1, "c", false)), fired(event(2, "b", true))];
    assert_eq!(follow(&mut store, 6, Told::Everything, told), [Touched::Revision, Touched::Event(1)]);
    assert!(!store.event_in(1).unwrap().is_here);
    assert_eq!(
        follow(&mut store, 7, Told::Changes, vec![ToldEvent::NoEvent(1)]),
        [Touched::Revision, Touched::Event(1)]
    );
    assert_eq!(follow(&mut store, 8, Told::Everything, Vec::new()), [Touched::Revision, Touched::Event(2)]);
    assert_eq!((store.events().len(), store.next_event()), (0, 1));
}

#[test]
fn the_newest_of_a_place_is_kept_where_others_are_missing() {
    let mut store = Store::new(Seed(1), 0);
    store.share();
    let told = [3, 4, 258].map(|number| fired(event(number, "a", true))).into();
    follow(&mut store, 5, Told::Changes, told);
    assert_eq!(numbers(&store), [3, 4, 258]);
    store.part(9);
    // Its place is that of 3.
    assert_eq!(store.fire(event(0, "b", true)).touched, [Touched::Event(3)]);
    assert_eq!(numbers(&store), [4, 258, 259]);
    assert_eq!(store.event_in(3).unwrap().number, 259);
}

proptest! {
    /// In each place is the last that was told of it, and they stand in the order of their numbers.
    #[test]
    fn events_are_a_ring(steps in vec((1..600_u64, any::<bool>()), 1..60)) {
        let mut store = Store::new(Seed(1), 0);
        store.share();
        let mut places = std::collections::BTreeMap::new();
        for (number, comes) in steps {
            let one = event(number, "a", true);
            let slot = one.slot();
            let told = match comes {
                true => {
                    places.insert(slot, number);
                    fired(one)
                }
                false => {
                    places.remove(&slot);
                    ToldEvent::NoEvent(slot)
                }
            };
            follow(&mut store, 1, Told::Changes, vec![told]);
            let mut expected: Vec<u64> = places.values().copied().collect();
            expected.sort_unstable();
            prop_assert_eq!(numbers(&store), expected);
        }
    }
}

#[test]
fn an_event_alone_is_numbered_here() {
    let mut store = Store::new(Seed(1), 0);
    let at = crate::kv::At { index: 1, now: Duration::ZERO };
    for _ in 0..300 {
        let fired = crate::kv::change::Change::Fire(event(0, "a", true));
        store.apply(fired, &State::new(Seed(1), 1), at).unwrap();
    }
    assert_eq!(numbers(&store), (45..=300).collect::<Vec<_>>());
}
