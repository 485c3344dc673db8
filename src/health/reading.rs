//! What probes make of the bytes that their targets send, apart from sockets: for tests that send whatever there is.
//!
//! **Limits:** what HTTP/1 and TLS are is not read here, but by the libraries that speak them.

use std::{
    io::{self, Cursor},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hickory_proto::{
    op::{Message, Query},
    rr::{Name, RecordType},
};
use tokio::io::{AsyncRead, Join, ReadBuf, Sink, join, sink};

pub use super::exchange::Reading;
use super::{amqp, connect::Stream, dns, docker, grpc, h2ping, http2, mysql, postgres, redis};
use crate::catalog::check::{ClientTls, DnsCheck};

/// A protocol of which a probe reads one message at a time from a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The answer to PING.
    Redis,
    /// What a server says first.
    MySqlGreeting,
    /// The answer to a login.
    MySqlLogin,
    /// What follows the start of a session.
    Postgres,
    /// The start of a connection.
    Amqp,
}

/// What a probe makes of the bytes that have come so far; the text is what the server said, if it said any.
pub fn message(protocol: Protocol, bytes: &[u8]) -> Reading<String> {
    fn told<T>(read: Reading<T>, text: impl Fn(T) -> String) -> Reading<String> {
        match read {
            Reading::Done(understood, length) => Reading::Done(text(understood), length),
            Reading::More => Reading::More,
            Reading::Wrong(problem) => Reading::Wrong(problem),
        }
    }
    let either = |said: Result<String, String>| said.unwrap_or_else(|problem| problem);
    match protocol {
        Protocol::Redis => told(redis::read(bytes), either),
        Protocol::MySqlGreeting => told(mysql::read_greeting(bytes), either),
        Protocol::MySqlLogin => told(mysql::read_answer(bytes), |answer| match answer {
            mysql::Answer::Error(_, message) => message,
            mysql::Answer::Welcome(_) | mysql::Answer::Method(_) => String::new(),
        }),
        Protocol::Postgres => told(postgres::read(bytes), |message| match message {
            postgres::Message::Error(state, message) => format!("{state}: {message}"),
            _ => String::new(),
        }),
        Protocol::Amqp => told(amqp::read(bytes), |()| String::new()),
    }
}

/// What a probe makes of a response to its question for `web.example.` and records of this type, whatever ID it has.
pub fn dns_response(bytes: &[u8], record_type: &str) -> Result<String, String> {
    let record_type: RecordType = record_type.parse().map_err(|_| "no type of records".to_owned())?;
    let name = Name::from_ascii("web.example.").map_err(|error| error.to_string())?;
    let mut query = Message::query();
    query.metadata.id = bytes.first_chunk().copied().map_or(0, u16::from_be_bytes);
    query.add_query(Query::query(name, record_type));
    let check = DnsCheck {
        name: Arc::from("web.example."),
        record_type: Arc::from(record_type.to_string()),
        expected: Box::new([Arc::from("192.0.2.1")]),
    };
    match dns::read(bytes, &query) {
        dns::Response::Whole(response) => dns::judge(&response, &check, record_type),
        dns::Response::Truncated => Err("truncated".to_owned()),
        dns::Response::Unreadable(problem) => Err(problem),
        dns::Response::Other => Err("it answers another question".to_owned()),
    }
}

/// The output of a command in a container, of which at most so much is kept of each stream, as a daemon sends it in pieces;
/// none if it is no output.
pub fn docker_output<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, most: usize) -> Option<String> {
    docker::output_of(pieces, most)
}

/// How a server is that sends these bytes to a gRPC probe, and then no more. Never waits.
pub async fn grpc_answer(bytes: Vec<u8>) -> Result<(), String> {
    let request = grpc::request("web.example:80", &ClientTls::default(), Duration::from_secs(1));
    let (requests, connection) = http2::begin(all_at_once(bytes)).await.map_err(|error| error.to_string())?;
    let call = grpc::call(requests, request.ok_or("not a target")?, grpc::framed("shop.Cart"));
    let (answer, _) = http2::drive(connection, call).await;
    grpc::verdict(&answer.map_err(|error| error.to_string())?)
}

/// The same of a probe by HTTP/2's ping.
pub async fn h2_ping(bytes: Vec<u8>) -> Result<(), String> {
    let opened = http2::begin(all_at_once(bytes)).await.map_err(|error| error.to_string())?;
    h2ping::exchange(opened).await.map_err(|error| error.to_string())
}

/// A connection on which all that ever will has come as soon as something was asked.
fn all_at_once(bytes: Vec<u8>) -> Box<dyn Stream> {
    Box::new(join(Later { bytes: Cursor::new(bytes), asked: false }, sink()))
}

/// Bytes that come from the second look on: what is sent goes when there is nothing to read.
#[derive(Debug)]
struct Later {
    bytes: Cursor<Vec<u8>>,
    asked: bool,
}

impl AsyncRead for Later {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.asked, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.bytes).poll_read(cx, buffer)
    }
}

impl Stream for Join<Later, Sink> {}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
