//! What is in the catalog, as JSON in Consul's words: the way back of [`super::definition`]. Written by serde, from what it
//! borrows.
//!
//! As it is written by [`ServiceDocument::new`], a definition can be read again. [`ServiceDocument::whole`] says all that is
//! known of an instance but for its addresses in client networks, tagged ones too, which mean nothing on another machine.

mod definition;

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Serialize, Serializer};

pub use definition::DefinitionDocument;

use super::{
    check::Check,
    names::Tag,
    node::{Address, Node},
    service::{FurtherName, Instance, Meta, TaggedAddress, Weights},
    spanning::SpanningAddresses,
};

/// A node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeDocument<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: Shown<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacenter: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<&'a str, Shown<'a>>,
    #[serde(skip_serializing_if = "is_empty")]
    meta: &'a Meta,
}

impl<'a> NodeDocument<'a> {
    /// What a node is; with its datacenter, if one is given.
    pub fn new(node: &'a Node, datacenter: Option<&'a str>) -> NodeDocument<'a> {
        NodeDocument {
            id: &node.uuid,
            node: node.name.as_str(),
            address: Shown(Some(&node.address)),
            datacenter,
            tagged_addresses: node.tagged_addresses.iter().map(|(role, at)| (&**role, Shown(Some(at)))).collect(),
            meta: &node.meta,
        }
    }
}

/// An instance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceDocument<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<PortDocument<'a>>,
    tags: Tags<'a>,
    #[serde(skip_serializing_if = "is_empty")]
    meta: &'a Meta,
    weights: WeightsDocument,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<&'a str, TaggedDocument<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    further_names: Vec<FurtherDocument<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    network_addresses: BTreeMap<&'a str, Vec<TaggedDocument<'a>>>,
}

impl<'a> ServiceDocument<'a> {
    /// What registers an instance: `Port` is the one without a name, `Ports` are the others.
    pub fn new(instance: &'a Instance) -> ServiceDocument<'a> {
        let named = instance.ports.iter().filter_map(|port| {
            Some(PortDocument { name: port.name.as_ref()?.as_str(), port: port.number, default: port.default })
        });
        ServiceDocument {
            id: instance.id.as_str(),
            service: instance.service.as_str(),
            address: instance.address.as_ref().map(|address| Shown(Some(address))),
            port: instance.ports.iter().find(|port| port.name.is_none()).map(|port| port.number),
            ports: named.collect(),
            tags: Tags(&instance.tags),
            meta: &instance.meta,
            weights: instance.weights.into(),
            tagged_addresses: instance.tagged_addresses.iter().map(TaggedDocument::by_role).collect(),
            enable_tag_override: instance.enable_tag_override,
            further_names: Vec::new(),
            network_addresses: BTreeMap::new(),
        }
    }

    /// All that is known of an instance, and these addresses in networks that span machines: `Port` is the default one, `Ports` are
    /// all, but for one that says no more than its number.
    pub fn whole(instance: &'a Instance, spanning: &'a SpanningAddresses) -> ServiceDocument<'a> {
        let all = instance.ports.iter().map(|port| PortDocument {
            name: port.name.as_ref().map(|name| name.as_str()).unwrap_or_default(),
            port: port.number,
            default: port.default,
        });
        let bare = matches!(&instance.ports[..], [port] if port.name.is_none() && !port.default);
        ServiceDocument {
            port: instance.default_port().map(|port| port.number),
            ports: if bare { Vec::new() } else { all.collect() },
            tagged_addresses: instance.tagged_addresses_for_others().map(TaggedDocument::by_role).collect(),
            further_names: instance.further_names.iter().map(FurtherDocument::new).collect(),
            network_addresses: spanning
                .iter()
                .map(|(id, there)| (&**id, there.iter().map(TaggedDocument::new).collect()))
                .collect(),
            ..ServiceDocument::new(instance)
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FurtherDocument<'a> {
    name: &'a str,
    #[serde(rename = "StandsForID", skip_serializing_if = "std::ops::Not::not")]
    stands_for_id: bool,
}

impl<'a> FurtherDocument<'a> {
    fn new(further: &'a FurtherName) -> FurtherDocument<'a> {
        FurtherDocument { name: further.name.as_str(), stands_for_id: further.stands_for_id }
    }
}

/// A check with its status.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CheckDocument<'a> {
    /// The node; none where that is said elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<&'a str>,
    #[serde(rename = "CheckID")]
    id: &'a str,
    name: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    notes: &'a str,
    /// What the last result said.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub output: Cow<'a, str>,
    /// The instance; none for a check of a node, and where that is said elsewhere.
    #[serde(rename = "ServiceID", skip_serializing_if = "Option::is_none")]
    pub service_id: Option<&'a str>,
    /// The kind; none where the definition tells.
    #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "DefinitionDocument::is_empty")]
    definition: DefinitionDocument<'a>,
}

impl<'a> CheckDocument<'a> {
    /// What a check is, and how.
    pub fn new(check: &'a Check) -> CheckDocument<'a> {
        CheckDocument {
            node: Some(check.node.as_str()),
            id: check.id.as_str(),
            name: &check.name,
            status: check.status.as_str(),
            notes: &check.notes,
            output: check.shown_output(),
            service_id: check.service_id.as_ref().map(|id| id.as_str()),
            kind: None,
            definition: DefinitionDocument::new(check),
        }
    }
}

/// A named port.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortDocument<'a> {
    /// Name; empty for the one port that has none.
    pub name: &'a str,
    /// Number.
    pub port: u16,
    /// Whether it is the default one.
    pub default: bool,
}

/// An address of an instance for one role.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaggedDocument<'a> {
    /// The address.
    pub address: Shown<'a>,
    /// The port there; 0 if none was given.
    pub port: u16,
}

impl<'a> TaggedDocument<'a> {
    fn new(tagged: &'a TaggedAddress) -> TaggedDocument<'a> {
        TaggedDocument { address: Shown(Some(&tagged.address)), port: tagged.port }
    }

    fn by_role(tagged: &'a TaggedAddress) -> (&'a str, TaggedDocument<'a>) {
        (&tagged.role, TaggedDocument::new(tagged))
    }
}

/// Weights.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct WeightsDocument {
    /// While passing.
    pub passing: u16,
    /// While warning.
    pub warning: u16,
}

impl From<Weights> for WeightsDocument {
    fn from(weights: Weights) -> WeightsDocument {
        WeightsDocument { passing: weights.passing, warning: weights.warning }
    }
}

/// An address as text; empty for none.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub Option<&'a Address>);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str(""),
        }
    }
}

/// Tags; a list, also if there are none.
#[derive(Debug, Clone, Copy)]
pub struct Tags<'a>(pub &'a [Tag]);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Tag::as_str))
    }
}

fn is_empty(meta: &Meta) -> bool {
    meta.is_empty()
}
