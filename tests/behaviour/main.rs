//! The one integration test binary: modules by behaviour.
//!
//! Those below `harness` start whole servers, in process and as programs, and ask them over real sockets on loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../fuzz/answer_oracles.rs"]
mod oracles;
#[path = "../page/mod.rs"]
mod page;
#[allow(clippy::too_many_arguments, reason = "it spells out the state of RFC 1034's algorithm")]
#[path = "../reference/mod.rs"]
mod reference;

mod differential_random;
mod docker_dns;
mod engine;
mod fuzz_regressions;
mod sampling;
mod stage;
mod transcripts;

mod connection;
mod harness;
mod waiters;

mod access;
mod away;
mod blocking;
mod bulk;
mod cli;
mod clients;
mod exec;
mod external;
mod forwarding;
mod health;
mod hostile;
mod hostile_http;
mod http2;
mod http_limits;
mod https;
mod kv;
mod openapi;
mod overload;
mod registration;
mod reload;
mod restart;
mod shutdown;
mod tokens;
mod transactions;
mod transports;
mod waiting;
