//! TCP probes: pass if a connection is accepted, and the TLS handshake succeeds where one is asked for.
//!
//! The addresses of a name are tried in the order given, each for its even share of the time that is left.
//!
//! **Source:** Consul's TCP check, `TCPUseTLS` included.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;

use super::{
    probe::{Outcome, TargetResolver, addresses, deadline, within},
    tls::{Protocols, Tls},
};
use crate::catalog::check::{CheckStatus, TcpCheck};

/// Executes TCP probes.
pub(super) struct TcpProber {
    resolver: TargetResolver,
    tls: Arc<Tls>,
}

impl std::fmt::Debug for TcpProber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpProber").finish_non_exhaustive()
    }
}

impl TcpProber {
    pub(super) fn new(resolver: TargetResolver, tls: Arc<Tls>) -> TcpProber {
        TcpProber { resolver, tls }
    }

    /// Probes a host and port once, within this time.
    pub(super) async fn probe(&self, target: &str, check: &TcpCheck, timeout: Duration) -> Outcome {
        let deadline = deadline(timeout);
        let what = format!("TCP connect {target}");
        match within(deadline, self.connect((target, check), &what, deadline)).await {
            Some(Ok(())) => Outcome::Done { status: CheckStatus::Passing, output: format!("{what}: Success") },
            Some(Err(outcome)) => outcome,
            None => Outcome::critical(format!("{what}: no connection within {timeout:?}")),
        }
    }

    async fn connect(&self, (target, check): (&str, &TcpCheck), what: &str, deadline: Instant) -> Result<(), Outcome> {
        let critical = |problem: String| Outcome::critical(format!("{what}: {problem}"));
        let (host, port) = host_and_port(target)
            .ok_or_else(|| critical("the target must be host:port, an IPv6 address in brackets".to_owned()))?;
        let addresses = addresses(&self.resolver, host).await.map_err(critical)?;
        let targets = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        let stream = first_connection(targets, deadline).await.map_err(|error| Outcome::failed(what, &error))?;
        if !check.use_tls {
            return Ok(());
        }
        let name = check.tls_server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| critical(format!("{name:?} cannot be the name of a TLS server")))?;
        let config = self.tls.config(check.tls_skip_verify, Protocols::None).await.map_err(critical)?;
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Outcome::failed(&format!("{what}: TLS handshake"), &error)),
        }
    }
}

/// Connects to the first of the targets that accepts.
async fn first_connection(targets: Vec<SocketAddr>, deadline: Instant) -> io::Result<TcpStream> {
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let count = u32::try_from(targets.len()).unwrap_or(u32::MAX);
    for (left, target) in (1..=count).rev().zip(targets) {
        let now = Instant::now();
        let share = now + deadline.saturating_duration_since(now) / left;
        match within(share, TcpStream::connect(target)).await {
            // A port of this machine on which nobody listens may be given to the connection itself, which then meets
            // itself (RFC 9293 section 3.5, simultaneous open).
            Some(Ok(stream)) if stream.local_addr().is_ok_and(|local| local == target) => {
                last_error = io::Error::from(io::ErrorKind::ConnectionRefused);
            }
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => last_error = error,
            None => last_error = io::Error::new(io::ErrorKind::TimedOut, format!("no connection to {target} in time")),
        }
    }
    Err(last_error)
}

/// Reads `host:port`; an IPv6 address in brackets; without a host it is this machine.
fn host_and_port(target: &str) -> Option<(&str, u16)> {
    let (host, port) = target.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None if host.is_empty() => "127.0.0.1",
        None => host,
    };
    Some((host, port))
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
