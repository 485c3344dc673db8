//! A request as the handlers see it: path, query, and a body of bounded size.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::{Query, Request},
    http::{HeaderMap, header},
};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Api,
    access::{self, Caller},
    acl,
    filter::Filter,
    respond::ApiError,
    rights::{self, Guarded, Right},
    routes::Route,
    shared::{Asked, Question, accepts_gzip},
};
use crate::catalog::{
    definition::{json, tree::Tree},
    duration::parse_duration,
    names::NodeName,
};

/// One request.
pub struct Call {
    /// Of the route.
    path: &'static str,
    /// The part of the path that the route leaves open, decoded.
    last: Option<String>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Vec<u8>,
    caller: Caller,
    /// Held while a large body is in memory.
    _large: Option<OwnedSemaphorePermit>,
}

/// Without what may hold a secret: parameters, headers and body.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("last", &self.last).field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Call {
    /// Reads a request, its body included if the route takes one.
    pub(super) async fn receive(
        api: &Api,
        route: &Route,
        last: Option<String>,
        request: Request,
    ) -> Result<Call, ApiError> {
        let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
            .map_err(|error| ApiError::BadRequest(format!("the query is malformed: {error}")))?;
        let (head, body) = request.into_parts();
        let caller = api.access.caller(access::token(&query, &head.headers), &api.parts.published);
        let caller = caller.map_err(|error| if route.right == Right::OwnToken { acl::unknown_own() } else { error })?;
        rights::check(api, route.right, &caller)?;
        let declared = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let (body, large) = match route.body_max_bytes {
            Some(most) => {
                let read = read_body(body, declared, most, &api.large_bodies);
                tokio::time::timeout(BODY_WAIT_MAX, read).await.map_err(|_| ApiError::TooSlow)??
            }
            None => (Vec::new(), None),
        };
        let call = Call { path: route.path, last, query, headers: head.headers, body, caller, _large: large };
        call.only_default_namespace()?;
        Ok(call)
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The open part of the path: an ID or a name.
    pub fn last(&self) -> &str {
        self.last.as_deref().unwrap_or_default()
    }

    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All values of a query parameter.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is given, and not as false; without a value it is true.
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.parameter(name) {
            None => Ok(false),
            Some("") => Ok(true),
            Some(value) => parse_bool(value)
                .ok_or_else(|| ApiError::BadRequest(format!("{name}: expected true or false, not {value:?}"))),
        }
    }

    /// How long the body is.
    pub(super) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// The body, which is then gone from here.
    pub(super) fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Tree, ApiError> {
        json::parse(&self.body).map_err(|error| ApiError::BadRequest(error.to_string()))
    }

    /// What is asked, and how the answer may be. What is left of the call is of no more use.
    pub(super) fn into_asked(self) -> Asked {
        let gzip = accepts_gzip(&self.headers);
        let Call { path, last, query: mut parameters, caller, .. } = self;
        parameters.retain(|(name, _)| !matches!(name.as_str(), "index" | "wait" | "token"));
        Asked { question: Question { path, last, parameters, authorizer: caller.authorizer() }, gzip }
    }

    /// The parameters of a read of the catalog.
    pub(super) fn read(&self, api: &Arc<Api>) -> Result<Read, ApiError> {
        self.only_our_datacenter(api, None)?;
        let (consistency, cached) = self.consistency()?;
        let node_meta = self
            .parameters("node-meta")
            .map(|pair| pair.split_once(':').unwrap_or((pair, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Ok(Read {
            index: self.index()?,
            wait: self.wait()?,
            pretty: self.pretty(),
            consistency,
            cached,
            near: self.near(api),
            tags: self.parameters("tag").filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            node_meta,
            passing: self.flag("passing")?,
            filter: self.filter()?,
            of_peer: self.parameter("peer").is_some_and(|peer| !peer.is_empty()),
            caller: self.caller.clone(),
            left_out: AtomicBool::new(false),
        })
    }

    /// Consul's word for the consistency that is asked for, and whether a cached result would do. All reads of what is this
    /// machine's are current, so that for those it only has to make sense.
    fn consistency(&self) -> Result<(&'static str, bool), ApiError> {
        let (consistent, cached) = (self.flag("consistent")?, self.flag("cached")?);
        let max_stale = self.parameter("max_stale").filter(|text| !text.is_empty()).map(parse_duration).transpose();
        let max_stale = max_stale.map_err(|error| ApiError::BadRequest(format!("max_stale: {error}")))?;
        let stale = self.flag("stale")? || max_stale.is_some_and(|most| !most.is_zero());
        self.flag("leader")?;
        let both = |one: &str| Err(ApiError::BadRequest(format!("{one} and consistent cannot both be given")));
        match (consistent, stale, cached) {
            (true, true, _) => both("stale"),
            (true, _, true) => both("cached"),
            (true, ..) => Ok((CONSISTENT, false)),
            _ => {
                self.cache_control()?;
                Ok((if stale { "stale" } else { "leader" }, cached))
            }
        }
    }

    /// Refuses a `Cache-Control` that makes no sense. What it asks for holds: nothing here is older than 0 s.
    fn cache_control(&self) -> Result<(), ApiError> {
        for directive in self.header("cache-control").unwrap_or_default().split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, "0"));
            let of_seconds = ["max-age", "stale-if-error"].iter().any(|known| name.trim().eq_ignore_ascii_case(known));
            if of_seconds && value.trim().parse::<u64>().is_err() {
                let problem = format!("Cache-Control: {}: expected a number of seconds, not {value:?}", name.trim());
                return Err(ApiError::BadRequest(problem));
            }
        }
        Ok(())
    }

    /// The node whose instances are to stand first; a client that asks by its own address is taken to be on ours.
    fn near(&self, api: &Api) -> Option<NodeName> {
        match self.parameter("near").unwrap_or_default() {
            "" => None,
            "_agent" | "_ip" => Some(api.parts.local.node.clone()),
            name => NodeName::new(name).ok(),
        }
    }

    /// Refuses another datacenter, be it named in the query or in a body.
    pub(super) fn only_our_datacenter(&self, api: &Api, in_body: Option<&str>) -> Result<(), ApiError> {
        let ours = &api.parts.local.datacenter;
        let given = ["dc", "datacenter"].into_iter().filter_map(|name| self.parameter(name)).chain(in_body);
        match given.filter(|given| !given.is_empty()).find(|given| !given.eq_ignore_ascii_case(ours)) {
            Some(other) => Err(ApiError::NoPath(other.to_owned())),
            None => Ok(()),
        }
    }

    /// Whether JSON is to be indented.
    pub fn pretty(&self) -> bool {
        self.parameter("pretty").is_some_and(|value| parse_bool(value) != Some(false))
    }

    /// The index that the client has seen; 0 if none. A negative one counts as none, because Spring sends -1.
    fn index(&self) -> Result<u64, ApiError> {
        match self.parameter("index").unwrap_or_default() {
            "" => Ok(0),
            text => match text.strip_prefix('-') {
                Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(0),
                _ => text.parse().map_err(|_| ApiError::BadRequest(format!("index: expected a number, not {text:?}"))),
            },
        }
    }

    /// How long the client wants to wait.
    pub(super) fn wait(&self) -> Result<Duration, ApiError> {
        let text = self.parameter("wait").unwrap_or_default();
        if text.is_empty() {
            return Ok(WAIT_DEFAULT);
        }
        let wait = parse_duration(text).map_err(|error| ApiError::BadRequest(format!("wait: {error}")))?;
        Ok(if wait.is_zero() { WAIT_DEFAULT } else { wait.min(WAIT_MAX) })
    }

    fn filter(&self) -> Result<Option<Filter>, ApiError> {
        let given = self.parameter("filter").filter(|text| !text.trim().is_empty());
        given.map(Filter::parse).transpose().map_err(|problem| ApiError::BadRequest(format!("filter: {problem}")))
    }

    /// Refuses namespaces, partitions and sameness groups, of which there are none.
    fn only_default_namespace(&self) -> Result<(), ApiError> {
        let given = [
            ("ns", self.parameter("ns")),
            ("partition", self.parameter("partition")),
            ("X-Consul-Namespace", self.header("x-consul-namespace")),
            ("X-Consul-Partition", self.header("x-consul-partition")),
        ];
        for (name, value) in given {
            if let Some(other) = value.filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("default")) {
                let problem = format!("{name}: expected \"default\", the only one there is, not {other:?}");
                return Err(ApiError::BadRequest(problem));
            }
        }
        match self.parameter("sg").unwrap_or_default() {
            "" => Ok(()),
            group => Err(ApiError::BadRequest(format!("sg: there are no peers, so {group:?} is no group of some"))),
        }
    }
}

/// The parameters of a read of the catalog.
#[derive(Debug)]
pub(super) struct Read {
    /// The index that the client has seen; 0 answers at once.
    pub(super) index: u64,
    /// The longest wait for a higher one.
    pub(super) wait: Duration,
    /// Whether JSON is to be indented.
    pub(super) pretty: bool,
    /// Consul's word for it; [`CONSISTENT`] waits for what other machines have done in the store that they share.
    pub(super) consistency: &'static str,
    /// Whether a cached result would do, and the answer says that it could be one.
    pub(super) cached: bool,
    /// The node whose elements stand first.
    pub(super) near: Option<NodeName>,
    /// Tags that an instance must have, all of them, in any letter case.
    pub(super) tags: Vec<String>,
    /// Pairs that a node's meta must have, all of them.
    pub(super) node_meta: Vec<(String, String)>,
    /// Whether only instances are wanted of which all checks pass.
    pub(super) passing: bool,
    /// Which elements are wanted.
    pub(super) filter: Option<Filter>,
    /// Whether what a peer has is wanted: nothing, for there are none.
    of_peer: bool,
    /// Who reads.
    pub(super) caller: Caller,
    /// Whether something was left out that this caller may not read.
    left_out: AtomicBool,
}

impl Read {
    /// Whether something on this node stands behind that of the node that is asked for as near.
    pub(super) fn is_far(&self, node: &NodeName) -> bool {
        self.near.as_ref().is_some_and(|near| near != node)
    }

    /// Whether the caller may read an element, and is not asking for a peer's; if it may not, that is remembered.
    pub(super) fn may(&self, element: &impl Guarded) -> bool {
        if self.of_peer {
            return false;
        }
        let may = element.is_readable_by(&self.caller);
        if !may {
            self.left_out.store(true, Ordering::Relaxed);
        }
        may
    }

    /// Whether something was left out that this caller may not read.
    pub(super) fn left_out(&self) -> bool {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Whether the caller may read an element and the filter keeps it; without a filter it is not even looked at.
    pub(super) fn keeps(&self, element: &(impl Serialize + Guarded)) -> Result<bool, ApiError> {
        if !self.may(element) {
            return Ok(false);
        }
        let Some(filter) = &self.filter else { return Ok(true) };
        let value = serde_json::to_value(element).map_err(|error| ApiError::Failed(error.to_string()))?;
        filter.keeps(&value).map_err(|problem| ApiError::BadRequest(format!("filter: {problem}")))
    }

    /// The elements that the caller may read and the filter keeps.
    pub(super) fn select<T: Serialize + Guarded>(&self, elements: impl Iterator<Item = T>) -> Result<Vec<T>, ApiError> {
        let kept = elements.map(|element| Ok(self.keeps(&element)?.then_some(element)));
        kept.filter_map(Result::transpose).collect()
    }
}

/// Reads the words that Go takes for a boolean.
///
/// Source: Go's `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a body of at most so many bytes. Of a longer one the rest is read and thrown away, because a client that is
/// still sending when the connection closes sees a reset and not the 413. A large one waits for its permit.
async fn read_body(
    mut body: Body,
    declared: Option<u64>,
    most: u64,
    large_bodies: &Arc<Semaphore>,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), ApiError> {
    let too_large = || ApiError::TooLarge(format!("the body must be at most {}", bytes_shown(most)));
    if declared.is_some_and(|bytes| bytes > BODY_DRAIN_MAX_BYTES) {
        return Err(too_large());
    }
    let mut large = None;
    let mut kept = Vec::with_capacity(declared.map_or(0, |bytes| bytes.min(LARGE_BODY_BYTES)) as usize);
    let mut received: u64 = 0;
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| ApiError::BadRequest("the body broke off".to_owned()))?;
        let Some(data) = frame.data_ref() else { continue };
        received = received.saturating_add(data.len() as u64);
        if received > BODY_DRAIN_MAX_BYTES {
            break;
        }
        if received <= most {
            if received > LARGE_BODY_BYTES && large.is_none() {
                large = Arc::clone(large_bodies).acquire_owned().await.ok();
            }
            kept.extend_from_slice(data);
        } else {
            (kept, large) = (Vec::new(), None);
        }
    }
    if received > most { Err(too_large()) } else { Ok((kept, large)) }
}

/// A number of bytes, for people.
fn bytes_shown(bytes: u64) -> String {
    const KIB: u64 = 1024;
    if bytes.is_multiple_of(KIB * KIB) { format!("{} MiB", bytes / KIB / KIB) } else { format!("{} KiB", bytes / KIB) }
}

/// Consul's word for a read that has all that was done before it.
pub(super) const CONSISTENT: &str = "consistent";

/// A longer body is large. Source: none, chosen: only transactions may be.
const LARGE_BODY_BYTES: u64 = 1024 * 1024;

/// Most large bodies in memory at a time. Source: none, chosen: 64 MiB of them.
pub(super) const LARGE_BODIES_MAX: usize = 16;

/// Most bytes of a longer body that are read and thrown away. Source: none, chosen.
const BODY_DRAIN_MAX_BYTES: u64 = 128 * 1024 * 1024;

/// Longest time for a body to come in. Source: none, chosen: 1 MiB at 280 kbit/s.
const BODY_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long a read waits if the client does not say. Source: Consul.
const WAIT_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// Longest wait, before the random part. Source: Consul.
const WAIT_MAX: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
