use serde_json::{Value, json};

use super::*;

#[track_caller]
fn check(linked: Linked, alias: &str, expected: &[&str]) {
    let mut variables: Vec<_> =
        linked.variables(alias, "app").into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    variables.sort();
    assert_eq!(variables, expected);
}

fn entries(all: Value) -> Vec<HealthEntry> {
    serde_json::from_value(all).unwrap()
}

fn entry(service: Value) -> HealthEntry {
    entries(json!([{ "Node": { "Node": "n1", "Address": "192.0.2.1" }, "Service": service, "Checks": [] }])).remove(0)
}

/// Protocol, own number, and where it is reached, as `tcp 80 192.0.2.1:8080`.
fn shown(ports: &[LinkedPort]) -> Vec<String> {
    ports.iter().map(|port| format!("{} {} {}:{}", port.protocol.1, port.number, port.host, port.port)).collect()
}

#[test]
fn a_port_has_five_variables_and_the_lowest_of_tcp_is_the_first() {
    let ports = vec![
        LinkedPort::new("udp", 53, ("192.0.2.9", 53)),
        LinkedPort::new("tcp", 5432, ("192.0.2.9", 5432)),
        LinkedPort::new("tcp", 8080, ("2001:db8::1", 32768)),
    ];
    let environment = ["A=b=c", "EMPTY=", "HOME=/", "PATH=/bin", "none"].map(str::to_owned).to_vec();
    check(
        Linked { ports, environment },
        "my-pg.1",
        &[
            "MY_PG.1_ENV_A=b=c",
            "MY_PG.1_ENV_EMPTY=",
            "MY_PG.1_NAME=/app/my-pg.1",
            "MY_PG.1_PORT=tcp://192.0.2.9:5432",
            "MY_PG.1_PORT_53_UDP=udp://192.0.2.9:53",
            "MY_PG.1_PORT_53_UDP_ADDR=192.0.2.9",
            "MY_PG.1_PORT_53_UDP_PORT=53",
            "MY_PG.1_PORT_53_UDP_PROTO=udp",
            "MY_PG.1_PORT_5432_TCP=tcp://192.0.2.9:5432",
            "MY_PG.1_PORT_5432_TCP_ADDR=192.0.2.9",
            "MY_PG.1_PORT_5432_TCP_PORT=5432",
            "MY_PG.1_PORT_5432_TCP_PROTO=tcp",
            "MY_PG.1_PORT_8080_TCP=tcp://[2001:db8::1]:32768",
            "MY_PG.1_PORT_8080_TCP_ADDR=2001:db8::1",
            "MY_PG.1_PORT_8080_TCP_PORT=32768",
            "MY_PG.1_PORT_8080_TCP_PROTO=tcp",
        ],
    );
    check(Linked::default(), "db", &["DB_NAME=/app/db"]);
}

#[test]
fn three_ports_in_a_row_are_a_range_and_two_are_none() {
    let ranges = |numbers: &[u16]| {
        let ports = numbers.iter().map(|number| LinkedPort::new("tcp", *number, ("192.0.2.9", *number))).collect();
        let all = Linked { ports, environment: Vec::new() }.variables("db", "app");
        let mut all: Vec<_> =
            all.into_iter().filter(|(name, _)| name.contains("START") || name.contains("END")).collect();
        all.sort();
        all.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(ranges(&[80, 81]), [""; 0]);
    assert_eq!(
        ranges(&[82, 80, 81, 65535]),
        [
            "DB_PORT_80_TCP_END=tcp://192.0.2.9:82",
            "DB_PORT_80_TCP_PORT_END=82",
            "DB_PORT_80_TCP_PORT_START=80",
            "DB_PORT_80_TCP_START=tcp://192.0.2.9:80",
        ]
    );
}

#[test]
fn an_instance_that_passes_is_linked_before_one_that_warns() {
    let all = |statuses: &[&str]| {
        let one = |(number, status): (usize, &&str)| {
            json!({ "Node": { "Node": "n1", "Address": "192.0.2.1" },
                    "Service": { "ID": number.to_string(), "Service": "db", "Port": 1 },
                    "Checks": [{ "CheckID": "c", "Status": "passing" }, { "CheckID": "d", "Status": status }] })
        };
        entries(statuses.iter().enumerate().map(one).collect())
    };
    for (statuses, expected) in [
        (&["critical", "warning", "passing", "passing"][..], Some("2")),
        (&["critical", "warning"], Some("1")),
        (&["critical"], None),
        (&[], None),
    ] {
        let all = all(statuses);
        assert_eq!(chosen(&all).map(|entry| entry.service.id.as_str()), expected, "{statuses:?}");
    }
}

#[test]
fn an_instance_is_reached_at_its_address_or_its_nodes() {
    let of = |service| shown(&of_instance(&entry(service)));
    assert_eq!(of(json!({ "ID": "a", "Port": 5432 })), ["tcp 5432 192.0.2.1:5432"]);
    assert_eq!(of(json!({ "ID": "a", "Port": 53, "Address": "192.0.2.7", "Tags": ["UDP"] })), ["udp 53 192.0.2.7:53"]);
    assert_eq!(
        of(json!({ "ID": "a", "Port": 80, "Ports": [{ "Name": "http", "Port": 80 }, { "Name": "api", "Port": 81 }] })),
        ["tcp 80 192.0.2.1:80", "tcp 81 192.0.2.1:81"]
    );
    assert_eq!(of(json!({ "ID": "a", "Port": 0 })), [""; 0]);
}

#[test]
fn a_containers_port_keeps_its_number_where_it_is_published_under_another() {
    let of = |address: &str, port: u16| {
        let tagged = json!({ "docker_bridge_ipv4": { "Address": "172.17.0.2", "Port": 5432 },
                             "docker_a_ipv4": { "Address": "172.31.0.2", "Port": 5432 } });
        let service =
            json!({ "ID": "a", "Port": port, "Address": address, "TaggedAddresses": tagged, "Origin": "docker" });
        shown(&of_instance(&entry(service)))
    };
    assert_eq!(of("192.0.2.1", 32768), ["tcp 5432 192.0.2.1:32768"]);
    assert_eq!(of("", 5432), ["tcp 5432 172.17.0.2:5432"], "published nowhere");
}

#[test]
fn a_container_is_reached_at_its_own_address() {
    let container = |mode: &str, networks: Value| {
        let document = json!({ "Name": "/db", "State": { "Running": true }, "HostConfig": { "NetworkMode": mode },
            "Config": { "ExposedPorts": { "5432/tcp": {}, "53/udp": {} } },
            "NetworkSettings": { "Ports": { "5432/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "32768" }] },
                                 "Networks": networks } });
        of_container(&Container::read(document.to_string().as_bytes()).unwrap())
    };
    let at = |address: &str| json!({ "IPAddress": address });
    let mut ports = container("b", json!({ "a": at("172.30.0.2"), "b": at("172.31.0.2") })).unwrap();
    ports.sort();
    ports.dedup();
    assert_eq!(shown(&ports), ["tcp 5432 172.31.0.2:5432", "udp 53 172.31.0.2:53"], "in the network of its mode");
    let ports = container("b", json!({ "b": at("172.31.0.2"), "bridge": at("172.17.0.2") })).unwrap();
    assert!(shown(&ports).iter().all(|port| port.contains(" 172.17.0.2:")), "in the default one before others");
    assert!(container("host", json!({ "host": at("") })).unwrap_err().to_string().contains("no address of its own"));
}

#[test]
fn a_link_is_a_name_and_an_alias() {
    let link = |target: &str, alias: &str| Ok(Link { target: target.to_owned(), alias: alias.to_owned() });
    assert_eq!("db:pg".parse(), link("db", "pg"));
    assert_eq!("web.shop".parse(), link("web.shop", "web.shop"));
    for wrong in ["", ":", "db:", ":pg", "db:p=g", "db:p g", "Grüße"] {
        assert!(wrong.parse::<Link>().is_err(), "{wrong}");
    }
}
