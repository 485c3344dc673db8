//! Random UUIDs.

use std::hash::{BuildHasher, RandomState};

/// A random UUID (RFC 9562 section 5.4), of the keys that the system gives this process for its hashes.
///
/// It cannot be guessed from others: each half is a keyed hash of its own.
pub(super) fn random_uuid() -> String {
    let random = || RandomState::new().hash_one(1_u8);
    let bits = u128::from(random()) << 64 | u128::from(random());
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
