//! Splits the text of a zone file into entries and tokens.
//!
//! ```text
//! www 300 IN A 192.0.2.1 ; comment      one entry of five tokens
//!   IN TXT ( "a b"                      one entry of three tokens, indented: it has the owner of the last
//!            c )
//! ```
//!
//! **Limits:** an entry has at most [`ENTRY_MAX_BYTES`] of text. A quoted string ends on the line on which it begins,
//! so that a forgotten quote is found where it is. Nothing is unescaped here.
//!
//! **Source:** RFC 1035 section 5.1; quotes inside a word (`alpn="h2,h3"`) RFC 9460 section 2.1.

use super::problem::ZoneFileError;

/// The entries of a text, one by one.
pub(super) struct Splitter<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
}

/// One entry: a directive or a record.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Line of the first token.
    pub(super) line: u32,
    /// Whether its line begins with a blank.
    pub(super) is_indented: bool,
    /// At least one.
    pub(super) tokens: Vec<Token<'a>>,
}

/// A word or a quoted string, with its escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// The text as written; a quoted string without its quotes.
    pub(super) raw: &'a [u8],
    /// Whether quotes are around it or in it.
    pub(super) quotes: Quotes,
    /// The line on which it stands.
    pub(super) line: u32,
}

/// Where a token has quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Nowhere.
    None,
    /// Around it.
    Around,
    /// Inside: `alpn="h2"`. They are part of the text.
    Inside,
}

/// Why an entry could not be split, and on which line.
pub(super) type SplitError = (u32, ZoneFileError);

impl<'a> Splitter<'a> {
    /// Begins at line 1; a byte order mark is skipped.
    pub(super) fn new(text: &'a [u8]) -> Splitter<'a> {
        Splitter { text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text), at: 0, line: 1 }
    }

    /// Reads the tokens up to the end of the entry; none for an empty line.
    fn tokens(&mut self) -> Result<Vec<Token<'a>>, SplitError> {
        let (start, start_line) = (self.at, self.line);
        let mut tokens = Vec::new();
        let mut open_lines: Vec<u32> = Vec::new();
        while let Some(&byte) = self.text.get(self.at) {
            if self.at - start > ENTRY_MAX_BYTES {
                return Err((start_line, ZoneFileError::EntryTooLong { max: ENTRY_MAX_BYTES }));
            }
            match byte {
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    if open_lines.is_empty() {
                        return Ok(tokens);
                    }
                }
                b' ' | b'\t' => self.at += 1,
                b'\r' if matches!(self.text.get(self.at + 1), None | Some(b'\n')) => self.at += 1,
                b';' => self.skip_comment(),
                b'(' => {
                    open_lines.push(self.line);
                    self.at += 1;
                }
                b')' => {
                    open_lines.pop().ok_or((self.line, ZoneFileError::UnopenedParenthesis))?;
                    self.at += 1;
                }
                b'"' => tokens.push(self.quoted()?),
                _ => tokens.push(self.word()?),
            }
        }
        match open_lines.first() {
            Some(&line) => Err((line, ZoneFileError::UnclosedParenthesis)),
            None => Ok(tokens),
        }
    }

    fn quoted(&mut self) -> Result<Token<'a>, SplitError> {
        let start = self.at + 1;
        self.skip_quoted()?;
        Ok(Token { raw: &self.text[start..self.at - 1], quotes: Quotes::Around, line: self.line })
    }

    fn word(&mut self) -> Result<Token<'a>, SplitError> {
        let start = self.at;
        let mut quotes = Quotes::None;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'(' | b')' => break,
                b'\r' if matches!(self.text.get(self.at + 1), None | Some(b'\n')) => break,
                b'"' => {
                    quotes = Quotes::Inside;
                    self.skip_quoted()?;
                }
                b'\\' => self.skip_escape(),
                0..=0x1f | 0x7f => return Err((self.line, ZoneFileError::ControlCharacter { byte })),
                _ => self.at += 1,
            }
        }
        Ok(Token { raw: &self.text[start..self.at], quotes, line: self.line })
    }

    /// Goes from the opening quote to behind the closing one.
    fn skip_quoted(&mut self) -> Result<(), SplitError> {
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                None | Some(b'\n') => return Err((self.line, ZoneFileError::UnclosedQuote)),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.skip_escape(),
                Some(_) => self.at += 1,
            }
        }
    }

    /// Goes behind a backslash and the byte after it, but never over the end of the line.
    fn skip_escape(&mut self) {
        self.at += match self.text.get(self.at + 1) {
            None | Some(b'\n' | b'\r') => 1,
            Some(_) => 2,
        };
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }

    fn skip_line(&mut self) {
        self.skip_comment();
        if self.at < self.text.len() {
            self.at += 1;
            self.line += 1;
        }
    }
}

impl<'a> Iterator for Splitter<'a> {
    type Item = Result<Entry<'a>, SplitError>;

    /// The next entry; after an error reading goes on with the next line.
    fn next(&mut self) -> Option<Result<Entry<'a>, SplitError>> {
        while let Some(&first) = self.text.get(self.at) {
            match self.tokens() {
                Ok(tokens) => {
                    if let Some(token) = tokens.first() {
                        let (line, is_indented) = (token.line, matches!(first, b' ' | b'\t'));
                        return Some(Ok(Entry { line, is_indented, tokens }));
                    }
                }
                Err(error) => {
                    self.skip_line();
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Most text that one entry may have.
///
/// Source: 65,535 bytes of RDATA need at most four times as many bytes of text; the rest is room for comments.
pub(super) const ENTRY_MAX_BYTES: usize = 512 * 1024;

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
