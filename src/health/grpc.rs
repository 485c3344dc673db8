//! gRPC probes: a call of `grpc.health.v1.Health/Check` over HTTP/2, in clear or over TLS. The target is a host and port,
//! and after a `/` the service that is asked for; without one it is the server itself.
//!
//! | answer | verdict |
//! |---|---|
//! | SERVING | passing |
//! | NOT_SERVING, UNKNOWN, SERVICE_UNKNOWN | critical |
//! | a gRPC status that is not OK: NOT_FOUND (no such service), UNIMPLEMENTED (no health service), ... | critical |
//! | no gRPC, no connection, no TLS (name and certificate are verified), a reset, silence until the timeout | critical |
//!
//! | bound | value |
//! |---|---|
//! | message read | 4 KiB; more is no answer |
//!
//! **Source:** gRPC over HTTP2, gRPC Health Checking Protocol; Consul's gRPC check.

use std::time::Duration;

use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use hyper::body::Bytes;

use super::{
    connect::{Connector, Target},
    kept::Kept,
    probe::{Outcome, cut_to, deadline, within},
};
use crate::catalog::check::{CheckStatus, ClientTls};

/// Asks a server once how a service of it is, within this time.
pub(super) async fn probe(
    (connector, kept): (&Connector, &Kept),
    target: &str,
    tls: &ClientTls,
    timeout: Duration,
) -> Outcome {
    let deadline = deadline(timeout);
    let what = format!("gRPC check {target}");
    let (at, service) = target.split_once('/').unwrap_or((target, ""));
    let target = Target { at, what: &what, deadline };
    let Some(request) = request(at, tls, timeout) else {
        return target.critical("the target must be host:port or host:port/service");
    };
    let message = framed(service);
    let work = |requests| call(requests, request.clone(), message.clone());
    match within(deadline, kept.call(connector, (target, tls), work)).await {
        Some(Ok(answer)) => match verdict(&answer) {
            Ok(()) => Outcome::Done { status: CheckStatus::Passing, output: format!("{what}: SERVING") },
            Err(problem) => target.critical(problem),
        },
        Some(Err(outcome)) => outcome,
        None => target.critical(format_args!("no answer within {timeout:?}")),
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// At most one byte more than may be read.
    message: Vec<u8>,
    trailers: HeaderMap,
}

/// The head of the request; none if it cannot be sent there.
pub(super) fn request(at: &str, tls: &ClientTls, timeout: Duration) -> Option<Request<()>> {
    let host = if at.starts_with(':') { format!("localhost{at}") } else { at.to_owned() };
    let authority = tls.tls_server_name.as_deref().filter(|_| tls.use_tls).unwrap_or(&host);
    let scheme = if tls.use_tls { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(METHOD).build().ok()?;
    let request = Request::post(uri).header(header::CONTENT_TYPE, CONTENT_TYPE).header(header::TE, "trailers");
    // At most eight digits (gRPC over HTTP2, Timeout).
    let time = format!("{}m", timeout.as_millis().clamp(1, 99_999_999));
    request.header(header::USER_AGENT, USER_AGENT).header("grpc-timeout", time).body(()).ok()
}

/// Asks, on a connection that is driven meanwhile.
pub(super) async fn call(
    requests: SendRequest<Bytes>,
    request: Request<()>,
    message: Bytes,
) -> Result<Answer, h2::Error> {
    let mut requests = requests.ready().await?;
    let (response, mut body) = requests.send_request(request, false)?;
    body.send_data(message, true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut answer =
        Answer { status: head.status, headers: head.headers, message: Vec::new(), trailers: HeaderMap::new() };
    while let Some(piece) = body.data().await {
        let piece = piece?;
        let room = MESSAGE_MAX_BYTES + 1 - answer.message.len();
        answer.message.extend_from_slice(&piece[..piece.len().min(room)]);
        if answer.message.len() > MESSAGE_MAX_BYTES {
            return Ok(answer);
        }
    }
    answer.trailers = body.trailers().await?.unwrap_or_default();
    Ok(answer)
}

/// Whether an answer says that the service serves, or what it says instead.
pub(super) fn verdict(answer: &Answer) -> Result<(), String> {
    if answer.status != StatusCode::OK {
        return Err(format!("HTTP status {}", answer.status));
    }
    let kind = text(&answer.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if !kind.starts_with(CONTENT_TYPE) {
        return Err(format!("no gRPC, but {:?}", cut_to(&kind, SHOWN_MAX_BYTES)));
    }
    if answer.message.len() > MESSAGE_MAX_BYTES {
        return Err(format!("more than {MESSAGE_MAX_BYTES} bytes came"));
    }
    // An answer without a message has its trailers in the place of headers.
    let of_call = |name| text(&answer.trailers, name).or_else(|| text(&answer.headers, name));
    let code = of_call("grpc-status").ok_or("the answer ends without a gRPC status")?;
    if code != "0" {
        let name =
            code.parse().ok().and_then(|code: usize| CODES.get(code).copied()).unwrap_or("an unknown gRPC status");
        let message = percent_decoded(&of_call("grpc-message").unwrap_or_default());
        return Err(format!("{name} ({}): {}", cut_to(&code, SHOWN_MAX_BYTES), cut_to(&message, SHOWN_MAX_BYTES)));
    }
    match unframed(&answer.message).and_then(serving_status) {
        Some(SERVING) => Ok(()),
        Some(status) => {
            let name = usize::try_from(status).ok().and_then(|status| STATUSES.get(status).copied());
            Err(name.map_or_else(|| format!("unknown serving status {status}"), str::to_owned))
        }
        None => Err("what came is no answer of grpc.health.v1".to_owned()),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The message of a status (gRPC over HTTP2, Status-Message); what is no escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        match escaped.filter(|_| *first == b'%') {
            Some(byte) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// A `HealthCheckRequest` in a frame: field 1 is the service's name.
pub(super) fn framed(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(FIELD_1_BYTES);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).expect("a target is no gigabyte").to_be_bytes();
    [&[NOT_COMPRESSED][..], &length[..], &message].concat().into()
}

/// The message of the one frame.
fn unframed(bytes: &[u8]) -> Option<&[u8]> {
    let (head, message) = bytes.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    (head[0] == NOT_COMPRESSED && usize::try_from(length) == Ok(message.len())).then_some(message)
}

/// Field 1 of a `HealthCheckResponse`; other fields are of later versions.
fn serving_status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let skipped = match key & 7 {
            0 => {
                let value = varint(&mut message)?;
                if key >> 3 == 1 {
                    status = value;
                }
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        message = message.get(skipped..)?;
    }
    Some(status)
}

/// Takes a number off the beginning.
fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

const METHOD: &str = "/grpc.health.v1.Health/Check";

const CONTENT_TYPE: &str = "application/grpc";

const USER_AGENT: &str = concat!("grpc-nameplate/", env!("CARGO_PKG_VERSION"));

/// Key of a first field that is a text. Source: Protocol Buffers, encoding.
const FIELD_1_BYTES: u8 = 1 << 3 | 2;

const NOT_COMPRESSED: u8 = 0;

/// Source: health.proto, as are the names.
const SERVING: u64 = 1;

const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// Names of gRPC's status codes. Source: its status codes page.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Longest message that is read. Source: none, chosen: a right one has seven bytes.
const MESSAGE_MAX_BYTES: usize = 4096;

/// Most that is shown of a text of the server's. Source: none, chosen.
const SHOWN_MAX_BYTES: usize = 512;

#[cfg(test)]
#[path = "grpc_tests.rs"]
mod tests;
