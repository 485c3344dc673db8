use proptest::prelude::*;

use super::*;
use crate::{
    catalog::{
        check::CheckStatus,
        node::Address,
        service::{IpNetwork, NetworkAddress, TaggedAddress},
        spanning::SpanningNetwork,
        testing::{check, instance, key},
    },
    sources::etcd::{
        generate::{any_node_registration, any_registration, told, told_node},
        kept::{Revisions, read_key, read_session, write_key, write_session},
        kept_access::{read_policy, read_token, write_policy, write_token},
        kept_event::{read_event, write_event},
        kept_query::{read_query, write_query},
        layout::{Kept, Layout, Place},
    },
};

fn read(value: &str) -> Result<Registration, DocumentError> {
    read_instance(&key("n1", "web-1"), value.as_bytes()).map(|(registration, _)| registration)
}

#[track_caller]
fn refused(value: &str, expected: &str) {
    let error = read(value).unwrap_err().to_string();
    assert!(error.starts_with(expected), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_instance_is_read_as_it_was_written(registration in any_registration("n1")) {
        let value = write_instance(&registration.instance, &SpanningNetworks::default(), registration.checks.iter(), Outputs::Whole).unwrap();
        prop_assert_eq!(read_instance(&registration.instance.key(), &value).unwrap().0, told(registration));
    }

    #[test]
    fn a_node_is_read_as_it_was_written(registration in any_node_registration("n1")) {
        let told = ("dc1", registration.nameplate.as_ref());
        let value = write_node(&registration.node, registration.checks.iter(), told, Outputs::Whole).unwrap();
        prop_assert_eq!(read_node(&registration.node.name, &value).unwrap(), told_node(registration));
    }

    #[test]
    fn what_is_cut_or_changed_is_read_or_refused(registration in any_registration("n1"), at: usize, byte: u8) {
        let mut value = write_instance(&registration.instance, &SpanningNetworks::default(), registration.checks.iter(), Outputs::Whole).unwrap();
        let at = at % value.len();
        prop_assert!(read_instance(&registration.instance.key(), &value[..at]).is_err());
        value[at] = byte;
        let _ = read_instance(&registration.instance.key(), &value);
        let _ = read_node(&registration.instance.node, &value);
    }

    #[test]
    fn any_bytes_are_read_or_refused(value: Vec<u8>) {
        let _ = read_node(&key("n1", "x").node, &value);
        let _ = read_instance(&key("n1", "x"), &value);
    }
}

#[test]
fn addresses_for_client_networks_are_left_out() {
    let there = NetworkAddress {
        network: IpNetwork::parse("198.51.100.0/24").unwrap(),
        address: "198.51.100.7".parse().unwrap(),
        ports: Box::new([80]),
    };
    let tagged =
        |role: &str| TaggedAddress { role: role.into(), address: Address::parse("198.51.100.7").unwrap(), port: 80 };
    let with = Instance {
        network_addresses: [there].into_iter().collect(),
        tagged_addresses: ["docker_app_ipv6", "docker_bridge_ipv4", "lan_ipv4"].map(tagged).into_iter().collect(),
        origin: Origin::Docker,
        ..instance("web", "web-1")
    };
    let told = |with: &Instance| {
        let value = write_instance(with, &SpanningNetworks::default(), std::iter::empty(), Outputs::Whole).unwrap();
        read_instance(&with.key(), &value).unwrap().0.instance
    };
    let lan = [tagged("lan_ipv4")].into_iter().collect();
    let without = Instance {
        tagged_addresses: lan,
        origin: Origin::Cluster,
        network_addresses: Default::default(),
        ..with.clone()
    };
    assert_eq!(told(&with), without);
    // What a client calls so is no container's.
    let of_client = Instance { origin: Origin::Api, network_addresses: Default::default(), ..with };
    assert_eq!(told(&of_client).tagged_addresses, of_client.tagged_addresses);
}

#[test]
fn addresses_in_networks_that_span_machines_are_written_by_their_ids() {
    let [subnet, bridge] = ["198.51.100.0/24", "192.0.2.0/24"].map(|text| IpNetwork::parse(text).unwrap());
    let address: IpAddr = "198.51.100.7".parse().unwrap();
    let there = |network| NetworkAddress { network, address, ports: Box::new([80]) };
    let tagged = |role: &str| TaggedAddress { role: role.into(), address: Address::Ip(address), port: 80 };
    let with = Instance {
        network_addresses: [there(subnet)].into_iter().collect(),
        tagged_addresses: [tagged("docker_shop_ipv4")].into_iter().collect(),
        origin: Origin::Docker,
        ..instance("web", "web-1")
    };
    let shop = SpanningNetwork { id: "qvib".into(), name: "shop".into(), subnets: vec![subnet], clients: vec![bridge] };
    let networks = SpanningNetworks(vec![shop]);
    let value = write_instance(&with, &networks, std::iter::empty(), Outputs::Whole).unwrap();
    let text = std::str::from_utf8(&value).unwrap();
    assert!(text.contains(r#""NetworkAddresses":{"qvib":[{"Address":"198.51.100.7","Port":80}]}"#), "{text}");
    let (read, spanning) = read_instance(&with.key(), &value).unwrap();
    assert!(read.instance.network_addresses.is_empty() && read.instance.tagged_addresses.is_empty());
    assert_eq!(spanning, SpanningAddresses::from([("qvib".into(), vec![tagged("")])]));
    // Of whoever has no such network nothing is told.
    let value = write_instance(&with, &SpanningNetworks::default(), std::iter::empty(), Outputs::Whole).unwrap();
    assert!(!std::str::from_utf8(&value).unwrap().contains("198.51.100.7"));
}

#[test]
fn what_another_program_writes_is_taken_as_consul_would() {
    let registration = read(
        r#"{"Service": {"Service": "web", "Port": 80, "Ports": [{"Name": "admin", "Port": 81}], "Tags": null, "New": {}},
            "Checks": [{"CheckID": "c"}, {"CheckID": "a", "Status": "passing", "Definition": {"TCP": "192.0.2.7:80", "HTTP": "", "Interval": "10s"}},
                       {"CheckID": "c", "Status": "passing"}], "Later": 1}"#,
    )
    .unwrap();
    let ports: Vec<_> = registration.instance.ports.iter().map(|port| (port.number, port.default)).collect();
    assert_eq!((registration.instance.id.as_str(), ports), ("web-1", vec![(80, true), (81, false)]));
    assert_eq!((registration.instance.weights.passing, registration.instance.tags.len()), (1, 0));
    let checks: Vec<_> = registration.checks.iter().map(|check| (check.id.as_str(), check.status)).collect();
    assert_eq!(checks, [("a", CheckStatus::Passing), ("c", CheckStatus::Critical)]);
    assert_eq!(registration.checks[0].definition.kind.as_str(), "tcp");
    let named = |text: &str| read(text).unwrap().instance.default_port().map(|port| port.number);
    assert_eq!(
        named(
            r#"{"Service": {"Service": "web", "Port": 81, "Ports": [{"Name": "a", "Port": 80}, {"Name": "b", "Port": 81}]}}"#
        ),
        Some(81)
    );
    // The kind of a check that a newer nameplate knows.
    let newer = read(
        r#"{"Service": {"Service": "web"}, "Checks": [{"CheckID": "c", "Type": "new", "Definition": {"New": "x"}}]}"#,
    );
    assert_eq!(newer.unwrap().checks[0].definition.kind.as_str(), "");
}

#[test]
fn what_is_wrong_is_said_with_its_field() {
    refused("", "EOF");
    refused("[]", "invalid length 0");
    refused("{}", "missing field `Service`");
    refused(r#"{"Service": {"Service": "web"}} x"#, "trailing characters");
    refused(r#"{"Service": {"Service": ""}}"#, "Service.Service: must not be empty");
    refused(r#"{"Service": {"Service": "web", "Port": "80"}}"#, "Service.Port: invalid type: string \"80\"");
    refused(r#"{"Service": {"Service": "web", "ID": "web-2"}}"#, "Service.ID: must be \"web-1\", as the key says");
    refused(r#"{"Service": {"Service": "web", "Address": "0.0.0.0"}}"#, "Service.Address: must not be the unspecified");
    refused(r#"{"Service": {"Service": "web", "Tags": ["a", ""]}}"#, "Service.Tags[1]: must not be empty");
    refused(
        r#"{"Service": {"Service": "web", "Ports": [{"Name": "a", "Port": 0}]}}"#,
        "Service.Ports[0].Port: must be",
    );
    refused(
        r#"{"Service": {"Service": "web", "Ports": [{"Name": "a", "Port": 1}, {"Name": "A", "Port": 2}]}}"#,
        "Service.Ports[1].Name: another port has this name",
    );
    refused(
        r#"{"Service": {"Service": "web", "NetworkAddresses": {"x": [{"Address": "a.example"}]}}}"#,
        "Service.NetworkAddresses.x[0].Address: must be an IP address",
    );
    refused(
        r#"{"Service": {"Service": "web", "TaggedAddresses": {"lan": {"Address": "a b"}}}}"#,
        "Service.TaggedAddresses.lan.Address: must be an IP address",
    );
    refused(
        r#"{"Service": {"Service": "web"}, "Checks": [{"CheckID": "c", "Status": "up"}]}"#,
        "Checks[0].Status: must be \"passing\"",
    );
    refused(r#"{"Service": {"Service": "web"}, "Checks": [{"CheckID": ""}]}"#, "Checks[0].CheckID: must be 1 to 512");
    for span in [r#""1""#, "-1", "{}", r#""900000h""#] {
        let text = format!(
            r#"{{"Service": {{"Service": "web"}}, "Checks": [{{"CheckID": "c", "Definition": {{"TTL": {span}}}}}]}}"#
        );
        refused(&text, "Checks[0].Definition.TTL: expected a duration");
    }
    let error = read_node(&key("n1", "x").node, br#"{"Node": {"Node": "n2", "Address": "192.0.2.1"}}"#).unwrap_err();
    assert_eq!(error.field, "Node.Node");
}

#[test]
fn a_document_is_at_most_a_mebibyte_and_outputs_are_the_first_to_go() {
    let long = "x".repeat(4096);
    let id = |number: usize| crate::catalog::names::CheckId::new(format!("c{number:04}")).unwrap();
    let checks = |count: usize| -> Vec<Check> {
        let one = |number| Check {
            id: id(number),
            output: (&*long).into(),
            ..check("c", Some("web-1"), CheckStatus::Warning)
        };
        (0..count).map(one).collect()
    };
    let written = |count: usize| {
        write_instance(&instance("web", "web-1"), &SpanningNetworks::default(), checks(count).iter(), Outputs::Whole)
    };
    let output = |count: usize| {
        let registration = read_instance(&key("n1", "web-1"), &written(count).unwrap()).unwrap().0;
        assert_eq!((registration.checks.len(), registration.checks[0].status), (count, CheckStatus::Warning));
        registration.checks[0].shown_output().len()
    };
    assert_eq!((output(100), output(1000)), (4096, 0));
    let error = written(20_000).unwrap_err();
    assert!(error.bytes > DOCUMENT_MAX_BYTES && error.to_string().contains("without the outputs"), "{error}");
    let large = format!(r#"{{"Service": {{"Service": "web"}}}}{}"#, " ".repeat(DOCUMENT_MAX_BYTES));
    refused(&large, "it has 1048");
}

#[test]
fn the_examples_of_the_documentation_are_what_is_written() {
    let text = include_str!("../../../docs/etcd.md");
    let layout = Layout::new("/nameplate");
    let mut examples = 0;
    for (before, after) in text.match_indices("```json\n").map(|(at, fence)| (&text[..at], &text[at + fence.len()..])) {
        let key = before.trim_end().lines().last().and_then(|line| line.strip_prefix('`')?.strip_suffix("`:")).unwrap();
        let value = after.split("```").next().unwrap();
        let written = match layout.place(key.as_bytes()) {
            None => kept_again(&layout.kept(key.as_bytes()).unwrap(), value.as_bytes()),
            Some(Place::Node(name)) => {
                let read = read_node(&name, value.as_bytes()).unwrap();
                let told = ("dc1", read.nameplate.as_ref());
                write_node(&read.node, read.checks.iter(), told, Outputs::Whole).unwrap()
            }
            Some(Place::Instance(key)) => {
                let (read, _) = read_instance(&key, value.as_bytes()).unwrap();
                write_instance(&read.instance, &SpanningNetworks::default(), read.checks.iter(), Outputs::Whole)
                    .unwrap()
            }
        };
        let [value, written] =
            [value.as_bytes(), &written].map(|text| serde_json::from_slice::<serde_json::Value>(text).unwrap());
        assert_eq!(written, value, "{key}");
        examples += 1;
    }
    assert_eq!(examples, 9);
}

/// What is written of what was read.
fn kept_again(kept: &Kept, value: &[u8]) -> Vec<u8> {
    let revisions = Revisions { create: 1, modify: 1 };
    match kept {
        Kept::Key(key) => write_key(&read_key(key, value, revisions).unwrap()).unwrap(),
        Kept::Session(id) => write_session(&read_session(id, value).unwrap()).unwrap(),
        Kept::Event(slot) => write_event(&read_event(*slot, value).unwrap()).unwrap(),
        Kept::Query(id) => write_query(&read_query(id, value, revisions).unwrap().query).unwrap(),
        Kept::Policy(id) => write_policy(&read_policy(id, value, Revisions { create: 1, modify: 1 }).unwrap()).unwrap(),
        Kept::Token(id) => {
            write_token(&read_token(id, value, (Revisions { create: 1, modify: 1 }, 7)).unwrap()).unwrap()
        }
        other => panic!("{other:?} has no example"),
    }
}
