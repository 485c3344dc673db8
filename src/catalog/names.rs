//! The identifiers of the catalog. One that exists is valid: not empty, not longer than its limit, no control
//! characters. Letter case and spelling are kept; what DNS makes of them is decided in `publish::label`.
//!
//! Cloning costs a reference count.

use std::{
    borrow::Borrow,
    fmt,
    hash::{Hash, Hasher},
};

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

/// Identifies an instance on its node.
///
/// In memory it stands behind `service:`, so that the check of that ID, which most instances have, needs no text of
/// its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceId(Text);

impl ServiceId {
    /// Takes the text if it can be one.
    pub fn new(text: impl AsRef<str>) -> Result<ServiceId, IdentifierError> {
        let text = text.as_ref();
        validate(text, IDENTIFIER_MAX_BYTES)?;
        let prefix = SERVICE_CHECK_PREFIX.as_bytes();
        let text = Text::init_with(prefix.len() + text.len(), |bytes| {
            let (before, after) = bytes.split_at_mut(prefix.len());
            before.copy_from_slice(prefix);
            after.copy_from_slice(text.as_bytes());
        });
        Ok(ServiceId(text.expect("two texts make one")))
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0[SERVICE_CHECK_PREFIX.len()..]
    }
}

/// As its text, because tables are asked for it by that.
impl Hash for ServiceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl Borrow<str> for ServiceId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl CheckId {
    /// The ID of an instance's check that was given none (Consul).
    pub fn of_service(id: &ServiceId) -> CheckId {
        CheckId(id.0.clone())
    }

    /// The instance whose check has this ID, if it is one that was given none.
    pub fn service_id(&self) -> Option<ServiceId> {
        let id = self.0.strip_prefix(SERVICE_CHECK_PREFIX)?;
        (validate(id, IDENTIFIER_MAX_BYTES).is_ok()).then(|| ServiceId(self.0.clone()))
    }

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
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(());
    }
    match text.char_indices().find(|(_, character)| character.is_control()) {
        Some((at, _)) => Err(IdentifierError::Control(at)),
        None => Ok(()),
    }
}

/// What the ID of an instance's check begins with that was given none; the service ID follows. Source: Consul.
const SERVICE_CHECK_PREFIX: &str = "service:";
