//! Whether the answers are right, record by record: a server that is fast by being wrong is found before it is measured.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::RData,
};

use crate::{
    catalog::{Edns, Group, Kind, port, query, target},
    numbers::Numbers,
    server::Server,
};

/// A response, read.
pub struct Response {
    pub message: Message,
}

impl Response {
    pub fn is_positive(&self) -> bool {
        self.message.metadata.response_code == ResponseCode::NoError && !self.message.answers.is_empty()
    }

    /// The addresses in the answer.
    pub fn addresses(&self) -> BTreeSet<Ipv4Addr> {
        self.message.answers.iter().filter_map(|record| address(&record.data)).collect()
    }
}

/// Asks once, over UDP.
pub fn ask(port: u16, name: &str, kind: Kind) -> Result<Response> {
    Ok(Response { message: Message::from_vec(&ask_raw(port, name, kind)?)? })
}

/// What comes back.
pub fn ask_raw(port: u16, name: &str, kind: Kind) -> Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send(&query(name, kind, Edns::With))?;
    let mut room = vec![0; 4096];
    let length = socket.recv(&mut room)?;
    room.truncate(length);
    Ok(room)
}

/// Asks about some services of the group, drawn at random, and compares each record with the catalog.
pub fn verify(server: &Server, group: &Group, kinds: &[Kind]) -> Result<()> {
    let (name, port) = (server.name, server.port);
    let mut numbers = Numbers::default();
    for _ in 0..SAMPLE {
        let service = numbers.below(group.services);
        for kind in kinds.iter().copied() {
            let asked = group.name(kind, service);
            let response = ask(port, &asked, kind).with_context(|| format!("{name}: {asked}"))?;
            ensure!(is_right(&response, group, (kind, service)), "{name} answers {asked}:\n{}", response.message);
        }
    }
    Ok(())
}

fn is_right(response: &Response, group: &Group, (kind, service): (Kind, u32)) -> bool {
    let message = &response.message;
    let (rcode, count) = match kind {
        Kind::Unknown => (ResponseCode::NXDomain, 0),
        _ => (ResponseCode::NoError, group.instances_each as usize),
    };
    let given = match kind {
        Kind::A => response.addresses() == group.addresses(service),
        Kind::Unknown => message.authorities.len() == 1,
        Kind::Srv => {
            let places = (0..group.instances_each).map(|instance| (service, instance));
            let must: BTreeSet<_> = places.map(|place| (target(group.address(place)), port(place))).collect();
            let targets = message.answers.iter().filter_map(|record| match &record.data {
                RData::SRV(srv) => Some((srv.target.to_ascii().to_lowercase(), u32::from(srv.port))),
                _ => None,
            });
            // Additional records may be left out, but not be wrong.
            let known = group.addresses(service);
            let mut additional = message.additionals.iter().filter_map(|record| address(&record.data));
            targets.collect::<BTreeSet<_>>() == must && additional.all(|address| known.contains(&address))
        }
    };
    given && message.metadata.authoritative && message.metadata.response_code == rcode && message.answers.len() == count
}

fn address(data: &RData) -> Option<Ipv4Addr> {
    match data {
        RData::A(address) => Some(address.0),
        _ => None,
    }
}

/// Services that are asked about.
const SAMPLE: u32 = 100;
