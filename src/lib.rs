//! nameplate: a DNS server that answers with the services that are up.
#![deny(unsafe_code)]

pub mod wire;
pub mod catalog;
pub mod zones;
pub mod publish;
pub mod observe;
