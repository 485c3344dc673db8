//! Registrations as operations of `PUT /v1/txn` that bring them about: one JSON object each.
//!
//! What is left out is what the server itself decides: indexes, and the node where it is its own.

use serde::Serialize;

use crate::catalog::{
    check::Check,
    document::{CheckDocument, NodeDocument, ServiceDocument},
    names::NodeName,
    node::Node,
    service::Instance,
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
        SetBody::Node(SetNode { verb: SET, node: NodeDocument::new(node, None) })
    }

    /// Sets an instance.
    pub fn service(instance: &'a Instance, own: &NodeName) -> SetBody<'a> {
        let service = ServiceDocument::new(instance);
        SetBody::Service(SetService { verb: SET, node: other(&instance.node, own), service })
    }

    /// Sets a check with its status.
    pub fn check(check: &'a Check, own: &NodeName) -> SetBody<'a> {
        let mut check = CheckDocument::new(check);
        check.node = check.node.filter(|node| *node != own.as_str());
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
    node: NodeDocument<'a>,
}

/// Sets an instance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetService<'a> {
    verb: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    service: ServiceDocument<'a>,
}

/// Sets a check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetCheck<'a> {
    verb: &'static str,
    check: CheckDocument<'a>,
}

const SET: &str = "set";
