//! What pages of the documentation have in fenced blocks, so that scenarios run what is written there.

use std::{fs, path::Path};

/// A page, by its path in the repository.
pub fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The fenced blocks of one language.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
    let opened = format!("```{language}\n");
    text.split(&opened).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

/// The page about programs that find services by DNS.
pub const CONSUMERS: &str = "docs/consumers.md";
