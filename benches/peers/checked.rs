//! Instances with health checks, what they are checked at, and a watch over whether they are answered.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use hickory_proto::op::Message;
use socket2::{Domain, Socket, Type};

use crate::{
    catalog::{DOMAIN, Edns, Kind, query},
    http::put_all,
    process::{Cores, pause, pin, until},
    sections::CLIENTS,
    server::Server,
};

/// Servers that accept and answer every check, on the core of the server under test, until this program ends.
pub struct Checked {
    http: SocketAddr,
    tcp: SocketAddr,
}

impl Checked {
    pub fn start(cores: Cores) -> Result<Checked> {
        Ok(Checked { http: serve(cores, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?, tcp: serve(cores, b"")? })
    }

    /// Registers the instances, half of them with HTTP checks and half with TCP checks, and waits until all pass.
    pub fn register(&self, server: &Server) -> Result<()> {
        let (http, tcp) = (self.http, self.tcp);
        let registrations = (0..INSTANCES).map(move |number| {
            let address = Ipv4Addr::from(0x0b00_0000 + number);
            let target =
                if number % 2 == 0 { format!(r#""HTTP":"http://{http}/""#) } else { format!(r#""TCP":"{tcp}""#) };
            let check = format!(r#"{{{target},"Interval":"{INTERVAL}","Timeout":"1s"}}"#);
            let id = format!("{NAME}-{number}");
            let body = format!(r#"{{"Name":"{NAME}","ID":"{id}","Address":"{address}","Port":80,"Check":{check}}}"#);
            ("/v1/agent/service/register".to_owned(), body)
        });
        put_all(server.http, CLIENTS, registrations)?;
        until("all checks pass", Duration::from_secs(20), || {
            Ok((answered(server.port)? == INSTANCES as usize).then_some(()))
        })
    }
}

/// Asks again and again how many of the instances are answered.
pub struct Watch {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Result<usize>>,
}

impl Watch {
    pub fn start(server: &Server, cores: Cores) -> Watch {
        let ended = Arc::new(AtomicBool::new(false));
        let (port, told) = (server.port, Arc::clone(&ended));
        let thread = thread::spawn(move || {
            pin(cores.load)?;
            let mut least = usize::MAX;
            while !told.load(Ordering::Relaxed) {
                least = least.min(answered(port)?);
                pause(LOOK);
            }
            Ok(least)
        });
        Watch { ended, thread }
    }

    /// The least number that was answered.
    pub fn end(self) -> Result<f64> {
        self.ended.store(true, Ordering::Relaxed);
        let least = self.thread.join().ok().context("the watch panicked")??;
        Ok(least as f64)
    }
}

/// Instances that are answered, over TCP.
fn answered(port: u16) -> Result<usize> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let query = query(&format!("{NAME}.service.{DOMAIN}"), Kind::A, Edns::With);
    stream.write_all(&[&(query.len() as u16).to_be_bytes(), &query[..]].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut response)?;
    Ok(Message::from_vec(&response)?.answers.len())
}

/// Answers each connection with these bytes, after what it sent if it gets any.
fn serve(cores: Cores, response: &'static [u8]) -> Result<SocketAddr> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    let address = socket.local_addr()?.as_socket().context("it is an IPv4 address")?;
    let listener = std::net::TcpListener::from(socket);
    thread::spawn(move || {
        // On no core of its own: what is checked takes its share of the server's.
        let _ = pin(cores.server);
        for mut stream in listener.incoming().flatten() {
            // A check that gave up is the server's loss, and is counted there.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(response);
        }
    });
    Ok(address)
}

/// Name of the service.
const NAME: &str = "checked";

/// Instances, each with a check.
pub const INSTANCES: u32 = 1_000;

/// How often each is checked.
const INTERVAL: &str = "2s";

/// Between two looks at what is answered.
const LOOK: Duration = Duration::from_millis(100);

/// Connections that wait to be accepted: a check of each instance.
const BACKLOG: i32 = 2_000;
