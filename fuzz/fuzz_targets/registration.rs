//! Any body of a registration, or file of definitions: refused in one line, or held within its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../oracles.rs"]
mod oracles;

fuzz_target!(|data: &[u8]| oracles::registration(data));
