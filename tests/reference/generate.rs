//! Random settings and catalogs. Pools are small, so that names meet, hide one another and share addresses.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use nameplate::{
    catalog::{
        change::{Change, Origin, Registration},
        check::{Check, CheckDefinition, CheckKind, CheckStatus},
        names::{CheckId, NodeName, PortName, ServiceId, ServiceName, Tag},
        node::{Address, Node},
        service::{FurtherName, Instance, IpNetwork, Meta, NetworkAddress, Port, TaggedAddress, Weights},
        state::State,
        table::Seed,
    },
    publish::{
        feed::SourceStatus,
        settings::{DefaultRule, HostNames, NoneEligible, ServiceRule, Settings},
    },
    wire::name::Name,
};

use super::{drawn_queries as queries, rng::Rng, world::World, zones};

/// A catalog and all that goes with it, for the engine and for the reference.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// The catalog.
    pub state: State,
    /// The same, in plain lists, with settings, zones and sources.
    pub world: World,
    /// The changes that made the catalog.
    pub changes: Vec<Change>,
}

/// Draws a world.
pub fn draw(rng: &mut Rng) -> Drawn {
    let settings = settings(rng);
    let changes = changes(rng, &settings);
    let mut state = State::new(Seed(rng.next()), 1);
    for change in &changes {
        state.apply(change.clone()).expect("the generator registers nodes first");
    }
    let mut world = World::of(&state, &settings, zones::draw(rng, &settings));
    world.serial = rng.next() as u32;
    if rng.one_in(4) {
        let origin = *rng.pick(&[Origin::Api, Origin::File, Origin::Cluster, Origin::Docker]);
        let (synced, stale) = *rng.pick(&[(true, true), (true, false), (false, false)]);
        world.sources.push(SourceStatus { name: Arc::from("a source"), origin, synced, stale, away: None });
    }
    world.queries = queries::draw(rng);
    Drawn { state, world, changes }
}

/// Reads a name that is known to be one.
pub fn name(text: &str) -> Name {
    Name::parse(text).expect("the generator's names are names")
}

fn settings(rng: &mut Rng) -> Settings {
    let domain = name(*rng.pick(&["internal.", "svc.example."]));
    let alt_domains = match rng.below(4) {
        0 => vec![name("alt.example.")],
        1 => vec![name("alt.example."), domain.prepend(b"inner").expect("short")],
        _ => vec![],
    };
    let forwarding = !rng.one_in(4);
    let mut forward_zones = Vec::new();
    if rng.one_in(2) {
        forward_zones = vec![name("forwarded.example."), domain.prepend(b"compute").expect("short")];
    }
    let mut fallthrough = Vec::new();
    if rng.one_in(8) {
        fallthrough.push((domain.clone(), std::net::SocketAddr::from(([192, 0, 2, 53], 53))));
    }
    let network = |text: &str| IpNetwork::parse(text).expect("the generator's networks are networks");
    Settings {
        domain,
        alt_domains,
        datacenter: Arc::from("dc1"),
        node: NodeName::new("n1").expect("short"),
        advertise: ips(rng, 3),
        services: service_rules(rng),
        default_rule: DefaultRule {
            ttl_secs: *rng.pick(&[5, 5, 0, 3, 60]),
            max_answers: *rng.pick(&[0, 0, 0, 2, 3]),
            none_eligible: *rng.pick(&[
                NoneEligible::Nodata,
                NoneEligible::Nodata,
                NoneEligible::Nxdomain,
                NoneEligible::All,
            ]),
            only_passing: rng.one_in(4),
        },
        negative_ttl_secs: *rng.pick(&[5, 5, 10, 1]),
        service_txt: rng.one_in(3),
        srv_weight_scale: *rng.pick(&[1, 1, 256]),
        host_names: if rng.one_in(5) { HostNames::Cname } else { HostNames::Resolve },
        near: rng.one_in(5),
        hide_version: rng.one_in(4),
        forward_bare: rng.one_in(5),
        forwarding,
        forward_zones,
        refused_zones: Vec::new(),
        fallthrough,
        allow_query: vec![network("0.0.0.0/0"), network("::/1")],
        allow_recursion: vec![network("127.0.0.0/8"), network("10.0.0.0/8"), network("172.16.0.0/12"), network("::1")],
        udp_payload_max: vec![(network("10.1.0.0/16"), 4096), (network("10.1.2.0/24"), 700)],
        readers: None,
        access: None,
    }
}

fn service_rules(rng: &mut Rng) -> Vec<ServiceRule> {
    let mut rules = Vec::new();
    for pattern in ["web*", "web", "d*", "api", "*"] {
        if rng.one_in(4) {
            rules.push(ServiceRule {
                pattern: Arc::from(pattern),
                ttl_secs: (!rng.one_in(2)).then(|| *rng.pick(&[1, 7, 300])),
                max_answers: rng.one_in(3).then(|| *rng.pick(&[0, 1, 4])),
                none_eligible: rng.one_in(3).then(|| *rng.pick(&[NoneEligible::Nodata, NoneEligible::All])),
                only_passing: rng.one_in(3).then(|| rng.one_in(2)),
            });
        }
    }
    rules
}

/// A few of the addresses that everything here is drawn from, v4 and v6.
fn ips(rng: &mut Rng, most: usize) -> Vec<IpAddr> {
    (0..rng.below(most + 1)).map(|_| ip(rng)).collect()
}

fn ip(rng: &mut Rng) -> IpAddr {
    match rng.below(10) {
        0..=5 => IpAddr::from([192, 0, 2, 1 + rng.below(200) as u8]),
        6 => IpAddr::from([198, 51, 100, 1 + rng.below(4) as u8]),
        7 => IpAddr::from([10, 0, 0, 1 + rng.below(9) as u8]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1 + rng.below(60) as u16]),
    }
}

fn hidden_ip(rng: &mut Rng) -> IpAddr {
    (*rng.pick(&["169.254.0.7", "224.0.0.9", "fe80::7", "ff02::9"])).parse().expect("an address")
}

fn address(rng: &mut Rng, settings: &Settings) -> Address {
    if rng.one_in(30) {
        return Address::Ip(hidden_ip(rng));
    }
    if rng.one_in(12) {
        return host_name(rng, settings);
    }
    Address::Ip(ip(rng))
}

fn host_name(rng: &mut Rng, settings: &Settings) -> Address {
    let domain = settings.domain.to_string();
    let inside = [
        format!("api.service.{domain}"),
        format!("n2.node.{domain}"),
        format!("nobody.service.{domain}"),
        format!("external.service.{domain}"),
        format!("hosted.service.{domain}"),
        "db.example.org".to_owned(),
        "db.example.net".to_owned(),
        "api".to_owned(),
        "web".to_owned(),
    ];
    Address::parse(rng.pick(&inside).as_str()).expect("a host name")
}

/// Draws the changes that make a catalog.
pub fn changes(rng: &mut Rng, settings: &Settings) -> Vec<Change> {
    let mut changes = Vec::new();
    let nodes: Vec<NodeName> = NODES.iter().map(|node| NodeName::new(*node).expect("a node name")).collect();
    for node in &nodes {
        changes.push(Change::RegisterNode(draw_node(rng, settings, node)));
        for at in 0..rng.below(3) {
            if rng.one_in(5) {
                let maintenance = rng.one_in(4);
                changes.push(Change::RegisterCheck(Box::new(draw_check(rng, node, None, at, maintenance))));
            }
        }
    }
    let mut services: Vec<&str> = SERVICES.iter().copied().filter(|_| !rng.one_in(3)).collect();
    let large = rng.one_in(3).then(|| services.first().copied()).flatten();
    services.sort_unstable();
    for service in services {
        let count = if large == Some(service) { 40 + rng.below(60) } else { 1 + rng.below(4) };
        for at in 0..count {
            let registration = draw_registration(rng, settings, &nodes, (service, at));
            let key = registration.instance.key();
            changes.push(Change::Register(Box::new(registration.clone())));
            if rng.one_in(10) {
                let mut other = draw_registration(rng, settings, &nodes, (service, at));
                other.instance.node = key.node.clone();
                other.instance.id = key.id.clone();
                other.checks.clear();
                changes.push(Change::Register(Box::new(other)));
            }
            if rng.one_in(15) {
                changes.push(Change::InstanceMaintenance { key, reason: Some(Arc::from("worked on")) });
            } else if rng.one_in(25) {
                changes.push(Change::Deregister { key, origin: registration.instance.origin });
            }
        }
    }
    changes
}

fn draw_node(rng: &mut Rng, settings: &Settings, name: &NodeName) -> Node {
    let mut tagged = BTreeMap::new();
    if rng.one_in(3) {
        tagged.insert(Arc::from("lan_ipv6"), Address::Ip(IpAddr::from([0x2001, 0xdb8, 1, 0, 0, 0, 0, 7])));
    }
    if rng.one_in(6) {
        tagged.insert(Arc::from("lan_ipv4"), Address::Ip(IpAddr::from([198, 51, 100, 77])));
    }
    let mut meta = BTreeMap::new();
    for (key, value) in [("os", "linux"), ("a=b", "c"), ("dns-hidden", "x"), (" edge", "`"), ("rack", "")] {
        if rng.one_in(4) {
            meta.insert(Arc::from(key), Arc::from(value));
        }
    }
    let address = loop {
        let address = address(rng, settings);
        let own = matches!(address, Address::Ip(ip) if super::facts::answered(ip) == super::facts::Place::Nowhere);
        if !own {
            break address;
        }
    };
    let (name, uuid, meta) = (name.clone(), Arc::from("u"), Arc::new(meta));
    Node { name, uuid, address, tagged_addresses: tagged, meta, origin: Origin::Api }
}

fn draw_check(rng: &mut Rng, node: &NodeName, service: Option<&ServiceId>, at: usize, maintenance: bool) -> Check {
    let statuses = [CheckStatus::Passing, CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical];
    let kind = if maintenance { CheckKind::Maintenance } else { CheckKind::External };
    Check {
        node: node.clone(),
        id: CheckId::new(format!("check:{}:{at}", service.map_or("", ServiceId::as_str))).expect("short"),
        service_id: service.cloned(),
        name: "check".into(),
        notes: "".into(),
        status: if maintenance { CheckStatus::Critical } else { *rng.pick(&statuses) },
        output: "".into(),
        target: "".into(),
        definition: Arc::new(CheckDefinition::unprobed(kind)),
        origin: Origin::Api,
    }
}

fn draw_registration(
    rng: &mut Rng,
    settings: &Settings,
    nodes: &[NodeName],
    (service, at): (&str, usize),
) -> Registration {
    let node = rng.pick(nodes).clone();
    let id = match rng.below(8) {
        0 => format!("{service}.{at}"),
        1 => format!("{}-{at}", service.to_uppercase()),
        2 => format!("{service}-{at}-{}", "x".repeat(60)),
        3 => format!("{service} {at}"),
        _ => format!("{service}-{at}"),
    };
    let ports = draw_ports(rng);
    let networks = draw_networks(rng, ports.len());
    let mut tagged = Vec::new();
    for (role, family) in [("lan_ipv4", true), ("lan_ipv6", false), ("wan", true)] {
        if rng.one_in(6) {
            let ip = ip(rng);
            if ip.is_ipv4() == family {
                tagged.push(TaggedAddress { role: Arc::from(role), address: Address::Ip(ip), port: 0 });
            }
        }
    }
    let mut tags: Vec<Tag> = Vec::new();
    for tag in TAGS {
        if rng.one_in(5) {
            tags.push(Tag::new(tag).expect("a tag"));
        }
    }
    let weight = |rng: &mut Rng| *rng.pick(&[1, 1, 1, 10, 0, 300]);
    let id = ServiceId::new(id).expect("an ID");
    let instance = Instance {
        node: node.clone(),
        id: id.clone(),
        service: ServiceName::new(service).expect("a service name"),
        address: draw_address(rng, settings, service),
        ports: ports.into(),
        tags: tags.into(),
        meta: draw_meta(rng),
        weights: Weights { passing: weight(rng), warning: weight(rng) },
        tagged_addresses: tagged.into(),
        network_addresses: networks.into(),
        further_names: draw_further_names(rng).into(),
        enable_tag_override: false,
        origin: *rng.pick(&[Origin::Api, Origin::Api, Origin::File, Origin::Docker, Origin::Cluster]),
    };
    let checks = (0..rng.below(3)).map(|at| draw_check(rng, &node, Some(&id), at, false)).collect();
    Registration { instance, checks, replace_existing_checks: false }
}

fn draw_address(rng: &mut Rng, settings: &Settings, service: &str) -> Option<Address> {
    match service {
        "external" => Some(Address::parse(*rng.pick(&["db.example.net", "db2.example.net"])).expect("a host name")),
        "hosted" => Some(host_name(rng, settings)),
        _ => (!rng.one_in(3)).then(|| address(rng, settings)),
    }
}

fn draw_ports(rng: &mut Rng) -> Vec<Port> {
    let port = |name: Option<&str>, number: u16, default: bool| Port {
        name: name.map(|name| PortName::new(name).expect("a port name")),
        number,
        default,
    };
    match rng.below(6) {
        0 => vec![],
        1 => vec![port(None, 8080, false)],
        2 => vec![port(Some("http"), 80, false)],
        3 => vec![port(Some("http"), 80, false), port(Some("metrics"), 9100, true)],
        4 => vec![port(Some("https"), 443, false), port(Some("Grpc_web"), 50_051, false), port(None, 7, false)],
        _ => vec![port(Some("odd name!"), 81, false), port(Some("http"), 82, false)],
    }
}

fn draw_networks(rng: &mut Rng, ports: usize) -> Vec<NetworkAddress> {
    let mut networks = Vec::new();
    for (text, host) in [("172.17.0.0/16", "172.17.0."), ("172.18.0.0/16", "172.18.0."), ("172.18.5.0/24", "172.18.5.")]
    {
        if rng.one_in(8) {
            networks.push(NetworkAddress {
                network: IpNetwork::parse(text).expect("a network"),
                address: format!("{host}{}", 2 + rng.below(30)).parse().expect("an address"),
                ports: (0..ports).map(|_| *rng.pick(&[8080, 9090, 0])).collect(),
            });
            let same = networks.last().filter(|_| rng.one_in(3)).cloned();
            let address = format!("2001:db8:17::{:x}", 2 + rng.below(30)).parse().expect("an address");
            networks.extend(same.map(|same| NetworkAddress { address, ..same }));
        }
    }
    networks
}

/// A container's name, or none, and others; those of services among them.
fn draw_further_names(rng: &mut Rng) -> Vec<FurtherName> {
    let mut names: Vec<FurtherName> = Vec::new();
    let mut add = |name: &str, stands_for_id| {
        let name = ServiceName::new(name).expect("a service name");
        if !names.iter().any(|other| other.name == name) {
            names.push(FurtherName { name, stands_for_id });
        }
    };
    if rng.one_in(4) {
        add(*rng.pick(&CONTAINERS), true);
    }
    while rng.one_in(5) {
        add(if rng.one_in(2) { *rng.pick(&SERVICES) } else { *rng.pick(&FURTHER) }, false);
    }
    names
}

fn draw_meta(rng: &mut Rng) -> Meta {
    let mut meta: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    let pool = [
        ("version", "1.2"),
        ("key=with=signs", "value"),
        ("consul-hidden", "x"),
        ("dns-priority", "2"),
        ("dns-priority", "0"),
        ("dns-priority", "high"),
        ("dns-ttl", "2"),
        ("dns-ttl", "0"),
        ("dns-ttl", "86401"),
        ("dns-ttl", "soon"),
        ("dns-https", "h2"),
        ("dns-https", "h2,h3"),
    ];
    for (key, value) in pool {
        if rng.one_in(14) {
            meta.insert(Arc::from(key), Arc::from(value));
        }
    }
    if rng.one_in(40) {
        meta.insert(Arc::from("long"), Arc::from("x".repeat(251)));
        meta.insert(Arc::from("longest"), Arc::from("x".repeat(300)));
    }
    Arc::new(meta)
}

/// Settings that depend on nothing drawn.
pub fn plain_settings() -> Settings {
    settings(&mut Rng::new(1))
}

/// A catalog without anything.
pub fn empty_state() -> State {
    State::new(Seed(1), 1)
}

const NODES: [&str; 6] = ["n1", "n2", "N3", "rack.n4", "odd node!", "n5_x"];

const CONTAINERS: [&str; 9] = ["shop-web-1", "web", "web-0", "api-1", "Web.One", "my_c", "odd.0", "db-0", "n1"];

const FURTHER: [&str; 10] =
    ["api.shop", "c.shop", "shop", "Shop", "my-c", "canary", "http.web", "ns", "odd@c", "x.web.shop"];

pub(super) const SERVICES: [&str; 21] = [
    "external",
    "hosted",
    "web",
    "api",
    "db",
    "web.shop",
    "blue.web",
    "my_web",
    "my-web",
    "Cache",
    "odd name",
    "odd-name",
    "odd!name",
    "a.b.c.d.e",
    "_under",
    "_blue",
    "WEB",
    "port",
    "node.web",
    "http",
    "a-service-whose-name-is-longer-than-the-63-bytes-that-a-label-may-have",
];

const TAGS: [&str; 8] = ["blue", "v1.2", "Primary", "udp", "tcp", "a b", "shop", "x.blue"];
