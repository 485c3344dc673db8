//! Registrations of a node with what is on it, as `PUT /v1/catalog/register` takes them.

use std::sync::Arc;

use super::{
    DefinitionError, Owner, Problem, check,
    fields::{Field, Fields},
    operation::{
        check_and_owner, check_changes, check_id, check_key, read_node, service_and_key, service_change, uuid,
    },
};
use crate::catalog::{
    change::{Change, Origin},
    check::CheckKey,
    names::{CheckId, NodeName, ServiceId},
    node::Node,
    service::InstanceKey,
    transaction::Subject,
};

/// A node, and what is registered on it.
#[derive(Debug, Clone)]
pub struct CatalogRegistration {
    /// The node's name.
    pub name: NodeName,
    /// Its UUID; empty if none is given.
    pub uuid: Arc<str>,
    /// The node as it is to be; none if no address is given, or it is to stay as it is.
    pub node: Option<Node>,
    /// Whether it is to stay as it is where it is known.
    pub skip_node_update: bool,
    /// The datacenter that was named.
    pub datacenter: Option<String>,
    /// What registers the service and the checks on it.
    pub changes: Vec<Change>,
}

/// What goes.
#[derive(Debug, Clone)]
pub struct CatalogDeregistration {
    /// A node with all that is on it, an instance with its checks, or a check.
    pub subject: Subject,
    /// The datacenter that was named.
    pub datacenter: Option<String>,
}

pub(super) fn read(
    object: &Field<'_>,
    origin: Origin,
    notices: &mut Vec<String>,
) -> Result<CatalogRegistration, DefinitionError> {
    let fields = Fields::read(object, FIELDS)?;
    check::only_default(&fields)?;
    let name = fields.filled("Node").ok_or_else(|| fields.wrong("Node", Problem::Missing))?;
    let name = name.identifier(NodeName::new)?;
    let read = || read_node(&fields, (name.clone(), origin), "NodeMeta");
    let node = fields.filled("Address").map(|_| read()).transpose()?;
    let owner = Owner { node: name.clone(), origin };
    let mut changes = Vec::new();
    if let Some(service) = fields.filled("Service") {
        let (inner, key) = service_and_key(service, &owner)?;
        changes.push(service_change(&inner, &key, &owner, notices)?);
    }
    let mut checks: Vec<Field<'_>> = fields.filled("Check").cloned().into_iter().collect();
    checks.extend(fields.items("Checks", CHECKS_MAX)?.into_iter().filter(|check| !check.tree.is_empty()));
    for object in &checks {
        let (inner, on) = check_and_owner(object, &owner)?;
        if on.node != name {
            let rule = format!("must be {name:?}, the node that is registered, or left out");
            return Err(inner.wrong("Node", Problem::Rule(rule)));
        }
        changes.extend(check_changes(&inner, &check_key(&inner, &owner)?, &owner, notices)?);
    }
    Ok(CatalogRegistration {
        name,
        uuid: uuid(&fields)?,
        node,
        skip_node_update: fields.flag("SkipNodeUpdate")?,
        datacenter: fields.text("Datacenter")?.map(str::to_owned),
        changes,
    })
}

pub(super) fn read_deregistration(object: &Field<'_>) -> Result<CatalogDeregistration, DefinitionError> {
    let fields = Fields::read(object, DEREGISTRATION_FIELDS)?;
    check::only_default(&fields)?;
    let node = fields.filled("Node").ok_or_else(|| fields.wrong("Node", Problem::Missing))?;
    let node = node.identifier(NodeName::new)?;
    // Of a service and a check the service counts (Consul).
    let subject = match (fields.filled("ServiceID"), fields.filled("CheckID")) {
        (Some(id), _) => Subject::Instance(InstanceKey { node, id: id.identifier(ServiceId::new)? }),
        (None, Some(id)) => Subject::Check(CheckKey { node, id: CheckId::derived(id.identifier(check_id)?) }),
        (None, None) => Subject::Node(node),
    };
    Ok(CatalogDeregistration { subject, datacenter: fields.text("Datacenter")?.map(str::to_owned) })
}

/// Most checks of one registration. Source: none, chosen: as of one definition of a service.
const CHECKS_MAX: usize = 128;

/// All known fields; those below the empty comment are accepted without effect, here as in the other list.
const FIELDS: &[&str] = &[
    "ID",
    "Node",
    "Address",
    "TaggedAddresses",
    "NodeMeta",
    "Datacenter",
    "Service",
    "Check",
    "Checks",
    "SkipNodeUpdate",
    "Namespace",
    "Partition",
    //
    "Locality",
    "PeerName",
    "Token",
    "WriteRequest",
];

const DEREGISTRATION_FIELDS: &[&str] = &[
    "Node",
    "ServiceID",
    "CheckID",
    "Datacenter",
    "Namespace",
    "Partition",
    //
    "Address",
    "PeerName",
    "Token",
    "WriteRequest",
];
