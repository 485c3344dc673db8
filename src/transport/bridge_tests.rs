use super::*;

#[test]
fn loopback_has_its_address_as_an_interface() {
    let found = addresses("lo").unwrap();
    assert!(found.contains(&Ipv4Addr::LOCALHOST.into()), "{found:?}");
    assert_eq!(addresses("no-such").unwrap(), Vec::<IpAddr>::new());
}

#[test]
fn who_lies_in_the_network_of_an_address_shares_it() {
    for (one, other, bits, shares) in [
        ([172, 17, 0, 2], [172, 17, 0, 1], 16, true),
        ([172, 17, 255, 2], [172, 17, 0, 1], 16, true),
        ([172, 18, 0, 2], [172, 17, 0, 1], 16, false),
        ([192, 0, 2, 1], [192, 0, 2, 1], 32, true),
        ([192, 0, 2, 2], [192, 0, 2, 1], 32, false),
        // What has no mask is in no network.
        ([192, 0, 2, 2], [192, 0, 2, 1], 0, false),
    ] {
        assert_eq!(shares_network(one.into(), other.into(), bits), shares, "{one:?} {other:?}/{bits}");
    }
}

#[test]
fn the_neighbour_is_the_bridge_only_by_its_ethernet_address() {
    let bridge = Bridge {
        name: "docker0".to_owned(),
        address: Ipv4Addr::new(172, 17, 0, 1),
        hardware: [0x02, 0x42, 0xac, 0x11, 0x00, 0x0a],
    };
    for (line, is) in [
        ("172.17.0.1       0x1         0x2         02:42:ac:11:00:0a     *        eth0", true),
        ("172.17.0.1       0x1         0x2         02:42:ac:11:00:0b     *        eth0", false),
        ("172.17.0.2       0x1         0x2         02:42:ac:11:00:0a     *        eth0", false),
        ("172.17.0.1       0x1         0x0         00:00:00:00:00:00     *        eth0", false),
        ("IP address       HW type     Flags       HW address            Mask     Device", false),
    ] {
        assert_eq!(is_bridge(line, &bridge), is, "{line}");
    }
}

#[test]
fn an_answer_over_either_protocol_is_recognized() {
    let udp = UdpSocket::bind("127.0.5.1:0").unwrap();
    let server = udp.local_addr().unwrap();
    let tcp = std::net::TcpListener::bind(server).unwrap();
    let mut response = QUERY.to_vec();
    response[2] |= 0x80;
    let answering = std::thread::spawn(move || {
        let mut bytes = [0; 512];
        // What is no response to it is passed over.
        let (length, peer) = udp.recv_from(&mut bytes).unwrap();
        udp.send_to(&bytes[..length], peer).unwrap();
        let (_, peer) = udp.recv_from(&mut bytes).unwrap();
        udp.send_to(&response, peer).unwrap();
        let (mut stream, _) = tcp.accept().unwrap();
        let mut query = vec![0; 2 + QUERY.len()];
        stream.read_exact(&mut query).unwrap();
        assert_eq!(query[2..], *QUERY);
        stream.write_all(&[&query[..2], &response].concat()).unwrap();
    });
    ask_udp(server).unwrap();
    ask_tcp(server).unwrap();
    answering.join().unwrap();
}

#[test]
fn a_port_that_nobody_has_is_silent() {
    let server = UdpSocket::bind("127.0.5.2:0").unwrap().local_addr().unwrap();
    ask_udp(server).unwrap_err();
    ask_tcp(server).unwrap_err();
}
