use super::*;

#[test]
fn low_and_high_bits_are_even() {
    let mut random = Random::new();
    let mut ones = [0u32; 64];
    for _ in 0..4_096 {
        let number = random.draw();
        for (bit, count) in ones.iter_mut().enumerate() {
            *count += u32::from(number >> bit & 1 == 1);
        }
    }
    // Eight standard deviations of 32.
    assert!(ones.iter().all(|count| count.abs_diff(2_048) < 256), "{ones:?}");
}

#[test]
fn two_generators_differ() {
    let (mut one, mut other) = (Random::new(), Random::new());
    assert_ne!((one.draw(), one.draw()), (other.draw(), other.draw()));
}
