use std::collections::HashSet;

use super::*;

#[test]
fn no_two_are_alike_and_every_bit_is_drawn() {
    let drawn: Vec<u128> = (0..1000).map(|_| bits()).collect();
    assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), drawn.len());
    let (all, any) = drawn.iter().fold((u128::MAX, 0), |(all, any), bits| (all & bits, any | bits));
    assert_eq!((all, any), (0, u128::MAX), "each bit is set in some and not in others");
}

#[test]
fn a_uuid_has_its_version_and_variant() {
    for _ in 0..100 {
        let drawn = uuid();
        assert!(uuid::is_uuid(&drawn) && &drawn[14..15] == "4" && "89ab".contains(&drawn[19..20]), "{drawn}");
    }
}

#[test]
fn more_bytes_than_one_call_gives_are_all_drawn() {
    let drawn = bytes::<4096>();
    assert!(drawn.chunks(64).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
}
