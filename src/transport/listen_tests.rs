use super::*;

#[test]
fn udp_gets_the_port_that_tcp_was_given() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let opened = open(address.parse().unwrap(), 3, &[]).unwrap();
        let [listening] = opened.as_slice() else { panic!("{opened:?}") };
        assert_ne!(listening.address.port(), 0);
        assert_eq!(listening.tcp.local_addr().unwrap(), listening.address);
        assert_eq!(listening.udp.len(), 3);
        assert!(listening.udp.iter().all(|socket| socket.local_addr().unwrap() == listening.address));
    }
}

#[test]
fn a_taken_address_names_itself_its_protocol_and_its_holder() {
    let first = open("127.0.0.1:0".parse().unwrap(), 1, &[]).unwrap();
    let address = first[0].address;
    let error = open(address, 1, &[]).unwrap_err().to_string();
    assert!(error.contains(&format!("{address} (TCP)")), "{error}");
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
}

#[test]
fn a_udp_port_is_not_shared_with_another_server() {
    let other = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    other.set_reuse_port(true).unwrap();
    // An address on which no other test has TCP ports.
    other.bind(&"127.0.3.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let address = other.local_addr().unwrap().as_socket().unwrap();
    let error = open(address, 1, &[]).unwrap_err();
    assert!(matches!(error, BindError::Taken { protocol: Protocol::Udp, holder: Some(_), .. }), "{error}");
}

#[test]
fn an_address_of_another_host_is_refused_by_name() {
    let error = open("198.51.100.1:0".parse().unwrap(), 1, &[]).unwrap_err();
    assert!(matches!(error, BindError::NotLocal { .. }), "{error}");
    assert!(error.to_string().contains("198.51.100.1"), "{error}");
}

#[test]
fn a_wildcard_stands_for_the_local_addresses_of_its_family() {
    let addresses = expand("0.0.0.0:53".parse().unwrap()).unwrap();
    assert!(addresses.contains(&"127.0.0.1:53".parse().unwrap()), "{addresses:?}");
    assert!(addresses.iter().all(|address| address.is_ipv4() && !address.ip().is_unspecified()), "{addresses:?}");
    assert_eq!(expand("127.0.0.1:53".parse().unwrap()).unwrap(), ["127.0.0.1:53".parse().unwrap()]);
}

#[test]
fn a_wildcard_is_one_listener() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let address: SocketAddr = address.parse().unwrap();
        let opened = open(address, 2, &[]).unwrap();
        let [listening] = opened.as_slice() else { panic!("{opened:?}") };
        assert_eq!((listening.address.ip(), listening.wildcard), (address.ip(), Some(address)));
        assert!(listening.udp.iter().all(|socket| socket.local_addr().unwrap() == listening.address));
    }
}

#[test]
fn a_wildcard_of_which_one_address_is_taken_is_a_listener_for_each_of_the_interfaces() {
    // As systemd-resolved does at port 53: an address that no interface has.
    let other = TcpListener::bind("127.0.3.3:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let wildcard = SocketAddr::new([0, 0, 0, 0].into(), port);
    let opened = open(wildcard, 1, &[]).unwrap();
    let addresses: Vec<SocketAddr> = opened.iter().map(|one| one.address).collect();
    assert_eq!(addresses, expand(wildcard).unwrap());
    assert!(opened.iter().all(|one| one.wildcard == Some(wildcard)));
}

#[test]
fn all_addresses_of_a_wildcard_share_one_chosen_port() {
    let opened = open_all("[::]:0".parse().unwrap(), 1, &[]).unwrap();
    assert!(!opened.is_empty());
    assert!(opened.iter().all(|one| one.address.port() == opened[0].address.port()), "{opened:?}");
}
