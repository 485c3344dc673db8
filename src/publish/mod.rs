//! The one way by which anything changes: a bounded [`feed`], one [`publisher`] thread that applies what
//! arrived, rebuilds what changed and swaps the [`snapshot`], and a [`journal`] that makes it last.

pub mod eligible;
pub mod feed;
pub mod followed;
pub mod journal;
pub mod kept;
mod kept_access;
pub mod kept_names;
pub mod label;
pub mod machines;
pub mod names;
pub mod nodes;
pub mod plan;
pub mod publisher;
pub mod reverse;
pub mod selection;
pub mod service;
pub mod settings;
pub mod sharing;
pub mod snapshot;
pub mod transaction;
pub mod view;
pub mod watch;
