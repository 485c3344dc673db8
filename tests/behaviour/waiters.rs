//! Many reads that wait for a change of a service, each its own, and what they are answered.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use crate::{
    connection::Connection,
    harness::{Client, PATIENCE, until},
};

/// So many services, each with waiters of its own.
pub struct Waiters {
    at: Client,
    services: usize,
    /// Index of each service.
    indexes: Vec<u64>,
    waiting: usize,
    tasks: JoinSet<()>,
    answered: mpsc::Receiver<Answered>,
    tell: mpsc::Sender<Answered>,
}

/// An answer: to whom, and when it was there as a whole.
#[derive(Debug)]
struct Answered {
    service: usize,
    when: Instant,
}

impl Waiters {
    /// Registers the services.
    pub async fn prepare(at: Client, services: usize) -> Waiters {
        let mut indexes = Vec::with_capacity(services);
        for service in 0..services {
            at.register(json!({ "Name": name(service), "Port": 1 })).await;
            indexes.push(at.index(&name(service)).await);
        }
        let (tell, answered) = mpsc::channel(65_536);
        Waiters { at, services, indexes, waiting: 0, tasks: JoinSet::new(), answered, tell }
    }

    /// Adds so many that wait, each on a connection of HTTP/1.1; so many from each address of loopback.
    pub async fn add_http1(&mut self, count: usize, of_address: usize) {
        for number in 0..count {
            let address = Ipv4Addr::new(127, 0, 1, u8::try_from(1 + number / of_address).unwrap());
            let stream = connect(self.at, address).await;
            let (service, path, tell) = self.next(number);
            self.tasks.spawn(async move {
                if wait_http1(stream, &path).await.is_ok() {
                    let _ = tell.send(Answered { service, when: Instant::now() }).await;
                }
            });
        }
        self.all_wait().await;
    }

    /// Adds so many that wait as streams of HTTP/2; so many on each connection, so many connections from each address.
    pub async fn add_http2(&mut self, count: usize, of_connection: usize, of_address: usize) {
        let mut connection = None;
        for number in 0..count {
            if number % of_connection == 0 {
                let place = number / of_connection / of_address;
                let stream = connect(self.at, Ipv4Addr::new(127, 0, 2, u8::try_from(1 + place).unwrap())).await;
                connection = Some(Arc::new(Connection::over(stream).await));
            }
            let connection = Arc::clone(connection.as_ref().expect("the first one opens it"));
            let (service, path, tell) = self.next(number);
            self.tasks.spawn(async move {
                let page = connection.wait_for(&path).await;
                if page.is_ok_and(|page| page.status == 200) {
                    let _ = tell.send(Answered { service, when: Instant::now() }).await;
                }
            });
        }
        self.all_wait().await;
    }

    /// Changes a service, and takes the answers of all who wait for it, which are to be no others. Returns how long it took
    /// from before the change was sent until the last of them had the answer.
    pub async fn change(&mut self, service: usize, port: u16) -> Duration {
        let expected = self.of_each();
        let began = Instant::now();
        self.at.register(json!({ "Name": name(service), "Port": port })).await;
        let mut all = Duration::ZERO;
        for _ in 0..expected {
            let answer = timeout(PATIENCE, self.answered.recv()).await.expect("all are answered").unwrap();
            assert_eq!(answer.service, service, "others sleep");
            all = all.max(answer.when - began);
        }
        self.waiting -= expected;
        all
    }

    /// How many wait for each service that was not changed.
    pub fn of_each(&self) -> usize {
        self.tasks.len() / self.services
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    fn next(&mut self, number: usize) -> (usize, String, mpsc::Sender<Answered>) {
        let service = number % self.services;
        let path = format!("/v1/health/service/{}?passing&index={}&wait=10m", name(service), self.indexes[service]);
        self.waiting += 1;
        (service, path, self.tell.clone())
    }

    async fn all_wait(&self) {
        until("all wait", async || self.at.metric("nameplate_http_blocked").await == self.waiting as f64).await;
    }
}

/// The name of a service, by its number.
pub fn name(service: usize) -> String {
    format!("s{service}")
}

async fn connect(at: Client, from: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.connect(at.http).await.unwrap()
}

/// Sends a request and reads its response, whose length must be given.
async fn wait_http1(mut stream: TcpStream, path: &str) -> std::io::Result<()> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: n1\r\n\r\n").as_bytes()).await?;
    let mut said = Vec::new();
    loop {
        if stream.read_buf(&mut said).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&said);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("the length is told");
        if body.len() >= length.parse().unwrap() {
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            return Ok(());
        }
    }
}
