//! A small seeded generator of random numbers (xorshift64*), so that a failure can be repeated by its seed.

/// The generator.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
    /// Bytes that decide first, last one first; the state decides when they are used up.
    tape: Vec<u8>,
}

impl Rng {
    /// Any seed will do.
    pub fn new(seed: u64) -> Rng {
        let mut rng = Rng { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, tape: Vec::new() };
        for _ in 0..4 {
            rng.next();
        }
        rng
    }

    /// Bytes decide, one for each number, as long as they last: what a fuzzer changes, changes one choice.
    pub fn from_bytes(bytes: &[u8]) -> Rng {
        let mut rng = Rng::new(0);
        rng.tape = bytes.iter().rev().copied().collect();
        rng
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        if let Some(byte) = self.tape.pop() {
            return u64::from(byte) << 32;
        }
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 32) as usize) % bound
    }

    /// True in one of `of` cases.
    pub fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// One of the choices.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
