use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn an_address_is_spelled_in_hex(v4: [u8; 4], v6: [u8; 16]) {
        let label = |digits: String| [&[digits.len() as u8], digits.as_bytes()].concat();
        prop_assert_eq!(spell_v4(v4).to_vec(), label(format!("{:08x}", u32::from_be_bytes(v4))));
        let mut hex = [0; HEX_MAX];
        prop_assert_eq!(spell_v6(&v6, &mut hex).to_vec(), label(format!("{:032x}", u128::from_be_bytes(v6))));
    }
}
