//! Answering: from a snapshot and the bytes of a query to the bytes of a response.
//!
//! [`respond`] is one synchronous function, the same for every transport. It looks at nothing but what it is given:
//! no clock, no I/O, no log, no metrics, no lock, no randomness of its own. What it cannot answer from the snapshot
//! it names ([`Slow`]); whoever can find that calls [`respond_with`].
//!
//! ```text
//! query bytes -> accept (the gate) -> names (reading the name) -> respond (writing) -> response bytes
//! ```
//!
//! **Limits:** these cost O(instances that match): the forms with a service ID, or with a tag and a named port at once; prepared
//! queries that choose otherwise than their service's name does; TXT and HTTPS of services, which allocate too; answers that put near
//! instances first. Aliases and host names allocate for each step. All others cost O(what they answer) and allocate nothing.
//!
//! **Source:** RFC 1034 section 4.3.2, RFC 1035, RFC 2181, RFC 2308, RFC 2782, RFC 4592, RFC 6891, RFC 8482,
//! RFC 8914, RFC 9460; DNS.md names the rest.

mod accept;
mod addresses;
mod chain;
pub mod explain;
mod live;
mod location;
mod members;
mod names;
mod negative;
mod order;
mod queries;
mod records;
mod respond;
mod server;
mod services;
mod srv;
mod statics;
mod text;
mod warm;

use std::net::IpAddr;

use crate::{
    publish::snapshot::Snapshot,
    wire::{
        code::{extended, rcode},
        name::Name,
        query::Query,
        writer::{ExtendedError, rewrite_query},
    },
};

pub use crate::publish::snapshot::{FOUND_TOGETHER_MAX as TOGETHER_MAX, Trail};
pub use order::Scratch;
pub use warm::warm;

/// Who asks, and all that an answer depends on beyond the query and the snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Source address; a v4-mapped one as IPv4.
    pub address: IpAddr,
    /// Source port.
    pub port: u16,
    /// Whether the source is a listener of our own.
    pub own_listener: bool,
    /// How the query came.
    pub transport: Transport,
    /// Fresh for each query.
    pub random: u64,
    /// What [`warm`] returned for the query with this random number; [`Trail::NONE`] if it was not asked.
    pub trail: Trail,
}

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// A message, or one message of a batch at a time, and what is needed to answer it; one for each thread that answers.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    /// Where the message that is being answered begins, and how many bytes it may have.
    start: usize,
    length: usize,
    query: Query,
    scratch: Scratch,
}

impl Buffer {
    /// For datagrams: the largest that is ever sent, to clients on loopback.
    pub fn udp() -> Buffer {
        Buffer::of(UDP_BYTES, 1)
    }

    /// For so many datagrams, which are answered one after the other.
    pub fn batch(messages: usize) -> Buffer {
        Buffer::of(UDP_BYTES, messages)
    }

    /// For connections: the largest message there is.
    pub fn tcp() -> Buffer {
        Buffer::of(TCP_BYTES, 1)
    }

    fn of(length: usize, messages: usize) -> Buffer {
        let bytes = vec![0; (length + STAGGER_BYTES) * messages].into();
        Buffer { bytes, start: 0, length, query: Query::NONE, scratch: Scratch::default() }
    }

    /// Makes this message of a batch the one that is answered. Panics if the batch has not so many.
    pub fn select(&mut self, message: usize) -> &mut Buffer {
        self.start = (self.length + STAGGER_BYTES) * message;
        self
    }

    /// The message.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }

    /// A message of a batch, whichever is selected.
    pub fn message(&self, message: usize) -> &[u8] {
        let start = (self.length + STAGGER_BYTES) * message;
        &self.bytes[start..start + self.length]
    }

    /// Where a query is put.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.parts().0
    }

    fn parts(&mut self) -> (&mut [u8], &mut Query, &mut Scratch) {
        (&mut self.bytes[self.start..self.start + self.length], &mut self.query, &mut self.scratch)
    }
}

/// What came of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The buffer begins with a response of so many bytes.
    Response(usize),
    /// Something must be found first; the buffer begins with a query for it.
    Slow(Slow),
    /// No response.
    Drop,
}

/// What must be found before a query can be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Slow {
    /// Length of the query, which was written anew without what is not needed of it.
    pub query_len: usize,
    /// What must be found.
    pub need: Need,
    /// Largest response in bytes.
    pub limit: usize,
}

/// What must be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// The response of an upstream.
    Forward,
    /// The records of a name of others, for [`respond_with`].
    Resolve {
        /// The name.
        name: Name,
        /// Their type.
        rtype: u16,
    },
}

/// What was found about a name of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// The name that was looked up.
    pub name: Name,
    /// The RCODE of the end of its chain.
    pub rcode: u16,
    /// The answer section, chain first.
    pub records: Vec<ExternalRecord>,
    /// Why there are none, if upstreams are to blame.
    pub extended: Option<u16>,
}

/// A record of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalRecord {
    /// Its owner.
    pub owner: Name,
    /// TYPE.
    pub rtype: u16,
    /// TTL in seconds.
    pub ttl_secs: u32,
    /// RDATA, uncompressed.
    pub rdata: Vec<u8>,
}

/// Answers the query in the first `query_len` bytes of the buffer. The response is written over it.
pub fn respond(snapshot: &Snapshot, buffer: &mut Buffer, query_len: usize, client: &Client) -> Verdict {
    answer(snapshot, buffer, query_len, client, &[])
}

/// Answers a query whose verdict was [`Need::Resolve`] with all that was found for it so far.
pub fn respond_with(
    snapshot: &Snapshot,
    buffer: &mut Buffer,
    query_len: usize,
    client: &Client,
    found: &[External],
) -> Verdict {
    answer(snapshot, buffer, query_len, client, found)
}

/// Answers that the server is too busy for the query: SERVFAIL with extended error 23.
pub fn busy(snapshot: &Snapshot, buffer: &mut Buffer, query_len: usize, client: &Client) -> Verdict {
    let (message, query, _) = buffer.parts();
    if !query.read(&message[..query_len]) {
        return Verdict::Drop;
    }
    let error = ExtendedError { code: extended::NETWORK_ERROR, text: "too many questions in flight" };
    refuse(snapshot, message, query, client, (rcode::SERVFAIL, Some(error)))
}

fn answer(snapshot: &Snapshot, buffer: &mut Buffer, query_len: usize, client: &Client, found: &[External]) -> Verdict {
    let (message, query, scratch) = buffer.parts();
    if !query.read(&message[..query_len]) {
        return Verdict::Drop;
    }
    match accept::accept(snapshot, query, client) {
        accept::Gate::Drop => return Verdict::Drop,
        accept::Gate::Refuse { rcode, extended } => {
            let error = extended.map(|code| ExtendedError { code, text: "" });
            return refuse(snapshot, message, query, client, (rcode, error));
        }
        accept::Gate::Accept => {}
    }
    let Some(question) = query.question() else { return Verdict::Drop };
    let limit = response_limit(snapshot, query, client);
    let asked = respond::Asked { snapshot, query, question, client, found, limit };
    match respond::respond(asked, message, scratch) {
        respond::Outcome::Response(length) => Verdict::Response(length),
        respond::Outcome::Need(need) => {
            let query_len = rewrite_query(message, question.end(), query.edns.as_ref());
            Verdict::Slow(Slow { query_len, need, limit })
        }
    }
}

/// A response without records.
fn refuse(
    snapshot: &Snapshot,
    message: &mut [u8],
    query: &Query,
    client: &Client,
    (rcode, error): (u16, Option<ExtendedError<'_>>),
) -> Verdict {
    let limit = response_limit(snapshot, query, client);
    Verdict::Response(respond::refuse(snapshot, message, query, client, (rcode, error, limit)))
}

/// Largest response in bytes: over UDP what the client takes, cut to what networks carry whole.
fn response_limit(snapshot: &Snapshot, query: &Query, client: &Client) -> usize {
    if client.transport == Transport::Tcp {
        return TCP_BYTES;
    }
    let Some(edns) = &query.edns else { return PLAIN_BYTES };
    let most = if client.address.is_loopback() { UDP_BYTES } else { NETWORK_BYTES };
    let most = snapshot.plan.payload_max(client.address).map_or(most, usize::from);
    usize::from(edns.payload).clamp(PLAIN_BYTES, most.max(PLAIN_BYTES)).min(UDP_BYTES)
}

/// Largest message. Source: RFC 1035 section 4.2.2.
const TCP_BYTES: usize = 65_535;

/// Largest datagram, sent only where nothing fragments. Source: none, chosen: the loopback interface carries 65,536.
const UDP_BYTES: usize = 16_384;

/// Bytes between the messages of a batch. Source: none, chosen: messages that begin at multiples of 16 KiB would all
/// want the same few lines of a cache.
const STAGGER_BYTES: usize = 5 * 64;

/// Largest datagram to other clients. Source: DNS flag day 2020.
const NETWORK_BYTES: usize = 1232;

/// Largest datagram without EDNS. Source: RFC 1035 section 4.2.1.
const PLAIN_BYTES: usize = 512;

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
