//! Three times as many queries as the server can take: such as fill their answers from a service of 100,000 instances,
//! because of smaller ones the load could not send enough.

use anyhow::{Context, Result};

use super::{Bench, large::HUGE, register};
use crate::{
    catalog::{Edns, Kind, Queries},
    http::get,
    load::Pace,
    numbers::median,
    rounds::{Entrant, Over, Plan, alternate},
    server::Server,
    tally::Checking,
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let server = Server::nameplate(bench.cores, "")?;
    register(&server, HUGE, HUGE.places())?;
    let queries = Queries::only(&HUGE, Kind::A, Edns::With);
    let once = Plan { rounds: 1, ..bench.plan };
    let mut found: [Vec<f64>; 6] = Default::default();
    for _ in 0..bench.plan.rounds {
        let entrant = |key: &str, over: Over| Entrant {
            over,
            checking: Checking::Cut,
            ..Entrant::new(key.to_owned(), &server, &queries)
        };
        let full = entrant("overload full", Over::FULL);
        let full = alternate(&[full], once, &mut bench.results)?.remove(0);
        let rate = full.per_second * TIMES;
        let (memory, dropped) = (server.process.resident_bytes() as f64, dropped(&server)?);
        let load = entrant("overload", Over::Udp(Pace::Rate(rate)));
        let load = alternate(&[load], once, &mut bench.results)?.remove(0);
        let sent = load.tally.sent as f64 / load.tally.seconds;
        let round = [
            full.per_second,
            load.per_second,
            sent / full.per_second,
            load.p99_micros,
            server.process.resident_bytes() as f64 / memory,
            self::dropped(&server)? - dropped,
        ];
        found.iter_mut().zip(round).for_each(|(all, one)| all.push(one));
    }
    let keys = ["full queries/s", "answered queries/s", "sent x", "p99 us", "memory x", "dropped, counted by it"];
    for (key, all) in keys.into_iter().zip(found) {
        bench.results.tell(&format!("overload {key}"), median(all), "");
    }
    Ok(())
}

/// Queries that the server says it dropped.
fn dropped(server: &Server) -> Result<f64> {
    let page = get(server.http, "/metrics")?;
    let mut sum = 0.0;
    for line in page.lines().filter(|line| line.starts_with(DROPPED)) {
        sum += line.rsplit_once(' ').context("a metric has a value")?.1.parse::<f64>()?;
    }
    Ok(sum)
}

/// The metric of drops, for all reasons.
const DROPPED: &str = "nameplate_dns_drops_total";

/// Load against what it can take.
const TIMES: f64 = 3.0;
