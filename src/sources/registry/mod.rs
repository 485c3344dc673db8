//! Services that other programs register in etcd, in layouts that were there before us.
//!
//! | module | what |
//! |---|---|
//! | [`leaf`] | what lies at a key, in whatever words; pure |
//! | [`services`] | `<prefix>/<service>/<id>`: keys as changes of the catalog; pure |
//! | `source` | the task that follows them |
//! | `skydns` | the task that follows the names of SkyDNS, which are zones ([`crate::zones::skydns`]) |
//! | `known` | these names as they were on disk at a start |
//!
//! docs/etcd-registries.md tells it to those who run it.

mod known;
pub mod leaf;
pub mod services;
mod skydns;
mod source;

pub use known::KnownNames;
pub use skydns::SkydnsSource;
pub use source::ServicesSource;

use crate::{publish::feed::SourceStatus, sources::etcd::Patience};

/// What a source needs to know.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// What all keys begin with: a slash and something, without a slash at the end.
    pub prefix: String,
    /// How it is before it has looked.
    pub status: SourceStatus,
    /// How long etcd may be away.
    pub patience: Patience,
}
