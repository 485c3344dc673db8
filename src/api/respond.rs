//! Responses: JSON with Consul's headers, errors as plain text.

use std::sync::Arc;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{Api, blocking::index_shown, call::Read};
use crate::{
    access::directory::AccessError,
    catalog::{change::ChangeError, definition::DefinitionError},
    publish::{feed::SubmitError, snapshot::Snapshot},
};

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The request is wrong; the text names the field and what was expected.
    #[error("{0}")]
    BadRequest(String),
    /// Nobody may do that by HTTP, or the token at hand may not.
    #[error("{0}")]
    Forbidden(String),
    /// No such ID or name.
    #[error("{0}")]
    NotFound(String),
    /// No such prepared query.
    #[error("Query not found")]
    NoQuery,
    /// Of tokens, where they do not count. Source: Consul.
    #[error("ACL support disabled")]
    AccessOff,
    /// The body is too long.
    #[error("{0}")]
    TooLarge(String),
    /// The body did not come in time.
    #[error("the body did not arrive within 30 s")]
    TooSlow,
    /// A bound is reached; nothing was done.
    #[error("{0}")]
    Busy(String),
    /// Another datacenter was asked for.
    #[error("No path to datacenter {0:?}")]
    NoPath(String),
    /// Something of the server's failed.
    #[error("{0}")]
    Failed(String),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            ApiError::BadRequest(_) => StatusCode::BAD_REQUEST,
            ApiError::Forbidden(_) => StatusCode::FORBIDDEN,
            ApiError::AccessOff => StatusCode::UNAUTHORIZED,
            ApiError::NotFound(_) | ApiError::NoQuery => StatusCode::NOT_FOUND,
            ApiError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            ApiError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::NoPath(_) | ApiError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = text(self.status(), self.to_string());
        if matches!(self, ApiError::Busy(_)) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if matches!(self, ApiError::NoQuery) {
            // As Consul; python-consul fails without it.
            response.headers_mut().insert(INDEX_HEADER, HeaderValue::from(index_shown(0)));
        }
        if matches!(self, ApiError::TooLarge(_) | ApiError::TooSlow) {
            // What is left of the body is not read, so the connection cannot be used again.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<DefinitionError> for ApiError {
    fn from(error: DefinitionError) -> ApiError {
        ApiError::BadRequest(error.to_string())
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> ApiError {
        let problem = error.to_string();
        match error {
            SubmitError::Refused(ChangeError::UnknownInstance(_) | ChangeError::UnknownCheck(_)) => {
                ApiError::NotFound(problem)
            }
            // Our own node is always registered, so this is not the client's doing.
            SubmitError::Refused(ChangeError::UnknownNode(_)) => ApiError::Failed(problem),
            SubmitError::Access(error) => ApiError::from(error),
            SubmitError::Refused(_) | SubmitError::Store(_) | SubmitError::Failed(_) => ApiError::BadRequest(problem),
            SubmitError::NotShareable(_) | SubmitError::Mixed => ApiError::BadRequest(problem),
            SubmitError::NoSession(_) => ApiError::NotFound(problem),
            SubmitError::Busy | SubmitError::Closed => ApiError::Busy(problem),
            SubmitError::Broken | SubmitError::NoLeader | SubmitError::Shared(_) => ApiError::Failed(problem),
            SubmitError::Journal(failure) => ApiError::Failed(format!("{problem}: {failure}")),
        }
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> ApiError {
        let problem = error.to_string();
        match error {
            AccessError::UnknownPolicy(_) | AccessError::UnknownToken(_) => ApiError::NotFound(problem),
            AccessError::Bootstrapped(_) => ApiError::Forbidden(format!("Permission denied: {problem}")),
            AccessError::InFile { .. } => ApiError::Forbidden(problem),
            _ => ApiError::BadRequest(problem),
        }
    }
}

/// Plain text.
pub(super) fn text(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

/// 200 with an empty body, as Consul answers writes, and a header for each thing that the client should know.
pub(super) fn done(warnings: &[String]) -> Response {
    let mut response = StatusCode::OK.into_response();
    warn(&mut response, warnings);
    response
}

/// Adds a header for each thing that the client should know; of many the first ones, and how many more there are.
pub(super) fn warn(response: &mut Response, warnings: &[String]) {
    let more = warnings.len().saturating_sub(WARNINGS_MAX);
    let more = (more > 0).then(|| format!("and {more} more warnings"));
    for warning in warnings.iter().take(WARNINGS_MAX).chain(&more) {
        let ascii: String = warning.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
        if let Ok(value) = HeaderValue::from_str(&ascii) {
            response.headers_mut().append(WARNING_HEADER, value);
        }
    }
}

/// JSON, indented by four blanks if asked for.
pub(super) fn json(value: &impl Serialize, pretty: bool) -> Result<Response, ApiError> {
    let mut bytes = Vec::new();
    let written = if pretty {
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
    } else {
        serde_json::to_writer(&mut bytes, value)
    };
    written.map_err(|error| ApiError::Failed(format!("the response could not be written as JSON: {error}")))?;
    if pretty {
        bytes.push(b'\n');
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// JSON read from the catalog at this index, with the headers that Consul's clients want.
pub(super) fn indexed(value: &impl Serialize, index: u64, read: &Read) -> Result<Response, ApiError> {
    let mut response = json(value, read.pretty)?;
    with_index(&mut response, index, read);
    Ok(response)
}

/// Adds the headers of what was read at this index.
pub(super) fn with_index(response: &mut Response, index: u64, read: &Read) {
    let headers = response.headers_mut();
    headers.insert(INDEX_HEADER, HeaderValue::from(index_shown(index)));
    for (name, value) in [
        (KNOWN_LEADER, "true"),
        ("x-consul-lastcontact", "0"),
        ("x-consul-effective-consistency", read.consistency),
        ("x-consul-query-backend", "blocking-query"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if read.left_out() {
        let name = HeaderName::from_static("x-consul-results-filtered-by-acls");
        headers.insert(name, HeaderValue::from_static("true"));
    }
    if read.cached {
        headers.insert(HeaderName::from_static("x-cache"), HeaderValue::from_static("HIT"));
        headers.insert(header::AGE, HeaderValue::from_static("0"));
    }
}

/// Says of what was read that other machines may have newer, where the store that they share cannot be reached.
pub(super) fn tell_of_store(response: &mut Response, away: Option<&str>) {
    let Some(problem) = away.filter(|_| response.headers().contains_key(KNOWN_LEADER)) else { return };
    response.headers_mut().insert(KNOWN_LEADER, HeaderValue::from_static("false"));
    warn(response, &[format!("what other machines have is as last heard of: {problem}")]);
}

/// Makes a response of so many elements from a snapshot. A large one is made on a thread of its own, so that it holds up
/// no other task, and from the snapshot that is current when its turn comes, because none is kept across a wait.
pub(super) async fn made(
    api: &Api,
    snapshot: Arc<Snapshot>,
    elements: usize,
    make: impl FnOnce(&Snapshot) -> Result<Response, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    if elements < LARGE_ELEMENTS {
        return make(&snapshot);
    }
    drop(snapshot);
    let _permit = api.making.acquire().await;
    let published = Arc::clone(&api.parts.published);
    let made = tokio::task::spawn_blocking(move || make(&published.load())).await;
    made.unwrap_or_else(|_| Err(ApiError::Failed("internal error; the server goes on".to_owned())))
}

/// Elements from which on a response is large. Source: none, chosen: about 1 MB of JSON, some milliseconds of work.
const LARGE_ELEMENTS: usize = 1000;

/// Most large responses that are made at a time. Source: none, chosen: what they hold in memory meanwhile.
pub(super) const MAKING_MAX: usize = 4;

/// Most warnings that are written out. Source: none, chosen: a third of the headers that HTTP libraries take.
const WARNINGS_MAX: usize = 32;

/// Whether what was read is known to be what all machines have.
const KNOWN_LEADER: &str = "x-consul-knownleader";

/// The index of what was read.
const INDEX_HEADER: HeaderName = HeaderName::from_static("x-consul-index");

/// What the client should know though all went well; one header for each.
const WARNING_HEADER: HeaderName = HeaderName::from_static("x-nameplate-warning");
