//! Small catalogs and random changes for tests: few names, so that they meet often.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    change::{Change, Origin, Registration},
    check::{Check, CheckDefinition, CheckKey, CheckKind, CheckResult, CheckStatus},
    names::{CheckId, NodeName, PortName, ServiceId, ServiceName, Tag},
    node::{Address, Node},
    service::{FurtherName, Instance, InstanceKey, IpNetwork, Meta, NetworkAddress, Port, TaggedAddress, Weights},
};

/// The key of an instance.
pub(crate) fn key(node: &str, id: &str) -> InstanceKey {
    InstanceKey { node: NodeName::new(node).unwrap(), id: ServiceId::new(id).unwrap() }
}

/// The key of a check.
pub(crate) fn check_key(node: &str, id: &str) -> CheckKey {
    CheckKey { node: NodeName::new(node).unwrap(), id: CheckId::new(id).unwrap() }
}

/// An instance on node `n1` at 192.0.2.1 with one port, 80.
pub(crate) fn instance(service: &str, id: &str) -> Instance {
    Instance {
        node: NodeName::new("n1").unwrap(),
        id: ServiceId::new(id).unwrap(),
        service: ServiceName::new(service).unwrap(),
        address: Some(Address::Ip("192.0.2.1".parse::<IpAddr>().unwrap())),
        ports: Arc::new([Port { name: None, number: 80, default: false }]),
        tags: Arc::default(),
        meta: Meta::default(),
        weights: Weights::default(),
        tagged_addresses: Default::default(),
        network_addresses: Default::default(),
        further_names: Default::default(),
        enable_tag_override: false,
        origin: Origin::Api,
    }
}

/// A check of an instance on node `n1`, or of that node.
pub(crate) fn check(id: &str, service_id: Option<&str>, status: CheckStatus) -> Check {
    Check {
        node: NodeName::new("n1").unwrap(),
        id: CheckId::new(id).unwrap(),
        service_id: service_id.map(|id| ServiceId::new(id).unwrap()),
        name: "check".into(),
        notes: "".into(),
        status,
        output: "".into(),
        target: "".into(),
        definition: Arc::new(CheckDefinition::unprobed(CheckKind::External)),
        origin: Origin::Api,
    }
}

/// A registration of this instance with these checks, all of the instance's origin.
pub(crate) fn registration(instance: Instance, checks: Vec<Check>) -> Registration {
    let origin = instance.origin;
    let checks = checks.into_iter().map(|check| Check { origin, ..check }).collect();
    Registration { instance, checks, replace_existing_checks: false }
}

/// The change that registers it.
pub(crate) fn register(registration: Registration) -> Change {
    Change::Register(Box::new(registration))
}

/// The change that sets a check's status.
pub(crate) fn set_status(node: &str, id: &str, status: CheckStatus, output: &str) -> Change {
    Change::SetStatus { key: check_key(node, id), result: CheckResult { status, output: output.into() } }
}

/// Any change to a small catalog.
pub(crate) fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => any_node().prop_map(Change::RegisterNode),
        1 => (any_node_name(), any_origin()).prop_map(|(name, origin)| Change::DeregisterNode { name, origin }),
        12 => any_registration().prop_map(register),
        4 => any_registration().prop_map(|one| Change::Mirror(Box::new(one))),
        3 => (any_key(), any_origin()).prop_map(|(key, origin)| Change::Deregister { key, origin }),
        2 => any_check().prop_map(|check| Change::RegisterCheck(Box::new(check))),
        1 => (any_check_key(), any_origin()).prop_map(|(key, origin)| Change::DeregisterCheck { key, origin }),
        8 => (any_check_key(), any_status(), select(vec!["", "refused"])).prop_map(|(key, status, output)| {
            Change::SetStatus { key, result: CheckResult { status, output: output.into() } }
        }),
        2 => (any_key(), option::of(Just(Arc::from("why")))).prop_map(|(key, reason)| {
            Change::InstanceMaintenance { key, reason }
        }),
        2 => (any_node_name(), any_origin(), vec(any_registration(), 0..4)).prop_map(|(node, origin, all)| {
            let registrations = all.into_iter().map(|one| moved(one, &node, origin)).collect();
            Change::ReplaceOrigin { node, origin, registrations }
        }),
    ]
}

fn moved(mut registration: Registration, node: &NodeName, origin: Origin) -> Registration {
    (registration.instance.node, registration.instance.origin) = (node.clone(), origin);
    for check in &mut registration.checks {
        (check.node, check.origin) = (node.clone(), origin);
    }
    registration
}

fn any_node_name() -> impl Strategy<Value = NodeName> {
    select(vec!["n1", "N1", "n2.rack"]).prop_map(|name| NodeName::new(name).unwrap())
}

fn any_origin() -> impl Strategy<Value = Origin> {
    select(vec![Origin::Api, Origin::File, Origin::Cluster, Origin::Docker])
}

pub(crate) fn any_status() -> impl Strategy<Value = CheckStatus> {
    select(vec![CheckStatus::Passing, CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical])
}

fn any_id() -> impl Strategy<Value = ServiceId> {
    select(vec!["i1", "i2", "I.3", "i4"]).prop_map(|id| ServiceId::new(id).unwrap())
}

fn any_key() -> impl Strategy<Value = InstanceKey> {
    (any_node_name(), any_id()).prop_map(|(node, id)| InstanceKey { node, id })
}

fn any_check_id() -> impl Strategy<Value = CheckId> {
    select(vec!["c1", "c2", "c3", "_service_maintenance:i1", "service:i1", "service:i2"])
        .prop_map(|id| CheckId::new(id).unwrap())
}

fn any_check_key() -> impl Strategy<Value = CheckKey> {
    (any_node_name(), any_check_id()).prop_map(|(node, id)| CheckKey { node, id })
}

fn any_check() -> impl Strategy<Value = Check> {
    let kind = select(vec![CheckKind::External, CheckKind::External, CheckKind::Maintenance]);
    let notes = select(vec!["", "other"]);
    (any_check_key(), option::of(any_id()), any_status(), any_origin(), (notes, kind)).prop_map(
        |(key, service_id, status, origin, (notes, kind))| Check {
            node: key.node,
            id: key.id,
            service_id,
            name: "check".into(),
            notes: notes.into(),
            status,
            output: "".into(),
            target: "".into(),
            definition: Arc::new(CheckDefinition::unprobed(kind)),
            origin,
        },
    )
}

fn any_registration() -> impl Strategy<Value = Registration> {
    (any_instance(), vec(any_check(), 0..3), any::<bool>()).prop_map(|(instance, checks, replace)| {
        let checks = checks.into_iter().map(|check| Check {
            node: instance.node.clone(),
            service_id: Some(instance.id.clone()),
            origin: instance.origin,
            ..check
        });
        Registration { checks: checks.collect(), replace_existing_checks: replace, instance }
    })
}

fn any_address() -> impl Strategy<Value = Address> {
    let texts = ["192.0.2.1", "192.0.2.2", "198.51.100.1", "2001:db8::1", "169.254.0.1", "web", "db.example"];
    select(texts.to_vec()).prop_map(|text| Address::parse(text).unwrap())
}

fn any_ports() -> impl Strategy<Value = Arc<[Port]>> {
    let port = |name: &str, number, default| Port { name: PortName::new(name).ok(), number, default };
    select(vec![
        vec![],
        vec![port("", 80, false)],
        vec![port("http", 80, false)],
        vec![port("http", 80, false), port("admin", 81, true)],
        vec![port("http", 81, false), port("Admin", 80, false)],
        vec![port("admin", 80, false), port("a b", 80, false)],
    ])
    .prop_map(Into::into)
}

fn any_meta() -> impl Strategy<Value = Meta> {
    let pairs = [vec![], vec![("dns-ttl", "1")], vec![("dns-ttl", "60"), ("a", "b")], vec![("dns-priority", "0")]];
    let odd = [vec![("dns-priority", "9"), ("dns-ttl", "x")], vec![("dns-https", "h2"), ("dns-ttl", "1")]];
    select(pairs.into_iter().chain(odd).collect::<Vec<_>>()).prop_map(|pairs| {
        let pair = |(key, value): (&str, &str)| (Arc::from(key), Arc::from(value));
        Arc::new(pairs.into_iter().map(pair).collect::<BTreeMap<_, _>>())
    })
}

fn any_network_addresses() -> impl Strategy<Value = thin_vec::ThinVec<NetworkAddress>> {
    let at = |network: &str, address: &str, ports: &[u16]| NetworkAddress {
        network: IpNetwork::parse(network).unwrap(),
        address: address.parse().unwrap(),
        ports: ports.into(),
    };
    let first = at("198.51.100.0/25", "198.51.100.7", &[8080, 8081]);
    let second = at("198.51.100.0/24", "198.51.100.9", &[0, 80]);
    let sixth = at("2001:db8:1::/64", "2001:db8:1::9", &[80]);
    let both = NetworkAddress { address: "2001:db8:1::9".parse().unwrap(), ..second.clone() };
    let two = vec![second.clone(), both];
    select(vec![vec![], vec![], vec![first.clone()], vec![second.clone(), first], vec![second, sixth], two])
        .prop_map(Into::into)
}

fn any_further_names() -> impl Strategy<Value = thin_vec::ThinVec<FurtherName>> {
    let lists: [&[&str]; 8] = [
        &[],
        &[],
        &[],
        &["c1"],
        &["C1", "c.shop"],
        &["web", "web.shop"],
        &["shop.c", "shop"],
        &["my_c", "i1", "my-web"],
    ];
    select(lists.to_vec()).prop_map(|names| {
        let further = |(at, name)| FurtherName { name: ServiceName::new(name).unwrap(), stands_for_id: at == 0 };
        names.iter().copied().enumerate().map(further).collect()
    })
}

pub(crate) fn any_instance() -> impl Strategy<Value = Instance> {
    let services = ["web", "Web", "web@1", "web-1", "my_web", "my-web", "web.shop", "shop", "a.web.shop", "w.x.y.z.q"];
    let tags = ["blue", "Blue", "a.b", "b", "udp", "c.a.b", "t 1"];
    let tagged = select(vec![None, None, Some(("lan_ipv4", "192.0.2.9")), Some(("lan_ipv6", "2001:db8::9"))]);
    let weights = select(vec![(1, 1), (1, 1), (3, 0), (0, 2)]);
    (
        (any_key(), select(services.to_vec()), any_origin(), option::of(any_address())),
        (any_ports(), proptest::sample::subsequence(tags.to_vec(), 0..3), any_meta()),
        (weights, tagged, any_network_addresses(), any_further_names()),
    )
        .prop_map(
            |(
                (key, service, origin, address),
                (ports, tags, meta),
                (weights, tagged, network_addresses, further_names),
            )| {
                let tagged = tagged.map(|(role, address)| TaggedAddress {
                    role: Arc::from(role),
                    address: Address::parse(address).unwrap(),
                    port: 0,
                });
                Instance {
                    node: key.node,
                    id: key.id,
                    service: ServiceName::new(service).unwrap(),
                    address,
                    ports,
                    tags: tags.into_iter().map(|tag| Tag::new(tag).unwrap()).collect(),
                    meta,
                    weights: Weights { passing: weights.0, warning: weights.1 },
                    tagged_addresses: tagged.into_iter().collect(),
                    network_addresses,
                    further_names,
                    enable_tag_override: false,
                    origin,
                }
            },
        )
}

pub(crate) fn any_node() -> impl Strategy<Value = Node> {
    let addresses = ["192.0.2.101", "192.0.2.2", "2001:db8::101", "host.example"];
    let origin = select(vec![Origin::Api, Origin::Api, Origin::Cluster]);
    (any_node_name(), select(addresses.to_vec()), option::of(Just("2001:db8::102")), origin).prop_map(
        |(name, address, tagged, origin)| {
            let tagged = tagged.map(|text| (Arc::from("lan_ipv6"), Address::parse(text).unwrap()));
            let (address, tagged_addresses) = (Address::parse(address).unwrap(), tagged.into_iter().collect());
            Node { name, uuid: Arc::from("u"), address, tagged_addresses, meta: Meta::default(), origin }
        },
    )
}
