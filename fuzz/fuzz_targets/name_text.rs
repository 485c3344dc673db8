//! Any domain name, as text or as bytes: the same after it was written as text.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../oracles.rs"]
mod oracles;

fuzz_target!(|data: &[u8]| oracles::name_text(data));
