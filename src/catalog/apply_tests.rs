use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::catalog::{
    apply_checks::is_derived,
    change::{Origin, Registration},
    check::{
        Check,
        CheckStatus::{Critical, Passing, Warning},
    },
    model::Model,
    restore::StoredNode,
    state::Indexes,
    table::Seed,
    testing::{any_change, check, check_key, instance, key, register, registration, set_status},
};

fn catalog() -> State {
    let mut state = State::new(Seed(7), 100);
    state.apply(Change::RegisterNode(Node::example("n1"))).unwrap();
    state
}

/// A catalog in which these changes took effect.
fn after(changes: impl IntoIterator<Item = Change>) -> State {
    let mut state = catalog();
    for change in changes {
        state.apply(change).unwrap();
    }
    check_state(&state);
    state
}

fn of(origin: Origin, service: &str, id: &str) -> Instance {
    Instance { origin, ..instance(service, id) }
}

fn entry(state: &State) -> &InstanceEntry {
    state.instance(&key("n1", "web-1")).unwrap()
}

fn index_of(state: &State, service: &str) -> u64 {
    state.service_index(&ServiceName::new(service).unwrap())
}

#[test]
fn the_explicit_beats_the_discovered_whatever_came_first() {
    let api = register(registration(of(Origin::Api, "web", "web-1"), vec![]));
    let docker = register(registration(of(Origin::Docker, "found", "web-1"), vec![]));
    for changes in [[api.clone(), docker.clone()], [docker, api]] {
        let state = after(changes);
        assert_eq!(entry(&state).instance.origin, Origin::Api);
        assert_eq!(entry(&state).shadowed[0].instance.service.as_str(), "found");
        assert_eq!((state.service_count(), state.instance_count()), (1, 1));
    }
}

#[test]
fn the_best_of_those_kept_aside_steps_in_with_its_checks() {
    let docker = registration(of(Origin::Docker, "found", "web-1"), vec![check("c", Some("web-1"), Warning)]);
    let file = registration(of(Origin::File, "filed", "web-1"), vec![]);
    let mut state = after([docker, file, registration(of(Origin::Api, "web", "web-1"), vec![])].map(register));
    assert_eq!(state.check_count(), 0);
    for (origin, service) in [(Origin::Api, "filed"), (Origin::File, "found")] {
        state.apply(Change::Deregister { key: key("n1", "web-1"), origin }).unwrap();
        check_state(&state);
        assert_eq!(entry(&state).instance.service.as_str(), service);
    }
    assert_eq!(entry(&state).status(), Warning);
}

#[test]
fn a_check_whose_id_was_taken_meanwhile_does_not_step_in() {
    let docker = registration(of(Origin::Docker, "web", "web-1"), vec![check("c", Some("web-1"), Warning)]);
    let api = registration(of(Origin::Api, "web", "web-1"), vec![]);
    let other = registration(of(Origin::Api, "web", "web-2"), vec![check("c", Some("web-2"), Passing)]);
    let gone = Change::Deregister { key: key("n1", "web-1"), origin: Origin::Api };
    let state = after([register(docker), register(api), register(other), gone]);
    assert_eq!((entry(&state).checks.len(), state.check_count()), (0, 1));
}

#[test]
fn a_reregistration_keeps_the_state_of_the_checks_that_it_keeps() {
    let first = registration(instance("web", "web-1"), vec![check("c", Some("web-1"), Critical)]);
    let mut state = after([register(first.clone()), set_status("n1", "c", Passing, "200 OK")]);
    let index = state.index();
    assert!(state.apply(register(first)).unwrap().is_empty(), "an identical one changes nothing");
    assert_eq!(state.index(), index);
    let mut other = registration(instance("web", "web-1"), vec![check("c", Some("web-1"), Critical)]);
    other.checks[0].notes = "another definition".into();
    let effects = state.apply(register(other)).unwrap();
    assert_eq!((effects.checks.len(), effects.statuses.len()), (1, 0));
    assert_eq!((entry(&state).status(), &*entry(&state).checks[0].check.shown_output()), (Passing, "200 OK"));
    assert_eq!((state.index(), entry(&state).checks[0].modify_index), (index + 1, index + 1));
    assert!(entry(&state).modify_index < index, "the instance itself is as it was");
}

#[test]
fn what_is_mirrored_is_as_it_was_given_at_one_index() {
    let told = |checks: Vec<Check>| {
        let registration = registration(of(Origin::Cluster, "web", "web-1"), checks);
        Change::Mirror(Box::new(registration))
    };
    let maintenance = Check::maintenance(&key("n1", "web-1"), Arc::from("why"));
    let (a, b) = (check("a", Some("web-1"), Passing), check("b", Some("web-1"), Passing));
    let added = Check { origin: Origin::File, ..check("f", Some("web-1"), Passing) };
    let mut state = after([told(vec![a, b, maintenance]), Change::RegisterCheck(Box::new(added))]);
    assert!(entry(&state).in_maintenance());
    let index = state.index();
    let failed = || Check { output: "refused".into(), ..check("b", Some("web-1"), Critical) };
    let effects = state.apply(told(vec![failed()])).unwrap();
    check_state(&state);
    assert_eq!((state.index(), index_of(&state, "web")), (index + 1, index + 1));
    let held: Vec<_> = entry(&state).checks.iter().map(|entry| (entry.check.id.as_str(), entry.check.status)).collect();
    assert_eq!(held, [("b", Critical), ("f", Passing)], "what another origin added stays");
    assert_eq!((effects.statuses, effects.checks.len(), effects.outputs_only), (vec![check_key("n1", "b")], 2, false));
    assert!(state.apply(told(vec![failed()])).unwrap().is_empty(), "the same again is nothing");
    let said = Check { output: "timeout".into(), ..failed() };
    assert!(state.apply(told(vec![said])).unwrap().outputs_only);
    assert_eq!((state.index(), entry(&state).checks[0].modify_index), (index + 1, index + 1));
    assert_eq!(entry(&state).checks[0].check.shown_output(), "timeout");
}

#[test]
fn what_is_mirrored_aside_has_its_status_too() {
    let told = |status| {
        let checks = vec![check("c", Some("web-1"), status)];
        Change::Mirror(Box::new(registration(of(Origin::Cluster, "web", "web-1"), checks)))
    };
    let api = register(registration(of(Origin::Api, "web", "web-1"), vec![]));
    let mut state = after([api, told(Passing), told(Critical)]);
    assert_eq!(entry(&state).shadowed[0].checks[0].status, Critical);
    state.apply(Change::Deregister { key: key("n1", "web-1"), origin: Origin::Api }).unwrap();
    assert_eq!(entry(&state).status(), Critical);
}

#[test]
fn very_many_checks_of_an_instance_cost_each_other_little() {
    // Comparing each with each, one change of this takes half a minute.
    const CHECKS: usize = 20_000;
    let name = |number: usize| format!("check-{number}");
    let began = std::time::Instant::now();
    let all = || (0..CHECKS).map(|number| check(&name(number), Some("web-1"), Passing)).collect();
    let registered = || register(registration(instance("web", "web-1"), all()));
    let mut state = after([registered(), registered()]);
    for number in (0..CHECKS).step_by(CHECKS / 20) {
        let effects = state.apply(set_status("n1", &name(number), Critical, "refused")).unwrap();
        assert_eq!(effects.statuses, [check_key("n1", &name(number))]);
        assert!(effects.checks.is_empty());
    }
    state.apply(Change::RegisterCheck(Box::new(check("one-more", Some("web-1"), Passing)))).unwrap();
    check_state(&state);
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn replace_existing_checks_takes_out_what_is_not_listed_but_nothing_of_others() {
    let checks = vec![check("a", Some("web-1"), Passing), check("b", Some("web-1"), Passing)];
    let foreign = Check { origin: Origin::File, ..check("f", Some("web-1"), Passing) };
    let maintenance = Change::InstanceMaintenance { key: key("n1", "web-1"), reason: Some(Arc::from("why")) };
    let first = register(registration(instance("web", "web-1"), checks.clone()));
    let mut state = after([first, Change::RegisterCheck(Box::new(foreign)), maintenance]);
    let ids = |state: &State| entry(state).checks.iter().map(|entry| entry.check.id.to_string()).collect::<Vec<_>>();
    let again = registration(instance("web", "web-1"), checks[..1].to_vec());
    assert!(state.apply(register(again.clone())).unwrap().is_empty(), "without it they stay");
    state.apply(register(Registration { replace_existing_checks: true, ..again })).unwrap();
    check_state(&state);
    assert_eq!(ids(&state), ["_service_maintenance:web-1", "a", "f"]);
}

#[test]
fn a_refused_change_leaves_nothing() {
    let first = registration(instance("web", "web-1"), vec![check("c", Some("web-1"), Passing)]);
    let mut state = after([register(first), register(registration(of(Origin::File, "db", "db-1"), vec![]))]);
    let before = (Model::of(&state), state.index());
    let nowhere = Instance { node: NodeName::new("n9").unwrap(), ..instance("web", "web-9") };
    let taken = vec![check("c", Some("web-2"), Passing)];
    let wrong = registration(of(Origin::Docker, "web", "web-3"), vec![check("c", Some("web-3"), Passing)]);
    let changes = [
        (register(registration(nowhere, vec![])), "unknown node \"n9\"; register it first"),
        (register(registration(instance("web", "web-2"), taken)), "check ID \"c\" belongs to another service"),
        (
            Change::Deregister { key: key("n1", "db-1"), origin: Origin::Api },
            "\"db-1\" was registered by the file source",
        ),
        (Change::Deregister { key: key("n1", "no"), origin: Origin::Api }, "unknown service ID \"no\" on node \"n1\""),
        (Change::DeregisterCheck { key: check_key("n1", "c"), origin: Origin::File }, "registered by the api source"),
        (
            Change::RegisterCheck(Box::new(Check { origin: Origin::File, ..check("c", Some("web-1"), Passing) })),
            "check ID \"c\" was registered by the api source; change it there",
        ),
        (set_status("n1", "no", Passing, ""), "unknown check ID \"no\""),
        (
            Change::ReplaceOrigin {
                node: NodeName::new("n1").unwrap(),
                origin: Origin::Docker,
                registrations: vec![registration(of(Origin::Docker, "web", "web-4"), vec![]), wrong],
            },
            "check ID \"c\" belongs to another service",
        ),
    ];
    for (change, text) in changes {
        let error = state.apply(change).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        assert_eq!((Model::of(&state), state.index()), before, "{text}");
        check_state(&state);
    }
}

#[test]
fn a_service_has_the_index_of_its_last_change_and_a_vanished_one_that_of_the_last_disappearance() {
    let web = |id| register(registration(instance("web", id), vec![check(id, Some(id), Passing)]));
    let mut state = after([web("web-1"), register(registration(instance("db", "db-1"), vec![])), web("web-2")]);
    assert_eq!((index_of(&state, "web"), index_of(&state, "db"), index_of(&state, "no")), (104, 103, 100));
    state.apply(set_status("n1", "web-1", Critical, "refused")).unwrap();
    assert_eq!((index_of(&state, "web"), index_of(&state, "db"), state.index()), (105, 103, 105));
    state.apply(set_status("n1", "web-1", Critical, "refused again")).unwrap();
    assert_eq!((index_of(&state, "web"), state.index()), (105, 105), "nobody waits for an output");
    state.apply(Change::Deregister { key: key("n1", "db-1"), origin: Origin::Api }).unwrap();
    assert_eq!((index_of(&state, "web"), index_of(&state, "db"), index_of(&state, "no")), (105, 106, 106));
    state.apply(register(registration(instance("db", "web-2"), vec![]))).unwrap();
    assert_eq!((index_of(&state, "web"), index_of(&state, "db"), index_of(&state, "no")), (107, 107, 106));
}

#[test]
fn a_nodes_status_is_a_change_of_every_service_on_it() {
    let mut state = after([register(registration(instance("web", "web-1"), vec![]))]);
    let effects = state.apply(Change::RegisterCheck(Box::new(check("disk", None, Critical)))).unwrap();
    let [touched] = &effects.instances[..] else { panic!("{effects:?}") };
    assert_eq!(touched.before.as_ref().unwrap().node_status, Passing);
    assert_eq!(touched.after.as_ref().unwrap().node_status, Critical);
    assert_eq!((index_of(&state, "web"), state.nodes_index(), state.checks_index()), (103, 103, 103));
    let effects = state.apply(set_status("n1", "disk", Critical, "full")).unwrap();
    assert_eq!((effects.instances.len(), effects.statuses.len(), state.index()), (0, 1, 103));
}

#[test]
fn maintenance_is_critical_while_it_lasts_and_ends_without_a_trace() {
    let maintenance =
        |reason: Option<&str>| Change::InstanceMaintenance { key: key("n1", "web-1"), reason: reason.map(Arc::from) };
    let first = registration(instance("web", "web-1"), vec![]);
    let mut state = after([register(first.clone()), maintenance(Some("why"))]);
    assert_eq!((entry(&state).status(), entry(&state).in_maintenance()), (Critical, true));
    state.apply(set_status("n1", "_service_maintenance:web-1", Passing, "")).unwrap();
    assert_eq!(entry(&state).status(), Critical, "no result ends it");
    state.apply(register(Registration { replace_existing_checks: true, ..first })).unwrap();
    assert!(entry(&state).in_maintenance(), "nor does a registration");
    assert!(state.apply(maintenance(Some("why"))).unwrap().is_empty());
    state.apply(maintenance(None)).unwrap();
    check_state(&state);
    assert_eq!((entry(&state).status(), state.check_count()), (Passing, 0));
    assert!(state.apply(maintenance(None)).unwrap().is_empty());
}

#[test]
fn what_an_origin_has_is_a_state_in_no_order() {
    let docker = |id: &str, check_ids: &[&str]| Registration {
        replace_existing_checks: true,
        ..registration(
            of(Origin::Docker, "web", id),
            check_ids.iter().map(|check_id| check(check_id, Some(id), Passing)).collect(),
        )
    };
    let replace = |registrations| Change::ReplaceOrigin {
        node: NodeName::new("n1").unwrap(),
        origin: Origin::Docker,
        registrations,
    };
    let mut state = after([register(registration(instance("web", "mine"), vec![]))]);
    state.apply(replace(vec![docker("a", &["x", "y"]), docker("b", &[]), docker("mine", &[])])).unwrap();
    check_state(&state);
    let index = state.index();
    assert!(
        state.apply(replace(vec![docker("mine", &[]), docker("b", &[]), docker("a", &["y", "x"])])).unwrap().is_empty()
    );
    assert_eq!(state.index(), index);
    state.apply(replace(vec![docker("b", &["x"]), docker("a", &["y"])])).unwrap();
    check_state(&state);
    assert_eq!(state.check(&check_key("n1", "x")).unwrap().check.service_id, Some(key("n1", "b").id));
    assert!(state.instance(&key("n1", "mine")).unwrap().shadowed.is_empty());
    state.apply(replace(vec![])).unwrap();
    check_state(&state);
    assert_eq!((state.instance_count(), state.check_count()), (1, 0));
}

#[test]
fn a_check_that_goes_with_its_origin_is_free_for_who_steps_in() {
    // Whatever the order of the two in the catalog: the one that has the check now, and the one that steps in.
    for (holder, shadowed) in [("a", "b"), ("b", "a")] {
        let file = registration(of(Origin::File, "web", shadowed), vec![check("c", Some(shadowed), Passing)]);
        let api = registration(of(Origin::Api, "web", shadowed), vec![]);
        let taken = registration(of(Origin::Api, "web", holder), vec![check("c", Some(holder), Warning)]);
        let node = NodeName::new("n1").unwrap();
        let none = Change::ReplaceOrigin { node, origin: Origin::Api, registrations: vec![] };
        let state = after([register(file), register(api), register(taken), none]);
        assert_eq!(state.check(&check_key("n1", "c")).unwrap().check.service_id, Some(key("n1", shadowed).id));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn a_catalog_is_what_plain_maps_would_hold(changes in vec(any_change(), 1..40)) {
        let mut state = catalog();
        let mut model = Model::of(&state);
        for change in changes {
            let before = state.clone();
            let expected = model.after(change.clone());
            let outcome = state.apply(change.clone());
            match (expected, outcome) {
                (Ok(next), Ok(effects)) => {
                    prop_assert_eq!(effects.is_empty(), next == model, "{:?} {:?}", change, effects);
                    model = next;
                }
                (Err(expected), Err(error)) => {
                    prop_assert_eq!(std::mem::discriminant(&expected), std::mem::discriminant(&error));
                }
                (expected, outcome) => prop_assert!(false, "{:?} {:?} {:?}", change, expected, outcome),
            }
            prop_assert_eq!(&Model::of(&state), &model, "{:?}", change);
            check_state(&state);
            check_indexes(&before, &state);
        }
        let restored = restored(&state);
        check_state(&restored);
        prop_assert_eq!(Model::of(&restored), model);
    }
}

/// The same catalog, put together from its parts.
fn restored(state: &State) -> State {
    let node = |entry: &Arc<NodeEntry>| StoredNode {
        node: Arc::clone(&entry.node),
        checks: Arc::clone(&entry.checks),
        create_index: entry.create_index,
        modify_index: entry.modify_index,
    };
    let instances = state.services().flat_map(|service| service.instances()).cloned().collect();
    State::restore(Seed(99), state.index(), state.nodes().map(node).collect(), instances)
}

/// What must hold of every state.
#[track_caller]
fn check_state(state: &State) {
    let mut instances = 0;
    let mut checks = 0;
    for service in state.services() {
        assert!(!service.is_empty(), "{} has instances", service.name);
        assert!(service.index <= state.index());
        for entry in service.instances() {
            instances += 1;
            let instance = &entry.instance;
            assert_eq!(instance.service, service.name);
            assert!(Arc::ptr_eq(state.instance(&instance.key()).unwrap(), entry));
            let node = state.node(&instance.node).unwrap();
            assert!(node.instances().any(|other| Arc::ptr_eq(other, instance)), "its node knows it");
            assert!(entry.create_index <= entry.modify_index && entry.modify_index <= service.index);
            let origins: Vec<Origin> = entry.shadowed.iter().map(|one| one.instance.origin).collect();
            assert!(origins.iter().all(|origin| *origin > instance.origin) && origins.is_sorted_by(|a, b| a < b));
            check_checks(state, &entry.checks, instance);
        }
    }
    for node in state.nodes() {
        let of_instances = node.instances().flat_map(|instance| state.instance(&instance.key()).unwrap().checks.iter());
        let all: Vec<&Check> = of_instances.chain(node.checks.iter()).map(|entry| &*entry.check).collect();
        let placed = all.iter().filter(|check| !is_derived(&check.id, check.service_id.as_ref()));
        assert_eq!(node.check_places.len(), placed.count());
        for origin in [Origin::Server, Origin::Api, Origin::File, Origin::Docker, Origin::Registry] {
            let has = |entry: &Arc<InstanceEntry>| {
                entry.instance.origin == origin || entry.shadowed.iter().any(|one| one.instance.origin == origin)
            };
            let here = node.instances().map(|one| one.key()).filter(|key| has(state.instance(key).unwrap()));
            let mut here: Vec<InstanceKey> = here.collect();
            let mut found = state.of_origin(&node.node.name, origin);
            here.sort();
            found.sort();
            assert_eq!(found, here, "{origin} on {}", node.node.name);
        }
        checks += all.len();
        for entry in node.checks.iter() {
            assert_eq!(entry.check.service_id, None);
            assert!(state.check(&entry.check.key()).is_some_and(|found| found == entry));
        }
    }
    assert_eq!((state.instance_count(), state.check_count()), (instances, checks));
    assert_eq!(state.nodes().map(|node| node.instances().count()).sum::<usize>(), instances);
    let Indexes { services, nodes, checks, extinction } = state.indexes();
    assert!([services, nodes, checks, extinction].iter().all(|index| *index <= state.index()));
}

#[track_caller]
fn check_checks(state: &State, checks: &[CheckEntry], instance: &Instance) {
    assert!(checks.is_sorted_by(|left, right| left.check.id < right.check.id));
    for entry in checks {
        assert_eq!((&entry.check.node, entry.check.service_id.as_ref()), (&instance.node, Some(&instance.id)));
        assert!(state.check(&entry.check.key()).is_some_and(|found| found == entry));
        assert!(entry.create_index <= entry.modify_index && entry.modify_index <= state.index());
    }
}

/// Which indexes a change moves.
#[track_caller]
fn check_indexes(before: &State, after: &State) {
    let all: BTreeSet<&ServiceName> = before.services().chain(after.services()).map(|service| &service.name).collect();
    // All that a waiting read of a service may be about; outputs are not.
    let seen = |state: &State, name: &ServiceName| -> Vec<_> {
        let entries = state.service(name).into_iter().flat_map(|service| service.instances());
        let mut seen: Vec<_> = entries
            .map(|entry| {
                let node = state.node(&entry.instance.node).unwrap();
                let silent = |entry: &CheckEntry| Check { output: "".into(), ..Check::clone(&entry.check) };
                let checks: Vec<Check> = entry.checks.iter().chain(node.checks.iter()).map(silent).collect();
                (entry.instance.key(), format!("{:?} {:?} {checks:?} {:?}", entry.instance, entry.shadowed, node.node))
            })
            .collect();
        seen.sort();
        seen
    };
    let mut vanished = false;
    for name in all {
        let changed = seen(before, name) != seen(after, name);
        vanished |= after.service(name).is_none();
        if changed {
            assert_eq!(after.service_index(name), after.index(), "{name}");
            assert!(after.index() > before.index());
        } else {
            assert_eq!(after.service_index(name), before.service_index(name), "{name}");
        }
    }
    let extinction = if vanished { after.index() } else { before.indexes().extinction };
    assert_eq!(after.indexes().extinction, extinction);
}
