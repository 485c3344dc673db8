//! ICMP probes: pass if an echo request is answered.
//!
//! | what comes | verdict |
//! |---|---|
//! | an echo reply with what was sent | passing, with the time |
//! | an ICMP error, such as host unreachable; no route | critical |
//! | silence until the timeout | critical |
//! | the system does not let this process ask | none: the status stays; the log says once what to do |
//!
//! The socket is a datagram socket of ICMP, which needs no privilege but that the process is of a group in
//! `net.ipv4.ping_group_range`, for IPv6 too. The kernel gives it replies to its own requests only.
//!
//! At most 100 replies that are none to this request are ignored. Of several addresses of a name the first is probed.
//!
//! **Source:** RFC 792 (echo), RFC 4443 sections 4.1 and 4.2; icmp(7), `ping_group_range`.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Once,
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::{
    connect::{Connector, Target},
    exchange::verdict,
    probe::{Outcome, deadline},
};
use crate::random;

/// Probes a host once, within this time.
pub(super) async fn probe(connector: &Connector, target: &str, timeout: Duration) -> Outcome {
    let what = format!("ICMP echo {target}");
    let target = Target { at: target, what: &what, deadline: deadline(timeout) };
    verdict(target, timeout, async {
        let addresses = connector.addresses(target.at).await.map_err(|problem| target.critical(problem))?;
        let address = *addresses.first().ok_or_else(|| target.critical("no addresses"))?;
        let socket = match open(address) {
            Ok(socket) => connected(socket, address).map_err(|error| target.failed(&error))?,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                TOLD.call_once(|| tracing::warn!("checks by ICMP have no results: {NOT_PERMITTED}"));
                return Err(Outcome::NotMade(format!("{what}: {NOT_PERMITTED}")));
            }
            Err(error) => return Err(target.failed(&error)),
        };
        let began = Instant::now();
        let request = Request::new(address);
        request.exchange(&socket).await.map_err(|error| target.failed(&error))?;
        Ok(format!("reply after {:.1?}", began.elapsed()))
    })
    .await
}

/// An echo request to an address of one family.
#[derive(Debug)]
struct Request {
    kind: u8,
    reply: u8,
    payload: [u8; PAYLOAD_BYTES],
}

impl Request {
    fn new(address: IpAddr) -> Request {
        let (kind, reply) = match address {
            IpAddr::V4(_) => (8, 0),
            IpAddr::V6(_) => (128, 129),
        };
        Request { kind, reply, payload: random::bytes() }
    }

    /// Sends it, and waits for its reply.
    async fn exchange(&self, socket: &UdpSocket) -> io::Result<()> {
        socket.send(&self.bytes()).await?;
        let mut buffer = [0; 256];
        for _ in 0..=IGNORED_MAX {
            let length = socket.recv(&mut buffer).await?;
            if self.is_answered_by(&buffer[..length]) {
                return Ok(());
            }
        }
        Err(io::Error::other(format!("more than {IGNORED_MAX} replies to another request")))
    }

    /// The kernel fills in the checksum and the identifier.
    fn bytes(&self) -> Vec<u8> {
        let (code, checksum, identifier, sequence) = (0, [0, 0], [0, 0], [0, 1]);
        [&[self.kind, code], &checksum[..], &identifier, &sequence, &self.payload].concat()
    }

    fn is_answered_by(&self, message: &[u8]) -> bool {
        let [kind, 0, _, _, _, _, 0, 1, payload @ ..] = message else { return false };
        *kind == self.reply && *payload == self.payload
    }
}

/// A datagram socket of ICMP.
fn open(address: IpAddr) -> io::Result<Socket> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    Socket::new(domain, Type::DGRAM.nonblocking(), Some(protocol))
}

/// The socket, which now takes replies and errors from this address alone.
fn connected(socket: Socket, address: IpAddr) -> io::Result<UdpSocket> {
    socket.connect(&SocketAddr::new(address, 0).into())?;
    // To the runtime all datagram sockets are the same.
    UdpSocket::from_std(socket.into())
}

/// Whether the log says so; it holds for all checks by ICMP.
static TOLD: Once = Once::new();

/// What is said when the system does not let this process ask.
const NOT_PERMITTED: &str = "the system does not let this process send echo requests; \
     put a group of it into net.ipv4.ping_group_range, such as by: sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"";

/// What is sent along. Source: none, chosen: nobody guesses it.
const PAYLOAD_BYTES: usize = 16;

/// Most replies that are ignored. Source: none, chosen; the kernel gives a socket its own alone, so none is usual.
const IGNORED_MAX: usize = 100;

#[cfg(test)]
#[path = "icmp_tests.rs"]
mod tests;
