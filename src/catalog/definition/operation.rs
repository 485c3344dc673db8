//! The operations of a transaction, as `PUT /v1/txn` takes them.

use std::sync::Arc;

use super::{
    DefinitionError, Owner, Problem,
    check::{self, read_definition},
    fields::{Field, Fields},
    service::{self, address, pairs, weights},
};
use crate::catalog::{
    change::{Change, Origin, Registration},
    check::{
        Check, CheckDefinition, CheckKey, CheckKind, CheckResult, CheckStatus, NODE_MAINTENANCE_ID, OUTPUT_MAX_BYTES,
    },
    names::{CheckId, NodeName, ServiceId, ServiceName},
    node::{Address, Node},
    output::Output,
    service::{InstanceKey, Meta},
    transaction::{Action, Operation, Subject},
};

/// Reads one operation: an object with one of `Node`, `Service` and `Check`.
pub(super) fn read(object: &Field<'_>, owner: &Owner, notices: &mut Vec<String>) -> Result<Operation, DefinitionError> {
    let fields = Fields::read(object, &["KV", "Node", "Service", "Check", "Session", "Intention"])?;
    if let Some((kind, field)) = ["Session", "Intention"].iter().find_map(|kind| Some((kind, fields.field(kind)?))) {
        let rule = format!("{kind} operations are not offered; KV, Node, Service and Check operations are");
        return Err(field.wrong(Problem::Rule(rule)));
    }
    match (fields.field("Node"), fields.field("Service"), fields.field("Check")) {
        (Some(node), None, None) => node_operation(node, owner),
        (None, Some(service), None) => service_operation(service, owner, notices),
        (None, None, Some(check)) => check_operation(check, owner, notices),
        _ => Err(object.wrong(Problem::Rule("must have one of KV, Node, Service and Check".to_owned()))),
    }
}

/// What is done, by Consul's word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Set,
    Cas,
    Delete,
    DeleteCas,
}

fn verb(fields: &Fields<'_>) -> Result<Verb, DefinitionError> {
    let field = fields.field("Verb").ok_or_else(|| fields.wrong("Verb", Problem::Missing))?;
    match field.text()? {
        "get" => Ok(Verb::Get),
        "set" => Ok(Verb::Set),
        "cas" => Ok(Verb::Cas),
        "delete" => Ok(Verb::Delete),
        "delete-cas" => Ok(Verb::DeleteCas),
        _ => Err(field.expected("\"get\", \"set\", \"cas\", \"delete\" or \"delete-cas\"")),
    }
}

/// What a verb does: the changes are read only if it sets something.
fn action(
    verb: Verb,
    inner: &Fields<'_>,
    delete: Change,
    set: impl FnOnce() -> Result<Vec<Change>, DefinitionError>,
) -> Result<Action, DefinitionError> {
    let expected = match verb {
        Verb::Cas | Verb::DeleteCas => Some(inner.field("ModifyIndex").map_or(Ok(0), Field::index)?),
        _ => None,
    };
    Ok(match verb {
        Verb::Get => Action::Get,
        Verb::Set | Verb::Cas => Action::Set { changes: set()?, expected },
        Verb::Delete | Verb::DeleteCas => Action::Delete { change: delete, expected },
    })
}

fn node_operation(object: &Field<'_>, owner: &Owner) -> Result<Operation, DefinitionError> {
    let fields = Fields::read(object, &["Verb", "Node"])?;
    let verb = verb(&fields)?;
    let node = fields.field("Node").ok_or_else(|| fields.wrong("Node", Problem::Missing))?;
    let inner = Fields::read(node, NODE_FIELDS)?;
    check::only_default(&inner)?;
    let name = inner.filled("Node").ok_or_else(|| inner.wrong("Node", Problem::Missing))?;
    let name = name.identifier(NodeName::new)?;
    let delete = Change::DeregisterNode { name: name.clone(), origin: owner.origin };
    let set = || Ok(vec![Change::RegisterNode(read_node(&inner, (name.clone(), owner.origin), "Meta")?)]);
    Ok(Operation { action: action(verb, &inner, delete, set)?, subject: Subject::Node(name) })
}

/// A node of this name and origin; its UUID is empty if none is given. Its meta is the field of this name.
pub(super) fn read_node(
    fields: &Fields<'_>,
    (name, origin): (NodeName, Origin),
    meta: &str,
) -> Result<Node, DefinitionError> {
    let uuid = uuid(fields)?;
    let at = fields.filled("Address").ok_or_else(|| fields.wrong("Address", Problem::Missing))?;
    let mut tagged = Vec::new();
    for (role, field) in fields.field("TaggedAddresses").map(Field::members).transpose()?.unwrap_or_default() {
        let given = address(&field)?;
        service::of_family(role, &given, &field)?;
        tagged.push((Arc::from(role), given));
    }
    Ok(Node {
        name,
        uuid,
        address: address(at)?,
        tagged_addresses: tagged.into_iter().collect::<std::collections::BTreeMap<Arc<str>, Address>>(),
        meta: fields.field(meta).map(pairs).transpose()?.map_or_else(Meta::default, Arc::new),
        origin,
    })
}

/// The UUID of a node; empty if none is given.
pub(super) fn uuid(fields: &Fields<'_>) -> Result<Arc<str>, DefinitionError> {
    match fields.filled("ID") {
        Some(field) if is_uuid(field.text()?) => Ok(Arc::from(field.text()?.to_ascii_lowercase())),
        Some(field) => Err(field.expected("a UUID such as \"6e9c1a4e-0000-4000-8000-000000000001\"")),
        None => Ok(Arc::from("")),
    }
}

fn is_uuid(text: &str) -> bool {
    let dash = |at| matches!(at, 8 | 13 | 18 | 23);
    let legal = |(at, byte): (usize, u8)| if dash(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(legal)
}

fn service_operation(
    object: &Field<'_>,
    owner: &Owner,
    notices: &mut Vec<String>,
) -> Result<Operation, DefinitionError> {
    let fields = Fields::read(object, &["Verb", "Node", "Service"])?;
    let verb = verb(&fields)?;
    let owner = on_node(fields.filled("Node"), owner)?;
    let service = fields.field("Service").ok_or_else(|| fields.wrong("Service", Problem::Missing))?;
    let (inner, key) = service_and_key(service, &owner)?;
    let delete = Change::Deregister { key: key.clone(), origin: owner.origin };
    let action = action(verb, &inner, delete, || Ok(vec![service_change(&inner, &key, &owner, notices)?]))?;
    Ok(Operation { action, subject: Subject::Instance(key) })
}

/// The fields of a service as the catalog has them, and which one it is.
pub(super) fn service_and_key<'t>(
    object: &Field<'t>,
    owner: &Owner,
) -> Result<(Fields<'t>, InstanceKey), DefinitionError> {
    let fields = Fields::read(object, SERVICE_FIELDS)?;
    check::only_default(&fields)?;
    let id = fields.filled("ID").or_else(|| fields.filled("Service"));
    let id = id.ok_or_else(|| fields.wrong("ID", Problem::Missing))?.identifier(ServiceId::new)?;
    Ok((fields, InstanceKey { node: owner.node.clone(), id }))
}

/// What registers it.
pub(super) fn service_change(
    fields: &Fields<'_>,
    key: &InstanceKey,
    owner: &Owner,
    notices: &mut Vec<String>,
) -> Result<Change, DefinitionError> {
    let name = fields.filled("Service").ok_or_else(|| fields.wrong("Service", Problem::Missing))?;
    let name = name.identifier(ServiceName::new)?;
    // Go's clients write weights that are not set as zeros.
    let weights = weights(fields.filled("Weights"))?;
    let instance = service::instance(fields, (name, key.id.clone(), weights), owner, notices)?;
    let registration = Registration { instance, checks: Vec::new(), replace_existing_checks: false };
    Ok(Change::Register(Box::new(registration)))
}

fn check_operation(object: &Field<'_>, owner: &Owner, notices: &mut Vec<String>) -> Result<Operation, DefinitionError> {
    let fields = Fields::read(object, &["Verb", "Check"])?;
    let verb = verb(&fields)?;
    let check = fields.field("Check").ok_or_else(|| fields.wrong("Check", Problem::Missing))?;
    let (inner, owner) = check_and_owner(check, owner)?;
    let key = check_key(&inner, &owner)?;
    let delete = Change::DeregisterCheck { key: key.clone(), origin: owner.origin };
    let set = || check_changes(&inner, &key, &owner, notices);
    let action = action(verb, &inner, delete, set)?;
    Ok(Operation { action, subject: Subject::Check(key) })
}

/// The fields of a check as the catalog has them, and its owner on the node that it names.
pub(super) fn check_and_owner<'t>(object: &Field<'t>, owner: &Owner) -> Result<(Fields<'t>, Owner), DefinitionError> {
    let fields = Fields::read(object, CHECK_FIELDS)?;
    check::only_default(&fields)?;
    let owner = on_node(fields.filled("Node"), owner)?;
    Ok((fields, owner))
}

/// Which check it is: that of its ID, or if none is given, of its name.
pub(super) fn check_key(fields: &Fields<'_>, owner: &Owner) -> Result<CheckKey, DefinitionError> {
    let id = fields.filled("CheckID").or_else(|| fields.filled("Name"));
    let id = id.ok_or_else(|| fields.wrong("CheckID", Problem::Missing))?;
    // What is made of a service ID (service:<ID>) may be longer than an identifier that is given.
    Ok(CheckKey { node: owner.node.clone(), id: CheckId::derived(id.identifier(check_id)?) })
}

pub(super) fn check_id(text: &str) -> Result<&str, crate::catalog::names::IdentifierError> {
    let bare = text.strip_prefix("service:").or_else(|| text.strip_prefix("_service_maintenance:"));
    CheckId::new(bare.filter(|bare| !bare.is_empty()).unwrap_or(text)).map(|_| text)
}

/// The check is put in; if a status is given, that holds, also of one that is there already.
pub(super) fn check_changes(
    fields: &Fields<'_>,
    key: &CheckKey,
    owner: &Owner,
    notices: &mut Vec<String>,
) -> Result<Vec<Change>, DefinitionError> {
    let service_id = fields.filled("ServiceID").map(|field| field.identifier(ServiceId::new)).transpose()?;
    let given = check::status(fields)?;
    let (target, definition) = match fields.filled("Definition") {
        Some(object) => read_definition(object, notices)?,
        None => ("".into(), CheckDefinition::unprobed(CheckKind::External)),
    };
    let said = beginning(fields.text("Output")?.unwrap_or_default(), OUTPUT_MAX_BYTES);
    let mut check = Check {
        node: key.node.clone(),
        id: key.id.clone(),
        service_id,
        name: fields.text("Name")?.unwrap_or(key.id.as_str()).into(),
        notes: fields.text("Notes")?.unwrap_or_default().into(),
        status: given.unwrap_or(CheckStatus::Critical),
        output: Output::new(said, &target),
        target,
        definition: Arc::new(definition),
        origin: owner.origin,
    };
    let maintenance = match &check.service_id {
        Some(id) => key.id == Check::maintenance_id(id),
        None => key.id.as_str() == NODE_MAINTENANCE_ID,
    };
    if maintenance && check.definition.kind == CheckKind::External {
        check.definition = Arc::new(CheckDefinition::unprobed(CheckKind::Maintenance));
        check.status = CheckStatus::Critical;
    }
    let result = CheckResult { status: check.status, output: check.output.clone() };
    let mut changes = vec![Change::RegisterCheck(Box::new(check))];
    if given.is_some() {
        changes.push(Change::SetStatus { key: key.clone(), result });
    }
    Ok(changes)
}

/// The owner on the node that is named; without a name, on his own.
fn on_node(field: Option<&Field<'_>>, owner: &Owner) -> Result<Owner, DefinitionError> {
    let node = field.map(|field| field.identifier(NodeName::new)).transpose()?;
    Ok(Owner { node: node.unwrap_or_else(|| owner.node.clone()), origin: owner.origin })
}

/// The text's beginning, of at most so many bytes.
fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// All known fields of a node; those below the empty comment are accepted without effect, here as in the other lists.
const NODE_FIELDS: &[&str] = &[
    "ID",
    "Node",
    "Address",
    "TaggedAddresses",
    "Meta",
    "ModifyIndex",
    "Partition",
    //
    "Datacenter",
    "CreateIndex",
    "Locality",
    "PeerName",
];

const SERVICE_FIELDS: &[&str] = &[
    "ID",
    "Service",
    "Address",
    "Port",
    "Ports",
    "Tags",
    "Meta",
    "Weights",
    "TaggedAddresses",
    "EnableTagOverride",
    "ModifyIndex",
    "Namespace",
    "Partition",
    //
    "ContentHash",
    "Connect",
    "CreateIndex",
    "Datacenter",
    "Kind",
    "Locality",
    "Origin",
    "PeerName",
    "Proxy",
    "Shadowed",
    "SocketPath",
];

const CHECK_FIELDS: &[&str] = &[
    "Node",
    "CheckID",
    "Name",
    "Status",
    "Notes",
    "Output",
    "ServiceID",
    "Definition",
    "ModifyIndex",
    "Namespace",
    "Partition",
    //
    "CreateIndex",
    "ExposedPort",
    "Interval",
    "PeerName",
    "ServiceName",
    "ServiceTags",
    "Timeout",
    "Type",
];
