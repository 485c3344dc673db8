//! Docker's containers as services: what the daemon says of a container, made into registrations by the rules that
//! Registrator's users have in their images and compose files; and the source that follows a daemon.
//!
//! ```
//! use nameplate::{catalog::names::NodeName, sources::docker::{self, Container, Settings, Surroundings}};
//!
//! let web = Container::read(br#"{"Name": "/web", "State": {"Status": "running"},
//!     "Config": {"Image": "nginx", "Env": ["SERVICE_TAGS=blue"]},
//!     "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "192.0.2.1", "HostPort": "8080"}]}}}"#).unwrap();
//! let settings = Settings::new(NodeName::new("n1").unwrap());
//! let mapped = docker::map(&web, &settings, &Surroundings::default());
//! let instance = &mapped.registrations[0].instance;
//! assert_eq!((instance.service.as_str(), instance.id.as_str()), ("nginx", "n1:web:80"));
//! assert_eq!((instance.ports[0].number, instance.tags[0].as_str()), (8080, "blue"));
//! ```
//!
//! | rules about | are in |
//! |---|---|
//! | which keys count, and which of two | [`metadata`] |
//! | which ports there are, and where they are published | `ports` |
//! | who gets which address, by client network | `addresses` |
//! | names, IDs, tags, meta | `service` |
//! | `CHECK_` keys and `HEALTHCHECK` | `checks` |
//! | paused, stopping, exited; which signal stops a container | [`state`] |
//! | swarm's services and tasks | [`swarm`] |
//! | templates for tags and names | [`template`] |
//! | two containers with one service ID, stopping, what was reaped | `known`, `wanted` |
//! | when the daemon is asked what | `session` |
//! | a daemon that is away | `source` |
//!
//! From [`map`] to `wanted` all is pure: the document, the event and the time are handed in.
//!
//! **Limits:** at most 1,024 services a container. A stop signal that was sent while the daemon could not be read is not known.
//!
//! **Source:** Registrator 7.4 (`bridge/bridge.go`, `bridge/util.go`, `consul/consul.go`) for the keys; Docker's Engine API
//! 1.40 to 1.52 and Podman's 4.3 for the documents.

mod addresses;
mod attributes;
mod checks;
pub mod client;
mod events;
pub mod inspect;
mod inspections;
mod known;
mod lists;
mod map;
pub mod metadata;
mod ports;
mod service;
mod session;
mod source;
pub mod state;
mod stream;
pub mod swarm;
pub mod template;
mod wanted;
mod words;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

pub use self::{
    client::{Client, Endpoint},
    inspect::{Container, InspectError},
    map::{Mapped, map},
    source::{Connection, Daemon, DockerSettings, DockerSource},
    state::{Fate, is_stop_signal, kept},
    template::Template,
};
use crate::catalog::{names::NodeName, policy::ScriptChecks, service::IpNetwork};

/// What an operator sets.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our own node, on which the containers run. It stands in every service ID where Registrator has its own host name.
    pub node: NodeName,
    /// The address of every published port, in place of the one it is bound to (`docker_ip`).
    pub ip: Option<IpAddr>,
    /// Only containers that have a `SERVICE_NAME` are services (`docker_explicit`).
    pub explicit: bool,
    /// The label that holds a container's address; a prefix length after it is cut off (`docker_ip_label`).
    pub ip_label: Option<String>,
    /// Tags of every service, separated by commas (`docker_tags`).
    pub tags: Option<Template>,
    /// The name of a service that has none of its own, in place of its image's (`docker_name`).
    pub name: Option<Template>,
    /// Which ends of a container end its registrations (`docker_deregister`).
    pub deregister: Deregister,
    /// Whose address is answered (`docker_address`).
    pub address: AddressMode,
    /// The Docker network whose address counts with [`AddressMode::Container`], for containers on several
    /// (`docker_network`).
    pub network: Option<String>,
    /// Whose checks may run commands (`enable_script_checks`).
    pub script_checks: ScriptChecks,
}

impl Settings {
    /// The defaults for a node.
    pub fn new(node: NodeName) -> Settings {
        Settings {
            node,
            ip: None,
            explicit: false,
            ip_label: None,
            tags: None,
            name: None,
            deregister: Deregister::Always,
            address: AddressMode::Auto,
            network: None,
            script_checks: ScriptChecks::Off,
        }
    }
}

/// Which ends of a container end its registrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deregister {
    /// All of them.
    Always,
    /// Exit status 0, and an end by a signal. After another one the services stay registered, critical, with the reason.
    OnSuccess,
}

/// Whose address is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressMode {
    /// Clients in a Docker network that the container is on: its address there and its own port. Others: as `Host`.
    Auto,
    /// The host's address and the published port. A port that is not published is no service.
    Host,
    /// The container's address and its own port.
    Container,
}

/// What is known besides the document.
#[derive(Debug, Clone, Default)]
pub struct Surroundings<'a> {
    /// The host's addresses.
    pub host: HostAddresses,
    /// What stands in service IDs for the host, if that is not our own node.
    pub host_name: Option<String>,
    /// Docker's networks by name; what is missing here is taken from the document.
    pub networks: Arc<BTreeMap<String, Network>>,
    /// The container whose network this one uses, if [`Container::joins`] names one and it is known.
    pub joined: Option<&'a Container>,
    /// Whether it was sent its stop signal ([`is_stop_signal`]) and has not ended yet.
    pub stopping: bool,
}

/// The addresses at which other machines reach this host: those of its default routes, unless set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostAddresses {
    /// IPv4.
    pub v4: Option<Ipv4Addr>,
    /// IPv6.
    pub v6: Option<Ipv6Addr>,
}

/// What is known of a Docker network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Its ID, which is the same on all machines that it spans.
    pub id: String,
    /// `bridge`, `overlay`, `macvlan`, ...
    pub driver: String,
    /// Whether it is swarm's network for published ports, on which no client is.
    pub ingress: bool,
    /// Its prefixes.
    pub subnets: Vec<IpNetwork>,
}

#[cfg(test)]
mod fake;

#[cfg(test)]
mod testing;

#[cfg(test)]
#[path = "property_tests.rs"]
mod property_tests;
