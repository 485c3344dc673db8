//! nameplate: a DNS server that answers with the services that are up.
//!
//! What follows is ARCHITECTURE.md, the map of the code.
#![doc = include_str!("../ARCHITECTURE.md")]
#![deny(unsafe_code)]

pub mod access;
pub mod answer;
pub mod api;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod fingerprint;
pub mod forward;
pub mod health;
pub mod kv;
pub mod observe;
pub mod publish;
pub mod random;
pub mod sources;
pub mod transport;
pub mod wire;
pub mod zones;
