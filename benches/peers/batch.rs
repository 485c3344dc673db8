//! Many datagrams in one system call: the load needs it to cost less than the servers, and the echo is made of it.
//! The only file here with unsafe code.
//!
//! **Source:** recvmmsg(2), sendmmsg(2).
#![allow(unsafe_code, reason = "the standard library sends and receives one datagram a call")]

use std::{io, mem, net::UdpSocket, os::fd::AsRawFd, ptr};

/// Room for 64 datagrams, which are received and sent together. It belongs to one thread.
pub struct Batch {
    room: Box<[[u8; ROOM_BYTES]]>,
    peers: Box<[libc::sockaddr_storage]>,
    // Boxed slices that are never replaced, so that the pointers from one to the other stay good.
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
}

impl Batch {
    pub fn new() -> Batch {
        // SAFETY: all three are plain data, for which all zeros are a value.
        let (peer, header, vector): (libc::sockaddr_storage, libc::mmsghdr, libc::iovec) = unsafe { mem::zeroed() };
        Batch {
            room: vec![[0; ROOM_BYTES]; BATCH].into(),
            peers: vec![peer; BATCH].into(),
            headers: vec![header; BATCH].into(),
            vectors: vec![vector; BATCH].into(),
        }
    }

    /// The place of a datagram.
    pub fn room(&mut self, index: usize) -> &mut [u8; ROOM_BYTES] {
        &mut self.room[index]
    }

    /// A received datagram.
    pub fn received(&self, index: usize) -> &[u8] {
        &self.room[index][..self.headers[index].msg_len as usize]
    }

    /// Has a datagram of this length sent from its place, to whom the socket is connected.
    pub fn put(&mut self, index: usize, length: usize) {
        self.point(index, length);
        let header = &mut self.headers[index].msg_hdr;
        (header.msg_name, header.msg_namelen) = (ptr::null_mut(), 0);
    }

    /// Has a datagram of this length sent from its place, to whom the one there came from.
    pub fn put_back(&mut self, index: usize, length: usize) {
        self.point(index, length);
    }

    /// Takes what the socket has, at most 64. A socket that does not block has none at times, which is no error.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for index in 0..BATCH {
            self.point(index, ROOM_BYTES);
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.peers[index]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        // SAFETY: all BATCH headers point to peers, I/O vectors and room of self, with their lengths, and nobody else
        // borrows them during the call. MSG_WAITFORONE: a blocking socket waits for the first one only.
        let count = unsafe {
            let headers = self.headers.as_mut_ptr();
            libc::recvmmsg(socket.as_raw_fd(), headers, BATCH as _, libc::MSG_WAITFORONE as _, ptr::null_mut())
        };
        ended(count)
    }

    /// Sends the first `count` datagrams. Returns how many the kernel took.
    pub fn send(&mut self, socket: &UdpSocket, count: usize) -> io::Result<usize> {
        assert!(count <= BATCH);
        // SAFETY: the headers point to memory of self (see `put` and `put_back`), which the kernel only reads.
        let count = unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count as _, 0) };
        ended(count)
    }

    fn point(&mut self, index: usize, length: usize) {
        let room = &mut self.room[index];
        self.vectors[index] = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: length.min(ROOM_BYTES) };
        let header = &mut self.headers[index].msg_hdr;
        header.msg_iov = &mut self.vectors[index];
        header.msg_iovlen = 1;
    }
}

fn ended(count: i32) -> io::Result<usize> {
    match usize::try_from(count) {
        Ok(count) => Ok(count),
        Err(_) => match io::Error::last_os_error() {
            // Nothing there, no room, a signal, or the server is not up: as if nothing had come or gone.
            error if matches!(error.kind(), KIND_WAIT | KIND_SIGNAL | KIND_REFUSED) => Ok(0),
            error => Err(error),
        },
    }
}

const KIND_WAIT: io::ErrorKind = io::ErrorKind::WouldBlock;
const KIND_SIGNAL: io::ErrorKind = io::ErrorKind::Interrupted;
const KIND_REFUSED: io::ErrorKind = io::ErrorKind::ConnectionRefused;

/// Datagrams in one system call: as many as the server under test takes.
pub const BATCH: usize = 64;

/// Room for one datagram; what is longer is cut off. No response here is longer than 1,232 bytes.
pub const ROOM_BYTES: usize = 2048;
