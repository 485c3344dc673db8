//! Small HTTP servers in a scenario's network, on every loopback address at once, and who asks through a proxy all the while.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Servers on some ports of all addresses. Each answers with the address at which it was asked, as a metric.
pub struct Backends {
    shared: Arc<Shared>,
    listeners: Vec<(SocketAddr, JoinHandle<()>)>,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    /// Those that are gone: whoever asks them is told so.
    dead: Mutex<BTreeSet<SocketAddr>>,
    /// Those whose `/health` fails.
    sick: Mutex<BTreeSet<SocketAddr>>,
}

impl Backends {
    /// Listens on these ports.
    pub fn start(ports: &[u16]) -> Backends {
        let shared = Arc::new(Shared::default());
        let listen = |port: &u16| {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).unwrap();
            let (shared, at) = (Arc::clone(&shared), SocketAddr::from((Ipv4Addr::LOCALHOST, *port)));
            (at, thread::spawn(move || serve(&listener, &shared)))
        };
        Backends { listeners: ports.iter().map(listen).collect(), shared }
    }

    /// From now on this one answers every request with 503: nobody should ask it any more.
    pub fn kill(&self, at: SocketAddr) {
        self.shared.dead.lock().unwrap().insert(at);
    }

    /// From now on this one's health check fails, though it serves.
    pub fn sicken(&self, at: SocketAddr) {
        self.shared.sick.lock().unwrap().insert(at);
    }
}

impl Drop for Backends {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        for (at, thread) in self.listeners.drain(..) {
            // Wakes it.
            let _ = TcpStream::connect(at);
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::Relaxed) {
            return;
        }
        let (Ok(stream), shared) = (stream, Arc::clone(shared)) else { continue };
        // A check of TCP alone says nothing and hangs up.
        thread::spawn(move || answer(stream, &shared).is_ok());
    }
}

fn answer(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(RESPONSE_MAX))?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0; 512];
        match stream.read(&mut byte)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&byte[..length]),
        }
    }
    let at = stream.local_addr()?;
    let sick = request.starts_with(b"GET /health ") && shared.sick.lock().unwrap().contains(&at);
    let down = sick || shared.dead.lock().unwrap().contains(&at);
    let status = if down { "503 Service Unavailable" } else { "200 OK" };
    let body = format!("backend{{at=\"{at}\"}} 1\n");
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ");
    stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes())?;
    stream.shutdown(Shutdown::Write)
}

/// Asks a proxy again and again; who answered is counted.
pub struct Traffic {
    stop: Option<SyncSender<()>>,
    answered: Arc<Mutex<BTreeMap<SocketAddr, u64>>>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Traffic {
    /// Begins to ask at this address.
    pub fn start(proxy: SocketAddr) -> Traffic {
        let (stop, stopped) = sync_channel(0);
        let answered = Arc::default();
        let counts = Arc::clone(&answered);
        let thread = thread::spawn(move || ask_all_the_while(proxy, &stopped, &counts));
        Traffic { stop: Some(stop), answered, thread: Some(thread) }
    }

    /// Counts from here on.
    pub fn count_anew(&self) {
        self.answered.lock().unwrap().clear();
    }

    /// Who answered, and how often.
    pub fn answered(&self) -> BTreeMap<SocketAddr, u64> {
        self.answered.lock().unwrap().clone()
    }

    /// Stops; fails if any request was not answered by a living backend.
    #[track_caller]
    pub fn end(mut self) {
        drop(self.stop.take());
        let failures = self.thread.take().unwrap().join().unwrap();
        assert!(failures.is_empty(), "{} requests failed: {:?}", failures.len(), &failures[..failures.len().min(5)]);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn ask_all_the_while(
    proxy: SocketAddr,
    stopped: &Receiver<()>,
    counts: &Mutex<BTreeMap<SocketAddr, u64>>,
) -> Vec<String> {
    let mut failures = Vec::new();
    while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        match ask(proxy) {
            Ok(backend) => *counts.lock().unwrap().entry(backend).or_default() += 1,
            Err(error) => failures.push(error.to_string()),
        }
    }
    failures
}

/// Sends one request through a proxy; returns which backend answered. An error: it is not one that lives.
pub fn ask(proxy: SocketAddr) -> io::Result<SocketAddr> {
    let mut stream = TcpStream::connect(proxy)?;
    stream.set_read_timeout(Some(RESPONSE_MAX))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let backend = text.split('"').nth(1).and_then(|at| at.parse().ok());
    backend.filter(|_| text.starts_with("HTTP/1.1 200 ")).ok_or_else(|| io::Error::other(text))
}

/// Time between two requests. Source: none, chosen: some hundred in a scenario, and the cores are left to what is tested.
const PAUSE: Duration = Duration::from_millis(20);

/// Most time for a request or a response. Source: none, chosen: far above what two busy cores take.
const RESPONSE_MAX: Duration = Duration::from_secs(20);
