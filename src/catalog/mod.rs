//! The service catalog: which services have which instances on which nodes, and how they are.
//!
//! Pure vocabulary and rules, in Consul's words: a [`node`] runs instances of [`service`]s, and [`check`]s tell
//! how both are. A [`change`] proposes something; [`state::State::apply`] decides what then holds. State is
//! persistent in the copy-on-write sense: a clone costs a few pointers and shares everything.
//!
//! **Limits:** no clock, no I/O, no randomness: what it needs of these is handed in. What DNS makes of a
//! service is not known here (see `publish::build`).

pub mod apply;
mod apply_checks;
mod apply_instances;
mod apply_nodes;
pub mod change;
pub mod check;
pub mod definition;
pub mod document;
pub mod duration;
pub mod few;
pub mod followed;
pub mod intern;
pub mod names;
pub mod nearest;
pub mod node;
pub mod output;
pub mod policy;
pub mod restore;
pub mod service;
pub mod spanning;
pub mod state;
pub mod table;
pub mod transaction;
pub mod uuid;

#[cfg(test)]
pub(crate) mod model;
#[cfg(test)]
pub(crate) mod testing;
