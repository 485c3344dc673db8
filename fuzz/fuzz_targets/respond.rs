//! Feeds the oracle `respond`.
#![no_main]

#[path = "../../tests/behaviour/engine.rs"]
#[allow(dead_code)]
mod engine;
#[path = "../answer_oracles.rs"]
#[allow(dead_code)]
mod oracles;
#[path = "../../tests/reference/mod.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracles::respond(bytes));
