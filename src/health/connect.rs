//! Connections of probes to `host:port`, with TLS where a definition asks for it.
//!
//! The addresses of a name are tried in the order given, each for its even share of the time that is left.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    probe::{Outcome, TargetResolver, addresses, within},
    tls::{Protocols, Tls},
};
use crate::catalog::check::ClientTls;

/// Makes connections to targets.
pub(super) struct Connector {
    resolver: TargetResolver,
    tls: Arc<Tls>,
}

/// Where a connection goes, and what its failures are said of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// `host:port`, an IPv6 address in brackets; without a host it is this machine.
    pub(super) at: &'a str,
    /// Which probe it is, such as `TCP connect 127.0.0.1:80`; stands at the beginning of each error.
    pub(super) what: &'a str,
    /// When the probe ends.
    pub(super) deadline: Instant,
}

/// A connection that may be one over TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl Stream for TcpStream {}

impl Stream for TlsStream<TcpStream> {}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Target<'_> {
    /// Where the connection goes.
    fn host_and_port(&self) -> Result<(&str, u16), Outcome> {
        host_and_port(self.at).ok_or_else(|| self.critical("the target must be host:port, an IPv6 address in brackets"))
    }

    /// That the target is not as it should be, for this reason.
    pub(super) fn critical(&self, problem: impl fmt::Display) -> Outcome {
        Outcome::critical(format!("{}: {problem}", self.what))
    }

    /// What an I/O error says: of the target, or of us.
    pub(super) fn failed(&self, error: &io::Error) -> Outcome {
        Outcome::failed(self.what, error)
    }
}

impl Connector {
    pub(super) fn new(resolver: TargetResolver, tls: Arc<Tls>) -> Connector {
        Connector { resolver, tls }
    }

    /// The addresses of a host, as [`addresses`] finds them.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        addresses(&self.resolver, host).await
    }

    /// The first address of the target, for probes without connections.
    pub(super) async fn first_address(&self, target: Target<'_>) -> Result<SocketAddr, Outcome> {
        let (host, port) = target.host_and_port()?;
        let addresses = self.addresses(host).await.map_err(|problem| target.critical(problem))?;
        addresses
            .first()
            .map(|address| SocketAddr::new(*address, port))
            .ok_or_else(|| target.critical(format_args!("{host} has no addresses")))
    }

    /// Connects by TCP.
    pub(super) async fn plain(&self, target: Target<'_>) -> Result<TcpStream, Outcome> {
        let (host, port) = target.host_and_port()?;
        let addresses = self.addresses(host).await.map_err(|problem| target.critical(problem))?;
        let targets = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        first_connection(targets, target.deadline).await.map_err(|error| target.failed(&error))
    }

    /// Connects by TCP, and by TLS on it where it is asked for, which then offers these protocols.
    pub(super) async fn connect(
        &self,
        target: Target<'_>,
        tls: &ClientTls,
        protocols: Protocols,
    ) -> Result<Box<dyn Stream>, Outcome> {
        let stream = self.plain(target).await?;
        if !tls.use_tls {
            return Ok(Box::new(stream));
        }
        let host = host_and_port(target.at).map(|(host, _)| host).unwrap_or_default();
        let name = tls.tls_server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| target.critical(format_args!("{name:?} cannot be the name of a TLS server")))?;
        let config =
            self.tls.config(tls.tls_skip_verify, protocols).await.map_err(|problem| target.critical(problem))?;
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(Outcome::failed(&format!("{}: TLS handshake", target.what), &error)),
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
pub(super) fn host_and_port(target: &str) -> Option<(&str, u16)> {
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
#[path = "connect_tests.rs"]
mod tests;
