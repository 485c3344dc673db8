//! What the HTTP API answers in a second: a service of three instances by wrk, beside nginx with a file of as many bytes.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::Bench;
use crate::{
    http::{get, put_all},
    install::find,
    numbers::median,
    process::{Process, Room, until},
    server::{Server, free_port},
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let server = Server::nameplate(bench.cores, "")?;
    let registrations = (0..3).map(|number| {
        let body = format!(
            r#"{{"Name": "web", "ID": "web-{number}", "Address": "192.0.2.{number}", "Port": 80, "Tags": ["blue"],
                "Check": {{"TTL": "1h", "Status": "passing"}}}}"#
        );
        ("/v1/agent/service/register".to_owned(), body)
    });
    put_all(server.http, 1, registrations)?;
    let page = get(server.http, PATH)?;
    let nginx = Nginx::start(bench, &page)?;
    let mut found: [Vec<f64>; 4] = Default::default();
    for _ in 0..bench.plan.rounds {
        let ours = wrk(bench, server.http, PATH)?;
        let theirs = wrk(bench, nginx.port, "/page.json")?;
        let round = [ours.per_second, ours.p99_millis, theirs.per_second, theirs.p99_millis];
        found.iter_mut().zip(round).for_each(|(all, one)| all.push(one));
    }
    for ((key, unit), all) in FIGURES.into_iter().zip(found) {
        bench.results.tell(key, median(all), unit);
    }
    bench.results.tell("http bytes", page.len() as f64, "bytes of the body");
    nginx.process.stop()
}

/// What is told of each round, and its unit.
const FIGURES: [(&str, &str); 4] =
    [("http health/s", "/s"), ("http health p99 ms", "ms"), ("http nginx/s", "/s"), ("http nginx p99 ms", "ms")];

/// nginx with one worker, and a file.
struct Nginx {
    process: Process,
    port: u16,
    _room: Room,
}

impl Nginx {
    fn start(bench: &Bench, page: &str) -> Result<Nginx> {
        let (room, port) = (Room::new()?, free_port()?);
        fs::write(room.join("page.json"), page)?;
        let at = room.path().display();
        let settings = format!(
            "daemon off; worker_processes 1; user root; pid {at}/pid; error_log {at}/log;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=10;\n\
             types {{ application/json json; }}\n\
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
             uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
             server {{ listen 127.0.0.1:{port}; root {at}; }} }}\n"
        );
        fs::write(room.join("nginx.conf"), settings)?;
        let mut command = Command::new(find("nginx").context("nginx is not installed")?);
        command.arg("-c").arg(room.join("nginx.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start("nginx", bench.cores.server, &mut command)?;
        until("nginx answers", Duration::from_secs(30), || Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()))?;
        Ok(Nginx { process, port, _room: room })
    }
}

/// What wrk tells.
struct Load {
    per_second: f64,
    p99_millis: f64,
}

fn wrk(bench: &Bench, port: u16, path: &str) -> Result<Load> {
    // On this program's core, which is the load's.
    let output = Command::new(find("wrk").context("wrk is not installed")?)
        .args(["--threads", "1", "--connections", CONNECTIONS, "--latency", "--duration"])
        .arg(format!("{}s", bench.plan.lasts.as_secs().max(1)))
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && !text.contains("Non-2xx") && !text.contains("Socket errors"), "wrk: {text}");
    let after = |word: &str| text.lines().find_map(|line| line.trim().strip_prefix(word)).map(str::trim);
    let per_second = after("Requests/sec:").context("wrk tells no rate")?.parse()?;
    let p99_millis = millis(after("99%").context("wrk tells no p99")?)?;
    Ok(Load { per_second, p99_millis })
}

/// A span as wrk writes it.
fn millis(text: &str) -> Result<f64> {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    let found = units.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (number, factor) = found.with_context(|| format!("no span: {text:?}"))?;
    Ok(number.parse::<f64>()? * factor)
}

const PATH: &str = "/v1/health/service/web?passing";

/// Connections of wrk.
const CONNECTIONS: &str = "32";
