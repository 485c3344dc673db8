//! Writes what was measured into docs/: the tables between two marks of benchmarks.md, and the pictures.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    goals,
    pictures::{self, SERVERS},
    results::Results,
};

pub fn write(results: &Results) -> Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut parts = vec![about()?, goals::table(results), servers(results), sizes(results), tcp(results)];
    fs::create_dir_all(docs.join("benchmarks"))?;
    for (name, picture) in pictures::all(results) {
        fs::write(docs.join("benchmarks").join(name), picture)?;
        parts.push(format!("![{name}](benchmarks/{name})"));
    }
    let page = docs.join("benchmarks.md");
    let text = fs::read_to_string(&page)?;
    let (before, rest) = text.split_once(BEGIN).context("benchmarks.md has no mark where the tables begin")?;
    let (_, after) = rest.split_once(END).context("benchmarks.md has no mark where the tables end")?;
    fs::write(&page, format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", parts.join("\n\n")))?;
    println!("written: {}", page.display());
    Ok(())
}

/// When, where, and against what.
fn about() -> Result<String> {
    let date = output("date", &["+%Y-%m-%d %H:%M"])?;
    let kernel = output("uname", &["-r"])?;
    let packages = output("dpkg-query", &["--show", "--showformat", "${Package} ${Version}, ", "knot", "nsd"])?;
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.context("no processor has a name")?.1;
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split_whitespace().nth(2).unwrap_or_default();
    Ok(format!(
        "Written {date} by `cargo peer --docs`: {cores} cores of {model}, Linux {kernel}, {packages}load average of \
         the last 15 minutes {load}. One core has the server, the other the load."
    ))
}

fn servers(results: &Results) -> String {
    let head = "| server | queries/s | user us | system us | p50, p99 at half, us | bytes (records by section) |";
    let mut rows = vec![head.to_owned(), "|---|---|---|---|---|---|".to_owned()];
    for name in SERVERS {
        let figure = |what: &str, decimals| figure(results, &format!("mix {name} {what}"), decimals);
        let half = |what: &str| self::figure(results, &format!("half {name} {what}"), 0);
        rows.push(format!(
            "| {name} | {} | {} | {} | {}, {} | {} |",
            figure("queries/s", 0),
            figure("user us", 2),
            figure("system us", 2),
            half("p50 us"),
            half("p99 us"),
            results.word(&format!("mix {name} bytes"))
        ));
    }
    rows.join("\n")
}

fn sizes(results: &Results) -> String {
    let head = "| instances | server | queries/s | user us | system us | resident MiB | bytes (records by section) |";
    let mut rows = vec![head.to_owned(), "|---|---|---|---|---|---|---|".to_owned()];
    for size in ["30", "30000", "1000000"] {
        for name in ["nameplate", "Knot", "NSD"] {
            let figure = |what: &str, decimals| figure(results, &format!("{size} {name} {what}"), decimals);
            rows.push(format!(
                "| {size} | {name} | {} | {} | {} | {} | {} |",
                figure("queries/s", 0),
                figure("user us", 2),
                figure("system us", 2),
                figure("resident MiB", 0),
                results.word(&format!("{size} {name} bytes"))
            ));
        }
    }
    rows.join("\n")
}

fn tcp(results: &Results) -> String {
    let head =
        "| over TCP | queries/s, 10 connections, 10 on the way on each | 100 on the way | 2,000 connections, 10 |";
    let mut rows = vec![head.to_owned(), "|---|---|---|---|".to_owned()];
    for name in ["nameplate", "Knot", "NSD"] {
        let figure = |which: u32| figure(results, &format!("tcp {which} {name} queries/s"), 0);
        rows.push(format!("| {name} | {} | {} | {} |", figure(10), figure(100), figure(2_000)));
    }
    rows.join("\n")
}

fn figure(results: &Results, key: &str, decimals: usize) -> String {
    results.get(key).map_or_else(|| "-".to_owned(), |figure| format!("{figure:.decimals$}"))
}

fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    ensure!(output.status.success(), "{program}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim_end_matches('\n').to_owned())
}

const BEGIN: &str = "<!-- cargo peer: begin -->";
const END: &str = "<!-- cargo peer: end -->";
