//! The JSON bodies of responses, in Consul's shapes. They borrow from a snapshot and are written at once.
//!
//! Lists are never null. Where Consul has fields for what is not here (Proxy, Connect, Kind), they are empty or left
//! out, as Consul does it for a plain service.
//!
//! **Source:** Consul's `agent/structs`, version 1.22.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Serialize, Serializer};

use crate::catalog::{
    change::Origin,
    document::{DefinitionDocument, PortDocument, Shown, TaggedDocument, Tags, WeightsDocument},
    duration::go_duration,
    names::PortName,
    node::{Address, Node},
    service::{Instance, Meta, Port},
    state::{CheckEntry, InstanceEntry, NodeEntry},
};

/// A node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeBody<'a> {
    /// UUID.
    #[serde(rename = "ID")]
    pub id: &'a str,
    /// Name.
    pub node: &'a str,
    /// Address, or host name.
    pub address: Shown<'a>,
    /// Ours.
    pub datacenter: &'a str,
    /// Addresses by role.
    pub tagged_addresses: BTreeMap<&'a str, Shown<'a>>,
    /// Free pairs.
    pub meta: &'a Meta,
    /// Index of its registration.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

impl<'a> NodeBody<'a> {
    /// The body of a node.
    pub fn new(entry: &'a NodeEntry, datacenter: &'a str) -> NodeBody<'a> {
        NodeBody::of(&entry.node, (entry.create_index, entry.modify_index), datacenter)
    }

    /// The body of a node with these indexes.
    pub fn of(node: &'a Node, (create_index, modify_index): (u64, u64), datacenter: &'a str) -> NodeBody<'a> {
        NodeBody {
            id: &node.uuid,
            node: node.name.as_str(),
            address: Shown(Some(&node.address)),
            datacenter,
            tagged_addresses: node.tagged_addresses.iter().map(|(role, at)| (&**role, Shown(Some(at)))).collect(),
            meta: &node.meta,
            create_index,
            modify_index,
        }
    }
}

/// An instance, as `/v1/agent` and `/v1/health` show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceBody<'a> {
    /// Service ID.
    #[serde(rename = "ID")]
    pub id: &'a str,
    /// Service name.
    pub service: &'a str,
    /// Tags.
    pub tags: Tags<'a>,
    /// Free pairs.
    pub meta: &'a Meta,
    /// The default port; 0 for none.
    pub port: u16,
    /// The named ports; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortDocument<'a>>,
    /// Empty for the node's address.
    pub address: Shown<'a>,
    /// Addresses by role.
    pub tagged_addresses: TaggedAddresses<'a>,
    /// How often it is chosen.
    pub weights: WeightsDocument,
    /// As it was registered.
    pub enable_tag_override: bool,
    /// Ours.
    pub datacenter: &'a str,
    /// Index of its registration.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
    /// Which source registered it.
    pub origin: &'static str,
    /// Sources whose registration of it is kept aside; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shadowed: Vec<&'static str>,
}

impl<'a> ServiceBody<'a> {
    /// The body of an instance.
    pub fn new(entry: &'a InstanceEntry, datacenter: &'a str) -> ServiceBody<'a> {
        let instance = &entry.instance;
        ServiceBody {
            id: instance.id.as_str(),
            service: instance.service.as_str(),
            tags: Tags(&instance.tags),
            meta: &instance.meta,
            port: port_number(instance),
            ports: ports(instance),
            address: Shown(shown_address(instance)),
            tagged_addresses: TaggedAddresses(instance),
            weights: instance.weights.into(),
            enable_tag_override: instance.enable_tag_override,
            datacenter,
            create_index: entry.create_index,
            modify_index: entry.modify_index,
            origin: instance.origin.as_str(),
            shadowed: entry.shadowed.iter().map(|loser| loser.instance.origin).map(Origin::as_str).collect(),
        }
    }
}

/// An instance, as `/v1/agent/service` shows it.
#[derive(Debug, Serialize)]
pub struct HashedServiceBody<'a> {
    /// The instance.
    #[serde(flatten)]
    pub service: ServiceBody<'a>,
    /// Equal for equal ones, whatever their indexes.
    #[serde(rename = "ContentHash")]
    pub content_hash: &'a str,
}

/// An instance with its node, flat, as `/v1/catalog/service` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogServiceBody<'a> {
    /// The node, but for its meta.
    #[serde(flatten)]
    node: FlatNode<'a>,
    #[serde(rename = "ServiceKind")]
    kind: &'static str,
    #[serde(rename = "ServiceID")]
    id: &'a str,
    #[serde(rename = "ServiceName")]
    service: &'a str,
    #[serde(rename = "ServiceTags")]
    tags: Tags<'a>,
    #[serde(rename = "ServiceAddress")]
    address: Shown<'a>,
    #[serde(rename = "ServiceTaggedAddresses")]
    tagged_addresses: TaggedAddresses<'a>,
    #[serde(rename = "ServiceWeights")]
    weights: WeightsDocument,
    #[serde(rename = "ServiceMeta")]
    meta: &'a Meta,
    #[serde(rename = "ServicePort")]
    port: u16,
    #[serde(rename = "ServicePorts", skip_serializing_if = "Vec::is_empty")]
    ports: Vec<PortDocument<'a>>,
    #[serde(rename = "ServiceSocketPath")]
    socket_path: &'static str,
    #[serde(rename = "ServiceEnableTagOverride")]
    enable_tag_override: bool,
    #[serde(rename = "ServiceProxy")]
    proxy: Nothing,
    #[serde(rename = "ServiceConnect")]
    connect: Nothing,
    create_index: u64,
    modify_index: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FlatNode<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: Shown<'a>,
    datacenter: &'a str,
    tagged_addresses: BTreeMap<&'a str, Shown<'a>>,
    #[serde(rename = "NodeMeta")]
    meta: &'a Meta,
}

impl<'a> CatalogServiceBody<'a> {
    /// The names of its service and node.
    pub fn service_and_node(&self) -> (&'a str, &'a str) {
        (self.service, self.node.node)
    }

    /// The body of an instance on its node.
    pub fn new(entry: &'a InstanceEntry, node: &'a NodeEntry, datacenter: &'a str) -> CatalogServiceBody<'a> {
        let instance = &entry.instance;
        let NodeBody { id, node, address, datacenter, tagged_addresses, meta, .. } = NodeBody::new(node, datacenter);
        CatalogServiceBody {
            node: FlatNode { id, node, address, datacenter, tagged_addresses, meta },
            kind: "",
            id: instance.id.as_str(),
            service: instance.service.as_str(),
            tags: Tags(&instance.tags),
            address: Shown(shown_address(instance)),
            tagged_addresses: TaggedAddresses(instance),
            weights: instance.weights.into(),
            meta: &instance.meta,
            port: port_number(instance),
            ports: ports(instance),
            socket_path: "",
            enable_tag_override: instance.enable_tag_override,
            proxy: Nothing {},
            connect: Nothing {},
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        }
    }
}

/// An instance with its node and the checks of both, as `/v1/health/service` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthBody<'a> {
    /// The node.
    pub node: NodeBody<'a>,
    /// The instance.
    pub service: ServiceBody<'a>,
    /// The checks of the node, then those of the instance.
    pub checks: Vec<CheckBody<'a>>,
}

/// A check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CheckBody<'a> {
    /// The node's name.
    pub node: &'a str,
    /// Check ID.
    #[serde(rename = "CheckID")]
    pub id: &'a str,
    /// Name.
    pub name: &'a str,
    /// `passing`, `warning` or `critical`.
    pub status: &'static str,
    /// For people.
    pub notes: &'a str,
    /// What the last result said.
    pub output: Cow<'a, str>,
    /// The instance's ID; empty for a node check.
    #[serde(rename = "ServiceID")]
    pub service_id: &'a str,
    /// The instance's service; empty for a node check.
    pub service_name: &'a str,
    /// The instance's tags.
    pub service_tags: Tags<'a>,
    /// `http`, `tcp`, `ttl`, `maintenance` or empty.
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// Go duration.
    pub interval: String,
    /// Go duration.
    pub timeout: String,
    /// Always 0.
    pub exposed_port: u16,
    /// Empty, as for the checks of Consul's agents; shown for other nodes, and by transactions.
    pub definition: DefinitionDocument<'a>,
    /// Index of its registration.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

impl<'a> CheckBody<'a> {
    /// The body of a check of this instance, or of a node.
    pub fn new(entry: &'a CheckEntry, instance: Option<&'a Instance>) -> CheckBody<'a> {
        let check = &entry.check;
        CheckBody {
            node: check.node.as_str(),
            id: check.id.as_str(),
            name: &check.name,
            status: check.status.as_str(),
            notes: &check.notes,
            output: check.shown_output(),
            service_id: instance.map(|instance| instance.id.as_str()).unwrap_or_default(),
            service_name: instance.map(|instance| instance.service.as_str()).unwrap_or_default(),
            service_tags: Tags(instance.map_or(&[], |instance| &instance.tags)),
            kind: check.definition.kind.as_str(),
            interval: go_duration(check.definition.interval),
            timeout: go_duration(check.definition.timeout),
            exposed_port: 0,
            definition: DefinitionDocument::default(),
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        }
    }
}

/// The named ports, and beside them the one without a name; nothing if no port has a name.
fn ports<'a>(instance: &'a Instance) -> Vec<PortDocument<'a>> {
    if instance.ports.iter().all(|port| port.name.is_none()) {
        return Vec::new();
    }
    let body = |port: &'a Port| PortDocument {
        name: port.name.as_ref().map(PortName::as_str).unwrap_or_default(),
        port: port.number,
        default: port.default,
    };
    instance.ports.iter().map(body).collect()
}

fn port_number(instance: &Instance) -> u16 {
    instance.default_port().map_or(0, |port| port.number)
}

/// Where an instance is reached by who reads of it here: by its own address; if it has addresses in client networks only, as a
/// container that publishes nothing, by the first of those. With none of both it is its node's, which is left to the reader.
fn shown_address(instance: &Instance) -> Option<&Address> {
    let first = || {
        let there = instance.network_addresses.first()?;
        let known = instance.tagged_addresses.iter().find(|tagged| tagged.address.ip() == Some(there.address))?;
        Some(&known.address)
    };
    instance.address.as_ref().or_else(first)
}

/// The tagged addresses of an instance, and those that Consul's agent adds: `lan_ipv4` and `wan_ipv4`, or the same
/// with `ipv6`, for an instance whose own address is of that family.
#[derive(Debug, Clone, Copy)]
pub struct TaggedAddresses<'a>(pub &'a Instance);

impl Serialize for TaggedAddresses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let instance = self.0;
        let mut by_role: BTreeMap<&str, TaggedDocument<'_>> = BTreeMap::new();
        if let Some((own, ip)) = instance.address.as_ref().and_then(|own| Some((own, own.ip()?))) {
            let roles = if ip.is_ipv4() { ["lan_ipv4", "wan_ipv4"] } else { ["lan_ipv6", "wan_ipv6"] };
            let port = port_number(instance);
            by_role.extend(roles.map(|role| (role, TaggedDocument { address: Shown(Some(own)), port })));
        }
        for tagged in &instance.tagged_addresses {
            by_role.insert(&tagged.role, TaggedDocument { address: Shown(Some(&tagged.address)), port: tagged.port });
        }
        serializer.collect_map(by_role)
    }
}

/// `{}`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Nothing {}
