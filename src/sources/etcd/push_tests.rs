use std::{sync::Arc, time::Duration};

use proptest::{collection::vec, prelude::*, sample::select};

use super::{outputs::OUTPUT_HOLD, *};
use crate::catalog::{
    change::Change,
    check::CheckStatus,
    names::ServiceId,
    node::Address,
    node::Node,
    service::{Instance, IpNetwork, NetworkAddress, TaggedAddress},
    spanning::SpanningNetwork,
    table::Seed,
    testing::{any_change, check, instance, register, registration, set_status},
};

/// An etcd that takes all transactions, what our node should have there, and who sees to it.
struct World {
    push: Push,
    state: State,
    etcd: BTreeMap<String, Stored>,
    revision: i64,
    lease: i64,
    now: Instant,
}

fn own() -> NodeName {
    NodeName::new("n1").unwrap()
}

impl World {
    fn new() -> World {
        let told = ("dc1".to_owned(), Nameplate::ours(&[]));
        let mut push = Push::new(Layout::new("/nameplate"), own(), told);
        push.set_networks(Some(Arc::default()));
        let mut world = World {
            push,
            state: State::new(Seed(7), 100),
            etcd: BTreeMap::new(),
            revision: 1,
            lease: 7,
            now: Instant::now(),
        };
        world.change(Change::RegisterNode(Node { origin: Origin::Server, ..Node::example("n1") }));
        world
    }

    /// Makes a change, and gives the hints that the publisher would.
    fn change(&mut self, change: Change) {
        let mut touched = TouchedOnNode::default();
        // Some are refused.
        if let Ok(effects) = self.state.apply(change) {
            touched.take_in(&own(), &effects);
        }
        self.push.touched(touched);
    }

    fn look(&mut self) -> Pushing {
        self.push.operations(&self.state, self.lease, self.now)
    }

    /// Writes what is to be written. Returns the keys, those that are deleted with a minus.
    fn write(&mut self) -> Vec<String> {
        let pushing = self.look();
        assert_eq!(pushing.complaints, []);
        let mut keys = Vec::new();
        for batch in pushing.batches {
            let names = batch.operations.iter().map(|operation| {
                let sign = if operation.value.is_none() { "-" } else { "" };
                format!("{sign}{}", operation.key.trim_start_matches("/nameplate/v1/"))
            });
            keys.extend(names);
            self.transact(batch);
        }
        keys
    }

    fn transact(&mut self, batch: Batch) {
        self.revision += 1;
        for operation in &batch.operations {
            self.store(&operation.key, operation.value.clone(), batch.lease);
        }
        self.push.written(batch.clone(), self.revision);
        // What the watch tells of it comes later.
        for operation in batch.operations {
            let told = self.told(&operation.key);
            self.push.seen(&told);
        }
    }

    fn store(&mut self, key: &str, value: Option<Vec<u8>>, lease: i64) {
        let key_bytes = key.as_bytes().to_vec();
        match value {
            Some(value) => {
                let stored = Stored { key: key_bytes, value: Some(value), mod_revision: self.revision, lease };
                self.etcd.insert(key.to_owned(), stored);
            }
            None => drop(self.etcd.remove(key)),
        }
    }

    fn told(&self, key: &str) -> Stored {
        let deleted = Stored { key: key.as_bytes().to_vec(), value: None, mod_revision: self.revision, lease: 0 };
        self.etcd.get(key).cloned().unwrap_or(deleted)
    }

    /// Somebody else writes or deletes a key.
    fn meddle(&mut self, key: &str, value: Option<&str>) {
        self.revision += 1;
        let key = format!("/nameplate/v1/{key}");
        self.store(&key, value.map(|value| value.as_bytes().to_vec()), 0);
        let told = self.told(&key);
        self.push.seen(&told);
    }

    fn list(&mut self) {
        self.push.listed(self.etcd.values().cloned().collect::<Vec<_>>());
    }

    /// What should lie there, under which lease.
    fn wanted(&self) -> Vec<(String, Vec<u8>, i64)> {
        let layout = Layout::new("/nameplate");
        let node = self.state.node(&own()).unwrap();
        let mut places = vec![Place::Node(own())];
        places.extend(node.instances().map(|instance| Place::Instance(instance.key())));
        let wanted = places.iter().filter_map(|place| {
            let value = self.push.wanted(&self.state, place, Outputs::Whole).unwrap()?;
            Some((layout.key(place), value, self.lease))
        });
        let mut wanted: Vec<_> = wanted.collect();
        wanted.sort();
        wanted
    }

    fn there(&self) -> Vec<(String, Vec<u8>, i64)> {
        let value = |stored: &Stored| stored.value.clone().unwrap_or_default();
        self.etcd.iter().map(|(key, stored)| (key.clone(), value(stored), stored.lease)).collect()
    }
}

fn web(id: &str) -> Change {
    register(registration(instance("web", id), vec![check(&format!("c-{id}"), Some(id), CheckStatus::Passing)]))
}

#[test]
fn all_is_written_once_the_node_first_and_then_what_changes() {
    let mut world = World::new();
    world.change(web("web-1"));
    assert_eq!(world.write(), ["nodes/n1", "services/n1/web-1"]);
    assert_eq!(world.write(), [""; 0]);
    world.change(web("web-1"));
    assert_eq!(world.write(), [""; 0], "the same again");
    world.change(set_status("n1", "c-web-1", CheckStatus::Critical, "refused"));
    assert_eq!(world.write(), ["services/n1/web-1"]);
    world.change(Change::RegisterNode(Node { uuid: Arc::from("u"), ..Node::example("n1") }));
    assert_eq!(world.write(), ["nodes/n1"], "what is on it did not change");
    let id = ServiceId::new("web-1").unwrap();
    world.change(Change::Deregister { key: InstanceKey { node: own(), id }, origin: Origin::Api });
    assert_eq!(world.write(), ["-services/n1/web-1"]);
    // The watch has told of the deletion, too.
    assert_eq!((world.write(), world.push.is_due(world.now)), (vec![], false));
    world.push.look_at_all();
    assert_eq!(world.write(), [""; 0]);
    assert_eq!(world.there(), world.wanted());
}

#[test]
fn another_lease_has_all_written_anew() {
    let mut world = World::new();
    world.change(web("web-1"));
    world.write();
    world.lease = 8;
    assert_eq!(world.write(), ["nodes/n1", "services/n1/web-1"]);
    assert_eq!(world.there(), world.wanted());
    assert_eq!(world.write(), [""; 0]);
}

#[test]
fn what_others_do_to_our_keys_is_put_right_and_theirs_are_left_alone() {
    let mut world = World::new();
    world.change(web("web-1"));
    world.write();
    world.meddle("services/n1/web-1", Some("{}"));
    world.meddle("services/n1/ghost", Some("x"));
    world.meddle("services/n2/web-1", Some("x"));
    world.meddle("nodes/n1", None);
    world.meddle("services/n1", Some("x"));
    assert_eq!(world.write(), ["nodes/n1", "-services/n1/ghost", "services/n1/web-1"]);
    assert_eq!(world.write(), [""; 0]);
    world.etcd.clear();
    world.list();
    assert_eq!(world.write(), ["nodes/n1", "services/n1/web-1"], "etcd was wiped");
}

#[test]
fn a_key_that_was_taken_away_before_we_knew_that_it_was_written_is_written_again() {
    let mut world = World::new();
    let pushing = world.look();
    world.revision += 1;
    let written = world.revision;
    world.meddle("nodes/n1", None);
    for batch in pushing.batches {
        world.push.written(batch, written);
    }
    assert_eq!(world.write(), ["nodes/n1"]);
    // Old news of it is no news.
    let old =
        Stored { key: b"/nameplate/v1/nodes/n1".to_vec(), value: Some(b"x".to_vec()), mod_revision: written, lease: 7 };
    assert!(!world.push.seen(&old));
    assert_eq!(world.there(), world.wanted());
}

#[test]
fn a_key_that_was_taken_away_before_a_list_that_came_first_is_written_again() {
    let mut world = World::new();
    let pushing = world.look();
    // It was written and taken away, and the list that was read then is here before the news that it was written.
    world.list();
    for batch in pushing.batches {
        world.push.written(batch, world.revision);
    }
    assert_eq!(world.write(), ["nodes/n1"]);
    assert_eq!(world.there(), world.wanted());
}

#[test]
fn what_was_not_written_is_tried_again() {
    let mut world = World::new();
    world.change(web("web-1"));
    for batch in world.look().batches {
        world.push.failed(batch);
    }
    assert!(world.push.is_due(world.now));
    assert_eq!(world.write(), ["nodes/n1", "services/n1/web-1"]);
}

#[test]
fn an_output_alone_waits_five_minutes_or_for_another_change() {
    let mut world = World::new();
    world.change(web("web-1"));
    world.change(web("web-2"));
    world.write();
    let say = |world: &mut World, id: &str, said: &str| world.change(set_status("n1", id, CheckStatus::Passing, said));
    say(&mut world, "c-web-1", "1");
    assert_eq!((world.write().len(), world.push.next_look()), (0, Some(world.now + OUTPUT_HOLD)));
    world.now += OUTPUT_HOLD - Duration::from_secs(1);
    say(&mut world, "c-web-1", "2");
    say(&mut world, "c-web-2", "3");
    world.push.look_at_all();
    assert_eq!((world.write().len(), world.push.is_due(world.now)), (0, false));
    world.now += Duration::from_secs(1);
    assert!(world.push.is_due(world.now));
    assert_eq!(world.write(), ["services/n1/web-1"]);
    world.change(set_status("n1", "c-web-2", CheckStatus::Warning, "4"));
    assert_eq!(world.write(), ["services/n1/web-2"]);
    assert_eq!(world.there(), world.wanted());
    world.now += OUTPUT_HOLD;
    assert_eq!(world.write(), [""; 0], "it went along with that");
    say(&mut world, "c-web-1", "5");
    world.write();
    say(&mut world, "c-web-1", "2");
    assert_eq!(world.write(), [""; 0]);
    world.now += OUTPUT_HOLD;
    assert_eq!(world.write(), [""; 0], "it says again what is there");
}

#[test]
fn what_is_of_this_machine_alone_is_not_shared() {
    let mut world = World::new();
    let network = NetworkAddress {
        network: IpNetwork::parse("198.51.100.0/24").unwrap(),
        address: "198.51.100.7".parse().unwrap(),
        ports: Box::new([80]),
    };
    let networks = || [network.clone()].into_iter().collect();
    let inside = Instance { address: None, network_addresses: networks(), ..instance("web", "inside") };
    let both = Instance { network_addresses: networks(), ..instance("web", "both") };
    let told = Instance { origin: Origin::Cluster, ..instance("web", "told") };
    for instance in [inside, both, told] {
        world.change(register(registration(instance, vec![])));
    }
    world.change(register(registration(
        Instance { node: NodeName::new("n2").unwrap(), ..instance("web", "far") },
        vec![],
    )));
    assert_eq!(world.write(), ["nodes/n1", "services/n1/both"]);
    let own = Instance { network_addresses: networks(), ..instance("web", "inside") };
    world.change(register(registration(own, vec![])));
    assert_eq!(world.write(), ["services/n1/inside"]);
}

#[test]
fn what_is_reached_in_networks_that_span_machines_is_shared_once_they_are_known() {
    let subnet = IpNetwork::parse("198.51.100.0/24").unwrap();
    let address: std::net::IpAddr = "198.51.100.7".parse().unwrap();
    let tagged = TaggedAddress { role: "docker_shop_ipv4".into(), address: Address::Ip(address), port: 80 };
    let inside = Instance {
        address: None,
        network_addresses: [NetworkAddress { network: subnet, address, ports: Box::new([80]) }].into_iter().collect(),
        tagged_addresses: [tagged].into_iter().collect(),
        origin: Origin::Docker,
        ..instance("web", "inside")
    };
    let shop = SpanningNetwork { id: "qvib".into(), name: "shop".into(), subnets: vec![subnet], clients: Vec::new() };
    let shop = Some(Arc::new(SpanningNetworks(vec![shop])));
    let mut world = World::new();
    world.push.set_networks(None);
    world.change(register(registration(inside, vec![])));
    assert_eq!(world.write(), ["nodes/n1"], "nobody knows yet");
    world.push.set_networks(shop);
    assert_eq!(world.write(), ["services/n1/inside"]);
    // A process that was started again, before it knows.
    world.push.set_networks(None);
    assert_eq!(world.write(), [""; 0]);
    world.push.set_networks(Some(Arc::default()));
    assert_eq!(world.write(), ["-services/n1/inside"]);
}

#[test]
fn batches_are_small_and_what_is_too_large_is_said() {
    let mut world = World::new();
    for number in 0..250 {
        world.change(web(&format!("web-{number}")));
    }
    let sizes: Vec<usize> = world.look().batches.iter().map(|batch| batch.operations.len()).collect();
    assert_eq!(sizes, [100, 100, 51]);
    let mut world = World::new();
    for number in 0..8 {
        let meta = Arc::new([(Arc::from("k"), Arc::from("x".repeat(300_000)))].into_iter().collect());
        let large = Instance { meta, ..instance("web", &format!("web-{number}")) };
        world.change(register(registration(large, vec![])));
    }
    let sizes: Vec<usize> = world.look().batches.iter().map(|batch| batch.operations.len()).collect();
    assert_eq!(sizes, [4, 3, 2]);
    let mut world = World::new();
    world.change(web("web-1"));
    world.write();
    let meta = Arc::new([(Arc::from("k"), Arc::from("x".repeat(1_100_000)))].into_iter().collect());
    world.change(register(registration(Instance { meta, ..instance("web", "web-1") }, vec![])));
    let pushing = world.look();
    assert!(pushing.complaints[0].to_string().starts_with("/nameplate/v1/services/n1/web-1: it takes 1100"));
    assert_eq!((pushing.complaints.len(), pushing.batches.len()), (1, 1));
    assert_eq!(pushing.batches[0].operations[0].value, None, "nothing old stays there");
}

#[derive(Debug, Clone)]
enum Step {
    Change(Box<Change>),
    Meddle(&'static str, Option<&'static str>),
    Write,
    Fail,
    List,
    Lease,
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let key = select(vec!["nodes/n1", "services/n1/i1", "services/n1/i2", "services/n1/ghost"]);
    prop_oneof![
        12 => any_change().prop_map(|change| Step::Change(Box::new(change))),
        2 => (key, select(vec![None, Some("x"), Some("{}")])).prop_map(|(key, value)| Step::Meddle(key, value)),
        6 => Just(Step::Write),
        1 => Just(Step::Fail),
        1 => Just(Step::List),
        1 => Just(Step::Lease),
        1 => select(vec![1, 299, 301]).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_should_be_there_comes_to_be_there(steps in vec(any_step(), 1..40)) {
        let mut world = World::new();
        for step in steps {
            match step {
                // Nobody takes our own node away.
                Step::Change(change) if matches!(&*change, Change::DeregisterNode { name, .. } if *name == own()) => {}
                Step::Change(change) => world.change(*change),
                Step::Meddle(key, value) => world.meddle(key, value),
                Step::Write => {
                    world.write();
                    prop_assert_eq!(world.write(), [""; 0], "once is enough");
                }
                Step::Fail => world.look().batches.into_iter().for_each(|batch| world.push.failed(batch)),
                Step::List => world.list(),
                Step::Lease => world.lease += 1,
                Step::Wait(seconds) => world.now += Duration::from_secs(seconds),
            }
        }
        world.write();
        world.now += OUTPUT_HOLD;
        world.write();
        prop_assert_eq!(world.there(), world.wanted());
        prop_assert!(!world.push.is_due(world.now));
    }
}
