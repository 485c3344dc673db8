//! `/v1/catalog/register` and `/v1/catalog/deregister`: nodes other than this server's own, with what runs on them.
//!
//! Consul takes a registration of an agent's own node here too, and the agent then puts back what it says of itself: so
//! do we at once. A service or a check on it is what `/v1/agent` registers.

use std::sync::Arc;

use axum::response::Response;

use super::{
    Api,
    call::Call,
    respond::{ApiError, json, warn},
    rights,
    txn::complete_node,
};
use crate::{
    catalog::{
        change::{Change, Origin},
        definition::{self, CatalogRegistration},
        state::State,
        transaction::{Action, Operation, OperationProblem, Subject},
    },
    publish::{feed::SubmitError, label, transaction},
};

/// `PUT /v1/catalog/register`
pub(super) async fn register(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let decoded = definition::catalog_registration(&call.json()?, Origin::Api)?;
    let (mut registration, mut warnings) = (decoded.value, decoded.notices);
    call.only_our_datacenter(&api, registration.datacenter.as_deref())?;
    let snapshot = api.parts.published.load();
    let node = node_change(&api, &snapshot.catalog, &mut registration, &mut warnings)?;
    drop(snapshot);
    for change in &registration.changes {
        if let Change::Register(service) = change {
            warnings.extend(label::warning(&service.instance.service, service.instance.id.as_str()));
        }
    }
    let changes: Vec<Change> = node.into_iter().chain(registration.changes).collect();
    if !changes.is_empty() {
        api.submit(call.caller(), changes).await.map_err(|error| match error {
            // The check of an instance that is not there.
            ApiError::NotFound(problem) => ApiError::BadRequest(problem),
            other => other,
        })?;
    }
    let mut response = json(&true, call.pretty())?;
    warn(&mut response, &warnings);
    Ok(response)
}

/// What makes the node what it is to be; nothing if it stays as it is.
fn node_change(
    api: &Api,
    catalog: &State,
    registration: &mut CatalogRegistration,
    warnings: &mut Vec<String>,
) -> Result<Option<Change>, ApiError> {
    let (name, local) = (&registration.name, &api.parts.local);
    let known = catalog.node(name);
    if *name == local.node {
        if !registration.uuid.is_empty() && registration.uuid != local.uuid {
            let problem = format!("ID: node {name:?} is this server itself, whose ID is {}", local.uuid);
            return Err(ApiError::BadRequest(problem));
        }
        if registration.node.is_some() && !registration.skip_node_update {
            let own = format!("node {name:?} is this server itself; its address and meta stay those of its settings");
            warnings.push(own);
        }
        return Ok(None);
    }
    if known.is_some() && registration.skip_node_update {
        return Ok(None);
    }
    let Some(mut node) = registration.node.take() else {
        let problem = "Address: must be given, unless SkipNodeUpdate is set and the node is known";
        return Err(ApiError::BadRequest(problem.to_owned()));
    };
    complete_node(api, catalog, &mut node).map_err(ApiError::BadRequest)?;
    Ok(Some(Change::RegisterNode(node)))
}

/// `PUT /v1/catalog/deregister`: what is not there is gone already.
pub(super) async fn deregister(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let wanted = definition::catalog_deregistration(&call.json()?)?;
    call.only_our_datacenter(&api, wanted.datacenter.as_deref())?;
    let origin = Origin::Api;
    let change = match wanted.subject.clone() {
        Subject::Node(name) if name == api.parts.local.node => {
            let problem = format!(
                "Node: {name:?} is this server itself, and is there while it runs; name a ServiceID or CheckID"
            );
            return Err(ApiError::BadRequest(problem));
        }
        Subject::Node(name) => Change::DeregisterNode { name, origin },
        Subject::Instance(key) => Change::Deregister { key, origin },
        Subject::Check(key) => Change::DeregisterCheck { key, origin },
    };
    rights::must_all(call.caller(), rights::needs_of(&change, &api.parts.published.load().catalog))?;
    let operation = Operation { subject: wanted.subject, action: Action::Delete { change, expected: None } };
    match api.parts.feed.transact(vec![operation]).await {
        Ok(_) => json(&true, call.pretty()),
        Err(SubmitError::Failed(errors)) => Err(match errors.into_iter().next().map(|error| error.problem) {
            Some(transaction::OperationProblem::Catalog(OperationProblem::Refused(refused))) => {
                SubmitError::Refused(refused).into()
            }
            Some(problem) => ApiError::BadRequest(problem.to_string()),
            None => ApiError::Failed("internal error; the server goes on".to_owned()),
        }),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[path = "external_tests.rs"]
mod tests;
