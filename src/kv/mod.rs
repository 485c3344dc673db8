//! What Consul's clients keep beside the services: keys with values.
//!
//! Pure state like `catalog`, with the same index: [`store::Store`] is all of it at one index, and a clone shares
//! everything. [`operation`] tells what is done with keys. Each says what it touched, so that whoever keeps
//! something that follows from it can follow in O(what changed).
//!
//! **Limits:** no clock, no I/O, no randomness: what it needs of these is handed in.
//!
//! **Source:** Consul's HTTP API, `/v1/kv` and the KV operations of `/v1/txn`.

pub mod operation;
pub mod ordered;
pub mod store;
