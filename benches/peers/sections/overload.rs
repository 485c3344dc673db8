//! Three times as many queries as the server can take: such as fill their answers from a service of 100,000 instances
//! whose weights differ, because of what costs less the load could not send enough. Then the same while it checks instances, on the same core.
//!
//! The wait in the server's queue is what the server says of it, which knows nothing of how late the load is; the p99
//! of the load has both in it. The beginning, until the server has seen what comes, is told apart.

use std::time::Duration;

use anyhow::Result;

use super::{Bench, CLIENTS, large::HUGE};
use crate::{
    catalog::{Edns, Kind, Place, Queries},
    checked::{Checked, Watch},
    http::{get, put_all},
    load::{Load, Pace},
    numbers::median,
    process::pause,
    rounds::{Entrant, Over, Plan, alternate},
    said::{Buckets, Checks, series},
    server::Server,
    tally::{Checking, Tally},
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let server = Server::nameplate(bench.cores, "")?;
    let put = |place: Place| ("/v1/agent/service/register".to_owned(), HUGE.weighing(place, 1 + place.1 % 2));
    put_all(server.http, CLIENTS, HUGE.places().map(put))?;
    let queries = Queries::only(&HUGE, Kind::A, Edns::With);
    measure(bench, "overload", (&server, &queries))?;
    let checked = Checked::start(bench.cores)?;
    checked.register(&server)?;
    let before = Checks::by(&server)?;
    let watch = Watch::start(&server, bench.cores);
    measure(bench, "checked overload", (&server, &queries))?;
    let least = watch.end()?;
    let checks = before.until(&Checks::by(&server)?);
    bench.results.tell("checked overload probes", checks.made, "");
    bench.results.tell("checked overload failed", checks.failed, "");
    bench.results.tell("checked overload late p99 ms", checks.late_p99_millis, "ms, at most");
    bench.results.tell("checked overload least answered", least, "");
    Ok(())
}

/// Full load, a pause, three times as much: the beginning, and what comes then.
fn measure(bench: &mut Bench, key: &str, (server, queries): (&Server, &Queries)) -> Result<()> {
    let once = Plan { rounds: 1, ..bench.plan };
    let mut found: [Vec<f64>; 11] = Default::default();
    for _ in 0..bench.plan.rounds {
        let full = Entrant { checking: Checking::Cut, ..Entrant::new(format!("{key} full"), server, queries) };
        let full = alternate(&[Entrant { over: FULL, ..full }], once, &mut bench.results)?.remove(0);
        let rate = full.per_second * TIMES;
        let load = |lasts| {
            let (port, checking, pace) = (server.port, Checking::Cut, Pace::Rate(rate));
            Load { port, queries, checking, pace, lasts, meanwhile: &|| () }.run()
        };
        pause(CALM);
        let (memory, quiet) = (server.process.resident_bytes() as f64, Said::by(server)?);
        let beginning = load(BEGINNING)?;
        let begun = Said::by(server)?;
        let steady = load(once.lasts)?;
        let ended = Said::by(server)?;
        let per_second = |tally: &Tally| tally.received as f64 / tally.seconds;
        let round = [
            full.per_second,
            per_second(&steady),
            per_second(&steady) / full.per_second,
            steady.sent as f64 / steady.seconds / full.per_second,
            begun.waits.until(&ended.waits)?.p99_millis(),
            steady.latency.micros(0.99) / 1e3,
            server.process.resident_bytes() as f64 / memory,
            ended.dropped - begun.dropped,
            per_second(&beginning),
            quiet.waits.until(&begun.waits)?.p99_millis(),
            beginning.latency.micros(0.99) / 1e3,
        ];
        let told: Vec<String> = FIGURES.iter().zip(round).map(|(what, one)| format!("{what} {one:.2}")).collect();
        println!("{key}: {}", told.join(", "));
        found.iter_mut().zip(round).for_each(|(all, one)| all.push(one));
    }
    for (what, all) in FIGURES.into_iter().zip(found) {
        bench.results.tell(&format!("{key} {what}"), median(all), "");
    }
    Ok(())
}

/// What is told of each round.
const FIGURES: [&str; 11] = [
    "full queries/s",
    "answered queries/s",
    "answered x",
    "sent x",
    "wait p99 ms",
    "load p99 ms",
    "memory x",
    "dropped, counted by it",
    "beginning answered queries/s",
    "beginning wait p99 ms",
    "beginning load p99 ms",
];

/// What the server says of its queries since its start.
struct Said {
    dropped: f64,
    waits: Buckets,
}

impl Said {
    fn by(server: &Server) -> Result<Said> {
        let page = get(server.http, "/metrics")?;
        let dropped = series(&page, "nameplate_dns_drops_total")?.into_iter().map(|(_, value)| value).sum();
        Ok(Said { dropped, waits: Buckets::of(&page, "nameplate_dns_wait_seconds")? })
    }
}

/// All that it can take, without a queue that it would take for an overload: answers take some 25 us here.
const FULL: Over = Over::Udp(Pace::Window(128));

/// Load against what it can take.
const TIMES: f64 = 3.0;

/// The beginning of an overload.
const BEGINNING: Duration = Duration::from_millis(500);

/// Time without load, after which nothing is left of an overload before.
const CALM: Duration = Duration::from_millis(1_500);
