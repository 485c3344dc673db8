//! The load on the HTTP API: connections that are kept, each with one request on the way.

use std::{
    cell::RefCell,
    net::Ipv4Addr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{JoinSet, LocalSet},
};

use crate::process::{Cores, pin};

/// A PUT: path and body.
pub type Put = (String, String);

/// What came of some requests, all of which were answered with 200.
pub struct Done {
    pub seconds: f64,
    /// Time of each from sending to its answer, in milliseconds.
    pub millis: Vec<f64>,
}

/// Sends these requests over so many connections, each its next one as soon as the one before is answered.
pub fn put_all(port: u16, connections: usize, puts: impl Iterator<Item = Put> + 'static) -> Result<Done> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let local = LocalSet::new();
    let puts = Rc::new(RefCell::new(puts));
    let started = Instant::now();
    let millis = local.block_on(&runtime, async {
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let puts = Rc::clone(&puts);
            tasks.spawn_local(async move {
                let mut connection = Connection::open(port).await?;
                let mut millis = Vec::new();
                loop {
                    let next = puts.borrow_mut().next();
                    let Some((path, body)) = next else { return Ok(millis) };
                    let sent = Instant::now();
                    connection.put(&path, &body).await.with_context(|| format!("PUT {path}: {body}"))?;
                    millis.push(sent.elapsed().as_secs_f64() * 1e3);
                }
            });
        }
        let mut all = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            let millis: Result<Vec<f64>> = ended?;
            all.extend(millis?);
        }
        anyhow::Ok(all)
    })?;
    Ok(Done { seconds: started.elapsed().as_secs_f64(), millis })
}

/// Reads a page.
pub fn get(port: u16, path: &str) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async { Connection::open(port).await?.request("GET", path, "").await })
}

/// Requests that go on at a given rate, from a thread of their own, until this is dropped.
pub struct Stream {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Stream {
    /// `puts` gives them by their number.
    pub fn start(port: u16, rate: f64, cores: Cores, puts: impl Fn(u64) -> Put + Send + 'static) -> Result<Stream> {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, count) = (Arc::clone(&stop), Arc::clone(&done));
        let run = move || {
            pin(cores.load)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            LocalSet::new().block_on(&runtime, stream(port, rate, (told, count), Rc::new(puts)))
        };
        let thread = thread::Builder::new().name("changes".to_owned()).spawn(run)?;
        Ok(Stream { stop, done, thread: Some(thread) })
    }

    /// Requests that were answered so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends it; an error if one of its requests failed.
    pub fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it ends once")?;
        thread.join().unwrap_or_else(|_| bail!("the thread that sends changes panicked"))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

async fn stream(
    port: u16,
    rate: f64,
    (stop, done): (Arc<AtomicBool>, Arc<AtomicU64>),
    puts: Rc<impl Fn(u64) -> Put + 'static>,
) -> Result<()> {
    let started = tokio::time::Instant::now();
    let next = Rc::new(RefCell::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..STREAM_CONNECTIONS {
        let (stop, done, next, puts) = (Arc::clone(&stop), Arc::clone(&done), Rc::clone(&next), Rc::clone(&puts));
        tasks.spawn_local(async move {
            let mut connection = Connection::open(port).await?;
            while !stop.load(Ordering::Relaxed) {
                let number = next.replace_with(|number| *number + 1);
                tokio::time::sleep_until(started + Duration::from_secs_f64(number as f64 / rate)).await;
                let (path, body) = puts(number);
                connection.put(&path, &body).await.with_context(|| format!("PUT {path}"))?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
}

impl Connection {
    async fn open(port: u16) -> Result<Connection> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, output: Vec::new(), input: Vec::new() })
    }

    async fn put(&mut self, path: &str, body: &str) -> Result<()> {
        self.request("PUT", path, body).await.map(drop)
    }

    /// Sends a request and reads its whole response; anything but 200 is an error.
    async fn request(&mut self, method: &str, path: &str, body: &str) -> Result<String> {
        self.output.clear();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n");
        self.output.extend_from_slice(head.as_bytes());
        self.output.extend_from_slice(body.as_bytes());
        self.stream.write_all(&self.output).await?;
        self.input.clear();
        let (head_bytes, body_bytes) = loop {
            self.read().await?;
            if let Some(found) = head_of(&self.input)? {
                break found;
            }
        };
        while self.input.len() < head_bytes + body_bytes {
            self.read().await?;
        }
        let body = String::from_utf8_lossy(&self.input[head_bytes..]).into_owned();
        ensure!(self.input.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.input));
        Ok(body)
    }

    async fn read(&mut self) -> Result<()> {
        let count = self.stream.read_buf(&mut self.input).await?;
        ensure!(count > 0, "the server closed the connection");
        Ok(())
    }
}

/// Lengths of head and body, once the head is complete.
fn head_of(input: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&input[..at])?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.context("a response without a length came")?;
    Ok(Some((at + 4, length.trim().parse()?)))
}

/// Connections of a stream of requests.
const STREAM_CONNECTIONS: usize = 32;
