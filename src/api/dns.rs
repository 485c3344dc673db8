//! `/v1/dns/*`: what DNS answers, and the forwarder's cache.

use std::sync::Arc;

use axum::response::Response;
use serde_json::json;

use super::{
    Api,
    call::Call,
    respond::{self, ApiError},
};

/// `GET /v1/dns/query?name=&type=`
pub(super) async fn query(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let name = call
        .parameter("name")
        .filter(|name| !name.is_empty())
        .ok_or_else(|| ApiError::BadRequest("name: must be given".to_owned()))?;
    let kind = call.parameter("type").filter(|kind| !kind.is_empty()).unwrap_or("A");
    let explained = (api.parts.explain)(name, kind).await.map_err(ApiError::BadRequest)?;
    respond::json(&explained, call.pretty())
}

/// `PUT /v1/dns/cache/flush?name=`
pub(super) async fn flush(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let name = call.parameter("name").filter(|name| !name.is_empty());
    let flushed = (api.parts.flush)(name).map_err(ApiError::BadRequest)?;
    respond::json(&json!({ "Flushed": flushed }), call.pretty())
}
