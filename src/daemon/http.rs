//! Serving the HTTP API.
//!
//! | bound | value |
//! |---|---|
//! | connections | 4,096; further ones wait to be accepted |
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
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// Serves until `stopping` turns true; then finishes what is in flight.
pub async fn serve(listener: TcpListener, router: Router, mut stopping: watch::Receiver<bool>) {
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
            Ok((stream, _)) => {
                let connection = connection(stream, router.clone(), stopping.clone());
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

async fn connection(stream: TcpStream, router: Router, mut stopping: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    // Else a client that takes nothing of a long response keeps it in memory for ever.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(STALL_MAX));
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

/// Takes the address of the API. Connections to it are refused until [`listen`].
pub fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Opens it. Fails as [`bind`] does if another program that took it at the same time was first.
pub fn listen(socket: TcpSocket) -> std::io::Result<TcpListener> {
    socket.listen(BACKLOG)
}

/// Source: none, chosen: reads that wait hold one each, and a fifth of 20,000 open files is left for other things.
const CONNECTIONS_MAX: usize = 4096;

/// Source: none, chosen: as the idle time of DNS over TCP.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// Source: none, chosen: as the time that a body may take.
const STALL_MAX: Duration = Duration::from_secs(30);

/// Wait after a connection that could not be accepted. Source: none, chosen: nobody notices, and it costs no processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Source: none, chosen: half of what service managers wait for a stop.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// Source: the usual limit of the kernel (net.core.somaxconn).
const BACKLOG: u32 = 4096;
