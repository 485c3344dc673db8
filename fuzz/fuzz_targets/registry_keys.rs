//! Whatever other programs put at keys of etcd for names and services: followed change by change as all at once.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../oracles.rs"]
mod oracles;

fuzz_target!(|data: &[u8]| oracles::registry_keys(data));
