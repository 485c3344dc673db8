//! An etcd of one member, what it says of itself, and nameplates that share a catalog through it.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    install::find,
    process::{Cores, Cpu, Process, Room, until},
    said::series,
    server::{Server, free_port},
};

/// A running etcd with an empty store.
pub struct Etcd {
    pub process: Process,
    port: u16,
    /// Removed after it has ended.
    _room: Room,
}

impl Etcd {
    /// On the load's core, so that the servers have theirs for themselves.
    pub fn start(cores: Cores) -> Result<Etcd> {
        let (room, port, peers) = (Room::new()?, free_port()?, free_port()?);
        let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers}"));
        let mut command = Command::new(find("etcd").context("etcd is not installed")?);
        command.env_clear().stdout(Stdio::null()).arg("--data-dir").arg(room.join("etcd"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("default={peer}")]);
        command.args(["--logger", "zap", "--log-level", "error", "--log-outputs", "stderr"]);
        let process = Process::start("etcd", cores.load, &mut command)?;
        let etcd = Etcd { process, port, _room: room };
        let has_leader = || -> Result<Option<()>> {
            let Ok(page) = etcd.metrics() else { return Ok(None) };
            Ok(series(&page, "etcd_server_has_leader")?.iter().any(|(_, has)| *has == 1.0).then_some(()))
        };
        until("etcd has a leader", Duration::from_secs(20), has_leader)?;
        Ok(etcd)
    }

    /// A nameplate of this name with its data in a directory of its own. It may not answer yet.
    pub fn nameplate(&self, cores: Cores, (room, node): (&Room, &str)) -> Result<Server> {
        let (data, store) = (room.join(node).display().to_string(), format!("etcd://127.0.0.1:{}", self.port));
        // Not of this machine: instances at loopback addresses are not shared.
        let address = format!("192.0.2.1{}", node.trim_start_matches('n'));
        let place = ["--data-dir", &data, "--store", &store, "--node", node, "--advertise", &address];
        Server::nameplate_at(cores, room, &place, "")
    }

    /// What it and these nameplates have used and counted.
    pub fn usage(&self, servers: &[&Server]) -> Result<Usage> {
        let seconds = |cpu: Cpu| cpu.user + cpu.system;
        let servers = servers.iter().map(|server| seconds(server.process.cpu())).collect();
        Ok(Usage { at: Instant::now(), etcd: seconds(self.process.cpu()), servers, page: self.metrics()? })
    }

    /// Its metrics. They come in chunks, but not by HTTP/1.0.
    fn metrics(&self) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        ensure!(page.contains(" 200 OK\r\n"), "etcd's metrics: {}", page.lines().next().unwrap_or_default());
        Ok(page)
    }
}

/// What was used and counted until a time.
pub struct Usage {
    at: Instant,
    /// Seconds of processor time.
    etcd: f64,
    /// The same, of each nameplate.
    servers: Vec<f64>,
    page: String,
}

impl Usage {
    /// What was used since an earlier time.
    pub fn since(&self, before: &Usage) -> Result<Used> {
        let counted = |name: &str| -> Result<f64> {
            let sum =
                |usage: &Usage| anyhow::Ok(series(&usage.page, name)?.iter().map(|(_, value)| value).sum::<f64>());
            Ok(sum(self)? - sum(before)?)
        };
        Ok(Used {
            seconds: (self.at - before.at).as_secs_f64(),
            etcd: self.etcd - before.etcd,
            servers: self.servers.iter().zip(&before.servers).map(|(after, before)| after - before).collect(),
            sent: counted("etcd_network_client_grpc_sent_bytes_total")?,
            received: counted("etcd_network_client_grpc_received_bytes_total")?,
            puts: counted("etcd_debugging_mvcc_put_total")?,
            commits: counted("etcd_server_proposals_applied_total")?,
            renewals: counted("etcd_debugging_lease_renewed_total")?,
            on_disk: counted("etcd_mvcc_db_total_size_in_bytes")?,
        })
    }
}

/// What was used and counted between two times.
pub struct Used {
    pub seconds: f64,
    /// Seconds of processor time.
    pub etcd: f64,
    /// The same, of each nameplate.
    pub servers: Vec<f64>,
    /// Bytes from etcd to nameplates, without what HTTP/2 and TCP add.
    pub sent: f64,
    /// And from them.
    pub received: f64,
    /// Keys that were written.
    pub puts: f64,
    /// Entries of etcd's log: transactions, and leases that came and went.
    pub commits: f64,
    /// Renewals of leases.
    pub renewals: f64,
    /// By how many bytes its file grew.
    pub on_disk: f64,
}
