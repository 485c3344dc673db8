//! Seeds and regressions of the fuzz targets, replayed.

use std::{fs, path::Path};

use super::{oracles, transcripts};

#[test]
fn messages_of_seeds_and_regressions_hold() {
    replay("message", oracles::message);
}

#[test]
fn queries_of_seeds_and_regressions_hold() {
    replay("respond", oracles::respond);
}

#[test]
fn changes_of_seeds_and_regressions_hold() {
    replay("catalog", oracles::catalog);
}

#[test]
fn transcripts_as_bytes_hold() {
    for file in transcripts::files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")) {
        let bytes = fs::read(file).unwrap();
        oracles::message(&bytes);
        oracles::respond(&bytes);
    }
}

fn replay(target: &str, oracle: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut count = 0;
    for kind in ["seeds", "regressions"] {
        let Ok(entries) = fs::read_dir(folder.join(kind).join(target)) else { continue };
        for entry in entries {
            oracle(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
    }
    assert!(count > 0, "no seeds for {target}");
}
