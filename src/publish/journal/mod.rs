//! Makes the catalog last: one redb file, `nameplate.redb`, in the data directory.
//!
//! The publisher hands every batch to [`Journal::write`] and goes on; a thread of the journal's own writes what has
//! come together since its last commit in one transaction, syncs it, and only then acknowledges. What nobody waits
//! for (check results, what a source can tell again) goes with the next commit, at the latest [`BEHIND_MAX`] later, and at
//! leisure: as soon as somebody waits, it hurries.
//!
//! ```text
//! publisher --write--> inbox (merged by key) --take--> journal thread --commit, fsync--> acknowledge
//! ```
//!
//! A failed disk fails the acknowledgements, with the path and what the system said. Nothing is lost in memory: what
//! is not durable is tried again, all of it, every [`RETRY_EVERY`], on a database opened anew.
//!
//! | bound | value |
//! |---|---|
//! | writes waiting | the newest of each key, so at most the catalog, the documents, and what was just forgotten |
//! | forgotten nodes, instances and documents, and results, kept while the disk fails | 2,000,000 each |
//! | acknowledgements waiting | those whose receiver still waits |
//! | page cache | 32 MiB |
//! | durability of what nobody waits for | 1 s, then the time of a commit |
//! | retry after a failure | every 1 s |
//!
//! **Limits:** one process a directory. A file that is deleted while the server runs is not missed until it is opened
//! again. The index is reserved a thousand million at a time: it does not go backwards unless the disk has been
//! failing for half of a block of changes and the process is killed then.
//!
//! **Source:** none for the format, which is our own (`record.rs`); redb 4 for the file.

mod decode;
pub mod documents;
mod encode;
mod leisure;
mod load;
mod pending;
mod problem;
mod record;
mod rename;
mod site;
mod store;
mod writer;

use std::{
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use self::{store::Store, writer::Shared};
pub use crate::catalog::restore::StoredNode;
use crate::{
    catalog::{
        check::{CheckKey, CheckResult},
        names::NodeName,
        service::InstanceKey,
        state::InstanceEntry,
    },
    observe::metrics::Metrics,
    publish::feed::Waiting,
};

/// The journal. One writer hands batches in; dropping it writes what is left and waits for it.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    /// None: memory only, or closed.
    thread: Option<JoinHandle<()>>,
    durable: bool,
}

/// Where the journal lies.
#[derive(Debug)]
pub enum Place {
    /// In this directory, which is made (mode 0700) if it is missing.
    Directory(PathBuf),
    /// Nowhere: all is lost with the process.
    Ephemeral {
        /// Unix time in microseconds: the index goes on from there, so that it does not go backwards.
        unix_micros: u64,
    },
    /// In a storage of the caller's, for tests.
    Backend(Box<dyn redb::StorageBackend>),
}

/// How the journal writes; the default is what a server uses.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Whether each commit keeps the file's allocator state too, so that a start after a crash need not scan the file.
    ///
    /// Measured at a million instances (a file of 539 MB, in the page cache): commits of 64 registrations take about a
    /// tenth longer with it, and a start after a crash, which else reads the whole file for the repair, is 0.4 s
    /// shorter.
    pub quick_repair: bool,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning { quick_repair: true }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Restored {
    /// Whether there was no journal yet.
    pub fresh: bool,
    /// Where the index goes on: not below any that was ever handed out.
    pub index: u64,
    /// The SOA serial; after a crash ahead of the last one written by more than can have been lost.
    pub serial: u32,
    /// Index of the last disappearance of a service, as last written.
    pub extinction_index: u64,
    /// UUID of our own node, if one was written.
    pub node_uuid: Option<Arc<str>>,
    /// The nodes, sorted by name.
    pub nodes: Vec<StoredNode>,
    /// The instances, sorted by node and service ID.
    pub instances: Vec<Arc<InstanceEntry>>,
    /// All else, sorted by key.
    pub documents: Vec<Document>,
}

/// What one publish changed.
#[derive(Debug, Default)]
pub struct Batch {
    /// The index after it.
    pub index: u64,
    /// The SOA serial after it.
    pub serial: u32,
    /// Index of the last disappearance of a service, after it.
    pub extinction_index: u64,
    /// What changed, in order; the last write of a key holds.
    pub writes: Vec<Write>,
    /// Who waits until it is durable.
    pub acknowledge: Vec<Waiting>,
    /// Commits as soon as the commit before has ended, instead of within [`BEHIND_MAX`].
    pub urgent: bool,
}

/// One change, as a state: what now holds for the key.
#[derive(Debug, Clone)]
pub enum Write {
    /// A node and its own checks.
    Node(StoredNode),
    /// A node is no more; its instances are forgotten by writes of their own.
    ForgetNode(NodeName),
    /// An instance, its checks, and what it shadows.
    Instance(Arc<InstanceEntry>),
    /// An instance is no more, nor are its checks.
    ForgetInstance(InstanceKey),
    /// The newest result of a check of an instance or node that is registered.
    CheckStatus {
        /// Which check.
        key: CheckKey,
        /// What now holds.
        result: CheckResult,
        /// The check's modify index.
        modify_index: u64,
    },
    /// UUID of our own node.
    NodeUuid(Arc<str>),
    /// A document now holds this; without bytes it is no more.
    Document {
        /// Which one.
        key: Vec<u8>,
        /// What it holds.
        bytes: Option<Vec<u8>>,
    },
}

/// A record that the journal keeps without knowing what it means: see [`documents`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Which one.
    pub key: Vec<u8>,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Why something is not durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot write to {path}: {problem}")]
pub struct JournalFailure {
    /// The journal's file.
    pub path: Arc<str>,
    /// What the system said.
    pub problem: Arc<str>,
}

/// Why the journal could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory cannot be made or written in.
    #[error(
        "cannot write in the data directory {directory}: {problem}; make it writable for this user, or name another \
         with --data-dir, or keep nothing with --ephemeral"
    )]
    Unwritable {
        /// The data directory.
        directory: PathBuf,
        /// What the system said.
        problem: std::io::Error,
    },
    /// Another process, or another part of this one, has it open.
    #[error(
        "the data directory {directory} is in use by another nameplate; stop that one, or name another directory with \
         --data-dir"
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
    },
    /// Written by a later nameplate.
    #[error(
        "{path} has format {found}, and this nameplate knows formats up to {known}; start the version that wrote it, \
         or a later one"
    )]
    Newer {
        /// The journal's file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known format.
        known: u32,
    },
    /// Not written by nameplate.
    #[error("{path} is not a nameplate journal: {problem}; move it away, or name another directory with --data-dir")]
    Foreign {
        /// The journal's file.
        path: PathBuf,
        /// How that shows.
        problem: String,
    },
    /// Damaged.
    #[error("{path} is damaged: {problem}; put a backup in its place, or move it away to start with an empty catalog")]
    Torn {
        /// The journal's file.
        path: PathBuf,
        /// How that shows.
        problem: String,
    },
    /// The disk failed or is full.
    #[error("cannot read or write {path}: {problem}")]
    Disk {
        /// The journal's file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
}

/// How the journal is, for the API and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalStatus {
    /// The journal's file; none in memory only.
    pub path: Option<Arc<str>>,
    /// The last attempt's failure; none once an attempt succeeds.
    pub failure: Option<JournalFailure>,
    /// Keys written by the publisher that are not durable yet.
    pub waiting: usize,
    /// Index up to which all is durable.
    pub durable_index: u64,
    /// Commits that succeeded since the start.
    pub commits: u64,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// How long the last successful commit took.
    pub last_commit: Duration,
}

impl Journal {
    /// Opens or makes the journal and reads all of it: about 1 s for a million instances.
    pub fn open(place: Place) -> Result<(Journal, Restored), JournalError> {
        Journal::open_tuned(place, Tuning::default())
    }

    /// As [`Journal::open`], with other than the usual tuning.
    pub fn open_tuned(place: Place, tuning: Tuning) -> Result<(Journal, Restored), JournalError> {
        if let Place::Ephemeral { unix_micros } = place {
            let restored = Restored { fresh: true, index: unix_micros, ..Restored::default() };
            let shared = Arc::new(Shared::new(None, unix_micros));
            return Ok((Journal { shared, thread: None, durable: false }, restored));
        }
        let (store, restored) = Store::open(place, tuning)?;
        let path = PathBuf::from(&*store.path());
        let shared = Arc::new(Shared::new(Some(store.path()), restored.index));
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer::run(&shared, store))
        };
        let thread = thread.map_err(|source| JournalError::Disk { path, problem: source.to_string() })?;
        Ok((Journal { shared, thread: Some(thread), durable: true }, restored))
    }

    /// Hands a batch in. Never waits for the disk; costs O(the batch).
    pub fn write(&self, batch: Batch) {
        if !self.durable {
            batch.acknowledge.into_iter().for_each(|waiting| waiting.tell(&Ok(())));
            return self.shared.note_index(batch.index);
        }
        self.shared.put(batch, Instant::now());
    }

    /// Counts commits and failures in these from now on. The first call holds.
    pub fn count_in(&self, metrics: Arc<Metrics>) {
        // A second one would count what the first counts already.
        let _ = self.shared.metrics.set(metrics);
    }

    /// Whether anything that is handed in is written anywhere.
    pub fn is_durable(&self) -> bool {
        self.durable
    }

    /// How it is.
    pub fn status(&self) -> JournalStatus {
        self.shared.status()
    }

    /// Writes what is left, marks the file as closed in order, and ends the thread. Fails if the disk does.
    pub fn close(mut self) -> Result<(), JournalFailure> {
        self.finish();
        match self.shared.status().failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn finish(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // The thread catches its own panics; if one got through, there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The journal's file in the data directory.
pub const FILE_NAME: &str = "nameplate.redb";

/// Longest time that a write that nobody waits for stays in memory only. Source: DESIGN.md, Embedded store.
pub const BEHIND_MAX: Duration = Duration::from_secs(1);

/// How much of [`BEHIND_MAX`] the thread may take to write what nobody waits for, in pieces with rests between them, so that
/// it does not keep the processor from who answers. Source: none, chosen.
pub(super) const LEISURE_MAX: Duration = Duration::from_millis(400);

/// Time between attempts while the disk fails.
///
/// Source: none, chosen: short against an operator's patience, long against opening a large file again.
pub const RETRY_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod faulty;
#[cfg(test)]
mod samples;

#[cfg(test)]
#[path = "failure_tests.rs"]
mod failure_tests;
#[cfg(test)]
#[path = "format_tests.rs"]
mod format_tests;
#[cfg(test)]
#[path = "power_tests.rs"]
mod power_tests;
#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
