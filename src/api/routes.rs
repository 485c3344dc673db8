//! The route table: what there is, in the order in which docs/api.md tells it.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{http::Method, response::Response};

use super::{Api, agent, call::Call, catalog, checks, dns, export, external, health, respond::ApiError, status, txn};

/// One path with one method.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; `{*id}` and `{*name}` take the rest of it.
    pub path: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// Most bytes of its body; none: it takes none.
    pub(super) body_max_bytes: Option<u64>,
    pub(super) handler: Handler,
}

/// Does what a route is for.
pub(super) type Handler = fn(Arc<Api>, Call) -> Handling;

/// A handler at work.
pub(super) type Handling = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send>>;

/// All routes.
pub static ROUTES: &[Route] = &[
    put("/v1/agent/service/register", "Registers an instance on this node.", |api, call| {
        Box::pin(agent::register(api, call))
    }),
    put("/v1/agent/service/deregister/{*id}", "Deregisters an instance of this node.", |api, call| {
        Box::pin(agent::deregister(api, call))
    }),
    put("/v1/agent/service/maintenance/{*id}", "Puts an instance into maintenance or takes it out.", |api, call| {
        Box::pin(agent::maintenance(api, call))
    }),
    get("/v1/agent/services", "Lists the instances of this node.", |api, call| Box::pin(agent::services(api, call))),
    get("/v1/agent/service/{*id}", "Shows one instance of this node.", |api, call| Box::pin(agent::service(api, call))),
    put("/v1/agent/check/register", "Registers a check of an instance or of this node.", |api, call| {
        Box::pin(checks::register(api, call))
    }),
    put("/v1/agent/check/deregister/{*id}", "Deregisters a check.", |api, call| {
        Box::pin(checks::deregister(api, call))
    }),
    put("/v1/agent/check/pass/{*id}", "Renews a TTL check as passing.", |api, call| Box::pin(checks::pass(api, call))),
    put("/v1/agent/check/warn/{*id}", "Renews a TTL check as warning.", |api, call| Box::pin(checks::warn(api, call))),
    put("/v1/agent/check/fail/{*id}", "Renews a TTL check as critical.", |api, call| Box::pin(checks::fail(api, call))),
    put("/v1/agent/check/update/{*id}", "Renews a TTL check with the status in the body.", |api, call| {
        Box::pin(checks::update(api, call))
    }),
    get("/v1/agent/checks", "Lists the checks of this node and its instances.", |api, call| {
        Box::pin(checks::list(api, call))
    }),
    get("/v1/agent/self", "Shows this node and its settings.", |api, call| Box::pin(status::agent_self(api, call))),
    put("/v1/catalog/register", "Registers a node with what is on it.", |api, call| {
        Box::pin(external::register(api, call))
    }),
    put("/v1/catalog/deregister", "Deregisters a node, an instance or a check of any node.", |api, call| {
        Box::pin(external::deregister(api, call))
    }),
    get("/v1/catalog/services", "Lists the services with their tags.", |api, call| {
        Box::pin(catalog::services(api, call))
    }),
    get("/v1/catalog/service/{*name}", "Lists the instances of a service.", |api, call| {
        Box::pin(catalog::service(api, call))
    }),
    get("/v1/catalog/nodes", "Lists the nodes.", |api, call| Box::pin(catalog::nodes(api, call))),
    get("/v1/health/service/{*name}", "Lists the instances of a service with their checks.", |api, call| {
        Box::pin(health::service(api, call))
    }),
    Route {
        method: Method::PUT,
        path: "/v1/txn",
        doc: "Applies operations on nodes, services and checks, all or none.",
        body_max_bytes: Some(TXN_MAX_BYTES),
        handler: |api, call| Box::pin(txn::txn(api, call)),
    },
    get("/v1/export", "Writes all that was registered by HTTP, as operations of transactions.", |api, call| {
        Box::pin(export::export(api, call))
    }),
    get("/v1/status/leader", "Names this server, in the place of a leader.", |api, call| {
        Box::pin(status::leader(api, call))
    }),
    get("/v1/status/ready", "Tells whether all sources have delivered.", |api, call| {
        Box::pin(status::ready(api, call))
    }),
    get("/v1/dns/query", "Tells what DNS answers to a name, and why.", |api, call| Box::pin(dns::query(api, call))),
    put("/v1/dns/cache/flush", "Empties the forwarder's cache.", |api, call| Box::pin(dns::flush(api, call))),
    get("/metrics", "All metrics in the OpenMetrics text format.", |api, call| Box::pin(status::metrics(api, call))),
];

const fn get(path: &'static str, doc: &'static str, handler: Handler) -> Route {
    Route { method: Method::GET, path, doc, body_max_bytes: None, handler }
}

const fn put(path: &'static str, doc: &'static str, handler: Handler) -> Route {
    Route { method: Method::PUT, path, doc, body_max_bytes: Some(BODY_MAX_BYTES), handler }
}

/// Largest body. Source: DESIGN, rule 6: registrations 1 MiB.
const BODY_MAX_BYTES: u64 = 1024 * 1024;

/// Largest body of a transaction. Source: DESIGN, rule 6.
const TXN_MAX_BYTES: u64 = 4 * 1024 * 1024;

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
