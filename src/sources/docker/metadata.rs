//! Registrator's keys: what variables and labels say of a service.
//!
//! | key | holds for |
//! |---|---|
//! | `SERVICE_NAME`, `SERVICE_CHECK_HTTP`, ... | all ports of the container |
//! | `SERVICE_80_NAME`, ... | its port 80, TCP and UDP alike, and beats the one above |
//! | `SERVICE_8080` | all ports: it is a key of the name `8080` |
//!
//! Keys begin with `SERVICE_` in upper case; the letters of the rest may be of any case. Of two values of one rank the later counts:
//! labels come after variables, labels in the order of their names. An empty value is as none, and hides what it beats.
//!
//! **Source:** Registrator 7.4, `bridge/util.go`.

use std::collections::BTreeMap;

use super::inspect::Config;

/// What is said of one port, or of a container as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, Entry>);

/// A value, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key as it was spelled.
    pub key: String,
    /// The value; may be empty.
    pub value: String,
    /// Whether it is said of the port alone.
    pub of_port: bool,
}

impl Metadata {
    /// What holds for a port; without one, what holds for the container.
    pub fn of(config: &Config, port: Option<u16>) -> Metadata {
        let variables = config.env.iter().filter_map(|variable| variable.split_once('='));
        let labels = config.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut all = BTreeMap::new();
        for (key, value) in variables.chain(labels) {
            let Some((name, of_port)) = key.strip_prefix(PREFIX).and_then(|rest| name(rest, port)) else { continue };
            let entry = Entry { key: key.to_owned(), value: value.to_owned(), of_port };
            match all.get(&name) {
                Some(Entry { of_port: true, .. }) if !of_port => {}
                _ => drop(all.insert(name, entry)),
            }
        }
        Metadata(all)
    }

    /// What is said under this name, in lower case; not if it is empty.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.0.get(name).filter(|entry| !entry.value.is_empty())
    }

    /// The value under this name; not if it is empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(|entry| entry.value.as_str())
    }

    /// What becomes meta: all but the keys that say something about the registration itself.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(name, entry)| (name.as_str(), entry)).filter(|(name, _)| !RESERVED.contains(name))
    }
}

/// The name of a key without its prefix, if it holds for this port, and whether for that alone.
fn name(rest: &str, port: Option<u16>) -> Option<(String, bool)> {
    let rest = rest.to_lowercase();
    let of_port = rest
        .split_once('_')
        .filter(|(digits, _)| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let (name, is_of_port) = match of_port {
        Some((digits, name)) if port.is_some_and(|port| port.to_string() == digits) => (name.to_owned(), true),
        Some(_) => return None,
        None => (rest, false),
    };
    (!name.is_empty()).then_some((name, is_of_port))
}

/// What every key begins with.
const PREFIX: &str = "SERVICE_";

/// Names that are not meta. `ports` is our own.
const RESERVED: &[&str] = &["name", "tags", "id", "ignore", "ports"];

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;
