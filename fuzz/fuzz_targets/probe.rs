//! Whatever the target of a probe sends: understood or not, alike in any pieces, and told in bounded length.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../oracles.rs"]
mod oracles;

fuzz_target!(|data: &[u8]| oracles::probe(data));
