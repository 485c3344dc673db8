use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;

fn name(number: u32) -> ServiceName {
    ServiceName::new(format!("s{number}")).unwrap()
}

fn listed(counts: &Counts<ServiceName>) -> Vec<(ServiceName, u32)> {
    counts.parts.iter().flat_map(|part| part.iter().cloned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn counts_are_those_of_a_plain_map(steps in vec((0u32..700, prop::bool::weighted(0.6)), 1..2_000)) {
        let (mut counts, mut model) = (Counts::new(None), BTreeMap::<ServiceName, u32>::new());
        let mut kept = (counts.clone(), Vec::new());
        for (at, (number, here)) in steps.iter().enumerate() {
            if at == steps.len() / 2 {
                kept = (counts.clone(), listed(&counts));
            }
            counts.count(&name(*number), *here);
            match model.entry(name(*number)).or_default() {
                count if *here => *count += 1,
                count if *count > 1 => *count -= 1,
                _ => drop(model.remove(&name(*number))),
            }
            prop_assert_eq!(counts.lowest(), model.keys().next());
        }
        prop_assert_eq!(listed(&kept.0), kept.1, "a clone is left alone");
        prop_assert_eq!(listed(&counts), model.into_iter().collect::<Vec<_>>());
        prop_assert!(counts.parts.iter().all(|part| (1..=PART_MAX).contains(&part.len())));
    }
}

#[test]
fn one_more_service_at_an_address_of_very_many_copies_few() {
    let mut counts = Counts::new(None);
    for number in 0..20_000 {
        counts.count(&name(number), true);
    }
    let kept = counts.clone();
    counts.count(&name(20_000), true);
    let shared = counts.parts.iter().filter(|part| kept.parts.iter().any(|other| Arc::ptr_eq(part, other)));
    assert!(shared.count() + 2 >= counts.parts.len(), "but for one part, or the two that it became");
    assert!(counts.parts.len() <= 2 * 20_000 / (PART_MAX / 2), "{} parts", counts.parts.len());
}

#[track_caller]
fn check_prefix(reverse: &Reverse, address: &str, bits: u32, has: bool) {
    assert_eq!(reverse.has_prefix(address.parse().unwrap(), bits), has, "{address}/{bits}");
}

#[test]
fn an_address_is_found_by_each_of_its_prefixes_while_somebody_has_it() {
    let (mut reverse, seed) = (Reverse::default(), Seed(3));
    let addresses = ["192.0.2.1", "192.0.2.9", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"];
    let edit = |reverse: &mut Reverse, address: &str, here| {
        reverse.edit(seed, address.parse().unwrap(), |many| many.services.count(&name(1), here));
    };
    addresses.iter().for_each(|address| edit(&mut reverse, address, true));
    for (prefix, bits) in [("192.0.2.0", 24), ("192.0.0.0", 8), ("0.0.0.0", 0), ("2001:db8::", 32), ("::", 0)] {
        check_prefix(&reverse, prefix, bits, true);
    }
    for (prefix, bits) in [("192.0.3.0", 24), ("192.0.2.2", 32), ("2001:db8::3", 128), ("2001:db8:0:2::", 64)] {
        check_prefix(&reverse, prefix, bits, false);
    }
    edit(&mut reverse, "2001:db8:0:1::1", false);
    check_prefix(&reverse, "2001:db8:0:1::", 64, false);
    check_prefix(&reverse, "2001:db8::", 124, true);
    addresses[..4].iter().for_each(|address| edit(&mut reverse, address, false));
    check_prefix(&reverse, "0.0.0.0", 0, false);
    check_prefix(&reverse, "::", 0, false);
    assert!(reverse.v4.is_empty() && reverse.v6.is_empty() && reverse.table.is_empty());
}
