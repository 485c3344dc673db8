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
pub(super) type Opened = (SendRequest<Bytes>, Connection<Box<dyn Stream>, Bytes>);

/// Connects and sends what an HTTP/2 connection begins with; the server has said nothing yet.
pub(super) async fn open(connector: &Connector, target: Target<'_>, tls: &ClientTls) -> Result<Opened, Outcome> {
    let stream = connector.connect(target, tls, Protocols::Http2).await?;
    let mut builder = Builder::new();
    builder.initial_window_size(WINDOW_BYTES).max_header_list_size(HEADERS_MAX_BYTES).enable_push(false);
    builder.handshake(stream).await.map_err(|error| failed(target, &error))
}

/// Does this work while the connection is driven.
pub(super) async fn drive<T>(
    connection: Connection<Box<dyn Stream>, Bytes>,
    work: impl Future<Output = Result<T, h2::Error>>,
) -> Result<T, h2::Error> {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => done,
        // What came before the end is still there to be read; else the work learns of the end, but not always why.
        ended = connection => work.await.map_err(|error| ended.err().unwrap_or(error)),
    }
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
