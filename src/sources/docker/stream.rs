//! JSON objects out of bytes as they come. Pure.
//!
//! Between objects there may be line ends (JSON lines, what Docker and Podman send), the record separator of RFC 7464
//! (`application/json-seq`, which newer daemons offer), or nothing.

use serde_json::{Value, error::Category};

/// Bytes that have come, less the objects that were taken.
#[derive(Debug)]
pub(super) struct Objects {
    bytes: Vec<u8>,
    /// Where the first object that was not taken begins.
    start: usize,
    /// Most bytes that wait for the end of an object.
    most: usize,
}

impl Objects {
    /// Nothing has come; an object has at most so many bytes.
    pub(super) fn new(most: usize) -> Objects {
        Objects { bytes: Vec::new(), start: 0, most }
    }

    /// Takes what has come. False if an object is longer than it may be; take all before.
    pub(super) fn push(&mut self, piece: &[u8]) -> bool {
        self.bytes.drain(..self.start);
        self.start = 0;
        let fits = self.bytes.len() <= self.most;
        self.bytes.extend_from_slice(piece);
        fits
    }

    /// The next object that has come as a whole.
    pub(super) fn next(&mut self) -> Result<Option<Value>, serde_json::Error> {
        let between = |byte: &&u8| byte.is_ascii_whitespace() || **byte == RECORD_SEPARATOR;
        self.start += self.bytes[self.start..].iter().take_while(between).count();
        let rest = &self.bytes[self.start..];
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        match values.next() {
            None => Ok(None),
            Some(Ok(value)) => {
                self.start += values.byte_offset();
                Ok(Some(value))
            }
            Some(Err(error)) if error.classify() == Category::Eof => Ok(None),
            Some(Err(error)) => Err(error),
        }
    }
}

/// What begins a record. Source: RFC 7464 section 2.2.
const RECORD_SEPARATOR: u8 = 0x1e;

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
