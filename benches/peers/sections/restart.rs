//! Memory of an instance, and the time from exec to the first correct answer, after a clean stop and after kill -9.

use std::time::Duration;

use anyhow::Result;

use super::{Bench, register, thousands, write::visible};
use crate::{
    catalog::{Group, KINDS, Kind},
    numbers::median,
    process::{Room, until},
    server::Server,
    verify::{ask, verify},
};

pub fn run(bench: &mut Bench) -> Result<()> {
    for (group, rounds) in [(Group::new(1_000, 10), bench.plan.rounds), (Group::new(100_000, 10), 3)] {
        size(bench, group, rounds)?;
    }
    Ok(())
}

fn size(bench: &mut Bench, group: Group, rounds: usize) -> Result<()> {
    let room = Room::new()?;
    let count = f64::from(group.instances());
    let mut server = Server::durable(bench.cores, &room, "")?.answering("ns.internal.", Duration::from_secs(10))?;
    let empty = server.process.resident_bytes() as f64;
    let done = register(&server, group, group.places())?;
    bench.results.tell(&format!("{count} registered/s"), count / done.seconds, "/s");
    verify(&server, &group, &KINDS)?;
    let full = server.process.resident_bytes() as f64;
    bench.results.tell(&format!("{count} bytes each"), (full - empty) / count, "bytes");
    if count > 100_000.0 {
        visible(bench, &server, room.path(), &format!("{count}"))?;
    }
    let (mut clean, mut killed) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        server.process.stop()?;
        let took;
        (server, took) = restarted(bench, &room, &group)?;
        clean.push(took);
        server.process.kill();
        let took;
        (server, took) = restarted(bench, &room, &group)?;
        killed.push(took);
    }
    verify(&server, &group, &KINDS)?;
    let after = server.process.resident_bytes() as f64;
    println!("{} instances, restarted: {:.0} bytes each", thousands(count), (after - empty) / count);
    bench.results.tell(&format!("{count} clean ms"), median(clean), "ms");
    bench.results.tell(&format!("{count} killed ms"), median(killed), "ms");
    bench.results.save()
}

/// Starts it on the data that is there. Returns it with the milliseconds to its first correct answer.
fn restarted(bench: &Bench, room: &Room, group: &Group) -> Result<(Server, f64)> {
    let server = Server::durable(bench.cores, room, "")?;
    let last = group.services - 1;
    let name = group.name(Kind::A, last);
    until("a restarted server answers", Duration::from_secs(60), || {
        let answered = ask(server.port, &name, Kind::A).ok();
        Ok(answered.filter(|response| response.addresses() == group.addresses(last)))
    })?;
    let millis = server.process.started.elapsed().as_secs_f64() * 1e3;
    Ok((server, millis))
}
