use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::{
    catalog::{
        check::{Check, CheckStatus},
        model::Model,
        names::CheckId,
        node::Node,
        service::Instance,
        spanning::SpanningNetwork,
        table::Seed,
        testing::{any_change, check, instance as example, registration},
    },
    sources::etcd::{
        document::{Outputs, write_instance, write_node},
        generate::{any_node_registration, any_registration, told},
    },
};

/// Other machines with their documents as they should be in etcd, a mirror, and its catalog.
struct World {
    mirror: Mirror,
    state: State,
    documents: BTreeMap<String, Vec<u8>>,
}

impl World {
    fn new() -> World {
        let mirror = Mirror::new(Layout::new("/nameplate"), NodeName::new("n1").unwrap());
        World { mirror, state: State::new(Seed(7), 100), documents: BTreeMap::new() }
    }

    /// Takes in what follows; all of it does something, and none of it is refused.
    #[track_caller]
    fn apply(&mut self, followed: Followed) -> Vec<String> {
        for change in followed.changes {
            let effects = self.state.apply(change.clone()).unwrap_or_else(|error| panic!("{change:?}: {error}"));
            assert!(!effects.is_empty(), "{change:?}");
        }
        followed.complaints.iter().map(Complaint::to_string).collect()
    }

    #[track_caller]
    fn events(&mut self, events: Vec<(String, Option<Vec<u8>>)>) -> Vec<String> {
        for (key, value) in events.clone() {
            match value {
                Some(value) => drop(self.documents.insert(key, value)),
                None => drop(self.documents.remove(&key)),
            }
        }
        let events = || events.iter().map(|(key, value)| Event { key: key.clone().into(), value: value.clone() });
        let followed = self.mirror.changes(&self.state, events());
        let complaints = self.apply(followed);
        let again = self.mirror.changes(&self.state, events());
        assert_eq!(format!("{:?}", again.changes), "[]", "the same again is nothing");
        complaints
    }

    #[track_caller]
    fn relist(&mut self) -> Vec<String> {
        let listed =
            || self.documents.iter().map(|(key, value)| Event { key: key.clone().into(), value: Some(value.clone()) });
        let listed: Vec<Event> = listed().collect();
        let followed = self.mirror.relisted(&self.state, listed.clone());
        let complaints = self.apply(followed);
        let again = self.mirror.relisted(&self.state, listed);
        assert_eq!(format!("{:?}", again.changes), "[]", "the same list is nothing");
        complaints
    }

    fn entry(&self, node: &str, id: &str) -> Option<&crate::catalog::state::InstanceEntry> {
        self.state.instance(&crate::catalog::testing::key(node, id)).map(|entry| &**entry)
    }

    fn checks(&self, id: &str) -> Vec<&str> {
        self.entry("n2", id)
            .into_iter()
            .flat_map(|entry| entry.checks.iter())
            .map(|entry| entry.check.id.as_str())
            .collect()
    }
}

fn node_key(node: &str) -> String {
    format!("/nameplate/v1/nodes/{node}")
}

fn instance_key(id: &str) -> String {
    format!("/nameplate/v1/services/n2/{id}")
}

fn node() -> (String, Option<Vec<u8>>) {
    (node_key("n2"), Some(write_node(&Node::example("n2"), std::iter::empty(), ("dc1", None), Outputs::Whole).unwrap()))
}

fn put(id: &str, checks: &[(&str, CheckStatus)]) -> (String, Option<Vec<u8>>) {
    let checks: Vec<Check> = checks.iter().map(|(check_id, status)| check(check_id, Some(id), *status)).collect();
    (
        instance_key(id),
        Some(write_instance(&example("web", id), &SpanningNetworks::default(), checks.iter(), Outputs::Whole).unwrap()),
    )
}

/// An instance that is reached in a network of this ID only.
fn inside(id: &str, network: &str) -> (String, Option<Vec<u8>>) {
    let addresses = format!(r#"{{"{network}": [{{"Address": "198.51.100.7", "Port": 80}}]}}"#);
    (
        instance_key(id),
        Some(format!(r#"{{"Service": {{"Service": "web", "Port": 80, "NetworkAddresses": {addresses}}}}}"#).into()),
    )
}

fn deleted(key: String) -> (String, Option<Vec<u8>>) {
    (key, None)
}

use CheckStatus::{Critical, Passing};

#[test]
fn what_is_reached_in_certain_networks_only_is_there_where_these_are() {
    let subnet = crate::catalog::service::IpNetwork::parse("198.51.100.0/24").unwrap();
    let shop = SpanningNetwork { id: "qvib".into(), name: "shop".into(), subnets: vec![subnet], clients: Vec::new() };
    let (none, shop) = (Arc::new(SpanningNetworks::default()), Arc::new(SpanningNetworks(vec![shop])));
    let mut world = World::new();
    world.events(vec![node(), inside("a", "qvib"), inside("b", "other")]);
    let there = |world: &World| ["a", "b"].map(|id| world.entry("n2", id).is_some());
    assert_eq!(there(&world), [false, false], "nobody knows yet");
    world.mirror.set_networks(Some(Arc::clone(&none)));
    world.relist();
    assert_eq!(there(&world), [false, false]);
    world.mirror.set_networks(Some(shop));
    world.relist();
    assert_eq!(there(&world), [true, false]);
    let addresses = &world.entry("n2", "a").unwrap().instance.network_addresses;
    assert_eq!(addresses.iter().map(|there| there.network).collect::<Vec<_>>(), [subnet]);
    // A process that was started again, before it knows.
    world.mirror = World::new().mirror;
    world.relist();
    assert_eq!(there(&world), [true, false], "what was there before stays");
    world.mirror.set_networks(Some(none));
    world.relist();
    assert_eq!(there(&world), [false, false]);
}

#[test]
fn an_instance_comes_changes_and_goes_with_its_document_each_time_at_one_index() {
    let mut world = World::new();
    assert_eq!(world.events(vec![put("web-1", &[("c", Passing)]), node()]), [""; 0]);
    let entry = world.entry("n2", "web-1").unwrap();
    assert_eq!((entry.instance.origin, entry.status()), (Origin::Cluster, Passing));
    let index = world.state.index();
    world.events(vec![put("web-1", &[("c", Critical), ("d", Passing)])]);
    assert_eq!((world.entry("n2", "web-1").unwrap().status(), world.state.index()), (Critical, index + 1));
    world.events(vec![deleted(instance_key("web-1"))]);
    assert_eq!((world.state.instance_count(), world.state.node_count()), (0, 1));
    world.events(vec![deleted(node_key("n2"))]);
    assert_eq!((world.state.node_count(), world.mirror.has_aside()), (0, false));
}

#[test]
fn of_one_key_the_last_document_counts() {
    let mut world = World::new();
    let gone = deleted(instance_key("web-1"));
    world.events(vec![
        node(),
        put("web-1", &[]),
        gone.clone(),
        put("web-2", &[]),
        gone.clone(),
        put("web-1", &[("c", Passing)]),
    ]);
    assert_eq!((world.checks("web-1"), world.state.instance_count()), (vec!["c"], 2));
    world.events(vec![put("web-1", &[]), gone]);
    assert_eq!(world.state.instance_count(), 1);
}

#[test]
fn what_is_written_of_our_own_node_is_not_read() {
    let mut world = World::new();
    let own = Some(write_node(&Node::example("n1"), std::iter::empty(), ("dc1", None), Outputs::Whole).unwrap());
    let key = "/nameplate/v1/services/n1/web-1".to_owned();
    assert_eq!(world.events(vec![(node_key("n1"), own), (key, Some(b"x".to_vec()))]), [""; 0]);
    assert_eq!(world.state.node_count(), 0);
}

#[test]
fn a_document_that_cannot_be_read_hides_nothing_else_and_keeps_the_last_good_state() {
    let mut world = World::new();
    world.events(vec![node(), put("web-1", &[("c", Passing)])]);
    let broken = |id: &str| (instance_key(id), Some(br#"{"Service": {"Service": "web", "Port": "x"}}"#.to_vec()));
    let foreign = ("/nameplate/v1/services/n2".to_owned(), Some(b"x".to_vec()));
    let complaints = world.events(vec![broken("web-1"), foreign, broken("web-3"), put("web-2", &[])]);
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    assert!(complaints[0].starts_with("/nameplate/v1/services/n2/web-1: Service.Port: invalid type"), "{complaints:?}");
    assert!(complaints[1].contains("is not a key of a node or an instance"), "{complaints:?}");
    assert_eq!((world.state.instance_count(), world.checks("web-1")), (2, vec!["c"]));
    assert_eq!(world.relist().len(), 3);
    assert_eq!((world.state.instance_count(), world.checks("web-1")), (2, vec!["c"]));
    world.events(vec![(node_key("n2"), Some(b"{}".to_vec()))]);
    world.relist();
    assert_eq!(world.state.instance_count(), 2, "its node is there as it was");
    world.events(vec![deleted(instance_key("web-1"))]);
    assert_eq!(world.state.instance_count(), 1);
    world.documents.remove(&instance_key("web-3"));
    world.documents.remove(&node_key("n2"));
    world.relist();
    assert_eq!((world.state.instance_count(), world.state.node_count()), (0, 0));
}

#[test]
fn an_instance_waits_for_its_node() {
    let mut world = World::new();
    world.events(vec![put("web-1", &[]), put("web-2", &[])]);
    assert_eq!((world.state.instance_count(), world.mirror.has_aside()), (0, true));
    world.events(vec![deleted(instance_key("web-2")), put("web-1", &[("c", Passing)])]);
    world.events(vec![node()]);
    assert_eq!((world.state.instance_count(), world.checks("web-1"), world.mirror.has_aside()), (1, vec!["c"], false));
    // Somebody took the node's key away, and its owner puts it back.
    world.events(vec![deleted(node_key("n2"))]);
    assert_eq!((world.state.instance_count(), world.state.node_count()), (0, 0));
    world.events(vec![node()]);
    assert_eq!((world.state.instance_count(), world.checks("web-1")), (1, vec!["c"]));
}

#[test]
fn a_node_goes_with_all_that_is_on_it_as_one_change() {
    let mut world = World::new();
    let ids: Vec<String> = (0..300).map(|number| format!("web-{number}")).collect();
    world.events(ids.iter().map(|id| put(id, &[])).chain([node()]).collect());
    let index = world.state.index();
    world.events(ids.iter().map(|id| deleted(instance_key(id))).chain([deleted(node_key("n2"))]).collect());
    assert_eq!((world.state.index(), world.state.instance_count()), (index + 1, 0));
    assert!(!world.mirror.has_aside());
}

#[test]
fn a_check_moves_from_one_instance_to_another_in_whatever_order_that_is_told() {
    for (from, to) in [("web-1", "web-2"), ("web-2", "web-1")] {
        let mut world = World::new();
        world.events(vec![node(), put(from, &[("c", Passing)]), put(to, &[])]);
        world.events(vec![put(to, &[("c", Passing)])]);
        world.events(vec![put(from, &[])]);
        assert_eq!((world.checks(from), world.checks(to)), (vec![], vec!["c"]), "{from} first gives, then {to} has");
        assert!(!world.mirror.has_aside());
        world.events(vec![put(from, &[("c", Passing)]), put(to, &[])]);
        assert_eq!((world.checks(from), world.checks(to)), (vec!["c"], vec![]), "at once");
    }
}

#[test]
fn of_two_with_one_check_the_node_has_it_else_the_lower_id() {
    let mut world = World::new();
    let complaints = world.events(vec![node(), put("web-2", &[("c", Passing)]), put("web-1", &[("c", Critical)])]);
    assert_eq!(
        complaints,
        ["/nameplate/v1/services/n2/web-2: check ID \"c\" is another's on this node; all but that check is taken"]
    );
    assert_eq!((world.checks("web-1"), world.checks("web-2")), (vec!["c"], vec![]));
    let of_node = check("c", None, Passing);
    let with = write_node(&Node::example("n2"), std::iter::once(&of_node), ("dc1", None), Outputs::Whole).unwrap();
    world.events(vec![(node_key("n2"), Some(with))]);
    assert_eq!((world.checks("web-1"), world.checks("web-2")), (vec![], vec![]));
    world.events(vec![node()]);
    assert_eq!((world.checks("web-1"), world.checks("web-2")), (vec!["c"], vec![]));
    world.events(vec![deleted(instance_key("web-1"))]);
    assert_eq!(world.checks("web-2"), ["c"]);
}

#[test]
fn the_checks_of_a_node_follow_its_document() {
    let mut world = World::new();
    let of = |checks: Vec<Check>| {
        (node_key("n2"), Some(write_node(&Node::example("n2"), checks.iter(), ("dc1", None), Outputs::Whole).unwrap()))
    };
    world.events(vec![of(vec![check("a", None, Passing), check("b", None, Passing)])]);
    let noted = Check { notes: "new".into(), ..check("b", None, Critical) };
    world.events(vec![of(vec![noted, Check { output: "x".into(), ..check("c", None, Critical) }])]);
    let entry = world.state.node(&NodeName::new("n2").unwrap()).unwrap();
    let told: Vec<_> = entry.checks.iter().map(|entry| (entry.check.id.as_str(), entry.check.status)).collect();
    assert_eq!(told, [("b", Critical), ("c", Critical)]);
    assert_eq!((&*entry.checks[0].check.notes, &*entry.checks[1].check.shown_output()), ("new", "x"));
}

#[test]
fn what_others_registered_on_a_node_stays_when_its_document_goes() {
    let mut world = World::new();
    world.events(vec![node(), put("web-1", &[("c", Passing)])]);
    let docker = Instance { node: NodeName::new("n2").unwrap(), origin: Origin::Docker, ..example("swarm", "task-1") };
    world.state.apply(Change::Register(Box::new(registration(docker, vec![])))).unwrap();
    world.events(vec![deleted(node_key("n2")), deleted(instance_key("web-1"))]);
    assert_eq!((world.state.instance_count(), world.state.node_count()), (1, 1));
    world.relist();
    assert!(world.entry("n2", "task-1").is_some());
    world
        .state
        .apply(Change::Deregister { key: crate::catalog::testing::key("n2", "task-1"), origin: Origin::Docker })
        .unwrap();
    world.relist();
    assert_eq!(world.state.node_count(), 0);
}

#[test]
fn what_is_registered_here_goes_first() {
    let mut world = World::new();
    world.state.apply(Change::RegisterNode(Node::example("n2"))).unwrap();
    let here = Instance { node: NodeName::new("n2").unwrap(), ..example("here", "web-1") };
    world.state.apply(Change::Register(Box::new(registration(here, vec![])))).unwrap();
    let other = Node { uuid: Arc::from("u"), ..Node::example("n2") };
    world.events(vec![
        (node_key("n2"), Some(write_node(&other, std::iter::empty(), ("dc1", None), Outputs::Whole).unwrap())),
        put("web-1", &[("c", Critical)]),
    ]);
    let entry = world.entry("n2", "web-1").unwrap();
    assert_eq!((entry.instance.service.as_str(), entry.shadowed[0].checks[0].status), ("here", Critical));
    assert_eq!(world.state.node(&NodeName::new("n2").unwrap()).unwrap().node.origin, Origin::Api);
    world.documents.clear();
    world.relist();
    assert_eq!((world.state.instance_count(), world.entry("n2", "web-1").unwrap().shadowed.len()), (1, 0));
}

#[test]
fn what_another_life_told_of_our_own_node_goes_with_the_first_list() {
    let mut world = World::new();
    world.state.apply(Change::RegisterNode(Node { origin: Origin::Server, ..Node::example("n1") })).unwrap();
    let told = told(registration(example("web", "web-1"), vec![check("c", Some("web-1"), Passing)]));
    world.state.apply(Change::Mirror(Box::new(told))).unwrap();
    world.relist();
    assert_eq!((world.state.instance_count(), world.state.node_count()), (0, 1));
}

type Written = (String, Option<Vec<u8>>);

/// What happens to a key, with documents whose checks have this before their IDs.
fn any_event(prefix: &'static str) -> impl Strategy<Value = Written> {
    let renamed = move |checks: Vec<Check>| -> Vec<Check> {
        checks
            .into_iter()
            .map(|check| Check { id: CheckId::derived(&format!("{prefix}{}", check.id)), ..check })
            .collect()
    };
    let of_node = select(vec!["N1", "n2.rack"]).prop_flat_map(move |name| {
        option::weighted(0.8, any_node_registration(name)).prop_map(move |registration| {
            let value = registration
                .map(|one| write_node(&one.node, renamed(one.checks).iter(), ("dc1", None), Outputs::Whole).unwrap());
            (node_key(name), value)
        })
    });
    let of_instance = select(vec!["N1", "n2.rack"]).prop_flat_map(move |name| {
        (any_registration(name), any::<bool>()).prop_map(move |(registration, lives)| {
            let key = format!("/nameplate/v1/services/{name}/{}", registration.instance.id);
            let checks = renamed(registration.checks);
            (
                key,
                lives.then(|| {
                    write_instance(&registration.instance, &SpanningNetworks::default(), checks.iter(), Outputs::Whole)
                        .unwrap()
                }),
            )
        })
    });
    prop_oneof![2 => of_node, 5 => of_instance]
}

fn any_batches(prefix: &'static str) -> impl Strategy<Value = Vec<Vec<Written>>> {
    vec(vec(any_event(prefix), 1..6), 1..8)
}

/// Changes of a small catalog, of which none is another machine's.
fn others() -> impl Strategy<Value = Vec<Change>> {
    let is_told = |change: &Change| format!("{change:?}").contains("Cluster");
    let others =
        any_change().prop_filter("of others", move |change| !is_told(change) && !matches!(change, Change::Mirror(_)));
    vec(others, 0..12)
}

fn with(others: Vec<Change>) -> World {
    let mut world = World::new();
    for name in ["n1", "N1"] {
        world.state.apply(Change::RegisterNode(Node::example(name))).unwrap();
    }
    for change in others {
        // Some are refused.
        let _ = world.state.apply(change);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_catalog_follows_from_the_documents_alone(batches in any_batches("")) {
        let mut world = World::new();
        for batch in batches {
            world.events(batch);
        }
        let mut listed = World { documents: world.documents.clone(), ..World::new() };
        listed.relist();
        prop_assert_eq!(Model::of(&world.state), Model::of(&listed.state));
        world.relist();
        prop_assert_eq!(Model::of(&world.state), Model::of(&listed.state));
        world.documents.clear();
        world.relist();
        prop_assert_eq!((world.state.node_count(), world.state.check_count()), (0, 0));
    }

    #[test]
    fn others_are_left_as_they_are(others in others(), batches in any_batches("theirs-")) {
        let mut world = with(others);
        let before = world.state.clone();
        for batch in batches {
            world.events(batch);
        }
        let mut listed = World { documents: world.documents.clone(), state: before.clone(), ..World::new() };
        listed.relist();
        prop_assert_eq!(Model::of(&world.state), Model::of(&listed.state));
        world.documents.clear();
        world.relist();
        prop_assert_eq!(Model::of(&world.state), Model::of(&before));
    }

    #[test]
    fn nothing_is_refused_whatever_others_have(others in others(), batches in any_batches("")) {
        let mut world = with(others);
        for batch in batches {
            world.events(batch);
            world.relist();
        }
    }
}
