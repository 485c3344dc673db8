//! What clients see of a server that starts on what it knew before.

use std::{
    fs::{self, File},
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, SystemTime},
};

use hickory_proto::{op::Message, rr::RecordType};
use nameplate::publish::journal::FILE_NAME;
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Pid, Signal, kill_process},
};
use serde_json::json;
use tempfile::tempdir;
use tokio::{
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::harness::{Client, PATIENCE, program, question, serve, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_closed_until_the_journal_is_read_and_the_first_answers_are_right() {
    let (home, data) = (tempdir().unwrap(), tempdir().unwrap());
    let mut served = serve(&home, &["--data-dir", data.path().to_str().unwrap()]).await;
    for number in 1..=INSTANCES {
        let (id, address) = (format!("web-{number}"), format!("192.0.2.{number}"));
        served.at.register(json!({ "Name": "web", "ID": id, "Address": address, "Port": 80 })).await;
    }
    served.signal(Signal::KILL);
    served.ended().await;
    // The first of these starts after kill -9, the second after a stop in order, the third after kill -9 again.
    for end in [Signal::TERM, Signal::KILL, Signal::TERM] {
        let mut restarting = Restarting::new(home.path(), data.path());
        assert_eq!(restarting.seen().await, Seen::Closed, "it has only just been started");
        until("the journal is read", async || {
            assert_eq!(restarting.seen().await, Seen::Closed, "while the journal is read");
            restarting.has_begun_to_write()
        })
        .await;
        for _ in 0..100 {
            assert_eq!(restarting.seen().await, Seen::Closed, "the start is held up behind the journal");
        }
        restarting.go_on();
        until("all ports are open", async || restarting.seen().await == Seen::Open).await;
        restarting.end(end).await;
    }
}

/// A server that starts on a journal, held up where it has read it and has not made anything of it yet: it waits until
/// somebody reads its query log.
struct Restarting {
    child: Child,
    at: Client,
    journal: PathBuf,
    last_written: SystemTime,
    log: PathBuf,
    reader: Option<File>,
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Nobody listens.
    Closed,
    /// HTTP takes connections, which it answers when all are open; DNS is not there yet, or not on both ports.
    Opening,
    /// Both answer.
    Open,
}

impl Restarting {
    fn new(home: &Path, data: &Path) -> Restarting {
        // An address that no other test has, so that the ports are known before they are open.
        let [_, b, c, d] = std::process::id().to_be_bytes();
        let ip = Ipv4Addr::new(127, 64 | b, c, d.max(1));
        let at = Client { dns: SocketAddr::from((ip, 8600)), http: SocketAddr::from((ip, 8500)) };
        let log = home.join("queries");
        let _ = fs::remove_file(&log);
        mknodat(CWD, &log, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let journal = data.join(FILE_NAME);
        let last_written = journal.metadata().unwrap().modified().unwrap();
        let mut command = program(home);
        command.env("NAMEPLATE_QUERY_LOG", "all").env("NAMEPLATE_QUERY_LOG_FILE", &log);
        command.args(["serve", "--forward", "off", "--node", "n1", "--data-dir", data.to_str().unwrap()]);
        command.args(["--dns", &at.dns.to_string(), "--http", &at.http.to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Restarting { child, at, journal, last_written, log, reader: None }
    }

    /// The first that it writes into its journal is that it has read it and lives again.
    fn has_begun_to_write(&self) -> bool {
        self.journal.metadata().unwrap().modified().unwrap() > self.last_written
    }

    fn go_on(&mut self) {
        self.reader = Some(File::open(&self.log).unwrap());
    }

    /// Asks by UDP, TCP and HTTP. Whoever answers must know everything; a port on which nobody answers must be closed.
    async fn seen(&mut self) -> Seen {
        assert_eq!(self.child.try_wait().unwrap(), None, "it goes on");
        // What opens last is asked first: it must not be open where the others are not.
        let udp = self.asked_by_udp().await;
        let tcp = is_open(self.at.dns).await;
        let http = is_open(self.at.http).await;
        if http {
            let page = self.at.get("/v1/health/service/web?passing").await;
            assert_eq!(page.status, 200, "{}", page.body);
            assert_eq!(page.json().as_array().unwrap().len(), INSTANCES, "what HTTP knows at first");
        }
        match (udp, tcp, http) {
            (false, false, false) => Seen::Closed,
            (true, true, true) => Seen::Open,
            (_, _, true) => Seen::Opening,
            (_, _, false) => panic!("DNS tells of an API that is not there"),
        }
    }

    async fn asked_by_udp(&self) -> bool {
        let query = question("web.service.internal.", RecordType::A);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.connect(self.at.dns).await.unwrap();
        socket.send(&query.to_vec().unwrap()).await.unwrap();
        let mut buffer = vec![0; 4096];
        match timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("it answers, or is closed: never silence") {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                false
            }
            Ok(length) => {
                let message = Message::from_vec(&buffer[..length]).unwrap();
                assert_eq!(message.answers.len(), INSTANCES, "what DNS knows at first: {message}");
                true
            }
        }
    }

    async fn end(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        until("it has ended", async || self.child.try_wait().unwrap().is_some()).await;
    }
}

impl Drop for Restarting {
    fn drop(&mut self) {
        // It has mostly ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn is_open(address: SocketAddr) -> bool {
    match timeout(CONNECT_MAX, TcpStream::connect(address)).await.expect("it is open or closed") {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            false
        }
    }
}

/// Instances of one service: as many as one answer holds.
const INSTANCES: usize = 40;

const CONNECT_MAX: Duration = Duration::from_secs(5);
