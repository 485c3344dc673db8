//! Calls of gRPC over HTTP/2: one message or several each way, without compression.
//!
//! **Limits:** an answer's message has at most as many bytes as the caller says; of a longer one nothing is read. What a
//! status says is cut to [`STATUS_MAX_BYTES`].
//!
//! `tonic` is not used: what it would save is this file, but it panics on a status whose details are no base64, and warns in
//! the log of one whose message is no UTF-8, both of which a peer may send.
//!
//! **Source:** gRPC over HTTP2.

use std::time::Duration;

use h2::{RecvStream, client::ResponseFuture};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use prost::{
    Message,
    bytes::{Buf, BufMut, Bytes, BytesMut},
};

use super::error::{Failure, UNAVAILABLE, UNKNOWN};

/// A message as it is sent.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).expect("requests are a few mebibytes at most"));
    message.encode(&mut bytes).expect("the buffer grows");
    bytes.freeze()
}

/// The head of a call; `timeout` is told to the server.
pub(super) fn head(uri: Uri, token: Option<&HeaderValue>, timeout: Option<Duration>) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = http::Method::POST;
    *head.uri_mut() = uri;
    let headers = head.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("nameplate/", env!("CARGO_PKG_VERSION"))));
    // A member that is cut off then says so instead of answering from what it has.
    headers.insert("hasleader", HeaderValue::from_static("true"));
    if let Some(token) = token {
        headers.insert("token", token.clone());
    }
    if let Some(timeout) = timeout {
        // At most eight digits (gRPC over HTTP2, Timeout).
        let millis = timeout.as_millis().clamp(1, 99_999_999);
        headers.insert("grpc-timeout", HeaderValue::try_from(format!("{millis}m")).expect("digits and a letter"));
    }
    head
}

/// The messages that come back.
#[derive(Debug)]
pub(super) struct Answers {
    /// Before the first message: the head, which may be all there is.
    head: Option<ResponseFuture>,
    body: Option<RecvStream>,
    buffer: BytesMut,
    message_max_bytes: usize,
}

impl Answers {
    pub(super) fn new(head: ResponseFuture, message_max_bytes: usize) -> Answers {
        Answers { head: Some(head), body: None, buffer: BytesMut::new(), message_max_bytes }
    }

    /// The next message; none at a good end. Loses nothing when it is dropped and called again.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(head) = &mut self.head {
                let response = head.await;
                self.head = None;
                self.body = Some(begun(response.map_err(|error| broken_off(&error))?)?);
            }
            if let Some(message) = unframed(&mut self.buffer, self.message_max_bytes)? {
                return Ok(Some(message));
            }
            let Some(body) = &mut self.body else { return Err(Failure::malformed("nothing follows an error")) };
            match body.data().await {
                Some(piece) => {
                    let piece = piece.map_err(|error| broken_off(&error))?;
                    // Fails when the stream has ended meanwhile, which the next read tells.
                    drop(body.flow_control().release_capacity(piece.len()));
                    self.buffer.extend_from_slice(&piece);
                }
                None => {
                    let trailers = body.trailers().await.map_err(|error| broken_off(&error))?;
                    return match status(&trailers.unwrap_or_default()) {
                        Some(Ok(())) if self.buffer.is_empty() => Ok(None),
                        Some(Err(failure)) => Err(failure),
                        Some(Ok(())) => Err(Failure::malformed("it ends within a message")),
                        None => Err(Failure::malformed("it ends without a gRPC status")),
                    };
                }
            }
        }
    }

    /// The only message.
    pub(super) async fn only<M: Message + Default>(&mut self) -> Result<M, Failure> {
        let message = self.next().await?.ok_or_else(|| Failure::malformed("an answer without a message"))?;
        match self.next().await? {
            None => decoded(message),
            Some(_) => Err(Failure::malformed("an answer of two messages")),
        }
    }
}

pub(super) fn decoded<M: Message + Default>(message: Bytes) -> Result<M, Failure> {
    M::decode(message).map_err(Failure::malformed)
}

/// What an error of HTTP/2 says after the call began.
pub(super) fn broken_off(error: &h2::Error) -> Failure {
    Failure::BrokenOff(error.to_string())
}

/// The body of an answer that is one of gRPC.
fn begun(response: http::Response<RecvStream>) -> Result<RecvStream, Failure> {
    let (head, body) = response.into_parts();
    // An answer without a message has its trailers in the place of headers.
    if let Some(Err(failure)) = status(&head.headers) {
        return Err(failure);
    }
    let kind = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    match head.status {
        StatusCode::OK if kind.starts_with(CONTENT_TYPE.as_bytes()) => Ok(body),
        StatusCode::OK => Err(Failure::malformed("no gRPC")),
        // A proxy before it (gRPC's mapping of HTTP status codes).
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Err(Failure::Status(UNAVAILABLE, format!("HTTP status {}", head.status))),
        status => Err(Failure::malformed(format_args!("HTTP status {status}"))),
    }
}

/// Takes a message from the front, if it is there as a whole.
fn unframed(buffer: &mut BytesMut, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
    let Some((prefix, _)) = buffer.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let [compressed, length @ ..] = *prefix;
    if compressed != 0 {
        return Err(Failure::malformed("a compressed message"));
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > max_bytes {
        return Err(Failure::TooLong(max_bytes));
    }
    if buffer.len() - PREFIX_BYTES < length {
        return Ok(None);
    }
    buffer.advance(PREFIX_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// What trailers say of the call, if anything.
fn status(trailers: &HeaderMap) -> Option<Result<(), Failure>> {
    let code = trailers.get("grpc-status")?;
    let code = code.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN);
    if code == 0 {
        return Some(Ok(()));
    }
    let message = trailers.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
    Some(Err(Failure::Status(code, percent_decoded(&message[..message.len().min(STATUS_MAX_BYTES)]))))
}

/// The message of a status (gRPC over HTTP2, Status-Message); what is no escape stays as it is.
fn percent_decoded(text: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

const CONTENT_TYPE: &str = "application/grpc";

/// Whether the message is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Most that is shown of what a status says. Source: none, chosen: etcd's longest has 80.
const STATUS_MAX_BYTES: usize = 400;

#[cfg(test)]
#[path = "grpc_tests.rs"]
mod tests;
