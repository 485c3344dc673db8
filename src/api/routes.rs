//! The route table: what there is, in the order in which docs/api.md tells it.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{http::Method, response::Response};

use super::{
    Api, acl, agent, agent_health, agent_node, call::Call, catalog, checks, dns, event, export, external, health, host,
    kv, missing, nodes, query, respond::ApiError, session, status, txn, txn_key,
};

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
    get(
        "/v1/agent/health/service/id/{*id}",
        "Tells how an instance of this node is, as the status of the response.",
        |api, call| Box::pin(agent_health::by_id(api, call)),
    ),
    get(
        "/v1/agent/health/service/name/{*name}",
        "Tells how the instances of a service on this node are.",
        |api, call| Box::pin(agent_health::by_name(api, call)),
    ),
    put("/v1/agent/maintenance", "Puts this node into maintenance or takes it out.", |api, call| {
        Box::pin(agent_node::maintenance(api, call))
    }),
    get("/v1/agent/self", "Shows this node and its settings.", |api, call| Box::pin(agent_node::agent_self(api, call))),
    get("/v1/agent/members", "Lists this node, the only member.", |api, call| Box::pin(agent_node::members(api, call))),
    get("/v1/agent/version", "Tells the version of the API.", |api, call| Box::pin(agent_node::version(api, call))),
    get("/v1/agent/host", "Tells of the machine.", |api, call| Box::pin(host::host(api, call))),
    get("/v1/agent/metrics", "All metrics in the shape of Consul.", |api, call| {
        Box::pin(status::agent_metrics(api, call))
    }),
    put("/v1/agent/reload", "Reads configuration, zones and service files again.", |api, call| {
        Box::pin(agent_node::reload(api, call))
    }),
    put("/v1/agent/leave", "Is refused.", |api, call| Box::pin(agent_node::leave(api, call))),
    put("/v1/agent/join/{*address}", "Does nothing: there is nothing to join.", |api, call| {
        Box::pin(agent_node::join(api, call))
    }),
    put("/v1/agent/force-leave/{*name}", "Does nothing: there are no other members.", |api, call| {
        Box::pin(agent_node::force_leave(api, call))
    }),
    put("/v1/catalog/register", "Registers a node with what is on it.", |api, call| {
        Box::pin(external::register(api, call))
    }),
    put("/v1/catalog/deregister", "Deregisters a node, an instance or a check of any node.", |api, call| {
        Box::pin(external::deregister(api, call))
    }),
    get("/v1/catalog/datacenters", "Lists the datacenters: the one there is.", |api, call| {
        Box::pin(catalog::datacenters(api, call))
    }),
    get("/v1/catalog/services", "Lists the services with their tags.", |api, call| {
        Box::pin(catalog::services(api, call))
    }),
    get("/v1/catalog/service/{*name}", "Lists the instances of a service.", |api, call| {
        Box::pin(catalog::service(api, call))
    }),
    get("/v1/catalog/nodes", "Lists the nodes.", |api, call| Box::pin(catalog::nodes(api, call))),
    get("/v1/catalog/node/{*name}", "Shows a node and its instances, by ID.", |api, call| {
        Box::pin(nodes::node(api, call))
    }),
    get("/v1/catalog/node-services/{*name}", "Shows a node and its instances, as a list.", |api, call| {
        Box::pin(nodes::node_services(api, call))
    }),
    get("/v1/catalog/connect/{*name}", "Lists nothing: there is no service mesh.", |api, call| {
        Box::pin(catalog::none_of_service(api, call))
    }),
    get("/v1/catalog/gateway-services/{*name}", "Lists nothing: there is no service mesh.", |api, call| {
        Box::pin(catalog::none_of_service(api, call))
    }),
    get("/v1/health/service/{*name}", "Lists the instances of a service with their checks.", |api, call| {
        Box::pin(health::service(api, call))
    }),
    get("/v1/health/checks/{*name}", "Lists the checks of a service.", |api, call| {
        Box::pin(health::of_service(api, call))
    }),
    get("/v1/health/node/{*name}", "Lists the checks of a node and of its instances.", |api, call| {
        Box::pin(nodes::node_checks(api, call))
    }),
    get("/v1/health/state/{*state}", "Lists the checks of a status.", |api, call| Box::pin(health::state(api, call))),
    get("/v1/health/connect/{*name}", "Lists nothing: there is no service mesh.", |api, call| {
        Box::pin(catalog::none_of_service(api, call))
    }),
    get("/v1/health/ingress/{*name}", "Lists nothing: there is no service mesh.", |api, call| {
        Box::pin(catalog::none_of_service(api, call))
    }),
    get("/v1/coordinate/datacenters", "Lists nothing: distances are not measured.", |api, call| {
        Box::pin(nodes::no_coordinates(api, call))
    }),
    get("/v1/coordinate/nodes", "Lists nothing: distances are not measured.", |api, call| {
        Box::pin(nodes::no_coordinates(api, call))
    }),
    get("/v1/coordinate/node/{*name}", "Lists nothing: distances are not measured.", |api, call| {
        Box::pin(nodes::no_coordinates(api, call))
    }),
    put("/v1/coordinate/update", "Does nothing: distances are not kept.", |api, call| {
        Box::pin(nodes::coordinate_update(api, call))
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
    get("/v1/kv/", "Reads all keys, with recurse or keys.", |api, call| Box::pin(kv::get(api, call))),
    delete("/v1/kv/", "Takes all keys out, with recurse.", |api, call| Box::pin(kv::delete(api, call))),
    get("/v1/kv/{*key}", "Reads a key, or the keys that begin so.", |api, call| Box::pin(kv::get(api, call))),
    Route {
        method: Method::PUT,
        path: "/v1/kv/{*key}",
        doc: "Sets, locks or unlocks a key.",
        body_max_bytes: Some(txn_key::VALUE_MAX_BYTES as u64),
        handler: |api, call| Box::pin(kv::put(api, call)),
    },
    delete("/v1/kv/{*key}", "Takes a key out, or the keys that begin so.", |api, call| Box::pin(kv::delete(api, call))),
    put("/v1/session/create", "Makes a session.", |api, call| Box::pin(session::create(api, call))),
    put("/v1/session/destroy/{*id}", "Ends a session.", |api, call| Box::pin(session::destroy(api, call))),
    put("/v1/session/renew/{*id}", "Gives a session its whole time again.", |api, call| {
        Box::pin(session::renew(api, call))
    }),
    get("/v1/session/info/{*id}", "Shows a session.", |api, call| Box::pin(session::info(api, call))),
    get("/v1/session/list", "Lists the sessions.", |api, call| Box::pin(session::list(api, call))),
    get("/v1/session/node/{*node}", "Lists the sessions of a node.", |api, call| Box::pin(session::of_node(api, call))),
    Route {
        method: Method::PUT,
        path: "/v1/event/fire/{*name}",
        doc: "Fires an event.",
        body_max_bytes: Some(txn_key::VALUE_MAX_BYTES as u64),
        handler: |api, call| Box::pin(event::fire(api, call)),
    },
    get("/v1/event/list", "Lists the events that are kept.", |api, call| Box::pin(event::list(api, call))),
    get("/v1/events", "The same, as Spring spells it.", |api, call| Box::pin(event::list(api, call))),
    Route {
        method: Method::POST,
        path: "/v1/query",
        doc: "Makes a prepared query.",
        body_max_bytes: Some(BODY_MAX_BYTES),
        handler: |api, call| Box::pin(query::create(api, call)),
    },
    get("/v1/query", "Lists the prepared queries.", |api, call| Box::pin(query::list(api, call))),
    get("/v1/query/{id}", "Shows a prepared query.", |api, call| Box::pin(query::get(api, call))),
    put("/v1/query/{id}", "Replaces a prepared query.", |api, call| Box::pin(query::update(api, call))),
    delete("/v1/query/{id}", "Takes a prepared query away.", |api, call| Box::pin(query::delete(api, call))),
    get("/v1/query/{id}/execute", "Answers with what a prepared query chooses.", |api, call| {
        Box::pin(query::execute(api, call))
    }),
    get("/v1/query/{id}/explain", "Shows a prepared query, filled in for a name.", |api, call| {
        Box::pin(query::explain(api, call))
    }),
    get("/v1/status/leader", "Names this server, in the place of a leader.", |api, call| {
        Box::pin(status::leader(api, call))
    }),
    get("/v1/status/peers", "Lists this server, in the place of all servers.", |api, call| {
        Box::pin(status::peers(api, call))
    }),
    get("/v1/status/ready", "Tells whether all sources have delivered.", |api, call| {
        Box::pin(status::ready(api, call))
    }),
    get("/v1/dns/query", "Tells what DNS answers to a name, and why.", |api, call| Box::pin(dns::query(api, call))),
    put("/v1/dns/cache/flush", "Empties the forwarder's cache.", |api, call| Box::pin(dns::flush(api, call))),
    get("/metrics", "All metrics in the OpenMetrics text format.", |api, call| Box::pin(status::metrics(api, call))),
    get("/v1/acl/{*rest}", "Shows tokens and policies.", |api, call| Box::pin(acl::get(api, call))),
    put("/v1/acl/{*rest}", "Is refused: tokens and policies are changed in their file.", |api, call| {
        Box::pin(acl::change(api, call))
    }),
    delete("/v1/acl/{*rest}", "Is refused: tokens and policies are changed in their file.", |api, call| {
        Box::pin(acl::change(api, call))
    }),
    get("/v1/operator/raft/configuration", "Lists this server, in the place of all servers.", |api, call| {
        Box::pin(missing::raft(api, call))
    }),
    get("/v1/operator/autopilot/configuration", "Shows the defaults of Consul.", |api, call| {
        Box::pin(missing::autopilot(api, call))
    }),
    get("/v1/operator/autopilot/health", "Tells that this server is healthy.", |api, call| {
        Box::pin(missing::autopilot_health(api, call))
    }),
    get("/v1/operator/autopilot/state", "The same.", |api, call| Box::pin(missing::autopilot_health(api, call))),
    get("/v1/snapshot", "Is not there; see /v1/export.", |api, call| Box::pin(missing::snapshot(api, call))),
    put("/v1/snapshot", "Is not there; see nameplate import.", |api, call| Box::pin(missing::snapshot(api, call))),
    get("/v1/connect/ca/roots", "Is not there: no service mesh.", |api, call| Box::pin(missing::no_mesh(api, call))),
    get("/v1/connect/ca/configuration", "Is not there: no service mesh.", |api, call| {
        Box::pin(missing::no_mesh(api, call))
    }),
    put("/v1/connect/ca/configuration", "Is not there: no service mesh.", |api, call| {
        Box::pin(missing::no_mesh(api, call))
    }),
    get("/v1/agent/connect/ca/roots", "Is not there: no service mesh.", |api, call| {
        Box::pin(missing::no_mesh(api, call))
    }),
    get("/v1/agent/connect/ca/leaf/{*name}", "Is not there: no service mesh.", |api, call| {
        Box::pin(missing::no_mesh(api, call))
    }),
    Route {
        method: Method::POST,
        path: "/v1/agent/connect/authorize",
        doc: "Is not there: no service mesh.",
        body_max_bytes: Some(BODY_MAX_BYTES),
        handler: |api, call| Box::pin(missing::no_mesh(api, call)),
    },
    get("/v1/discovery-chain/{*name}", "Is not there: no service mesh.", |api, call| {
        Box::pin(missing::no_mesh(api, call))
    }),
    get("/v1/connect/intentions", "Lists nothing: no service mesh.", |api, call| Box::pin(missing::nothing(api, call))),
    get("/v1/connect/intentions/{*rest}", "Allows everything, and finds no intention.", |api, call| {
        Box::pin(missing::intention(api, call))
    }),
    put("/v1/connect/intentions/{*rest}", "Is not there: no service mesh.", |api, call| {
        Box::pin(missing::no_mesh(api, call))
    }),
    put("/v1/config", "Is refused: config entries are not kept.", |api, call| {
        Box::pin(missing::set_config_entry(api, call))
    }),
    get("/v1/config/{*kind}", "Lists nothing: config entries are not kept.", |api, call| {
        Box::pin(missing::config_entries(api, call))
    }),
    get("/v1/exported-services", "Lists nothing: there are no peers.", |api, call| {
        Box::pin(missing::nothing(api, call))
    }),
    get("/v1/imported-services", "Lists nothing: there are no peers.", |api, call| {
        Box::pin(missing::nothing(api, call))
    }),
    get("/v1/peerings", "Lists nothing: there are no peers.", |api, call| Box::pin(missing::nothing(api, call))),
    get("/v1/peering/{*name}", "Finds nothing: there are no peers.", |api, call| Box::pin(missing::peering(api, call))),
];

const fn get(path: &'static str, doc: &'static str, handler: Handler) -> Route {
    Route { method: Method::GET, path, doc, body_max_bytes: None, handler }
}

const fn put(path: &'static str, doc: &'static str, handler: Handler) -> Route {
    Route { method: Method::PUT, path, doc, body_max_bytes: Some(BODY_MAX_BYTES), handler }
}

const fn delete(path: &'static str, doc: &'static str, handler: Handler) -> Route {
    Route { method: Method::DELETE, path, doc, body_max_bytes: None, handler }
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
