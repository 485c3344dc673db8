//! Pipelined queries over 10 TCP connections, of the same mix; and over 2,000.

use anyhow::Result;

use super::{Bench, mix::GROUP, register};
use crate::{
    catalog::{Edns, Queries},
    rounds::{Entrant, Over, alternate},
    server::Server,
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let servers = [
        Server::nsd(bench.cores, &[GROUP])?,
        Server::knot(bench.cores, &[GROUP])?,
        Server::nameplate(bench.cores, "")?,
    ];
    register(&servers[2], GROUP, GROUP.places())?;
    let queries = Queries::mix(&GROUP, Edns::Without);
    for pipelined in PIPELINED {
        println!("{CONNECTIONS} connections, {pipelined} queries on the way on each:");
        let over = Over::Tcp(CONNECTIONS, pipelined);
        let entrants: Vec<Entrant<'_>> = servers
            .iter()
            .map(|server| (format!("tcp {pipelined} {}", server.name), server))
            .map(|(key, server)| Entrant { over, ..Entrant::new(key, server, &queries) })
            .collect();
        alternate(&entrants, bench.plan, &mut bench.results)?;
    }
    println!("{MANY} connections, {MANY_PIPELINED} queries on the way on each:");
    let entrants: Vec<Entrant<'_>> = servers
        .iter()
        .filter(|server| server.name != "NSD") // which is built for few of them
        .map(|server| (format!("tcp {MANY} {}", server.name), server))
        .map(|(key, server)| Entrant { over: Over::Tcp(MANY, MANY_PIPELINED), ..Entrant::new(key, server, &queries) })
        .collect();
    alternate(&entrants, bench.plan, &mut bench.results)?;
    Ok(())
}

const CONNECTIONS: usize = 10;

/// Depths of the pipeline.
const PIPELINED: [usize; 2] = [10, 100];

/// Many connections, and how much is on the way on each.
const MANY: usize = 2_000;
const MANY_PIPELINED: usize = 10;
