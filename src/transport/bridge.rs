//! Docker's bridges: which addresses they have, and whether the containers behind them get answers.
//!
//! A packet that this host sends to an address of its own never crosses the bridge, whatever the firewall does with those
//! that do. So the question is asked by a thread that enters the network of a container.
//!
//! ```text
//! /proc/PID/ns/net of another network -> enter -> an address beside a bridge of ours?
//!     -> ask over UDP and TCP -> is the neighbour that took the packets our bridge, by its Ethernet address?
//! ```
//!
//! The last step tells a container of ours from one of a Docker daemon that runs in a container and has the same
//! addresses.
//!
//! **Limits:** at most three containers of a bridge are asked for, 4 s each. What their processes are is not known, so that
//! it works for any container engine; but those of other users and of other process namespaces are seen only with the
//! capabilities SYS_ADMIN and SYS_PTRACE. Bridges without IPv4 are not asked about.
//!
//! **Source:** setns(2), proc(5): `/proc/PID/ns/net`, `/proc/net/arp`.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{
    listen::Protocol,
    udp::{self, Kind},
};

/// The addresses of an interface that others can reach: all but link-local ones, sorted. None if there is no such
/// interface.
pub fn addresses(interface: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for one in udp::interface_addresses()? {
        if let Kind::Ip(address, _) = one.address
            && one.interface == interface
            && !is_link_local(address.ip())
        {
            addresses.push(address.ip());
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// What came of asking from the side of containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reached {
    /// The bridges with containers that could be asked from, and over which protocols there was no answer; over none of
    /// them, all is well.
    pub silent: BTreeMap<String, Vec<Protocol>>,
    /// Whether none was found, though there are some: this process may not see or enter their networks.
    pub unseen: bool,
}

/// Asks `server` from the side of the containers of each bridge that `is_bridge` names. It moves the calling thread into
/// other networks, so that must be a thread made for it.
pub fn ask_from_containers(server: SocketAddr, is_bridge: impl Fn(&str) -> bool) -> io::Result<Reached> {
    let bridges = bridges(is_bridge)?;
    let mut reached = Reached::default();
    let mut forbidden = bridges.iter().any(|bridge| has_ports(&bridge.name));
    let mut tries: BTreeMap<&str, u32> = BTreeMap::new();
    let mut known = HashSet::from([fs::read_link("/proc/thread-self/ns/net")?]);
    for process in fs::read_dir("/proc")?.flatten() {
        if !process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let network = process.path().join("ns/net");
        let entered = enter_new(&network, &mut known);
        forbidden |= matches!(&entered, Err(error) if error.kind() == ErrorKind::PermissionDenied);
        // A process that has ended meanwhile is none to ask from.
        let Ok(true) = entered else { continue };
        let Some(bridge) = bridge_beside(&bridges) else { continue };
        let tried = tries.entry(&bridge.name).or_default();
        let is_well = reached.silent.get(&bridge.name).is_some_and(Vec::is_empty);
        if is_well || *tried >= CONTAINERS_MAX {
            continue;
        }
        if let Some(silent) = ask(server, bridge) {
            *tried += 1;
            let so_far = reached.silent.entry(bridge.name.clone()).or_insert_with(|| silent.clone());
            so_far.retain(|protocol| silent.contains(protocol));
        }
    }
    reached.unseen = forbidden && reached.silent.is_empty();
    Ok(reached)
}

/// Whether something is connected to the bridge, as far as it is told.
fn has_ports(bridge: &str) -> bool {
    fs::read_dir(format!("/sys/class/net/{bridge}/brif")).is_ok_and(|mut ports| ports.next().is_some())
}

/// A bridge of this host.
#[derive(Debug)]
struct Bridge {
    name: String,
    address: Ipv4Addr,
    hardware: [u8; 6],
}

fn bridges(is_bridge: impl Fn(&str) -> bool) -> io::Result<Vec<Bridge>> {
    let all = udp::interface_addresses()?;
    let hardware = |name: &str| {
        all.iter().find_map(|one| match one.address {
            Kind::Hardware(hardware) if one.interface == name => Some(hardware),
            _ => None,
        })
    };
    let bridge = |one: &udp::InterfaceAddress| match one.address {
        Kind::Ip(SocketAddr::V4(address), _) if is_bridge(&one.interface) => {
            Some(Bridge { name: one.interface.clone(), address: *address.ip(), hardware: hardware(&one.interface)? })
        }
        _ => None,
    };
    Ok(all.iter().filter_map(bridge).collect())
}

/// Enters a process's network, if it is none of those that are known.
fn enter_new(network: &Path, known: &mut HashSet<PathBuf>) -> io::Result<bool> {
    if !known.insert(fs::read_link(network)?) {
        return Ok(false);
    }
    let file = File::open(network)?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(true)
}

/// The bridge that lies in a network of the present namespace.
fn bridge_beside(bridges: &[Bridge]) -> Option<&Bridge> {
    let here = udp::interface_addresses().ok()?;
    here.iter().find_map(|one| match one.address {
        Kind::Ip(SocketAddr::V4(own), bits) => {
            bridges.iter().find(|bridge| bridge.address != *own.ip() && shares_network(*own.ip(), bridge.address, bits))
        }
        _ => None,
    })
}

fn shares_network(one: Ipv4Addr, other: Ipv4Addr, bits: u8) -> bool {
    (1..=32).contains(&bits) && (one.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(bits)
}

/// The protocols over which there was no answer; none if nothing of what was sent came to the bridge.
fn ask(server: SocketAddr, bridge: &Bridge) -> Option<Vec<Protocol>> {
    let mut silent = Vec::new();
    for (protocol, asked) in [(Protocol::Udp, ask_udp(server)), (Protocol::Tcp, ask_tcp(server))] {
        match asked {
            Ok(()) => {}
            // A container of an internal network has no way out.
            Err(error) if matches!(error.kind(), ErrorKind::NetworkUnreachable) => return None,
            Err(_) => silent.push(protocol),
        }
    }
    let neighbours = fs::read_to_string("/proc/thread-self/net/arp").ok()?;
    neighbours.lines().any(|line| is_bridge(line, bridge)).then_some(silent)
}

/// Whether a line of the neighbours' table is this bridge.
fn is_bridge(line: &str, bridge: &Bridge) -> bool {
    let mut fields = line.split_ascii_whitespace();
    let address = fields.next().and_then(|text| text.parse::<Ipv4Addr>().ok());
    let hardware = bridge.hardware.map(|byte| format!("{byte:02x}")).join(":");
    address == Some(bridge.address) && fields.nth(2).is_some_and(|text| text.eq_ignore_ascii_case(&hardware))
}

fn ask_udp(server: SocketAddr) -> io::Result<()> {
    let local: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (std::net::Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(local)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(ANSWER_MAX / UDP_TRIES))?;
    let mut failed = io::Error::from(ErrorKind::TimedOut);
    for _ in 0..UDP_TRIES {
        let mut bytes = [0; 512];
        match socket.send(QUERY).and_then(|_| socket.recv(&mut bytes)) {
            Ok(length) if is_response(&bytes[..length]) => return Ok(()),
            Ok(_) => {}
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn ask_tcp(server: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&server, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    stream.write_all(&[&(QUERY.len() as u16).to_be_bytes()[..], QUERY].concat())?;
    let mut head = [0; 2 + 12];
    stream.read_exact(&mut head)?;
    if is_response(&head[2..]) { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}

/// Whatever the response says, somebody gave it.
fn is_response(message: &[u8]) -> bool {
    message.len() >= 12 && message[..2] == QUERY[..2] && message[2] & 0x80 != 0
}

/// Asks for the address of `localhost`, which every server of ours knows.
const QUERY: &[u8] = b"\x6e\x70\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09localhost\x00\x00\x01\x00\x01";

/// Most time for an answer over one protocol.
///
/// Source: none, chosen: it comes within a millisecond; a busy machine may take a hundred times that.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Datagrams that are sent in this time: the first may be lost while the neighbour is looked for.
const UDP_TRIES: u32 = 4;

/// Most containers of one bridge that are asked from.
///
/// Source: none, chosen: one may have a firewall of its own.
const CONTAINERS_MAX: u32 = 3;

#[cfg(test)]
#[path = "bridge_tests.rs"]
mod tests;
