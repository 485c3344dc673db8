//! The one way by which anything changes: a bounded [`feed`], one [`publisher`] thread that applies what
//! arrived, rebuilds what changed and swaps the [`snapshot`], and a [`journal`] that makes it last.

pub mod feed;
pub mod names;
pub mod publisher;
pub mod settings;
pub mod snapshot;
pub mod watch;
