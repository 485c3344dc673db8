//! What a service of a container is called.
//!
//! Name, the first that there is:
//!
//! 1. `SERVICE_<port>_NAME`, as it is;
//! 2. `SERVICE_NAME`;
//! 3. what `docker_name` says of the container;
//! 4. the image: the last part of its path without tag and digest, `redis` of `registry:5000/team/redis:7`;
//! 5. the container's name, where the image is an ID alone.
//!
//! 2 to 5 get `-<port>` where Registrator would have registered several ports, ignored ones counted. Ports that it would not have
//! registered, because they are not published while others are, get it always, so that none of its names changes.
//!
//! ID: `<node>:<container>:<port>`, with `:udp` or `:sctp` behind it, and without a port if there is none; or `SERVICE_<port>_ID`, or
//! `SERVICE_ID`. If that is the ID of several services, the first has it and the others get `:<port>` behind it.

use super::{
    map::{Context, Warnings},
    metadata::Metadata,
    ports::{Protocol, ServicePort},
};
use crate::{
    catalog::names::{ServiceId, ServiceName},
    publish::label,
};

/// The name of a service; none if it has none by which it can be known.
pub(super) fn name(
    context: &Context<'_>,
    metadata: &Metadata,
    suffix: Option<u16>,
    warnings: &mut Warnings,
) -> Option<ServiceName> {
    let given = metadata.get("name");
    let (key, mut name) = match given {
        Some(entry) => (entry.key.as_str(), entry.value.clone()),
        None => ("docker_name", default_name(context, warnings)),
    };
    if let Some(port) = suffix.filter(|_| !given.is_some_and(|entry| entry.of_port)) {
        name = format!("{name}-{port}");
    }
    match ServiceName::new(name.as_str()) {
        Ok(name) => {
            if let Some(hashed) = label::service_keys(&name).hashed {
                warnings.add(format!(
                    "service name {name:?} cannot stand in DNS, where it is {hashed}; set {} to letters, digits and -",
                    if given.is_some() { key } else { "SERVICE_NAME" }
                ));
            }
            Some(name)
        }
        Err(problem) => {
            warnings.add(format!("{key}: a service name {problem}; the service is left out"));
            None
        }
    }
}

fn default_name(context: &Context<'_>, warnings: &mut Warnings) -> String {
    let container = context.container;
    if let Some(template) = &context.settings.name {
        match template.render(&container.document) {
            Ok(name) if !name.trim().is_empty() => return name.trim().to_owned(),
            Ok(_) => {}
            Err(problem) => warnings.add(format!("docker_name: {problem}; the image's name is used")),
        }
    }
    image_name(&container.config.image).unwrap_or_else(|| container.plain_name().to_owned())
}

/// The last part of an image's path without tag and digest; none of an ID.
fn image_name(image: &str) -> Option<String> {
    let base = image.rsplit('/').next().unwrap_or_default();
    let name = base.split(['@', ':']).next().unwrap_or_default();
    let is_id = image.starts_with("sha256:") || (name.len() >= 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (!name.is_empty() && !is_id).then(|| name.to_owned())
}

/// The ID of a service, given those that the container has already.
pub(super) fn id(
    context: &Context<'_>,
    metadata: &Metadata,
    port: Option<&ServicePort>,
    taken: &[ServiceId],
    warnings: &mut Warnings,
) -> Option<ServiceId> {
    let behind = port.map_or(String::new(), |port| match port.protocol {
        Protocol::Tcp => format!(":{}", port.number),
        other => format!(":{}:{}", port.number, other.as_str()),
    });
    let host = context.around.host_name.as_deref().unwrap_or(context.settings.node.as_str());
    let derived = format!("{host}:{}{behind}", context.container.plain_name());
    let (key, wanted) = match metadata.get("id") {
        Some(entry) => (entry.key.as_str(), entry.value.clone()),
        None => ("the container's name", derived.clone()),
    };
    let free = |text: &str| !taken.iter().any(|id| id.as_str() == text);
    let mut text = wanted.clone();
    if !free(&text) {
        text = format!("{wanted}{behind}");
        let cure = "give each port its own by SERVICE_<port>_ID";
        warnings.add(format!("{key}: several services have the ID {wanted:?}, so that {text:?} is used too; {cure}"));
    }
    // What is left is somebody's spelling of what is made of another's.
    let mut count = 2;
    while !free(&text) {
        text = format!("{wanted}{behind}:{count}");
        count += 1;
    }
    ServiceId::new(&text)
        .inspect_err(|problem| warnings.add(format!("{key}: a service ID {problem}; the service is left out")))
        .ok()
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
