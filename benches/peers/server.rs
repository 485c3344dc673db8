//! The servers: nameplate, NSD, Knot, and a bare echo, each one process on the server's core, on a loopback port.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::unix::process::parent_id,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    batch::Batch,
    catalog::{DOMAIN, Group, Kind, write_zone},
    install::find,
    process::{Cores, Process, Room, until},
    verify::{ask, ask_raw},
};

/// A server that answers.
pub struct Server {
    pub name: &'static str,
    pub process: Process,
    pub port: u16,
    /// Port of the HTTP API, of nameplate.
    pub http: u16,
    room: Option<Room>,
}

impl Server {
    /// Starts this program again, as the echo.
    pub fn echo(cores: Cores) -> Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([ECHO, &port.to_string()]);
        let process = Process::start("echo", cores.server, &mut command)?;
        until("the echo answers", Duration::from_secs(5), || Ok(ask_raw(port, DOMAIN, Kind::A).ok()))?;
        Ok(Server { name: "echo", process, port, http: 0, room: None })
    }

    pub fn nsd(cores: Cores, groups: &[Group]) -> Result<Server> {
        let (room, port) = (Room::new()?, free_port()?);
        write_zone(groups, &room.join("zone"))?;
        let at = room.path().display();
        let settings = format!(
            "server:\n server-count: 1\n ip-address: 127.0.0.1@{port}\n reuseport: no\n username: \"\"\n \
             rrl-ratelimit: 0\n minimal-responses: yes\n database: \"\"\n zonesdir: \"{at}\"\n pidfile: \"{at}/pid\"\n \
             xfrdfile: \"{at}/xfrd\"\n zonelistfile: \"{at}/zones\"\n xfrdir: \"{at}\"\n logfile: \"{at}/log\"\n \
             tcp-count: 200\nremote-control:\n control-enable: no\nzone:\n name: {DOMAIN}\n zonefile: zone\n"
        );
        fs::write(room.join("nsd.conf"), settings)?;
        let mut command = Command::new(find("nsd").context("nsd is not installed")?);
        command.args(["-d", "-c"]).arg(room.join("nsd.conf"));
        Server::of_zone("NSD", cores, (room, port), command)
    }

    pub fn knot(cores: Cores, groups: &[Group]) -> Result<Server> {
        let (room, port) = (Room::new()?, free_port()?);
        write_zone(groups, &room.join("zone"))?;
        let at = room.path().display();
        let settings = format!(
            "server:\n    listen: 127.0.0.1@{port}\n    rundir: {at}\n    udp-workers: 1\n    tcp-workers: 1\n    \
             background-workers: 1\ndatabase:\n    storage: {at}\nlog:\n  - target: {at}/log\n    any: warning\n\
             zone:\n  - domain: {DOMAIN}\n    storage: {at}\n    file: zone\n    zonefile-sync: -1\n    \
             zonefile-load: whole\n    journal-content: none\n"
        );
        fs::write(room.join("knot.conf"), settings)?;
        let mut command = Command::new(find("knotd").context("knotd is not installed")?);
        command.arg("-c").arg(room.join("knot.conf"));
        Server::of_zone("Knot", cores, (room, port), command)
    }

    fn of_zone(name: &'static str, cores: Cores, (room, port): (Room, u16), mut command: Command) -> Result<Server> {
        command.stdout(Stdio::null()).stderr(Stdio::null()).current_dir(room.path());
        let process = Process::start(name, cores.server, &mut command)?;
        let server = Server { name, process, port, http: 0, room: Some(room) };
        server.answering(&format!("ns.{DOMAIN}"), LOADING_MAX)
    }

    /// An empty nameplate that keeps nothing.
    pub fn nameplate(cores: Cores, settings: &str) -> Result<Server> {
        let room = Room::new()?;
        let mut server = Server::nameplate_at(cores, &room, &[&["--ephemeral"][..], &AT_HOME].concat(), settings)?;
        server.room = Some(room);
        server.answering(&format!("ns.{DOMAIN}"), LOADING_MAX)
    }

    /// A nameplate with its data in this directory. It may not answer yet.
    pub fn durable(cores: Cores, room: &Room, settings: &str) -> Result<Server> {
        let data = room.join("data").display().to_string();
        Server::nameplate_at(cores, room, &[&["--data-dir", &data][..], &AT_HOME].concat(), settings)
    }

    /// Starts this program again, as a nameplate that is empty, durable, and can make checks flip.
    pub fn flipping(cores: Cores) -> Result<Server> {
        let (room, port, http) = (Room::new()?, free_port()?, free_port()?);
        let mut command = Command::new(std::env::current_exe()?);
        command.args([FLIPPING, &format!("127.0.0.1:{port}"), &format!("127.0.0.1:{http}")]).arg(room.join("data"));
        command.env_clear().current_dir(room.path());
        let process = Process::start("nameplate", cores.server, &mut command)?;
        let server = Server { name: "nameplate", process, port, http, room: Some(room) };
        server.answering(&format!("ns.{DOMAIN}"), LOADING_MAX)
    }

    /// A nameplate with these options of its own. It may not answer yet.
    pub fn nameplate_at(cores: Cores, room: &Room, place: &[&str], settings: &str) -> Result<Server> {
        let (port, http) = (free_port()?, free_port()?);
        fs::write(room.join("settings.toml"), settings)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_nameplate"));
        command.env_clear().current_dir(room.path()).stdout(Stdio::null());
        command.args(["serve", "--forward", "off", "--docker", "off", "--workers", "1", "--log", "warn"]);
        command.args(["--config", "settings.toml"]).args(place);
        command.args(["--dns", &format!("127.0.0.1:{port}"), "--http", &format!("127.0.0.1:{http}")]);
        let process = Process::start("nameplate", cores.server, &mut command)?;
        Ok(Server { name: "nameplate", process, port, http, room: None })
    }

    /// Waits until it answers with an address of this name.
    pub fn answering(mut self, name: &str, limit: Duration) -> Result<Server> {
        let name = name.to_owned();
        until(&format!("{} answers", self.name), limit, || {
            if let Some(status) = self.process.ended()? {
                bail!("{} ended with {status}{}", self.name, self.log());
            }
            // The API, where there is one, opens a moment later.
            let open = self.http == 0 || TcpStream::connect((Ipv4Addr::LOCALHOST, self.http)).is_ok();
            Ok(ask(self.port, &name, Kind::A).ok().filter(|response| open && response.is_positive()))
        })?;
        self.process.pin()?;
        Ok(self)
    }

    /// What it has to say, where that is in a file.
    fn log(&self) -> String {
        let log = self.room.as_ref().and_then(|room| fs::read_to_string(room.join("log")).ok());
        log.map(|log| format!(":\n{log}")).unwrap_or_default()
    }
}

/// Answers each query with its own bytes and one fixed A record behind them, until its parent is gone: what the
/// kernel's part alone costs.
pub fn echo(port: u16) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut batch = Batch::new();
    let parent = parent_id();
    loop {
        let count = batch.receive(&socket)?;
        if count == 0 && parent_id() != parent {
            return Ok(());
        }
        for index in 0..count {
            let length = batch.received(index).len();
            let room = batch.room(index);
            let answered = (length + RECORD.len()).min(room.len());
            room[2] |= 0x84;
            room[7] = 1;
            room[answered - RECORD.len()..answered].copy_from_slice(&RECORD);
            batch.put_back(index, answered);
        }
        batch.send(&socket, count)?;
    }
}

/// A port that nobody has, over UDP and TCP.
pub fn free_port() -> Result<u16> {
    for _ in 0..50 {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port was found")
}

/// Makes this program the echo.
pub const ECHO: &str = "echo";

/// Makes this program a nameplate whose checks flip.
pub const FLIPPING: &str = "flipping";

/// Name of the node of all instances.
pub const NODE: &str = "n1";

/// Where it is, unless it is one of several.
const AT_HOME: [&str; 4] = ["--node", NODE, "--advertise", "127.0.0.1"];

/// 192.0.2.1 at the name in the question, for 5 s.
const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, 1];

/// How long a server may take for its zone or journal.
const LOADING_MAX: Duration = Duration::from_secs(180);
