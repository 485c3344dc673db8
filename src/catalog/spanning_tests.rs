use super::*;
use crate::catalog::{node::Address, testing::instance};

fn prefix(text: &str) -> IpNetwork {
    IpNetwork::parse(text).unwrap()
}

/// A network of this machine: its ID, its name and its prefix; its containers ask from 203.0.113.0/24.
fn network(id: &str, name: &str, subnet: &str) -> SpanningNetwork {
    let (id, name) = (Arc::from(id), Arc::from(name));
    SpanningNetwork { id, name, subnets: vec![prefix(subnet)], clients: vec![prefix("203.0.113.0/24")] }
}

fn at(role: &str, address: &str) -> TaggedAddress {
    TaggedAddress { role: role.into(), address: Address::parse(address).unwrap(), port: 80 }
}

/// What was told, as a machine with these networks has it: for whom there is which address.
#[track_caller]
fn check(networks: &[SpanningNetwork], told: &[(&str, &str)], address: Option<&str>, expected: &[&str]) {
    let address = address.map(|text| Address::parse(text).unwrap());
    let mut there = Instance { address, origin: Origin::Cluster, ..instance("web", "web-1") };
    let mut addresses = SpanningAddresses::new();
    for (id, address) in told {
        addresses.entry(Arc::from(*id)).or_default().push(at("", address));
    }
    let is_there = SpanningNetworks(networks.to_vec()).bring(&addresses, &mut there);
    let shown = |there: &NetworkAddress| format!("{} {} {:?}", there.network, there.address, there.ports);
    assert_eq!(there.network_addresses.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(is_there, !expected.is_empty());
}

#[test]
fn what_was_told_counts_where_the_network_is_the_same() {
    let shop = network("qvib", "shop", "198.51.100.0/24");
    let told = [("qvib", "198.51.100.7")];
    check(
        std::slice::from_ref(&shop),
        &told,
        None,
        &["198.51.100.0/24 198.51.100.7 [80]", "203.0.113.0/24 198.51.100.7 [80]"],
    );
    // Whoever does not show its network gets the address that all get, as of our own containers.
    check(std::slice::from_ref(&shop), &told, Some("192.0.2.22"), &["198.51.100.0/24 198.51.100.7 [80]"]);
    // The name and the prefix alone do not make it the same.
    check(&[network("other", "shop", "198.51.100.0/24")], &told, None, &[]);
    check(&[], &told, None, &[]);
    check(&[shop], &[], None, &[]);
}

#[test]
fn of_several_networks_the_first_counts_for_who_does_not_show_his() {
    let networks = [network("a", "back", "198.51.100.0/24"), network("b", "front", "192.0.2.0/24")];
    let told = [("b", "192.0.2.7"), ("a", "198.51.100.7")];
    let expected =
        ["192.0.2.0/24 192.0.2.7 [80]", "198.51.100.0/24 198.51.100.7 [80]", "203.0.113.0/24 198.51.100.7 [80]"];
    check(&networks, &told, None, &expected);
}

#[test]
fn an_instance_tells_what_it_has_there_and_is_shown_alike_elsewhere() {
    let networks = SpanningNetworks(vec![network("qvib", "shop", "198.51.100.0/24")]);
    let there = NetworkAddress {
        network: prefix("198.51.100.0/24"),
        address: "198.51.100.7".parse().unwrap(),
        ports: Box::new([80]),
    };
    let tagged = ["docker_bridge_ipv4", "docker_shop_ipv4"].map(|role| at(role, "198.51.100.7"));
    let own = Instance {
        network_addresses: [there].into_iter().collect(),
        tagged_addresses: tagged.into_iter().collect(),
        origin: Origin::Docker,
        ..instance("web", "web-1")
    };
    let told = networks.addresses(&own);
    assert_eq!(told.keys().map(|id| &**id).collect::<Vec<_>>(), ["qvib"]);
    let mut read = Instance { origin: Origin::Cluster, ..instance("web", "web-1") };
    assert!(networks.bring(&told, &mut read));
    assert_eq!(read.tagged_address("docker_shop_ipv4"), own.tagged_address("docker_shop_ipv4"));
    // Where clients in Docker's networks are answered as everybody else, so they are elsewhere.
    let host = Instance { network_addresses: Default::default(), ..own.clone() };
    assert!(networks.addresses(&host).is_empty());
    // What was told is told by nobody else.
    assert!(networks.addresses(&Instance { origin: Origin::Cluster, ..own }).is_empty());
}
