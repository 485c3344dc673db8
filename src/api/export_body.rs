//! Registrations as operations of `PUT /v1/txn` that bring them about: one JSON object each.
//!
//! What is left out is what the server itself decides: indexes, and the node where it is its own.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::body::{PortBody, Shown, Tags, WeightsBody, go_duration};
use crate::catalog::{
    check::{Check, CheckKind, ClientTls, DockerExecCheck, HttpCheck, OUTPUT_MAX_BYTES},
    names::NodeName,
    node::Node,
    service::{Instance, Meta},
};

/// An operation that sets a node, a service or a check.
#[derive(Debug, Serialize)]
pub enum SetBody<'a> {
    /// A node.
    Node(SetNode<'a>),
    /// An instance.
    Service(SetService<'a>),
    /// A check.
    Check(SetCheck<'a>),
}

impl<'a> SetBody<'a> {
    /// Sets a node.
    pub fn node(node: &'a Node) -> SetBody<'a> {
        let tagged_addresses = node.tagged_addresses.iter().map(|(role, at)| (&**role, Shown(Some(at)))).collect();
        let node = NodeBody {
            id: &node.uuid,
            node: node.name.as_str(),
            address: Shown(Some(&node.address)),
            tagged_addresses,
            meta: &node.meta,
        };
        SetBody::Node(SetNode { verb: SET, node })
    }

    /// Sets an instance.
    pub fn service(instance: &'a Instance, own: &NodeName) -> SetBody<'a> {
        let named = instance.ports.iter().filter_map(|port| {
            Some(PortBody { name: port.name.as_ref()?.as_str(), port: port.number, default: port.default })
        });
        let tagged = instance
            .tagged_addresses
            .iter()
            .map(|tagged| (&*tagged.role, TaggedBody { address: Shown(Some(&tagged.address)), port: tagged.port }));
        let service = ServiceBody {
            id: instance.id.as_str(),
            service: instance.service.as_str(),
            address: instance.address.as_ref().map(|address| Shown(Some(address))),
            port: instance.ports.iter().find(|port| port.name.is_none()).map(|port| port.number),
            ports: named.collect(),
            tags: Tags(&instance.tags),
            meta: &instance.meta,
            weights: instance.weights.into(),
            tagged_addresses: tagged.collect(),
            enable_tag_override: instance.enable_tag_override,
        };
        SetBody::Service(SetService { verb: SET, node: other(&instance.node, own), service })
    }

    /// Sets a check with its status.
    pub fn check(check: &'a Check, own: &NodeName) -> SetBody<'a> {
        let check = CheckBody {
            node: other(&check.node, own),
            id: check.id.as_str(),
            name: &check.name,
            status: check.status.as_str(),
            notes: &check.notes,
            output: check.shown_output(),
            service_id: check.service_id.as_ref().map(|id| id.as_str()),
            definition: DefinitionBody::new(check),
        };
        SetBody::Check(SetCheck { verb: SET, check })
    }
}

fn other<'a>(node: &'a NodeName, own: &NodeName) -> Option<&'a str> {
    (node != own).then(|| node.as_str())
}

/// Sets a node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetNode<'a> {
    verb: &'static str,
    node: NodeBody<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeBody<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: Shown<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<&'a str, Shown<'a>>,
    #[serde(skip_serializing_if = "is_empty")]
    meta: &'a Meta,
}

/// Sets an instance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetService<'a> {
    verb: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    service: ServiceBody<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceBody<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<PortBody<'a>>,
    tags: Tags<'a>,
    #[serde(skip_serializing_if = "is_empty")]
    meta: &'a Meta,
    weights: WeightsBody,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<&'a str, TaggedBody<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    enable_tag_override: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TaggedBody<'a> {
    address: Shown<'a>,
    port: u16,
}

/// Sets a check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetCheck<'a> {
    verb: &'static str,
    check: CheckBody<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CheckBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(rename = "CheckID")]
    id: &'a str,
    name: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    notes: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    output: Cow<'a, str>,
    #[serde(rename = "ServiceID", skip_serializing_if = "Option::is_none")]
    service_id: Option<&'a str>,
    #[serde(skip_serializing_if = "DefinitionBody::is_empty")]
    definition: DefinitionBody<'a>,
}

/// What is probed, and when its result counts; empty where the status is set from outside.
#[derive(Debug, Default)]
pub struct DefinitionBody<'a>(Option<&'a Check>);

impl<'a> DefinitionBody<'a> {
    /// What is said of how a check is probed.
    pub fn new(check: &'a Check) -> DefinitionBody<'a> {
        let definition = &check.definition;
        let unprobed = matches!(definition.kind, CheckKind::External | CheckKind::Maintenance);
        let empty = unprobed && definition.deregister_critical_service_after.is_none();
        DefinitionBody((!empty).then_some(check))
    }

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Serialize for DefinitionBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let Some(check) = self.0 else { return map.end() };
        let definition = &check.definition;
        match &definition.kind {
            CheckKind::Http(http) => {
                map.serialize_entry("HTTP", &*check.target)?;
                http_entries(&mut map, http)?;
            }
            CheckKind::Tcp(tcp) => {
                map.serialize_entry("TCP", &*check.target)?;
                flag(&mut map, "TCPUseTLS", tcp.use_tls)?;
                certificate(&mut map, tcp)?;
            }
            CheckKind::Deadline(period) => map.serialize_entry("TTL", &go_duration(*period))?,
            CheckKind::External | CheckKind::Maintenance => {}
            CheckKind::Grpc(grpc) => {
                map.serialize_entry("GRPC", &*check.target)?;
                flag(&mut map, "GRPCUseTLS", grpc.use_tls)?;
                certificate(&mut map, grpc)?;
            }
            CheckKind::H2Ping(ping) => {
                map.serialize_entry("H2PING", &*check.target)?;
                // Not given, it is true (Consul).
                map.serialize_entry("H2PingUseTLS", &ping.use_tls)?;
                certificate(&mut map, ping)?;
            }
            CheckKind::DockerExec(exec) => exec_entries(&mut map, exec)?,
            CheckKind::Alias(alias) => {
                text(&mut map, "AliasNode", alias.node.as_ref().map_or("", |node| node.as_str()))?;
                text(&mut map, "AliasService", alias.service_id.as_ref().map_or("", |id| id.as_str()))?;
            }
            CheckKind::Dns(dns) => {
                let (name, r#type) = (&*dns.name, &*dns.record_type);
                let body = DnsBody { server: &check.target, name, r#type, expected: &dns.expected };
                map.serialize_entry("DNS", &body)?;
            }
            CheckKind::Udp => map.serialize_entry("UDP", &*check.target)?,
            CheckKind::Systemd => map.serialize_entry("OSService", &*check.target)?,
            CheckKind::MySql => map.serialize_entry("MySQL", &*check.target)?,
            CheckKind::Redis => map.serialize_entry("Redis", &*check.target)?,
            CheckKind::Postgres => map.serialize_entry("Postgres", &*check.target)?,
            CheckKind::Amqp => map.serialize_entry("AMQP", &*check.target)?,
            CheckKind::Icmp => map.serialize_entry("ICMP", &*check.target)?,
            CheckKind::Script(script) => map.serialize_entry("ScriptArgs", &script.args)?,
        }
        if definition.kind.is_periodic() {
            map.serialize_entry("Interval", &go_duration(definition.interval))?;
            map.serialize_entry("Timeout", &go_duration(definition.timeout))?;
        }
        for (name, count) in [
            ("SuccessBeforePassing", definition.success_before_passing),
            ("FailuresBeforeWarning", definition.failures_before_warning),
            ("FailuresBeforeCritical", definition.failures_before_critical),
        ] {
            if count > 0 {
                map.serialize_entry(name, &count)?;
            }
        }
        if usize::from(definition.output_max_bytes) != OUTPUT_MAX_BYTES {
            map.serialize_entry("OutputMaxSize", &definition.output_max_bytes)?;
        }
        if let Some(span) = definition.deregister_critical_service_after {
            map.serialize_entry("DeregisterCriticalServiceAfter", &go_duration(span))?;
        }
        map.end()
    }
}

fn http_entries<M: SerializeMap>(map: &mut M, http: &HttpCheck) -> Result<(), M::Error> {
    map.serialize_entry("Method", &*http.method)?;
    if !http.headers.is_empty() {
        map.serialize_entry("Header", &HeaderBody(http))?;
    }
    text(map, "Body", &http.body)?;
    flag(map, "DisableRedirects", http.disable_redirects)?;
    flag(map, "TLSSkipVerify", http.tls_skip_verify)?;
    text(map, "TLSServerName", http.tls_server_name.as_deref().unwrap_or_default())
}

/// Written as it is read, a shell with the one text that it reads.
fn exec_entries<M: SerializeMap>(map: &mut M, exec: &DockerExecCheck) -> Result<(), M::Error> {
    map.serialize_entry("DockerContainerID", &exec.container)?;
    match &exec.args[..] {
        [shell, option, command] if &**option == "-c" => {
            map.serialize_entry("Shell", shell)?;
            map.serialize_entry("ScriptArgs", &[command])
        }
        args => map.serialize_entry("ScriptArgs", args),
    }
}

/// What a probe over TLS asks of the certificate.
fn certificate<M: SerializeMap>(map: &mut M, tls: &ClientTls) -> Result<(), M::Error> {
    flag(map, "TLSSkipVerify", tls.tls_skip_verify)?;
    text(map, "TLSServerName", tls.tls_server_name.as_deref().unwrap_or_default())
}

/// The query of a DNS check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DnsBody<'a> {
    server: &'a str,
    name: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    expected: &'a [Arc<str>],
}

fn text<M: SerializeMap>(map: &mut M, name: &str, value: &str) -> Result<(), M::Error> {
    if value.is_empty() { Ok(()) } else { map.serialize_entry(name, value) }
}

fn flag<M: SerializeMap>(map: &mut M, name: &str, value: bool) -> Result<(), M::Error> {
    if value { map.serialize_entry(name, &true) } else { Ok(()) }
}

/// Headers with the values of each, in their order.
struct HeaderBody<'a>(&'a HttpCheck);

impl Serialize for HeaderBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let groups = self.0.headers.chunk_by(|(name, _), (next, _)| name == next);
        serializer.collect_map(groups.map(|group| {
            let values: Vec<&str> = group.iter().map(|(_, value)| &**value).collect();
            (&*group[0].0, values)
        }))
    }
}

fn is_empty(meta: &Meta) -> bool {
    meta.is_empty()
}

const SET: &str = "set";
