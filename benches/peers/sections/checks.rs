//! 20,000 HTTP checks of 1,000 targets every 10 s: what they cost, how late they are, and what becomes of the answers.
//!
//! The targets are addresses of loopback, each with one listener; what answers there runs on the load's core. The
//! processor time is that of the whole server while nobody asks it, so that its share of one core is what the checks take.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{Bench, CLIENTS, mix::GROUP, register};
use crate::{
    catalog::{Edns, Queries},
    http::put_all,
    load::Pace,
    numbers::median,
    process::{pause, until},
    rounds::{Entrant, Outcome, Over, Plan, alternate},
    said::Checks,
    server::Server,
    targets::Targets,
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let targets = Targets::start(bench.cores, TARGETS)?;
    let server = Server::nameplate(bench.cores, "")?;
    register(&server, GROUP, GROUP.places())?;
    let queries = Queries::mix(&GROUP, Edns::Without);
    let lasts = bench.plan.lasts.max(INTERVAL / 2);
    let once = Plan { rounds: 1, lasts };
    let mut measure = |key: &str, over: Over| -> Result<Outcome> {
        targets.between(|meanwhile| {
            let entrant = Entrant { over, meanwhile, ..Entrant::new(key.to_owned(), &server, &queries) };
            Ok(alternate(&[entrant], once, &mut bench.results)?.remove(0))
        })
    };
    let rate = measure("unchecked full", Over::FULL)?.per_second / 2.0;
    let mut quiet = Vec::new();
    for _ in 0..bench.plan.rounds {
        quiet.push(measure("unchecked half", Over::Udp(Pace::Rate(rate)))?.p99_micros);
    }

    let before = server.process.resident_bytes();
    let addresses = targets.addresses().to_vec();
    let puts = (0..CHECKS).map(move |number| registration(number, addresses[number % TARGETS]));
    put_all(server.http, CLIENTS, puts)?;
    until("all checks were made", INTERVAL * 3, || Ok((Checks::by(&server)?.made >= CHECKS as f64).then_some(())))?;
    // The first probes are made at once, the second ones anywhere in the interval after them.
    pause(INTERVAL);

    let (said, cpu, started) = (Checks::by(&server)?, server.process.cpu(), Instant::now());
    pause(INTERVAL * 2);
    let (cpu, seconds) = (server.process.cpu().since(&cpu), started.elapsed().as_secs_f64());
    let alone = said.until(&Checks::by(&server)?);
    let (said, mut busy) = (Checks::by(&server)?, Vec::new());
    for _ in 0..bench.plan.rounds {
        busy.push(measure("checking half", Over::Udp(Pace::Rate(rate)))?.p99_micros);
    }
    let loaded = said.until(&Checks::by(&server)?);
    let resident = server.process.resident_bytes();
    let (quiet, busy) = (median(quiet), median(busy));
    for (key, figure, unit) in [
        ("checks/s", alone.made / seconds, "/s"),
        ("checks cores", (cpu.user + cpu.system) / seconds, "of one core"),
        ("checks us", (cpu.user + cpu.system) * 1e6 / alone.made, "us of processor each"),
        ("checks failed", alone.failed + loaded.failed, ""),
        ("checks late p99 ms", alone.late_p99_millis, "ms, at most"),
        ("checks loaded late p99 ms", loaded.late_p99_millis, "ms, at most"),
        ("checks resident MB", resident as f64 / 1e6, "MB, all told"),
        ("checks own MB", resident.saturating_sub(before) as f64 / 1e6, "MB more than before"),
        ("checks quiet p99 us", quiet, "us"),
        ("checks p99 us", busy, "us"),
        ("checks p99 x", busy / quiet, ""),
    ] {
        bench.results.tell(key, figure, unit);
    }
    Ok(())
}

fn registration(number: usize, target: SocketAddr) -> (String, String) {
    let service = number / 20;
    let body = format!(
        r#"{{"Name": "checked-{service}", "ID": "checked-{number}", "Address": "{}", "Port": {},
            "Check": {{"HTTP": "http://{target}/health", "Interval": "{}s", "Timeout": "5s"}}}}"#,
        target.ip(),
        target.port(),
        INTERVAL.as_secs()
    );
    ("/v1/agent/service/register".to_owned(), body)
}

/// Checks; 20 to a service.
const CHECKS: usize = 20_000;

/// Addresses that are checked.
const TARGETS: usize = 1_000;

/// Between two probes of a check.
const INTERVAL: Duration = Duration::from_secs(10);
