//! Who holds a port that we can't have, as far as `/proc` tells.
//!
//! **Limits:** Linux; processes of other users are seen by root only, and those of other containers by nobody.
//!
//! **Source:** proc(5): `/proc/net/tcp` and its like, `/proc/PID/fd`.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use super::listen::Protocol;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// The process that holds the address, if it can be seen.
pub fn holder(protocol: Protocol, address: SocketAddr) -> Option<Holder> {
    let (v4, v6) = match protocol {
        Protocol::Tcp => ("/proc/net/tcp", "/proc/net/tcp6"),
        Protocol::Udp => ("/proc/net/udp", "/proc/net/udp6"),
    };
    // A socket on the IPv6 wildcard may hold IPv4 addresses too, so both tables are read.
    let inode = [v4, v6].iter().find_map(|path| {
        let table = fs::read_to_string(path).ok()?;
        table.lines().skip(1).find_map(|line| inode_of(line, protocol, address))
    })?;
    process_with(inode)
}

/// The inode of the socket in this line of a table, if it holds the address.
fn inode_of(line: &str, protocol: Protocol, address: SocketAddr) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = parse_address(fields.next()?)?;
    let state = fields.nth(1)?;
    if protocol == Protocol::Tcp && state != TCP_LISTEN {
        return None;
    }
    let same_family = local.is_ipv4() == address.is_ipv4();
    let holds = local.ip().to_canonical() == address.ip()
        || (local.ip().is_unspecified() && (same_family || local.is_ipv6()))
        || (address.ip().is_unspecified() && same_family);
    if local.port() != address.port() || !holds {
        return None;
    }
    // Queues, timer, retransmissions, user and timeout stand between state and inode.
    fields.nth(5)?.parse().ok().filter(|inode| *inode != 0)
}

/// Reads `0100007F:0035`: the address in words of the machine's byte order, the port in hex.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words: Vec<[u8; 4]> = (0..address.len() / 8)
        .map(|word| u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let ip = match words.as_slice() {
        [v4] => IpAddr::V4(Ipv4Addr::from(*v4)),
        [a, b, c, d] => {
            let bytes: Vec<u8> = [a, b, c, d].into_iter().flatten().copied().collect();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

fn process_with(inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if holds_file(&process.path(), &wanted) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(Holder { pid, name: name.trim_end().to_owned() });
        }
    }
    None
}

fn holds_file(process: &Path, wanted: &str) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted))
}

/// How the tables write the state of a TCP socket that listens. Source: Linux, include/net/tcp_states.h.
const TCP_LISTEN: &str = "0A";

#[cfg(test)]
#[path = "holder_tests.rs"]
mod tests;
