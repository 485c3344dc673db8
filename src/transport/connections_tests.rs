use look::is_told;

use super::*;

/// Looks once whether a place was told to close.
mod look {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::Place;

    pub fn is_told(place: &Place) -> bool {
        pin!(place.told_to_close()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }
}

fn table(connections: usize, connections_client: usize) -> Arc<Connections> {
    let limits = TcpLimits { connections, connections_client, ..TcpLimits::default() };
    Arc::new(Connections::new(limits, Arc::default()))
}

fn client(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn the_connection_idle_longest_makes_room() {
    let connections = table(2, 2);
    let first = connections.place(client(1)).unwrap();
    let second = connections.place(client(2)).unwrap();
    let third = connections.place(client(3)).unwrap();
    assert_eq!(connections.count(), 2);
    assert!(is_told(&first) && !is_told(&second) && !is_told(&third));
}

#[test]
fn a_client_at_its_share_closes_its_own() {
    let connections = table(10, 2);
    let other = connections.place(client(1)).unwrap();
    let own = connections.place(client(2)).unwrap();
    let _own_too = connections.place(client(2)).unwrap();
    let _newest = connections.place(client(2)).unwrap();
    assert!(is_told(&own) && !is_told(&other));
}

#[test]
fn a_connection_with_a_query_in_flight_is_not_idle() {
    let connections = table(2, 2);
    let busy = connections.place(client(1)).unwrap();
    busy.set_in_flight(1);
    let idle = connections.place(client(2)).unwrap();
    let newest = connections.place(client(3)).unwrap();
    assert!(!is_told(&busy) && is_told(&idle));
    newest.set_in_flight(1);
    assert!(connections.place(client(4)).is_none());
    drop(newest);
    assert!(connections.place(client(4)).is_some());
}

#[test]
fn a_place_that_is_given_back_is_free_once() {
    let connections = table(2, 2);
    let first = connections.place(client(1)).unwrap();
    let _second = connections.place(client(1)).unwrap();
    let _third = connections.place(client(1)).unwrap();
    // It was told to close, and counted off, before.
    drop(first);
    assert_eq!(connections.count(), 2);
}

#[test]
fn loopback_has_a_share_of_its_own() {
    let connections = table(10, 1);
    let places: Vec<_> = (0..3).map(|_| connections.place(IpAddr::from([127, 0, 0, 1])).unwrap()).collect();
    assert!(places.iter().all(|place| !is_told(place)));
}
