//! What all behaviour tests stand on: a server, questions to it, and a bounded wait.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    str::FromStr,
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{
        self, RecordType,
        rdata::opt::{EdnsCode, EdnsOption},
    },
};
use nameplate::{
    config::{Config, ConfigFile, Host, Inputs},
    daemon::Server,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// A server in this process, and a client of it. Node `n1` at 192.0.2.1, domain `internal.`; in memory only and
/// without forwarding unless its file says otherwise.
pub struct Running {
    pub server: Server,
    pub at: Client,
}

/// Starts a server with the settings of this TOML text.
pub async fn start(toml: &str) -> Running {
    let file = ConfigFile { path: "test.toml".to_owned(), text: toml.to_owned() };
    start_with(file).await
}

/// Starts a server with a configuration file that can change later.
pub async fn start_from(path: &Path) -> Running {
    start_with(ConfigFile::read(path).unwrap()).await
}

async fn start_with(file: ConfigFile) -> Running {
    let given = |key: &str| file.text.lines().any(|line| line.starts_with(key));
    let defaults = [
        ("dns", "127.0.0.1:0"),
        ("http", "127.0.0.1:0"),
        ("node", "n1"),
        ("advertise", "192.0.2.1"),
        ("workers", "1"),
        ("ephemeral", "true"),
        ("forward", "off"),
        ("docker", "off"),
    ];
    let taken = |key: &str| given(&format!("{key} =")) || (key == "ephemeral" && given("data_dir ="));
    let flags = defaults.into_iter().filter(|(key, _)| !taken(key));
    let flags = flags.map(|(key, value)| (key, vec![value.to_owned()])).collect();
    let inputs = Inputs { flags, variables: Vec::new(), file: Some(file), host: Host::default() };
    let config = Config::load(&inputs).unwrap();
    let server = Server::start(config, None).await.unwrap();
    let at = Client { dns: server.dns_addresses()[0], http: server.http_address() };
    Running { server, at }
}

/// Asks a server.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub dns: SocketAddr,
    pub http: SocketAddr,
}

/// A DNS response.
#[derive(Debug)]
pub struct Answered {
    pub rcode: ResponseCode,
    /// RDATA of the answer section, sorted.
    pub data: Vec<String>,
    /// Code and text of the extended error.
    pub extended: Option<(u16, String)>,
    pub message: Message,
}

/// An HTTP response.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Client {
    /// Registers an instance; it must be accepted.
    pub async fn register(&self, definition: Value) -> Page {
        let page = self.put("/v1/agent/service/register", &definition.to_string()).await;
        assert_eq!(page.status, 200, "{}", page.body);
        page
    }

    /// Asks over UDP.
    pub async fn ask(&self, name: &str, rtype: RecordType) -> Answered {
        let query = question(name, rtype);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.connect(self.dns).await.unwrap();
        socket.send(&query.to_vec().unwrap()).await.unwrap();
        let mut buffer = vec![0; 65_535];
        let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("a response comes").unwrap();
        answered(&query, &buffer[..length])
    }

    /// Asks over a TCP connection of its own.
    pub async fn ask_tcp(&self, name: &str, rtype: RecordType) -> Answered {
        let query = question(name, rtype);
        let bytes = timeout(PATIENCE, exchange(self.dns, &query.to_vec().unwrap())).await.expect("a response comes");
        answered(&query, &bytes.unwrap())
    }

    /// Addresses of a name, sorted; none whatever the reason.
    pub async fn addresses(&self, name: &str) -> Vec<String> {
        self.ask(name, RecordType::A).await.data
    }

    pub async fn get(&self, path: &str) -> Page {
        self.call("GET", path, "").await
    }

    pub async fn put(&self, path: &str, body: &str) -> Page {
        self.call("PUT", path, body).await
    }

    /// As [`Client::put`]; none if nobody listens.
    pub async fn try_put(&self, path: &str, body: &str) -> Option<Page> {
        let work = async {
            let mut stream = TcpStream::connect(self.http).await.ok()?;
            stream.write_all(request("PUT", path, body.len()).as_bytes()).await.ok()?;
            stream.write_all(body.as_bytes()).await.ok()?;
            let mut bytes = Vec::new();
            let read = stream.read_to_end(&mut bytes).await;
            (read.is_ok() && !bytes.is_empty()).then(|| page_of(bytes))
        };
        timeout(PATIENCE, work).await.expect("an answer comes")
    }

    pub async fn call(&self, method: &str, path: &str, body: &str) -> Page {
        let work = async {
            let mut stream = TcpStream::connect(self.http).await.unwrap();
            stream.write_all(request(method, path, body.len()).as_bytes()).await.unwrap();
            stream.write_all(body.as_bytes()).await.unwrap();
            page(stream).await
        };
        timeout(PATIENCE, work).await.expect("an answer comes")
    }

    /// The JSON at a path that must be there.
    pub async fn json(&self, path: &str) -> Value {
        let page = self.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        page.json()
    }

    /// A metric's value, by its name with labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").await;
        let line = page.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_default().split(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }

    /// The index of a service's instances.
    pub async fn index(&self, service: &str) -> u64 {
        self.get(&format!("/v1/health/service/{service}")).await.index()
    }
}

impl Page {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn index(&self) -> u64 {
        self.header("x-consul-index").expect("the answer has an index").parse().unwrap()
    }
}

/// The head of a request, after which the server closes the connection.
pub fn request(method: &str, path: &str, length: usize) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: nameplate\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
}

/// Reads a response to the end of its connection.
pub async fn page(mut stream: TcpStream) -> Page {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    page_of(bytes)
}

fn page_of(bytes: Vec<u8>) -> Page {
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP response: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Page { status, headers: lines.filter_map(pair).collect(), body: body.to_owned() }
}

/// A query with RD and an OPT of 1,232 bytes.
pub fn question(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(rr::Name::from_str(name).unwrap(), rtype));
    message.metadata.recursion_desired = true;
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.set_edns(edns);
    message
}

/// Sends one message over a new TCP connection; returns the response.
pub async fn exchange(server: SocketAddr, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&framed(message)).await?;
    read_message(&mut stream).await
}

/// A message behind its length.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

/// Reads a message behind its length.
pub async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn answered(query: &Message, bytes: &[u8]) -> Answered {
    let message = Message::from_vec(bytes).unwrap();
    assert_eq!(message.metadata.id, query.metadata.id);
    assert_eq!(message.queries, query.queries);
    let mut data: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
    data.sort();
    Answered { rcode: message.metadata.response_code, data, extended: extended(&message), message }
}

fn extended(message: &Message) -> Option<(u16, String)> {
    match message.edns.as_ref()?.option(EdnsCode::Unknown(15))? {
        EdnsOption::Unknown(_, data) => {
            Some((u16::from_be_bytes([data[0], data[1]]), String::from_utf8(data[2..].to_vec()).unwrap()))
        }
        _ => None,
    }
}

/// Waits until it is so; fails after ten seconds.
#[allow(clippy::disallowed_methods, reason = "looks at a level, again and again, for a bounded time")]
pub async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !reached().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "after {PATIENCE:?} it is still not so: {what}");
}

/// The program, without settings from outside: the one that is shipped if it is named, else that of this build.
pub fn program(home: &Path) -> Command {
    let shipped = std::env::var_os("NAMEPLATE_E2E_PROGRAM");
    let mut command = Command::new(shipped.unwrap_or_else(|| env!("CARGO_BIN_EXE_nameplate").into()));
    command.env_clear().env("HOME", home).env("NAMEPLATE_DOCKER", "off").current_dir(home).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(home: &Path, arguments: &[&str]) -> Output {
    program(home).args(arguments).output().unwrap()
}

/// The program as a server, killed when this is dropped. Its home is a directory of its own.
pub struct Served {
    child: Child,
    pub home: PathBuf,
    pub at: Client,
}

/// Starts the program as a server on ports that the kernel chooses, without forwarding; waits until it is up.
pub async fn serve(home: &TempDir, arguments: &[&str]) -> Served {
    serve_by(program(home.path()), home, arguments).await
}

/// The same with a command that is prepared already.
pub async fn serve_by(mut command: Command, home: &TempDir, arguments: &[&str]) -> Served {
    let said = home.path().join("said");
    let complained = home.path().join("complained");
    command.args(["serve", "--dns", "127.0.0.1:0", "--forward", "off", "--node", "n1"]).args(arguments);
    if !arguments.contains(&"--http") {
        command.args(["--http", "127.0.0.1:0"]);
    }
    command.stdout(fs::File::create(&said).unwrap()).stderr(fs::File::create(&complained).unwrap());
    let child = command.env("NAMEPLATE_DOCKER", "off").spawn().unwrap();
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut served = Served { child, home: home.path().to_owned(), at: Client { dns: nowhere, http: nowhere } };
    until("the server is up", async || {
        assert!(served.child.try_wait().unwrap().is_none(), "it ended: {}", served.complaints());
        let banner = fs::read_to_string(&said).unwrap();
        let after = |word: &str| {
            let line = banner.lines().find_map(|line| line.trim().strip_prefix(word))?;
            line.trim()
                .trim_start_matches("http://")
                .trim_start_matches("https://")
                .split([' ', ','])
                .next()?
                .parse()
                .ok()
        };
        match (after("DNS "), after("HTTP ")) {
            (Some(dns), Some(http)) => served.at = Client { dns, http },
            _ => return false,
        }
        banner.contains("stub-addr")
    })
    .await;
    served
}

impl Served {
    /// What it wrote to standard error.
    pub fn complaints(&self) -> String {
        fs::read_to_string(self.home.join("complained")).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, signal).unwrap();
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        until("the server has ended", async || self.child.try_wait().unwrap().is_some()).await;
        self.child.wait().unwrap()
    }

    /// Has it stop as service managers do.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.ended().await
    }

    /// Runs a verb of the command line against it; returns exit code, standard output and standard error.
    pub fn verb(&self, arguments: &[&str]) -> (i32, String, String) {
        let server = format!("http://{}", self.at.http);
        let output = program(&self.home).args(arguments).args(["--server", &server]).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long anything may take. Source: none, chosen: well above what a busy machine needs, far below the budget.
pub const PATIENCE: Duration = Duration::from_secs(10);
