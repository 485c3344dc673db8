//! The inspect document of a container, as far as it is read.
//!
//! Shapes of our own: a daemon's newer word for a state, Podman's (`initialized`, `stopped`), `null` for an empty list
//! and fields that came or went between API versions must not cost a container its services, whereas a model of one
//! API version refuses the whole document for any word that it does not know.
//!
//! **Limits:** what is there must be of the right type. Addresses are read from `Networks` alone, as the fields at the top
//! of `NetworkSettings` are gone since API 1.52.

use std::collections::{BTreeMap, BTreeSet};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

/// Why a document was refused.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It is not JSON, or something in it is of another type.
    #[error("not the inspect document of a container: {0}")]
    Json(#[from] serde_json::Error),
    /// It is some other JSON.
    #[error("not the inspect document of a container: it is no object")]
    NoObject,
}

/// A container, as `GET /containers/{id}/json` tells of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Container {
    /// Its ID, 64 hex digits.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// When it was created (RFC 3339).
    #[serde(deserialize_with = "or_default")]
    pub created: String,
    /// Its name, behind a slash.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// How it is.
    #[serde(deserialize_with = "or_default")]
    pub state: State,
    /// What it was made of.
    #[serde(deserialize_with = "or_default")]
    pub config: Config,
    /// How it was tied to the host.
    #[serde(deserialize_with = "or_default")]
    pub host_config: HostConfig,
    /// Where it is reached.
    #[serde(deserialize_with = "or_default")]
    pub network_settings: NetworkSettings,
    /// The whole document, for templates.
    #[serde(skip)]
    pub document: Value,
}

/// How a container is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct State {
    /// `created`, `running`, `paused`, ...
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    /// Also while paused or restarting.
    #[serde(deserialize_with = "or_default")]
    pub running: bool,
    /// Frozen.
    #[serde(deserialize_with = "or_default")]
    pub paused: bool,
    /// Ended, and about to be started again.
    #[serde(deserialize_with = "or_default")]
    pub restarting: bool,
    /// Could not be removed.
    #[serde(deserialize_with = "or_default")]
    pub dead: bool,
    /// Of its last end; 128 and the signal if that ended it.
    #[serde(deserialize_with = "or_default")]
    pub exit_code: i64,
    /// When it was last started (RFC 3339).
    #[serde(deserialize_with = "or_default")]
    pub started_at: String,
    /// What its `HEALTHCHECK` says, if it has one. Older Podmans call it `Healthcheck`.
    #[serde(alias = "Healthcheck", deserialize_with = "or_default")]
    pub health: Option<Health>,
}

/// What a `HEALTHCHECK` says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    /// `none`, `starting`, `healthy`, `unhealthy`.
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    /// The last results, newest last.
    #[serde(deserialize_with = "list")]
    pub log: Vec<HealthResult>,
}

/// One result of a `HEALTHCHECK`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthResult {
    /// What the command said.
    #[serde(deserialize_with = "or_default")]
    pub output: String,
}

/// What a container was made of.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    /// The image, as it was named.
    #[serde(deserialize_with = "or_default")]
    pub image: String,
    /// `NAME=value`.
    #[serde(deserialize_with = "list")]
    pub env: Vec<String>,
    /// Those of the image included.
    #[serde(deserialize_with = "map_of")]
    pub labels: BTreeMap<String, String>,
    /// `80/tcp`.
    #[serde(deserialize_with = "keys")]
    pub exposed_ports: BTreeSet<String>,
    /// A signal's name or number; empty for `SIGTERM`.
    #[serde(deserialize_with = "or_default")]
    pub stop_signal: String,
    /// Seconds that it has to end after that signal; negative for ever; none for the engine's default.
    #[serde(deserialize_with = "or_default")]
    pub stop_timeout: Option<i64>,
}

/// How a container is tied to the host.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// `default`, `bridge`, `host`, `none`, `container:<id>`, or a network's name.
    #[serde(deserialize_with = "or_default")]
    pub network_mode: String,
}

/// Where a container is reached.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkSettings {
    /// Where its ports are published, by `80/tcp`; nowhere, if a port is exposed only.
    #[serde(deserialize_with = "map_of")]
    pub ports: BTreeMap<String, Bindings>,
    /// The networks that it is on, by name.
    #[serde(deserialize_with = "map_of")]
    pub networks: BTreeMap<String, Endpoint>,
}

/// Where a port is published.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Bindings(#[serde(deserialize_with = "list")] pub Vec<Binding>);

/// One place where a port is published.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Binding {
    /// `0.0.0.0` and `::` are all of the host's; empty are both.
    #[serde(deserialize_with = "or_default")]
    pub host_ip: String,
    /// The number.
    #[serde(deserialize_with = "or_default")]
    pub host_port: String,
}

/// A container in one network.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// Empty if it has none, also for a moment after the start.
    #[serde(rename = "IPAddress", deserialize_with = "or_default")]
    pub ip_address: String,
    /// The prefix length of the network.
    #[serde(rename = "IPPrefixLen", deserialize_with = "or_default")]
    pub ip_prefix_len: i64,
    /// Empty if it has none.
    #[serde(rename = "GlobalIPv6Address", deserialize_with = "or_default")]
    pub global_ipv6_address: String,
    /// The prefix length of the network.
    #[serde(rename = "GlobalIPv6PrefixLen", deserialize_with = "or_default")]
    pub global_ipv6_prefix_len: i64,
}

impl Container {
    /// Reads a document.
    pub fn read(bytes: &[u8]) -> Result<Container, InspectError> {
        let document: Value = serde_json::from_slice(bytes)?;
        if !document.is_object() {
            return Err(InspectError::NoObject);
        }
        let container = Container::deserialize(&document)?;
        Ok(Container { document, ..container })
    }

    /// Its name without the slash; the beginning of its ID if it has none.
    pub fn plain_name(&self) -> &str {
        let name = self.name.trim_start_matches('/');
        if name.is_empty() { self.id.get(..SHORT_ID_BYTES).unwrap_or(&self.id) } else { name }
    }

    /// The ID or name of the container whose network it uses.
    pub fn joins(&self) -> Option<&str> {
        self.host_config.network_mode.strip_prefix("container:")
    }

    /// Whether it uses the host's network.
    pub fn is_on_host_network(&self) -> bool {
        self.host_config.network_mode == "host"
    }
}

/// `null` is as nothing.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    Ok(items.unwrap_or_default().into_iter().flatten().collect())
}

pub(super) fn map_of<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let pairs: Option<BTreeMap<String, Option<T>>> = Option::deserialize(deserializer)?;
    Ok(pairs.unwrap_or_default().into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect())
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let pairs: Option<BTreeMap<String, IgnoredAny>> = Option::deserialize(deserializer)?;
    Ok(pairs.unwrap_or_default().into_keys().collect())
}

/// Bytes of an ID that stand for it. Source: Docker's own listings.
const SHORT_ID_BYTES: usize = 12;

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
