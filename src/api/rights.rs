//! Which right each route needs: what holds before its handler runs, and what the handler sees to piece by piece.
//!
//! A write is looked at change by change where it is proposed ([`needs_of`]); what is read is looked at element by element where
//! it is listed ([`Guarded`]), so that a list is what the caller may read of it.

use super::{
    Api,
    access::Caller,
    body::{CatalogServiceBody, CheckBody, HealthBody, NodeBody, ServiceBody},
    respond::ApiError,
};
use crate::{
    access::{Level, Resource},
    catalog::{
        change::Change,
        check::{Check, CheckKey, CheckKind},
        names::{NodeName, ServiceName},
        service::InstanceKey,
        state::State,
        transaction::{Action, Subject},
    },
    kv::{self, operation::Verb},
    publish::transaction,
};

/// Which right a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// None: it tells nothing that is not told to everybody.
    Nothing,
    /// None, where tokens count; else it is told that they do not.
    Tokens,
    /// As [`Right::Tokens`]; a token that is unknown is told as something that is not there.
    OwnToken,
    /// This for tokens and policies, where tokens count; else it is told that they do not.
    Acl(Level),
    /// For each change that it proposes, or each element that it lists, a right of its own.
    Pieces,
    /// This, for our own node or for the server.
    Server(Resource, Level),
    /// To read all nodes and services.
    ReadEverything,
}

/// Refuses a caller that lacks the right of a route.
pub(super) fn check(api: &Api, right: Right, caller: &Caller) -> Result<(), ApiError> {
    if matches!(right, Right::Tokens | Right::OwnToken | Right::Acl(_)) {
        api.access.must_be_on()?;
    }
    if api.access.is_closed() && right != Right::Nothing {
        return Err(caller.refused(Resource::Agent, api.parts.local.node.as_str(), Level::Read));
    }
    match right {
        Right::Nothing | Right::Tokens | Right::OwnToken | Right::Pieces => Ok(()),
        Right::Acl(level) => caller.must(Resource::Acl, "", level),
        Right::Server(resource, level) => caller.must(resource, api.parts.local.node.as_str(), level),
        Right::ReadEverything => {
            let all = [Resource::Node, Resource::Service];
            let lacked = all.into_iter().find(|resource| !caller.may_with_all(*resource, Level::Read));
            lacked.map_or(Ok(()), |resource| Err(caller.refused(resource, "", Level::Read)))
        }
    }
}

/// One thing that a change needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// A level on a name of a resource.
    One(Resource, String, Level),
    /// A level on all names that begin so.
    Below(Resource, String, Level),
}

/// What a change needs. What is not there needs nothing: the change is refused for that.
pub(super) fn needs_of(change: &Change, catalog: &State) -> Vec<Need> {
    let write_instance = |key: &InstanceKey| instance_need(key, catalog, Level::Write).into_iter().collect();
    match change {
        Change::Register(registration) => {
            let instance = &registration.instance;
            let new = Need::One(Resource::Service, instance.service.as_str().to_owned(), Level::Write);
            let followed = registration.checks.iter().flat_map(|check| alias_needs(check, catalog));
            // Its ID may be that of another service's instance, which goes.
            instance_need(&instance.key(), catalog, Level::Write).into_iter().chain([new]).chain(followed).collect()
        }
        Change::RegisterNode(node) => vec![node_need(node.name.as_str(), Level::Write)],
        Change::DeregisterNode { name, .. } => vec![node_need(name.as_str(), Level::Write)],
        Change::RegisterCheck(check) => check_needs(check, catalog),
        Change::Deregister { key, .. } | Change::InstanceMaintenance { key, .. } => write_instance(key),
        Change::DeregisterCheck { key, .. } | Change::SetStatus { key, .. } => {
            check_need(key, catalog, Level::Write).into_iter().collect()
        }
        // Sources only propose these, and none of them calls by HTTP.
        _ => vec![Need::One(Resource::Operator, String::new(), Level::Write)],
    }
}

/// What an operation of a transaction needs.
pub(super) fn needs_of_operation(operation: &transaction::Operation, catalog: &State) -> Vec<Need> {
    let operation = match operation {
        transaction::Operation::Catalog(operation) => operation,
        transaction::Operation::Key(operation) => return vec![key_need(operation)],
    };
    let changes = match &operation.action {
        Action::Get => return subject_need(&operation.subject, catalog, Level::Read).into_iter().collect(),
        Action::Set { changes, .. } => changes.iter().collect(),
        Action::Delete { change, .. } => vec![change],
    };
    changes.into_iter().flat_map(|change| needs_of(change, catalog)).collect()
}

/// What an operation on keys needs.
pub(super) fn key_need(operation: &kv::operation::Operation) -> Need {
    let level = if operation.verb.is_read() { Level::Read } else { Level::Write };
    let key = operation.key.to_string();
    match operation.verb {
        Verb::GetTree | Verb::DeleteTree => Need::Below(Resource::Key, key, level),
        _ => Need::One(Resource::Key, key, level),
    }
}

fn subject_need(subject: &Subject, catalog: &State, level: Level) -> Option<Need> {
    match subject {
        Subject::Node(name) => Some(node_need(name.as_str(), level)),
        Subject::Instance(key) => instance_need(key, catalog, level),
        Subject::Check(key) => check_need(key, catalog, level),
    }
}

fn node_need(name: &str, level: Level) -> Need {
    Need::One(Resource::Node, name.to_owned(), level)
}

fn instance_need(key: &InstanceKey, catalog: &State, level: Level) -> Option<Need> {
    let service = catalog.instance(key)?.instance.service.as_str().to_owned();
    Some(Need::One(Resource::Service, service, level))
}

/// A check needs what the thing needs that it is of.
pub(super) fn check_need(key: &CheckKey, catalog: &State, level: Level) -> Option<Need> {
    let known = catalog.check(key)?;
    match &known.check.service_id {
        None => Some(node_need(key.node.as_str(), level)),
        Some(id) => instance_need(&InstanceKey { node: key.node.clone(), id: id.clone() }, catalog, level),
    }
}

fn check_needs(check: &Check, catalog: &State) -> Vec<Need> {
    let known = check_need(&check.key(), catalog, Level::Write);
    let new = match &check.service_id {
        None => Some(node_need(check.node.as_str(), Level::Write)),
        Some(id) => instance_need(&InstanceKey { node: check.node.clone(), id: id.clone() }, catalog, Level::Write),
    };
    known.into_iter().chain(new).chain(alias_needs(check, catalog)).collect()
}

/// What an alias tells of: the node that it follows, and the service. Of an instance that is not there yet, nobody knows of
/// which service it will be.
fn alias_needs(check: &Check, catalog: &State) -> Vec<Need> {
    let CheckKind::Alias(alias) = &check.definition.kind else { return Vec::new() };
    let node = alias.node.clone().unwrap_or_else(|| check.node.clone());
    let mut needs = vec![node_need(node.as_str(), Level::Read)];
    if let Some(id) = alias.service_id.clone() {
        let known = instance_need(&InstanceKey { node, id }, catalog, Level::Read);
        needs.push(known.unwrap_or_else(|| Need::Below(Resource::Service, String::new(), Level::Read)));
    }
    needs
}

/// Refuses a caller that lacks one of these.
pub(super) fn must_all(caller: &Caller, needs: impl IntoIterator<Item = Need>) -> Result<(), ApiError> {
    needs.into_iter().try_for_each(|need| match need {
        Need::Below(Resource::Key, prefix, Level::Read) if caller.must_list_keys(&prefix).is_err() => {
            caller.must_list_keys(&prefix)
        }
        Need::One(resource, name, level) => caller.must(resource, &name, level),
        Need::Below(resource, prefix, level) if caller.may_with_all_below(resource, &prefix, level) => Ok(()),
        Need::Below(resource, prefix, level) => Err(caller.refused(resource, &prefix, level)),
    })
}

/// Something of a list that not everybody may read.
pub(super) trait Guarded {
    /// Whether this caller may.
    fn is_readable_by(&self, caller: &Caller) -> bool;
}

impl Guarded for ServiceName {
    fn is_readable_by(&self, caller: &Caller) -> bool {
        caller.may(Resource::Service, self.as_str(), Level::Read)
    }
}

impl Guarded for NodeName {
    fn is_readable_by(&self, caller: &Caller) -> bool {
        caller.may(Resource::Node, self.as_str(), Level::Read)
    }
}

impl Guarded for NodeBody<'_> {
    fn is_readable_by(&self, caller: &Caller) -> bool {
        caller.may(Resource::Node, self.node, Level::Read)
    }
}

impl Guarded for CatalogServiceBody<'_> {
    fn is_readable_by(&self, caller: &Caller) -> bool {
        let (service, node) = self.service_and_node();
        caller.may(Resource::Service, service, Level::Read) && caller.may(Resource::Node, node, Level::Read)
    }
}

impl Guarded for HealthBody<'_> {
    fn is_readable_by(&self, caller: &Caller) -> bool {
        self.node.is_readable_by(caller) && self.service.is_readable_by(caller)
    }
}

impl Guarded for ServiceBody<'_> {
    fn is_readable_by(&self, caller: &Caller) -> bool {
        caller.may(Resource::Service, self.service, Level::Read)
    }
}

impl Guarded for CheckBody<'_> {
    fn is_readable_by(&self, caller: &Caller) -> bool {
        match self.service_name {
            "" => caller.may(Resource::Node, self.node, Level::Read),
            service => caller.may(Resource::Service, service, Level::Read),
        }
    }
}

impl Guarded for KeyName<'_> {
    fn is_readable_by(&self, caller: &Caller) -> bool {
        caller.may(Resource::Key, self.0, Level::Read)
    }
}

/// A key, or what several begin with.
pub(super) struct KeyName<'a>(pub(super) &'a str);
