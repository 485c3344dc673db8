//! The text of an extended error, in room that is kept between queries.

use crate::wire::writer::TEXT_MAX_BYTES;

/// A text that is written piece by piece; what is too long is cut.
#[derive(Debug)]
pub struct Text {
    bytes: [u8; TEXT_MAX_BYTES],
    length: usize,
}

impl Default for Text {
    fn default() -> Text {
        Text { bytes: [0; TEXT_MAX_BYTES], length: 0 }
    }
}

impl Text {
    /// Makes it empty.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// What was written so far.
    pub fn as_str(&self) -> &str {
        let bytes = &self.bytes[..self.length];
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            // Cut in the middle of a character.
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        }
    }
}

impl std::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let taken = text.len().min(TEXT_MAX_BYTES - self.length);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        Ok(())
    }
}
