//! The one integration test binary: modules by behaviour.

#[path = "../reference/mod.rs"]
mod reference;
