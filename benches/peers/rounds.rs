//! One server after the other, round after round, so that what else the machine does meets them all; medians.

use std::time::Duration;

use anyhow::Result;

use crate::{
    catalog::Queries,
    load::{Load, Pace},
    numbers::median,
    process::Cpu,
    results::Results,
    server::Server,
    tally::{Checking, Tally},
    tcp::TcpLoad,
};

/// How long and how often.
#[derive(Clone, Copy)]
pub struct Plan {
    pub rounds: usize,
    pub lasts: Duration,
}

/// Who runs, with what it is asked.
pub struct Entrant<'a> {
    /// What its figures are kept under.
    pub key: String,
    pub server: &'a Server,
    pub queries: &'a Queries,
    pub checking: Checking,
    pub over: Over,
    /// What else is done on the load's core while it runs over UDP; see [`Load`].
    pub meanwhile: &'a dyn Fn(),
}

/// How it is asked.
#[derive(Clone, Copy)]
pub enum Over {
    Udp(Pace),
    /// Connections, and queries on the way on each.
    Tcp(usize, usize),
}

impl Over {
    /// As many as it can take over UDP.
    pub const FULL: Over = Over::Udp(Pace::Window(WINDOW));
}

impl<'a> Entrant<'a> {
    pub fn new(key: String, server: &'a Server, queries: &'a Queries) -> Entrant<'a> {
        let checking = if server.name == "echo" { Checking::Echo } else { Checking::Strict };
        Entrant { key, server, queries, checking, over: Over::FULL, meanwhile: &|| () }
    }

    fn run(&self, lasts: Duration) -> Result<(Tally, Cpu)> {
        let before = self.server.process.cpu();
        let (port, queries, meanwhile) = (self.server.port, self.queries, self.meanwhile);
        let tally = match self.over {
            Over::Udp(pace) => Load { port, queries, checking: self.checking, pace, lasts, meanwhile }.run()?,
            Over::Tcp(connections, pipelined) => TcpLoad { port, queries, connections, pipelined, lasts }.run()?,
        };
        Ok((tally, self.server.process.cpu().since(&before)))
    }
}

/// What a server did in all rounds.
pub struct Outcome {
    pub per_second: f64,
    pub user_micros: f64,
    pub system_micros: f64,
    pub p50_micros: f64,
    pub p99_micros: f64,
    /// Over all rounds.
    pub tally: Tally,
}

/// Lets all of them run in turn, tells what came of it, and keeps it.
pub fn alternate(entrants: &[Entrant<'_>], plan: Plan, results: &mut Results) -> Result<Vec<Outcome>> {
    let mut runs: Vec<Vec<(Tally, Cpu)>> = entrants.iter().map(|_| Vec::new()).collect();
    for entrant in entrants {
        entrant.run(plan.lasts / 4)?; // caches fill
    }
    for _ in 0..plan.rounds {
        for (entrant, runs) in entrants.iter().zip(&mut runs) {
            runs.push(entrant.run(plan.lasts)?);
        }
    }
    println!(
        "{:<24} {:>10} {:>7} {:>7} {:>8} {:>8} {:>7}  bytes (records)",
        "", "queries/s", "user us", "sys us", "p50 us", "p99 us", "lost"
    );
    let outcomes: Vec<Outcome> = runs.iter().map(|runs| Outcome::of(runs)).collect();
    for (entrant, outcome) in entrants.iter().zip(&outcomes) {
        let Outcome { per_second, user_micros, system_micros, p50_micros, p99_micros, tally } = outcome;
        println!(
            "{:<24} {per_second:>10.0} {user_micros:>7.2} {system_micros:>7.2} {p50_micros:>8.0} {p99_micros:>8.0} {:>7}  {}",
            entrant.key,
            tally.lost,
            tally.sizes()
        );
        outcome.keep(&entrant.key, results);
    }
    results.save()?;
    Ok(outcomes)
}

impl Outcome {
    fn of(runs: &[(Tally, Cpu)]) -> Outcome {
        let mut tally = Tally::default();
        runs.iter().for_each(|(one, _)| tally.add(one));
        let of = |value: &dyn Fn(&Tally, &Cpu) -> f64| median(runs.iter().map(|(tally, cpu)| value(tally, cpu)));
        Outcome {
            per_second: of(&|tally, _| tally.per_second()),
            user_micros: of(&|tally, cpu| cpu.user * 1e6 / tally.received as f64),
            system_micros: of(&|tally, cpu| cpu.system * 1e6 / tally.received as f64),
            p50_micros: of(&|tally, _| tally.latency.micros(0.5)),
            p99_micros: of(&|tally, _| tally.latency.micros(0.99)),
            tally,
        }
    }

    fn keep(&self, key: &str, results: &mut Results) {
        results.put(&format!("{key} queries/s"), self.per_second);
        results.put(&format!("{key} user us"), self.user_micros);
        results.put(&format!("{key} system us"), self.system_micros);
        keep_latency(key, &self.tally, results);
        results.say(&format!("{key} bytes"), self.tally.sizes());
    }
}

/// Keeps how long the responses of some rounds took.
pub fn keep_latency(key: &str, tally: &Tally, results: &mut Results) {
    for (part, word) in [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")] {
        results.put(&format!("{key} {word} us"), tally.latency.micros(part));
    }
}

/// Queries on the way at full load: enough that no server waits for the next one.
const WINDOW: usize = 256;
