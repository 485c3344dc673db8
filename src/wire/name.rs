//! Absolute domain names in uncompressed wire form.
//!
//! ```
//! use nameplate::wire::name::Name;
//! let name = Name::parse("Web.service.example").unwrap();
//! assert_eq!(name.to_string(), "Web.service.example.");
//! assert_eq!(name, Name::parse("web.SERVICE.example.").unwrap());
//! assert!(name.is_at_or_below(&Name::parse("example.").unwrap()));
//! ```
//!
//! **Limits:** 255 bytes in all, 63 a label (RFC 1035 section 2.3.4). Comparison ignores the case of
//! ASCII letters and of nothing else (RFC 4343).

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

/// An absolute domain name; letter case is kept, and ignored by comparison and hash.
#[derive(Clone)]
pub struct Name {
    wire: Arc<[u8]>,
}

/// Why bytes or text are not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A label has more than 63 bytes.
    #[error("a label is longer than 63 bytes")]
    LabelTooLong,
    /// The whole name has more than 255 bytes in wire form.
    #[error("the name is longer than 255 bytes")]
    NameTooLong,
    /// Two dots follow each other, or a dot begins the name.
    #[error("a label is empty")]
    EmptyLabel,
    /// A backslash is followed by neither a character nor three digits of at most 255.
    #[error("a backslash must be followed by a character or by three digits up to 255")]
    BadEscape,
    /// The wire form ends early, goes on after the root label, or holds a compression pointer.
    #[error("the bytes are not one uncompressed name")]
    Malformed,
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Name {
        Name { wire: Arc::from([0u8].as_slice()) }
    }

    /// Reads presentation format (RFC 1035 section 5.1, escapes included); the dot at the end may be left out.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        if text == "." {
            return Ok(Name::root());
        }
        let mut builder = NameBuilder::new();
        let mut label = Vec::with_capacity(LABEL_MAX_BYTES);
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'.' => {
                    builder.push(&label)?;
                    label.clear();
                    at += 1;
                }
                b'\\' => {
                    let (byte, used) = unescape(&bytes[at + 1..])?;
                    label.push(byte);
                    at += 1 + used;
                }
                byte => {
                    label.push(byte);
                    at += 1;
                }
            }
        }
        if !label.is_empty() {
            builder.push(&label)?;
        }
        builder.finish()
    }

    /// Takes exactly one uncompressed name in wire form, root label included.
    pub fn from_wire(bytes: &[u8]) -> Result<Name, NameError> {
        if bytes.len() > NAME_MAX_BYTES {
            return Err(NameError::NameTooLong);
        }
        let mut at = 0;
        loop {
            let length = *bytes.get(at).ok_or(NameError::Malformed)? as usize;
            if length > LABEL_MAX_BYTES {
                return Err(NameError::Malformed);
            }
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
        if at != bytes.len() {
            return Err(NameError::Malformed);
        }
        Ok(Name { wire: Arc::from(bytes) })
    }

    /// Builds a name from labels, leftmost first; the root label is added.
    pub fn from_labels<L: AsRef<[u8]>>(labels: impl IntoIterator<Item = L>) -> Result<Name, NameError> {
        let mut builder = NameBuilder::new();
        for label in labels {
            builder.push(label.as_ref())?;
        }
        builder.finish()
    }

    /// The wire form, root label included: 1 to 255 bytes.
    pub fn as_wire(&self) -> &[u8] {
        &self.wire
    }

    /// The labels, leftmost first, without the root label.
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: &self.wire }
    }

    /// How many labels the name has; the root has none.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.wire.len() == 1
    }

    /// The name without its leftmost label; the root has no parent.
    pub fn parent(&self) -> Option<Name> {
        let first = self.wire[0] as usize;
        (first != 0).then(|| Name { wire: Arc::from(&self.wire[1 + first..]) })
    }

    /// The same name with ASCII letters in lower case.
    pub fn to_lowercase(&self) -> Name {
        // Length bytes are below 64 and so never letters.
        Name { wire: self.wire.iter().map(u8::to_ascii_lowercase).collect() }
    }

    /// Whether the name equals `zone` or lies below it.
    pub fn is_at_or_below(&self, zone: &Name) -> bool {
        let (longer, shorter) = (self.label_count(), zone.label_count());
        if longer < shorter {
            return false;
        }
        let mut labels = self.labels();
        for _ in 0..longer - shorter {
            labels.next();
        }
        labels.rest.eq_ignore_ascii_case(&zone.wire)
    }

    /// This name with `label` put to its left.
    pub fn prepend(&self, label: &[u8]) -> Result<Name, NameError> {
        Name::from_labels(std::iter::once(label).chain(self.labels()))
    }
}

/// The labels of a name, leftmost first.
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = *self.rest.first()? as usize;
        if length == 0 {
            return None;
        }
        let label = &self.rest[1..1 + length];
        self.rest = &self.rest[1 + length..];
        Some(label)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text)
    }
}

/// Presentation format with the dot at the end; bytes that need it are escaped.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => write!(f, "\\{}", byte as char)?,
                    0x21..=0x7e => write!(f, "{}", byte as char)?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.wire.eq_ignore_ascii_case(&other.wire)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.wire.iter() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

/// Canonical order: by labels from the right, case ignored (RFC 4034 section 6.1).
impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        let lowered = |name: &Name| -> Vec<Vec<u8>> {
            let mut labels: Vec<_> = name.labels().map(<[u8]>::to_ascii_lowercase).collect();
            labels.reverse();
            labels
        };
        lowered(self).cmp(&lowered(other))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct NameBuilder {
    wire: Vec<u8>,
}

impl NameBuilder {
    fn new() -> NameBuilder {
        NameBuilder { wire: Vec::with_capacity(64) }
    }

    fn push(&mut self, label: &[u8]) -> Result<(), NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > LABEL_MAX_BYTES {
            return Err(NameError::LabelTooLong);
        }
        self.wire.push(label.len() as u8);
        self.wire.extend_from_slice(label);
        Ok(())
    }

    fn finish(mut self) -> Result<Name, NameError> {
        self.wire.push(0);
        if self.wire.len() > NAME_MAX_BYTES {
            return Err(NameError::NameTooLong);
        }
        Ok(Name { wire: Arc::from(self.wire) })
    }
}

/// Reads what follows a backslash: the byte it stands for, and how many characters it took.
fn unescape(rest: &[u8]) -> Result<(u8, usize), NameError> {
    match rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = u32::from(a - b'0') * 100 + u32::from(b - b'0') * 10 + u32::from(c - b'0');
            u8::try_from(value).map(|byte| (byte, 3)).map_err(|_| NameError::BadEscape)
        }
        [b'0'..=b'9', ..] | [] => Err(NameError::BadEscape),
        [byte, ..] => Ok((*byte, 1)),
    }
}

/// Longest label. Source: RFC 1035 section 2.3.4.
pub const LABEL_MAX_BYTES: usize = 63;

/// Longest name in wire form, length bytes and root label included. Source: RFC 1035 section 2.3.4.
pub const NAME_MAX_BYTES: usize = 255;

#[cfg(test)]
#[path = "name_tests.rs"]
mod tests;
