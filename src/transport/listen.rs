//! Opening the sockets of a listen address, or saying why it can't be had and what to do about it.
//!
//! TCP comes first and without SO_REUSEPORT, so that a second server on the address fails instead of sharing it in
//! silence; then one UDP socket a worker, with it. A wildcard address is one socket that tells which address was asked. Where
//! it can't be had, because somebody listens on one address of this host (as systemd-resolved does), it stands for each
//! of the interfaces' addresses instead.
//!
//! **Limits:** IPv6 sockets never take IPv4 (V6ONLY).

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use socket2::{Domain, Protocol as IpProtocol, Socket, Type};

use super::{
    holder::{Holder, holder},
    limits::{PORT_TRIES_MAX, RECEIVE_BUFFER_BYTES, WILDCARD_ADDRESSES_MAX},
    udp,
};

/// The transport protocols that a port is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Udp => "UDP",
            Protocol::Tcp => "TCP",
        })
    }
}

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has it.
    #[error(
        "cannot listen on {address} ({protocol}): {} has it; stop that, or choose another address or port",
        holder.as_ref().map_or_else(|| "another process".to_owned(), Holder::to_string)
    )]
    Taken {
        /// The address.
        address: SocketAddr,
        /// The protocol.
        protocol: Protocol,
        /// Who has it, if that can be seen.
        holder: Option<Holder>,
    },
    /// The process may not.
    #[error(
        "cannot listen on {address} ({protocol}): this process may not; for a port below 1024 run as root, give the \
         program the capability (setcap cap_net_bind_service=+ep FILE), or choose a port above 1023"
    )]
    Forbidden {
        /// The address.
        address: SocketAddr,
        /// The protocol.
        protocol: Protocol,
    },
    /// It is no address of this host, or its family is not there.
    #[error("cannot listen on {address} ({protocol}): this host has no such address; choose one that it has")]
    NotLocal {
        /// The address.
        address: SocketAddr,
        /// The protocol.
        protocol: Protocol,
    },
    /// Anything else.
    #[error("cannot listen on {address} ({protocol})")]
    Open {
        /// The address.
        address: SocketAddr,
        /// The protocol.
        protocol: Protocol,
        /// What the system said.
        source: io::Error,
    },
    /// A thread of a worker could not be started.
    #[error("cannot start the threads that answer over UDP; allow this process more of them")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

/// The sockets of one address.
#[derive(Debug)]
pub struct Listening {
    /// The address, with the port that the kernel chose if none was asked for. It may be the wildcard itself.
    pub address: SocketAddr,
    /// The wildcard that it belongs to, if to any.
    pub wildcard: Option<SocketAddr>,
    /// Accepts connections.
    pub tcp: TcpListener,
    /// One for each worker.
    pub udp: Vec<UdpSocket>,
}

/// Whether what is sent to `address` comes to who listens on `listening`.
pub fn covers(listening: SocketAddr, address: SocketAddr) -> bool {
    let ip = listening.ip();
    let has_ip = ip == address.ip() || ip.is_unspecified() && ip.is_ipv4() == address.is_ipv4();
    has_ip && listening.port() == address.port()
}

/// Opens the sockets of `address`. Where a wildcard can't be had as such, those of all local addresses that it stands for,
/// but for those that are `open` already; with port 0 the kernel chooses a port that all of them can have.
pub fn open(address: SocketAddr, workers: usize, open: &[SocketAddr]) -> Result<Vec<Listening>, BindError> {
    let wildcard = address.ip().is_unspecified().then_some(address);
    match wildcard.map(|_| open_one(address, workers)) {
        None | Some(Err(BindError::Taken { .. })) => {}
        Some(opened) => return opened.map(|listening| vec![Listening { wildcard, ..listening }]),
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match open_all(address, workers, open) {
            // The port was chosen for the first TCP socket; another one has it taken.
            Err(BindError::Taken { .. }) if address.port() == 0 && tries < PORT_TRIES_MAX => {}
            result => return result,
        }
    }
}

fn open_all(address: SocketAddr, workers: usize, open: &[SocketAddr]) -> Result<Vec<Listening>, BindError> {
    let wildcard = address.ip().is_unspecified().then_some(address);
    let mut port = address.port();
    let mut opened: Vec<Listening> = Vec::new();
    let local = expand(address).map_err(|error| bind_error(address, Protocol::Udp, error))?;
    for mut one in local {
        one.set_port(port);
        if open.contains(&one) {
            continue;
        }
        match open_one(one, workers) {
            Ok(listening) => {
                port = listening.address.port();
                opened.push(Listening { wildcard, ..listening });
            }
            // An address that is just coming (IPv6 is still looking for a duplicate) or going; later looks find it.
            Err(BindError::NotLocal { .. }) if wildcard.is_some() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(opened)
}

/// Opens the sockets of one local address.
pub fn open_one(address: SocketAddr, workers: usize) -> Result<Listening, BindError> {
    let tcp = open_tcp(address).map_err(|error| bind_error(address, Protocol::Tcp, error))?;
    let mut address = address;
    if let Ok(local) = tcp.local_addr() {
        address.set_port(local.port());
    }
    let udp_error = |error| bind_error(address, Protocol::Udp, error);
    // With SO_REUSEPORT another server of the same user could share the port; without it, and this one is closed
    // again at once, it can't.
    open_udp(address, Sharing::Alone).map_err(udp_error)?;
    let udp =
        (0..workers).map(|_| open_udp(address, Sharing::Workers)).collect::<io::Result<_>>().map_err(udp_error)?;
    Ok(Listening { address, wildcard: None, tcp, udp })
}

/// The local addresses that a listen address stands for, with its port: itself, or for a wildcard all of its family.
pub fn expand(address: SocketAddr) -> io::Result<Vec<SocketAddr>> {
    if !address.ip().is_unspecified() {
        return Ok(vec![address]);
    }
    let mut local = udp::local_addresses()?;
    local.retain(|one| one.is_ipv4() == address.is_ipv4() && !one.ip().is_multicast() && !one.ip().is_unspecified());
    local.sort();
    local.dedup();
    if local.len() > WILDCARD_ADDRESSES_MAX {
        tracing::warn!(
            listen = %address,
            addresses = local.len(),
            limit = WILDCARD_ADDRESSES_MAX,
            "this host has more addresses than a wildcard may stand for; list those to listen on"
        );
        local.truncate(WILDCARD_ADDRESSES_MAX);
    }
    local.iter_mut().for_each(|one| one.set_port(address.port()));
    Ok(local)
}

/// Whether the workers' sockets share the address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Workers,
}

fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(IpProtocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Not to wait for old connections to be forgotten after a restart; Linux still lets nobody share a port that listens.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(TCP_BACKLOG)?;
    Ok(socket.into())
}

fn open_udp(address: SocketAddr, sharing: Sharing) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(IpProtocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if sharing == Sharing::Workers {
        socket.set_reuse_port(true)?;
        // Both are improvements that a kernel may refuse; it answers without them.
        let _ = udp::set_receive_buffer(&socket, RECEIVE_BUFFER_BYTES);
        let _ = udp::ignore_path_mtu(&socket, &address);
        udp::tell_of_messages(&socket, address.ip())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn bind_error(address: SocketAddr, protocol: Protocol, source: io::Error) -> BindError {
    match source.raw_os_error() {
        Some(libc::EADDRINUSE) => BindError::Taken { address, protocol, holder: holder(protocol, address) },
        Some(libc::EACCES | libc::EPERM) => BindError::Forbidden { address, protocol },
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => BindError::NotLocal { address, protocol },
        _ => BindError::Open { address, protocol, source },
    }
}

/// Connections that the kernel completes before they are accepted.
///
/// Source: none, chosen: half of the connections that may be open; `net.core.somaxconn` may make it smaller.
const TCP_BACKLOG: i32 = 1_024;

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
