//! HTTP/2 ping probes: pass if a PING is acknowledged.
//!
//! | what happens | verdict |
//! |---|---|
//! | the acknowledgement comes within the timeout | passing |
//! | no connection, no TLS (name and certificate are verified), another protocol, a reset, silence | critical |
//!
//! **Source:** RFC 9113 section 6.7; Consul's H2PING check.

use std::time::Duration;

use h2::Ping;

use super::{
    connect::{Connector, Target},
    http2::{self, Opened},
    probe::{Outcome, deadline, within},
};
use crate::catalog::check::{CheckStatus, ClientTls};

/// Pings a host and port once, within this time.
pub(super) async fn probe(connector: &Connector, target: &str, tls: &ClientTls, timeout: Duration) -> Outcome {
    let deadline = deadline(timeout);
    let what = format!("HTTP/2 ping {target}");
    let target = Target { at: target, what: &what, deadline };
    match within(deadline, ping(connector, target, tls)).await {
        Some(Ok(())) => Outcome::Done { status: CheckStatus::Passing, output: format!("{what}: Success") },
        Some(Err(outcome)) => outcome,
        None => target.critical(format_args!("no acknowledgement within {timeout:?}")),
    }
}

async fn ping(connector: &Connector, target: Target<'_>, tls: &ClientTls) -> Result<(), Outcome> {
    let opened = http2::open(connector, target, tls).await?;
    exchange(opened).await.map_err(|error| http2::failed(target, &error))
}

/// Pings, and waits for the acknowledgement.
pub(super) async fn exchange(opened: Opened) -> Result<(), h2::Error> {
    // A connection that nobody could send requests by ends itself.
    let (_requests, mut connection) = opened;
    let mut pings = connection.ping_pong().expect("it is taken once");
    let (pinged, _) = http2::drive(connection, async { pings.ping(Ping::opaque()).await }).await;
    pinged.map(|_| ())
}

#[cfg(test)]
#[path = "h2ping_tests.rs"]
mod tests;
