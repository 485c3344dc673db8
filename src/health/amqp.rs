//! AMQP 0-9-1 probes, such as of RabbitMQ: pass if the server starts a connection.
//!
//! | answer to the protocol header | verdict |
//! |---|---|
//! | Connection.Start (class 10, method 10) of 0-9 | passing |
//! | a protocol header: it speaks another version | critical, with that version |
//! | anything else; a closed connection; a frame beyond 4 KiB; silence until the timeout | critical |
//!
//! **Limits:** no TLS. RabbitMQ logs a warning of each client that closes here; measured with 3.10, the other ways to leave
//! before a login (Connection.Close) are logged as errors.
//!
//! **Source:** AMQP 0-9-1 sections 2.2.4, 4.2.2 (protocol header), 4.2.3 (frames), 1.4.2.1 (Connection.Start).

use std::time::Duration;

use super::{
    connect::{Connector, Target},
    exchange::{Exchange, Reading, shown, verdict},
    probe::{Outcome, deadline},
};

/// Probes a host and port once, within this time.
pub(super) async fn probe(connector: &Connector, target: &str, timeout: Duration) -> Outcome {
    let what = format!("AMQP start {target}");
    let target = Target { at: target, what: &what, deadline: deadline(timeout) };
    verdict(target, timeout, async {
        let mut exchange = Exchange::open(connector, target, PROTOCOL_HEADER).await?;
        exchange.receive(read).await?;
        Ok("the server starts a connection".to_owned())
    })
    .await
}

/// Reads the first frame, which must start a connection.
pub(super) fn read(bytes: &[u8]) -> Reading<()> {
    let name = &PROTOCOL_HEADER[..4];
    if bytes.starts_with(name) {
        let [_, _, _, _, _, major, minor, revision, ..] = bytes else { return Reading::More };
        return Reading::Wrong(format!("the server speaks AMQP {major}-{minor}-{revision}, not 0-9-1"));
    }
    if name.starts_with(bytes) {
        return Reading::More;
    }
    let not_ours = || Reading::Wrong(format!("not the start of an AMQP connection: {:?}", shown(bytes)));
    if !bytes.starts_with(&FRAME_START[..bytes.len().min(FRAME_START.len())]) {
        return not_ours();
    }
    let [_, _, _, a, b, c, d, rest @ ..] = bytes else { return Reading::More };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    if length > FRAME_MAX_BYTES - FRAME_OVERHEAD_BYTES {
        return not_ours();
    }
    if !rest.starts_with(&CONNECTION_START[..rest.len().min(CONNECTION_START.len())]) {
        return not_ours();
    }
    match rest.get(length) {
        None => Reading::More,
        Some(end) if *end == FRAME_END && length >= CONNECTION_START.len() => {
            Reading::Done((), length + FRAME_OVERHEAD_BYTES)
        }
        Some(_) => not_ours(),
    }
}

/// What a client of 0-9-1 says first.
const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";

/// A frame of type method, on the channel of the connection itself.
const FRAME_START: &[u8] = &[1, 0, 0];

/// Class, method, and the version of the protocol, major and minor.
const CONNECTION_START: &[u8] = &[0, 10, 0, 10, 0, 9];

const FRAME_END: u8 = 0xce;

/// What a frame has besides its payload: type, channel, length, and its end.
const FRAME_OVERHEAD_BYTES: usize = 8;

/// Longest frame before the two sides have agreed on one. Source: AMQP 0-9-1, `frame-min-size`.
const FRAME_MAX_BYTES: usize = 4096;

#[cfg(test)]
#[path = "amqp_tests.rs"]
mod tests;
