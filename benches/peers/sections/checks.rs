//! 20,000 HTTP checks of 1,000 targets every 10 s: what they cost, how late they are, and what becomes of the answers.
//!
//! The targets are addresses of loopback, each with one listener; what answers there runs on the load's core. The
//! processor time is that of the whole server while nobody asks it, so that its share of one core is what the checks take.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::LocalSet,
};

use super::{Bench, CLIENTS, mix::GROUP, register};
use crate::{
    catalog::{Edns, Queries},
    http::put_all,
    load::Pace,
    numbers::median,
    process::{Cores, pause, pin, until},
    rounds::{Entrant, Outcome, Over, Plan, alternate},
    said::Checks,
    server::Server,
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let targets = targets(bench.cores)?;
    let server = Server::nameplate(bench.cores, "")?;
    register(&server, GROUP, GROUP.places())?;
    let queries = Queries::mix(&GROUP, Edns::Without);
    let lasts = bench.plan.lasts.max(INTERVAL / 2);
    let once = Plan { rounds: 1, lasts };
    let mut measure = |key: &str, over: Over| -> Result<Outcome> {
        let entrant = Entrant { over, ..Entrant::new(key.to_owned(), &server, &queries) };
        Ok(alternate(&[entrant], once, &mut bench.results)?.remove(0))
    };
    let rate = measure("unchecked full", Over::FULL)?.per_second / 2.0;
    let mut quiet = Vec::new();
    for _ in 0..bench.plan.rounds {
        quiet.push(measure("unchecked half", Over::Udp(Pace::Rate(rate)))?.p99_micros);
    }

    let before = server.process.resident_bytes();
    let puts = (0..CHECKS).map(move |number| registration(number, targets[number % TARGETS]));
    put_all(server.http, CLIENTS, puts)?;
    until("all checks were made", INTERVAL * 3, || Ok((Checks::by(&server)?.made >= CHECKS as f64).then_some(())))?;
    // The first probes are made at once; the jitter of their intervals draws them apart.
    pause(INTERVAL * 2);

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

/// Starts what is checked, on the load's core, until this program ends.
fn targets(cores: Cores) -> Result<Vec<SocketAddr>> {
    let (tell, told) = mpsc::sync_channel(1);
    thread::spawn(move || -> Result<()> {
        pin(cores.load)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        LocalSet::new().block_on(&runtime, async {
            let mut addresses = Vec::new();
            for number in 0..TARGETS {
                let ip = Ipv4Addr::new(127, 1, (number / 250) as u8, (number % 250 + 1) as u8);
                let listener = TcpListener::bind((ip, 0)).await?;
                addresses.push(listener.local_addr()?);
                tokio::task::spawn_local(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::task::spawn_local(healthy(stream));
                    }
                });
            }
            tell.send(addresses)?;
            std::future::pending().await
        })
    });
    told.recv().context("the targets could not be started")
}

/// Answers each request on a connection, until it is closed.
async fn healthy(mut stream: TcpStream) {
    let mut request = [0; 4096];
    let mut filled = 0;
    while let Ok(read @ 1..) = stream.read(&mut request[filled..]).await {
        filled += read;
        if request[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
                return;
            }
        }
    }
}

/// Checks; 20 to a service.
const CHECKS: usize = 20_000;

/// Addresses that are checked.
const TARGETS: usize = 1_000;

/// Between two probes of a check.
const INTERVAL: Duration = Duration::from_secs(10);
