//! From a document to registrations.

use thin_vec::ThinVec;

use super::{
    AddressMode, Fate, Settings, Surroundings,
    addresses::{self, Reached},
    attributes,
    checks::Checked,
    inspect::Container,
    metadata::Metadata,
    ports::{self, ServicePort},
    service, state, swarm,
};
use crate::catalog::{
    change::{Origin, Registration},
    check::{CheckKey, CheckKind, CheckResult},
    names::{ServiceId, ServiceName},
    node::Address,
    service::{FurtherName, Instance, Port, TaggedAddress, Weights},
};

/// What a container is to the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Whether it is anything, and why not.
    pub fate: Fate,
    /// Its services, by port; empty unless it is registered. The IDs of one container are different from each other.
    pub registrations: Vec<Registration>,
    /// For people: what was not taken as it was written, with container, key and cure.
    pub warnings: Vec<String>,
}

impl Mapped {
    /// The statuses that the document tells. A registration keeps those that its checks have, so these are set besides.
    pub fn results(&self) -> Vec<(CheckKey, CheckResult)> {
        self.registrations.iter().flat_map(results).collect()
    }

    fn without(fate: Fate, warnings: Warnings) -> Mapped {
        Mapped { fate, registrations: Vec::new(), warnings: warnings.texts }
    }
}

/// The statuses of a registration that come from the document.
pub(super) fn results(registration: &Registration) -> impl Iterator<Item = (CheckKey, CheckResult)> {
    let told = registration.checks.iter().filter(|check| check.definition.kind == CheckKind::External);
    told.map(|check| (check.key(), CheckResult { status: check.status, output: check.output.clone() }))
}

/// All that a container is mapped by.
pub(super) struct Context<'a> {
    pub(super) container: &'a Container,
    pub(super) settings: &'a Settings,
    pub(super) around: &'a Surroundings<'a>,
}

impl<'a> Context<'a> {
    /// The container whose network it uses: itself, unless it joins another; none if that is not known.
    pub(super) fn network_container(&self) -> Option<&'a Container> {
        if self.container.joins().is_some() { self.around.joined } else { Some(self.container) }
    }
}

/// What people should know, each once.
pub(super) struct Warnings {
    container: String,
    topics: Vec<&'static str>,
    texts: Vec<String>,
}

impl Warnings {
    fn of(container: &Container) -> Warnings {
        Warnings { container: container.plain_name().to_owned(), topics: Vec::new(), texts: Vec::new() }
    }

    pub(super) fn add(&mut self, text: String) {
        let text = format!("container {}: {text}", self.container);
        if self.texts.len() < WARNINGS_MAX && !self.texts.contains(&text) {
            self.texts.push(text);
        }
    }

    /// Of one topic only the first.
    pub(super) fn add_once(&mut self, topic: &'static str, text: String) {
        if !self.topics.contains(&topic) {
            self.topics.push(topic);
            self.add(text);
        }
    }
}

/// Maps a container. Costs O(its ports x its variables and labels).
pub fn map(container: &Container, settings: &Settings, around: &Surroundings<'_>) -> Mapped {
    let mut warnings = Warnings::of(container);
    match state::fate(container, settings) {
        Fate::Registered if is_one_off(container) => {
            return Mapped::without(Fate::Gone("is a one-off run of a compose service".to_owned()), warnings);
        }
        Fate::Registered => {}
        fate => return Mapped::without(fate, warnings),
    }
    let context = Context { container, settings, around };
    if let Some(joined) = container.joins().filter(|_| around.joined.is_none()) {
        let cure = "it is registered when that container runs";
        warnings.add(format!("its network is that of container {joined:?}, which is not running; {cure}"));
    }
    let registrations = registrations(&context, &mut warnings);
    if registrations.is_empty() {
        let reason = "has no port or address by which it is reached, or its keys or settings leave it out";
        return Mapped::without(Fate::Gone(reason.to_owned()), warnings);
    }
    Mapped { fate: Fate::Registered, registrations, warnings: warnings.texts }
}

/// The services, one a port that is reached; one without port if the container serves none.
fn registrations(context: &Context<'_>, warnings: &mut Warnings) -> Vec<Registration> {
    let general = Metadata::of(&context.container.config, None);
    let ports = ports::ports(context, &general, warnings);
    let all: Vec<Option<&ServicePort>> = if ports.is_empty() { vec![None] } else { ports.iter().map(Some).collect() };
    let reached: Vec<_> = all.into_iter().filter_map(|port| candidate(context, port, warnings)).collect();
    // With the container's own address, published or not is the same.
    let by_host = context.settings.address != AddressMode::Container;
    let published = reached.iter().filter(|one| by_host && is_published(one.port)).count();
    let group = if published > 0 { published } else { reached.len() };
    let forced = forced_tags(context, warnings);
    let mut ids: Vec<ServiceId> = Vec::new();
    let mut registrations = Vec::new();
    for Candidate { port, metadata, reached, .. } in reached.into_iter().filter(|one| one.is_wanted) {
        let is_extra = published > 0 && !is_published(port);
        let suffix = port.map(|port| port.number).filter(|_| group > 1 || is_extra);
        let Some(service) = service::name(context, &metadata, suffix, warnings) else { continue };
        let Some(id) = service::id(context, &metadata, port, &ids, warnings) else { continue };
        ids.push(id.clone());
        let instance = Instance {
            tags: attributes::tags(&metadata, forced.as_deref(), port.map(|port| port.protocol), warnings),
            meta: attributes::meta(&metadata, warnings),
            ..bare(context, (service, id), port, &reached)
        };
        let own_port = port.map(|port| port.number);
        let checked = Checked {
            container: context.container,
            metadata: &metadata,
            instance: &instance,
            target: reached.probed(),
            own_port,
            script_checks: context.settings.script_checks,
        };
        let mut checks: Vec<_> = checked.by_keys(warnings).into_iter().chain(checked.by_docker()).collect();
        let hidden = state::hidden(context.container, context.around.stopping);
        checks.extend(hidden.map(|reason| state::state_check(&instance, reason)));
        registrations.push(Registration { instance, checks, replace_existing_checks: true });
    }
    registrations
}

/// A service that there could be.
struct Candidate<'a> {
    port: Option<&'a ServicePort>,
    metadata: Metadata,
    reached: Reached,
    /// Whether keys and settings let it be one.
    is_wanted: bool,
}

/// What is known of a port that is reached.
fn candidate<'a>(
    context: &Context<'_>,
    port: Option<&'a ServicePort>,
    warnings: &mut Warnings,
) -> Option<Candidate<'a>> {
    let metadata = Metadata::of(&context.container.config, port.map(|port| port.number));
    let is_unnamed = context.settings.explicit && metadata.get("name").is_none();
    let is_wanted = !is_unnamed && metadata.get("ignore").is_none();
    // Nobody wants to hear about a port that is no service.
    let mut unheard = Warnings::of(context.container);
    let reached = addresses::reach(port, context, if is_wanted { warnings } else { &mut unheard })?;
    Some(Candidate { port, metadata, reached, is_wanted })
}

fn is_published(port: Option<&ServicePort>) -> bool {
    port.is_some_and(ServicePort::is_published)
}

/// The tags of all services, as the template says of this container.
fn forced_tags(context: &Context<'_>, warnings: &mut Warnings) -> Option<String> {
    let template = context.settings.tags.as_ref()?;
    match template.render(&context.container.document) {
        Ok(text) => Some(text),
        Err(problem) => {
            warnings.add(format!("docker_tags: {problem}; these tags are left out"));
            None
        }
    }
}

/// An instance with its addresses and nothing more.
fn bare(
    context: &Context<'_>,
    (service, id): (ServiceName, ServiceId),
    port: Option<&ServicePort>,
    reached: &Reached,
) -> Instance {
    let number = match reached.ordinary {
        Some((_, number)) => number,
        None => port.map(|port| port.number),
    };
    let tagged = reached.tagged.iter().map(|(role, (address, port))| TaggedAddress {
        role: role.as_str().into(),
        address: Address::Ip(*address),
        port: port.unwrap_or(0),
    });
    Instance {
        node: context.settings.node.clone(),
        id,
        service,
        address: reached.ordinary.map(|(address, _)| Address::Ip(address)),
        ports: number.into_iter().map(|number| Port { name: None, number, default: false }).collect(),
        tags: Default::default(),
        meta: Default::default(),
        weights: Weights::default(),
        tagged_addresses: tagged.collect(),
        network_addresses: reached.networks.iter().cloned().collect(),
        further_names: further_names(context.container),
        enable_tag_override: false,
        origin: Origin::Docker,
    }
}

fn label<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    container.config.labels.get(&format!("{COMPOSE}{name}")).map(String::as_str).filter(|value| !value.is_empty())
}

/// Whether it was made by `docker compose run`: it is nobody's server, though it has the service's keys.
fn is_one_off(container: &Container) -> bool {
    label(container, "oneoff").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// By which names its services are found where no service has them: its own, which also stands for their IDs, compose's, and
/// swarm's.
fn further_names(container: &Container) -> ThinVec<FurtherName> {
    let service = label(container, "service");
    let full = service.zip(label(container, "project")).map(|(service, project)| format!("{service}.{project}"));
    let of_compose = [full, service.map(str::to_owned)].into_iter().flatten();
    let all = of_compose.chain(swarm_names(container)).map(|name| (name, false));
    let mut names: ThinVec<FurtherName> = ThinVec::new();
    for (name, stands_for_id) in std::iter::once((container.plain_name().to_owned(), true)).chain(all) {
        let Ok(name) = ServiceName::new(name) else { continue };
        if !names.iter().any(|other| other.name == name) {
            names.push(FurtherName { name, stands_for_id });
        }
    }
    names
}

/// The names of a task or service of swarm, none of anything else.
fn swarm_names(container: &Container) -> impl Iterator<Item = String> {
    let labels = &container.config.labels;
    let service = labels.get(swarm::SERVICE);
    let of_task = service.filter(|_| labels.contains_key(swarm::TASK)).map(|service| format!("tasks.{service}"));
    // A stack's services are called `<stack>_<service>`.
    let stack = labels.get(swarm::STACK);
    let short = service.zip(stack).and_then(|(service, stack)| {
        let short = service.strip_prefix(stack.as_str())?.strip_prefix('_')?;
        Some([format!("{short}.{stack}"), short.to_owned()])
    });
    of_task.into_iter().chain(service.cloned()).chain(short.into_iter().flatten())
}

/// What compose's labels begin with.
const COMPOSE: &str = "com.docker.compose.";

/// Most warnings of a container. Source: none, chosen: whoever has more sees the next ones when these are mended.
const WARNINGS_MAX: usize = 32;

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "rules_tests.rs"]
mod rules_tests;

#[cfg(test)]
#[path = "complaints_tests.rs"]
mod complaints_tests;
