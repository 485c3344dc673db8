//! Three nameplates with one catalog in etcd: what an instance, a flip and a machine cost each of them, and etcd.
//!
//! All instances are of the first nameplate and the others follow, so that the two roles are told apart. docs/scale.md makes of
//! these figures what many machines cost.
//!
//! **Limits:** one member of etcd. Of three, the leader sends each write to the two others and waits for the disk of one.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Bench, register};
use crate::{
    catalog::{Group, Kind},
    etcd::{Etcd, Usage, Used},
    http::{Put, Stream, put_all},
    numbers::quantile,
    process::{Room, pause, until},
    server::Server,
    verify::{ask, verify},
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let (room, etcd) = (Room::new()?, Etcd::start(bench.cores)?);
    let start = |node| etcd.nameplate(bench.cores, (&room, node))?.answering("ns.internal.", SOON);
    let trio = [start("n1")?, start("n2")?, start("n3")?];
    let all = [&trio[0], &trio[1], &trio[2]];
    idle(bench, &etcd, &all)?;
    written(bench, &etcd, &all)?;
    listed(bench, (&etcd, &room))?;
    RATES.into_iter().try_for_each(|rate| flips(bench, &etcd, &all, rate))?;
    let [first, second, third] = trio;
    third.process.kill();
    flips(bench, &etcd, &[&first, &second], RATES[1])?;
    dies(bench, (&etcd, first), &second)
}

/// Nothing happens but that leases are renewed.
fn idle(bench: &mut Bench, etcd: &Etcd, all: &[&Server]) -> Result<()> {
    let used = during(etcd, all, || {
        pause(IDLE);
        Ok(())
    })?;
    let machines = all.len() as f64;
    bench.results.tell("cluster idle renewals/s a machine", used.renewals / used.seconds / machines, "/s");
    let bytes = (used.sent + used.received) / used.seconds / machines;
    bench.results.tell("cluster idle bytes/s a machine", bytes, "bytes/s");
    bench.results.tell("cluster idle etcd log entries/s", used.commits / used.seconds, "/s");
    bench.results.tell("cluster idle etcd cores", used.etcd / used.seconds, "");
    let nameplates = used.servers.iter().sum::<f64>() / used.seconds / machines;
    bench.results.tell("cluster idle nameplate cores", nameplates, "");
    Ok(())
}

/// The first machine registers all instances, and the others follow.
fn written(bench: &mut Bench, etcd: &Etcd, all: &[&Server]) -> Result<()> {
    let count = f64::from(GROUP.instances());
    let resident = |server: &Server| server.process.resident_bytes() as f64;
    let (empty, etcd_empty): (Vec<f64>, f64) =
        (all.iter().map(|server| resident(server)).collect(), etcd.process.resident_bytes() as f64);
    let mut behind = Duration::ZERO;
    let used = during(etcd, all, || {
        register(all[0], PROBE, PROBE.places())?;
        register(all[0], GROUP, GROUP.places())?;
        let registered = Instant::now();
        all[1..].iter().try_for_each(|server| has_last(server))?;
        behind = registered.elapsed();
        Ok(())
    })?;
    all[1..].iter().try_for_each(|server| verify(server, &GROUP, &[Kind::A]))?;
    bench.results.tell("cluster registrations/s", count / used.seconds, "/s");
    bench.results.tell("cluster registered, others behind ms", behind.as_secs_f64() * 1e3, "ms");
    bench.results.tell("cluster instance etcd file bytes", used.on_disk / count, "bytes");
    let etcd_memory = etcd.process.resident_bytes() as f64 - etcd_empty;
    bench.results.tell("cluster instance etcd memory bytes", etcd_memory / count, "bytes");
    for (role, at) in [("owner", 0), ("follower", 1)] {
        let memory = (resident(all[at]) - empty[at]) / count;
        bench.results.tell(&format!("cluster instance {role} memory bytes"), memory, "bytes");
    }
    tell_each(bench, "instance", (&used, count));
    bench.results.save()
}

/// The first machine's instances fail and pass, and a client asks the second when it knows.
fn flips(bench: &mut Bench, etcd: &Etcd, all: &[&Server], rate: f64) -> Result<()> {
    let stream = Stream::start(all[0].http, rate, bench.cores, flip)?;
    pause(SETTLING);
    let done = stream.done();
    let mut millis = Vec::new();
    let used = during(etcd, all, || {
        let began = Instant::now();
        while began.elapsed() < FLIPPING {
            for is_critical in [true, false] {
                millis.push(passed_on(all[0], all[1], is_critical)?);
                pause(BETWEEN_PROBES);
            }
        }
        Ok(())
    })?;
    let count = (stream.done() - done) as f64 + millis.len() as f64;
    stream.end()?;
    let key = format!("flip at {rate}/s of {}", all.len());
    bench.results.tell(&format!("cluster {key} done/s"), count / used.seconds, "/s");
    for (name, part) in [("p50", 0.5), ("p99", 0.99), ("most", 1.0)] {
        bench.results.tell(&format!("cluster {key} passed on {name} ms"), quantile(millis.clone(), part), "ms");
    }
    bench.results.tell(&format!("cluster {key} passed on, samples"), millis.len() as f64, "");
    bench.results.tell(&format!("cluster {key} etcd cores"), used.etcd / used.seconds, "");
    bench.results.tell(&format!("cluster {key} etcd file bytes"), used.on_disk / count, "bytes");
    tell_each(bench, &key, (&used, count));
    bench.results.save()
}

/// A machine starts that knows nothing, and is gone again.
fn listed(bench: &mut Bench, (etcd, room): (&Etcd, &Room)) -> Result<()> {
    let mut millis = 0.0;
    let mut server = None;
    let used = during(etcd, &[], || {
        let started = etcd.nameplate(bench.cores, (room, "n4"))?;
        has_last(&started)?;
        millis = started.process.started.elapsed().as_secs_f64() * 1e3;
        server = Some(started);
        Ok(())
    })?;
    let server = server.expect("it was started");
    verify(&server, &GROUP, &[Kind::A])?;
    let count = f64::from(GROUP.instances());
    bench.results.tell("cluster list ms", millis, "ms");
    bench.results.tell("cluster list etcd us an instance", used.etcd * 1e6 / count, "us");
    bench.results.tell("cluster list nameplate us an instance", cpu_micros(&server) / count, "us");
    bench.results.tell("cluster list bytes an instance", used.sent / count, "bytes");
    server.process.stop()
}

/// The machine with all instances dies.
fn dies(bench: &mut Bench, (etcd, first): (&Etcd, Server), second: &Server) -> Result<()> {
    let count = f64::from(GROUP.instances());
    let name = GROUP.name(Kind::A, GROUP.services - 1);
    first.process.kill();
    let died = Instant::now();
    let used = during(etcd, &[second], || {
        let is_gone = || Ok(ask(second.port, &name, Kind::A).ok().filter(|response| !response.is_positive()));
        until("what was the dead's is gone", GONE_MAX, is_gone)?;
        Ok(())
    })?;
    bench.results.tell("cluster death, gone after ms", died.elapsed().as_secs_f64() * 1e3, "ms");
    bench.results.tell("cluster death nameplate us an instance", used.servers[0] * 1e6 / count, "us");
    bench.results.tell("cluster death etcd us an instance", used.etcd * 1e6 / count, "us");
    bench.results.tell("cluster death bytes an instance", used.sent / count, "bytes");
    bench.results.save()
}

/// What something used.
fn during(etcd: &Etcd, servers: &[&Server], does: impl FnOnce() -> Result<()>) -> Result<Used> {
    let before: Usage = etcd.usage(servers)?;
    does()?;
    etcd.usage(servers)?.since(&before)
}

/// What one of so many took of each.
fn tell_each(bench: &mut Bench, key: &str, (used, count): (&Used, f64)) {
    let roles = ["first nameplate", "second nameplate", "third nameplate"];
    for (role, seconds) in roles.iter().zip(&used.servers) {
        bench.results.tell(&format!("cluster {key} {role} us"), seconds * 1e6 / count, "us");
    }
    bench.results.tell(&format!("cluster {key} etcd us"), used.etcd * 1e6 / count, "us");
    bench.results.tell(&format!("cluster {key} keys written"), used.puts / count, "");
    bench.results.tell(&format!("cluster {key} etcd log entries"), used.commits / count, "");
    bench.results.tell(&format!("cluster {key} bytes to etcd"), used.received / count, "bytes");
    bench.results.tell(&format!("cluster {key} bytes from etcd"), used.sent / count, "bytes");
}

/// Makes the probe fail or pass on the first; milliseconds from the response until the second answers so.
fn passed_on(first: &Server, second: &Server, is_critical: bool) -> Result<f64> {
    put_all(first.http, 1, std::iter::once(check(&PROBE.id((0, 0)), is_critical)))?;
    let acknowledged = Instant::now();
    let name = PROBE.name(Kind::A, 0);
    while ask(second.port, &name, Kind::A)?.is_positive() == is_critical {
        ensure!(acknowledged.elapsed() < SOON, "{name} was not passed on");
        pause(BETWEEN);
    }
    Ok(acknowledged.elapsed().as_secs_f64() * 1e3)
}

/// Each of a thousand instances fails, then each passes, then come others.
fn flip(number: u64) -> Put {
    let (round, within) = (number / AWAY, number % AWAY);
    let instance = (round / 2 * AWAY + within) * STRIDE % u64::from(GROUP.instances());
    let place = (instance as u32 / GROUP.instances_each, instance as u32 % GROUP.instances_each);
    check(&GROUP.id(place), round.is_multiple_of(2))
}

fn check(id: &str, is_critical: bool) -> Put {
    let verb = if is_critical { "fail" } else { "pass" };
    (format!("/v1/agent/check/{verb}/service:{id}"), String::new())
}

/// Waits until a server answers with the addresses of the last service.
fn has_last(server: &Server) -> Result<()> {
    let last = GROUP.services - 1;
    let name = GROUP.name(Kind::A, last);
    until("the last service is answered", Duration::from_secs(60), || {
        let answered = ask(server.port, &name, Kind::A).ok();
        Ok(answered.filter(|response| response.addresses() == GROUP.addresses(last)))
    })?;
    Ok(())
}

fn cpu_micros(server: &Server) -> f64 {
    let cpu = server.process.cpu();
    (cpu.user + cpu.system) * 1e6
}

/// 100,000 instances.
const GROUP: Group = Group::new(10_000, 10);

/// The instance of which is asked when it has failed or passed.
const PROBE: Group = Group { prefix: "probe", services: 1, instances_each: 1, first_address: 0x40_0000 };

/// Flips a second: few, so that each is a transaction of its own, and what is promised.
const RATES: [f64; 2] = [100.0, 1_000.0];

/// Instances that are critical at a time.
const AWAY: u64 = 1_000;

/// Spreads the flips over the catalog: a prime that does not divide the number of instances.
const STRIDE: u64 = 7_919;

/// How long it is looked at what idle machines cost: several renewals of each.
const IDLE: Duration = Duration::from_secs(12);

const FLIPPING: Duration = Duration::from_secs(15);

/// From when flips begin until it is measured.
const SETTLING: Duration = Duration::from_secs(2);

/// Between two flips that are asked about, so that they are few among the others.
const BETWEEN_PROBES: Duration = Duration::from_millis(20);

/// Between two questions whether a flip was passed on.
const BETWEEN: Duration = Duration::from_micros(250);

const SOON: Duration = Duration::from_secs(10);

/// The lease, and what etcd and the others need to be rid of all instances.
const GONE_MAX: Duration = Duration::from_secs(30);
