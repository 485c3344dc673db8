//! Serving the HTTP API: HTTP/1.1 and HTTP/2, over TLS as both sides agree there, in clear as the client begins (`preface`).
//!
//! | bound | value |
//! |---|---|
//! | connections | `http_connections`, by default as many as open files allow; further ones are told 503 and closed |
//! | of one client address | `http_connections_per_client`; further ones are told 429 and closed |
//! | connections that are told so at a time | 64; further ones wait to be accepted |
//! | time for a TLS handshake, and to begin what is no TLS | 10 s |
//! | time to send a request's head | 10 s, idle connections too |
//! | time for a client to take some of what it is sent | 30 s |
//! | time for requests in flight at the end | 5 s |
//!
//! Of HTTP/2 besides:
//!
//! | bound | value |
//! |---|---|
//! | streams of one connection | 250; further ones are refused, which clients take for "later" |
//! | header fields of a request, all together | 16 KiB, else 431 |
//! | bytes of bodies on their way to us | 64 KiB a stream, 256 KiB a connection |
//! | streams that are reset before we have looked at them | 20, then the connection is closed |
//! | time without a stream | 10 s, then the connection is closed |
//! | time for a client to answer a ping, which it gets each 30 s | 20 s, then the connection is closed |
//! | time for a client to make room for more of a response | 30 s, then the connection is closed |

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use crate::transport::{holder::holder, listen::Protocol};

mod preface;
mod streams;

pub mod clients;
pub mod tls;

use clients::{Clients, Connected};
use preface::Version;
use streams::{Counting, Streams};
use tls::Tls;

/// What connections are served with.
#[derive(Debug, Clone)]
pub struct Http {
    /// What is answered.
    pub router: Router,
    /// TLS; without it, plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Most connections.
    pub connections_max: usize,
    /// How many connections each client has.
    pub clients: Clients,
}

/// Serves until `stopping` turns true; then finishes what is in flight.
pub async fn serve(listener: TcpListener, http: Http, mut stopping: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(http.connections_max));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let refusal = Arc::clone(&refusals).acquire_owned().await;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, client)) => {
                let _ = stream.set_nodelay(true);
                let place = match (Arc::clone(&places).try_acquire_owned(), http.clients.connect(client.ip())) {
                    (Ok(place), Some(connected)) => Ok((place, connected)),
                    (Ok(_), None) => Err(TOO_MANY_OF_CLIENT),
                    (Err(_), _) => Err(TOO_MANY),
                };
                match place {
                    Ok(place) => {
                        connections.spawn(connection(stream, place, http.clone(), stopping.clone()));
                    }
                    // In clear only: a handshake for a refusal is what a flood of connections wants.
                    Err(why) if http.tls.is_none() => {
                        connections.spawn(async move {
                            refuse(stream, why).await;
                            drop(refusal);
                        });
                    }
                    Err(_) => {}
                }
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

/// What is given back when a connection ends.
type Place = (OwnedSemaphorePermit, Connected);

/// What is large of it lies on the heap, apart, so that a connection that waits has only what it needs.
async fn connection(stream: TcpStream, _place: Place, http: Http, stopping: watch::Receiver<bool>) {
    // Else a client that takes nothing of a long response keeps it in memory for ever.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(STALL_MAX));
    let Some(tls) = http.tls else {
        return match tokio::time::timeout(HEAD_MAX, preface::read(stream)).await {
            Ok(Ok((Version::Http1, stream))) => Box::pin(speak_1(stream, http.router, stopping)).await,
            Ok(Ok((Version::Http2, stream))) => Box::pin(speak_2(stream, http.router, stopping)).await,
            // A client that goes away, or sends nothing, is no event of ours.
            _ => {}
        };
    };
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
    let Ok(Some(stream)) = tokio::time::timeout(HEAD_MAX, Box::pin(handshake)).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2) {
        Box::pin(speak_2(stream, http.router, stopping)).await;
    } else {
        Box::pin(speak_1(stream, http.router, stopping)).await;
    }
}

/// Answers requests until the client or the server has enough.
async fn speak_1(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, mut stopping: watch::Receiver<bool>) {
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

/// The same over HTTP/2.
async fn speak_2(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, mut stopping: watch::Receiver<bool>) {
    let streams = Arc::new(Streams::new());
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_MAX_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .keep_alive_interval(STALL_MAX)
        .keep_alive_timeout(PONG_MAX)
        .serve_connection(TokioIo::new(stream), Counting { router, streams: Arc::clone(&streams) });
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => {}
        () = streams.unused(HEAD_MAX) => {}
        () = streams.stalled(STALL_MAX) => return,
    }
    connection.as_mut().graceful_shutdown();
    // A client that does not take the end for an answer is left.
    let _ = tokio::time::timeout(FINISH_MAX, connection).await;
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

/// Most connections where a process may open so many files: DNS over TCP has 2,000 of the fifth that is left, health checks a
/// tenth of all.
///
/// Source: none, chosen: 15,744 of 20,000, so that 15,000 clients can wait; and never more than take 1 GiB with what each holds
/// in buffers.
pub fn connections_max(open_files: u64) -> usize {
    let affordable = (open_files / 5 * 4).saturating_sub(FILES_LEFT);
    usize::try_from(affordable.clamp(FILES_LEFT / 4, CONNECTIONS_MOST)).unwrap_or(usize::MAX)
}

/// Files that are for other things than connections and checks. Source: none, chosen: zones, journal, upstreams, Docker.
const FILES_LEFT: u64 = 256;

/// Most connections, however many files may be open. Source: none, chosen: some 10 KiB each make 640 MiB.
const CONNECTIONS_MOST: u64 = 65_536;

/// Most connections that are told at a time why they are not served. Source: none, chosen: a quarter of the files left.
const REFUSALS_MAX: usize = 64;

/// Most streams of one connection. Source: what Go's servers, and so Consul's, say.
const STREAMS_MAX: u32 = 250;

/// Longest header list of a request. Source: hyper's own default; filters of some KiB fit.
const HEADER_LIST_MAX_BYTES: u32 = 16 << 10;

/// How much of a body may be on its way. Source: the protocol's default (RFC 9113 section 6.9.2).
const STREAM_WINDOW_BYTES: u32 = (64 << 10) - 1;

/// How much of all bodies of a connection may be on its way. Source: none, chosen: what waits here for its reader is memory.
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;

/// Most streams that were reset before they were looked at. Source: h2's own default, against CVE-2023-44487.
const RESETS_MAX: usize = 20;

/// Source: hyper's own default.
const PONG_MAX: Duration = Duration::from_secs(20);

/// Source: none, chosen: as the idle time of DNS over TCP.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// Source: none, chosen: as the time that a body may take.
const STALL_MAX: Duration = Duration::from_secs(30);

/// Longest time that telling why a connection is not served may take. Source: none, chosen.
const REFUSAL_MAX: Duration = Duration::from_secs(1);

/// The first byte of a TLS connection. Source: RFC 8446 section 5.1.
const TLS_HANDSHAKE: u8 = 22;

const TOO_MANY: (&str, &str) = (
    "503 Service Unavailable",
    "this server has as many connections as it may have; try again, or raise http_connections",
);

const TOO_MANY_OF_CLIENT: (&str, &str) = (
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
