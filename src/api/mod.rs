//! The HTTP API, and the client by which the command line uses it.

pub mod client;
