//! Numbers that spread answers over instances. Fast, and not for secrets.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A generator that one thread owns: an additive sequence mixed by a wide multiplication.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Seeded by the system.
    pub fn new() -> Random {
        // The standard library's hash keys come from the system's random source.
        Random { state: RandomState::new().build_hasher().finish() }
    }

    /// Draws a number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        let wide = u128::from(self.state) * u128::from(self.state ^ MIX);
        (wide >> 64) as u64 ^ wide as u64
    }
}

/// Odd, so that the sequence visits every number. Source: the golden ratio in 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Source: none, chosen: half of its bits set, in no pattern.
const MIX: u64 = 0xd1b5_4a32_d192_ed03;

#[cfg(test)]
#[path = "random_tests.rs"]
mod tests;
