//! Serving the HTTP API.
//!
//! | bound | value |
//! |---|---|
//! | connections | 4,096; further ones wait to be accepted |
//! | of one client address | `http_connections_per_client`; further ones are told 429 and closed |
//! | time for a TLS handshake | 10 s |
//! | time to send a request's head | 10 s, idle connections too |
//! | time for a client to take some of what it is sent | 30 s |
//! | time for requests in flight at the end | 5 s |

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::transport::{holder::holder, listen::Protocol};

pub mod clients;
pub mod tls;

use clients::{Clients, Connected};
use tls::Tls;

/// What connections are served with.
#[derive(Debug, Clone)]
pub struct Http {
    /// What is answered.
    pub router: Router,
    /// TLS; without it, plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// How many connections each client has.
    pub clients: Clients,
}

impl Http {
    /// With so many connections for each client.
    pub fn new(router: Router, tls: Option<Arc<Tls>>, connections_per_client: u32) -> Http {
        Http { router, tls, clients: Clients::new(connections_per_client) }
    }
}

/// Serves until `stopping` turns true; then finishes what is in flight.
pub async fn serve(listener: TcpListener, http: Http, mut stopping: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let permit = Arc::clone(&permits).acquire_owned().await;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, client)) => {
                let connected = http.clients.connect(client.ip());
                let connection = connection(stream, connected, http.clone(), stopping.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "an HTTP connection could not be accepted");
                if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) {
                    // Gone before it was accepted.
                    continue;
                }
                // Out of files, say: the next one can be had when a connection has ended, and asking at once spins.
                let _ = tokio::time::timeout(ACCEPT_PAUSE, stopping.wait_for(|stop| *stop)).await;
            }
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FINISH_MAX, all_ended).await.is_err() {
        tracing::warn!(waited_secs = FINISH_MAX.as_secs(), "stopped before all HTTP requests were answered");
        // A client that takes nothing would hold the server up for ever.
        connections.shutdown().await;
    }
}

async fn connection(stream: TcpStream, connected: Option<Connected>, http: Http, stopping: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    // Else a client that takes nothing of a long response keeps it in memory for ever.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(STALL_MAX));
    let Some(_connected) = connected else {
        // In clear only: a handshake for a refusal is what a flood of connections wants.
        return if http.tls.is_none() {
            refuse(stream, TOO_MANY).await
        };
    };
    let Some(tls) = &http.tls else { return speak(stream, http.router, stopping).await };
    let handshake = async {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(1) if first[0] != TLS_HANDSHAKE => {
                refuse(stream, NOT_TLS).await;
                None
            }
            // A client that has no certificate, or goes away, is no event of ours.
            _ => tls.acceptor().accept(stream).await.ok(),
        }
    };
    if let Ok(Some(stream)) = tokio::time::timeout(HEAD_MAX, handshake).await {
        speak(stream, http.router, stopping).await;
    }
}

/// Answers requests until the client or the server has enough.
async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, mut stopping: watch::Receiver<bool>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        // A client that sends no HTTP, or goes away, is no event of ours.
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Tells why a connection is not served. What the client has sent by then is read, because what is unread when a connection is
/// closed makes it a reset, which may overtake the response.
async fn refuse(mut stream: TcpStream, (status, body): (&str, &str)) {
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let told = async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(REFUSAL_MAX, told).await;
    let _ = stream.try_read(&mut [0; 4096]);
}

/// Takes the address of the API, and tells which it is. Connections to it are refused until [`listen`].
pub fn bind(address: SocketAddr) -> std::io::Result<(TcpSocket, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let bound = socket.local_addr()?;
    Ok((socket, bound))
}

/// Opens it. Fails as [`bind`] does if another program that took it at the same time was first.
pub fn listen(socket: TcpSocket) -> std::io::Result<TcpListener> {
    socket.listen(BACKLOG)
}

/// Why an address cannot be had, and the cure.
pub fn taken(error: std::io::Error, address: SocketAddr) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let holder = holder(Protocol::Tcp, address).map(|holder| format!(" by {holder}")).unwrap_or_default();
            anyhow::anyhow!("http: {address} is taken{holder}; stop that, or choose another address with --http")
        }
        _ => anyhow::anyhow!("http: cannot listen on {address}: {error}; choose another address with --http"),
    }
}

/// Source: none, chosen: reads that wait hold one each, and a fifth of 20,000 open files is left for other things.
const CONNECTIONS_MAX: usize = 4096;

/// Source: none, chosen: as the idle time of DNS over TCP.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// Source: none, chosen: as the time that a body may take.
const STALL_MAX: Duration = Duration::from_secs(30);

/// Longest time that telling why a connection is not served may take. Source: none, chosen.
const REFUSAL_MAX: Duration = Duration::from_secs(1);

/// The first byte of a TLS connection. Source: RFC 8446 section 5.1.
const TLS_HANDSHAKE: u8 = 22;

const TOO_MANY: (&str, &str) = (
    "429 Too Many Requests",
    "too many connections from this address; close some, or raise http_connections_per_client",
);

const NOT_TLS: (&str, &str) = ("400 Bad Request", "this server speaks HTTPS here; write https:// in place of http://");

/// Wait after a connection that could not be accepted. Source: none, chosen: nobody notices, and it costs no processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Source: none, chosen: half of what service managers wait for a stop.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// Source: the usual limit of the kernel (net.core.somaxconn).
const BACKLOG: u32 = 4096;
