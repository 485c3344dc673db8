//! Any text of a zone file: refused, or a zone that survives being written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../oracles.rs"]
mod oracles;

fuzz_target!(|data: &[u8]| oracles::zone_file(data));
