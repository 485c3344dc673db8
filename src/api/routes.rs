//! The route table: what there is, in the order in which docs/api.md tells it. Each area is a file of its own.
//!
//! ```ignore
//! put("/v1/agent/service/register", "Registers an instance on this node.", Pieces, run!(agent::register)),
//! ```

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{http::Method, response::Response};

use super::{Api, call::Call, respond::ApiError, rights::Right};
use crate::access::{Level, Resource};

mod acl;
mod agent;
mod catalog;
mod kv;
mod missing;
mod query;
mod server;

/// One path with one method.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; `{*id}` and `{*name}` take the rest of it.
    pub path: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// What its caller must be allowed to do. Source: "ACL Required" in Consul's API documentation; of what is ours
    /// alone, by likeness.
    pub(super) right: Right,
    /// Most bytes of its body; none: it takes none.
    pub(super) body_max_bytes: Option<u64>,
    pub(super) handler: Handler,
}

/// Does what a route is for.
pub(super) type Handler = fn(Arc<Api>, Call) -> Handling;

/// A handler at work.
pub(super) type Handling = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send>>;

/// All routes.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    AREAS.iter().copied().flatten()
}

/// The areas, in the order of the page.
static AREAS: [&[Route]; 7] =
    [agent::ROUTES, catalog::ROUTES, kv::ROUTES, query::ROUTES, server::ROUTES, acl::ROUTES, missing::ROUTES];

/// The handler that this asynchronous function is.
macro_rules! run {
    ($handler:path) => {
        |api, call| Box::pin($handler(api, call))
    };
}
use run;

const fn get(path: &'static str, doc: &'static str, right: Right, handler: Handler) -> Route {
    Route { method: Method::GET, path, doc, right, body_max_bytes: None, handler }
}

const fn delete(path: &'static str, doc: &'static str, right: Right, handler: Handler) -> Route {
    Route { method: Method::DELETE, path, doc, right, body_max_bytes: None, handler }
}

const fn put(path: &'static str, doc: &'static str, right: Right, handler: Handler) -> Route {
    Route { method: Method::PUT, path, doc, right, body_max_bytes: Some(BODY_MAX_BYTES), handler }
}

const fn post(path: &'static str, doc: &'static str, right: Right, handler: Handler) -> Route {
    Route { method: Method::POST, path, doc, right, body_max_bytes: Some(BODY_MAX_BYTES), handler }
}

impl Route {
    /// The same, with a body of at most so many bytes.
    const fn body_at_most(mut self, bytes: u64) -> Route {
        self.body_max_bytes = Some(bytes);
        self
    }
}

const READ_AGENT: Right = Right::Server(Resource::Agent, Level::Read);

const WRITE_AGENT: Right = Right::Server(Resource::Agent, Level::Write);

const READ_ACL: Right = Right::Acl(Level::Read);

const WRITE_ACL: Right = Right::Acl(Level::Write);

const READ_OPERATOR: Right = Right::Server(Resource::Operator, Level::Read);

/// Largest body. Source: DESIGN, rule 6: registrations 1 MiB.
const BODY_MAX_BYTES: u64 = 1024 * 1024;

/// Largest body of a transaction. Source: DESIGN, rule 6.
const TXN_MAX_BYTES: u64 = 4 * 1024 * 1024;

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
