//! Exchanges of probes with servers over TCP: something is sent, and what comes is read until it is understood.
//!
//! | bound | value |
//! |---|---|
//! | bytes read in one exchange | 4 KiB; more is critical |
//! | text of a server's in an output | 256 bytes, on one line |

use std::{future::Future, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    connect::{Connector, Target},
    probe::{Outcome, within},
};
use crate::catalog::check::CheckStatus;

/// A connection of a probe, and what was read from it and is not yet understood.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    target: Target<'a>,
    stream: TcpStream,
    bytes: Vec<u8>,
    read: usize,
}

/// What a probe's reader makes of the bytes that have come so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<T> {
    /// So much of them is this.
    Done(T, usize),
    /// They are the beginning of something.
    More,
    /// They are not what the protocol has there, for this reason.
    Wrong(String),
}

impl<'a> Exchange<'a> {
    /// Connects, and sends these bytes at once.
    pub(super) async fn open(connector: &Connector, target: Target<'a>, first: &[u8]) -> Result<Exchange<'a>, Outcome> {
        let stream = connector.plain(target).await?;
        let mut exchange = Exchange { target, stream, bytes: Vec::new(), read: 0 };
        exchange.send(first).await?;
        Ok(exchange)
    }

    /// Sends these bytes.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Outcome> {
        self.stream.write_all(bytes).await.map_err(|error| self.target.failed(&error))
    }

    /// Reads until this makes something of what came.
    pub(super) async fn receive<T>(&mut self, read: impl Fn(&[u8]) -> Reading<T>) -> Result<T, Outcome> {
        loop {
            match read(&self.bytes) {
                Reading::Done(understood, length) => {
                    self.bytes.drain(..length.min(self.bytes.len()));
                    return Ok(understood);
                }
                Reading::Wrong(problem) => return Err(self.target.critical(problem)),
                Reading::More => {}
            }
            let left = READ_MAX_BYTES.saturating_sub(self.read);
            if left == 0 {
                return Err(self.target.critical(format_args!("no answer in the first {READ_MAX_BYTES} bytes")));
            }
            let mut chunk = [0; 1024];
            let room = left.min(chunk.len());
            match self.stream.read(&mut chunk[..room]).await {
                Ok(0) if self.bytes.is_empty() => {
                    return Err(self.target.critical("the connection was closed without an answer"));
                }
                Ok(0) => return Err(self.target.critical("the connection was closed within an answer")),
                Ok(count) => {
                    self.bytes.extend_from_slice(&chunk[..count]);
                    self.read += count;
                }
                Err(error) => return Err(self.target.failed(&error)),
            }
        }
    }
}

/// Awaits what a probe does until its deadline. What it says when it is done is the output of one that passes.
pub(super) async fn verdict(
    target: Target<'_>,
    timeout: Duration,
    probe: impl Future<Output = Result<String, Outcome>>,
) -> Outcome {
    match within(target.deadline, probe).await {
        Some(Ok(said)) => Outcome::Done { status: CheckStatus::Passing, output: format!("{}: {said}", target.what) },
        Some(Err(outcome)) => outcome,
        None => target.critical(format_args!("no answer within {timeout:?}")),
    }
}

/// What a server said, for people: one line, without control characters, cut.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_MAX_BYTES)]);
    let printed: String = text.chars().map(|each| if each.is_control() { ' ' } else { each }).collect();
    printed.trim().to_owned()
}

/// Most bytes that a probe reads.
///
/// Source: AMQP 0-9-1 section 4.2.3, whose first frame may have so many; the other answers are shorter.
const READ_MAX_BYTES: usize = 4096;

/// Most bytes of a server's own text in an output. Source: none, chosen: more than the errors that are looked for have.
const SHOWN_MAX_BYTES: usize = 256;
