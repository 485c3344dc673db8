//! The addresses that this host has.
//!
//! **Source:** getifaddrs(3).

use std::{io, net::SocketAddr, ptr};

use super::{v4_address, v6_address};

/// The addresses of this host's interfaces, with port 0; link-local ones carry their interface as scope.
pub fn local_addresses() -> io::Result<Vec<SocketAddr>> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: on success `list` is a linked list that is ours until freeifaddrs.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut addresses = Vec::new();
    let mut entry = list;
    while !entry.is_null() {
        // SAFETY: a non-null entry of the list is a valid ifaddrs, and its address is null or valid for its family.
        let (address, next) = unsafe { ((*entry).ifa_addr, (*entry).ifa_next) };
        if !address.is_null() {
            // SAFETY: as above; sockaddr's family says which struct it is.
            addresses.extend(unsafe { interface_address(address) });
        }
        entry = next;
    }
    // SAFETY: it came from getifaddrs, and nothing points into it any more.
    unsafe { libc::freeifaddrs(list) };
    Ok(addresses)
}

/// SAFETY: `address` must point to a socket address that is as long as its family says.
unsafe fn interface_address(address: *const libc::sockaddr) -> Option<SocketAddr> {
    // SAFETY: the caller's promise; the reads are unaligned because only sockaddr's alignment is promised.
    unsafe {
        match i32::from((*address).sa_family) {
            libc::AF_INET => Some(v4_address(&address.cast::<libc::sockaddr_in>().read_unaligned())),
            libc::AF_INET6 => Some(v6_address(&address.cast::<libc::sockaddr_in6>().read_unaligned())),
            _ => None,
        }
    }
}
