//! Durable registrations a second by 64 HTTP clients, one server on one core, against a bare append and fdatasync by 64
//! writers on the same disk; the two take turns, so that both meet the same disk.
//!
//! `cargo bench --bench registrations [-- SECONDS]`, the length of a turn. A plain main, not criterion: what counts is
//! how many come together. The server is a process of its own on the first core; clients and writers have the others.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use nameplate::{
    config::{Config, Host, Inputs},
    daemon,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, http, data] = &arguments[..]
        && verb == SERVE
    {
        return serve(http, data);
    }
    let secs = arguments.iter().filter_map(|argument| argument.parse().ok()).next().unwrap_or(3);
    let turn = Duration::from_secs(secs);
    let directory = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start(address, directory.path());
    pin(|core, cores| cores == 1 || core > 0);
    let number = AtomicU32::new(0);
    println!("{:<36} {:>10} {:>10} {:>10} {:>10}", "", "a second", "p50 ms", "p99 ms", "CPU us");
    let mut ratios = Vec::new();
    for _ in 0..TURNS {
        let bare = all_together(turn, |stop| append(&directory.path().join("bare"), stop));
        tell("bare append and fdatasync", &bare, turn, None);
        let (cpu, commits) = (server.cpu(), commits(address));
        let ours = all_together(turn, |stop| register(address, &number, stop));
        tell("registrations", &ours, turn, Some(server.cpu() - cpu));
        ratios.push(ours.len() as f64 / bare.len() as f64);
        println!("{:<36} {:>10.1}", "  registrations a commit", ours.len() as f64 / (self::commits(address) - commits));
    }
    ratios.sort_by(f64::total_cmp);
    println!("ours to bare, median: {:.2}", ratios[TURNS / 2]);
}

fn tell(what: &str, times: &[Duration], turn: Duration, cpu: Option<Duration>) {
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    let rate = times.len() as f64 / turn.as_secs_f64();
    let cpu = cpu.map_or(String::new(), |cpu| format!("{:.1}", cpu.as_secs_f64() * 1e6 / times.len() as f64));
    println!("{what:<36} {rate:>10.0} {:>10.2} {:>10.2} {cpu:>10}", at(50), at(99));
}

/// Runs the work in as many threads as there are clients, for the time of a turn; returns how long each step took, sorted.
fn all_together(turn: Duration, work: impl Fn(&AtomicBool) -> Vec<Duration> + Sync) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| work(&stop))).collect();
        let began = Instant::now();
        while began.elapsed() < turn {
            std::thread::park_timeout(turn - began.elapsed().min(turn));
        }
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    times.sort();
    times
}

/// As many bytes as a registration has in the journal.
fn append(path: &Path, stop: &AtomicBool) -> Vec<Duration> {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    repeat(stop, || {
        file.write_all(&[b'x'; RECORD_BYTES]).unwrap();
        file.sync_data().unwrap();
    })
}

fn register(address: SocketAddr, number: &AtomicU32, stop: &AtomicBool) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    repeat(stop, || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let (service, last) = (number % 10_000, number % 250 + 1);
        let body = format!(
            r#"{{"Name":"service-{service}","ID":"service-{service}-{number}","Address":"192.0.2.{last}","Port":8080,"Tags":["v1"],"Check":{{"TTL":"1h","Status":"passing"}}}}"#
        );
        let head = "PUT /v1/agent/service/register HTTP/1.1\r\nHost: nameplate\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let read = stream.read(&mut buffer).unwrap();
        let answer = std::str::from_utf8(&buffer[..read]).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    })
}

fn repeat(stop: &AtomicBool, mut step: impl FnMut()) -> Vec<Duration> {
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        step();
        times.push(began.elapsed());
    }
    times
}

/// How many commits the server's journal has made.
fn commits(address: SocketAddr) -> f64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: nameplate\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("nameplate_journal_commits_total ")).unwrap();
    line.parse().unwrap()
}

struct Server(Child);

impl Server {
    fn start(address: SocketAddr, directory: &Path) -> Server {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(SERVE).arg(address.to_string()).arg(directory.join("data")).stdout(Stdio::null());
        let server = Server(command.spawn().unwrap());
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "the server does not come up");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        server
    }

    /// Processor time that it has used, of user and system.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn serve(http: &str, data: &str) {
    pin(|core, _| core == 0);
    let given = [
        ("http", http),
        ("data_dir", data),
        ("dns", "127.0.0.1:0"),
        ("forward", "off"),
        ("node", "n1"),
        ("log", "warn"),
    ];
    let flags = given.into_iter().map(|(key, value)| (key, vec![value.to_owned()])).collect();
    let inputs = Inputs { flags, variables: Vec::new(), file: None, host: Host::default() };
    daemon::serve(Config::load(&inputs).unwrap()).unwrap();
}

/// Keeps this process to some of the cores that it may run on, told by their place among them and how many there are.
fn pin(wanted: impl Fn(usize, usize) -> bool) {
    let may = sched_getaffinity(None).unwrap();
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| may.is_set(*core)).collect();
    let mut set = CpuSet::new();
    for (_, core) in cores.iter().enumerate().filter(|(at, _)| wanted(*at, cores.len())) {
        set.set(*core);
    }
    sched_setaffinity(None, &set).unwrap();
}

const SERVE: &str = "serve-for-clients";
const CLIENTS: usize = 64;
const TURNS: usize = 3;
const RECORD_BYTES: usize = 300;

/// Source: sysconf(_SC_CLK_TCK), 100 on every Linux.
const TICKS_A_SECOND: u64 = 100;
