//! Any text as rules: refused in one line, or read, and the same when written anew.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../oracles.rs"]
mod oracles;

fuzz_target!(|data: &[u8]| oracles::access_rules(data));
