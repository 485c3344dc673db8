//! From what is in memory to what lies on disk.

use std::{borrow::Cow, collections::BTreeMap, hash::Hasher as _, sync::Arc};

use serde::Serialize;
use siphasher::sip::SipHasher13;

use crate::{
    catalog::{
        change::{Origin, Registration},
        check::{Check, CheckDefinition, CheckKey, CheckKind, CheckStatus, ClientTls, OUTPUT_MAX_BYTES},
        few::Few,
        names::Tag,
        node::Address,
        service::{Instance, InstanceKey},
        state::{CheckEntry, InstanceEntry},
    },
    publish::journal::{
        StoredNode,
        pending::NewestResult,
        record::{
            AddressRecord, CheckRecord, DefinitionRecord, FurtherNameRecord, FurtherNameRecords, InstanceRecord,
            KindRecord, NetworkAddressRecord, NodeRecord, OriginRecord, PortRecord, RegistrationRecord, ResultRecord,
            StatusRecord, TaggedAddressRecord,
        },
    },
};

/// The key of an instance on disk: node, NUL, service ID. Neither holds control characters.
pub(super) fn instance_key(key: &InstanceKey) -> Vec<u8> {
    joined(key.node.as_str(), key.id.as_str())
}

/// The key of a check's result on disk: node, NUL, check ID.
pub(super) fn check_key(key: &CheckKey) -> Vec<u8> {
    joined(key.node.as_str(), key.id.as_str())
}

/// Node, NUL, ID.
pub(super) fn joined(node: &str, id: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(node.len() + 1 + id.len());
    bytes.extend_from_slice(node.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(id.as_bytes());
    bytes
}

/// The value of an instance, under its key.
pub(super) fn instance(key: &[u8], entry: &InstanceEntry) -> Vec<u8> {
    let checks = entry.checks.iter().map(check_entry).collect();
    let record = InstanceRecord {
        registration: registration(&entry.instance, checks, false),
        shadowed: entry.shadowed.iter().map(|shadowed| shadowed_registration(shadowed)).collect(),
        create_index: entry.create_index,
        modify_index: entry.modify_index,
    };
    let mut bytes = encoded(&record);
    let instances = || std::iter::once(&*entry.instance).chain(entry.shadowed.iter().map(|one| &one.instance));
    if instances().any(|instance| !instance.further_names.is_empty()) {
        let records: FurtherNameRecords<'_> = instances().map(further_names).collect();
        bytes.extend_from_slice(&encoded(&records));
    }
    seal(key, bytes)
}

/// The value of a node, under its key.
pub(super) fn node(key: &[u8], stored: &StoredNode) -> Vec<u8> {
    let node = &stored.node;
    let record = NodeRecord {
        uuid: &node.uuid,
        address: address(&node.address),
        tagged_addresses: node.tagged_addresses.iter().map(|(role, at)| (&**role, address(at))).collect(),
        meta: meta(&node.meta),
        checks: stored.checks.iter().map(check_entry).collect(),
        create_index: stored.create_index,
        modify_index: stored.modify_index,
    };
    let mut bytes = encoded(&record);
    if node.origin != Origin::Api {
        bytes.extend(encoded(&origin(node.origin)));
    }
    seal(key, bytes)
}

/// The value of a check's newest result, under its key.
pub(super) fn result(key: &[u8], newest: &NewestResult) -> Vec<u8> {
    let record = ResultRecord {
        status: status(newest.result.status),
        output: newest.result.output.shown(""),
        modify_index: newest.modify_index,
    };
    sealed(key, &record)
}

/// The value of a document, under its key.
pub(super) fn document(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    seal(key, bytes.to_vec())
}

/// The record's bytes, then [`seal_of`] key and bytes.
pub(super) fn sealed(key: &[u8], record: &impl Serialize) -> Vec<u8> {
    seal(key, encoded(record))
}

fn seal(key: &[u8], mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(&seal_of(key, &bytes));
    bytes
}

/// Tells a record that was torn, or that lies under another's key.
///
/// Source: SipHash-1-3 with the key 0, cut to 4 bytes: fast, and already here for other uses. It guards against
/// accidents, not against someone who writes the file.
pub(super) fn seal_of(key: &[u8], bytes: &[u8]) -> [u8; SEAL_BYTES] {
    let mut hasher = SipHasher13::new();
    hasher.write(key);
    hasher.write(bytes);
    // The low half, as its own type says.
    (hasher.finish() as u32).to_le_bytes()
}

/// Length of [`seal_of`].
pub(super) const SEAL_BYTES: usize = 4;

pub(super) fn encoded(record: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(record).expect("a record in memory holds no type that postcard lacks")
}

fn registration<'a>(
    instance: &'a Instance,
    checks: Few<CheckRecord<'a>>,
    replace_existing_checks: bool,
) -> RegistrationRecord<'a> {
    RegistrationRecord {
        service: instance.service.as_str(),
        origin: origin(instance.origin),
        address: instance.address.as_ref().map(address),
        ports: instance
            .ports
            .iter()
            .map(|port| PortRecord {
                name: port.name.as_ref().map(|name| name.as_str()),
                number: port.number,
                default: port.default,
            })
            .collect(),
        tags: tags(&instance.tags),
        meta: meta(&instance.meta),
        passing_weight: instance.weights.passing,
        warning_weight: instance.weights.warning,
        tagged_addresses: instance
            .tagged_addresses
            .iter()
            .map(|tagged| TaggedAddressRecord {
                role: &tagged.role,
                address: address(&tagged.address),
                port: tagged.port,
            })
            .collect(),
        network_addresses: instance
            .network_addresses
            .iter()
            .map(|at| NetworkAddressRecord {
                network: at.network.address(),
                prefix_length: at.network.prefix_length(),
                address: at.address,
                ports: at.ports.to_vec(),
            })
            .collect(),
        enable_tag_override: instance.enable_tag_override,
        replace_existing_checks,
        checks,
    }
}

fn further_names(instance: &Instance) -> Vec<FurtherNameRecord<'_>> {
    let names = instance.further_names.iter();
    names.map(|it| FurtherNameRecord { name: it.name.as_str(), stands_for_id: it.stands_for_id }).collect()
}

fn shadowed_registration(shadowed: &Registration) -> RegistrationRecord<'_> {
    let checks = shadowed.checks.iter().map(|shadowed| check(shadowed, 0, 0)).collect();
    registration(&shadowed.instance, checks, shadowed.replace_existing_checks)
}

fn check_entry(entry: &CheckEntry) -> CheckRecord<'_> {
    check(&entry.check, entry.create_index, entry.modify_index)
}

fn check(check: &Check, create_index: u64, modify_index: u64) -> CheckRecord<'_> {
    CheckRecord {
        id: check.id.as_str(),
        name: &check.name,
        notes: &check.notes,
        status: status(check.status),
        output: check.output.shown(&check.target),
        definition: definition(&check.target, &check.definition),
        origin: origin(check.origin),
        create_index,
        modify_index,
    }
}

fn definition(target: &str, definition: &CheckDefinition) -> Cow<'static, [u8]> {
    let mut bytes = encoded(&DefinitionRecord {
        kind: kind(target, &definition.kind),
        interval: definition.interval,
        timeout: definition.timeout,
        success_before_passing: definition.success_before_passing,
        failures_before_warning: definition.failures_before_warning,
        failures_before_critical: definition.failures_before_critical,
        deregister_critical_service_after: definition.deregister_critical_service_after,
    });
    if usize::from(definition.output_max_bytes) != OUTPUT_MAX_BYTES {
        bytes.extend(encoded(&definition.output_max_bytes));
    }
    Cow::Owned(bytes)
}

fn kind<'a>(target: &'a str, kind: &'a CheckKind) -> KindRecord<'a> {
    match kind {
        CheckKind::Http(http) => KindRecord::Http {
            url: target,
            method: &http.method,
            headers: http.headers.iter().map(|(name, value)| (&**name, &**value)).collect(),
            body: &http.body,
            disable_redirects: http.disable_redirects,
            tls_skip_verify: http.tls_skip_verify,
            tls_server_name: http.tls_server_name.as_deref(),
        },
        CheckKind::Tcp(ClientTls { use_tls, tls_skip_verify, tls_server_name }) => KindRecord::Tcp {
            target,
            use_tls: *use_tls,
            tls_skip_verify: *tls_skip_verify,
            tls_server_name: tls_server_name.as_deref(),
        },
        CheckKind::Grpc(ClientTls { use_tls, tls_skip_verify, tls_server_name }) => KindRecord::GrpcNamed {
            target,
            use_tls: *use_tls,
            tls_skip_verify: *tls_skip_verify,
            tls_server_name: tls_server_name.as_deref(),
        },
        CheckKind::H2Ping(ClientTls { use_tls, tls_skip_verify, tls_server_name }) => KindRecord::H2Ping {
            target,
            use_tls: *use_tls,
            tls_skip_verify: *tls_skip_verify,
            tls_server_name: tls_server_name.as_deref(),
        },
        CheckKind::Dns(check) => KindRecord::Dns {
            server: target,
            name: &check.name,
            record_type: &check.record_type,
            expected: texts(&check.expected),
        },
        CheckKind::DockerExec(check) => {
            KindRecord::DockerExec { container: &check.container, args: texts(&check.args) }
        }
        CheckKind::Alias(alias) => KindRecord::Alias {
            node: alias.node.as_ref().map(|node| node.as_str()),
            service_id: alias.service_id.as_ref().map(|id| id.as_str()),
        },
        CheckKind::Deadline(span) => KindRecord::Deadline(*span),
        CheckKind::External => KindRecord::External,
        CheckKind::Maintenance => KindRecord::Maintenance,
        CheckKind::Script(script) => KindRecord::Script(texts(&script.args)),
        CheckKind::Udp => KindRecord::Udp(target),
        CheckKind::Systemd => KindRecord::Systemd(target),
        CheckKind::MySql => KindRecord::MySql(target),
        CheckKind::Redis => KindRecord::Redis(target),
        CheckKind::Postgres => KindRecord::Postgres(target),
        CheckKind::Amqp => KindRecord::Amqp(target),
        CheckKind::Icmp => KindRecord::Icmp(target),
    }
}

fn texts(texts: &[Arc<str>]) -> Vec<&str> {
    texts.iter().map(|text| &**text).collect()
}

fn tags(tags: &[Tag]) -> Cow<'_, [u8]> {
    Cow::Owned(encoded(&tags.iter().map(Tag::as_str).collect::<Vec<_>>()))
}

fn meta(meta: &BTreeMap<Arc<str>, Arc<str>>) -> Cow<'_, [u8]> {
    Cow::Owned(encoded(&meta.iter().map(|(key, value)| (&**key, &**value)).collect::<Vec<_>>()))
}

fn address(address: &Address) -> AddressRecord<'_> {
    match address {
        Address::Ip(ip) => AddressRecord::Ip(*ip),
        Address::Host(name) => AddressRecord::Host(name),
    }
}

fn origin(origin: Origin) -> OriginRecord {
    match origin {
        Origin::Server => OriginRecord::Server,
        Origin::Api => OriginRecord::Api,
        Origin::File => OriginRecord::File,
        Origin::Cluster => OriginRecord::Cluster,
        Origin::Docker => OriginRecord::Docker,
        Origin::Registry => OriginRecord::Registry,
    }
}

fn status(status: CheckStatus) -> StatusRecord {
    match status {
        CheckStatus::Passing => StatusRecord::Passing,
        CheckStatus::Warning => StatusRecord::Warning,
        CheckStatus::Critical => StatusRecord::Critical,
    }
}
