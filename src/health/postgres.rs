//! PostgreSQL probes: pass if a session can be begun, whoever may then log in, as `pg_isready` says it.
//!
//! | answer to the start of a session | verdict |
//! |---|---|
//! | a request to authenticate, whatever method | passing |
//! | authenticated at once, and then ready | passing |
//! | an error of another SQLSTATE, such as 28000 (no such role) | passing |
//! | an error of SQLSTATE 57P03 (starting up, shutting down, in recovery) or 53300 (too many connections) | critical |
//! | anything else; a closed connection; a message beyond 4 KiB; silence until the timeout | critical |
//!
//! **Limits:** no TLS: a server that demands it refuses the session, which passes. `pg_isready` lets 53300 pass.
//!
//! **Source:** PostgreSQL's frontend/backend protocol 3.0, "Start-up", "Message Formats", "Error and Notice Message
//! Fields"; appendix "PostgreSQL Error Codes"; `pg_isready`.

use std::time::Duration;

use super::{
    connect::{Connector, Target},
    exchange::{Exchange, Reading, shown, verdict},
    probe::{Outcome, deadline},
};

/// Probes a host and port once, within this time.
pub(super) async fn probe(connector: &Connector, target: &str, timeout: Duration) -> Outcome {
    let what = format!("PostgreSQL start {target}");
    let target = Target { at: target, what: &what, deadline: deadline(timeout) };
    verdict(target, timeout, async {
        let mut exchange = Exchange::open(connector, target, &start()).await?;
        loop {
            match exchange.receive(read).await? {
                Message::Other => {}
                // Who closes when asked for a password leaves no line in the log; a Terminate would.
                Message::Authenticate => return Ok("accepting connections".to_owned()),
                Message::Ready => {
                    // It may have closed: it has answered.
                    let _ = exchange.send(TERMINATE).await;
                    return Ok("accepting connections".to_owned());
                }
                Message::Error(state, message) if NOT_READY.contains(&state.as_str()) => {
                    return Err(target.critical(format_args!("{state}: {message}")));
                }
                Message::Error(state, message) => {
                    return Ok(format!("it lives, and refuses the session: {state}: {message}"));
                }
            }
        }
    })
    .await
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// A password or the like is to be given.
    Authenticate,
    /// Commands may be given.
    Ready,
    /// An error: its SQLSTATE and text.
    Error(String, String),
    /// What a client may know and need not.
    Other,
}

pub(super) fn read(bytes: &[u8]) -> Reading<Message> {
    let not_ours = || Reading::Wrong(format!("not what PostgreSQL says: {:?}", shown(bytes)));
    match bytes.first() {
        None => return Reading::More,
        Some(b'E' | b'K' | b'N' | b'R' | b'S' | b'Z' | b'v') => {}
        Some(_) => return not_ours(),
    }
    let [kind, a, b, c, d, rest @ ..] = bytes else { return Reading::More };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    if !(LENGTH_BYTES..MESSAGE_MAX_BYTES).contains(&length) {
        return not_ours();
    }
    let Some(body) = rest.get(..length - LENGTH_BYTES) else { return Reading::More };
    let message = match (kind, body) {
        (b'R', [0, 0, 0, 0]) => Message::Other,
        (b'R', [_, _, _, _, ..]) => Message::Authenticate,
        (b'R', _) => return not_ours(),
        (b'E', body) => match (field(body, b'C'), field(body, b'M')) {
            (Some(state), message) => Message::Error(state, message.unwrap_or_default()),
            (None, _) => return not_ours(),
        },
        (b'Z', _) => Message::Ready,
        _ => Message::Other,
    };
    Reading::Done(message, 1 + length)
}

/// A field of an error.
fn field(body: &[u8], code: u8) -> Option<String> {
    body.split(|byte| *byte == 0).find_map(|field| match field {
        [first, text @ ..] if *first == code => Some(shown(text)),
        _ => None,
    })
}

/// The start of a session. The role need not exist.
fn start() -> Vec<u8> {
    let version: u32 = 3 << 16;
    let parameters = b"user\0nameplate\0database\0postgres\0application_name\0nameplate\0\0";
    let mut message = ((2 * LENGTH_BYTES + parameters.len()) as u32).to_be_bytes().to_vec();
    message.extend_from_slice(&version.to_be_bytes());
    message.extend_from_slice(parameters);
    message
}

/// SQLSTATE of servers that take no session now: cannot_connect_now, too_many_connections.
const NOT_READY: [&str; 2] = ["57P03", "53300"];

/// The message that ends a session.
const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// The length of a message counts itself.
const LENGTH_BYTES: usize = 4;

/// Longest message that is read. Source: none, chosen: what an exchange reads at most.
const MESSAGE_MAX_BYTES: usize = 4096;

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
