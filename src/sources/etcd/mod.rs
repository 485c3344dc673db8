//! Several machines with one catalog, which they share through etcd.
//!
//! Each nameplate writes what its own node has under one lease, and follows what the others wrote:
//!
//! | module | what |
//! |---|---|
//! | [`client`] | etcd's API |
//! | `v2`, `reach` | its API of version 2, and whichever of the two |
//! | [`layout`], [`document`] | which keys there are, and what lies there; pure |
//! | [`kept`], [`kept_query`], [`kept_event`], [`kept_access`] | what lies under the keys of what is of no machine; pure |
//! | `heard` | which events are for our node; pure |
//! | `alive` | which machines live, as they tell; pure |
//! | [`mirror`] | what others wrote, as changes of the catalog; pure |
//! | [`plan`] | what changes of what is of no machine ask of etcd; pure |
//! | [`push`] | what is ours and etcd lacks; pure |
//! | `grace` | what a machine lost that may live; pure |
//! | `progress` | how far etcd was followed, as a start is to know; pure |
//! | `follow`, `own` | the tasks that follow and that write |
//! | `following` | how any keys of etcd are followed |
//! | `retell` | what lies under the keys of what is of no node, as something to follow; pure |
//! | `gone` | how much of it is gone, for the log; pure |
//! | `shared`, `endings` | the tasks that write what is of no machine, and that end sessions |
//! | `adopt` | the first start with etcd |
//! | [`source`] | all of them |
//!
//! docs/etcd.md tells it to those who run it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::{
    catalog::{change::Change, names::NodeName, state::State},
    observe::metrics::Metrics,
};

mod adopt;
mod alive;
pub mod client;
pub mod document;
mod endings;
mod follow;
pub(crate) mod following;
mod gone;
mod grace;
mod heard;
pub mod kept;
pub mod kept_access;
pub mod kept_event;
pub mod kept_query;
pub mod layout;
pub mod mirror;
mod own;
pub mod plan;
mod progress;
pub mod push;
mod reach;
mod retell;
mod shared;
mod source;
mod v2;

pub use adopt::{AdoptError, Own, Side, adopt};
pub use following::Patience;
pub use reach::Etcd;
pub use source::{EtcdSource, NameTaken};
pub use v2::ClientV2;

/// What the source needs to know.
#[derive(Debug, Clone)]
pub struct EtcdSettings {
    /// What all keys begin with.
    pub prefix: String,
    /// Our node.
    pub node: NodeName,
    /// Its UUID.
    pub uuid: Arc<str>,
    /// Where others reach us.
    pub addresses: Vec<IpAddr>,
    /// Our datacenter's label.
    pub datacenter: Arc<str>,
    /// How long what is ours outlives us.
    pub lease: Duration,
    /// How long etcd may be away before what other machines had counts as stale.
    pub stale_after: Duration,
    /// And before it is dropped.
    pub stale_max: Duration,
    /// Where reading and writing are counted.
    pub metrics: Arc<Metrics>,
}

/// What takes back what other machines had, where nothing is shared any more.
pub fn none_shared(catalog: &State, own: &NodeName) -> Vec<Change> {
    mirror::Mirror::new(layout::Layout::new(""), own.clone()).relisted(catalog, []).changes
}

#[cfg(test)]
mod generate;
