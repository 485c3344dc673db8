use super::*;

fn client(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn a_client_has_no_more_than_its_share() {
    let slots = Slots::new(10);
    let first = slots.take(client(1), 2).unwrap();
    let _second = slots.take(client(1), 2).unwrap();
    assert!(slots.take(client(1), 2).is_none());
    let _other = slots.take(client(2), 2).unwrap();
    drop(first);
    assert!(slots.take(client(1), 2).is_some());
}

#[test]
fn all_together_have_no_more_than_there_are() {
    let slots = Slots::new(2);
    let taken: Vec<_> = (1..=2).map(|last| slots.take(client(last), 2).unwrap()).collect();
    assert!(slots.take(client(3), 2).is_none());
    drop(taken);
    assert!(slots.take(client(3), 2).is_some());
}

#[test]
fn a_client_that_has_none_is_forgotten() {
    let slots = Slots::new(2);
    drop(slots.take(client(1), 2));
    assert!(slots.clients.is_empty());
}

#[test]
fn a_mapped_address_is_the_same_client() {
    let slots = Slots::new(2);
    let _taken = slots.take(client(1), 1).unwrap();
    assert!(slots.take("::ffff:192.0.2.1".parse().unwrap(), 1).is_none());
}
