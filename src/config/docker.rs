//! Settings of the Docker source.

use std::{net::IpAddr, path::PathBuf};

use super::{
    Inputs,
    layer::Item,
    print::quoted,
    problem::{ConfigProblem, Place},
    read::Reader,
    values::{self, Parsed, word},
};
use crate::sources::docker::{AddressMode, Deregister, Endpoint, Template, client::EndpointError};

/// Registration of Docker's containers. The fields are named and explained in reference.toml, with `docker_` before them.
#[derive(Debug, Clone, PartialEq)]
pub struct Docker {
    /// Which daemon.
    pub daemon: DockerDaemon,
    /// Whose address is answered.
    pub address: AddressMode,
    /// The address of published ports.
    pub ip: Option<IpAddr>,
    /// The label that holds a container's address.
    pub ip_label: Option<String>,
    /// The network whose address counts.
    pub network: Option<String>,
    /// Whether only what has a name of its own is a service.
    pub explicit: bool,
    /// Tags of every service.
    pub tags: Option<Template>,
    /// Names of services.
    pub name: Option<Template>,
    /// Which ends deregister.
    pub deregister: Deregister,
}

/// Which daemon tells of its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerDaemon {
    /// None.
    Off,
    /// The first of these that is there, if any is.
    Auto(Vec<Endpoint>),
    /// This one.
    At(Endpoint),
}

impl DockerDaemon {
    /// Where it may be.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        match self {
            DockerDaemon::Off => Vec::new(),
            DockerDaemon::Auto(candidates) => candidates.clone(),
            DockerDaemon::At(endpoint) => vec![endpoint.clone()],
        }
    }
}

/// Reads the settings.
pub(super) fn read(reader: &mut Reader, inputs: &Inputs) -> Docker {
    let address = [("auto", AddressMode::Auto), ("host", AddressMode::Host), ("container", AddressMode::Container)];
    let deregister = [("always", Deregister::Always), ("on-success", Deregister::OnSuccess)];
    Docker {
        daemon: reader.set("docker", daemon(inputs)),
        address: reader.set("docker_address", word(&address)),
        ip: reader.one("docker_ip", values::reachable_address),
        ip_label: reader.one("docker_ip_label", some_text("the name of a label, such as example.ip")),
        network: reader.one("docker_network", some_text("the name of a Docker network, such as bridge")),
        explicit: reader.set("docker_explicit", values::boolean),
        tags: reader.one("docker_tags", template),
        name: reader.one("docker_name", template),
        deregister: reader.set("docker_deregister", word(&deregister)),
    }
}

/// What of the environment was not followed.
pub(super) fn warning(docker: &Docker, inputs: &Inputs) -> Option<ConfigProblem> {
    let given = variable(inputs, DOCKER_HOST).filter(|_| matches!(docker.daemon, DockerDaemon::Auto(_)))?;
    let problem = given.parse::<Endpoint>().err()?;
    let place = Place::Variable(DOCKER_HOST.to_owned());
    Some(ConfigProblem { place, key: None, problem: format!("{problem}; got {given:?}, so that it is not followed") })
}

impl Docker {
    /// Each setting with its value as TOML.
    pub(super) fn entries(&self) -> Vec<(&'static str, Option<String>)> {
        let daemon = match &self.daemon {
            DockerDaemon::Off => "off".to_owned(),
            DockerDaemon::Auto(_) => "auto".to_owned(),
            DockerDaemon::At(endpoint) => endpoint.to_string(),
        };
        let address = match self.address {
            AddressMode::Auto => "auto",
            AddressMode::Host => "host",
            AddressMode::Container => "container",
        };
        let deregister = match self.deregister {
            Deregister::Always => "always",
            Deregister::OnSuccess => "on-success",
        };
        vec![
            ("docker", Some(quoted(daemon))),
            ("docker_address", Some(quoted(address))),
            ("docker_ip", self.ip.map(quoted)),
            ("docker_ip_label", self.ip_label.as_ref().map(quoted)),
            ("docker_network", self.network.as_ref().map(quoted)),
            ("docker_explicit", Some(self.explicit.to_string())),
            ("docker_tags", self.tags.as_ref().map(Template::as_str).map(quoted)),
            ("docker_name", self.name.as_ref().map(Template::as_str).map(quoted)),
            ("docker_deregister", Some(quoted(deregister))),
        ]
    }
}

/// `auto`, `off`, or where it is.
fn daemon(inputs: &Inputs) -> impl Fn(&Item) -> Parsed<DockerDaemon> {
    move |item| match values::text(item) {
        Ok("off") => Ok(DockerDaemon::Off),
        Ok("auto") => Ok(DockerDaemon::Auto(candidates(inputs))),
        Ok(text) if text.contains("://") => {
            text.parse().map(DockerDaemon::At).map_err(|problem: EndpointError| problem.to_string())
        }
        _ => Err("expected \"auto\", \"off\", or a URL such as unix:///var/run/docker.sock".to_owned()),
    }
}

/// Where a daemon may be that nobody has named: where the environment says, else the usual sockets of Docker and Podman.
fn candidates(inputs: &Inputs) -> Vec<Endpoint> {
    if let Some(endpoint) = variable(inputs, DOCKER_HOST).and_then(|text| text.parse().ok()) {
        return vec![endpoint];
    }
    let of_user = |socket: &str| Some(format!("{}/{socket}", variable(inputs, "XDG_RUNTIME_DIR")?));
    let sockets = [
        Some("/var/run/docker.sock".to_owned()),
        of_user("docker.sock"),
        Some("/run/podman/podman.sock".to_owned()),
        of_user("podman/podman.sock"),
    ];
    sockets.into_iter().flatten().map(|path| Endpoint::Unix(PathBuf::from(path))).collect()
}

fn variable<'a>(inputs: &'a Inputs, name: &str) -> Option<&'a str> {
    let found = inputs.variables.iter().find(|(known, value)| known == name && !value.is_empty());
    found.map(|(_, value)| value.as_str())
}

fn some_text(expected: &'static str) -> impl Fn(&Item) -> Parsed<String> {
    move |item| match values::text(item) {
        Ok(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(format!("expected {expected}")),
    }
}

fn template(item: &Item) -> Parsed<Template> {
    Template::parse(values::text(item)?).map_err(|problem| format!("expected a template: {problem}"))
}

/// Docker's own variable.
const DOCKER_HOST: &str = "DOCKER_HOST";

#[cfg(test)]
#[path = "docker_tests.rs"]
mod tests;
