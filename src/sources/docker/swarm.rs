//! Swarm's services and tasks, as a manager tells of them.
//!
//! | what | is registered as | everybody gets | containers on an overlay network that it is on get |
//! |---|---|---|---|
//! | a service | its own name, `web`; ID `swarm:web:80` | the host's address and the port that the ingress mesh publishes; else nothing | its virtual address (VIP) there |
//! | a task on this node | a container, as any other; further names `tasks.web` and `web` | the port that it publishes on the host by itself; else nothing | its own address there |
//! | a task on another node | as if it were a container here; ID `<that node>:web.1.<task>:80` | the address of its node, likewise | its own address there |
//!
//! - A service is named by its labels (`--label`), its tasks by theirs (`--container-label`, `-e`).
//! - A service without VIP (`endpoint_mode: dnsrr`) that publishes nothing by the mesh, and one that publishes ports on its tasks' hosts, is
//!   no instance of its own: `web` is then the further name of its tasks.
//! - A service of which no task runs is critical, as nobody stands behind its VIP.
//! - In a stack `shop`, a service `shop_web` is `web.shop` and `web`, too.
//!
//! **Limits:** Docker tells nothing of tasks by events, so that they are listed time and again. Whether the kernel can
//! carry a VIP (`ip_vs`) is not known here.
//!
//! **Source:** Docker's Engine API 1.40 to 1.52: `/services`, `/tasks`, `/nodes`, `/networks`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    Container, HostAddresses, Mapped, Settings, Surroundings,
    inspect::{Binding, Bindings, Config, Endpoint, NetworkSettings, State, list, map_of, or_default},
    map, state,
};

/// What a manager says, as far as it is read.
#[derive(Debug, Clone, Default)]
pub struct Swarm {
    /// The manager's own node ID, `Swarm.NodeID` of `GET /info`.
    pub(super) node_id: String,
    /// `GET /services`.
    pub(super) services: Vec<Service>,
    /// `GET /tasks`.
    pub(super) tasks: Vec<Task>,
    /// `GET /nodes`.
    pub(super) nodes: Vec<Node>,
    /// `GET /networks`.
    pub(super) networks: Vec<Network>,
}

impl Swarm {
    /// What the services, and the tasks on other nodes, are to the catalog, by the ID of each. Costs O(services + tasks).
    pub fn map(&self, settings: &Settings, around: &Surroundings<'_>) -> BTreeMap<String, Mapped> {
        let names: BTreeMap<&str, &Service> = self.services.iter().map(|one| (one.id.as_str(), one)).collect();
        let nodes: BTreeMap<&str, &Node> = self.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let alive: BTreeSet<&str> =
            self.tasks.iter().filter(|task| task.is_wanted()).map(|task| task.service_id.as_str()).collect();
        let service = |service: &Service| {
            let around = Surroundings { host_name: Some("swarm".to_owned()), joined: None, ..around.clone() };
            let mut mapped = map(&service.container(&self.networks), settings, &around);
            if !alive.contains(service.id.as_str()) {
                for registration in &mut mapped.registrations {
                    registration.checks.push(state::state_check(&registration.instance, "no task of it is running"));
                }
            }
            (service.id.clone(), mapped)
        };
        let task = |task: &Task| {
            let node = nodes.get(task.node_id.as_str()).filter(|node| node.status.state == "ready")?;
            let service = names.get(task.service_id.as_str())?;
            let around = Surroundings {
                host: node.addresses(),
                host_name: Some(node.description.hostname.clone()),
                joined: None,
                stopping: task.desired_state != RUNNING,
                networks: around.networks.clone(),
            };
            // The address that is set is this host's.
            let settings = Settings { ip: None, ..settings.clone() };
            Some((task.id.clone(), map(&task.container(service), &settings, &around)))
        };
        let elsewhere = self.tasks.iter().filter(|task| task.status.state == RUNNING && task.node_id != self.node_id);
        let by_itself = |service: &&Service| !service.endpoint.ports.iter().any(PublishedPort::is_on_host);
        self.services.iter().filter(by_itself).map(service).chain(elsewhere.filter_map(task)).collect()
    }
}

/// `GET /services`, one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Service {
    #[serde(rename = "ID", deserialize_with = "or_default")]
    id: String,
    #[serde(deserialize_with = "or_default")]
    spec: ServiceSpec,
    #[serde(deserialize_with = "or_default")]
    endpoint: ServiceEndpoint,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ServiceSpec {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "map_of")]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ServiceEndpoint {
    #[serde(deserialize_with = "list")]
    ports: Vec<PublishedPort>,
    #[serde(rename = "VirtualIPs", deserialize_with = "list")]
    virtual_ips: Vec<VirtualAddress>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PublishedPort {
    #[serde(deserialize_with = "or_default")]
    protocol: String,
    #[serde(deserialize_with = "or_default")]
    target_port: u16,
    #[serde(deserialize_with = "or_default")]
    published_port: u16,
    #[serde(deserialize_with = "or_default")]
    publish_mode: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct VirtualAddress {
    #[serde(rename = "NetworkID", deserialize_with = "or_default")]
    network_id: String,
    #[serde(rename = "Addr", deserialize_with = "or_default")]
    address: String,
}

/// `GET /tasks`, one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Task {
    #[serde(rename = "ID", deserialize_with = "or_default")]
    id: String,
    #[serde(rename = "ServiceID", deserialize_with = "or_default")]
    service_id: String,
    #[serde(rename = "NodeID", deserialize_with = "or_default")]
    node_id: String,
    /// None of a global service's.
    #[serde(deserialize_with = "or_default")]
    slot: u64,
    #[serde(deserialize_with = "or_default")]
    spec: TaskSpec,
    #[serde(deserialize_with = "or_default")]
    status: TaskStatus,
    #[serde(deserialize_with = "or_default")]
    desired_state: String,
    #[serde(rename = "NetworksAttachments", deserialize_with = "list")]
    networks: Vec<Attachment>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TaskSpec {
    #[serde(deserialize_with = "or_default")]
    container_spec: ContainerSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ContainerSpec {
    #[serde(deserialize_with = "or_default")]
    image: String,
    #[serde(deserialize_with = "map_of")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "list")]
    env: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TaskStatus {
    #[serde(deserialize_with = "or_default")]
    state: String,
    #[serde(deserialize_with = "or_default")]
    port_status: PortStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PortStatus {
    #[serde(deserialize_with = "list")]
    ports: Vec<PublishedPort>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Attachment {
    #[serde(deserialize_with = "or_default")]
    network: AttachedNetwork,
    #[serde(deserialize_with = "list")]
    addresses: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AttachedNetwork {
    #[serde(deserialize_with = "or_default")]
    spec: AttachedSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AttachedSpec {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    ingress: bool,
}

/// `GET /nodes`, one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Node {
    #[serde(rename = "ID", deserialize_with = "or_default")]
    id: String,
    #[serde(deserialize_with = "or_default")]
    description: NodeDescription,
    #[serde(deserialize_with = "or_default")]
    status: NodeStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NodeDescription {
    #[serde(deserialize_with = "or_default")]
    hostname: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NodeStatus {
    #[serde(deserialize_with = "or_default")]
    state: String,
    #[serde(rename = "Addr", deserialize_with = "or_default")]
    address: String,
}

/// `GET /networks`, one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Network {
    #[serde(deserialize_with = "or_default")]
    id: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    ingress: bool,
}

impl PublishedPort {
    /// Whether it is published where each task runs, and not by the mesh.
    fn is_on_host(&self) -> bool {
        self.publish_mode == "host"
    }
}

impl Service {
    /// The container that it would be.
    fn container(&self, networks: &[Network]) -> Container {
        let ports: Vec<&PublishedPort> = self.endpoint.ports.iter().collect();
        let of_network = |address: &VirtualAddress| {
            let network = networks.iter().find(|network| network.id == address.network_id && !network.ingress)?;
            Some((network.name.clone(), endpoint([address.address.as_str()].into_iter())))
        };
        let endpoints = self.endpoint.virtual_ips.iter().filter_map(of_network).collect();
        let mut labels = self.spec.labels.clone();
        labels.insert(SERVICE.to_owned(), self.spec.name.clone());
        let config = Config { image: self.spec.name.clone(), labels, ..Config::default() };
        running((&self.id, &self.spec.name), config, &ports, endpoints)
    }
}

impl Task {
    /// Whether it runs and is to go on.
    fn is_wanted(&self) -> bool {
        self.status.state == RUNNING && self.desired_state == RUNNING
    }

    /// The container that it is, as its own node's daemon would tell.
    fn container(&self, service: &Service) -> Container {
        let slot = if self.slot > 0 { self.slot.to_string() } else { self.node_id.clone() };
        let name = format!("{}.{slot}.{}", service.spec.name, self.id);
        let spec = &self.spec.container_spec;
        let mut labels = spec.labels.clone();
        labels.insert(SERVICE.to_owned(), service.spec.name.clone());
        labels.insert(TASK.to_owned(), self.id.clone());
        let config = Config { image: spec.image.clone(), env: spec.env.clone(), labels, ..Config::default() };
        let attached = self.networks.iter().filter(|attachment| !attachment.network.spec.ingress);
        let endpoints = attached.map(|attachment| {
            (attachment.network.spec.name.clone(), endpoint(attachment.addresses.iter().map(String::as_str)))
        });
        running(
            (&self.id, &name),
            config,
            &self.status.port_status.ports.iter().collect::<Vec<_>>(),
            endpoints.collect(),
        )
    }
}

impl Node {
    /// The address at which the other nodes reach it.
    fn addresses(&self) -> HostAddresses {
        let address = self.status.address.parse().ok().filter(|address: &std::net::IpAddr| !address.is_unspecified());
        match address {
            Some(std::net::IpAddr::V4(v4)) => HostAddresses { v4: Some(v4), v6: None },
            Some(std::net::IpAddr::V6(v6)) => HostAddresses { v4: None, v6: Some(v6) },
            None => HostAddresses::default(),
        }
    }
}

/// A running container, as its daemon would tell of it; the template of names and tags sees these fields.
fn running(
    (id, name): (&str, &str),
    mut config: Config,
    published: &[&PublishedPort],
    networks: BTreeMap<String, Endpoint>,
) -> Container {
    let mut ports: BTreeMap<String, Bindings> = BTreeMap::new();
    for port in published.iter().filter(|port| port.target_port > 0) {
        let key = format!("{}/{}", port.target_port, port.protocol);
        let binding = Binding { host_ip: String::new(), host_port: port.published_port.to_string() };
        let bindings = &mut ports.entry(key.clone()).or_default().0;
        if !bindings.contains(&binding) {
            bindings.push(binding);
        }
        config.exposed_ports.insert(key);
    }
    let document = json!({
        "Id": id,
        "Name": format!("/{name}"),
        "Config": {"Image": &config.image, "Env": &config.env, "Labels": &config.labels},
    });
    Container {
        id: id.to_owned(),
        name: format!("/{name}"),
        state: State { status: RUNNING.to_owned(), running: true, ..State::default() },
        config,
        network_settings: NetworkSettings { ports, networks },
        document,
        ..Container::default()
    }
}

/// The addresses in one network, each written with its prefix length.
fn endpoint<'a>(addresses: impl Iterator<Item = &'a str>) -> Endpoint {
    let mut endpoint = Endpoint::default();
    for text in addresses {
        let (address, length) = text.split_once('/').unwrap_or((text, ""));
        let length = length.parse().unwrap_or_default();
        if address.contains(':') {
            (endpoint.global_ipv6_address, endpoint.global_ipv6_prefix_len) = (address.to_owned(), length);
        } else {
            (endpoint.ip_address, endpoint.ip_prefix_len) = (address.to_owned(), length);
        }
    }
    endpoint
}

/// The items of a list; one that cannot be read is left out, so that it costs no other.
pub(super) fn items<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, serde_json::Error> {
    let values: Option<Vec<serde_json::Value>> = serde_json::from_slice(bytes)?;
    Ok(values.unwrap_or_default().into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
}

/// The label with the name of a task's service.
pub(super) const SERVICE: &str = "com.docker.swarm.service.name";

/// The label with the ID of a task.
pub(super) const TASK: &str = "com.docker.swarm.task.id";

/// The label with the name of the stack that a service or a task belongs to.
pub(super) const STACK: &str = "com.docker.stack.namespace";

/// The state of a task, or container, that runs.
const RUNNING: &str = "running";

#[cfg(test)]
#[path = "swarm_tests.rs"]
mod tests;
