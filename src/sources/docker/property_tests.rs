//! No document, whatever is in it, ends in a panic, or in registrations that the catalog does not take.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{testing::*, *};
use crate::catalog::{
    change::{Change, Origin, Registration},
    node::Node,
    service::{NetworkAddress, TaggedAddress},
    state::State,
    table::Seed,
};

fn any_key() -> impl Strategy<Value = String> {
    let names = "NAME TAGS ID IGNORE PORTS REGION 8080 CHECK_HTTP CHECK_HTTPS CHECK_CMD CHECK_SCRIPT CHECK_TTL CHECK_TCP \
                 CHECK_GRPC CHECK_INTERVAL CHECK_TIMEOUT CHECK_INITIAL_STATUS CHECK_DEREGISTER_AFTER CHECK_HTTP_METHOD";
    let names: Vec<&str> = names.split_whitespace().collect();
    let port = select(vec!["", "80_", "81_", "53_", "99999_", "_", "é_"]);
    prop_oneof![
        8 => (port, select(names)).prop_map(|(port, name)| format!("SERVICE_{port}{name}")),
        1 => "SERVICE_\\PC{0,12}",
        1 => "\\PC{0,8}",
        1 => Just("com.docker.compose.service".to_owned()),
        1 => Just("com.docker.compose.project".to_owned()),
        1 => Just("ip".to_owned()),
    ]
}

fn any_value() -> impl Strategy<Value = String> {
    let known = [
        "",
        "web",
        "n1:web:80",
        "a,b",
        "\\,",
        "80,53/udp",
        "1-65535",
        "10s",
        "1ns",
        "/x",
        "192.0.2.9/24",
        "passing",
        "::",
        "x y",
    ];
    prop_oneof![
        6 => select(known.to_vec()).prop_map(str::to_owned),
        2 => "\\PC{0,16}",
        1 => any::<String>(),
        1 => "[a-z]{600}",
    ]
}

fn any_port() -> impl Strategy<Value = String> {
    let known =
        ["80/tcp", "80/udp", "80", "81/tcp", "53/udp", "0/tcp", "65536/tcp", "7/sctp", "7/x", "/", "", "80-82/tcp"];
    prop_oneof![8 => select(known.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,6}"]
}

fn any_binding() -> impl Strategy<Value = Value> {
    let address =
        select(vec!["", "0.0.0.0", "::", "127.0.0.1", "::1", "192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", "x"]);
    let port = select(vec!["", "0", "80", "8080", "65536", "-1", "x"]);
    (address, port).prop_map(|(address, port)| json!({"HostIp": address, "HostPort": port}))
}

fn any_endpoint() -> impl Strategy<Value = Value> {
    let v4 = select(vec!["", "172.17.0.2", "0.0.0.0", "127.0.0.1", "x", "2001:db8::3"]);
    let v6 = select(vec!["", "2001:db8:1::2", "::", "192.0.2.3"]);
    let length = select(vec![-1_i64, 0, 16, 32, 64, 128, 300]);
    (v4, v6, length.clone(), length).prop_map(|(v4, v6, short, long)| {
        json!({"IPAddress": v4, "IPPrefixLen": short, "GlobalIPv6Address": v6, "GlobalIPv6PrefixLen": long})
    })
}

fn any_document() -> impl Strategy<Value = Value> {
    let status =
        select(vec!["running", "running", "running", "paused", "stopping", "exited", "restarting", "created", "?"]);
    let health =
        select(vec![json!(null), json!({"Status": "healthy"}), json!({"Status": "?", "Log": [null, {"Output": "é"}]})]);
    let mode = select(vec!["default", "bridge", "host", "none", "app", "container:x", "container:", ""]);
    let name =
        prop_oneof![6 => select(vec!["/web", "", "/", "web", "/n1:web"]).prop_map(str::to_owned), 1 => "\\PC{0,300}"];
    let image = prop_oneof![6 => select(vec!["nginx", "", "a/b:c", "sha256:00", "@", ":"]).prop_map(str::to_owned), 1 => any::<String>()];
    let pairs = || vec((any_key(), any_value()), 0..10);
    let networks = vec((select(vec!["bridge", "app", "ingress", "lan", "é"]), any_endpoint()), 0..4);
    (
        (status, health, mode, name, image),
        (pairs(), pairs(), vec(any_port(), 0..5), vec((any_port(), vec(any_binding(), 0..4)), 0..5), networks),
    )
        .prop_map(|((status, health, mode, name, image), (env, labels, exposed, published, networks))| {
            let env: Vec<String> = env.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
            let labels: BTreeMap<String, String> = labels.into_iter().collect();
            let exposed: BTreeMap<String, Value> = exposed.into_iter().map(|port| (port, json!({}))).collect();
            let published: BTreeMap<String, Vec<Value>> = published.into_iter().collect();
            let networks: BTreeMap<&str, Value> = networks.into_iter().collect();
            json!({
                "Id": "é", "Name": name, "State": {"Status": status, "Health": health},
                "Config": {"Image": image, "Env": env, "Labels": labels, "ExposedPorts": exposed},
                "HostConfig": {"NetworkMode": mode},
                "NetworkSettings": {"Ports": published, "Networks": networks},
            })
        })
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let address = select(vec![AddressMode::Auto, AddressMode::Auto, AddressMode::Host, AddressMode::Container]);
    let template = || select(vec![None, Some("{{.Name}},{{index .Config.Env 0}}"), Some("\u{1}")]);
    let ip = select(vec![None, Some("192.0.2.9"), Some("127.0.0.1"), Some("::")]);
    (address, template(), template(), ip, any::<bool>()).prop_map(|(address, tags, name, ip, flag)| Settings {
        address,
        tags: tags.map(|text| Template::parse(text).unwrap()),
        name: name.map(|text| Template::parse(text).unwrap()),
        ip: ip.and_then(|ip| ip.parse().ok()),
        explicit: flag,
        ip_label: flag.then(|| "ip".to_owned()),
        network: flag.then(|| "app".to_owned()),
        ..settings()
    })
}

proptest! {
    #[test]
    fn any_document_maps_to_what_the_catalog_takes(document in any_document(), joined in any_document(), settings in any_settings(), flag: bool) {
        let container = Container::read(document.to_string().as_bytes()).unwrap();
        let joined = Container::read(joined.to_string().as_bytes()).unwrap();
        let around = Surroundings { joined: flag.then_some(&joined), stopping: flag, ..known("lan", network("macvlan")) };
        let mapped = map(&container, &settings, &around);
        prop_assert_eq!(&mapped, &map(&container, &settings, &around));
        let ids: BTreeSet<_> = mapped.registrations.iter().map(|one| one.instance.id.clone()).collect();
        prop_assert_eq!(ids.len(), mapped.registrations.len(), "IDs are different");
        prop_assert_eq!(mapped.registrations.is_empty(), mapped.fate != Fate::Registered);
        for Registration { instance, checks, .. } in &mapped.registrations {
            prop_assert!(instance.address.is_some() || !instance.network_addresses.is_empty(), "it is somewhere");
            prop_assert!(instance.network_addresses.is_sorted_by_key(|there| there.network));
            prop_assert!(instance.network_addresses.iter().all(|there| there.ports.len() <= 1));
            let tagged = |there: &NetworkAddress| {
                let port = there.ports.first().copied().unwrap_or(0);
                let is_it = |one: &TaggedAddress| one.address.ip() == Some(there.address) && one.port == port;
                instance.tagged_addresses.iter().any(is_it)
            };
            prop_assert!(instance.network_addresses.iter().all(tagged), "the API shows all of them");
            prop_assert!(checks.iter().all(|check| check.service_id.as_ref() == Some(&instance.id)));
        }
        let mut state = State::new(Seed(7), 100);
        state.apply(Change::RegisterNode(Node::example("n1"))).unwrap();
        let registrations = mapped.registrations.clone();
        let all = ids.len();
        state.apply(Change::ReplaceOrigin { node: settings.node.clone(), origin: Origin::Docker, registrations }).unwrap();
        prop_assert_eq!(state.of_origin(&settings.node, Origin::Docker).len(), all);
        for (key, result) in mapped.results() {
            state.apply(Change::SetStatus { key, result }).unwrap();
        }
    }

    #[test]
    fn any_bytes_are_a_document_or_an_error(bytes: Vec<u8>) {
        let _ = Container::read(&bytes);
    }
}
