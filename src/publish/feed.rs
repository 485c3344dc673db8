//! The bounded queue in front of the publisher.
//!
//! | bound | value |
//! |---|---|
//! | submissions waiting | 1,024; a sender waits, at most 5 s |
//! | check results waiting | one a check: its newest |

use std::sync::Arc;

use crate::{
    catalog::{
        change::{Change, ChangeError, Origin},
        check::{CheckKey, CheckResult},
    },
    publish::settings::Settings,
    zones::Zones,
};

/// Where changes are proposed. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Feed {}

/// Proof that a submission is published and durable.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Index of the snapshot in which it is visible.
    pub index: u64,
}

/// Why a submission did not take effect, or may not last.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// The catalog refused it; nothing was applied.
    #[error(transparent)]
    Refused(#[from] ChangeError),
    /// The queue was full for 5 s; nothing was applied.
    #[error("too many changes are waiting; try again")]
    Busy,
    /// It is visible now but could not be written, so a restart may lose it.
    #[error("the change could not be written to {path}: {problem}")]
    Journal {
        /// The journal's file.
        path: String,
        /// What the system said.
        problem: String,
    },
    /// The server is stopping.
    #[error("the server is stopping")]
    Closed,
}

/// How a source is, as its watcher sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// For people: `docker`, `file /etc/nameplate/services`.
    pub name: Arc<str>,
    /// Whose registrations it makes.
    pub origin: Origin,
    /// Whether it has delivered its first list (or a mirror from disk was loaded).
    pub synced: bool,
    /// Whether it is away longer than `stale_after`.
    pub stale: bool,
}

impl Feed {
    /// Applies the changes as one: all or none. Returns when they are published and durable.
    pub async fn submit(&self, changes: Vec<Change>) -> Result<Receipt, SubmitError> {
        let _ = changes;
        unimplemented!()
    }

    /// Hands in the newest result of a check. Never waits; an older result of the same check that is still
    /// waiting is replaced. Unknown checks are ignored.
    pub fn report(&self, key: CheckKey, result: CheckResult) {
        let _ = (key, result);
        unimplemented!()
    }

    /// Puts new settings into force.
    pub async fn set_settings(&self, settings: Settings) -> Result<Receipt, SubmitError> {
        let _ = settings;
        unimplemented!()
    }

    /// Puts new static zones into force.
    pub async fn set_zones(&self, zones: Zones) -> Result<Receipt, SubmitError> {
        let _ = zones;
        unimplemented!()
    }

    /// Tells how a source is.
    pub async fn set_source(&self, status: SourceStatus) -> Result<Receipt, SubmitError> {
        let _ = status;
        unimplemented!()
    }
}
