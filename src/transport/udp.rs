//! Many datagrams in one system call, and what else of UDP needs the C library. The only file with unsafe code.
//!
//! ```text
//! wait -> receive (up to 64) -> answer each in its own buffer -> queue -> send
//! ```
//!
//! **Limits:** Linux. Errors that an earlier response caused (ICMP) are passed over; a response that the kernel does not
//! take is dropped and counted, never retried later.
//!
//! **Source:** recvmmsg(2), sendmmsg(2), poll(2), getifaddrs(3), ip(7), ipv6(7).
#![allow(unsafe_code)]

use std::{
    io, mem,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
    ptr,
    time::Duration,
};

use crate::answer::Buffer;

use super::limits::{BATCH_MAX, SEND_WAIT_MAX};

/// Buffers and addresses of up to 64 messages that are received, answered in place, and sent together. It belongs to
/// one thread.
pub struct Batch {
    buffers: Vec<Buffer>,
    peers: Box<[libc::sockaddr_storage]>,
    incoming: Vectors,
    outgoing: Vectors,
    /// Entries of `incoming` whose pointers were used up by the last batch.
    stale: usize,
    /// Responses queued in `outgoing`.
    queued: usize,
}

/// Message headers and the single I/O vector that each of them points to. Both are boxed slices that are never
/// replaced, so that the pointers between them stay good when the value moves.
struct Vectors {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
}

impl Batch {
    /// An empty batch, with room for 64 messages.
    pub fn new() -> Batch {
        // SAFETY: sockaddr_storage is plain data for which all zeros are a value (family AF_UNSPEC).
        let peer: libc::sockaddr_storage = unsafe { mem::zeroed() };
        Batch {
            buffers: (0..BATCH_MAX).map(|_| Buffer::udp()).collect(),
            peers: vec![peer; BATCH_MAX].into(),
            incoming: Vectors::new(),
            outgoing: Vectors::new(),
            stale: BATCH_MAX,
            queued: 0,
        }
    }

    /// Takes what the socket has, at most 64 messages, without waiting. Returns how many came.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        // Only what the last batch touched has new pointers made: a thread that gets one query at a time should not
        // write 64 headers for each.
        for index in 0..self.stale {
            let room = self.buffers[index].bytes_mut();
            let vector = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            self.incoming.set(index, &mut self.peers[index], PEER_BYTES, vector);
        }
        self.stale = 0;
        self.queued = 0;
        // SAFETY: the first BATCH_MAX headers point to that many valid peers and I/O vectors, and these to the buffers
        // with their lengths, all owned by self and borrowed by nobody else during the call. No timeout is passed.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.incoming.headers.as_mut_ptr(),
                BATCH_MAX as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.stale = received;
        Ok(received)
    }

    /// A received message: its buffer, its length, and who sent it (none for a family that UDP does not have).
    pub fn message(&mut self, index: usize) -> (&mut Buffer, usize, Option<SocketAddr>) {
        let length = self.incoming.headers[index].msg_len as usize;
        let peer = socket_address(&self.peers[index]);
        (&mut self.buffers[index], length, peer)
    }

    /// The first bytes of a message's buffer.
    pub fn bytes(&self, index: usize, length: usize) -> &[u8] {
        &self.buffers[index].bytes()[..length]
    }

    /// Queues the first `length` bytes of a message's buffer for its sender. Each message at most once.
    pub fn queue(&mut self, index: usize, length: usize) {
        let room = self.buffers[index].bytes_mut();
        let vector = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: length.min(room.len()) };
        let peer_bytes = self.incoming.headers[index].msg_hdr.msg_namelen;
        self.outgoing.set(self.queued, &mut self.peers[index], peer_bytes, vector);
        self.queued += 1;
    }

    /// Sends what is queued. Returns how many responses the kernel did not take.
    pub fn send(&mut self, socket: &UdpSocket) -> usize {
        let queued = mem::take(&mut self.queued);
        let (mut at, mut lost, mut tries) = (0, 0, 0);
        while at < queued {
            // SAFETY: headers at..queued were set by `queue` since the last `receive`, so that they point to peers, I/O
            // vectors and buffers owned by self, which nobody has borrowed mutably since. The kernel only reads them.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.outgoing.headers.as_mut_ptr().add(at),
                    (queued - at) as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            if let Ok(sent @ 1..) = usize::try_from(sent) {
                // A call that sent some ends at the first error without telling it; the next call finds it.
                (at, tries) = (at + sent, 0);
                continue;
            }
            tries += 1;
            let again = match after_send_error(&io::Error::last_os_error()) {
                AfterError::Again => true,
                AfterError::WhenRoom => wait_for_room(socket),
                AfterError::Skip => false,
            };
            if !again || tries == SEND_TRIES_MAX {
                (at, lost, tries) = (at + 1, lost + 1, 0);
            }
        }
        lost
    }
}

impl Vectors {
    fn new() -> Vectors {
        // SAFETY: mmsghdr and iovec are plain data; all zeros are null pointers with length 0.
        let (header, vector): (libc::mmsghdr, libc::iovec) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Vectors { headers: vec![header; BATCH_MAX].into(), vectors: vec![vector; BATCH_MAX].into() }
    }

    /// Points the header at `index` to one peer and one buffer.
    fn set(
        &mut self,
        index: usize,
        peer: &mut libc::sockaddr_storage,
        peer_bytes: libc::socklen_t,
        vector: libc::iovec,
    ) {
        self.vectors[index] = vector;
        let header = &mut self.headers[index].msg_hdr;
        header.msg_name = ptr::from_mut(peer).cast();
        header.msg_namelen = peer_bytes;
        header.msg_iov = &mut self.vectors[index];
        header.msg_iovlen = 1;
        header.msg_control = ptr::null_mut();
        header.msg_controllen = 0;
        header.msg_flags = 0;
    }
}

/// What to do about a response that was not sent.
enum AfterError {
    /// The error was not about this response: the same once more.
    Again,
    /// The send buffer is full.
    WhenRoom,
    /// It can't be sent.
    Skip,
}

fn after_send_error(error: &io::Error) -> AfterError {
    match error.raw_os_error() {
        // A host that an earlier response went to was not listening (ICMP port unreachable).
        Some(libc::EINTR | libc::ECONNREFUSED) => AfterError::Again,
        Some(libc::EAGAIN | libc::ENOBUFS) => AfterError::WhenRoom,
        _ => AfterError::Skip,
    }
}

/// Whether the send buffer got room within a few milliseconds.
fn wait_for_room(socket: &UdpSocket) -> bool {
    let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one valid entry, borrowed for the call.
    unsafe { libc::poll(&mut entry, 1, milliseconds(SEND_WAIT_MAX)) == 1 }
}

/// The sockets that a thread waits for, by their place in its list.
pub struct Poller {
    entries: Vec<libc::pollfd>,
}

impl Poller {
    /// Waits for these sockets, in this order. They must stay open until they are replaced.
    pub fn new<'a>(sockets: impl Iterator<Item = &'a UdpSocket>) -> Poller {
        let entry = |socket: &UdpSocket| libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        Poller { entries: sockets.map(entry).collect() }
    }

    /// Waits until a socket has something to receive or an error to tell, at most `timeout`.
    pub fn wait(&mut self, timeout: Duration) {
        self.entries.iter_mut().for_each(|entry| entry.revents = 0);
        let count = self.entries.len() as libc::nfds_t;
        // SAFETY: `count` valid entries, borrowed for the call.
        if unsafe { libc::poll(self.entries.as_mut_ptr(), count, milliseconds(timeout)) } < 0 {
            // A signal came; what the entries hold now means nothing.
            self.entries.iter_mut().for_each(|entry| entry.revents = 0);
        }
    }

    /// Whether the last wait found the socket at this place ready.
    pub fn is_ready(&self, index: usize) -> bool {
        self.entries[index].revents != 0
    }
}

/// Makes the kernel send datagrams of any size as they are and pay no heed to path MTUs that it was told: these come by
/// ICMP, which anyone can forge.
pub fn ignore_path_mtu(socket: &impl AsRawFd, address: &SocketAddr) -> io::Result<()> {
    let (level, option, value) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT),
    };
    let length = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is a c_int that lives through the call, and its length is told.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(&value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

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

fn socket_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let storage_at = ptr::from_ref(storage);
    // SAFETY: sockaddr_storage is at least as long and as aligned as any address, all of its bytes are initialised, and
    // its family says which struct it holds.
    unsafe {
        match i32::from(storage.ss_family) {
            libc::AF_INET => Some(v4_address(&*storage_at.cast::<libc::sockaddr_in>())),
            libc::AF_INET6 => Some(v6_address(&*storage_at.cast::<libc::sockaddr_in6>())),
            _ => None,
        }
    }
}

fn v4_address(address: &libc::sockaddr_in) -> SocketAddr {
    let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
    SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(address.sin_port)))
}

fn v6_address(address: &libc::sockaddr_in6) -> SocketAddr {
    let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
    SocketAddr::V6(SocketAddrV6::new(ip, u16::from_be(address.sin6_port), 0, address.sin6_scope_id))
}

fn milliseconds(duration: Duration) -> libc::c_int {
    libc::c_int::try_from(duration.as_millis()).unwrap_or(libc::c_int::MAX)
}

const PEER_BYTES: libc::socklen_t = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;

/// Tries of one response before it is dropped.
///
/// Source: none, chosen: one for each kind of error that may stand before it in the socket, and one more.
const SEND_TRIES_MAX: u32 = 4;

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
