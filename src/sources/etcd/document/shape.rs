//! Documents as serde reads them, and what they say.

mod check;

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use serde::{Deserialize, Deserializer};

use self::check::CheckShape;
use super::{ADDRESSES_MAX, DocumentError, Nameplate, NodeRegistration};
use crate::catalog::{
    change::Registration,
    check::Check,
    definition::Owner,
    names::{PortName, ServiceId, ServiceName, Tag},
    node::{Address, Node},
    service::{FurtherName, Instance, Port, TaggedAddress, Weights},
    spanning::SpanningAddresses,
};

/// What lies under the key of a node.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeShape {
    node: NodeFields,
    nameplate: Option<NameplateFields>,
    #[serde(default, deserialize_with = "or_default")]
    checks: Vec<CheckShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeFields {
    #[serde(default, rename = "ID", deserialize_with = "or_default")]
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    node: String,
    address: String,
    #[serde(default, deserialize_with = "or_default")]
    tagged_addresses: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    meta: BTreeMap<Arc<str>, Arc<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NameplateFields {
    #[serde(default, deserialize_with = "or_default")]
    addresses: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    version: String,
}

impl NodeShape {
    pub(super) fn registration(self, owner: &Owner) -> Result<NodeRegistration, DocumentError> {
        let fields = self.node;
        same("Node.Node", &fields.node, owner.node.as_str())?;
        if fields.id.len() > UUID_MAX_BYTES || fields.id.chars().any(char::is_control) {
            return Err(wrong("Node.ID", "must be a UUID"));
        }
        let tagged = fields.tagged_addresses.into_iter().map(|(role, text)| {
            let at = address(&text, || format!("Node.TaggedAddresses.{role}"))?;
            Ok((Arc::from(role), at))
        });
        let node = Node {
            name: owner.node.clone(),
            uuid: Arc::from(fields.id),
            address: address(&fields.address, || "Node.Address".to_owned())?,
            tagged_addresses: tagged.collect::<Result<_, DocumentError>>()?,
            meta: Arc::new(fields.meta),
            origin: owner.origin,
        };
        let nameplate = self.nameplate.map(NameplateFields::nameplate).transpose()?;
        Ok(NodeRegistration { node, checks: checks(self.checks, None, owner)?, nameplate })
    }
}

impl NameplateFields {
    fn nameplate(self) -> Result<Nameplate, DocumentError> {
        if self.version.len() > VERSION_MAX_BYTES || self.version.chars().any(char::is_control) {
            return Err(wrong("Nameplate.Version", "must be a version"));
        }
        let read = |(at, text): (usize, String)| {
            text.parse().map_err(|_| wrong(format!("Nameplate.Addresses[{at}]"), "must be an IP address"))
        };
        let addresses = self.addresses.into_iter().take(ADDRESSES_MAX).enumerate().map(read);
        let mut addresses: Vec<IpAddr> = addresses.collect::<Result<_, _>>()?;
        addresses.retain(|address| !address.is_loopback() && !address.is_unspecified());
        Ok(Nameplate { addresses: addresses.into(), version: self.version.into() })
    }
}

/// What lies under the key of an instance.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InstanceShape {
    service: ServiceFields,
    #[serde(default, deserialize_with = "or_default")]
    checks: Vec<CheckShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceFields {
    #[serde(default, rename = "ID", deserialize_with = "or_default")]
    id: String,
    service: String,
    #[serde(default, deserialize_with = "or_default")]
    address: String,
    #[serde(default, deserialize_with = "or_default")]
    port: u16,
    #[serde(default, deserialize_with = "or_default")]
    ports: Vec<PortFields>,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    meta: BTreeMap<Arc<str>, Arc<str>>,
    #[serde(default, deserialize_with = "or_default")]
    weights: WeightsFields,
    #[serde(default, deserialize_with = "or_default")]
    tagged_addresses: BTreeMap<String, TaggedFields>,
    #[serde(default, deserialize_with = "or_default")]
    enable_tag_override: bool,
    #[serde(default, deserialize_with = "or_default")]
    further_names: Vec<FurtherFields>,
    #[serde(default, deserialize_with = "or_default")]
    network_addresses: BTreeMap<Arc<str>, Vec<TaggedFields>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PortFields {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    port: u16,
    #[serde(default, deserialize_with = "or_default")]
    default: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct WeightsFields {
    passing: u16,
    warning: u16,
}

impl Default for WeightsFields {
    fn default() -> WeightsFields {
        let Weights { passing, warning } = Weights::default();
        WeightsFields { passing, warning }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaggedFields {
    address: String,
    #[serde(default, deserialize_with = "or_default")]
    port: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FurtherFields {
    name: String,
    #[serde(default, rename = "StandsForID", deserialize_with = "or_default")]
    stands_for_id: bool,
}

impl InstanceShape {
    pub(super) fn registration(
        self,
        id: &ServiceId,
        owner: &Owner,
    ) -> Result<(Registration, SpanningAddresses), DocumentError> {
        let fields = self.service;
        let spanning = spanning(fields.network_addresses)?;
        same("Service.ID", &fields.id, id.as_str())?;
        let tagged = fields.tagged_addresses.into_iter().map(|(role, tagged)| {
            let at = address(&tagged.address, || format!("Service.TaggedAddresses.{role}.Address"))?;
            Ok(TaggedAddress { role: Arc::from(role), address: at, port: tagged.port })
        });
        let instance = Instance {
            node: owner.node.clone(),
            id: id.clone(),
            service: ServiceName::new(fields.service).map_err(|error| wrong("Service.Service", error))?,
            address: match &*fields.address {
                "" => None,
                text => Some(address(text, || "Service.Address".to_owned())?),
            },
            ports: ports(fields.port, fields.ports)?.into(),
            tags: tags(fields.tags)?.into(),
            meta: Arc::new(fields.meta),
            weights: Weights { passing: fields.weights.passing, warning: fields.weights.warning },
            tagged_addresses: tagged.collect::<Result<_, DocumentError>>()?,
            network_addresses: Default::default(),
            further_names: further_names(fields.further_names)?.into(),
            enable_tag_override: fields.enable_tag_override,
            origin: owner.origin,
        };
        let checks = checks(self.checks, Some(id), owner)?;
        Ok((Registration { instance, checks, replace_existing_checks: true }, spanning))
    }
}

/// Addresses in networks that span machines, by the network's ID.
fn spanning(fields: BTreeMap<Arc<str>, Vec<TaggedFields>>) -> Result<SpanningAddresses, DocumentError> {
    let network = |(id, there): (Arc<str>, Vec<TaggedFields>)| {
        let field = |at: usize| format!("Service.NetworkAddresses.{id}[{at}].Address");
        let read = |(at, told): (usize, TaggedFields)| match address(&told.address, || field(at))? {
            host @ Address::Host(_) => Err(wrong(field(at), format!("must be an IP address, not {host}"))),
            ip => Ok(TaggedAddress { role: Arc::default(), address: ip, port: told.port }),
        };
        let there = there.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok((id, there))
    };
    fields.into_iter().map(network).collect()
}

/// The ports of `Ports`, and that of `Port` where it is none of them: the default one.
fn ports(number: u16, items: Vec<PortFields>) -> Result<Vec<Port>, DocumentError> {
    let mut ports: Vec<Port> = Vec::with_capacity(items.len());
    let mut names = HashSet::new();
    for (at, item) in items.into_iter().enumerate() {
        if item.port == 0 {
            return Err(wrong(format!("Service.Ports[{at}].Port"), "must be a number from 1 to 65535"));
        }
        let name = (!item.name.is_empty()).then(|| PortName::new(item.name)).transpose();
        let name = name.map_err(|error| wrong(format!("Service.Ports[{at}].Name"), error))?;
        if name.as_ref().is_some_and(|name| !names.insert(name.as_str().to_ascii_lowercase())) {
            return Err(wrong(format!("Service.Ports[{at}].Name"), "another port has this name"));
        }
        ports.push(Port { name, number: item.port, default: item.default });
    }
    let default = ports.iter().find(|port| port.default).or_else(|| ports.first()).map(|port| port.number);
    if number == 0 || default == Some(number) || ports.iter().any(|port| port.default) {
        return Ok(ports);
    }
    match ports.iter_mut().find(|port| port.number == number) {
        Some(port) => port.default = true,
        None => ports.insert(0, Port { name: None, number, default: !ports.is_empty() }),
    }
    Ok(ports)
}

fn tags(texts: Vec<String>) -> Result<Vec<Tag>, DocumentError> {
    let mut tags = Vec::with_capacity(texts.len());
    let mut seen = HashSet::new();
    for (at, text) in texts.into_iter().enumerate() {
        let tag = Tag::new(text).map_err(|error| wrong(format!("Service.Tags[{at}]"), error))?;
        if seen.insert(tag.clone()) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

fn further_names(items: Vec<FurtherFields>) -> Result<Vec<FurtherName>, DocumentError> {
    let mut names: Vec<FurtherName> = Vec::with_capacity(items.len());
    let mut seen = HashSet::new();
    for (at, item) in items.into_iter().enumerate() {
        let name = ServiceName::new(item.name);
        let name = name.map_err(|error| wrong(format!("Service.FurtherNames[{at}].Name"), error))?;
        if seen.insert(name.clone()) {
            names.push(FurtherName { name, stands_for_id: item.stands_for_id });
        }
    }
    Ok(names)
}

/// The checks, by ID; of several with one ID the first counts.
fn checks(shapes: Vec<CheckShape>, id: Option<&ServiceId>, owner: &Owner) -> Result<Vec<Check>, DocumentError> {
    let checks = shapes.into_iter().enumerate().map(|(at, shape)| {
        let below = |error: DocumentError| wrong(format!("Checks[{at}].{}", error.field), error.problem);
        shape.check(id, owner).map_err(below)
    });
    let mut checks: Vec<Check> = checks.collect::<Result<_, _>>()?;
    checks.sort_by(|left, right| left.id.cmp(&right.id));
    checks.dedup_by(|later, earlier| later.id == earlier.id);
    Ok(checks)
}

/// What the key says need not be said again, but not otherwise.
pub(in super::super) fn same(field: &str, text: &str, key: &str) -> Result<(), DocumentError> {
    if text.is_empty() || text == key { Ok(()) } else { Err(wrong(field, format!("must be {key:?}, as the key says"))) }
}

fn address(text: &str, field: impl FnOnce() -> String) -> Result<Address, DocumentError> {
    Address::parse(text).map_err(|error| wrong(field(), error))
}

pub(in super::super) fn wrong(field: impl Into<String>, problem: impl ToString) -> DocumentError {
    DocumentError { field: field.into(), problem: problem.to_string() }
}

/// Go's writers say `null` for what is empty.
pub(in super::super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// Longest UUID. Source: none, chosen: twice the text of RFC 9562; it is only compared.
const UUID_MAX_BYTES: usize = 72;

/// Longest version. Source: none, chosen: it is only shown.
const VERSION_MAX_BYTES: usize = 64;
