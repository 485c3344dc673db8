//! The numbers that bound what the transports hold and wait for, in one table.
//!
//! | what | bound | when it is reached |
//! |---|---|---|
//! | queries received or sent in one system call | 64, and what is answered in 0.5 ms | the rest waits in the socket |
//! | UDP receive buffer of a socket | 4 MiB asked for, less under overload | the kernel drops (`net.core.rmem_max` may make it smaller) |
//! | wait of a UDP query in it, under overload (`backlog`) | 5 ms | dropped |
//! | UDP query | 16 KiB | the rest of the datagram is cut off |
//! | sockets of a wildcard address that can't be had as such | 256 local addresses | further addresses are left out, with a warning |
//! | slow queries in flight | 4,096; 256 a client address | SERVFAIL with extended error 23 |
//! | one slow query | 5 s | dropped |
//! | TCP connections | 2,000; 200 a client address, 1,000 from loopback | the one idle longest is closed |
//! | first message of a connection | 5 s | closed |
//! | idle connection, or a message half received | 10 s | closed |
//! | slow queries of one connection | 64 | no further message is read until one is answered |
//! | responses waiting to be written on a connection | 64 KiB and one message | no further message is read |
//! | one write to a client | 5 s | closed |
//! | stop | 6 s | what is still in flight is dropped |

use std::time::Duration;

/// Most messages in one recvmmsg or sendmmsg.
///
/// Source: none, chosen: the system call's own cost is below 1 % of a batch of 64.
pub const BATCH_MAX: usize = 64;

/// Time in which what is received together is to be answered: the first waits for the last, and all go out together.
///
/// Source: none, chosen: a tenth of the longest wait, and 64 queries of 8 us each.
pub const BATCH_SPAN: Duration = Duration::from_micros(500);

/// Receive buffer asked for on each UDP socket, in bytes.
///
/// Source: none, chosen: holds about 16 ms of 250,000 queries/s (the kernel counts some 800 bytes for a small one), the
/// longest that a worker should ever be off the processor.
pub const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Smallest receive buffer that is asked for under overload, in bytes.
///
/// Source: none, chosen: some 20 small queries over loopback, or 4 behind a network card whose driver gives each a page:
/// 2.5 ms of a server that needs 125 us for each.
pub const RECEIVE_BUFFER_MIN_BYTES: usize = 8 << 10;

/// How long a query may have waited in its socket to be answered while more comes in than can be answered.
///
/// Source: RFC 8289 section 3.2 (TARGET).
pub const WAIT_MAX: Duration = Duration::from_millis(5);

/// The wait that the receive buffer is fitted to under overload.
///
/// Source: none, chosen: half of the longest wait, so that what is there when the worker loses the processor for as long
/// again can still be answered.
pub const WAIT_WANTED: Duration = Duration::from_micros(2_500);

/// How long a worker sleeps at most: within this it sees a stop, a new socket, and lets go of an old snapshot.
pub const IDLE_MAX: Duration = Duration::from_millis(250);

/// How long a worker has the processor at a time where others want it. Source: none, chosen: what a batch takes.
pub const SLICE: Duration = Duration::from_micros(200);

/// How long other threads that work much have the processor at a time where a worker wants it.
///
/// Source: none, chosen: the kernel's own, 1.4 ms on two cores, is a good part of what an answer may wait; shorter than a
/// worker's would be shared out before it.
pub const OTHERS_SLICE: Duration = Duration::from_micros(400);

/// Batches answered between two looks at all sockets while some have work.
///
/// Source: none, chosen: 4 batches of 64 take about 1 ms, which is how long a quiet socket may wait for a busy one.
pub const BUSY_ROUNDS_MAX: u32 = 4;

/// How long a worker waits for room in a full send buffer before it drops a response.
pub const SEND_WAIT_MAX: Duration = Duration::from_millis(5);

/// How often the local addresses behind a wildcard listen address are looked at.
pub const ADDRESSES_REFRESH: Duration = Duration::from_secs(3);

/// Most local addresses that one wildcard listen address stands for.
///
/// Source: none, chosen: a Docker host has one for each network, at most about 30 by Docker's default pools.
pub const WILDCARD_ADDRESSES_MAX: usize = 256;

/// Ports that are tried when the kernel chose one for TCP that UDP can't have.
pub const PORT_TRIES_MAX: u32 = 16;

/// Slow queries in flight, all clients together. Source: DESIGN.md, "Snapshot and answers".
pub const SLOW_MAX: usize = 4_096;

/// Slow queries in flight of one client address. Source: DESIGN.md, "Snapshot and answers".
pub const SLOW_CLIENT_MAX: u32 = 256;

/// Longest wait for a slow answer. The forwarder answers within 3 s; this one only holds if it does not.
pub const SLOW_WAIT_MAX: Duration = Duration::from_secs(5);

/// TCP connections, all clients together. Source: DNS.md, "Protocol".
pub const CONNECTIONS_MAX: usize = 2_000;

/// TCP connections of one client address. Source: DNS.md, "Protocol".
pub const CONNECTIONS_CLIENT_MAX: usize = 200;

/// TCP connections of one loopback address: the programs of this host share one. Source: DNS.md, "Protocol".
pub const CONNECTIONS_LOOPBACK_MAX: usize = 1_000;

/// Time from accept to the end of the first message. Source: DNS.md, "Protocol".
pub const FIRST_MESSAGE_MAX: Duration = Duration::from_secs(5);

/// Time without a message or response after which a connection is closed. Source: DNS.md, "Protocol".
pub const TCP_IDLE_MAX: Duration = Duration::from_secs(10);

/// Slow queries of one connection that may be in flight.
///
/// Source: none, chosen: a quarter of a client's share, so that one connection never takes all of it.
pub const CONNECTION_SLOW_MAX: usize = 64;

/// Bytes of responses that are gathered before they are written.
///
/// Source: none, chosen: one message of the largest size, or some hundred common ones.
pub const WRITE_BATCH_BYTES: usize = 64 << 10;

/// Longest time that one write may take.
pub const WRITE_MAX: Duration = Duration::from_secs(5);

/// Wait before the next accept when the process has no file descriptor left.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Longest time that a stop waits for what is in flight: a slow query and a write.
pub const STOP_MAX: Duration = Duration::from_secs(6);

/// The limits of TCP connections, as one value so that tests can ask for smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections, all clients together.
    pub connections: usize,
    /// Connections of one client address.
    pub connections_client: usize,
    /// Connections of one loopback address.
    pub connections_loopback: usize,
    /// Time from accept to the end of the first message.
    pub first_message: Duration,
    /// Time without a message or response after which a connection is closed.
    pub idle: Duration,
    /// Longest time that one write may take.
    pub write: Duration,
}

impl Default for TcpLimits {
    fn default() -> TcpLimits {
        TcpLimits {
            connections: CONNECTIONS_MAX,
            connections_client: CONNECTIONS_CLIENT_MAX,
            connections_loopback: CONNECTIONS_LOOPBACK_MAX,
            first_message: FIRST_MESSAGE_MAX,
            idle: TCP_IDLE_MAX,
            write: WRITE_MAX,
        }
    }
}

/// The limits of slow queries, as one value so that tests can ask for smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowLimits {
    /// In flight, all clients together.
    pub total: usize,
    /// In flight of one client address.
    pub client: u32,
    /// Longest wait for an answer.
    pub wait: Duration,
}

impl Default for SlowLimits {
    fn default() -> SlowLimits {
        SlowLimits { total: SLOW_MAX, client: SLOW_CLIENT_MAX, wait: SLOW_WAIT_MAX }
    }
}
