//! Queries while 10,000 health flips a second are applied, against quiet: at full load, and latency at half of it.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Bench, mix::GROUP, register};
use crate::{
    catalog::{Edns, Queries},
    http::{Put, Stream},
    load::Pace,
    numbers::median,
    process::pause,
    rounds::{Entrant, Outcome, Over, Plan, alternate, keep_latency},
    server::Server,
    tally::{Checking, Tally},
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let server = Server::nameplate(bench.cores, "")?;
    register(&server, GROUP, GROUP.places())?;
    let queries = Queries::mix(&GROUP, Edns::Without);
    let once = Plan { rounds: 1, ..bench.plan };
    let mut measure = |key: &str, over: Over| -> Result<Outcome> {
        let entrant = Entrant { over, checking: Checking::Changing, ..Entrant::new(key.to_owned(), &server, &queries) };
        Ok(alternate(&[entrant], once, &mut bench.results)?.remove(0))
    };
    let mut found: [Vec<f64>; 6] = Default::default();
    let (mut calm, mut stormy) = (Tally::default(), Tally::default());
    for _ in 0..bench.plan.rounds {
        let quiet = measure("quiet full", Over::FULL)?;
        let half = Over::Udp(Pace::Rate(quiet.per_second / 2.0));
        let quiet_half = measure("quiet half", half)?;
        let stream = Stream::start(server.http, FLIPS_A_SECOND / FLIPS_EACH as f64, bench.cores, flips)?;
        pause(Duration::from_millis(500));
        let (before, started) = (stream.done(), Instant::now());
        let churn = measure("churn full", Over::FULL)?;
        let churn_half = measure("churn half", half)?;
        let rate = ((stream.done() - before) * FLIPS_EACH) as f64 / started.elapsed().as_secs_f64();
        stream.end()?;
        calm.add(&quiet_half.tally);
        stormy.add(&churn_half.tally);
        let round =
            [quiet.per_second, churn.per_second, quiet_half.p99_micros, churn_half.p99_micros, rate, churn.user_micros];
        found.iter_mut().zip(round).for_each(|(all, one)| all.push(one));
    }
    keep_latency("quiet half", &calm, &mut bench.results);
    keep_latency("churn half", &stormy, &mut bench.results);
    let units = ["queries/s", "queries/s", "us", "us", "/s", "us"];
    let keys = ["quiet queries/s", "churn queries/s", "quiet p99 us", "churn p99 us", "flips/s", "churn user us"];
    for ((key, unit), all) in keys.into_iter().zip(units).zip(found) {
        bench.results.tell(key, median(all), unit);
    }
    Ok(())
}

/// Turns instances critical, a few thousand in turn, and then the same ones passing again: a transaction of 64.
fn flips(number: u64) -> Put {
    let operations: Vec<String> = (0..FLIPS_EACH).map(|within| flip(number * FLIPS_EACH + within)).collect();
    ("/v1/txn".to_owned(), format!("[{}]", operations.join(",")))
}

fn flip(number: u64) -> String {
    let (round, within) = (number / AWAY, number % AWAY);
    let instance = ((round / 2 * AWAY + within) * STRIDE % u64::from(GROUP.instances())) as u32;
    let id = GROUP.id((instance / GROUP.instances_each, instance % GROUP.instances_each));
    let status = if round.is_multiple_of(2) { "critical" } else { "passing" };
    format!(
        r#"{{"Check":{{"Verb":"set","Check":{{"CheckID":"service:{id}","ServiceID":"{id}","Status":"{status}","Definition":{{"TTL":"24h"}}}}}}}}"#
    )
}

const FLIPS_A_SECOND: f64 = 10_000.0;

/// Flips of a transaction. Source: the most that one may have by default.
const FLIPS_EACH: u64 = 64;

/// Instances that are critical at a time.
const AWAY: u64 = 50 * FLIPS_EACH;

/// Spreads the flips over the catalog: a prime that does not divide the number of instances.
const STRIDE: u64 = 7_919;
