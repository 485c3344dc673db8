//! Names of SkyDNS as they were when the server stopped, so that they are answered while etcd is away at a start.
//!
//! They lie in the journal, because it has all that this needs: it is crash safe, it merges what changes within a second into one
//! write of what changed, and it never waits. A file of their own would be written whole for each change.
//!
//! | on disk | what becomes of it |
//! |---|---|
//! | a record of a zone that is followed | is answered, and counts as stale, until the first list |
//! | one of another prefix or zone, or all where no names are followed | goes |
//! | one that cannot be read | goes, and the log says so; the others are answered, and names that are not there are SERVFAIL until the first list |
//! | one whose lease may have ended | is answered: whether it was kept alive is known in etcd alone, as of what machines share |

use crate::{
    publish::{
        journal::{Restored, Write},
        kept_names::{self, KeptName},
    },
    zones::skydns::Tree,
};

/// Names below a prefix, as they were.
#[derive(Debug)]
pub struct KnownNames {
    /// The records.
    pub tree: Tree,
    /// The serial of their zones.
    pub serial: u32,
    /// Whether all that was there could be read.
    pub(super) is_whole: bool,
}

impl KnownNames {
    /// Puts what was kept into an empty tree. Returns also what takes back what is of no use any more.
    pub fn restored(mut tree: Tree, restored: &Restored) -> (KnownNames, Vec<Write>) {
        let (mut forgotten, mut problems) = (Vec::new(), Vec::new());
        for (key, name) in restored.registry_names() {
            let is_answered = match name {
                Ok(KeptName { value, remaining_secs }) if key.starts_with(tree.root().as_bytes()) => {
                    match tree.put(key, &value, remaining_secs) {
                        Ok(changed) => changed.is_some(),
                        Err(error) => {
                            problems.push((key, error.to_string()));
                            false
                        }
                    }
                }
                Ok(_) => false,
                Err(error) => {
                    problems.push((key, error.to_string()));
                    false
                }
            };
            if !is_answered {
                forgotten.push(kept_names::write(key, None));
            }
        }
        if let Some((key, problem)) = problems.first() {
            let (count, key) = (problems.len(), key.escape_ascii());
            tracing::error!(
                "etcd_skydns: {count} names on disk cannot be read, the first at {key}: {problem}; they are answered again \
                 when etcd has told them"
            );
        }
        let serial = restored.registry_serial().unwrap_or_default();
        (KnownNames { tree, serial, is_whole: problems.is_empty() }, forgotten)
    }

    /// What takes back all that was kept, where no names are followed any more.
    pub fn none_followed(restored: &Restored) -> Vec<Write> {
        let names: Vec<Write> = restored.registry_names().map(|(key, _)| kept_names::write(key, None)).collect();
        let serial = restored.registry_serial().map(|_| kept_names::write_serial(None));
        names.into_iter().chain(serial).collect()
    }
}

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
