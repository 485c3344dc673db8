use super::*;

fn machine(name: &str, addresses: &[&str]) -> Machine {
    let addresses: Arc<[IpAddr]> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Machine {
        node: NodeName::new(name).unwrap(),
        uuid: "".into(),
        address: crate::catalog::node::Address::Ip(addresses[0]),
        addresses,
        version: "".into(),
    }
}

/// The plan of a machine of this name and address.
fn plan(name: &str, address: &str, machines: &[Machine]) -> Plan {
    let advertise = vec![address.parse().unwrap()];
    let settings = Settings { node: NodeName::new(name).unwrap(), advertise, ..Settings::example() };
    Plan::new(&settings, &Zones::default(), Seed(1)).with_machines(&settings, machines)
}

#[test]
fn all_machines_are_name_servers_and_each_says_the_same() {
    let all = [
        machine("n1", &["192.0.2.1"]),
        machine("n2", &["192.0.2.2", "2001:db8::2"]),
        machine("n3", &["192.0.2.3", "2001:db8::2"]),
    ];
    let of_n1 = plan("n1", "192.0.2.1", &all[1..]);
    let mut v4 = of_n1.servers_v4.to_vec();
    v4.sort_unstable();
    assert_eq!(v4, [[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]]);
    assert_eq!(of_n1.servers_v6.len(), 1, "each address once");
    // A family that a machine lacks is not what is looked at here.
    let of_n3 = plan("n3", "192.0.2.3", &all[..2]);
    assert_eq!(of_n3.servers_v4, of_n1.servers_v4);
    assert_eq!(&*plan("n1", "192.0.2.1", &[]).servers_v4, [[192, 0, 2, 1]]);
}

#[test]
fn of_many_machines_the_same_eight_are_name_servers() {
    let all: Vec<_> = (1..=100)
        .map(|at| machine(&format!("n{at}"), &[&format!("192.0.2.{at}"), &format!("2001:db8::{at}")]))
        .collect();
    let of_n1 = plan("n1", "192.0.2.1", &all[1..]);
    assert_eq!(of_n1.servers_v4.len(), SERVERS_MAX);
    let of_n100 = plan("n100", "192.0.2.100", &all[..99]);
    assert_eq!(of_n100.servers_v4, of_n1.servers_v4);
    let gone = of_n1.servers_v4[0];
    let left: Vec<_> = all[1..].iter().filter(|one| v4(&one.addresses[0]) != Some(gone)).cloned().collect();
    let after = plan("n1", "192.0.2.1", &left);
    assert_eq!(after.servers_v4[..SERVERS_MAX - 1], of_n1.servers_v4[1..], "the others stay");
}
