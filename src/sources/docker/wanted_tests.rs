use super::*;
use crate::catalog::{
    check::{CheckResult, CheckStatus},
    node::Node,
    table::Seed,
    testing::{check, check_key, instance, key, registration},
};

/// A catalog, and what is wanted of it.
struct Bench {
    catalog: State,
    wanted: Wanted,
}

fn bench() -> Bench {
    let mut catalog = State::new(Seed(7), 100);
    catalog.apply(Change::RegisterNode(Node::example("n1"))).unwrap();
    Bench { catalog, wanted: Wanted::new(NodeName::new("n1").unwrap()) }
}

/// Container `name`, whose name and creation it is too.
fn claimant(name: &str) -> Claimant {
    let text = name.to_owned();
    Claimant { id: text.clone(), name: text.clone(), created: text, started: "1".to_owned(), is_kept: false }
}

/// An instance of a service, with a check that Docker tells the status of.
fn one(service: &str, id: &str, status: CheckStatus) -> Registration {
    let instance = crate::catalog::service::Instance { origin: Origin::Docker, ..instance(service, id) };
    let checks = vec![check(&format!("health:{id}"), Some(id), status)];
    Registration { replace_existing_checks: true, ..registration(instance, checks) }
}

use CheckStatus::{Critical, Passing};

impl Bench {
    #[track_caller]
    fn submit(&mut self, plan: Plan) -> Vec<&'static str> {
        let word = |change: &Change| match change {
            Change::Register(_) => "register",
            Change::Deregister { .. } => "deregister",
            Change::SetStatus { .. } => "status",
            Change::ReplaceOrigin { .. } => "replace",
            other => panic!("{other:?}"),
        };
        let words = plan.changes.iter().map(word).collect();
        for change in &plan.changes {
            self.catalog.apply(change.clone()).unwrap();
        }
        self.wanted.applied(plan);
        words
    }

    fn plan(&mut self) -> Vec<&'static str> {
        let plan = self.wanted.plan(&self.catalog);
        self.submit(plan)
    }

    fn whole(&mut self) -> Vec<&'static str> {
        let plan = self.wanted.whole(&self.catalog);
        self.submit(plan)
    }

    /// Service IDs of Docker's with their services, sorted.
    fn registered(&self) -> Vec<String> {
        let keys = self.catalog.of_origin(&NodeName::new("n1").unwrap(), Origin::Docker);
        let text = |key: &InstanceKey| format!("{}={}", key.id, self.catalog.instance(key).unwrap().instance.service);
        let mut all: Vec<_> = keys.iter().map(text).collect();
        all.sort();
        all
    }

    fn status(&self, id: &str) -> CheckStatus {
        self.catalog.check(&check_key("n1", &format!("health:{id}"))).unwrap().check.status
    }
}

#[test]
fn only_what_changed_is_submitted() {
    let mut bench = bench();
    bench.wanted.claim(claimant("a"), vec![one("web", "a1", Passing), one("api", "a2", Passing)]);
    bench.wanted.claim(claimant("b"), vec![one("web", "b1", Critical)]);
    assert_eq!(bench.plan().iter().filter(|word| **word == "register").count(), 3);
    assert_eq!(bench.registered(), ["a1=web", "a2=api", "b1=web"]);
    assert_eq!(bench.plan(), [""; 0]);
    bench.wanted.claim(claimant("a"), vec![one("web", "a1", Passing), one("api", "a3", Passing)]);
    assert_eq!(bench.plan(), ["deregister", "register", "status"]);
    bench.wanted.release("b");
    assert_eq!(bench.plan(), ["deregister"]);
    assert_eq!(bench.registered(), ["a1=web", "a3=api"]);
    let index = bench.catalog.index();
    assert_eq!(bench.whole(), ["replace", "status", "status"]);
    assert_eq!(bench.catalog.index(), index, "the same again changes nothing");
}

#[test]
fn a_status_that_docker_tells_takes_the_place_of_the_one_before() {
    let mut bench = bench();
    bench.wanted.claim(claimant("a"), vec![one("web", "a1", Critical)]);
    bench.plan();
    assert_eq!(bench.status("a1"), Critical);
    bench.wanted.claim(claimant("a"), vec![one("web", "a1", Passing)]);
    bench.plan();
    assert_eq!(bench.status("a1"), Passing);
    bench.catalog.apply(crate::catalog::testing::set_status("n1", "health:a1", Critical, "by hand")).unwrap();
    bench.whole();
    assert_eq!(bench.status("a1"), Passing, "what holds is what Docker says");
}

#[test]
fn of_two_with_one_id_the_one_created_first_has_it_and_the_other_steps_in() {
    let mut bench = bench();
    bench.wanted.claim(claimant("b"), vec![one("second", "x", Passing)]);
    bench.plan();
    bench.wanted.claim(claimant("a"), vec![one("first", "x", Passing), one("first", "y", Passing)]);
    bench.plan();
    assert_eq!(bench.registered(), ["x=first", "y=first"]);
    let told = bench.wanted.take_warnings();
    assert!(told[0].starts_with("container b: the service ID \"x\" is that of container a"), "{told:?}");
    bench.wanted.release("a");
    bench.plan();
    assert_eq!(bench.registered(), ["x=second"]);
}

#[test]
fn what_is_only_kept_makes_room_for_what_runs() {
    let mut bench = bench();
    bench.wanted.claim(Claimant { is_kept: true, ..claimant("a") }, vec![one("old", "x", Critical)]);
    bench.wanted.claim(claimant("b"), vec![one("new", "x", Passing)]);
    bench.plan();
    assert_eq!(bench.registered(), ["x=new"]);
}

#[test]
fn what_was_deregistered_by_others_stays_away_until_its_container_is_started_again() {
    let mut bench = bench();
    bench.wanted.claim(claimant("a"), vec![one("web", "x", Passing), one("web", "y", Passing)]);
    bench.plan();
    bench.catalog.apply(Change::Deregister { key: key("n1", "x"), origin: Origin::Docker }).unwrap();
    bench.wanted.claim(claimant("a"), vec![one("web", "x", Critical), one("web", "y", Passing)]);
    assert_eq!(bench.plan(), [""; 0]);
    for _ in 0..2 {
        bench.whole();
        assert_eq!(bench.registered(), ["y=web"]);
    }
    bench.wanted.claim(Claimant { started: "2".to_owned(), ..claimant("a") }, vec![one("web", "x", Passing)]);
    bench.plan();
    assert_eq!(bench.registered(), ["x=web"]);
}

#[test]
fn what_somebody_more_explicit_has_is_kept_aside_and_its_checks_are_left_alone() {
    let mut bench = bench();
    let api = registration(instance("by-hand", "x"), Vec::new());
    bench.catalog.apply(crate::catalog::testing::register(api)).unwrap();
    bench.wanted.claim(claimant("a"), vec![one("web", "x", Passing)]);
    assert_eq!(bench.plan(), ["register"]);
    assert_eq!(bench.whole(), ["replace"]);
    assert_eq!(bench.registered(), ["x=by-hand"], "aside");
    bench.catalog.apply(Change::Deregister { key: key("n1", "x"), origin: Origin::Api }).unwrap();
    assert_eq!(bench.registered(), ["x=web"]);
    let result = CheckResult { status: Critical, output: "".into() };
    bench.catalog.apply(Change::SetStatus { key: check_key("n1", "health:x"), result }).unwrap();
    assert_eq!(bench.whole(), ["replace", "status"]);
    assert_eq!(bench.status("x"), Passing);
}

#[test]
fn a_check_whose_id_is_anothers_is_left_out_until_it_is_free() {
    let mut bench = bench();
    let other = registration(instance("other", "o"), vec![check("health:x", Some("o"), Passing)]);
    bench.catalog.apply(crate::catalog::testing::register(other)).unwrap();
    bench.wanted.claim(claimant("a"), vec![one("web", "x", Passing)]);
    let plan = bench.wanted.plan(&bench.catalog);
    assert!(bench.catalog.apply(plan.changes[0].clone()).is_err());
    bench.wanted.refuse(check_key("n1", "health:x"));
    assert_eq!(bench.whole(), ["replace"]);
    assert_eq!(bench.registered(), ["x=web"]);
    assert_eq!(bench.wanted.take_warnings().len(), 1);
    bench.catalog.apply(Change::Deregister { key: key("n1", "o"), origin: Origin::Api }).unwrap();
    bench.wanted.forgive();
    assert_eq!(bench.whole(), ["replace", "status"]);
    assert_eq!(bench.status("x"), Passing);
}
