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
        check::{Check, CheckKey},
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
    /// The handler sees to it, because first of all it tells whether tokens count.
    Tokens,
    /// For each change that it proposes, or each element that it lists, a right of its own.
    Pieces,
    /// This, for our own node or for the server.
    Server(Resource, Level),
    /// To read all nodes and services.
    ReadEverything,
}

/// Refuses a caller that lacks the right of a route. A path without a row is refused to all who may not do everything.
pub(super) fn check(api: &Api, method: &str, path: &str, caller: &Caller) -> Result<(), ApiError> {
    let right = of(method, path).unwrap_or(Right::Server(Resource::Acl, Level::Write));
    if api.access.is_closed() && !matches!(right, Right::Nothing | Right::Tokens) {
        return Err(caller.refused(Resource::Agent, api.parts.local.node.as_str(), Level::Read));
    }
    match right {
        Right::Nothing | Right::Tokens | Right::Pieces => Ok(()),
        Right::Server(resource, level) => caller.must(resource, api.parts.local.node.as_str(), level),
        Right::ReadEverything => {
            let all = [Resource::Node, Resource::Service];
            let lacked = all.into_iter().find(|resource| !caller.may_with_all(*resource, Level::Read));
            lacked.map_or(Ok(()), |resource| Err(caller.refused(resource, "", Level::Read)))
        }
    }
}

/// The right of a route.
pub(super) fn of(method: &str, path: &str) -> Option<Right> {
    RIGHTS.iter().find(|(of, known, _)| *of == method && *known == path).map(|(_, _, right)| *right)
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
            // Its ID may be that of another service's instance, which goes.
            instance_need(&instance.key(), catalog, Level::Write).into_iter().chain([new]).collect()
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
    known.into_iter().chain(new).collect()
}

/// Refuses a caller that lacks one of these.
pub(super) fn must_all(caller: &Caller, needs: impl IntoIterator<Item = Need>) -> Result<(), ApiError> {
    needs.into_iter().try_for_each(|need| match need {
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

const READ_AGENT: Right = Right::Server(Resource::Agent, Level::Read);

const WRITE_AGENT: Right = Right::Server(Resource::Agent, Level::Write);

/// The rights of all routes. Source: "ACL Required" in Consul's API documentation; of what is ours alone, by likeness.
pub(super) const RIGHTS: &[(&str, &str, Right)] = &[
    ("PUT", "/v1/agent/service/register", Right::Pieces),
    ("PUT", "/v1/agent/service/deregister/{*id}", Right::Pieces),
    ("PUT", "/v1/agent/service/maintenance/{*id}", Right::Pieces),
    ("GET", "/v1/agent/services", Right::Pieces),
    ("GET", "/v1/agent/service/{*id}", Right::Pieces),
    ("PUT", "/v1/agent/check/register", Right::Pieces),
    ("PUT", "/v1/agent/check/deregister/{*id}", Right::Pieces),
    ("PUT", "/v1/agent/check/pass/{*id}", Right::Pieces),
    ("PUT", "/v1/agent/check/warn/{*id}", Right::Pieces),
    ("PUT", "/v1/agent/check/fail/{*id}", Right::Pieces),
    ("PUT", "/v1/agent/check/update/{*id}", Right::Pieces),
    ("GET", "/v1/agent/checks", Right::Pieces),
    ("GET", "/v1/agent/health/service/id/{*id}", Right::Pieces),
    ("GET", "/v1/agent/health/service/name/{*name}", Right::Pieces),
    ("PUT", "/v1/agent/maintenance", Right::Pieces),
    ("GET", "/v1/agent/self", READ_AGENT),
    ("GET", "/v1/agent/members", Right::Pieces),
    ("GET", "/v1/agent/version", Right::Nothing),
    ("GET", "/v1/agent/host", Right::Server(Resource::Operator, Level::Read)),
    ("GET", "/v1/agent/metrics", READ_AGENT),
    ("PUT", "/v1/agent/reload", WRITE_AGENT),
    ("PUT", "/v1/agent/leave", WRITE_AGENT),
    ("PUT", "/v1/agent/join/{*address}", WRITE_AGENT),
    ("PUT", "/v1/agent/force-leave/{*name}", WRITE_AGENT),
    ("PUT", "/v1/catalog/register", Right::Pieces),
    ("PUT", "/v1/catalog/deregister", Right::Pieces),
    ("GET", "/v1/catalog/datacenters", Right::Nothing),
    ("GET", "/v1/catalog/services", Right::Pieces),
    ("GET", "/v1/catalog/service/{*name}", Right::Pieces),
    ("GET", "/v1/catalog/nodes", Right::Pieces),
    ("GET", "/v1/catalog/node/{*name}", Right::Pieces),
    ("GET", "/v1/catalog/node-services/{*name}", Right::Pieces),
    ("GET", "/v1/catalog/connect/{*name}", Right::Nothing),
    ("GET", "/v1/catalog/gateway-services/{*name}", Right::Nothing),
    ("GET", "/v1/health/service/{*name}", Right::Pieces),
    ("GET", "/v1/health/checks/{*name}", Right::Pieces),
    ("GET", "/v1/health/node/{*name}", Right::Pieces),
    ("GET", "/v1/health/state/{*state}", Right::Pieces),
    ("GET", "/v1/health/connect/{*name}", Right::Nothing),
    ("GET", "/v1/health/ingress/{*name}", Right::Nothing),
    ("GET", "/v1/coordinate/datacenters", Right::Nothing),
    ("GET", "/v1/coordinate/nodes", Right::Nothing),
    ("GET", "/v1/coordinate/node/{*name}", Right::Nothing),
    ("PUT", "/v1/coordinate/update", Right::Nothing),
    ("GET", "/v1/kv/", Right::Pieces),
    ("DELETE", "/v1/kv/", Right::Pieces),
    ("GET", "/v1/kv/{*key}", Right::Pieces),
    ("PUT", "/v1/kv/{*key}", Right::Pieces),
    ("DELETE", "/v1/kv/{*key}", Right::Pieces),
    ("PUT", "/v1/session/create", Right::Pieces),
    ("PUT", "/v1/session/destroy/{*id}", Right::Pieces),
    ("PUT", "/v1/session/renew/{*id}", Right::Pieces),
    ("GET", "/v1/session/info/{*id}", Right::Pieces),
    ("GET", "/v1/session/list", Right::Pieces),
    ("GET", "/v1/session/node/{*node}", Right::Pieces),
    ("PUT", "/v1/event/fire/{*name}", Right::Pieces),
    ("GET", "/v1/event/list", Right::Pieces),
    ("GET", "/v1/events", Right::Pieces),
    ("POST", "/v1/query", Right::Pieces),
    ("GET", "/v1/query", Right::Pieces),
    ("GET", "/v1/query/{id}", Right::Pieces),
    ("PUT", "/v1/query/{id}", Right::Pieces),
    ("DELETE", "/v1/query/{id}", Right::Pieces),
    ("GET", "/v1/query/{id}/execute", Right::Pieces),
    ("GET", "/v1/query/{id}/explain", Right::Pieces),
    ("PUT", "/v1/txn", Right::Pieces),
    ("GET", "/v1/export", Right::ReadEverything),
    ("GET", "/v1/status/leader", Right::Nothing),
    ("GET", "/v1/status/peers", Right::Nothing),
    ("GET", "/v1/status/ready", Right::Nothing),
    ("GET", "/v1/dns/query", READ_AGENT),
    ("PUT", "/v1/dns/cache/flush", WRITE_AGENT),
    ("GET", "/metrics", READ_AGENT),
    ("GET", "/v1/acl/{*rest}", Right::Tokens),
    ("PUT", "/v1/acl/{*rest}", Right::Tokens),
    ("DELETE", "/v1/acl/{*rest}", Right::Tokens),
    ("GET", "/v1/operator/raft/configuration", Right::Server(Resource::Operator, Level::Read)),
    ("GET", "/v1/operator/autopilot/configuration", Right::Server(Resource::Operator, Level::Read)),
    ("GET", "/v1/operator/autopilot/health", Right::Server(Resource::Operator, Level::Read)),
    ("GET", "/v1/operator/autopilot/state", Right::Server(Resource::Operator, Level::Read)),
    ("GET", "/v1/snapshot", Right::Nothing),
    ("PUT", "/v1/snapshot", Right::Nothing),
    ("GET", "/v1/connect/ca/roots", Right::Nothing),
    ("GET", "/v1/connect/ca/configuration", Right::Nothing),
    ("PUT", "/v1/connect/ca/configuration", Right::Nothing),
    ("GET", "/v1/agent/connect/ca/roots", Right::Nothing),
    ("GET", "/v1/agent/connect/ca/leaf/{*name}", Right::Nothing),
    ("POST", "/v1/agent/connect/authorize", Right::Nothing),
    ("GET", "/v1/discovery-chain/{*name}", Right::Nothing),
    ("GET", "/v1/connect/intentions", Right::Nothing),
    ("GET", "/v1/connect/intentions/{*rest}", Right::Nothing),
    ("PUT", "/v1/connect/intentions/{*rest}", Right::Nothing),
    ("PUT", "/v1/config", Right::Nothing),
    ("GET", "/v1/config/{*kind}", Right::Nothing),
    ("GET", "/v1/exported-services", Right::Nothing),
    ("GET", "/v1/imported-services", Right::Nothing),
    ("GET", "/v1/peerings", Right::Nothing),
    ("GET", "/v1/peering/{*name}", Right::Nothing),
];

#[cfg(test)]
#[path = "rights_tests.rs"]
mod tests;
