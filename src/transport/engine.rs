//! The answering side as the transports see it: one trait between them and [`answer`](crate::answer).

use std::{future::Future, net::SocketAddr};

use crate::answer::{Buffer, Client, Slow, TOGETHER_MAX, Trail, Transport, Verdict};

/// The answering side. One value serves all workers and connections.
pub trait Engine: Send + Sync + 'static {
    /// A thread's hold on the current snapshot.
    type Reader: Send;

    /// A hold on the snapshot that is current now.
    fn reader(&self) -> Self::Reader;

    /// Lets go of a retired snapshot. Called at least every 250 ms by whoever keeps a reader.
    fn refresh(&self, reader: &mut Self::Reader);

    /// Says which queries will be answered next, and with which random numbers, for what can be done for all of them
    /// together: [`answer::warm`](crate::answer::warm). Returns what their clients are to have of it.
    fn warm<'m>(
        &self,
        reader: &mut Self::Reader,
        messages: impl Iterator<Item = (&'m [u8], u64)>,
    ) -> [Trail; TOGETHER_MAX];

    /// Answers the query in the first `query_len` bytes of the buffer from the current snapshot:
    /// [`answer::respond`](crate::answer::respond).
    fn respond(&self, reader: &mut Self::Reader, buffer: &mut Buffer, query_len: usize, client: &Client) -> Verdict;

    /// Answers that the server is too busy for the query: [`answer::busy`](crate::answer::busy).
    fn busy(&self, reader: &mut Self::Reader, buffer: &mut Buffer, query_len: usize, client: &Client) -> Verdict;

    /// Finds what a slow query needs and answers it; empty for no response. Ends when its own limits say so.
    fn finish(&self, query: SlowQuery) -> impl Future<Output = Vec<u8>> + Send;
}

/// A query that can't be answered from the snapshot alone.
#[derive(Debug, Clone)]
pub struct SlowQuery {
    /// The query, without what is not needed of it.
    pub message: Vec<u8>,
    /// Who asks.
    pub client: Client,
    /// What is needed.
    pub slow: Slow,
}

/// The client behind `peer`, taken for no listener of our own.
pub fn client(peer: SocketAddr, transport: Transport, random: u64) -> Client {
    Client {
        address: peer.ip().to_canonical(),
        port: peer.port(),
        own_listener: false,
        transport,
        random,
        trail: Trail::NONE,
    }
}
