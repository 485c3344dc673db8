use super::{
    super::{
        Ended,
        tests::{Etcd, layout},
    },
    *,
};

fn event(id: &str) -> Event {
    Event { id: id.into(), name: "deploy".into(), ..Event::default() }
}

/// Fires an event as a machine plans it that knows this much; whether it was not stale.
fn fire(etcd: &mut Etcd, store: &Store, id: &str) -> bool {
    let plan = Plan::fire(&layout(), store, &event(id)).unwrap();
    let done = etcd.txn(plan.txn(0));
    matches!(plan.ended(&done), Ended::Done { revision: Some(_), .. })
}

fn fired(etcd: &Etcd) -> Vec<(u64, String)> {
    etcd.followed().events().iter().map(|event| (event.number, event.id.to_string())).collect()
}

#[test]
fn two_that_fire_at_once_have_numbers_of_their_own() {
    let mut etcd = Etcd::default();
    let nothing = etcd.followed();
    assert!(fire(&mut etcd, &nothing, "a"));
    assert!(!fire(&mut etcd, &nothing, "b"));
    let first = etcd.followed();
    assert!(fire(&mut etcd, &first, "b"));
    let second = etcd.followed();
    assert!(fire(&mut etcd, &second, "c"));
    // However far behind it is.
    assert!(!fire(&mut etcd, &nothing, "d") && !fire(&mut etcd, &first, "d"));
    assert_eq!(fired(&etcd), [(1, "a".to_owned()), (2, "b".to_owned()), (3, "c".to_owned())]);
    assert_eq!(etcd.names(), ["events/1", "events/2", "events/3"]);
}

#[test]
fn the_last_256_are_kept() {
    let mut etcd = Etcd::default();
    let nothing = etcd.followed();
    for number in 1..=300 {
        let store = etcd.followed();
        assert!(fire(&mut etcd, &store, &format!("e{number}")));
    }
    let numbers: Vec<u64> = fired(&etcd).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (45..=300).collect::<Vec<_>>());
    assert!(!fire(&mut etcd, &nothing, "late"));
}

#[test]
fn after_the_highest_number_that_is_read_none_is_fired() {
    let mut etcd = Etcd::default();
    let last = Event { number: (1 << 53) - 1, ..event("last but one") };
    for plan in Plan::event_copies(&layout(), [&last].into_iter()).unwrap() {
        assert!(etcd.txn(plan.txn(0)).succeeded);
    }
    let store = etcd.followed();
    assert!(fire(&mut etcd, &store, "last"));
    let refused = Plan::fire(&layout(), &etcd.followed(), &event("after")).unwrap_err();
    assert!(refused.to_string().contains("events/0"), "{refused}");
}

#[test]
fn events_that_were_a_machines_own_become_shared() {
    let mut etcd = Etcd::default();
    let events: Vec<Event> = (40..290).map(|number| Event { number, ..event("a") }).collect();
    for plan in Plan::event_copies(&layout(), events.iter()).unwrap() {
        assert!(etcd.txn(plan.txn(0)).succeeded);
    }
    assert!(etcd.followed().events().iter().map(|event| &**event).eq(&events));
    let store = etcd.followed();
    assert!(fire(&mut etcd, &store, "b"));
    assert_eq!(fired(&etcd).last(), Some(&(290, "b".to_owned())));
}
