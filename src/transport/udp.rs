//! Many datagrams in one system call, and what else of UDP needs the C library. Unsafe code stands here and below only.
//!
//! ```text
//! wait -> receive (up to 64) -> answer each in its own buffer -> queue -> send
//! ```
//!
//! A socket on a wildcard address tells of each message which local address it came to, and the response is sent from
//! there. The first message of a batch, the oldest, also tells how long it has waited.
//!
//! **Limits:** Linux. Errors that an earlier response caused (ICMP) are passed over; a response that the kernel does not
//! take is dropped and counted, never retried later.
//!
//! **Source:** recvmmsg(2), sendmmsg(2), poll(2), ip(7), ipv6(7), socket(7), cmsg(3).
#![allow(unsafe_code)]

use std::{
    io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    ops::Range,
    os::fd::AsRawFd,
    ptr,
    time::Duration,
};

use crate::answer::Buffer;

use super::limits::{BATCH_MAX, SEND_WAIT_MAX};

mod interfaces;
mod slice;

pub use interfaces::{InterfaceAddress, Kind, interface_addresses, local_addresses};
pub use slice::ask_for_slices;

/// Buffers and addresses of up to 64 messages that are received, answered in place, and sent together. It belongs to
/// one thread.
pub struct Batch {
    buffer: Buffer,
    peers: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    incoming: Vectors,
    outgoing: Vectors,
    /// Entries of `incoming` whose pointers were used up by the last batch.
    stale: usize,
    /// Entries of `incoming` that have room for a control.
    told: usize,
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
            buffer: Buffer::batch(BATCH_MAX),
            peers: vec![peer; BATCH_MAX].into(),
            controls: vec![Control::EMPTY; BATCH_MAX].into(),
            incoming: Vectors::new(),
            outgoing: Vectors::new(),
            stale: BATCH_MAX,
            told: 0,
            queued: 0,
        }
    }

    /// Takes what the socket, bound to `local`, has, without waiting: at most `most` messages, and 64. Returns how many.
    pub fn receive(&mut self, socket: &UdpSocket, local: IpAddr, most: usize) -> io::Result<usize> {
        let told = if local.is_unspecified() { BATCH_MAX } else { 1 };
        // Only what the last batch touched has new pointers made: a thread that gets one query at a time should not
        // write 64 headers for each.
        let stale = if self.told == told { self.stale } else { BATCH_MAX };
        for index in 0..stale {
            let room = self.buffer.select(index).bytes_mut();
            let vector = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            self.incoming.set(index, &mut self.peers[index], PEER_BYTES, vector);
            if index < told {
                self.incoming.set_control(index, &mut self.controls[index], CONTROL_BYTES);
            }
        }
        (self.stale, self.told) = (0, told);
        self.queued = 0;
        // SAFETY: the first BATCH_MAX headers point to that many valid peers and I/O vectors, and these to the messages
        // of the buffer with their lengths, `told` of them also to as many controls, all owned by self and borrowed by nobody else
        // during the call. No timeout is passed.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.incoming.headers.as_mut_ptr(),
                most.min(BATCH_MAX) as libc::c_uint,
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
        (self.buffer.select(index), length, peer)
    }

    /// Messages that were received, by their numbers.
    pub fn messages(&self, numbers: Range<usize>) -> impl Iterator<Item = &[u8]> {
        let lengths = self.incoming.headers[numbers.clone()].iter().map(|header| header.msg_len as usize);
        numbers.zip(lengths).map(|(index, length)| self.bytes(index, length))
    }

    /// How long the first message of the batch, its oldest, has waited in the socket; zero if that can't be known.
    pub fn waited(&self) -> Duration {
        let Some(taken_in) = self.control(0, libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, timespec_nanos) else {
            return Duration::ZERO;
        };
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: one valid timespec, borrowed for the call. This clock, because the kernel stamps messages by it.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut now) };
        let nanos = timespec_nanos(&now).saturating_sub(taken_in);
        // A clock that was set meanwhile tells nothing.
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)).min(WAIT_KNOWN_MAX)
    }

    /// The local address that a message came to; none if its socket is bound to one.
    pub fn destination(&self, index: usize) -> Option<IpAddr> {
        if index >= self.told {
            return None;
        }
        let v4 = |info: &libc::in_pktinfo| IpAddr::from(u32::from_be(info.ipi_spec_dst.s_addr).to_be_bytes());
        let v6 = |info: &libc::in6_pktinfo| IpAddr::from(info.ipi6_addr.s6_addr);
        self.control(index, libc::IPPROTO_IP, libc::IP_PKTINFO, v4)
            .or_else(|| self.control(index, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, v6))
    }

    /// What the kernel told of a message under this level and kind, if it did. `T` must be the struct that socket(7),
    /// ip(7) or ipv6(7) names for the kind.
    fn control<T, V>(&self, index: usize, level: libc::c_int, kind: libc::c_int, read: fn(&T) -> V) -> Option<V> {
        let header = &self.incoming.headers[index].msg_hdr;
        if header.msg_control.is_null() {
            return None;
        }
        // SAFETY: the header's control pointer and length are those of a `Control` of ours, as the kernel filled it; the
        // macros stay within that length, and a message that is long enough for a `T` holds one.
        unsafe {
            let mut entry = libc::CMSG_FIRSTHDR(header);
            while let Some(found) = entry.as_ref() {
                let long_enough = found.cmsg_len >= libc::CMSG_LEN(mem::size_of::<T>() as u32) as usize;
                if (found.cmsg_level, found.cmsg_type) == (level, kind) && long_enough {
                    return Some(read(&libc::CMSG_DATA(found).cast::<T>().read_unaligned()));
                }
                entry = libc::CMSG_NXTHDR(header, found);
            }
        }
        None
    }

    /// The first bytes of a message's buffer.
    pub fn bytes(&self, index: usize, length: usize) -> &[u8] {
        &self.buffer.message(index)[..length]
    }

    /// Queues the first `length` bytes of a message's buffer for its sender, from the address that it came to. Each
    /// message at most once.
    pub fn queue(&mut self, index: usize, length: usize) {
        let source = self.destination(index);
        let room = self.buffer.select(index).bytes_mut();
        let vector = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: length.min(room.len()) };
        let peer_bytes = self.incoming.headers[index].msg_hdr.msg_namelen;
        self.outgoing.set(self.queued, &mut self.peers[index], peer_bytes, vector);
        if let Some(source) = source {
            let scope = scope(&self.peers[index]);
            let control = &mut self.controls[index];
            let length = control.set_source(source, scope);
            self.outgoing.set_control(self.queued, control, length);
        }
        self.queued += 1;
    }

    /// Sends what is queued. Returns how many responses the kernel did not take.
    pub fn send(&mut self, socket: &UdpSocket) -> usize {
        let queued = mem::take(&mut self.queued);
        // It waits in vain once: where no room came for one response, none will for those behind it.
        let (mut at, mut lost, mut tries, mut may_wait) = (0, 0, 0, true);
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
                AfterError::WhenRoom => {
                    may_wait = may_wait && wait_for_room(socket);
                    may_wait
                }
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
        // SAFETY: mmsghdr and iovec are plain data: all zeros are null pointers with length 0.
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

    /// Points the header at `index` to `length` bytes of a control.
    fn set_control(&mut self, index: usize, control: &mut Control, length: usize) {
        let header = &mut self.headers[index].msg_hdr;
        header.msg_control = control.bytes.as_mut_ptr().cast();
        header.msg_controllen = length as _;
    }
}

/// Room for what the kernel tells of a message beside its bytes: when it took it in, and the address that it came to.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control {
    bytes: [u8; CONTROL_BYTES],
}

impl Control {
    const EMPTY: Control = Control { bytes: [0; CONTROL_BYTES] };

    /// Says that a message is to be sent from this address. `scope` is the peer's interface, which only a link-local
    /// address needs. Returns how many bytes it takes.
    fn set_source(&mut self, source: IpAddr, scope: u32) -> usize {
        match source {
            IpAddr::V4(ip) => {
                let address = libc::in_addr { s_addr: u32::from(ip).to_be() };
                // The interface is left to the routes: the one that a query came by need not lead back.
                let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: address };
                self.set(libc::IPPROTO_IP, libc::IP_PKTINFO, info)
            }
            IpAddr::V6(ip) => {
                let address = libc::in6_addr { s6_addr: ip.octets() };
                let interface = if ip.is_unicast_link_local() { scope } else { 0 };
                let info = libc::in6_pktinfo { ipi6_addr: address, ipi6_ifindex: interface };
                self.set(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
            }
        }
    }

    fn set<T>(&mut self, level: libc::c_int, kind: libc::c_int, value: T) -> usize {
        let value_bytes = mem::size_of::<T>() as u32;
        const { assert!(mem::size_of::<T>() <= mem::size_of::<libc::in6_pktinfo>()) };
        // SAFETY: the room is aligned for a cmsghdr and has more bytes than CMSG_SPACE of the largest `T`, which the line
        // above holds; CMSG_DATA of its start lies within it.
        unsafe {
            let entry = self.bytes.as_mut_ptr().cast::<libc::cmsghdr>();
            (*entry).cmsg_level = level;
            (*entry).cmsg_type = kind;
            (*entry).cmsg_len = libc::CMSG_LEN(value_bytes) as _;
            libc::CMSG_DATA(entry).cast::<T>().write_unaligned(value);
            libc::CMSG_SPACE(value_bytes) as usize
        }
    }
}

/// Sends one message from the local address `source`, if one is named, and never waits.
pub fn send_from(socket: &UdpSocket, bytes: &[u8], peer: SocketAddr, source: Option<IpAddr>) -> io::Result<()> {
    let Some(source) = source else { return socket.send_to(bytes, peer).map(|_| ()) };
    let peer_raw = socket2::SockAddr::from(peer);
    let mut control = Control::EMPTY;
    let scope = if let SocketAddr::V6(peer) = peer { peer.scope_id() } else { 0 };
    let control_bytes = control.set_source(source, scope);
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: msghdr is plain data; all zeros are null pointers with length 0.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = peer_raw.as_ptr().cast_mut().cast();
    header.msg_namelen = peer_raw.len();
    (header.msg_iov, header.msg_iovlen) = (&mut vector, 1);
    header.msg_control = control.bytes.as_mut_ptr().cast();
    header.msg_controllen = control_bytes as _;
    // SAFETY: the header points to an address, one I/O vector over `bytes`, and a control, with their lengths; all live
    // through the call, and the kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &header, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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

/// Makes the kernel tell of each message when it was taken in and, if `local` is a wildcard, which address it came to.
pub fn tell_of_messages(socket: &impl AsRawFd, local: IpAddr) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    match local {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
        _ => Ok(()),
    }
}

/// Asks for a receive buffer of so many bytes: beyond `net.core.rmem_max` where this process may, else up to it.
pub fn set_receive_buffer(socket: &impl AsRawFd, bytes: usize) -> io::Result<()> {
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, value))
}

/// Makes the kernel send datagrams of any size as they are and pay no heed to path MTUs that it was told: these come by
/// ICMP, which anyone can forge.
pub fn ignore_path_mtu(socket: &impl AsRawFd, address: &SocketAddr) -> io::Result<()> {
    let (level, option, value) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT),
    };
    set_option(socket, level, option, value)
}

fn set_option(socket: &impl AsRawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is a c_int that lives through the call, and its length is told.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(&value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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

/// The interface of a link-local IPv6 address; 0 for any other.
fn scope(storage: &libc::sockaddr_storage) -> u32 {
    match socket_address(storage) {
        Some(SocketAddr::V6(address)) => address.scope_id(),
        _ => 0,
    }
}

fn timespec_nanos(time: &libc::timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

fn milliseconds(duration: Duration) -> libc::c_int {
    libc::c_int::try_from(duration.as_millis()).unwrap_or(libc::c_int::MAX)
}

const PEER_BYTES: libc::socklen_t = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;

/// Room for a timestamp and the larger of the two packet infos, each with its header: 32 and 40 bytes, and some to spare.
const CONTROL_BYTES: usize = 96;

/// A longer wait is told as this.
///
/// Source: none, chosen: no query waits that long in a buffer of a few MiB; the clock was set.
const WAIT_KNOWN_MAX: Duration = Duration::from_secs(10);

/// Tries of one response before it is dropped.
///
/// Source: none, chosen: one for each kind of error that may stand before it in the socket, and one more.
const SEND_TRIES_MAX: u32 = 4;

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
