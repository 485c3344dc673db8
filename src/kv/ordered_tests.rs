use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Set(String, u64),
    Remove(String),
    RemovePrefix(String),
}

fn key() -> impl Strategy<Value = String> {
    "[ab/]{0,4}"
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (key(), 1..100_u64).prop_map(|(key, index)| Step::Set(key, index)),
        3 => key().prop_map(Step::Remove),
        1 => "[ab/]{1,3}".prop_map(Step::RemovePrefix),
    ]
}

fn model_newest(model: &BTreeMap<String, u64>, prefix: &str) -> u64 {
    model.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(_, index)| *index).max().unwrap_or(0)
}

fn pairs<'a>(all: impl Iterator<Item = (&'a Text, &'a u64)>) -> Vec<(String, u64)> {
    all.map(|(key, value)| (key.to_string(), *value)).collect()
}

proptest! {
    #[test]
    fn it_is_an_ordered_map_and_earlier_clones_stay_as_they_were(seed: u64, steps in prop::collection::vec(step(), 0..120), prefix in key()) {
        let mut map = Ordered::new(Seed(seed));
        let mut model = BTreeMap::new();
        let mut kept = Vec::new();
        for step in steps {
            kept.push((map.clone(), model.clone()));
            match step {
                Step::Set(key, index) => {
                    prop_assert_eq!(map.set(Text::from(key.as_str()), index), model.insert(key, index));
                }
                Step::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                Step::RemovePrefix(prefix) => {
                    let taken = map.remove_prefix(&prefix);
                    let (gone, stays) = model.into_iter().partition(|(key, _): &(String, u64)| key.starts_with(&prefix));
                    model = stays;
                    prop_assert_eq!(pairs(taken.iter()), BTreeMap::into_iter(gone).collect::<Vec<_>>());
                }
            }
        }
        kept.push((map, model));
        for (map, model) in kept {
            prop_assert_eq!(pairs(map.iter()), model.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map.newest(), model_newest(&model, ""));
            prop_assert_eq!(map.newest_with_prefix(&prefix), model_newest(&model, &prefix));
            let begun = model.iter().filter(|(key, _)| key.starts_with(&prefix));
            let begun: Vec<_> = begun.map(|(key, index)| (key.clone(), *index)).collect();
            prop_assert_eq!(pairs(map.with_prefix(&prefix)), begun);
            prop_assert_eq!(map.get(&prefix), model.get(&prefix));
        }
    }
}

#[test]
fn a_hundred_thousand_keys_in_order_are_no_deep_tree() {
    let mut map = Ordered::new(Seed(7));
    for number in 0..100_000_u64 {
        map.set(Text::from(format!("key/{number:06}")), number);
    }
    fn depth(link: &Link<u64>) -> usize {
        link.as_ref().map_or(0, |knot| 1 + depth(&knot.left).max(depth(&knot.right)))
    }
    assert!(depth(&map.root) < 70, "{}", depth(&map.root));
    assert_eq!(map.newest_with_prefix("key/0999"), 99_999);
    assert_eq!(map.remove_prefix("key/09").len(), 10_000);
    assert_eq!(map.len(), 90_000);
}
