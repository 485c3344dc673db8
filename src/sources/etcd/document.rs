//! What lies under a key: a node or an instance with its checks, as JSON in Consul's words.
//!
//! What is written says all that another machine shows and answers, so that it is read again without loss; addresses for
//! client networks, tagged ones too, are left out, because they mean nothing elsewhere, but for those in networks that span machines. What is read is of [`Origin::Cluster`]; a field that is
//! not known is a newer nameplate's, and is passed over.
//!
//! | bound | value |
//! |---|---|
//! | a document | 1 MiB; one that would be larger is written without the outputs of its checks |
//! | an output | 4 KiB |

pub(super) mod shape;

use std::{net::IpAddr, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use self::shape::{InstanceShape, NodeShape};
use crate::catalog::{
    change::{Origin, Registration},
    check::Check,
    definition::Owner,
    document::{CheckDocument, NodeDocument, ServiceDocument},
    names::NodeName,
    node::Node,
    service::{Instance, InstanceKey},
    spanning::{SpanningAddresses, SpanningNetworks},
};

/// A node with its own checks, sorted by ID, each ID once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRegistration {
    /// The node.
    pub node: Node,
    /// Its checks.
    pub checks: Vec<Check>,
    /// The nameplate that runs there, if one does.
    pub nameplate: Option<Nameplate>,
}

/// What a nameplate tells of itself to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nameplate {
    /// Where it answers DNS to others, none of them on loopback.
    pub addresses: Arc<[IpAddr]>,
    /// Its version.
    pub version: Arc<str>,
}

impl Nameplate {
    /// What we tell, with those of these addresses at which others may reach us.
    pub fn ours(addresses: &[IpAddr]) -> Nameplate {
        let reached = addresses.iter().copied().filter(|address| !address.is_loopback());
        Nameplate { addresses: reached.take(ADDRESSES_MAX).collect(), version: Arc::from(env!("CARGO_PKG_VERSION")) }
    }
}

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}{}{problem}", if .field.is_empty() { "" } else { ": " })]
pub struct DocumentError {
    /// The field, as `Service.Port`; empty for the document as a whole.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

/// A document would be larger than one may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it takes {bytes} bytes even without the outputs of its checks; at most {DOCUMENT_MAX_BYTES} are shared")]
pub struct TooLarge {
    /// How many bytes it has without outputs.
    pub bytes: usize,
}

/// What is said of the outputs of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// All, if the document is not too large with them.
    Whole,
    /// Nothing.
    LeftOut,
}

/// What is written of a node.
pub fn write_node<'a>(
    node: &Node,
    checks: impl Iterator<Item = &'a Check> + Clone,
    (datacenter, nameplate): (&str, Option<&Nameplate>),
    outputs: Outputs,
) -> Result<Vec<u8>, TooLarge> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document<'a> {
        node: NodeDocument<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        nameplate: Option<NameplateDocument<'a>>,
        checks: Vec<CheckDocument<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct NameplateDocument<'a> {
        addresses: &'a [IpAddr],
        version: &'a str,
    }
    let nameplate = || nameplate.map(|told| NameplateDocument { addresses: &told.addresses, version: &told.version });
    within(outputs, |outputs| {
        let checks = checks.clone().map(|check| written(check, outputs)).collect();
        encoded(&Document { node: NodeDocument::new(node, Some(datacenter)), nameplate: nameplate(), checks })
    })
}

/// What is written of an instance by a machine that has these networks.
pub fn write_instance<'a>(
    instance: &Instance,
    networks: &SpanningNetworks,
    checks: impl Iterator<Item = &'a Check> + Clone,
    outputs: Outputs,
) -> Result<Vec<u8>, TooLarge> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document<'a> {
        service: ServiceDocument<'a>,
        checks: Vec<CheckDocument<'a>>,
    }
    let spanning = networks.addresses(instance);
    within(outputs, |outputs| {
        let checks = checks.clone().map(|check| written(check, outputs)).collect();
        encoded(&Document { service: ServiceDocument::whole(instance, &spanning), checks })
    })
}

/// Reads what lies under the key of a node.
pub fn read_node(name: &NodeName, value: &[u8]) -> Result<NodeRegistration, DocumentError> {
    let owner = Owner { node: name.clone(), origin: Origin::Cluster };
    parsed::<NodeShape>(value)?.registration(&owner)
}

/// Reads what lies under the key of an instance, and apart from it its addresses in networks that span machines.
pub fn read_instance(key: &InstanceKey, value: &[u8]) -> Result<(Registration, SpanningAddresses), DocumentError> {
    let owner = Owner { node: key.node.clone(), origin: Origin::Cluster };
    parsed::<InstanceShape>(value)?.registration(&key.id, &owner)
}

/// A check, whose node and instance the key tells.
fn written(check: &Check, outputs: Outputs) -> CheckDocument<'_> {
    let kind = Some(check.definition.kind.as_str()).filter(|kind| !kind.is_empty());
    let mut document = CheckDocument::new(check);
    (document.node, document.service_id, document.kind) = (None, None, kind);
    if outputs == Outputs::LeftOut {
        document.output = Default::default();
    }
    document
}

fn within(outputs: Outputs, encode: impl Fn(Outputs) -> Vec<u8>) -> Result<Vec<u8>, TooLarge> {
    let whole = encode(outputs);
    if whole.len() <= DOCUMENT_MAX_BYTES {
        return Ok(whole);
    }
    let short = encode(Outputs::LeftOut);
    if short.len() <= DOCUMENT_MAX_BYTES { Ok(short) } else { Err(TooLarge { bytes: short.len() }) }
}

pub(super) fn encoded(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("names are texts, and no number is infinite")
}

pub(super) fn parsed<T: DeserializeOwned>(value: &[u8]) -> Result<T, DocumentError> {
    if value.len() > DOCUMENT_MAX_BYTES {
        let problem = format!("it has {} bytes; at most {DOCUMENT_MAX_BYTES} are read", value.len());
        return Err(DocumentError { field: String::new(), problem });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(value);
    let shape = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { path };
        DocumentError { field, problem: error.into_inner().to_string() }
    })?;
    match deserializer.end() {
        Ok(()) => Ok(shape),
        Err(error) => Err(DocumentError { field: String::new(), problem: error.to_string() }),
    }
}

/// Largest document. Source: etcd takes requests of 1.5 MiB by default (`--max-request-bytes`), with all that stands around.
pub const DOCUMENT_MAX_BYTES: usize = 1024 * 1024;

/// Most addresses of a nameplate. Source: none, chosen: twice what is answered of each family (`publish::plan`).
const ADDRESSES_MAX: usize = 16;

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
