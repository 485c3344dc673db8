//! From what lies on disk to what is in memory. Any bytes end in a value or in an error, never in a panic.

use std::{collections::BTreeMap, sync::Arc};

use hashbrown::{Equivalent, HashMap, HashSet};
use serde::Deserialize;
use thin_vec::ThinVec;

use crate::{
    catalog::{
        change::{Origin, Registration},
        check::{
            AliasCheck, Check, CheckDefinition, CheckKind, CheckResult, ClientTls, DnsCheck, DockerExecCheck,
            HttpCheck, ScriptCheck,
        },
        few::Few,
        names::{CheckId, IdentifierError, NodeName, PortName, ServiceId, ServiceName, Tag, Text},
        node::{Address, Node},
        output::Output,
        service::{FurtherName, Instance, IpNetwork, Meta, NetworkAddress, Port, TaggedAddress, Weights},
        state::{CheckEntry, InstanceEntry},
    },
    publish::journal::{
        Document, StoredNode,
        encode::{SEAL_BYTES, seal_of},
        pending::NewestResult,
        record::{
            AddressRecord, CheckRecord, DefinitionRecord, FurtherNameRecord, FurtherNameRecords, InstanceRecord,
            KindRecord, NetworkAddressRecord, NodeRecord, OriginRecord, PortRecord, RegistrationRecord, ResultRecord,
            TaggedAddressRecord,
        },
    },
};

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("the record's checksum is wrong")]
    Seal,
    #[error("the record's key is not one")]
    Key,
    #[error("the record ends early or has bytes left over")]
    Shape(#[from] postcard::Error),
    #[error("the record holds a name that {0}")]
    Identifier(#[from] IdentifierError),
    #[error("the record holds an impossible network")]
    Network,
}

/// Looks for a check's newest result, given node and check ID.
pub(super) type Newest<'a> = &'a dyn Fn(&str, &str) -> Option<NewestResult>;

/// An instance with its checks, each with its newest result.
pub(super) fn instance(
    key: &[u8],
    value: &[u8],
    newest: Newest<'_>,
    sharing: &mut Sharing,
) -> Result<InstanceEntry, RecordError> {
    let (record, further) = instance_record(key, value)?;
    let mut further = further.into_iter();
    let (node, id) = split(key)?;
    let subject = Subject { node: NodeName::new(sharing.text(node))?, service_id: Some(ServiceId::new(id)?) };
    let checks = check_entries(&record.registration.checks, &subject, newest, sharing)?;
    let instance = registered(record.registration, further.next(), &subject, sharing)?;
    let shadowed = record.shadowed.into_iter().map(|shadowed| {
        let checks = shadowed.checks.iter().map(|record| check(record, &subject, sharing)).collect::<Result<_, _>>()?;
        let replace_existing_checks = shadowed.replace_existing_checks;
        let instance = registered(shadowed, further.next(), &subject, sharing)?;
        Ok(Arc::new(Registration { instance, checks, replace_existing_checks }))
    });
    let shadowed = shadowed.collect::<Result<_, RecordError>>()?;
    Ok(InstanceEntry {
        instance: Arc::new(instance),
        checks,
        shadowed,
        create_index: record.create_index,
        modify_index: record.modify_index,
    })
}

/// A node with its own checks, each with its newest result.
pub(super) fn node(
    key: &str,
    value: &[u8],
    newest: Newest<'_>,
    sharing: &mut Sharing,
) -> Result<StoredNode, RecordError> {
    let (record, whose) = node_record(key.as_bytes(), value)?;
    let subject = Subject { node: NodeName::new(sharing.text(key))?, service_id: None };
    let tagged_addresses =
        record.tagged_addresses.into_iter().map(|(role, at)| (sharing.part(role), address(at, sharing))).collect();
    let checks = check_entries(&record.checks, &subject, newest, sharing)?;
    Ok(StoredNode {
        node: Arc::new(Node {
            name: subject.node,
            uuid: Arc::from(record.uuid),
            address: address(record.address, sharing),
            tagged_addresses,
            meta: sharing.meta(&record.meta)?,
            origin: whose,
        }),
        checks: checks.iter().cloned().collect(),
        create_index: record.create_index,
        modify_index: record.modify_index,
    })
}

/// A check's newest result.
pub(super) fn result(key: &[u8], value: &[u8]) -> Result<NewestResult, RecordError> {
    let record: ResultRecord<'_> = opened(key, value)?;
    let result = CheckResult { status: record.status.into(), output: (&*record.output).into() };
    Ok(NewestResult { result, modify_index: record.modify_index })
}

/// What a document holds.
pub(super) fn document(key: &[u8], value: &[u8]) -> Result<Document, RecordError> {
    Ok(Document { key: key.to_vec(), bytes: unsealed(key, value)?.to_vec() })
}

/// IDs of the checks in an instance's record.
pub(super) fn checks_of_instance(key: &[u8], value: &[u8]) -> Result<Vec<String>, RecordError> {
    let (record, _) = instance_record(key, value)?;
    Ok(record.registration.checks.iter().map(|check| check.id.to_owned()).collect())
}

/// IDs of the checks in a node's record.
pub(super) fn checks_of_node(key: &[u8], value: &[u8]) -> Result<Vec<String>, RecordError> {
    let (record, _) = node_record(key, value)?;
    Ok(record.checks.iter().map(|check| check.id.to_owned()).collect())
}

/// The record of an instance, and the further names behind it.
fn instance_record<'a>(
    key: &[u8],
    value: &'a [u8],
) -> Result<(InstanceRecord<'a>, FurtherNameRecords<'a>), RecordError> {
    let (record, rest): (InstanceRecord<'_>, _) = postcard::take_from_bytes(unsealed(key, value)?)?;
    let further: FurtherNameRecords<'_> = if rest.is_empty() { Vec::new() } else { whole(rest)? };
    Ok((record, further))
}

/// The record of a node, and whose it is, which stands behind it.
fn node_record<'a>(key: &[u8], value: &'a [u8]) -> Result<(NodeRecord<'a>, Origin), RecordError> {
    let (record, rest): (NodeRecord<'_>, _) = postcard::take_from_bytes(unsealed(key, value)?)?;
    let whose = if rest.is_empty() { Origin::Api } else { origin(whole(rest)?) };
    Ok((record, whose))
}

/// The record under its key, if its seal is whole and nothing is left over.
pub(super) fn opened<'a, T: Deserialize<'a>>(key: &[u8], value: &'a [u8]) -> Result<T, RecordError> {
    whole(unsealed(key, value)?)
}

fn unsealed<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], RecordError> {
    let (bytes, seal) = value.split_last_chunk::<SEAL_BYTES>().ok_or(RecordError::Seal)?;
    if seal_of(key, bytes) == *seal { Ok(bytes) } else { Err(RecordError::Seal) }
}

/// Node and ID of a key.
pub(super) fn split(key: &[u8]) -> Result<(&str, &str), RecordError> {
    let text = std::str::from_utf8(key).map_err(|_| RecordError::Key)?;
    text.split_once('\0').ok_or(RecordError::Key)
}

/// Equal parts of records, decoded once and shared, so that a million instances do not hold a million copies.
///
/// | bound | value |
/// |---|---|
/// | parts remembered, a kind | [`PARTS_MAX`]; further ones are decoded each time |
/// | a part | [`PART_MAX_BYTES`]; a longer one is decoded each time |
#[derive(Default)]
pub(super) struct Sharing {
    texts: HashSet<Text>,
    /// Texts of meta and addresses.
    parts: HashSet<Arc<str>>,
    tags: HashMap<Box<[u8]>, Arc<[Tag]>>,
    meta: HashMap<Box<[u8]>, Meta>,
    ports: HashSet<Arc<[Port]>>,
    definitions: HashSet<Arc<CheckDefinition>>,
    /// The last definition without a target, which is told by its record alone.
    untargeted: Option<(Box<[u8]>, Arc<CheckDefinition>)>,
}

impl Sharing {
    fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let new = Text::from(text);
        if text.len() <= PART_MAX_BYTES && self.texts.len() < PARTS_MAX {
            self.texts.insert(new.clone());
        }
        new
    }

    fn output(&mut self, said: &str, target: &str) -> Output {
        let mut output = Output::new(said, target);
        let shared = self.text(output.text_mut());
        *output.text_mut() = shared;
        output
    }

    fn part(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.parts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        if text.len() <= PART_MAX_BYTES && self.parts.len() < PARTS_MAX {
            self.parts.insert(Arc::clone(&new));
        }
        new
    }

    fn tags(&mut self, part: &[u8]) -> Result<Arc<[Tag]>, RecordError> {
        if let Some(known) = self.tags.get(part) {
            return Ok(Arc::clone(known));
        }
        let texts: Vec<&str> = whole(part)?;
        let tags = texts.into_iter().map(|tag| Tag::new(self.text(tag))).collect::<Result<Arc<[Tag]>, _>>()?;
        remember(&mut self.tags, part, &tags);
        Ok(tags)
    }

    fn meta(&mut self, part: &[u8]) -> Result<Meta, RecordError> {
        if let Some(known) = self.meta.get(part) {
            return Ok(Arc::clone(known));
        }
        let pairs: Vec<(&str, &str)> = whole(part)?;
        let meta: BTreeMap<_, _> = pairs.into_iter().map(|(key, value)| (self.part(key), self.part(value))).collect();
        let meta = Arc::new(meta);
        remember(&mut self.meta, part, &meta);
        Ok(meta)
    }

    fn ports(&mut self, records: &[PortRecord<'_>]) -> Result<Arc<[Port]>, RecordError> {
        if let Some(known) = self.ports.get(&PortsOf(records)) {
            return Ok(Arc::clone(known));
        }
        let ports = records.iter().map(|record| port(record, self)).collect::<Result<Arc<[Port]>, _>>()?;
        if self.ports.len() < PARTS_MAX {
            self.ports.insert(Arc::clone(&ports));
        }
        Ok(ports)
    }

    /// A definition, which is shared, and the target that is in its record.
    fn definition(&mut self, part: &[u8]) -> Result<(Text, Arc<CheckDefinition>), RecordError> {
        if let Some((_, known)) = self.untargeted.as_ref().filter(|(last, _)| **last == *part) {
            return Ok((Text::new(), Arc::clone(known)));
        }
        let (target, definition) = definition(part)?;
        let shared = match self.definitions.get(&definition) {
            Some(known) => Arc::clone(known),
            None => {
                let new = Arc::new(definition);
                if self.definitions.len() < PARTS_MAX {
                    self.definitions.insert(Arc::clone(&new));
                }
                new
            }
        };
        if target.is_empty() {
            self.untargeted = Some((part.into(), Arc::clone(&shared)));
        }
        Ok((target, shared))
    }
}

/// Ports that are looked for by their records.
#[derive(Hash)]
struct PortsOf<'a>(&'a [PortRecord<'a>]);

impl Equivalent<Arc<[Port]>> for PortsOf<'_> {
    fn equivalent(&self, ports: &Arc<[Port]>) -> bool {
        let is_of = |record: &PortRecord<'_>, port: &Port| {
            port.name.as_ref().map(PortName::as_str) == record.name
                && (port.number, port.default) == (record.number, record.default)
        };
        self.0.len() == ports.len() && self.0.iter().zip(ports.iter()).all(|(record, port)| is_of(record, port))
    }
}

/// Most parts of a kind that [`Sharing`] remembers. Source: none, chosen: 10,000 services with some variety.
const PARTS_MAX: usize = 100_000;

/// Longest part that [`Sharing`] remembers. Source: none, chosen: longer ones are seldom equal.
const PART_MAX_BYTES: usize = 256;

fn remember<T: Clone>(known: &mut HashMap<Box<[u8]>, T>, part: &[u8], value: &T) {
    if part.len() <= PART_MAX_BYTES && known.len() < PARTS_MAX {
        known.insert(part.into(), value.clone());
    }
}

fn whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, RecordError> {
    let (value, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(RecordError::Shape(postcard::Error::DeserializeBadEncoding)) }
}

/// Whose checks are read: a node's, or those of an instance on it.
struct Subject {
    node: NodeName,
    service_id: Option<ServiceId>,
}

impl Subject {
    /// The ID of one of its checks; that which most instances have shares the instance's. It may be longer than a given
    /// one, if it was made of a service ID.
    fn check_id(&self, id: &str) -> CheckId {
        let derived = self.service_id.as_ref().map(CheckId::of_service);
        derived.filter(|derived| derived.as_str() == id).unwrap_or_else(|| CheckId::derived(id))
    }
}

fn registered(
    record: RegistrationRecord<'_>,
    further: Option<Vec<FurtherNameRecord<'_>>>,
    subject: &Subject,
    sharing: &mut Sharing,
) -> Result<Instance, RecordError> {
    Ok(Instance {
        node: subject.node.clone(),
        id: subject.service_id.clone().ok_or(RecordError::Key)?,
        service: ServiceName::new(sharing.text(record.service))?,
        address: record.address.map(|at| address(at, sharing)),
        ports: sharing.ports(&record.ports)?,
        tags: sharing.tags(&record.tags)?,
        meta: sharing.meta(&record.meta)?,
        weights: Weights { passing: record.passing_weight, warning: record.warning_weight },
        tagged_addresses: record.tagged_addresses.into_iter().map(|record| tagged(record, sharing)).collect(),
        network_addresses: record.network_addresses.into_iter().map(network).collect::<Result<_, _>>()?,
        further_names: further_names(further, sharing)?,
        enable_tag_override: record.enable_tag_override,
        origin: origin(record.origin),
    })
}

fn further_names(
    records: Option<Vec<FurtherNameRecord<'_>>>,
    sharing: &mut Sharing,
) -> Result<ThinVec<FurtherName>, RecordError> {
    let name = |FurtherNameRecord { name, stands_for_id }: FurtherNameRecord<'_>| {
        Ok(FurtherName { name: ServiceName::new(sharing.text(name))?, stands_for_id })
    };
    records.into_iter().flatten().map(name).collect()
}

fn check_entries(
    records: &[CheckRecord<'_>],
    subject: &Subject,
    newest: Newest<'_>,
    sharing: &mut Sharing,
) -> Result<Few<CheckEntry>, RecordError> {
    let mut entry = |record: &CheckRecord<'_>| {
        let mut check = check(record, subject, sharing)?;
        let mut modify_index = record.modify_index;
        // A result from before the record was written is in the record already.
        if let Some(newest) = newest(subject.node.as_str(), record.id).filter(|it| it.modify_index >= modify_index) {
            check.status = newest.result.status;
            check.output = sharing.output(&newest.result.output.shown(""), &check.target);
            modify_index = newest.modify_index;
        }
        Ok(CheckEntry { check: Arc::new(check), create_index: record.create_index, modify_index })
    };
    match records {
        [one] => Ok(Few::One(entry(one)?)),
        all => all.iter().map(entry).collect(),
    }
}

fn check(record: &CheckRecord<'_>, subject: &Subject, sharing: &mut Sharing) -> Result<Check, RecordError> {
    let (target, definition) = sharing.definition(&record.definition)?;
    Ok(Check {
        node: subject.node.clone(),
        id: subject.check_id(record.id),
        service_id: subject.service_id.clone(),
        name: sharing.text(record.name),
        notes: sharing.text(record.notes),
        status: record.status.into(),
        output: sharing.output(&record.output, &target),
        target,
        definition,
        origin: origin(record.origin),
    })
}

fn definition(part: &[u8]) -> Result<(Text, CheckDefinition), RecordError> {
    let (record, rest): (DefinitionRecord<'_>, _) = postcard::take_from_bytes(part)?;
    let (target, kind) = kind(record.kind)?;
    let unprobed = CheckDefinition::unprobed(kind);
    let definition = CheckDefinition {
        interval: record.interval,
        timeout: record.timeout,
        success_before_passing: record.success_before_passing,
        failures_before_warning: record.failures_before_warning,
        failures_before_critical: record.failures_before_critical,
        deregister_critical_service_after: record.deregister_critical_service_after,
        output_max_bytes: if rest.is_empty() { unprobed.output_max_bytes } else { whole(rest)? },
        ..unprobed
    };
    Ok((target, definition))
}

fn kind(record: KindRecord<'_>) -> Result<(Text, CheckKind), RecordError> {
    let tls = |use_tls, tls_skip_verify, name: Option<&str>| ClientTls {
        use_tls,
        tls_skip_verify,
        tls_server_name: name.map(Arc::from),
    };
    let (target, kind) = match record {
        KindRecord::Http { url, method, headers, body, disable_redirects, tls_skip_verify, tls_server_name } => {
            let check = HttpCheck {
                method: Arc::from(method),
                headers: headers.into_iter().map(|(name, value)| (Arc::from(name), Arc::from(value))).collect(),
                body: Arc::from(body),
                disable_redirects,
                tls_skip_verify,
                tls_server_name: tls_server_name.map(Arc::from),
            };
            (url, CheckKind::Http(Box::new(check)))
        }
        KindRecord::Tcp { target, use_tls, tls_skip_verify, tls_server_name } => {
            (target, CheckKind::Tcp(tls(use_tls, tls_skip_verify, tls_server_name)))
        }
        KindRecord::Deadline(span) => ("", CheckKind::Deadline(span)),
        KindRecord::External => ("", CheckKind::External),
        KindRecord::Maintenance => ("", CheckKind::Maintenance),
        KindRecord::Grpc { target, use_tls, tls_skip_verify } => {
            (target, CheckKind::Grpc(tls(use_tls, tls_skip_verify, None)))
        }
        KindRecord::Script(args) => ("", CheckKind::Script(ScriptCheck { args: texts(args) })),
        KindRecord::GrpcNamed { target, use_tls, tls_skip_verify, tls_server_name } => {
            (target, CheckKind::Grpc(tls(use_tls, tls_skip_verify, tls_server_name)))
        }
        KindRecord::Udp(target) => (target, CheckKind::Udp),
        KindRecord::H2Ping { target, use_tls, tls_skip_verify, tls_server_name } => {
            (target, CheckKind::H2Ping(tls(use_tls, tls_skip_verify, tls_server_name)))
        }
        KindRecord::DockerExec { container, args } => {
            let check = DockerExecCheck { container: Arc::from(container), args: texts(args) };
            ("", CheckKind::DockerExec(Box::new(check)))
        }
        KindRecord::Alias { node, service_id } => {
            let node = node.map(NodeName::new).transpose()?;
            let service_id = service_id.map(ServiceId::new).transpose()?;
            ("", CheckKind::Alias(Box::new(AliasCheck { node, service_id })))
        }
        KindRecord::Systemd(unit) => (unit, CheckKind::Systemd),
        KindRecord::MySql(target) => (target, CheckKind::MySql),
        KindRecord::Redis(target) => (target, CheckKind::Redis),
        KindRecord::Postgres(target) => (target, CheckKind::Postgres),
        KindRecord::Amqp(target) => (target, CheckKind::Amqp),
        KindRecord::Dns { server, name, record_type, expected } => {
            let (name, record_type) = (Arc::from(name), Arc::from(record_type));
            (server, CheckKind::Dns(Box::new(DnsCheck { name, record_type, expected: texts(expected) })))
        }
        KindRecord::Icmp(host) => (host, CheckKind::Icmp),
    };
    Ok((Text::from(target), kind))
}

fn texts(texts: Vec<&str>) -> Box<[Arc<str>]> {
    texts.into_iter().map(Arc::from).collect()
}

fn port(record: &PortRecord<'_>, sharing: &mut Sharing) -> Result<Port, RecordError> {
    let name = record.name.map(|name| PortName::new(sharing.text(name))).transpose()?;
    Ok(Port { name, number: record.number, default: record.default })
}

fn tagged(record: TaggedAddressRecord<'_>, sharing: &mut Sharing) -> TaggedAddress {
    TaggedAddress { role: sharing.part(record.role), address: address(record.address, sharing), port: record.port }
}

fn network(record: NetworkAddressRecord) -> Result<NetworkAddress, RecordError> {
    let network = IpNetwork::new(record.network, record.prefix_length).ok_or(RecordError::Network)?;
    Ok(NetworkAddress { network, address: record.address, ports: record.ports.into() })
}

fn address(record: AddressRecord<'_>, sharing: &mut Sharing) -> Address {
    match record {
        AddressRecord::Ip(ip) => Address::Ip(ip),
        AddressRecord::Host(name) => Address::Host(sharing.part(name)),
    }
}

fn origin(record: OriginRecord) -> Origin {
    match record {
        OriginRecord::Server => Origin::Server,
        OriginRecord::Api => Origin::Api,
        OriginRecord::File => Origin::File,
        OriginRecord::Cluster => Origin::Cluster,
        OriginRecord::Docker => Origin::Docker,
        OriginRecord::Registry => Origin::Registry,
    }
}
