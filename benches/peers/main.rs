//! nameplate beside other servers, and beside the bare kernel: each line of the table in docs/benchmarks.md.
//!
//! ```text
//! cargo peer                        all sections, about half an hour
//! cargo peer mix scale              some of them; the table has the last figures of the others
//! cargo peer --rounds 3 --seconds 1 how often, and how long each time
//! cargo peer --docs                 writes the table and pictures into docs/, too
//! ```
//!
//! NSD, Knot, nginx, wrk and etcd come from Debian: installed when root, without starting a service. The load has one core, the server
//! under test the other; all of it stays on loopback, and ends with this program.
//!
//! **Limits:** two cores; Linux. Figures of different machines, or of one that is busy, are not to be compared.
#![allow(missing_docs, reason = "a program")]

mod batch;
mod catalog;
mod checked;
mod etcd;
mod flipping;
mod goals;
mod http;
mod install;
mod load;
mod numbers;
mod pages;
mod pictures;
mod process;
mod results;
mod rounds;
mod said;
mod sections;
mod server;
mod svg;
mod tally;
mod targets;
mod tcp;
mod verify;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use mimalloc::MiMalloc;

use process::{Cores, pin, watch_signals};
use results::Results;
use rounds::Plan;
use sections::{Bench, SECTIONS, Section};

/// As the server's, which one verb of this program is.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [verb, port] if verb == server::ECHO => return server::echo(port.parse()?),
        [verb, dns, http, data] if verb == server::FLIPPING => return flipping::serve(dns, http, data),
        _ => {}
    }
    let wanted = Wanted::read(&arguments)?;
    watch_signals()?;
    let cores = Cores::find()?;
    install::install()?;
    pin(cores.load)?;
    let mut bench = Bench { cores, plan: wanted.plan, results: Results::load()? };
    for section in &wanted.sections {
        println!("\n== {}: {}", section.name, section.doc);
        (section.run)(&mut bench).with_context(|| section.name)?;
        bench.results.save()?;
    }
    println!("\n{}", goals::table(&bench.results));
    if wanted.docs {
        pages::write(&bench.results)?;
    }
    Ok(())
}

/// What is asked for on the command line.
struct Wanted {
    sections: Vec<&'static Section>,
    plan: Plan,
    docs: bool,
}

impl Wanted {
    fn read(arguments: &[String]) -> Result<Wanted> {
        let plan = Plan { rounds: 5, lasts: Duration::from_secs(3) };
        let mut wanted = Wanted { sections: Vec::new(), plan, docs: false };
        let mut arguments = arguments.iter();
        let mut none = false;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--bench" => {} // cargo says so
                "--docs" => wanted.docs = true,
                "--rounds" => wanted.plan.rounds = value()?.parse()?,
                "--seconds" => wanted.plan.lasts = Duration::from_secs_f64(value()?.parse()?),
                "none" => none = true,
                name => match SECTIONS.iter().find(|section| section.name == name) {
                    Some(section) => wanted.sections.push(section),
                    None => bail!("there is no {name}; there are none{}", names()),
                },
            }
        }
        if wanted.sections.is_empty() && !none {
            wanted.sections = SECTIONS.iter().collect();
        }
        Ok(wanted)
    }
}

fn names() -> String {
    SECTIONS.iter().map(|section| format!(", {}", section.name)).collect()
}
