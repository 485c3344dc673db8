//! The answering side as the transports see it: the published snapshot, and the forwarder for what is not in it.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use crate::{
    answer::{self, Buffer, Client, External, ExternalRecord, Need, TOGETHER_MAX, Trail, Transport, Verdict},
    forward::{ForwardQuery, Forwarder, ResolvedRecord},
    publish::{
        snapshot::Snapshot,
        watch::{Published, Reader},
    },
    transport::engine::{Engine, SlowQuery},
    wire::{
        code::{class, rcode, rtype},
        name::Name,
    },
};

/// Answers from the current snapshot, and what is slow through the forwarder.
pub struct DnsEngine {
    published: Arc<Published>,
    forwarder: Arc<Forwarder>,
}

impl DnsEngine {
    /// Answers from what these have.
    pub fn new(published: Arc<Published>, forwarder: Arc<Forwarder>) -> DnsEngine {
        DnsEngine { published, forwarder }
    }

    /// The addresses of a host name, in our own data or upstream: what a client on loopback would be answered.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let name = Name::parse(host).map_err(|error| error.to_string())?;
        let (v4, v6) = tokio::join!(self.ask(&name, rtype::A), self.ask(&name, rtype::AAAA));
        match (v4, v6) {
            (Err(problem), Err(_)) => Err(problem),
            (v4, v6) => Ok(v4.unwrap_or_default().into_iter().chain(v6.unwrap_or_default()).collect()),
        }
    }

    async fn ask(&self, name: &Name, kind: u16) -> Result<Vec<IpAddr>, String> {
        let query =
            [&[0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name.as_wire(), &kind.to_be_bytes(), &class::IN.to_be_bytes()]
                .concat();
        let client = own_client(&self.published.load());
        let response = self.answer_to(&query, client).await;
        let message = hickory_proto::op::Message::from_vec(&response).map_err(|error| error.to_string())?;
        match u16::from(message.metadata.response_code) {
            rcode::NOERROR => {
                let addresses = message.answers.iter().filter_map(|record| record.data.ip_addr());
                Ok(addresses.filter(|address| address.is_ipv4() == (kind == rtype::A)).collect())
            }
            rcode::NXDOMAIN => Err("no such name".to_owned()),
            _ => Err(format!("the answer was {}", message.metadata.response_code)),
        }
    }

    /// The response to a whole query, as a client on this machine would get it over TCP.
    pub async fn answer(&self, query: &[u8]) -> Vec<u8> {
        self.answer_to(query, IpAddr::V4(Ipv4Addr::LOCALHOST)).await
    }

    async fn answer_to(&self, query: &[u8], address: IpAddr) -> Vec<u8> {
        let client = crate::transport::engine::client((address, 1).into(), Transport::Tcp, 0);
        let mut buffer = Buffer::tcp();
        buffer.bytes_mut()[..query.len()].copy_from_slice(query);
        let verdict = answer::respond(&self.published.load(), &mut buffer, query.len(), &client);
        match verdict {
            Verdict::Response(length) => buffer.bytes()[..length].to_vec(),
            Verdict::Drop => Vec::new(),
            Verdict::Slow(slow) => {
                let message = buffer.bytes()[..slow.query_len].to_vec();
                self.finish(SlowQuery { message, client, slow }).await
            }
        }
    }

    /// Looks names of others up until the query can be answered with what they have.
    async fn resolved(&self, query: &SlowQuery) -> Vec<u8> {
        let mut found = Vec::new();
        let mut need = query.slow.need.clone();
        let mut buffer = Buffer::tcp();
        let length = query.message.len();
        for _ in 0..LOOKUPS_MAX {
            let Need::Resolve { name, rtype } = &need else { break };
            found.push(self.external(name, *rtype, query.client.address).await);
            buffer.bytes_mut()[..length].copy_from_slice(&query.message);
            match answer::respond_with(&self.published.load(), &mut buffer, length, &query.client, &found) {
                Verdict::Response(length) => return buffer.bytes()[..length].to_vec(),
                Verdict::Drop => return Vec::new(),
                Verdict::Slow(slow) => need = slow.need,
            }
        }
        buffer.bytes_mut()[..length].copy_from_slice(&query.message);
        match answer::busy(&self.published.load(), &mut buffer, length, &query.client) {
            Verdict::Response(length) => buffer.bytes()[..length].to_vec(),
            Verdict::Slow(_) | Verdict::Drop => Vec::new(),
        }
    }

    async fn external(&self, name: &Name, kind: u16, client: IpAddr) -> External {
        let found = self.forwarder.resolve(name, kind, client).await;
        let record = |record: ResolvedRecord| ExternalRecord {
            owner: record.owner,
            rtype: record.rtype,
            ttl_secs: record.ttl_secs,
            rdata: record.rdata,
        };
        External {
            name: name.clone(),
            rcode: found.rcode.into(),
            records: found.records.into_iter().map(record).collect(),
            extended: found.extended_error.map(|(code, _)| code),
        }
    }
}

/// An address that may ask, and recurse if any may: who may ask is a matter of others, not of our own probes.
fn own_client(snapshot: &Snapshot) -> IpAddr {
    let (plan, settings) = (&snapshot.plan, &snapshot.settings);
    let networks = settings.allow_recursion.iter().chain(&settings.allow_query).map(|network| network.address());
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let all = || std::iter::once(loopback).chain(settings.advertise.iter().copied()).chain(networks.clone());
    let asks = |address: &IpAddr| plan.may_ask(*address);
    let recurses = |address: &IpAddr| asks(address) && plan.may_recurse(*address);
    all().find(recurses).or_else(|| all().find(asks)).unwrap_or(loopback)
}

impl Engine for DnsEngine {
    type Reader = Reader;

    fn reader(&self) -> Reader {
        self.published.reader()
    }

    fn refresh(&self, reader: &mut Reader) {
        reader.current();
    }

    fn warm<'m>(&self, reader: &mut Reader, messages: impl Iterator<Item = (&'m [u8], u64)>) -> [Trail; TOGETHER_MAX] {
        answer::warm(reader.current(), messages)
    }

    fn respond(&self, reader: &mut Reader, buffer: &mut Buffer, query_len: usize, client: &Client) -> Verdict {
        answer::respond(reader.current(), buffer, query_len, client)
    }

    fn busy(&self, reader: &mut Reader, buffer: &mut Buffer, query_len: usize, client: &Client) -> Verdict {
        answer::busy(reader.current(), buffer, query_len, client)
    }

    async fn finish(&self, query: SlowQuery) -> Vec<u8> {
        match &query.slow.need {
            Need::Forward => {
                let over_tcp = query.client.transport == Transport::Tcp;
                let SlowQuery { message, client, slow } = &query;
                let forward = ForwardQuery { message, client: client.address, limit: slow.limit, over_tcp };
                self.forwarder.answer(&forward).await
            }
            Need::Resolve { .. } => self.resolved(&query).await,
        }
    }
}

/// Most names of others that one answer needs. Source: DNS.md, as the longest chain that is followed.
const LOOKUPS_MAX: usize = 8;
