//! Where registrations come from besides the HTTP API: each source tells all that it has as a state, and changes only
//! what its own origin owns.

pub mod docker;
pub mod etcd;
pub mod file;
pub mod registry;
