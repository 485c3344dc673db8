//! TCP probes: pass if a connection is accepted, and the TLS handshake succeeds where one is asked for.
//!
//! **Source:** Consul's TCP check, `TCPUseTLS` included.

use std::time::Duration;

use super::{
    connect::{Connector, Target},
    probe::{Outcome, deadline, within},
    tls::Protocols,
};
use crate::catalog::check::{CheckStatus, ClientTls};

/// Probes a host and port once, within this time.
pub(super) async fn probe(connector: &Connector, target: &str, tls: &ClientTls, timeout: Duration) -> Outcome {
    let deadline = deadline(timeout);
    let what = format!("TCP connect {target}");
    let target = Target { at: target, what: &what, deadline };
    match within(deadline, connector.connect(target, tls, Protocols::None)).await {
        Some(Ok(_)) => Outcome::Done { status: CheckStatus::Passing, output: format!("{what}: Success") },
        Some(Err(outcome)) => outcome,
        None => target.critical(format_args!("no connection within {timeout:?}")),
    }
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
