//! The main comparison: 10,000 services of 3 instances; 60 % A, 30 % SRV, 10 % unknown names, without EDNS.

use anyhow::Result;

use super::{Bench, register};
use crate::{
    catalog::{Edns, Group, KINDS, Queries},
    load::Pace,
    rounds::{Entrant, Over, alternate},
    server::Server,
    verify::verify,
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let servers = [
        Server::echo(bench.cores)?,
        Server::nsd(bench.cores, &[GROUP])?,
        Server::knot(bench.cores, &[GROUP])?,
        Server::nameplate(bench.cores, "")?,
    ];
    register(&servers[3], GROUP, GROUP.places())?;
    for server in &servers[1..] {
        verify(server, &GROUP, &KINDS)?;
    }
    let queries = Queries::mix(&GROUP, Edns::Without);
    let entrants: Vec<Entrant<'_>> =
        servers.iter().map(|server| Entrant::new(format!("mix {}", server.name), server, &queries)).collect();
    let outcomes = alternate(&entrants, bench.plan, &mut bench.results)?;

    println!("at half of what each can take:");
    let entrants: Vec<Entrant<'_>> = servers
        .iter()
        .zip(&outcomes)
        .map(|(server, full)| Entrant {
            over: Over::Udp(Pace::Rate(full.per_second / 2.0)),
            ..Entrant::new(format!("half {}", server.name), server, &queries)
        })
        .collect();
    alternate(&entrants, bench.plan, &mut bench.results)?;
    Ok(())
}

/// The catalog of 30,000 instances.
pub const GROUP: Group = Group::new(10_000, 3);
