//! The route table: what there is, in the order in which docs/api.md tells it. Each area is a file of its own.
//!
//! ```text
//! put("/v1/agent/check/pass/{*id}", "Renews a TTL check as passing.", Pieces, run!(checks::pass))
//!     .asks(&[&[NOTE]])
//!     .answers(&[(200, EMPTY), UNKNOWN]),
//! ```
//!
//! A row is also what [`super::openapi`] tells programs, so that there is no other list.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{http::Method, response::Response};

use super::{
    Api,
    call::Call,
    openapi::{
        Body, Content, EMPTY, TEXT, json_of,
        parameters::Parameter,
        schema::Schema::{self, Boolean},
    },
    respond::ApiError,
    rights::Right,
};
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
    /// What its body is.
    pub(super) body: Body,
    /// What it takes beside its path and body.
    pub(super) asks: &'static [&'static [Parameter]],
    /// What it answers by status, beside the errors that all routes of its kind have.
    pub(super) answers: &'static [(u16, Content)],
    pub(super) handler: Handler,
}

/// Does what a route is for.
pub(super) type Handler = fn(Arc<Api>, Call) -> Handling;

/// A handler at work.
pub(super) type Handling = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send>>;

/// Routes that belong together.
pub(super) struct Area {
    pub(super) name: &'static str,
    pub(super) routes: &'static [Route],
}

/// All routes.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    AREAS.iter().flat_map(|area| area.routes)
}

/// The areas, in the order of the page.
pub(super) static AREAS: &[Area] = &[
    Area { name: "agent", routes: agent::ROUTES },
    Area { name: "catalog", routes: catalog::ROUTES },
    Area { name: "keys", routes: kv::ROUTES },
    Area { name: "queries", routes: query::ROUTES },
    Area { name: "server", routes: server::ROUTES },
    Area { name: "access", routes: acl::ROUTES },
    Area { name: "missing", routes: missing::ROUTES },
];

/// The handler that this asynchronous function is.
macro_rules! run {
    ($handler:path) => {
        |api, call| Box::pin($handler(api, call))
    };
}
use run;

const fn get(path: &'static str, doc: &'static str, right: Right, handler: Handler) -> Route {
    Route::new(Method::GET, path, doc, (right, handler))
}

const fn delete(path: &'static str, doc: &'static str, right: Right, handler: Handler) -> Route {
    Route::new(Method::DELETE, path, doc, (right, handler))
}

const fn put(path: &'static str, doc: &'static str, right: Right, handler: Handler) -> Route {
    Route::new(Method::PUT, path, doc, (right, handler)).body_at_most(BODY_MAX_BYTES)
}

const fn post(path: &'static str, doc: &'static str, right: Right, handler: Handler) -> Route {
    Route::new(Method::POST, path, doc, (right, handler)).body_at_most(BODY_MAX_BYTES)
}

/// A row; what is said of it by these functions, OpenAPI tells.
impl Route {
    const fn new(method: Method, path: &'static str, doc: &'static str, (right, handler): (Right, Handler)) -> Route {
        let answers = &[(200, EMPTY)];
        Route { method, path, doc, right, body_max_bytes: None, body: Body::None, asks: &[], answers, handler }
    }

    /// The same, with a body of at most so many bytes.
    const fn body_at_most(mut self, bytes: u64) -> Route {
        self.body_max_bytes = Some(bytes);
        self
    }

    /// The same, with a body of this schema.
    const fn takes(mut self, schema: &'static Schema) -> Route {
        self.body = Body::Json(schema);
        self
    }

    /// The same, with a body of this schema, which may be left out.
    const fn may_take(mut self, schema: &'static Schema) -> Route {
        self.body = Body::MaybeJson(schema);
        self
    }

    /// The same, with a body of any bytes, and of at most so many.
    const fn takes_bytes(mut self, bytes: usize) -> Route {
        self.body = Body::Bytes;
        self.body_at_most(bytes as u64)
    }

    /// The same, with these groups of parameters.
    const fn asks(mut self, groups: &'static [&'static [Parameter]]) -> Route {
        self.asks = groups;
        self
    }

    /// The same, with these answers in the place of an empty 200.
    const fn answers(mut self, answers: &'static [(u16, Content)]) -> Route {
        self.answers = answers;
        self
    }
}

/// 404, and why.
const UNKNOWN: (u16, Content) = (404, TEXT);

/// Whether it was done.
const YES_OR_NO: &[(u16, Content)] = &[(200, json_of(&Boolean))];

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
