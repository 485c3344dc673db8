//! The pictures of docs/benchmarks.md, from what was measured.

use crate::{
    results::Results,
    svg::{Bars, Lines},
};

/// File names and contents of those for which all figures are there.
pub fn all(results: &Results) -> Vec<(&'static str, String)> {
    let pictures = [
        ("queries.svg", queries(results)),
        ("cpu.svg", cpu(results)),
        ("churn.svg", churn(results)),
        ("size.svg", size(results)),
    ];
    pictures.into_iter().filter_map(|(name, picture)| Some((name, picture?))).collect()
}

fn queries(results: &Results) -> Option<String> {
    let row = |name: &&str| Some(((*name).to_owned(), vec![results.get(&format!("mix {name} queries/s"))?]));
    let rows = SERVERS.iter().map(row).collect::<Option<_>>()?;
    let title = "Queries a second on one core; 10,000 services of 3 instances";
    Some(Bars { title, parts: &["queries/s"], rows, decimals: 0 }.draw())
}

fn cpu(results: &Results) -> Option<String> {
    let figure = |name: &str, what: &str| results.get(&format!("mix {name} {what} us"));
    let row = |name: &&str| Some(((*name).to_owned(), vec![figure(name, "user")?, figure(name, "system")?]));
    let rows = SERVERS.iter().map(row).collect::<Option<_>>()?;
    let title = "Processor time of a query, in microseconds";
    Some(Bars { title, parts: &["in the server", "in the kernel"], rows, decimals: 2 }.draw())
}

fn churn(results: &Results) -> Option<String> {
    let line = |label: &str, key: &str| {
        let parts = ["p50", "p90", "p99", "p99.9"].map(|part| results.get(&format!("{key} half {part} us")));
        Some((label.to_owned(), parts.into_iter().collect::<Option<_>>()?))
    };
    let lines = vec![line("quiet", "quiet")?, line("10,000 health flips a second", "churn")?];
    let title = "Time to the response at half of full load, in microseconds";
    let points = &["p50", "p90", "p99", "p99.9"];
    Some(Lines { title, points, lines, decimals: 0 }.draw())
}

fn size(results: &Results) -> Option<String> {
    let line = |name: &&str| {
        let figures = ["30", "30000", "1000000"].map(|size| {
            let figure = |what: &str| results.get(&format!("{size} {name} {what} us"));
            Some(figure("user")? + figure("system")?)
        });
        Some(((*name).to_owned(), figures.into_iter().collect::<Option<_>>()?))
    };
    let lines = ["nameplate", "Knot", "NSD"].iter().map(line).collect::<Option<_>>()?;
    let title = "Processor time of a query by instances in the catalog, in microseconds";
    let points = &["30", "30,000", "1,000,000"];
    Some(Lines { title, points, lines, decimals: 1 }.draw())
}

pub const SERVERS: [&str; 4] = ["nameplate", "NSD", "Knot", "echo"];
