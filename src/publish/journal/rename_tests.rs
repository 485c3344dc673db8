use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{
    catalog::{
        check::{CheckResult, CheckStatus},
        service::InstanceKey,
        state::State,
        table::Seed,
    },
    publish::journal::{
        Batch,
        faulty::Faulty,
        samples::{Dice, Model, instance_entry, stored_node},
        tests::open,
    },
};

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

/// A node of this UUID with so many instances, as writes, all of this index; their check IDs are unique on it. The
/// first check of each has a result from afterwards.
fn written(dice: &mut Dice, (name, uuid): (&str, &str), instances: u64, index: u64) -> Vec<Write> {
    let stored = stored_node(dice, node(name), index);
    let stored = StoredNode { node: Arc::new(Node { uuid: Arc::from(uuid), ..Node::clone(&stored.node) }), ..stored };
    let mut writes = vec![Write::Node(stored)];
    let mut taken = HashSet::new();
    for number in 0..instances {
        let key = InstanceKey { node: node(name), id: ServiceId::new(format!("i{number}")).unwrap() };
        let mut entry = instance_entry(dice, &key, index);
        entry.checks = entry.checks.iter().filter(|own| taken.insert(own.check.id.clone())).cloned().collect();
        let first = entry.checks.first().map(|own| own.check.key());
        writes.push(Write::Instance(Arc::new(entry)));
        writes.extend(first.map(|key| Write::CheckStatus {
            key,
            result: CheckResult { status: CheckStatus::Warning, output: "of late".into() },
            modify_index: index + 1,
        }));
    }
    writes
}

fn write(disk: &Faulty, writes: Vec<Write>) -> Restored {
    let (journal, _) = open(disk);
    journal.write(Batch { index: 9, writes, urgent: true, ..Batch::default() });
    journal.close().unwrap();
    open(disk).1
}

fn on(model: &Model, name: &str) -> BTreeMap<ServiceId, Arc<InstanceEntry>> {
    let here = model.instances.iter().filter(|(key, _)| key.node.as_str() == name);
    here.map(|(key, entry)| (key.id.clone(), Arc::clone(entry))).collect()
}

/// Six instances on the node's former name, and so many under the present one, as if both had been in use.
fn check(seed: u64, on_both: u64) {
    let (disk, mut dice) = (Faulty::default(), Dice(seed));
    let mut writes = written(&mut dice, ("old", "ours"), 6, 5);
    writes.extend(written(&mut dice, ("other", "theirs"), 3, 5));
    if on_both > 0 {
        writes.extend(written(&mut dice, ("new", "ours"), on_both, 5));
    }
    let mut restored = write(&disk, writes);
    let before = Model::of(&restored, 9);
    let renaming = restored.rename_node("ours", &node("new"));
    let after = Model::of(&restored, 9);
    assert_eq!(Model::of(&write(&disk, renaming), 9), after, "what is written is what holds");

    let names: Vec<&str> = after.nodes.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["new", "other"]);
    assert_eq!(on(&after, "other"), on(&before, "other"));
    assert_eq!(on(&after, "new").len(), 6);
    let present = on(&before, "new");
    let of_node = before.nodes.get("new").into_iter().flat_map(|stored| stored.checks.iter());
    let present_checks = of_node.chain(present.values().flat_map(|entry| entry.checks.iter()));
    let present_ids: BTreeSet<_> = present_checks.map(|own| own.check.id.clone()).collect();
    for (id, former) in on(&before, "old") {
        let now = &on(&after, "new")[&id];
        match present.get(&id) {
            Some(stays) => assert_eq!(now, stays, "that of the present name stays"),
            None => assert_moved(&former, now, &present_ids),
        }
    }
    every_check_is_found(seed, &after, restored);
}

#[track_caller]
fn assert_moved(former: &InstanceEntry, now: &InstanceEntry, taken: &BTreeSet<CheckId>) {
    let name = node("new");
    assert_eq!(*now.instance, Instance { node: name.clone(), ..Instance::clone(&former.instance) });
    assert_eq!((now.create_index, now.modify_index), (former.create_index, former.modify_index));
    let free = former.checks.iter().filter(|own| !taken.contains(&own.check.id));
    let moved = free.map(|own| (Check { node: name.clone(), ..Check::clone(&own.check) }, own.modify_index));
    let checks: Vec<_> = now.checks.iter().map(|own| (Check::clone(&own.check), own.modify_index)).collect();
    assert_eq!(checks, moved.collect::<Vec<_>>());
    assert_eq!(now.shadowed.len(), former.shadowed.len());
    for loser in &now.shadowed {
        assert!(loser.instance.node == name && loser.checks.iter().all(|check| check.node == name));
    }
}

#[track_caller]
fn every_check_is_found(seed: u64, model: &Model, restored: Restored) {
    let catalog = State::restore(Seed(seed), 9, restored.nodes, restored.instances);
    let of_nodes = model.nodes.values().flat_map(|stored| stored.checks.iter());
    for own in model.instances.values().flat_map(|entry| entry.checks.iter()).chain(of_nodes) {
        assert_eq!(catalog.check(&own.check.key()), Some(own), "each is found where it is");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_on_a_node_moves_to_its_present_name(seed: u64, on_both in 0..4_u64) {
        check(seed, on_both);
    }
}

#[test]
fn of_several_former_names_the_newest_registration_stays() {
    let disk = Faulty::default();
    let mut writes = Vec::new();
    for (number, name) in (0..).zip(["b", "c", "a"]) {
        let index = [4, 6, 5][number];
        writes.extend(written(&mut Dice(index), (name, "ours"), 2 + number as u64, index));
    }
    let mut restored = write(&disk, writes);
    let before = Model::of(&restored, 9);
    restored.rename_node("ours", &node("new"));
    let after = on(&Model::of(&restored, 9), "new");
    for (id, from) in [("i0", "c"), ("i1", "c"), ("i2", "c"), ("i3", "a")] {
        let id = ServiceId::new(id).unwrap();
        let expected = Instance { node: node("new"), ..Instance::clone(&on(&before, from)[&id].instance) };
        assert_eq!(*after[&id].instance, expected, "{id} is from {from}");
    }
    assert_eq!((after.len(), restored.nodes.len()), (4, 1));
    let newest = &before.nodes["c"].node;
    assert_eq!(*restored.nodes[0].node, Node { name: node("new"), ..Node::clone(newest) });
}

#[test]
fn a_node_that_keeps_its_name_is_left_alone() {
    let disk = Faulty::default();
    let mut writes = written(&mut Dice(1), ("n1", "ours"), 3, 5);
    writes.extend(written(&mut Dice(2), ("n2", "theirs"), 3, 5));
    let mut restored = write(&disk, writes);
    let before = Model::of(&restored, 9);
    assert!(restored.rename_node("ours", &node("n1")).is_empty());
    assert_eq!(Model::of(&restored, 9), before);
}
