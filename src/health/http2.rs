//! HTTP/2 connections of probes, in clear (with prior knowledge, RFC 9113 section 3.3) or over TLS.
//!
//! | bound | value |
//! |---|---|
//! | sent before it is read | 16 KiB a connection's stream |
//! | header fields of a response | 16 KiB |
//! | streams that a server may begin | none |

use std::pin::pin;

use h2::client::{Builder, Connection, SendRequest};
use hyper::body::Bytes;

use super::{
    connect::{Connector, Stream, Target},
    probe::Outcome,
    tls::Protocols,
};
use crate::catalog::check::ClientTls;

/// A connection that has to be driven, and what requests are sent by.
pub(super) type Opened = (SendRequest<Bytes>, Box<Http2Connection>);

/// A connection that is read and written only while it is polled.
pub(super) type Http2Connection = Connection<Box<dyn Stream>, Bytes>;

/// Connects and sends what an HTTP/2 connection begins with; the server has said nothing yet.
pub(super) async fn open(connector: &Connector, target: Target<'_>, tls: &ClientTls) -> Result<Opened, Outcome> {
    let stream = connector.connect(target, tls, Protocols::Http2).await?;
    begin(stream).await.map_err(|error| failed(target, &error))
}

/// Sends what an HTTP/2 connection begins with.
pub(super) async fn begin(stream: Box<dyn Stream>) -> Result<Opened, h2::Error> {
    let mut builder = Builder::new();
    builder.initial_window_size(WINDOW_BYTES).max_header_list_size(HEADERS_MAX_BYTES).enable_push(false);
    let (requests, connection) = builder.handshake(stream).await?;
    Ok((requests, Box::new(connection)))
}

/// Does this work while the connection is driven. Returns the connection, too, unless it has ended.
pub(super) async fn drive<T>(
    mut connection: Box<Http2Connection>,
    work: impl Future<Output = Result<T, h2::Error>>,
) -> (Result<T, h2::Error>, Option<Box<Http2Connection>>) {
    let mut work = pin!(work);
    let ended = tokio::select! {
        biased;
        done = &mut work => return (done, Some(connection)),
        ended = &mut connection => ended,
    };
    // What came before the end is still there to be read, of pings only as long as the connection is.
    tokio::select! {
        biased;
        done = &mut work => return (done.map_err(|error| ended.err().unwrap_or(error)), None),
        () = std::future::ready(()) => drop(connection),
    }
    // Else the work learns of the end, but not always why.
    (work.await.map_err(|error| ended.err().unwrap_or(error)), None)
}

/// What an error of HTTP/2 says: of the target, or of us.
pub(super) fn failed(target: Target<'_>, error: &h2::Error) -> Outcome {
    match error.get_io() {
        Some(error) => target.failed(error),
        None => target.critical(error),
    }
}

/// Source: none, chosen: several times what a probe reads.
const WINDOW_BYTES: u32 = 16 << 10;

/// Source: none, chosen: what servers of HTTP take at most.
const HEADERS_MAX_BYTES: u32 = 16 << 10;
