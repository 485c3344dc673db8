//! Any document of a container, or any variables, labels, ports and networks of one: mapped to what the catalog takes.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../oracles.rs"]
mod oracles;

fuzz_target!(|data: &[u8]| oracles::docker_labels(data));
