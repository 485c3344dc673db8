//! What an operator sees of a running server: [`metrics`], the [`logging`] of events, and the [`query_log`].
//!
//! | bound | value |
//! |---|---|
//! | series of one metric | the product of its closed label sets; paths are route templates, upstreams are not labels |
//! | query log lines waiting | 1,024; more are dropped and counted |
//! | query log lines a second | 1,000; more are dropped and counted |
//!
//! **Limits:** knows nothing of the other parts: they hand in words and numbers.

pub mod clock;
pub mod dns;
pub mod exposition;
pub mod logging;
pub mod metrics;
pub mod query_log;
