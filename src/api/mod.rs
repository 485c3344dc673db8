//! The HTTP API, in Consul's words: registration, health, the catalog, and what is ours alone.
//!
//! [`router`] makes an axum router of the [`routes`] table; every handler gets a [`call::Call`] and returns a
//! response or an [`respond::ApiError`], which is answered as plain text, as Consul does it.
//!
//! | bound | value |
//! |---|---|
//! | body of a request | 1 MiB, of a transaction 4 MiB, else 413; it must have come within 30 s, else 408 |
//! | bodies over 1 MiB in memory | 16; others wait |
//! | operations of a transaction | `txn_max_ops`, else 413 |
//! | exports | one at a time, else 503; each is cut off when nobody reads it for 30 s |
//! | of a longer body, read and thrown away so that the client sees the 413 | 128 MiB |
//! | a change waiting for its place in the feed | 5 s, then 503 |
//! | responses of 1,000 elements and more that are made at a time | 4; others wait |
//! | reads that wait for a change | `http_waiting` at a time, else 503; each 10 minutes and 1/16 at most |
//!
//! A response of 1 KiB and more is compressed for who accepts gzip. A write is answered when it is durable and in the published snapshot: who got the 200 sees it in DNS.
//! A response is made as bytes from one snapshot, which is let go before the first byte is sent.
//!
//! **Limits:** how near nodes are is not measured: `near` sorts one node's first.
//!
//! **Source:** Consul's HTTP API, version 1.22; docs/api.md tells what differs.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    Router,
    body::Bytes,
    extract::{RawPathParams, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use tokio::sync::{Notify, Semaphore, watch};
use tower_http::{
    CompressionLevel,
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, predicate::SizeAbove},
};

use crate::{
    catalog::{
        change::{Change, Origin},
        check::{Check, CheckDefinition, CheckKey, CheckKind, CheckResult, CheckStatus},
        definition::Owner,
        names::{CheckId, NodeName, Text},
        node::{Address, Node},
        policy::ScriptChecks,
        service::Meta,
    },
    kv::session::Session,
    observe::metrics::Metrics,
    publish::{feed::Feed, watch::Published},
};

pub mod routes;

mod rights;

pub mod access;
pub mod blocking;
pub mod body;
pub mod call;
pub mod client;
pub mod hosts;
pub mod respond;

mod acl;
mod acl_body;
mod agent;
mod agent_health;
mod agent_node;
mod catalog;
mod checks;
mod dns;
mod event;
mod export;
mod export_body;
mod external;
pub mod filter;
mod health;
mod host;
mod kv;
mod missing;
mod nodes;
mod openapi;
mod query;
mod query_body;
mod session;
mod shared;
mod status;
mod txn;
mod txn_key;

#[cfg(test)]
mod harness;

use access::{Access, AccessParts, Caller};
use call::Call;
use hosts::Hosts;
use respond::{ApiError, text};
use routes::{Route, routes};
use shared::{Answers, GZIP_LEAST_BYTES};

/// What the API stands on.
pub struct ApiParts {
    /// Where changes are proposed.
    pub feed: Feed,
    /// What is read.
    pub published: Arc<Published>,
    /// The node that `/v1/agent` speaks of.
    pub local: LocalNode,
    /// Renews a check deadline.
    pub heartbeat: Heartbeat,
    /// Gives a session its whole time again.
    pub renew_session: RenewSession,
    /// Tells what the newest heartbeat of a check deadline said.
    pub newest_output: NewestOutput,
    /// Tells how often what heartbeats said has changed.
    pub said: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Empties the forwarder's cache, of one name or of all; returns how many entries went, or why not.
    pub flush: Flush,
    /// Where requests are counted, and what `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What DNS answers to a name and a type, and why, as JSON; or what is wrong with the question.
    pub explain: Explain,
    /// Told when everything that is read from files is to be read again, as by SIGHUP.
    pub reload: Arc<Notify>,
    /// Who may do what.
    pub access: AccessParts,
    /// Which names requests may be for.
    pub hosts: Hosts,
    /// Whose checks may run commands.
    pub script_checks: ScriptChecks,
    /// Most operations of a transaction.
    pub txn_max_ops: usize,
    /// Most reads that wait for a change.
    pub waiting_max: usize,
    /// True as soon as the server stops: reads that wait are answered at once.
    pub stopping: watch::Receiver<bool>,
}

/// Renews a check deadline with a status and an output.
pub type Heartbeat = Arc<dyn Fn(&CheckKey, CheckStatus, &str) -> HeartbeatOutcome + Send + Sync>;

/// Gives a session its whole time again.
pub type RenewSession = Arc<dyn Fn(&Session) + Send + Sync>;

/// What the newest heartbeat of a check deadline of this published status said, where that is newer than what is published.
pub type NewestOutput = Arc<dyn Fn(&CheckKey, CheckStatus) -> Option<Text> + Send + Sync>;

/// Empties a cache.
pub type Flush = Arc<dyn Fn(Option<&str>) -> Result<u64, String> + Send + Sync>;

/// Explains an answer to (name, type).
pub type Explain = Arc<dyn Fn(&str, &str) -> Explaining + Send + Sync>;

/// What an [`Explain`] returns.
pub type Explaining = Pin<Box<dyn Future<Output = Result<serde_json::Value, String>> + Send>>;

/// What a heartbeat did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeartbeatOutcome {
    /// No such check deadline is known, or not yet.
    Unknown,
    /// The deadline moved; the status is the same, so there is nothing to publish.
    Renewed,
    /// The deadline moved and the status changes: to be published.
    Changed(CheckResult),
}

/// The node that this server is.
#[derive(Debug, Clone)]
pub struct LocalNode {
    /// Its name.
    pub node: NodeName,
    /// Its UUID, the same for the life of the node.
    pub uuid: Arc<str>,
    /// The datacenter, in lower case.
    pub datacenter: Arc<str>,
    /// The address under which others reach it.
    pub advertise: IpAddr,
    /// Free pairs.
    pub meta: Meta,
    /// Where DNS is answered now.
    pub dns: watch::Receiver<Vec<SocketAddr>>,
}

impl LocalNode {
    /// What makes the node known to the catalog: itself, and the node check `serfHealth`, which Consul's clients look
    /// for and which passes while the node is alive.
    pub fn registration(&self) -> Vec<Change> {
        let address = Address::Ip(self.advertise);
        let family = if self.advertise.is_ipv4() { "ipv4" } else { "ipv6" };
        let roles = ["lan".to_owned(), "wan".to_owned(), format!("lan_{family}"), format!("wan_{family}")];
        let node = Node {
            name: self.node.clone(),
            uuid: Arc::clone(&self.uuid),
            tagged_addresses: roles.into_iter().map(|role| (Arc::from(role), address.clone())).collect(),
            address,
            meta: Arc::clone(&self.meta),
            origin: Origin::Server,
        };
        let alive = Check {
            node: self.node.clone(),
            id: CheckId::derived(ALIVE_CHECK_ID),
            service_id: None,
            name: "Serf Health Status".into(),
            notes: "".into(),
            status: CheckStatus::Passing,
            output: "Agent alive and reachable".into(),
            target: "".into(),
            definition: Arc::new(CheckDefinition::unprobed(CheckKind::External)),
            origin: Origin::Server,
        };
        vec![Change::RegisterNode(node), Change::RegisterCheck(Box::new(alive))]
    }
}

/// What all handlers share.
pub struct Api {
    parts: ApiParts,
    /// Tells who calls.
    access: Access,
    /// Answers that several get.
    answers: Answers,
    /// One permit for each read that may wait.
    waiting: Semaphore,
    /// One permit for each large response that may be made at a time.
    making: Semaphore,
    /// One permit for each large body that may be in memory.
    large_bodies: Arc<Semaphore>,
    /// One permit for each export that may run.
    exporting: Arc<Semaphore>,
    /// What `/v1/openapi.json` answers, once somebody has asked for it.
    document: OnceLock<Bytes>,
}

impl Api {
    fn new(parts: ApiParts) -> Api {
        Api {
            access: Access::new(parts.access.clone()),
            answers: Answers::new(),
            waiting: Semaphore::new(parts.waiting_max),
            parts,
            making: Semaphore::new(respond::MAKING_MAX),
            large_bodies: Arc::new(Semaphore::new(call::LARGE_BODIES_MAX)),
            exporting: Arc::new(Semaphore::new(1)),
            document: OnceLock::new(),
        }
    }

    fn router(self) -> Router {
        let api = Arc::new(self);
        let mut by_path: BTreeMap<&'static str, Vec<&'static Route>> = BTreeMap::new();
        for route in routes() {
            by_path.entry(route.path).or_default().push(route);
        }
        let mut router = Router::new();
        for (path, routes) in by_path {
            let (api, routes) = (Arc::clone(&api), Arc::from(routes));
            let answer = move |params: RawPathParams, request: Request| {
                answer(Arc::clone(&api), Arc::clone(&routes), params, request)
            };
            router = router.route(path, any(answer));
        }
        let panicked = move |_: Box<dyn std::any::Any + Send>| {
            api.parts.metrics.panics.inc();
            text(StatusCode::INTERNAL_SERVER_ERROR, "internal error; the server goes on".to_owned())
        };
        let gzip = CompressionLayer::new().quality(CompressionLevel::Fastest);
        let gzip = gzip.compress_when(SizeAbove::new(GZIP_LEAST_BYTES));
        router.fallback(unknown_path).layer(CatchPanicLayer::custom(panicked)).layer(gzip)
    }

    /// Whose definitions come by HTTP.
    fn owner(&self) -> Owner {
        Owner { node: self.parts.local.node.clone(), origin: Origin::Api }
    }

    /// Proposes changes for a caller who may make them; returns when they are durable and published.
    async fn submit(&self, caller: &Caller, changes: Vec<Change>) -> Result<(), ApiError> {
        let snapshot = self.parts.published.load();
        let needs = changes.iter().flat_map(|change| rights::needs_of(change, &snapshot.catalog));
        let lacking = rights::must_all(caller, needs);
        drop(snapshot);
        lacking?;
        changes.iter().try_for_each(|change| self.may_be_checked(change))?;
        self.parts.feed.submit(changes).await.map(|_| ()).map_err(ApiError::from)
    }

    /// Refuses checks that run what is not enabled, and those that look at the machine they run on, where that is not this
    /// node.
    fn may_be_checked(&self, change: &Change) -> Result<(), ApiError> {
        let checks = match change {
            Change::Register(registration) => &registration.checks[..],
            Change::RegisterCheck(check) => std::slice::from_ref(&**check),
            _ => return Ok(()),
        };
        for check in checks {
            if let Some(problem) = self.parts.script_checks.refusal(check) {
                return Err(ApiError::BadRequest(problem));
            }
            let (kind, node) = (&check.definition.kind, &check.node);
            if kind.is_of_its_node() && *node != self.parts.local.node {
                let (id, kind) = (&check.id, kind.as_str());
                let problem =
                    format!("check {id:?}: {kind} checks run on the node they are about; register it on {node}");
                return Err(ApiError::BadRequest(problem));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("local", &self.parts.local).finish_non_exhaustive()
    }
}

/// The API as a service.
pub fn router(parts: ApiParts) -> Router {
    Api::new(parts).router()
}

/// Answers a request for the path of these routes, whatever its method.
async fn answer(api: Arc<Api>, routes: Arc<[&'static Route]>, params: RawPathParams, request: Request) -> Response {
    let began = Instant::now();
    let path = routes[0].path;
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    if let Some(refused) = other_host(&api.parts.hosts, &request) {
        api.parts.metrics.http_request(method.as_str(), path, refused.status().as_u16(), began.elapsed());
        return refused;
    }
    let mut response = match routes.iter().find(|route| route.method == method) {
        Some(route) => {
            let last = params.iter().last().map(|(_, value)| value.to_owned());
            let handled = handle(Arc::clone(&api), route, last, request).await;
            handled.unwrap_or_else(ApiError::into_response)
        }
        None => other_method(&routes, &method),
    };
    response.headers_mut().insert(ACL_POLICY_HEADER, HeaderValue::from_static(api.access.default_policy()));
    respond::tell_of_store(&mut response, api.parts.published.load().store_is_away());
    api.parts.metrics.http_request(method.as_str(), path, response.status().as_u16(), began.elapsed());
    response
}

/// What is answered to a request for a host that we are not.
fn other_host(hosts: &Hosts, request: &Request) -> Option<Response> {
    let named = request.uri().host().map(str::as_bytes);
    // Programs that speak HTTP/1.0 send none, browsers always do.
    let host = named.or_else(|| request.headers().get(header::HOST).map(HeaderValue::as_bytes))?;
    let host = String::from_utf8_lossy(host);
    if hosts.allows(&host) {
        return None;
    }
    let shown: String = host.chars().take(PATH_SHOWN_MAX_CHARS).collect();
    let cure = "this server is reached by an address, localhost or a name of its own, else by what http_hosts lists";
    Some(text(StatusCode::FORBIDDEN, format!("the request is for host {shown:?}: {cure}")))
}

async fn handle(
    api: Arc<Api>,
    route: &'static Route,
    last: Option<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let call = Call::receive(&api, route, last, request).await?;
    (route.handler)(api, call).await
}

fn other_method(routes: &[&Route], method: &Method) -> Response {
    let mut allowed: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
    allowed.push("OPTIONS");
    let mut response = match *method {
        Method::OPTIONS => StatusCode::OK.into_response(),
        _ => text(StatusCode::METHOD_NOT_ALLOWED, format!("method {method} not allowed; use {}", allowed.join(" or "))),
    };
    if let Ok(value) = HeaderValue::from_str(&allowed.join(", ")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

async fn unknown_path(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(PATH_SHOWN_MAX_CHARS).collect();
    let open = |route: &Route| route.path.split_once("{*").is_some_and(|(before, _)| before == path);
    let mut response = match path.ends_with('/') && routes().any(open) {
        true => text(StatusCode::BAD_REQUEST, format!("{path}: a name or an ID must follow")),
        false => text(StatusCode::NOT_FOUND, format!("no such path: {path}")),
    };
    response.headers_mut().insert(ACL_POLICY_HEADER, HeaderValue::from_static("allow"));
    response
}

/// The node check by which Consul's clients know that a node is alive. Source: Consul.
const ALIVE_CHECK_ID: &str = "serfHealth";

/// What happens to a request that no rule of access names; Consul tells it with every response.
const ACL_POLICY_HEADER: HeaderName = HeaderName::from_static("x-consul-default-acl-policy");

/// Most characters of an unknown path that the answer repeats. Source: none, chosen.
const PATH_SHOWN_MAX_CHARS: usize = 200;

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod protocol_tests;

#[cfg(test)]
#[path = "docs_tests.rs"]
mod docs_tests;

#[cfg(test)]
#[path = "kinds_tests.rs"]
mod kinds_tests;
