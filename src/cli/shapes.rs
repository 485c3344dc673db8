//! The JSON that the verbs read. What they do not show is left out.

use std::collections::BTreeMap;

use serde::Deserialize;

/// An entry of `GET /v1/health/service/NAME`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HealthEntry {
    pub node: NodeShape,
    pub service: ServiceShape,
    #[serde(default)]
    pub checks: Vec<CheckShape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeShape {
    pub node: String,
    pub address: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServiceShape {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(default)]
    pub address: String,
    pub port: u16,
    #[serde(default)]
    pub ports: Vec<PortShape>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub tagged_addresses: BTreeMap<String, TaggedShape>,
    #[serde(default)]
    pub origin: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PortShape {
    pub port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TaggedShape {
    pub address: String,
    pub port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CheckShape {
    #[serde(rename = "CheckID")]
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub output: String,
}

/// `GET /v1/dns/query?name=&type=`: the response, and why it is so.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Explanation {
    pub rcode: String,
    #[serde(default)]
    pub flags: Vec<String>,
    #[serde(default)]
    pub answer: Vec<String>,
    #[serde(default)]
    pub authority: Vec<String>,
    #[serde(default)]
    pub additional: Vec<String>,
    pub extended_error: Option<ExtendedError>,
    pub service: Option<String>,
    pub further_name: Option<String>,
    pub form: Option<String>,
    #[serde(default)]
    pub instances: Vec<ExplainedInstance>,
}

/// RFC 8914.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExtendedError {
    pub code: u16,
    #[serde(default)]
    pub text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExplainedInstance {
    pub node: String,
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(default)]
    pub service: String,
    #[serde(default)]
    pub address: String,
    pub port: u16,
    pub status: String,
    pub answered: bool,
    pub reason: String,
    pub origin: String,
    #[serde(default)]
    pub shadowed: Vec<String>,
}
