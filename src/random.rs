//! Numbers that nobody can guess, from the system's random source: secrets, IDs, keys of hashes.
//!
//! **Limits:** a system call each time. What only spreads load draws from `transport::random`.
//!
//! **Source:** getrandom(2), which waits until the kernel's generator is seeded and never fails afterwards.

use rustix::{
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};

use crate::catalog::uuid;

/// A random UUID (RFC 9562 section 5.4): 122 random bits, so that it serves as a secret, too.
pub fn uuid() -> String {
    uuid::of_bits(bits(), 4)
}

/// 128 random bits.
pub fn bits() -> u128 {
    u128::from_ne_bytes(bytes())
}

/// 64 random bits.
pub fn number() -> u64 {
    u64::from_ne_bytes(bytes())
}

/// Random bytes.
pub fn bytes<const COUNT: usize>() -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    let mut filled = 0;
    while filled < COUNT {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(Errno::INTR) => {}
            // A server that cannot make secrets must not go on with ones that can be guessed.
            Err(error) => panic!("the system gives no random numbers (getrandom: {error}); is it Linux 3.17 or later?"),
        }
    }
    bytes
}

#[cfg(test)]
#[path = "random_tests.rs"]
mod tests;
