use std::collections::BTreeMap;

use super::*;
use crate::catalog::table::Seed;

/// A table of addresses 0.0.0.n with these weights.
fn table(weights: &[u64]) -> Table<Addressed<4>> {
    let mut table = Table::default();
    for (at, weight) in weights.iter().enumerate() {
        let address = (at as u32).to_be_bytes();
        table.set(Seed(1).hash(&address), Addressed { address, members: 1, weight: *weight }, |old| {
            old.address == address
        });
    }
    table
}

fn number(pick: &Pick) -> u32 {
    u32::from_be_bytes(*pick.address.first_chunk().unwrap())
}

/// How often each address comes first of those chosen.
fn first(weights: &[u64], wanted: usize, rounds: u64) -> BTreeMap<u32, u64> {
    let table = table(weights);
    let mut scratch = Scratch::default();
    let mut counts = BTreeMap::new();
    for round in 0..rounds {
        scratch.begin(round.wrapping_mul(0xd134_2543_de82_ef95), Trail::NONE);
        scratch.choose(&table, wanted);
        *counts.entry(number(&scratch.picks[0])).or_default() += 1;
    }
    counts
}

#[test]
fn the_first_is_chosen_by_weight() {
    let counts = first(&[1, 3], 2, 20_000);
    assert!((14_700..15_300).contains(&counts[&1]), "{counts:?}");
    let counts = first(&[1, 1, 1, 1], 4, 20_000);
    assert!(counts.values().all(|count| (4_700..5_300).contains(count)), "{counts:?}");
}

#[test]
fn of_many_with_the_same_weight_each_comes_as_often_as_any_other_at_each_place() {
    let table = table(&[7; 200]);
    let mut scratch = Scratch::default();
    let mut counts = [[0_u32; 200]; 3];
    for round in 0..100_000_u64 {
        scratch.begin(round.wrapping_mul(0xd134_2543_de82_ef95), Trail::NONE);
        scratch.choose(&table, 3);
        for (pick, counts) in scratch.picks.iter().zip(&mut counts) {
            counts[number(pick) as usize] += 1;
        }
    }
    // 500 each; five standard deviations are 112.
    assert!(counts.iter().flatten().all(|count| (388..612).contains(count)), "{counts:?}");
}

#[test]
fn a_run_begins_where_the_random_number_says() {
    let table = table(&[1; 500]);
    let mut scratch = Scratch::default();
    for random in [0, 1, 77, u64::MAX] {
        scratch.begin(random, Trail::NONE);
        scratch.choose(&table, 3);
        let start = Random(random).below(500) as usize;
        let mut run: Vec<u32> =
            (start..start + 3).map(|at| u32::from_be_bytes(table.nth(at % 500).unwrap().address)).collect();
        let mut chosen: Vec<u32> = scratch.picks.iter().map(number).collect();
        run.sort_unstable();
        chosen.sort_unstable();
        assert_eq!(chosen, run);
    }
}

#[test]
fn drawing_few_of_many_follows_the_weights_too() {
    let weights: Vec<u64> = (0..1_000).map(|at| if at < 500 { 1 } else { 3 }).collect();
    let heavy: u64 = first(&weights, 2, 20_000).iter().filter(|(at, _)| **at >= 500).map(|(_, count)| count).sum();
    assert!((14_700..15_300).contains(&heavy), "{heavy}");
}

#[test]
fn weight_0_comes_last_and_is_never_dropped() {
    let mut scratch = Scratch::default();
    for (weights, wanted) in [(vec![0, 1, 0, 2], 4), (vec![0; 4], 4)] {
        for random in 0..200 {
            scratch.begin(random, Trail::NONE);
            scratch.choose(&table(&weights), wanted);
            let chosen: Vec<u64> = scratch.picks.iter().map(|pick| weights[number(pick) as usize]).collect();
            assert_eq!(chosen.len(), wanted);
            assert!(chosen.is_sorted_by_key(|weight| *weight == 0), "{chosen:?}");
        }
    }
    let many: Vec<u64> = (0..1_000).map(|at| u64::from(at % 100 == 0)).collect();
    for random in 0..100 {
        scratch.begin(random, Trail::NONE);
        scratch.choose(&table(&many), 20);
        let chosen: Vec<u64> = scratch.picks.iter().map(|pick| many[number(pick) as usize]).collect();
        assert_eq!((chosen.iter().sum::<u64>(), chosen.len()), (10, 20));
        assert!(chosen.is_sorted_by_key(|weight| *weight == 0), "{chosen:?}");
    }
}

#[test]
fn a_sample_beside_one_that_has_nearly_all_the_weight_follows_the_weights_too() {
    let weights = [vec![1_000_000], vec![3; 100], vec![1; 100], vec![0; 100]].concat();
    let table = table(&weights);
    let mut scratch = Scratch::default();
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    for round in 0..4_000_u64 {
        scratch.begin(round.wrapping_mul(0xd134_2543_de82_ef95), Trail::NONE);
        scratch.choose(&table, 3);
        for pick in &scratch.picks {
            *counts.entry(weights[number(pick) as usize]).or_default() += 1;
        }
    }
    assert_eq!((counts.get(&0), counts[&1_000_000]), (None, 4_000), "{counts:?}");
    // Three in four of the other two; five standard deviations are less than 200.
    assert!((5_800..6_200).contains(&counts[&3]), "{counts:?}");
}

#[test]
fn all_that_are_wanted_are_found_whatever_the_weights() {
    let weights = [vec![1_000_000_000], vec![1; 3], vec![0; 200]].concat();
    let mut scratch = Scratch::default();
    for random in 0..200 {
        scratch.begin(random, Trail::NONE);
        scratch.choose(&table(&weights), 20);
        let chosen: Vec<u64> = scratch.picks.iter().map(|pick| weights[number(pick) as usize]).collect();
        assert_eq!((chosen.len(), chosen.iter().filter(|weight| **weight > 0).count()), (20, 4), "{chosen:?}");
    }
}

#[test]
fn nothing_is_chosen_twice_whatever_the_weights() {
    let mut scratch = Scratch::default();
    let uneven: Vec<u64> = (0..10_000).map(|at| if at == 0 { 1_000_000_000 } else { 1 }).collect();
    for weights in [vec![1; 10_000], uneven, vec![0; 10_000]] {
        let table = table(&weights);
        for wanted in [0, 1, 3, 50, 2_000] {
            scratch.begin(wanted as u64, Trail::NONE);
            scratch.choose(&table, wanted);
            let mut chosen: Vec<u32> = scratch.picks.iter().map(number).collect();
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!((chosen.len(), scratch.picks.len()), (wanted, wanted));
        }
    }
}

#[test]
fn a_gathered_address_counts_with_the_sum_of_its_weights() {
    let mut scratch = Scratch::default();
    let address = |low: u8| [low; 16];
    let mut counts = [0; 3];
    for random in 0..20_000_u64 {
        scratch.begin(random.wrapping_mul(0xd134_2543_de82_ef95), Trail::NONE);
        scratch.begin_gathering(3);
        for (low, weight) in [(0, 1), (1, 2), (1, 1)] {
            scratch.gather(address(low), weight, 0);
        }
        assert_eq!(scratch.picks.len(), 2);
        scratch.order_picks(2);
        counts[usize::from(scratch.picks[0].address[0])] += 1;
    }
    assert!((14_700..15_300).contains(&counts[1]), "{counts:?}");
    scratch.begin_gathering(512);
    (0..=255).chain(0..=255).for_each(|low| scratch.gather(address(low), 1, low));
    scratch.order_picks(256);
    assert!(scratch.picks.len() == 256 && scratch.picks.is_sorted_by_key(|pick| pick.address), "the nearest first");
}
