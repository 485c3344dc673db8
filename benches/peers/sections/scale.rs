//! What the size of the catalog costs: services of 10 instances, 3, 3,000 and 100,000 of them, with EDNS.

use anyhow::Result;

use super::{Bench, register, thousands};
use crate::{
    catalog::{Edns, Group, KINDS, Queries},
    rounds::{Entrant, alternate},
    server::Server,
    verify::verify,
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let groups = SERVICES.map(|services| Group::new(services, 10));
    let mut servers = Vec::new();
    for group in groups {
        let nameplate = Server::nameplate(bench.cores, "")?;
        let done = register(&nameplate, group, group.places())?;
        let count = f64::from(group.instances());
        println!("{} instances registered in {:.1} s", thousands(count), done.seconds);
        servers.push((group, nameplate));
        servers.push((group, Server::knot(bench.cores, &[group])?));
        servers.push((group, Server::nsd(bench.cores, &[group])?));
    }
    for (group, server) in &servers {
        verify(server, group, &KINDS)?;
        let bytes = server.process.resident_bytes() as f64;
        bench.results.tell(&format!("{} resident MiB", key(server, group)), bytes / f64::from(1 << 20), "MiB");
    }
    let queries = groups.map(|group| Queries::mix(&group, Edns::With));
    let asked = |at: usize| &queries[at / (servers.len() / groups.len())];
    let entrants: Vec<Entrant<'_>> = servers
        .iter()
        .enumerate()
        .map(|(at, (group, server))| Entrant::new(key(server, group), server, asked(at)))
        .collect();
    alternate(&entrants, bench.plan, &mut bench.results)?;
    Ok(())
}

fn key(server: &Server, group: &Group) -> String {
    format!("{} {}", group.instances(), server.name)
}

/// Sizes, in services.
const SERVICES: [u32; 3] = [3, 3_000, 100_000];
