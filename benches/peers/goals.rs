//! What is to be reached: each line with what it must be, what is aimed at, and what was measured.

use std::fmt;

use crate::results::Results;

struct Goal {
    what: &'static str,
    /// Decimals and unit of the figures.
    format: (usize, &'static str),
    must: Option<Bound>,
    aim: Option<Bound>,
    value: fn(&Results) -> Option<f64>,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Bound::{AtLeast, AtMost};

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            AtLeast(bound) => value >= bound,
            AtMost(bound) => value <= bound,
        }
    }
}

/// The table, in Markdown.
pub fn table(results: &Results) -> String {
    let mut rows = vec!["| what | measured | must | aim | |".to_owned(), "|---|---|---|---|---|".to_owned()];
    for goal in GOALS {
        let (decimals, unit) = goal.format;
        let bound = |bound: Option<Bound>| match bound {
            Some(AtLeast(value)) => format!("≥ {value} {unit}"),
            Some(AtMost(value)) => format!("≤ {value} {unit}"),
            None => String::new(),
        };
        let (measured, verdict) = match (goal.value)(results) {
            Some(value) => (format!("{value:.decimals$} {unit}"), verdict(goal, value).to_string()),
            None => ("not measured".to_owned(), String::new()),
        };
        rows.push(format!("| {} | {measured} | {} | {} | {verdict} |", goal.what, bound(goal.must), bound(goal.aim)));
    }
    rows.join("\n")
}

enum Verdict {
    Aim,
    Must,
    Missed,
    /// It is told for comparison.
    None,
}

fn verdict(goal: &Goal, value: f64) -> Verdict {
    let holds = |bound: Option<Bound>| bound.is_none_or(|bound| bound.holds(value));
    match (holds(goal.must), holds(goal.aim)) {
        _ if goal.must.is_none() && goal.aim.is_none() => Verdict::None,
        (true, true) => Verdict::Aim,
        (true, false) if goal.must.is_some() => Verdict::Must,
        _ => Verdict::Missed,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Aim => "met",
            Verdict::Must => "met, below the aim",
            Verdict::Missed => "**missed**",
            Verdict::None => "for comparison",
        })
    }
}

/// Registrations a second that are asked for: 10,000, or half of what the bare disk takes if that is lower.
fn registrations_asked(results: &Results) -> Option<f64> {
    Some((results.get("bare writers/s")? / 2.0).min(10_000.0))
}

/// What a registration takes at the 99th percentile, beyond three times the bare fdatasync's.
fn beyond_the_disk(results: &Results, size: &str) -> Option<f64> {
    let disk = results.get(&format!("{size} bare fdatasync p99 ms"))?;
    Some(results.get(&format!("{size} visible p99 ms"))? - 3.0 * disk)
}

const fn goal(
    what: &'static str,
    format: (usize, &'static str),
    (must, aim): (Option<Bound>, Option<Bound>),
    value: fn(&Results) -> Option<f64>,
) -> Goal {
    Goal { what, format, must, aim, value }
}

static GOALS: &[Goal] = &[
    goal("queries/s against Knot", TIMES, (Some(AtLeast(1.20)), Some(AtLeast(1.27))), |results| {
        results.ratio("mix nameplate queries/s", "mix Knot queries/s")
    }),
    goal("queries/s against NSD", TIMES, (Some(AtLeast(1.10)), Some(AtLeast(1.17))), |results| {
        results.ratio("mix nameplate queries/s", "mix NSD queries/s")
    }),
    goal("queries/s against the bare echo", TIMES, (Some(AtLeast(0.83)), Some(AtLeast(0.88))), |results| {
        results.ratio("mix nameplate queries/s", "mix echo queries/s")
    }),
    goal("user time per query against NSD", TIMES, (Some(AtMost(0.7)), Some(AtMost(0.5))), |results| {
        results.ratio("mix nameplate user us", "mix NSD user us")
    }),
    goal(
        "queries/s at 1,000,000 instances against 30,000",
        TIMES,
        (Some(AtLeast(0.85)), Some(AtLeast(0.93))),
        |results| results.ratio("1000000 nameplate queries/s", "30000 nameplate queries/s"),
    ),
    goal("queries/s under health flips against quiet", TIMES, (Some(AtLeast(0.85)), Some(AtLeast(0.95))), |results| {
        results.ratio("churn queries/s", "quiet queries/s")
    }),
    goal("the same, the flips by clients' transactions", TIMES, (None, None), |results| {
        results.ratio("churn by clients queries/s", "quiet queries/s")
    }),
    goal("flips applied meanwhile", (0, "/s"), (Some(AtLeast(9_900.0)), None), |results| results.get("flips/s")),
    goal(
        "p99 under health flips against quiet, at half of full load",
        TIMES,
        (Some(AtMost(2.0)), Some(AtMost(1.3))),
        |results| results.ratio("churn p99 us", "quiet p99 us"),
    ),
    goal(
        "user time per query, 3 records of 100,000 instances against 3 of 3",
        TIMES,
        (Some(AtMost(1.5)), Some(AtMost(1.1))),
        |results| results.ratio("3 of 100000 user us", "3 of 3 user us"),
    ),
    goal("the same among as many instances, in services of 3", TIMES, (None, None), |results| {
        results.ratio("3 of 100000 user us", "3 of 33333 x 3 user us")
    }),
    goal("a record more in a full answer", (1, "ns"), (Some(AtMost(25.0)), Some(AtMost(10.0))), |results| {
        results.get("record more ns")
    }),
    goal(
        "register to visible and durable, p99 beyond 3 x fdatasync's, at 30,000",
        (2, "ms"),
        (Some(AtMost(2.0)), None),
        |results| beyond_the_disk(results, "30000"),
    ),
    goal("the same at 1,000,000", (2, "ms"), (Some(AtMost(2.0)), None), |results| beyond_the_disk(results, "1000000")),
    goal(
        "registrations/s of 64 clients against the lower of 10,000 and half of 64 bare writers",
        TIMES,
        (Some(AtLeast(1.0)), None),
        |results| Some(results.get("registrations/s")? / registrations_asked(results)?),
    ),
    goal("registrations/s of 64 clients", (0, "/s"), (None, Some(AtLeast(20_000.0))), |results| {
        results.get("registrations/s")
    }),
    goal("memory of an instance at 1,000,000", (0, "bytes"), (Some(AtMost(1_024.0)), Some(AtMost(600.0))), |results| {
        results.get("1000000 bytes each")
    }),
    goal("restart, 10,000, after a clean stop", MILLIS, (Some(AtMost(200.0)), Some(AtMost(100.0))), |results| {
        results.get("10000 clean ms")
    }),
    goal("restart, 10,000, after kill -9", MILLIS, (Some(AtMost(200.0)), Some(AtMost(100.0))), |results| {
        results.get("10000 killed ms")
    }),
    goal("restart, 1,000,000, after a clean stop", MILLIS, (Some(AtMost(5_000.0)), Some(AtMost(2_000.0))), |results| {
        results.get("1000000 clean ms")
    }),
    goal("restart, 1,000,000, after kill -9", MILLIS, (Some(AtMost(5_000.0)), Some(AtMost(2_000.0))), |results| {
        results.get("1000000 killed ms")
    }),
    goal("TCP queries/s against Knot, 10 connections of 10", TIMES, (Some(AtLeast(1.0)), None), |results| {
        results.ratio("tcp 10 nameplate queries/s", "tcp 10 Knot queries/s")
    }),
    goal("the same, 10 connections of 100", TIMES, (Some(AtLeast(1.0)), None), |results| {
        results.ratio("tcp 100 nameplate queries/s", "tcp 100 Knot queries/s")
    }),
    goal("the same, 2,000 connections of 10", TIMES, (Some(AtLeast(1.0)), None), |results| {
        results.ratio("tcp 2000 nameplate queries/s", "tcp 2000 Knot queries/s")
    }),
    goal("overload: sent, against full load", TIMES, (Some(AtLeast(2.9)), None), |results| {
        results.get("overload sent x")
    }),
    goal("overload: p99 of the wait in our queue, at most", MILLIS, (Some(AtMost(5.0)), None), |results| {
        results.get("overload wait p99 ms")
    }),
    goal("the same in the first 500 ms", MILLIS, (None, None), |results| results.get("overload beginning wait p99 ms")),
    goal("overload: answered/s against full load", TIMES, (Some(AtLeast(0.9)), None), |results| {
        results.get("overload answered x")
    }),
    goal("overload: memory after against before", TIMES, (Some(AtMost(1.05)), None), |results| {
        results.get("overload memory x")
    }),
    goal(
        "overload while 1,000 instances are checked: checks that fail",
        (0, ""),
        (Some(AtMost(0.0)), None),
        |results| results.get("checked overload failed"),
    ),
    goal("instances answered then, of 1,000, at least", (0, ""), (Some(AtLeast(1_000.0)), None), |results| {
        results.get("checked overload least answered")
    }),
    goal("p99 of how late probes are then, at most", MILLIS, (Some(AtMost(1_000.0)), None), |results| {
        results.get("checked overload late p99 ms")
    }),
    goal("answered/s then against full load with checks", TIMES, (Some(AtLeast(0.9)), None), |results| {
        results.get("checked overload answered x")
    }),
    goal("20,000 HTTP checks of 1,000 targets every 10 s", (2, "of a core"), (Some(AtMost(1.0)), None), |results| {
        results.get("checks cores")
    }),
    goal("memory of the whole server then", (0, "MB"), (Some(AtMost(500.0)), None), |results| {
        results.get("checks resident MB")
    }),
    goal("p99 of how late probes are then, at most, under half load", MILLIS, (Some(AtMost(500.0)), None), |results| {
        results.get("checks loaded late p99 ms")
    }),
    goal("checks that fail meanwhile", (0, ""), (Some(AtMost(0.0)), None), |results| results.get("checks failed")),
    goal("p99 of answers then against quiet, at half load", TIMES, (Some(AtMost(1.5)), None), |results| {
        results.get("checks p99 x")
    }),
    goal("GET /v1/health/service of 3 instances, a second", (0, "/s"), (Some(AtLeast(30_000.0)), None), |results| {
        results.get("http health/s")
    }),
    goal("its p99", (2, "ms"), (Some(AtMost(5.0)), None), |results| results.get("http health p99 ms")),
    goal("the same against nginx with a file of as many bytes", TIMES, (None, None), |results| {
        results.ratio("http health/s", "http nginx/s")
    }),
];

const TIMES: (usize, &str) = (2, "x");
const MILLIS: (usize, &str) = (1, "ms");
