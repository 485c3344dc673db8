//! Definitions of services and checks in Consul's words, as they stand in an HTTP body or in a file, made into
//! [`Registration`]s and [`Check`]s. Pure: the text is read elsewhere ([`json`], and the file source for TOML).
//!
//! ```
//! use nameplate::catalog::{change::Origin, definition::{self, Owner, json}, names::NodeName};
//!
//! let owner = Owner { node: NodeName::new("n1").unwrap(), origin: Origin::Api };
//! let tree = json::parse(br#"{"name": "web", "port": 80, "check": {"ttl": "10s"}}"#).unwrap();
//! let decoded = definition::service(&tree, "", &owner).unwrap();
//! assert_eq!(decoded.value.checks[0].id.as_str(), "service:web");
//! ```
//!
//! Names are taken in any letter case, with or without underscores; an unknown one is an error that names the
//! nearest known one. Fields of Consul features that are not here (Connect, Proxy, Kind, Locality, SocketPath,
//! Token, Namespace and Partition `default`) are accepted and ignored.
//!
//! **Limits:** the first problem is reported, not all of them. A definition has at most 256
//! ports, 1,024 tags, 128 checks and 64 pairs of meta.
//!
//! **Source:** Consul's agent API, `agent/service/register` and `agent/check/register`.

use super::{
    change::{Origin, Registration},
    check::{Check, CheckResult},
    names::{IdentifierError, NodeName},
    node::AddressError,
    transaction::Operation,
};

pub mod json;
pub mod tree;

mod check;
pub(crate) mod fields;
mod file;
mod kinds;
mod operation;
mod registration;
mod service;

pub use file::{FileDefinitions, Placed, file};
pub use registration::{CatalogDeregistration, CatalogRegistration};

use fields::{Field, root};
use tree::Tree;

/// Whose definitions are read.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The node that the instances run on.
    pub node: NodeName,
    /// The source that registers them.
    pub origin: Origin,
}

/// What was read, with what its author should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<T> {
    /// What was read.
    pub value: T,
    /// For people: what was accepted, but not as it was written.
    pub notices: Vec<String>,
}

/// Why a definition was refused: the field, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{problem}", .path, if .path.is_empty() { "" } else { ": " })]
pub struct DefinitionError {
    /// The field: `Check.Interval`, `Ports[1].Name`; empty for the definition as a whole.
    pub path: String,
    /// The line that it stands on, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No such field.
    #[error("unknown field{}", nearest.map(|known| format!("; did you mean {known}?")).unwrap_or_default())]
    UnknownField {
        /// The known field that is spelled most like it.
        nearest: Option<&'static str>,
    },
    /// A required field.
    #[error("must be given")]
    Missing,
    /// The same field in two spellings, or twice.
    #[error("is given twice")]
    Twice,
    /// The wrong type or form.
    #[error("expected {expected}, not {found}")]
    Expected {
        /// In words.
        expected: String,
        /// What was there.
        found: String,
    },
    /// A text that cannot be an identifier.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
    /// A text that cannot be an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A rule is broken; the text says which.
    #[error("{0}")]
    Rule(String),
}

/// Reads the body of `agent/check/update`: `Status` and `Output`.
pub fn status_update(tree: &Tree) -> Result<CheckResult, DefinitionError> {
    check::read_status_update(&root(tree, ""))
}

/// Reads the definition of a service with its checks. `path` is what its fields are named below, if anything.
pub fn service(tree: &Tree, path: &str, owner: &Owner) -> Result<Decoded<Registration>, DefinitionError> {
    let mut notices = Vec::new();
    let value = service::read(&root(tree, path), owner, &mut notices)?;
    Ok(Decoded { value, notices })
}

/// Reads the definition of a check that stands by itself: of the instance that it names, else of the node.
pub fn check(tree: &Tree, path: &str, owner: &Owner) -> Result<Decoded<Check>, DefinitionError> {
    let mut notices = Vec::new();
    let value = check::read_alone(&root(tree, path), owner, &mut notices)?;
    Ok(Decoded { value, notices })
}

/// Reads an operation of a transaction on a node, a service or a check, and adds what its author should know. A node
/// whose UUID is not given has an empty one; a service or check without a node is on the owner's.
pub(crate) fn operation(
    object: &Field<'_>,
    owner: &Owner,
    notices: &mut Vec<String>,
) -> Result<Operation, DefinitionError> {
    operation::read(object, owner, notices)
}

/// Reads the body of `catalog/register`: a node, and what is on it.
pub fn catalog_registration(tree: &Tree, origin: Origin) -> Result<Decoded<CatalogRegistration>, DefinitionError> {
    let mut notices = Vec::new();
    let value = registration::read(&root(tree, ""), origin, &mut notices)?;
    Ok(Decoded { value, notices })
}

/// Reads the body of `catalog/deregister`: what goes.
pub fn catalog_deregistration(tree: &Tree) -> Result<CatalogDeregistration, DefinitionError> {
    registration::read_deregistration(&root(tree, ""))
}

#[cfg(test)]
#[path = "kinds_tests.rs"]
mod kinds_tests;

#[cfg(test)]
#[path = "operation_tests.rs"]
mod operation_tests;

#[cfg(test)]
#[path = "definition_tests.rs"]
mod tests;
