//! Probes of MySQL and MariaDB: pass if the server greets, and answers a login.
//!
//! | the server's | verdict |
//! |---|---|
//! | greeting of protocol 10, and OK or an error to the login, such as 1045 (access denied) | passing, with its version |
//! | error in place of the greeting, such as 1040 (too many connections), 1129 (host blocked), 1130 (host not allowed) | critical |
//! | error 1040, 1053 (shutdown in progress) or 1129 to the login | critical |
//! | anything else; a closed connection; a packet beyond 4 KiB; silence until the timeout | critical |
//!
//! Who closes after the greeting is counted as a connection error: measured with MariaDB 10.11, a host whose name is
//! known is blocked (error 1129) after `max_connect_errors` of them. A login that is refused is not counted so; the
//! server logs it. Thus a login as user `nameplate` without a password is sent; a server that takes it is quit.
//!
//! **Limits:** no TLS: a server that demands it refuses the login, which passes. A probe that is given up at its timeout is a
//! connection error, as any client's is: one that hung may block a named host when it goes on, until its hosts are flushed.
//!
//! **Source:** MySQL's client/server protocol, "Protocol::HandshakeV10", "Protocol::HandshakeResponse41",
//! "Protocol::AuthSwitchRequest", "ERR_Packet"; MySQL's reference manual on the host cache and `max_connect_errors`.

use std::time::Duration;

use super::{
    connect::{Connector, Target},
    exchange::{Exchange, Reading, shown, verdict},
    probe::{Outcome, deadline},
};

/// Probes a host and port once, within this time.
pub(super) async fn probe(connector: &Connector, target: &str, timeout: Duration) -> Outcome {
    let what = format!("MySQL greeting {target}");
    let target = Target { at: target, what: &what, deadline: deadline(timeout) };
    verdict(target, timeout, async {
        let mut exchange = Exchange::open(connector, target, &[]).await?;
        let version = exchange.receive(read_greeting).await?.map_err(|problem| target.critical(problem))?;
        exchange.send(&packet(1, &login())).await?;
        for _ in 0..ROUNDS_MAX {
            match exchange.receive(read_answer).await? {
                Answer::Welcome(sequence) => {
                    // It may have closed: it has answered.
                    let _ = exchange.send(&packet(sequence.wrapping_add(1), &[])).await;
                    let _ = exchange.send(&packet(0, &[COM_QUIT])).await;
                    return Ok(version);
                }
                // An empty answer is an empty password, whatever the method.
                Answer::Method(sequence) => exchange.send(&packet(sequence.wrapping_add(1), &[])).await?,
                Answer::Error(code @ (1040 | 1053 | 1129), message) => {
                    return Err(target.critical(format_args!("error {code}: {message}")));
                }
                Answer::Error(..) => return Ok(version),
            }
        }
        Ok(version)
    })
    .await
}

/// What the server makes of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is accepted, in the packet of this number.
    Welcome(u8),
    /// It is to be given in another way.
    Method(u8),
    /// It is refused.
    Error(u16, String),
}

/// Reads the greeting: the server's version, or the error that came in its place.
pub(super) fn read_greeting(bytes: &[u8]) -> Reading<Result<String, String>> {
    read_packet(bytes, |_, payload| match payload {
        [10, rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == 0)?;
            // MariaDB sends this before its own version, for the sake of old clients.
            let version = rest[..end].strip_prefix(b"5.5.5-").unwrap_or(&rest[..end]);
            (rest.len() - end > GREETING_AFTER_VERSION_BYTES).then(|| Ok(format!("version {}", shown(version))))
        }
        [0xff, rest @ ..] => read_error(rest).map(|(code, message)| Err(format!("error {code}: {message}"))),
        _ => None,
    })
}

/// Reads an answer to a login.
pub(super) fn read_answer(bytes: &[u8]) -> Reading<Answer> {
    read_packet(bytes, |sequence, payload| match payload {
        [0x00, ..] => Some(Answer::Welcome(sequence)),
        [0x01 | 0xfe, ..] => Some(Answer::Method(sequence)),
        [0xff, rest @ ..] => read_error(rest).map(|(code, message)| Answer::Error(code, message)),
        _ => None,
    })
}

/// Reads a packet, of which this makes something, or nothing.
fn read_packet<T>(bytes: &[u8], understand: impl Fn(u8, &[u8]) -> Option<T>) -> Reading<T> {
    let [low, middle, high, sequence, rest @ ..] = bytes else { return Reading::More };
    let length = usize::from(*low) | usize::from(*middle) << 8 | usize::from(*high) << 16;
    if length == 0 || length > PAYLOAD_MAX_BYTES {
        return Reading::Wrong(format!("not what MySQL says: {:?}", shown(bytes)));
    }
    let Some(payload) = rest.get(..length) else { return Reading::More };
    match understand(*sequence, payload) {
        Some(understood) => Reading::Done(understood, HEADER_BYTES + length),
        None => Reading::Wrong(format!("not what MySQL says here: {:?}", shown(payload))),
    }
}

/// Reads an error after its first byte: code and message, between which a state stands once a login was sent.
fn read_error(bytes: &[u8]) -> Option<(u16, String)> {
    let [low, high, message @ ..] = bytes else { return None };
    let message = match message {
        [b'#', _, _, _, _, _, message @ ..] => message,
        message => message,
    };
    Some((u16::from_le_bytes([*low, *high]), shown(message)))
}

/// A login without a password.
fn login() -> Vec<u8> {
    // LONG_PASSWORD, PROTOCOL_41, SECURE_CONNECTION (a password has its length before it), PLUGIN_AUTH.
    let capabilities: u32 = 0x1 | 0x200 | 0x8000 | 0x8_0000;
    let utf8 = 33;
    let mut payload = Vec::new();
    payload.extend_from_slice(&capabilities.to_le_bytes());
    payload.extend_from_slice(&(PAYLOAD_MAX_BYTES as u32).to_le_bytes());
    payload.push(utf8);
    payload.extend_from_slice(&[0; 23]);
    payload.extend_from_slice(b"nameplate\0\0mysql_native_password\0");
    payload
}

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = (payload.len() as u32).to_le_bytes().to_vec();
    packet[3] = sequence;
    packet.extend_from_slice(payload);
    packet
}

/// Length of the packet's length and number.
const HEADER_BYTES: usize = 4;

/// Longest packet that is read. Source: none, chosen: what an exchange reads at most; a greeting has about 100 bytes.
const PAYLOAD_MAX_BYTES: usize = 4096 - HEADER_BYTES;

/// What follows the version at least: the end of it, the connection's number, the first part of the scramble, a filler,
/// and capabilities.
const GREETING_AFTER_VERSION_BYTES: usize = 4 + 8 + 1 + 2;

/// Most packets that answer a login. Source: none, chosen: one is usual, two when the server asks for another method.
const ROUNDS_MAX: usize = 4;

/// The command that ends a session.
const COM_QUIT: u8 = 1;

#[cfg(test)]
#[path = "mysql_tests.rs"]
mod tests;
