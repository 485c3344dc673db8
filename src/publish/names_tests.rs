use std::{collections::BTreeSet, net::IpAddr};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    catalog::{
        change::{Change, Origin},
        check::CheckStatus,
        node::Node,
        service::Instance,
        testing::{any_change, check, instance, register, registration, set_status},
    },
    publish::{
        label::{dotted_key, id_key, port_key},
        nodes::FoundNode,
        selection::{Addresses, Member, Selection, Set},
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
        changes in vec(any_change(), 1..50),
        none_eligible in proptest::sample::select(vec![NoneEligible::Nodata, NoneEligible::All]),
    ) {
        let mut followed = Followed::new(settings(none_eligible));
        for change in changes {
            followed.apply(change);
            followed.check();
        }
    }
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

/// All that can be seen of names, in an order of its own.
fn observed(names: &Names) -> Vec<String> {
    let mut all = Vec::new();
    for entry in names.services.iter() {
        let holder = match names.service(entry.key.as_wire()) {
            FoundService::Service(answers) => service(answers),
            FoundService::Below { short } => format!("below short {short}"),
            FoundService::Nothing => "nothing".to_owned(),
        };
        all.push(format!("name {} claims {:?} below {}: {holder}", entry.key, entry.claims, entry.below));
        for claim in &entry.claims {
            all.push(format!("labels of {}: {:?}", claim.service, names.labels_of(&claim.service)));
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
    all.sort();
    all.dedup();
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
    let owner = |address: IpAddr| format!("address {address}: {:?}", names.reverse.owner(SEED, address));
    texts.iter().map(|text| owner(text.parse().unwrap())).collect()
}

fn service(answers: &ServiceAnswers) -> String {
    let mut text = format!("{} {:?} registered {} ids", answers.name, answers.rule, answers.registered);
    let ids = ["i1", "i2", "i.3", "i4", "web-1"].map(id_key);
    for id in ids.iter().chain([id_key("I.3")].iter()) {
        let found: BTreeSet<String> = answers.by_id(SEED, id.as_wire()).map(|one| format!("{one:?}")).collect();
        text.push_str(&format!(" {id}={found:?}"));
    }
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
    let members =
        [&selection.ported, &selection.rest().portless, selection.rest().hosts.best(), &selection.rest().https]
            .map(members);
    format!("{} {} {members:?}", addresses(&selection.v4), addresses(&selection.rest().v6))
}

fn addresses<const N: usize>(addresses: &Addresses<N>) -> String {
    let best = addresses.best();
    let all: BTreeSet<String> = best.table.iter().map(|address| format!("{address:?}")).collect();
    format!("ttl {} {:?} {all:?}", best.ttl(), best.table.measure())
}

fn members(set: &Set<Member>) -> String {
    let all: BTreeSet<String> = set.table.iter().map(|member| format!("{member:?}")).collect();
    format!("ttl {} {:?} {all:?}", set.ttl(), set.table.measure())
}
