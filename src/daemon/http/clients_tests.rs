use super::*;

#[test]
fn a_client_has_so_many_connections_and_no_more_until_one_ends() {
    let clients = Clients::new(2);
    let one: IpAddr = "192.0.2.1".parse().unwrap();
    let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    let (first, second) = (clients.connect(one), clients.connect(mapped));
    assert!(first.is_some() && second.is_some() && clients.connect(one).is_none());
    let other = clients.connect("192.0.2.2".parse().unwrap());
    assert!(other.is_some());
    drop(first);
    let third = clients.connect(one);
    assert!(third.is_some() && clients.connect(mapped).is_none());
    drop((second, third, other));
    assert!(clients.counts.is_empty());
}
