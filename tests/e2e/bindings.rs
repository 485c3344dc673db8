//! Networks with IPv6, and ports that are published on all kinds of addresses.
//!
//! **Limits:** dockerd 20.10 makes no NAT for IPv6 unless its experimental `--ip6tables` is on, so that its proxy program
//! carries connections to IPv6 addresses of the host; they are made here, but not from another machine.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream},
};

use crate::{
    containers::{HOST, Inside, gone, outside, watched},
    dns::{A, AAAA, NOERROR, SRV},
    dockerd::{Docker, GATEWAY},
    sandbox::scenario,
    server::Place,
    until::{SOON, until},
};

#[test]
fn both_families_and_all_bindings_are_answered() {
    both_families("container-bindings", Place::Host);
}

#[test]
fn both_families_and_all_bindings_are_answered_by_a_server_in_a_container() {
    both_families("container-bindings-inside", Place::Container);
}

fn both_families(name: &str, place: Place) {
    scenario(name, |sandbox| {
        for address in [HOST_V6, OTHER_V4, OTHER_V6] {
            sandbox.run(&format!("ip address add {address} dev lo"));
        }
        let docker = Docker::start(sandbox, "").has_images();
        docker.run(&format!("network create --ipv6 --subnet 172.31.0.0/24 --subnet {NETWORK_V6}::/64 six"));
        let visitor = Inside::on(&docker, "six", "visitor");
        // The bridge's own address of IPv6 is there when it has been found free.
        let bridge = format!("{NETWORK_V6}::1").parse::<Ipv6Addr>().unwrap();
        until("the bridge has its address", SOON, || {
            let tentative = sandbox.run(&format!("ip -6 address show tentative to {bridge}"));
            (tentative.is_empty() && !sandbox.run(&format!("ip -6 address show to {bridge}")).is_empty()).then_some(())
        });
        let listen = format!("--dns 172.31.0.1:53 --dns [{bridge}]:53 --advertise {HOST_V6}");
        let _server = watched(&docker, place, &listen);
        // The same container, over each family.
        let visitors = [visitor.at(Ipv4Addr::new(172, 31, 0, 1)), visitor.at(bridge)];

        // What is published, then what everybody outside is answered.
        for (number, (publish, v4, v6)) in [
            ("8080:80", Some(HOST), Some(HOST_V6)),
            ("0.0.0.0:8080:80", Some(HOST), None),
            ("[::]:8080:80", None, Some(HOST_V6)),
            ("198.51.100.7:8080:80", Some(OTHER_V4), None),
            ("[2001:db8::7]:8080:80", None, Some(OTHER_V6)),
            ("198.51.100.7:8080:80 -p [2001:db8::7]:8080:80", Some(OTHER_V4), Some(OTHER_V6)),
            // Who asks on loopback is on this host.
            ("127.0.0.1:8080:80", Some("127.0.0.1"), None),
            ("127.0.0.1:8080:80 -p 198.51.100.7:8081:80", Some(OTHER_V4), None),
        ]
        .into_iter()
        .enumerate()
        {
            let service = format!("s{number}");
            docker.serves(&service, &format!("--network six -p {publish} -e SERVICE_NAME={service}"));
            let name = format!("{service}.service.internal");
            let port = if publish.contains(":8081:") { 8081 } else { 8080 };
            let expected = [v4, v6].map(|address| address.map(|text| text.parse::<IpAddr>().unwrap()));
            until(&format!("{publish} is answered outside"), SOON, || {
                (answered(&outside, &name) == (expected.map(Vec::from_iter), vec![port])).then_some(())
            });
            for address in expected.into_iter().flatten() {
                // The container answers a moment after it was started.
                until(&format!("-p {publish} serves at {address} port {port}"), SOON, || {
                    serves(address, port).then_some(())
                });
            }
            let own = own_addresses(&docker, &service);
            for visitor in &visitors {
                // As a stub would: one datagram may be lost while listeners come and go.
                let inside =
                    |name: &str, kind| until("a container is answered", SOON, || visitor.asker().ask(name, kind).ok());
                assert_eq!(answered(&inside, &name), (own.map(|own| vec![own]), vec![80]), "-p {publish}, inside");
            }
            docker.run(&format!("rm -f {service}"));
            gone(&name);
        }
        on_loopback_alone(&docker);
    });
}

/// A port that is published on loopback alone is nowhere for others, with and without IPv6.
fn on_loopback_alone(docker: &Docker<'_>) {
    docker.serves("hidden", "--network six -p 127.0.0.1:8080:80 -p [::1]:8080:80 -e SERVICE_NAME=hidden");
    let other = Inside::on(docker, "bridge", "other");
    until("it is known", SOON, || (outside("hidden", A).addresses == [Ipv4Addr::LOCALHOST]).then_some(()));
    for kind in [A, AAAA] {
        let answer = other.asker().ask("hidden", kind).unwrap();
        assert_eq!((answer.rcode, answer.addresses), (NOERROR, vec![]), "asked at {GATEWAY} from the default bridge");
    }
    until("it serves on loopback", SOON, || serves(Ipv6Addr::LOCALHOST.into(), 8080).then_some(()));
}

/// Addresses of both families, and ports.
fn answered(ask: &dyn Fn(&str, u16) -> crate::dns::Answer, name: &str) -> ([Vec<IpAddr>; 2], Vec<u16>) {
    ([A, AAAA].map(|kind| ask(name, kind).addresses), ask(name, SRV).ports)
}

/// The daemon's own word for a container's addresses.
fn own_addresses(docker: &Docker<'_>, container: &str) -> [IpAddr; 2] {
    let told =
        |field: &str| docker.run(&format!("inspect -f '{{{{.NetworkSettings.Networks.six.{field}}}}}' {container}"));
    ["IPAddress", "GlobalIPv6Address"].map(|field| told(field).trim().parse().unwrap())
}

/// Whether an HTTP server answers there.
fn serves(address: IpAddr, port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((address, port)) else { return false };
    let mut text = String::new();
    let asked = stream.write_all(b"GET / HTTP/1.0\r\n\r\n").and_then(|()| stream.read_to_string(&mut text));
    asked.is_ok() && text.starts_with("HTTP/1.")
}

/// The host's second address.
const HOST_V6: &str = "2001:db8::101";

/// Other addresses of the host, of both families.
const OTHER_V4: &str = "198.51.100.7";
const OTHER_V6: &str = "2001:db8::7";

/// The first half of the addresses of the network.
const NETWORK_V6: &str = "fd00:31";
