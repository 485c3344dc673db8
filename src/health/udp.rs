//! UDP probes: pass unless an error comes back.
//!
//! | what comes of an empty datagram | verdict |
//! |---|---|
//! | a datagram, whatever it says | passing |
//! | silence until the timeout | passing: most servers don't answer what they don't understand |
//! | an ICMP error, such as port unreachable; no route | critical |
//!
//! A probe of a silent server takes its whole timeout. Of several addresses of a name the first is probed.
//!
//! **Limits:** a host that is down is silent, too: what is told apart is a port that is closed on one that is up.
//!
//! **Source:** Consul's UDP check; RFC 1122 section 4.1.3.3 (errors of ICMP reach the socket), for which it is connected.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::net::UdpSocket;

use super::{
    connect::{Connector, Target},
    probe::{Outcome, deadline, within},
};
use crate::catalog::check::CheckStatus;

/// Probes a host and port once, within this time.
pub(super) async fn probe(connector: &Connector, target: &str, timeout: Duration) -> Outcome {
    let what = format!("UDP connect {target}");
    let target = Target { at: target, what: &what, deadline: deadline(timeout) };
    // A name that is not resolved in time is no silence of the target.
    let address = match within(target.deadline, connector.first_address(target)).await {
        Some(Ok(address)) => address,
        Some(Err(outcome)) => return outcome,
        None => return target.critical(format_args!("no address within {timeout:?}")),
    };
    let said = match within(target.deadline, exchange(address)).await {
        Some(Ok(())) => "Success".to_owned(),
        Some(Err(error)) => return target.failed(&error),
        None => format!("Success, no error within {timeout:?}"),
    };
    Outcome::Done { status: CheckStatus::Passing, output: format!("{what}: {said}") }
}

/// Sends a datagram and waits for one.
async fn exchange(address: SocketAddr) -> io::Result<()> {
    let socket = connected(address).await?;
    socket.send(&[]).await?;
    // What does not fit is cut off by the kernel.
    socket.recv(&mut [0; 16]).await.map(drop)
}

/// A socket of its own port that takes datagrams and errors from this address alone.
pub(super) async fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = match address {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    // A port of this machine on which nobody listens may be given to the socket itself, which then meets itself.
    if socket.local_addr()? == address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(socket)
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
