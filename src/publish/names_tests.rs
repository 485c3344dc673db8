use std::{collections::BTreeSet, fmt::Debug, net::IpAddr};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    access::{Authorizer, Level, Rules},
    catalog::{
        change::{Change, Origin},
        check::{Check, CheckStatus},
        names::{CheckId, ServiceId},
        node::Node,
        service::Instance,
        state::State,
        table::Measured,
        testing::{any_change, any_instance, any_status, check, instance, register, registration, set_status},
    },
    publish::{
        label::{dotted_key, id_key, port_key},
        nodes::FoundNode,
        selection::{Ranked, Selection, Set},
        settings::{NoneEligible, ServiceRule},
        view::{Found, View},
    },
};

const SEED: Seed = Seed(5);

fn settings(none_eligible: NoneEligible) -> Settings {
    let mut settings = Settings::example();
    settings.default_rule.none_eligible = none_eligible;
    let rule = ServiceRule { pattern: Arc::from("web*"), only_passing: Some(true), ..ServiceRule::default() };
    settings.services.push(rule);
    settings
}

/// What those may read who have no token: everything, or not all of it.
fn any_readers() -> impl Strategy<Value = Option<Arc<Authorizer>>> {
    let rules = [
        "service_prefix \"\" { policy = \"read\" }\nnode \"n1\" { policy = \"read\" }",
        "service_prefix \"web\" { policy = \"read\" }\nservice \"web-1\" { policy = \"deny\" }\nnode_prefix \"\" { policy = \"read\" }",
        "",
    ];
    let read = rules.map(|text| Some(Arc::new(Authorizer::new([&Rules::parse(text).unwrap()], Level::Deny))));
    prop_oneof![Just(None), proptest::sample::select(read.to_vec())]
}

/// A catalog and its names, which follow it.
struct Followed {
    catalog: State,
    names: Names,
    settings: Settings,
}

impl Followed {
    fn new(settings: Settings) -> Followed {
        let catalog = State::new(SEED, 1);
        let mut followed = Followed { names: Names::build(&catalog, &settings), catalog, settings };
        followed.apply(Change::RegisterNode(Node::example("n1")));
        followed
    }

    fn apply(&mut self, change: Change) {
        if let Ok(effects) = self.catalog.apply(change) {
            self.names.follow(&effects, &self.settings);
        }
    }

    #[track_caller]
    fn check(&self) {
        let built = Names::build(&self.catalog, &self.settings);
        assert_eq!(observed(&self.names), observed(&built));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn following_changes_equals_building_anew(
        changes in vec((any_change(), prop::bool::weighted(0.1)), 1..50),
        none_eligible in any_none_eligible(),
        readers in any_readers(),
    ) {
        let mut followed = Followed::new(Settings { readers, ..settings(none_eligible) });
        for (change, starts_anew) in changes {
            followed.apply(change);
            followed.check();
            let shown = |name: &str| followed.names.answers_of(&ServiceName::new(name).unwrap()).is_some();
            let hidden = |name: &&&str| !followed.settings.shows_service(name);
            prop_assert_eq!(["web", "Web", "web-1", "shop"].iter().filter(hidden).find(|name| shown(name)), None);
            if starts_anew {
                // What is built must go on as what followed: there is more in it than can be seen.
                followed.names = Names::build(&followed.catalog, &followed.settings);
            }
        }
    }

    #[test]
    fn many_instances_at_once_are_what_following_each_makes(
        instances in vec((any_instance(), any_status()), 1..150),
        services in 1..4usize,
        with_networks in prop::bool::weighted(0.2),
        gone in vec(any::<prop::sample::Index>(), 0..40),
        none_eligible in any_none_eligible(),
    ) {
        let mut followed = Followed::new(settings(none_eligible));
        followed.apply(Change::RegisterNode(Node::example("N1")));
        followed.apply(Change::RegisterNode(Node::example("n2.rack")));
        let mut keys = Vec::new();
        for (number, (mut instance, status)) in instances.into_iter().enumerate() {
            instance.id = ServiceId::new(format!("m{number}")).unwrap();
            instance.service = ServiceName::new(["web", "a.web.shop", "my_web"][number % services]).unwrap();
            if !with_networks {
                instance.network_addresses.clear();
            }
            keys.push((instance.key(), instance.origin));
            let origin = instance.origin;
            let check = Check { origin, node: instance.node.clone(), ..check("c", Some(instance.id.as_str()), status) };
            let check = Check { id: CheckId::of_service(&instance.id), ..check };
            followed.apply(register(registration(instance, vec![check])));
        }
        followed.check();
        for index in gone {
            let (key, origin) = index.get(&keys).clone();
            followed.apply(Change::Deregister { key, origin });
        }
        followed.check();
        followed.names = Names::build(&followed.catalog, &followed.settings);
        for (key, origin) in keys {
            followed.apply(Change::Deregister { key, origin });
        }
        followed.check();
    }
}

fn any_none_eligible() -> impl Strategy<Value = NoneEligible> {
    proptest::sample::select(vec![NoneEligible::Nodata, NoneEligible::All])
}

#[test]
fn what_no_answer_depends_on_is_not_a_change_of_names() {
    let mut followed = Followed::new(settings(NoneEligible::Nodata));
    let of = |origin| Instance { origin, ..instance("web", "web-1") };
    let checked = registration(of(Origin::Api), vec![check("c", Some("web-1"), CheckStatus::Passing)]);
    followed.apply(register(checked));
    let mut follow = |change| {
        let effects = followed.catalog.apply(change).unwrap();
        assert!(!effects.is_empty());
        followed.names.follow(&effects, &followed.settings)
    };
    assert!(!follow(set_status("n1", "c", CheckStatus::Passing, "200 OK")), "an output");
    assert!(!follow(register(registration(of(Origin::Docker), vec![]))), "what is kept aside");
    assert!(follow(set_status("n1", "c", CheckStatus::Warning, "200 OK")), "a status");
    followed.check();
}

#[test]
fn one_service_id_on_very_many_nodes_is_found_on_each_and_costs_no_more_than_others() {
    const NODES: usize = 2_000;
    let mut followed = Followed::new(settings(NoneEligible::Nodata));
    let on = |number: usize| {
        let node = Node::example(&format!("n{number}"));
        (
            node.name.clone(),
            [
                Change::RegisterNode(node.clone()),
                register(registration(Instance { node: node.name, ..instance("agent", "agent") }, vec![])),
            ],
        )
    };
    for number in 0..NODES {
        on(number).1.into_iter().for_each(|change| followed.apply(change));
    }
    let instances: Vec<Arc<Instance>> =
        followed.catalog.nodes().flat_map(|node| node.instances().cloned().collect::<Vec<_>>()).collect();
    let held = || instances.iter().map(Arc::strong_count).sum::<usize>();
    let reader = followed.names.clone();
    let before = held();
    on(NODES).1.into_iter().for_each(|change| followed.apply(change));
    let copied = held() - before;
    assert!(copied < 1_000, "{copied} entries were copied to add one to {NODES}");
    drop(reader);
    let FoundService::Service(answers) = followed.names.service(dotted_key("agent").as_wire()) else {
        panic!("it is registered");
    };
    let found: BTreeSet<_> = answers.by_id(SEED, id_key("agent").as_wire()).map(|one| one.node.clone()).collect();
    assert_eq!(found, (0..=NODES).map(|number| on(number).0).collect());
    assert_eq!(answers.by_id(SEED, id_key("other").as_wire()).count(), 0);
}

/// All that can be seen of names, in the order of their tables.
fn observed(names: &Names) -> Vec<String> {
    let mut all = Vec::new();
    for entry in names.services.iter() {
        let holder = match names.service(entry.key.as_wire()) {
            FoundService::Service(answers) => service(answers),
            FoundService::Below { short } => format!("below short {short}"),
            FoundService::Nothing => "nothing".to_owned(),
        };
        let below = (entry.below, entry.below_short);
        all.push(format!("name {} claims {:?} below {below:?}: {holder}", entry.key, entry.claims));
        for claim in &entry.claims {
            let name = claim.called().name;
            all.push(format!("labels of {name}: {:?}", names.labels_of(&name)));
        }
    }
    all.extend(names.hidden.iter().map(|answers| format!("hidden {}", service(answers))));
    for word in names.words.iter() {
        all.push(format!("word {:?} {:?}: {}", word.kind, word.key.as_wire(), word.services));
    }
    assert_eq!(names.has_ports(), names.words.iter().any(|word| word.kind == GroupKind::Port));
    all.push(format!("ports {} singles {}", names.has_ports(), names.singles));
    all.push(format!("networks {:?}", names.networks));
    all.extend(nodes(names));
    all.extend(reverse(names));
    all
}

fn nodes(names: &Names) -> Vec<String> {
    let keys = ["n1", "n2.rack", "rack", "n2"].map(dotted_key);
    let node = |key: &Key| match names.nodes.find(SEED, key.as_wire()) {
        FoundNode::Node(node) => format!("node {key}: {node:?}"),
        FoundNode::Below => format!("node {key}: below"),
        FoundNode::Nothing => format!("node {key}: nothing"),
    };
    keys.iter().map(node).collect()
}

fn reverse(names: &Names) -> Vec<String> {
    let texts = [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.9",
        "192.0.2.101",
        "198.51.100.1",
        "198.51.100.7",
        "198.51.100.9",
        "2001:db8::1",
        "2001:db8::9",
        "2001:db8::101",
        "2001:db8::102",
        "2001:db8:1::9",
        "169.254.0.1",
    ];
    let owner = |address: IpAddr| {
        let above: Vec<u32> =
            [0, 8, 30, 32, 33, 64, 96, 127, 128].into_iter().filter(|bits| address.is_ipv6() || *bits <= 32).collect();
        let above: Vec<bool> = above.into_iter().map(|bits| names.reverse.has_prefix(address, bits)).collect();
        format!("address {address}: {:?} {above:?}", names.reverse.owner(SEED, address))
    };
    texts.iter().map(|text| owner(text.parse().unwrap())).collect()
}

fn service(answers: &ServiceAnswers) -> String {
    let mut text = format!("{:?} {:?} ids", answers.called(), answers.rule);
    text.push_str(&format!(" registered {} eligible {}", answers.registered, answers.eligible));
    let ids = ["i1", "i2", "i.3", "i4", "web-1", "c1", "shop.c", "my_c", "web"].map(id_key);
    for id in ids.iter().chain([id_key("I.3")].iter()) {
        let found: BTreeSet<String> = answers.by_id(SEED, id.as_wire()).map(|one| format!("{one:?}")).collect();
        text.push_str(&format!(" {id}={found:?}"));
    }
    let origins = [Origin::Server, Origin::Api, Origin::File, Origin::Cluster, Origin::Docker, Origin::Registry];
    text.push_str(&format!(" origins {:?}", origins.map(|origin| answers.has_origin(origin))));
    let order: Vec<_> = answers.instances().map(|instance| instance.key()).collect();
    text.push_str(&format!(" in order {order:?}"));
    let networks = ["198.51.100.0/25", "198.51.100.0/24", "2001:db8:1::/64"].map(IpNetwork::parse);
    for network in [None].into_iter().chain(networks) {
        let views = answers.views(network);
        text.push_str(&format!("\n {network:?} eligible {}", view(&views.eligible)));
        if let Some(everyone) = &views.everyone {
            text.push_str(&format!("\n {network:?} everyone {}", view(everyone)));
        }
    }
    text
}

fn view(view: &View) -> String {
    let mut text = format!("all {} ports {}", selection(&view.all), view.has_ports());
    assert_eq!(view.has_ports(), view.group_names().any(|name| name.kind == GroupKind::Port));
    let names: BTreeSet<String> = view.group_names().map(|name| format!("{name:?}")).collect();
    text.push_str(&format!(" names {names:?}"));
    let tags = ["blue", "a.b", "b", "udp", "c.a.b", "t 1", "green"].map(|tag| (GroupKind::Tag, dotted_key(tag)));
    let ports = ["http", "admin", "a b", "no"].map(|port| (GroupKind::Port, port_key(port)));
    for (kind, key) in tags.into_iter().chain(ports) {
        let found = match view.group(SEED, kind, key.as_wire()) {
            Found::Members(members) => selection(members),
            Found::Below => "below".to_owned(),
            Found::Nothing => "nothing".to_owned(),
        };
        text.push_str(&format!("\n  {kind:?} {key}: {found}"));
    }
    text
}

fn selection(selection: &Selection) -> String {
    let rest = selection.rest();
    let sets = [&selection.ported, &rest.portless, &rest.https].map(set);
    let [v4, v6, hosts] = [ranked(&selection.v4), ranked(&rest.v6), ranked(&rest.hosts)];
    format!("{} of {v4} {v6} {hosts} {sets:?}", selection.len())
}

fn ranked<V: Measured + Debug>(ranked: &Ranked<V>) -> String {
    let all: Vec<String> = ranked.all().map(|(priority, all)| format!("{priority}: {}", set(all))).collect();
    assert!(ranked.best().is_empty() || std::ptr::eq(ranked.best(), ranked.all().next().unwrap().1));
    format!("{all:?}")
}

fn set<V: Measured + Debug>(set: &Set<V>) -> String {
    let all: Vec<&V> = set.table.iter().collect();
    format!("ttl {} {:?} {} {all:?}", set.ttl(), set.table.measure(), set.table.len())
}
