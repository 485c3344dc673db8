//! The interfaces of this host, or of the network that the calling thread is in, and their addresses.
//!
//! **Source:** getifaddrs(3), packet(7).

use std::{ffi::CStr, io, net::IpAddr, net::SocketAddr, ptr};

use super::{v4_address, v6_address};

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface's name.
    pub interface: String,
    /// What it is.
    pub address: Kind,
}

/// What an interface has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An IP address, with port 0, and how many bits of it are the network's. Link-local ones carry their interface as
    /// scope.
    Ip(SocketAddr, u8),
    /// Its Ethernet address.
    Hardware([u8; 6]),
}

/// The addresses of this host's interfaces, with port 0; link-local ones carry their interface as scope.
pub fn local_addresses() -> io::Result<Vec<SocketAddr>> {
    let ip = |one: InterfaceAddress| match one.address {
        Kind::Ip(address, _) => Some(address),
        Kind::Hardware(_) => None,
    };
    Ok(interface_addresses()?.into_iter().filter_map(ip).collect())
}

/// All addresses of all interfaces.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: on success `list` is a linked list that is ours until freeifaddrs.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut addresses = Vec::new();
    let mut entry = list;
    // SAFETY: a non-null entry of the list is a valid ifaddrs.
    while let Some(found) = unsafe { entry.as_ref() } {
        // SAFETY: address and mask are null or as long as their family says, which the call wants.
        let address = unsafe { kind(found.ifa_addr, found.ifa_netmask) };
        // SAFETY: an entry's name is a text that ends with a zero and lives as long as the list.
        let name = || unsafe { CStr::from_ptr(found.ifa_name) }.to_string_lossy().into_owned();
        addresses.extend(address.map(|address| InterfaceAddress { interface: name(), address }));
        entry = found.ifa_next;
    }
    // SAFETY: it came from getifaddrs, and nothing points into it any more.
    unsafe { libc::freeifaddrs(list) };
    Ok(addresses)
}

/// SAFETY: both must be null or point to a socket address that is as long as its family says.
unsafe fn kind(address: *const libc::sockaddr, mask: *const libc::sockaddr) -> Option<Kind> {
    if address.is_null() {
        return None;
    }
    // SAFETY: the caller's promise, and the address is not null; the reads are unaligned because only sockaddr's alignment
    // is promised.
    unsafe {
        if i32::from((*address).sa_family) == libc::AF_PACKET {
            let link = address.cast::<libc::sockaddr_ll>().read_unaligned();
            let [a, b, c, d, e, f, ..] = link.sll_addr;
            return (link.sll_halen == 6).then_some(Kind::Hardware([a, b, c, d, e, f]));
        }
        let bits = if mask.is_null() { None } else { ip(mask) };
        Some(Kind::Ip(ip(address)?, bits.map_or(0, |mask| prefix_bits(mask.ip()))))
    }
}

/// SAFETY: `address` must point to a socket address that is as long as its family says.
unsafe fn ip(address: *const libc::sockaddr) -> Option<SocketAddr> {
    // SAFETY: the caller's promise; the reads are unaligned because only sockaddr's alignment is promised.
    unsafe {
        match i32::from((*address).sa_family) {
            libc::AF_INET => Some(v4_address(&address.cast::<libc::sockaddr_in>().read_unaligned())),
            libc::AF_INET6 => Some(v6_address(&address.cast::<libc::sockaddr_in6>().read_unaligned())),
            _ => None,
        }
    }
}

/// How many bits a mask has.
fn prefix_bits(mask: IpAddr) -> u8 {
    let bits = match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    bits as u8
}
