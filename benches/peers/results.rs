//! What was measured, kept between runs, so that one section can be measured again and the table be whole.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Figures and words by what they are about.
#[derive(Default, Serialize, Deserialize)]
pub struct Results {
    pub figures: BTreeMap<String, f64>,
    pub words: BTreeMap<String, String>,
}

impl Results {
    /// Those of earlier runs.
    pub fn load() -> Result<Results> {
        match fs::read_to_string(path()) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("{} is damaged", path().display())),
            Err(_) => Ok(Results::default()),
        }
    }

    pub fn save(&self) -> Result<()> {
        fs::write(path(), serde_json::to_string_pretty(self)?).with_context(|| format!("writing {}", path().display()))
    }

    pub fn put(&mut self, key: &str, figure: f64) {
        self.figures.insert(key.to_owned(), figure);
    }

    pub fn say(&mut self, key: &str, words: String) {
        self.words.insert(key.to_owned(), words);
    }

    /// Keeps a figure and prints it.
    pub fn tell(&mut self, key: &str, figure: f64, unit: &str) {
        println!("{key:<60} {figure:>12.2} {unit}");
        self.put(key, figure);
    }

    pub fn get(&self, key: &str) -> Option<f64> {
        self.figures.get(key).copied()
    }

    pub fn word(&self, key: &str) -> &str {
        self.words.get(key).map_or("", String::as_str)
    }

    /// One figure as a part of another.
    pub fn ratio(&self, one: &str, other: &str) -> Option<f64> {
        Some(self.get(one)? / self.get(other)?)
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers.json")
}
