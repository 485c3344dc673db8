//! The identifiers of the catalog. One that exists is valid: not empty, not longer than its limit, no control
//! characters. Letter case and spelling are kept; what DNS makes of them is decided in `publish::label`.
//!
//! Cloning costs a reference count.

use std::{borrow::Borrow, fmt};

/// A text that many may hold. A clone costs a reference count, a pointer 8 bytes.
pub use arcstr::ArcStr as Text;

/// Why a text cannot be an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Nothing between the quotes.
    #[error("must not be empty")]
    Empty,
    /// Longer than its kind may be.
    #[error("must be at most {most} bytes, not {length}")]
    TooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// A control character, at this byte.
    #[error("must not contain control characters (byte {0})")]
    Control(usize),
}

/// Longest identifier. Source: none, chosen: as long as the longest domain name's text (RFC 1035 section 2.3.4).
pub const IDENTIFIER_MAX_BYTES: usize = 253;

/// Longest tag. Source: none, chosen: Traefik keeps whole routing rules in tags.
pub const TAG_MAX_BYTES: usize = 4096;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $most:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Text);

        impl $name {
            /// Takes the text if it can be one.
            pub fn new(text: impl Into<Text>) -> Result<$name, IdentifierError> {
                let text = text.into();
                validate(&text, $most)?;
                Ok($name(text))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text itself, for putting an equal one in its place.
            #[allow(dead_code, reason = "not every identifier is shared")]
            pub(super) fn text_mut(&mut self) -> &mut Text {
                &mut self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

identifier!(
    /// Name of a machine that runs services; unique in the catalog.
    NodeName,
    IDENTIFIER_MAX_BYTES
);
identifier!(
    /// Name that the instances of a service share.
    ServiceName,
    IDENTIFIER_MAX_BYTES
);
identifier!(
    /// Identifies an instance on its node.
    ServiceId,
    IDENTIFIER_MAX_BYTES
);
identifier!(
    /// Identifies a check on its node.
    CheckId,
    IDENTIFIER_MAX_BYTES
);
identifier!(
    /// A tag of an instance.
    Tag,
    TAG_MAX_BYTES
);
identifier!(
    /// The name of one of an instance's ports.
    PortName,
    IDENTIFIER_MAX_BYTES
);

impl CheckId {
    /// An ID made from another identifier and a prefix of ours: longer than a given one may be, otherwise valid.
    pub fn derived(text: &str) -> CheckId {
        CheckId(Text::from(text))
    }
}

fn validate(text: &str, most: usize) -> Result<(), IdentifierError> {
    if text.is_empty() {
        return Err(IdentifierError::Empty);
    }
    if text.len() > most {
        return Err(IdentifierError::TooLong { length: text.len(), most });
    }
    match text.char_indices().find(|(_, character)| character.is_control()) {
        Some((at, _)) => Err(IdentifierError::Control(at)),
        None => Ok(()),
    }
}
