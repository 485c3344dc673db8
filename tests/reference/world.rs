//! All that an answer depends on, as plain lists.

use std::net::IpAddr;

use nameplate::{
    catalog::{
        check::{Check, CheckStatus},
        node::Node,
        service::{Instance, Port},
        state::State,
    },
    kv::query::Query,
    publish::{feed::SourceStatus, settings::Settings},
    wire::name::Name,
};

use super::labels::{LabelList, dotted_labels, id_label, port_label};

/// What is known at one moment.
#[derive(Debug, Clone)]
pub struct World {
    /// Settings in force.
    pub settings: Settings,
    /// All nodes, sorted by name.
    pub nodes: Vec<PlainNode>,
    /// All instances, sorted by node and ID.
    pub instances: Vec<PlainInstance>,
    /// Static zones.
    pub zones: Vec<PlainZone>,
    /// Prepared queries.
    pub queries: Vec<Query>,
    /// The sources and how they are.
    pub sources: Vec<SourceStatus>,
    /// SOA serial.
    pub serial: u32,
}

/// A node and how its own checks are.
#[derive(Debug, Clone)]
pub struct PlainNode {
    /// What is known of it.
    pub node: Node,
    /// Its own checks.
    pub checks: Vec<PlainCheck>,
}

/// An instance and how its own checks are.
#[derive(Debug, Clone)]
pub struct PlainInstance {
    /// What its registration says.
    pub instance: Instance,
    /// Its own checks.
    pub checks: Vec<PlainCheck>,
    /// The label of its service ID.
    pub id_label: Vec<u8>,
    /// The label of the name that stands for its service ID too.
    pub alias_label: Option<Vec<u8>>,
    /// The labels of its tags.
    pub tag_labels: Vec<LabelList>,
    /// The label of each of its ports, if that has a name.
    pub port_labels: Vec<Option<Vec<u8>>>,
}

/// What matters of a check.
#[derive(Debug, Clone)]
pub struct PlainCheck {
    /// Its ID.
    pub id: String,
    /// Its status.
    pub status: CheckStatus,
    /// Whether it stands for maintenance.
    pub maintenance: bool,
}

/// A static zone.
#[derive(Debug, Clone)]
pub struct PlainZone {
    /// Its apex.
    pub origin: Name,
    /// Its records, the SOA among them.
    pub records: Vec<PlainRecord>,
}

/// One record of a static zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainRecord {
    /// Owner name.
    pub owner: Name,
    /// Type.
    pub rtype: u16,
    /// TTL in seconds.
    pub ttl: u32,
    /// RDATA, names in it uncompressed.
    pub rdata: Vec<u8>,
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// Source address.
    pub address: IpAddr,
    /// Whether the source is port 0 or a listener of our own.
    pub suspect: bool,
    /// Whether over TCP.
    pub tcp: bool,
    /// Largest UDP response by settings and network, whatever the query says.
    pub udp_cap: usize,
    /// Whether it may recurse.
    pub may_recurse: bool,
}

impl World {
    /// Takes everything out of a catalog state.
    pub fn of(state: &State, settings: &Settings, zones: Vec<PlainZone>) -> World {
        let plain = |check: &Check| PlainCheck {
            id: check.id.as_str().to_owned(),
            status: check.status,
            maintenance: check.is_maintenance(),
        };
        let mut nodes: Vec<_> = state
            .nodes()
            .map(|entry| PlainNode {
                node: (*entry.node).clone(),
                checks: entry.checks.iter().map(|entry| plain(&entry.check)).collect(),
            })
            .collect();
        nodes.sort_by(|a, b| a.node.name.cmp(&b.node.name));
        let mut instances: Vec<_> = state
            .services()
            .flat_map(|service| service.instances())
            .map(|entry| PlainInstance {
                instance: (*entry.instance).clone(),
                checks: entry.checks.iter().map(|entry| plain(&entry.check)).collect(),
                id_label: id_label(entry.instance.id.as_str()),
                alias_label: alias_label(&entry.instance),
                tag_labels: entry.instance.tags.iter().map(|tag| dotted_labels(tag.as_str())).collect(),
                port_labels: entry.instance.ports.iter().map(name_label).collect(),
            })
            .collect();
        instances.sort_by_key(|entry| entry.instance.key());
        let (queries, sources) = (Vec::new(), Vec::new());
        World { settings: settings.clone(), nodes, instances, zones, queries, sources, serial: 1 }
    }

    /// D and all ADs, D first.
    pub fn domains(&self) -> Vec<Name> {
        let mut domains = vec![self.settings.domain.clone()];
        domains.extend(self.settings.alt_domains.iter().cloned());
        domains
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&PlainNode> {
        self.nodes.iter().find(|entry| entry.node.name.as_str() == name)
    }

    /// Whether every source has delivered its first list.
    pub fn synced(&self) -> bool {
        self.sources.iter().all(|source| source.synced)
    }

    /// Whether some source is away.
    pub fn stale(&self) -> bool {
        self.sources.iter().any(|source| source.stale)
    }
}

fn alias_label(instance: &Instance) -> Option<Vec<u8>> {
    let alias = instance.further_names.iter().find(|further| further.stands_for_id)?;
    Some(id_label(alias.name.as_str()))
}

fn name_label(port: &Port) -> Option<Vec<u8>> {
    port.name.as_ref().map(|name| port_label(name.as_str()))
}
