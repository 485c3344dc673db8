//! What Consul's clients keep beside the services: keys with values, the sessions that lock them,
//! events, and prepared queries.
//!
//! Pure state like `catalog`, with the same index: [`store::Store`] is all of it at one index, and a clone shares
//! everything. [`operation`] tells what is done with keys, [`change`] what with the rest. Each says what it touched,
//! so that whoever keeps something that follows from it can follow in O(what changed).
//!
//! **Limits:** no clock, no I/O, no randomness: what it needs of these is handed in.
//!
//! **Source:** Consul's HTTP API: `/v1/kv`, `/v1/session`, `/v1/event`, `/v1/query`, and the KV operations of `/v1/txn`.

use std::time::Duration;

pub mod base64;
pub mod change;
pub mod event;
pub mod follow;
pub mod operation;
pub mod ordered;
pub mod query;
pub mod session;
pub mod store;
pub mod template;

/// When something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The index that it gets, above all others.
    pub index: u64,
    /// By a clock that only goes forward, since whenever.
    pub now: Duration,
}
