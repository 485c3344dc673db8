//! Registrations that are to last: when they are visible, and how many a second, against what the disk alone takes.

use std::{
    fs::File,
    io::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use super::{Bench, CLIENTS, mix::GROUP, register};
use crate::{
    catalog::{Group, Kind},
    http::put_all,
    numbers::{median, quantile},
    process::Room,
    server::Server,
    verify::ask,
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let room = Room::new()?;
    let server = Server::durable(bench.cores, &room, "")?.answering("ns.internal.", Duration::from_secs(10))?;
    register(&server, GROUP, GROUP.places())?;
    let mut found: [Vec<f64>; 2] = Default::default();
    for round in 0..bench.plan.rounds as u32 {
        let group = Group { prefix: "flood", services: FLOOD, instances_each: 1, first_address: 0x20_0000 };
        let places = (round * FLOOD..(round + 1) * FLOOD).map(|service| (service, 0));
        let done = register(&server, group, places)?;
        found[0].push(f64::from(FLOOD) / done.seconds);
        found[1].push(bare_writers(room.path())?);
    }
    for (key, rates) in ["registrations/s", "bare writers/s"].into_iter().zip(found) {
        bench.results.tell(key, median(rates), "/s");
    }
    visible(bench, &server, room.path(), "30000")
}

/// Registers one instance after the other; with each 200, asks DNS for it.
pub fn visible(bench: &mut Bench, server: &Server, room: &Path, size: &str) -> Result<()> {
    let group = Group { prefix: "new", services: 1, instances_each: 1, first_address: 0x40_0000 };
    let mut found: [Vec<f64>; 2] = Default::default();
    for round in 0..bench.plan.rounds as u32 {
        let mut millis = Vec::new();
        for service in round * ONE_BY_ONE..(round + 1) * ONE_BY_ONE {
            let put = ("/v1/agent/service/register".to_owned(), group.registration((service, 0)));
            millis.extend(put_all(server.http, 1, std::iter::once(put))?.millis);
            let response = ask(server.port, &group.name(Kind::A, service), Kind::A)?;
            ensure!(response.addresses() == group.addresses(service), "not visible with its 200: {service}");
        }
        found[0].push(quantile(millis, 0.99));
        found[1].push(bare_p99(room)?);
    }
    for (key, times) in ["visible p99 ms", "bare fdatasync p99 ms"].into_iter().zip(found) {
        bench.results.tell(&format!("{size} {key}"), median(times), "ms");
    }
    bench.results.save()
}

/// Appends and fdatasyncs a second, of 64 writers with a file each.
fn bare_writers(room: &Path) -> Result<f64> {
    let started = Instant::now();
    let counts = thread::scope(|scope| {
        let write = |writer: usize| -> Result<u32> {
            let mut file = File::create(room.join(format!("bare-{writer}")))?;
            let mut count = 0;
            while started.elapsed() < BARE_LASTS {
                append(&mut file)?;
                count += 1;
            }
            Ok(count)
        };
        let writers: Vec<_> = (0..CLIENTS).map(|writer| scope.spawn(move || write(writer))).collect();
        let joined = writers.into_iter().map(|writer| writer.join().unwrap_or_else(|_| bail!("a writer panicked")));
        joined.collect::<Result<Vec<u32>>>()
    })?;
    Ok(f64::from(counts.iter().sum::<u32>()) / started.elapsed().as_secs_f64())
}

/// What one append and fdatasync takes, in milliseconds: of a hundred, 99 take no longer.
fn bare_p99(room: &Path) -> Result<f64> {
    let mut file = File::create(room.join("bare"))?;
    let mut millis = Vec::new();
    for _ in 0..ONE_BY_ONE {
        let started = Instant::now();
        append(&mut file)?;
        millis.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(quantile(millis, 0.99))
}

fn append(file: &mut File) -> Result<()> {
    file.write_all(&[7; RECORD_BYTES])?;
    Ok(file.sync_data()?)
}

/// Registrations of a round by 64 clients.
const FLOOD: u32 = 20_000;

/// Registrations of a round, one after the other.
const ONE_BY_ONE: u32 = 500;

const BARE_LASTS: Duration = Duration::from_secs(2);

/// About what one registration takes in a journal.
const RECORD_BYTES: usize = 300;
