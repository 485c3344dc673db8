use proptest::{collection::vec, prelude::*};

use super::{
    super::{
        Ended,
        tests::{Etcd, layout},
    },
    *,
};
use crate::{
    catalog::{
        model::Model,
        node::Node,
        table::Seed,
        testing::{any_change, check, instance, key, register, registration},
    },
    sources::etcd::{
        document::{Nameplate, read_node},
        mirror::{Event, Mirror},
    },
};

/// What a machine that is none of these nodes knows of etcd.
struct Machine1 {
    catalog: State,
    mirror: Mirror,
    revision: u64,
}

impl Machine1 {
    fn new() -> Machine1 {
        let mirror = Mirror::new(layout(), NodeName::new("own").unwrap());
        Machine1 { catalog: State::new(Seed(7), 100), mirror, revision: 0 }
    }

    /// Hears of all that is there.
    fn follow(&mut self, etcd: &Etcd) {
        let all = etcd.keys.values().map(|one| Event { key: one.key.clone(), value: Some(one.value.clone()) });
        for change in self.mirror.relisted(&self.catalog, all).changes {
            self.catalog.apply(change).unwrap();
        }
        self.revision = u64::try_from(etcd.revision).unwrap();
    }

    fn plan(&self, operations: Vec<Operation>, machines: &[Machine]) -> Plan {
        let layout = layout();
        let (catalog, revision) = (&self.catalog, self.revision);
        Plan::catalog(Known { layout: &layout, catalog, revision, machines, datacenter: "dc1" }, operations).unwrap().0
    }

    /// Does something on what this machine knows.
    fn tries(&self, etcd: &mut Etcd, changes: Vec<Change>) -> Ended {
        let plan = self.plan(changes.into_iter().map(Operation::of).collect(), &[]);
        let done = etcd.txn(plan.txn(0));
        plan.ended(&done)
    }
}

fn node(name: &str) -> Change {
    Change::RegisterNode(Node::example(name))
}

fn web(id: &str) -> Change {
    let mut web = instance("web", id);
    web.node = NodeName::new("db").unwrap();
    register(registration(web, vec![]))
}

fn health(id: &str, of: &str) -> Change {
    let check = check(id, Some(of), crate::catalog::check::CheckStatus::Passing);
    Change::RegisterCheck(Box::new(Check { node: NodeName::new("db").unwrap(), ..check }))
}

fn gone() -> Change {
    Change::DeregisterNode { name: NodeName::new("db").unwrap(), origin: Origin::Api }
}

fn is_done(ended: &Ended) -> bool {
    matches!(ended, Ended::Done { .. })
}

#[test]
fn a_machine_that_lags_writes_over_nothing() {
    let mut etcd = Etcd { revision: 40, ..Etcd::default() };
    let (mut one, mut other) = (Machine1::new(), Machine1::new());
    assert!(is_done(&one.tries(&mut etcd, vec![node("db"), web("web-1")])));
    // The other knows neither, nor does it know that it does not.
    for changes in [vec![node("db")], vec![web("web-1")], vec![gone()], vec![health("h", "web-1")]] {
        assert_eq!(other.tries(&mut etcd, changes.clone()), Ended::Stale, "{changes:?}");
    }
    one.follow(&etcd);
    other.follow(&etcd);
    // Both add to one document.
    assert!(is_done(&one.tries(&mut etcd, vec![health("a", "web-1")])));
    assert_eq!(other.tries(&mut etcd, vec![health("b", "web-1")]), Ended::Stale);
    other.follow(&etcd);
    assert!(is_done(&other.tries(&mut etcd, vec![health("b", "web-1")])));
    one.follow(&etcd);
    let ids: Vec<_> = one.catalog.checks().map(|entry| entry.check.id.to_string()).collect();
    assert_eq!((ids.len(), ids.contains(&"a".to_owned())), (2, true), "{ids:?}");
    // What is there already is nothing new.
    let revision = etcd.revision;
    assert_eq!(one.tries(&mut etcd, vec![node("db"), web("web-1")]), Ended::Done { found: Vec::new(), revision: None });
    assert_eq!(etcd.revision, revision);
}

#[test]
fn a_node_goes_with_all_that_came_to_it_meanwhile() {
    let mut etcd = Etcd { revision: 40, ..Etcd::default() };
    let (mut one, mut other) = (Machine1::new(), Machine1::new());
    assert!(is_done(&one.tries(&mut etcd, vec![node("db"), web("web-1")])));
    one.follow(&etcd);
    other.follow(&etcd);
    assert!(is_done(&other.tries(&mut etcd, vec![web("web-2")])));
    assert_eq!(one.tries(&mut etcd, vec![gone()]), Ended::Stale, "an instance was registered elsewhere");
    one.follow(&etcd);
    assert!(is_done(&one.tries(&mut etcd, vec![gone()])));
    assert!(etcd.keys.is_empty(), "{:?}", etcd.keys.keys());
    // To a node that went nothing comes.
    assert_eq!(other.tries(&mut etcd, vec![web("web-3")]), Ended::Stale);
    other.follow(&etcd);
    let Ended::Refused(errors) = other.tries(&mut etcd, vec![web("web-3")]) else { panic!("there is no such node") };
    assert_eq!(errors[0].to_string(), "operation 0: unknown node \"db\"; register it first");
}

#[test]
fn a_machines_node_is_its_own() {
    let mut etcd = Etcd { revision: 40, ..Etcd::default() };
    let mut one = Machine1::new();
    let told = Nameplate { addresses: Default::default(), version: "1".into() };
    let none = std::iter::empty::<&Check>();
    let value = write_node(&Node::example("db"), none, ("dc1", Some(&told)), Outputs::Whole).unwrap();
    let key = layout().key(&Place::Node(NodeName::new("db").unwrap()));
    let put = Plan::of(Vec::new(), vec![Write::Put(key, value.clone())]);
    etcd.txn(put.txn(0));
    one.follow(&etcd);
    let read = read_node(&NodeName::new("db").unwrap(), &value).unwrap();
    let machine = Machine {
        node: read.node.name,
        uuid: read.node.uuid,
        address: read.node.address,
        addresses: told.addresses,
        version: told.version,
    };
    for change in [node("db"), web("web-1"), gone()] {
        let plan = one.plan(vec![Operation::of(change)], std::slice::from_ref(&machine));
        let done = etcd.txn(plan.txn(0));
        let Ended::Refused(errors) = plan.ended(&done) else { panic!("it is refused") };
        let text =
            "operation 0: node \"db\" is that of a machine on which nameplate runs; register what is on it there";
        assert_eq!(errors[0].to_string(), text);
    }
}

#[test]
fn what_is_on_a_node_of_another_source_is_not_shared() {
    let mut etcd = Etcd { revision: 40, ..Etcd::default() };
    let mut one = Machine1::new();
    let theirs = Node { origin: Origin::Registry, ..Node::example("db") };
    one.catalog.apply(Change::RegisterNode(theirs)).unwrap();
    let Ended::Refused(errors) = one.tries(&mut etcd, vec![web("web-1")]) else { panic!("it is refused") };
    assert!(errors[0].to_string().contains("registry source"), "{errors:?}");
    // With the node it is.
    assert!(is_done(&one.tries(&mut etcd, vec![node("db"), web("web-1")])));
}

/// What clients may ask for.
fn any_clients_change() -> impl Strategy<Value = Change> {
    let is_clients = |change: &Change| {
        !matches!(change, Change::Mirror(_) | Change::ReplaceOrigin { .. } | Change::InstanceMaintenance { .. })
    };
    any_change().prop_filter("what clients ask for", is_clients).prop_map(|change| {
        let mut change = change.by(Origin::Api);
        if let Change::Register(registration) = &mut change {
            // Docker's alone.
            registration.instance.network_addresses = Default::default();
            registration.checks.retain(|check| !check.is_maintenance());
        }
        change
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Through etcd comes what the changes do on one machine alone, whichever machine is asked.
    #[test]
    fn what_is_planned_is_what_is_told(asked in vec((any::<bool>(), any_clients_change()), 1..24)) {
        let mut etcd = Etcd { revision: 40, ..Etcd::default() };
        let mut machines = [Machine1::new(), Machine1::new()];
        let mut alone = State::new(Seed(7), 100);
        for (at, change) in asked {
            let machine = &mut machines[usize::from(at)];
            let operations = || vec![Operation::of(change.clone().by(Origin::Cluster))];
            let expected = alone.transact(operations()).map(drop);
            if machine.tries(&mut etcd, vec![change.clone()]) == Ended::Stale {
                machine.follow(&etcd);
                let ended = machine.tries(&mut etcd, vec![change.clone()]);
                prop_assert_eq!(is_done(&ended), expected.is_ok(), "{:?} {:?}", ended, expected);
            }
            machine.follow(&etcd);
            prop_assert_eq!(Model::of(&machine.catalog), Model::of(&alone), "after {:?}", change);
        }
    }
}

#[test]
fn too_many_places_are_refused() {
    let one = Machine1::new();
    let many: Vec<_> = (0..OPERATIONS_MAX + 1).map(|number| Operation::of(node(&format!("n{number}")))).collect();
    let layout = layout();
    let known = Known { layout: &layout, catalog: &one.catalog, revision: 1, machines: &[], datacenter: "dc1" };
    assert!(matches!(Plan::catalog(known, many), Err(PlanError::TooMany(_))));
    assert_eq!(Plan::node_deletions(&layout, &[key("db", "x").node]).len(), 1);
}
