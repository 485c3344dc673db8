use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq)]
struct Weighted {
    key: u32,
    weight: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sum {
    count: usize,
    weight: u64,
}

impl Measured for Weighted {
    type Measure = Sum;
    type Ends = Counted;

    fn measure(&self) -> Sum {
        Sum { count: 1, weight: self.weight.into() }
    }

    fn combine(left: Sum, right: Sum) -> Sum {
        Sum { count: left.count + right.count, weight: left.weight + right.weight }
    }
}

/// Few hashes, so that values meet; some of them equal in all bits.
fn hash(key: u32) -> u32 {
    Seed(7).hash(&(key % 400)) & 0xffff_0000
}

#[track_caller]
fn check(table: &Table<Weighted>, model: &BTreeMap<u32, u32>) {
    let mut found: Vec<_> = table.iter().map(|value| (value.key, value.weight)).collect();
    assert!(table.iter().is_sorted_by_key(|value| hash(value.key)), "values lie in hash order");
    let order: Vec<_> = table.iter().map(|value| value.key).collect();
    found.sort_unstable();
    assert_eq!(found, model.iter().map(|(key, weight)| (*key, *weight)).collect::<Vec<_>>());
    assert_eq!(table.len(), model.len());
    let sum = Sum { count: model.len(), weight: model.values().map(|weight| u64::from(*weight)).sum() };
    assert_eq!(table.measure(), sum);
    for start in [0, 1, model.len() / 2, model.len()] {
        let turned: Vec<_> =
            order[start.min(order.len())..].iter().chain(&order[..start.min(order.len())]).copied().collect();
        // Found again by its own trail, by those of other places, and by none.
        let mut all = vec![Trail::NONE];
        let places = [start, 0, model.len() / 3, model.len()].map(|at| (table, at)).into_iter();
        all.extend(Table::touch_places(places).0);
        for trail in all {
            let mut walked = Vec::new();
            let _ = table.each_from((start, trail), &mut |value| {
                walked.push(value.key);
                Walk::Continue(())
            });
            assert_eq!(walked, turned, "a walk from {start} by {trail:?} goes around once");
        }
    }
    // In hash order, what begins alike lies side by side.
    let hashes: Vec<u32> = order.iter().map(|key| hash(*key)).collect();
    let mut distinct = hashes.clone();
    distinct.dedup();
    for bits in [0, 4, 6, 16, 32_u32] {
        let prefix = |hash: u32| hash >> 16 >> 16_u32.saturating_sub(bits);
        for wanted in distinct.iter().step_by(if bits == 0 { 100 } else { 1 }) {
            let from = hashes.partition_point(|hash| prefix(*hash) < prefix(*wanted));
            let to = hashes.partition_point(|hash| prefix(*hash) <= prefix(*wanted));
            let found: Vec<_> = table.with_prefix(*wanted, bits).map(|value| value.key).collect();
            assert_eq!(found, order[from..to], "{bits} bits");
        }
    }
    for (at, value) in table.iter().enumerate() {
        assert_eq!(table.nth(at), Some(value));
    }
    assert_eq!(table.nth(model.len()), None);
    // What is read ahead may be beyond the end, and changes nothing.
    let _ = Table::touch_places([0, model.len(), usize::MAX].map(|at| (table, at)).into_iter());
    let mut target = 0;
    for value in table.iter() {
        if value.weight > 0 {
            let before = target;
            assert_eq!(table.choose(target, |sum| sum.weight), Some((value, before)));
            target += u64::from(value.weight);
            assert_eq!(table.choose(target - 1, |sum| sum.weight), Some((value, before)));
        }
    }
    assert_eq!(table.choose(target, |sum| sum.weight), None);
    check_together(table, model, target);
}

/// Many look-ups at once find what each finds by itself.
#[track_caller]
fn check_together(table: &Table<Weighted>, model: &BTreeMap<u32, u32>, whole: u64) {
    let weight = |sum: Sum| sum.weight;
    let targets: Vec<u64> = (0..CHOSEN_TOGETHER_MAX as u64).map(|at| at * whole / 13).collect();
    let (mut chosen, mut found) = (Vec::new(), Vec::new());
    table.choose_all(&targets, weight, |one| chosen.push(one));
    assert_eq!(chosen, targets.iter().map(|target| table.choose(*target, weight)).collect::<Vec<_>>());
    let hashes: Vec<u32> = model.keys().copied().chain(1000..).map(hash).take(FOUND_TOGETHER_MAX).collect();
    table.find_all(&hashes, |one| found.push(one));
    assert_eq!(found, hashes.iter().map(|hash| table.get(*hash, |_| true)).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn a_table_behaves_as_a_map_and_a_clone_is_left_alone(
        steps in prop::collection::vec((any::<bool>(), 0u32..600, 0u32..4), 1..800)
    ) {
        let (mut table, mut model) = (Table::default(), BTreeMap::new());
        let mut kept = None;
        for (at, (put, key, weight)) in steps.iter().enumerate() {
            if *put {
                let old = table.set(hash(*key), Weighted { key: *key, weight: *weight }, |value| value.key == *key);
                prop_assert_eq!(old.map(|value| value.weight), model.insert(*key, *weight));
            } else {
                let old = table.remove(hash(*key), |value| value.key == *key);
                prop_assert_eq!(old.map(|value| value.weight), model.remove(key));
            }
            prop_assert_eq!(
                table.get(hash(*key), |value| value.key == *key).map(|value| value.weight),
                model.get(key).copied()
            );
            if at == steps.len() / 2 {
                kept = Some((table.clone(), model.clone()));
            }
        }
        check(&table, &model);
        let (table, model) = kept.unwrap();
        check(&table, &model);
    }
}

proptest! {
    #[test]
    fn a_table_made_at_once_is_that_of_values_put_in_one_by_one(
        keys in prop::collection::btree_set(0u32..3_000, 0..1_500).prop_map(Vec::from_iter).prop_shuffle()
    ) {
        let mut table = Table::default();
        let values = keys.iter().map(|key| Weighted { key: *key, weight: key % 4 });
        for value in values.clone() {
            prop_assert!(table.set(hash(value.key), value.clone(), |old| *old == value).is_none());
        }
        let made = Table::of(values.map(|value| (hash(value.key), value)).collect());
        prop_assert_eq!(format!("{made:?}"), format!("{table:?}"), "nodes, leaves, sums and order");
        check(&made, &keys.iter().map(|key| (*key, key % 4)).collect());
    }
}

#[test]
fn an_emptied_table_is_small_again() {
    let mut table = Table::default();
    for key in 0..10_000 {
        table.set(Seed(1).hash(&key), Weighted { key, weight: 1 }, |value| value.key == key);
    }
    for key in 0..10_000 {
        table.remove(Seed(1).hash(&key), |value| value.key == key).unwrap();
    }
    assert!(matches!(table.root, Child::Empty));
}
