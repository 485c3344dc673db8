//! `GET /v1/openapi.json`: the API, described for programs (OpenAPI 3.1). All of it is what the [`routes`] table says.
//!
//! What stands nowhere in the table is what holds for all routes: the parameters of [`EVERYWHERE`], tokens, and the
//! errors that any request of a kind can end with.
//!
//! **Limits:** bodies are described in one spelling; the server takes keys in any letter case, and null for what is left out.
//! `HEAD` is answered wherever `GET` is, without being told of.
//!
//! **Source:** the OpenAPI Specification 3.1.1.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Bytes,
    http::{Method, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{
    Api,
    call::Call,
    respond::{self, ApiError},
    rights::Right,
    routes::{AREAS, Route},
};

pub(super) mod definitions;
pub(super) mod parameters;
pub(super) mod schema;
pub(super) mod shapes;

use parameters::{EVERYWHERE, INDEX_SHOWN, Parameter, Place};
use schema::{Components, Schema};

/// What the body of a request is.
#[derive(Debug)]
pub(super) enum Body {
    /// None, or one that is not looked at.
    None,
    /// JSON.
    Json(&'static Schema),
    /// JSON, or nothing.
    MaybeJson(&'static Schema),
    /// Any bytes.
    Bytes,
}

/// What the body of a response is: one of these, or nothing.
#[derive(Debug)]
pub(super) struct Content {
    json: Option<&'static Schema>,
    others: &'static [&'static str],
}

/// An empty body.
pub(super) const EMPTY: Content = Content { json: None, others: &[] };

/// A text for people.
pub(super) const TEXT: Content = Content { json: None, others: &["text/plain"] };

/// Lines of JSON.
pub(super) const LINES: Content = Content { json: None, others: &["application/x-ndjson"] };

/// What Prometheus reads.
pub(super) const METRICS: Content = Content { json: None, others: &["text/plain", "application/openmetrics-text"] };

/// JSON.
pub(super) const fn json_of(schema: &'static Schema) -> Content {
    Content { json: Some(schema), others: &[] }
}

impl Content {
    /// The same, or what stands there.
    pub(super) const fn or(self, other: &Content) -> Content {
        Content { json: self.json, others: other.others }
    }
}

/// `GET /v1/openapi.json`; made when somebody first asks, and kept.
pub(super) async fn get(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let datacenter = &api.parts.local.datacenter;
    if call.pretty() {
        return respond::json(&document(datacenter), true);
    }
    let bytes = api.document.get_or_init(|| Bytes::from(document(datacenter).to_string()));
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes.clone()).into_response())
}

/// The whole document, of a server of this datacenter.
pub(super) fn document(datacenter: &str) -> Value {
    let mut components = Components { schemas: BTreeMap::new(), parameters: BTreeMap::new(), datacenter };
    let mut paths: Map<String, Value> = Map::new();
    for area in AREAS {
        for route in area.routes {
            let operation = operation(route, area.name, &mut components);
            let path = paths.entry(route.template()).or_insert_with(|| path_item(route, &mut components));
            path[route.method.as_str().to_ascii_lowercase()] = operation;
        }
    }
    let responses: Map<String, Value> =
        ERRORS.iter().map(|(_, name, doc)| ((*name).to_owned(), text_response(doc))).collect();
    let headers = headers(&mut components);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "nameplate",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "tags": AREAS.iter().map(|area| json!({ "name": area.name })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "parameters": components.parameters,
            "responses": responses,
            "headers": headers,
            "securitySchemes": {
                "header": { "type": "apiKey", "in": "header", "name": "X-Consul-Token" },
                "query": { "type": "apiKey", "in": "query", "name": "token" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
            "schemas": components.schemas,
        },
    })
}

fn path_item(route: &Route, components: &mut Components<'_>) -> Value {
    let template = route.template();
    let names = template.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let schema = || json!({ "type": "string", "minLength": 1 });
    let of_path = names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": schema() }));
    let everywhere = EVERYWHERE.iter().map(|one| parameter(one, components));
    json!({ "parameters": of_path.chain(everywhere).collect::<Vec<_>>() })
}

fn operation(route: &Route, area: &str, components: &mut Components<'_>) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.doc,
        "tags": [area],
        "responses": responses(route, components),
    });
    let parameters: Vec<Value> = route.parameters().map(|one| parameter(one, components)).collect();
    if !parameters.is_empty() {
        operation["parameters"] = Value::from(parameters);
    }
    let body = match &route.body {
        Body::None => None,
        Body::Json(schema) => Some(("application/json", components.shown(schema), true)),
        Body::MaybeJson(schema) => Some(("application/json", components.shown(schema), false)),
        Body::Bytes => Some(("application/octet-stream", json!({}), false)),
    };
    if let Some((kind, schema, required)) = body {
        operation["requestBody"] = json!({ "required": required, "content": { kind: { "schema": schema } } });
    }
    if route.right != Right::Nothing {
        // Without a token a caller may do what the anonymous one may.
        operation["security"] = json!([{}, { "header": [] }, { "query": [] }, { "bearer": [] }]);
    }
    operation
}

/// `get_agent_service_id` of `GET /v1/agent/service/{*id}`.
fn operation_id(route: &Route) -> String {
    let template = route.template();
    let words = template.split('/').filter(|word| !word.is_empty() && *word != "v1");
    let words = words.map(|word| word.trim_matches(['{', '}']).replace(['-', '.'], "_"));
    [route.method.as_str().to_ascii_lowercase()].into_iter().chain(words).collect::<Vec<_>>().join("_")
}

fn parameter(parameter: &Parameter, components: &mut Components<'_>) -> Value {
    let schema = components.shown(parameter.schema);
    let schema = if parameter.repeated { json!({ "type": "array", "items": schema }) } else { schema };
    let place = match parameter.place {
        Place::Query => "query",
        Place::Header => "header",
    };
    let mut shown = json!({ "name": parameter.name, "in": place, "description": parameter.doc, "schema": schema });
    if parameter.required {
        shown["required"] = json!(true);
    }
    if parameter.shared {
        components.parameters.insert(parameter.name, shown);
        shown = json!({ "$ref": format!("#/components/parameters/{}", parameter.name) });
    }
    shown
}

fn responses(route: &Route, components: &mut Components<'_>) -> Value {
    let mut responses: Map<String, Value> = Map::new();
    for (status, content) in route.answers {
        responses.insert(status.to_string(), response(route, *status, content, components));
    }
    let writes = route.method != Method::GET;
    let waits = route.parameters().any(|parameter| parameter.name == "wait");
    let elsewhere = route.parameters().any(|parameter| parameter.name == "dc");
    for (status, name, _) in ERRORS {
        let possible = match status {
            400 | 403 => true,
            408 | 413 => route.body_max_bytes.is_some(),
            500 => writes || elsewhere,
            503 => writes || waits,
            _ => false,
        };
        if possible {
            let shared = || json!({ "$ref": format!("#/components/responses/{name}") });
            responses.entry(status.to_string()).or_insert_with(shared);
        }
    }
    Value::Object(responses)
}

fn response(route: &Route, status: u16, content: &Content, components: &mut Components<'_>) -> Value {
    let known = ERRORS.iter().find(|(known, ..)| *known == status);
    if let (Some((_, name, _)), ["text/plain"], None) = (known, content.others, content.json) {
        return json!({ "$ref": format!("#/components/responses/{name}") });
    }
    let mut media: Map<String, Value> = Map::new();
    for kind in content.others {
        media.insert((*kind).to_owned(), json!({ "schema": { "type": "string" } }));
    }
    if let Some(schema) = content.json {
        media.insert("application/json".to_owned(), json!({ "schema": components.shown(schema) }));
    }
    let mut headers = vec![ACL_POLICY];
    if route.parameters().any(|parameter| parameter.name == "index") && content.json.is_some() {
        headers.extend([INDEX, KNOWN_LEADER, LAST_CONTACT]);
    }
    if route.parameters().any(|parameter| parameter.name == "hash") {
        headers.push(CONTENT_HASH);
    }
    if route.method != Method::GET && status == 200 {
        headers.push(WARNING);
    }
    let headers: Map<String, Value> = headers
        .into_iter()
        .map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })))
        .collect();
    let doc = known.map_or("Done, or found.", |(.., doc)| doc);
    let mut response = json!({ "description": doc, "headers": headers });
    if !media.is_empty() {
        response["content"] = Value::Object(media);
    }
    response
}

fn text_response(doc: &str) -> Value {
    json!({ "description": doc, "content": { "text/plain": { "schema": { "type": "string" } } } })
}

fn headers(components: &mut Components<'_>) -> Value {
    let text = json!({ "type": "string" });
    let mut header = |required: bool, schema: Option<&Schema>, doc: &str| {
        let schema = schema.map_or_else(|| text.clone(), |schema| components.shown(schema));
        json!({ "description": doc, "required": required, "schema": schema })
    };
    json!({
        ACL_POLICY: header(true, None, "What happens to a request that no rule of access names."),
        INDEX: header(true, Some(&INDEX_SHOWN), "The index of the result, for the next read that waits."),
        KNOWN_LEADER: header(true, None, "Always true."),
        LAST_CONTACT: header(true, None, "Always 0."),
        CONTENT_HASH: header(true, None, "Equal for equal instances, for the next read that waits."),
        WARNING: header(false, None, "What was accepted, but not as it was written."),
    })
}

impl Route {
    /// The path, as OpenAPI writes it.
    fn template(&self) -> String {
        self.path.replace("{*", "{")
    }

    fn parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        self.asks.iter().copied().flatten()
    }
}

/// Errors by status, with the name that they have among the components.
const ERRORS: [(u16, &str, &str); 9] = [
    (400, "BadRequest", "The request is wrong; the text names what, and what was expected."),
    (401, "AccessOff", "Access control is off."),
    (403, "Forbidden", "Nobody may do that by HTTP, or the caller may not; or the request is for another host."),
    (404, "NotFound", "No such ID, name or path."),
    (408, "TooSlow", "The body did not arrive in time."),
    (409, "Conflict", "The transaction was refused, as a whole."),
    (413, "TooLarge", "The body is too long."),
    (500, "Failed", "The change could not be written to disk, or another datacenter was asked for."),
    (503, "Busy", "Too much is waiting; try again after Retry-After."),
];

const ACL_POLICY: &str = "X-Consul-Default-ACL-Policy";
const INDEX: &str = "X-Consul-Index";
const KNOWN_LEADER: &str = "X-Consul-KnownLeader";
const LAST_CONTACT: &str = "X-Consul-LastContact";
const CONTENT_HASH: &str = "X-Consul-ContentHash";
const WARNING: &str = "X-Nameplate-Warning";

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
