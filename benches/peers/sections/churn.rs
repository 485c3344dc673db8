//! Queries while 10,000 health flips a second are applied, against quiet: at full load, and latency at half of it.
//!
//! The flips come from within the server, as its health scheduler hands them in (`flipping`). Those that a client makes
//! by `PUT /v1/txn` are told for comparison: reading them costs the server as much again, and the client shares the
//! load's core.

use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Signal;

use super::{Bench, register};
use crate::{
    catalog::{Edns, Queries},
    http::{Put, Stream, get},
    load::Pace,
    numbers::median,
    process::pause,
    rounds::{Entrant, Outcome, Over, Plan, alternate, keep_latency},
    said::series,
    sections::mix::GROUP,
    server::Server,
    tally::{Checking, Tally},
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let server = Server::flipping(bench.cores)?;
    register(&server, GROUP, GROUP.places())?;
    let queries = Queries::mix(&GROUP, Edns::Without);
    let once = Plan { rounds: 1, ..bench.plan };
    let mut measure = |key: &str, over: Over| -> Result<Outcome> {
        let entrant = Entrant { over, checking: Checking::Changing, ..Entrant::new(key.to_owned(), &server, &queries) };
        Ok(alternate(&[entrant], once, &mut bench.results)?.remove(0))
    };
    let mut found: [Vec<f64>; 10] = Default::default();
    let (mut calm, mut stormy) = (Tally::default(), Tally::default());
    for _ in 0..bench.plan.rounds {
        let quiet = measure("quiet full", Over::FULL)?;
        let half = Over::Udp(Pace::Rate(quiet.per_second / 2.0));
        let quiet_half = measure("quiet half", half)?;
        server.process.tell(Signal::USR1);
        pause(SETTLING);
        let (before, started) = (Applied::by(&server)?, Instant::now());
        let churn = measure("churn full", Over::FULL)?;
        let churn_half = measure("churn half", half)?;
        let (applied, seconds) = (Applied::by(&server)?.since(&before), started.elapsed().as_secs_f64());
        server.process.tell(Signal::USR1);
        let stream = Stream::start(server.http, FLIPS_A_SECOND / FLIPS_EACH as f64, bench.cores, flips)?;
        pause(SETTLING);
        let (done, started) = (stream.done(), Instant::now());
        let by_clients = measure("churn by clients full", Over::FULL)?;
        let flips_by_clients = ((stream.done() - done) * FLIPS_EACH) as f64 / started.elapsed().as_secs_f64();
        stream.end()?;
        calm.add(&quiet_half.tally);
        stormy.add(&churn_half.tally);
        let round = [
            quiet.per_second,
            churn.per_second,
            quiet_half.p99_micros,
            churn_half.p99_micros,
            applied.flips / seconds,
            applied.flips / applied.publishes,
            quiet.user_micros + quiet.system_micros,
            churn.user_micros + churn.system_micros,
            by_clients.per_second,
            flips_by_clients,
        ];
        found.iter_mut().zip(round).for_each(|(all, one)| all.push(one));
    }
    keep_latency("quiet half", &calm, &mut bench.results);
    keep_latency("churn half", &stormy, &mut bench.results);
    for ((key, unit), all) in FIGURES.into_iter().zip(found) {
        bench.results.tell(key, median(all), unit);
    }
    Ok(())
}

/// What is told of each round, and its unit.
const FIGURES: [(&str, &str); 10] = [
    ("quiet queries/s", "queries/s"),
    ("churn queries/s", "queries/s"),
    ("quiet p99 us", "us"),
    ("churn p99 us", "us"),
    ("flips/s", "/s"),
    ("flips a publish", ""),
    ("quiet processor us", "us a query"),
    ("churn processor us", "us a query"),
    ("churn by clients queries/s", "queries/s"),
    ("flips by clients/s", "/s"),
];

/// What the server says that it applied since its start.
struct Applied {
    /// By the catalog's index: one that does not change the status of its check has none.
    flips: f64,
    publishes: f64,
}

impl Applied {
    fn by(server: &Server) -> Result<Applied> {
        let page = get(server.http, "/metrics")?;
        let sum = |name| anyhow::Ok(series(&page, name)?.into_iter().map(|(_, value)| value).sum());
        Ok(Applied { flips: sum("nameplate_catalog_index")?, publishes: sum("nameplate_publishes_total")? })
    }

    fn since(&self, before: &Applied) -> Applied {
        Applied { flips: self.flips - before.flips, publishes: self.publishes - before.publishes }
    }
}

/// Which instances flip: those of the server's own, or those that clients flip.
#[derive(Clone, Copy)]
pub enum Half {
    First,
    Second,
}

/// The instance that flips, by its place in the catalog, and whether it turns critical: a few thousand do in turn, and
/// then the same ones pass again.
pub fn flip(number: u64, half: Half) -> (usize, bool) {
    let instances = u64::from(GROUP.instances()) / 2;
    let (round, within) = (number / AWAY, number % AWAY);
    let instance = (round / 2 * AWAY + within) * STRIDE % instances;
    ((instance * 2 + half as u64) as usize, round.is_multiple_of(2))
}

/// A transaction of 64 flips.
fn flips(number: u64) -> Put {
    let operations: Vec<String> = (0..FLIPS_EACH).map(|within| operation(number * FLIPS_EACH + within)).collect();
    ("/v1/txn".to_owned(), format!("[{}]", operations.join(",")))
}

fn operation(number: u64) -> String {
    let (instance, is_critical) = flip(number, Half::Second);
    let instance = instance as u32;
    let id = GROUP.id((instance / GROUP.instances_each, instance % GROUP.instances_each));
    let status = if is_critical { "critical" } else { "passing" };
    format!(
        r#"{{"Check":{{"Verb":"set","Check":{{"CheckID":"service:{id}","ServiceID":"{id}","Status":"{status}","Definition":{{"TTL":"24h"}}}}}}}}"#
    )
}

pub const FLIPS_A_SECOND: f64 = 10_000.0;

/// Flips of a transaction. Source: the most that one may have by default.
const FLIPS_EACH: u64 = 64;

/// Instances that are critical at a time.
const AWAY: u64 = 50 * FLIPS_EACH;

/// Spreads the flips over the catalog: a prime that does not divide the number of instances.
const STRIDE: u64 = 7_919;

/// From when flips begin until it is measured.
const SETTLING: Duration = Duration::from_millis(500);
