//! The one integration test binary: modules by behaviour.

#[path = "../../fuzz/answer_oracles.rs"]
mod oracles;
#[path = "../reference/mod.rs"]
mod reference;

mod differential_random;
mod engine;
mod fuzz_regressions;
mod sampling;
mod stage;
mod transcripts;
