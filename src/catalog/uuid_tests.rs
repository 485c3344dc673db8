use super::*;

#[test]
fn bits_are_kept_but_for_version_and_variant() {
    assert_eq!(of_bits(0, 4), "00000000-0000-4000-8000-000000000000");
    assert_eq!(of_bits(u128::MAX, 8), "ffffffff-ffff-8fff-bfff-ffffffffffff");
    let bits = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
    assert_eq!(of_bits(bits, 4), "01234567-89ab-4def-8123-456789abcdef");
}

#[test]
fn a_text_is_one_by_its_shape_alone() {
    assert!(is_uuid(&of_bits(7, 8)) && is_uuid("00000000-0000-0000-0000-0000000000AF"));
    for text in ["", "0", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-00000000000g"] {
        assert!(!is_uuid(text), "{text}");
    }
    assert!(!is_uuid("000000000000-0000-0000-0000-00000000") && !is_uuid("00000000-0000-0000-0000-0000000000éé"));
}
