//! Definitions of services.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use thin_vec::ThinVec;

use super::{
    DefinitionError, Owner, Problem,
    check::{CheckDefaults, only_default, read_of_service},
    fields::{Field, Fields},
};
use crate::catalog::{
    change::Registration,
    check::Check,
    names::{CheckId, PortName, ServiceId, ServiceName, Tag},
    node::Address,
    service::{Instance, Meta, Port, TaggedAddress, Weights},
};

/// Reads a service with its checks.
pub(super) fn read(
    object: &Field<'_>,
    owner: &Owner,
    notices: &mut Vec<String>,
) -> Result<Registration, DefinitionError> {
    let fields = Fields::read(object, FIELDS)?;
    only_default(&fields)?;
    let name = fields.filled("Name").ok_or_else(|| fields.wrong("Name", Problem::Missing))?;
    let service = name.identifier(ServiceName::new)?;
    let id = fields.filled("ID").unwrap_or(name).identifier(ServiceId::new)?;
    let checks = checks(&fields, (&service, &id), owner, notices)?;
    let weights = weights(fields.field("Weights"))?;
    let instance = instance(&fields, (service, id, weights), owner, notices)?;
    Ok(Registration { instance, checks, replace_existing_checks: false })
}

/// The instance of (service, ID, weights), with what else the fields say.
pub(super) fn instance(
    fields: &Fields<'_>,
    (service, id, weights): (ServiceName, ServiceId, Weights),
    owner: &Owner,
    notices: &mut Vec<String>,
) -> Result<Instance, DefinitionError> {
    Ok(Instance {
        node: owner.node.clone(),
        id,
        service,
        address: fields.filled("Address").map(address).transpose()?,
        ports: ports(fields)?,
        tags: tags(fields)?,
        meta: meta(fields, notices)?,
        weights,
        tagged_addresses: tagged_addresses(fields)?,
        network_addresses: Default::default(),
        further_names: Default::default(),
        enable_tag_override: fields.flag("EnableTagOverride")?,
        origin: owner.origin,
    })
}

pub(super) fn address(field: &Field<'_>) -> Result<Address, DefinitionError> {
    Address::parse(field.text()?).map_err(|error| field.wrong(error.into()))
}

/// The ports of `Ports`, and that of `Port`: the default one, and without a name if it is none of the others.
fn ports(fields: &Fields<'_>) -> Result<Arc<[Port]>, DefinitionError> {
    let mut ports: Vec<Port> = Vec::new();
    for item in fields.items("Ports", PORTS_MAX)? {
        let port = Fields::read(&item, &["Name", "Port", "Default"])?;
        let name = port.filled("Name").ok_or_else(|| port.wrong("Name", Problem::Missing))?;
        let number = port.field("Port").ok_or_else(|| port.wrong("Port", Problem::Missing))?;
        let read = Port {
            name: Some(name.identifier(PortName::new)?),
            number: number.number(1..=u16::MAX)?,
            default: port.flag("Default")?,
        };
        if ports.iter().any(|other| same_name(other, &read)) {
            return Err(name.wrong(Problem::Rule("another port has this name".to_owned())));
        }
        if read.default && ports.iter().any(|other| other.default) {
            return Err(port.wrong("Default", Problem::Rule("another port is the default one".to_owned())));
        }
        ports.push(read);
    }
    let Some(field) = fields.field("Port") else { return Ok(ports.into()) };
    let number = field.number(0..=u16::MAX)?;
    if number == 0 {
        return Ok(ports.into());
    }
    match ports.iter().find(|port| port.default) {
        Some(flagged) if flagged.number == number => {}
        Some(flagged) => {
            let rule = format!("must be {}, the number of the default port in Ports", flagged.number);
            return Err(field.wrong(Problem::Rule(rule)));
        }
        None => match ports.iter_mut().find(|port| port.number == number) {
            Some(port) => port.default = true,
            None => ports.insert(0, Port { name: None, number, default: !ports.is_empty() }),
        },
    }
    Ok(ports.into())
}

fn same_name(one: &Port, other: &Port) -> bool {
    match (&one.name, &other.name) {
        (Some(one), Some(other)) => one.as_str().eq_ignore_ascii_case(other.as_str()),
        _ => false,
    }
}

fn tags(fields: &Fields<'_>) -> Result<Arc<[Tag]>, DefinitionError> {
    let mut tags: Vec<Tag> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for item in fields.items("Tags", TAGS_MAX)? {
        let tag = item.identifier(Tag::new)?;
        if seen.insert(tag.clone()) {
            tags.push(tag);
        }
    }
    Ok(tags.into())
}

fn meta(fields: &Fields<'_>, notices: &mut Vec<String>) -> Result<Meta, DefinitionError> {
    let Some(field) = fields.field("Meta") else { return Ok(Meta::default()) };
    let pairs = pairs(field)?;
    for (key, value) in field.members()? {
        if key.starts_with(META_PREFIX_RESERVED) {
            let rule = format!("keys that begin with {META_PREFIX_RESERVED} are reserved");
            return Err(value.wrong(Problem::Rule(rule)));
        }
        let bounds = match key {
            "dns-ttl" => 0..=86_400_u32,
            "dns-priority" => 0..=65_535,
            _ => continue,
        };
        if !value.text()?.parse().is_ok_and(|number| bounds.contains(&number)) {
            let (least, most) = (bounds.start(), bounds.end());
            notices.push(format!("{}: ignored, because it is not a number from {least} to {most}", value.path));
        }
    }
    Ok(Arc::new(pairs))
}

/// The pairs of meta, within Consul's limits.
pub(super) fn pairs(field: &Field<'_>) -> Result<BTreeMap<Arc<str>, Arc<str>>, DefinitionError> {
    let members = field.members()?;
    if members.len() > META_PAIRS_MAX {
        let rule = format!("must have at most {META_PAIRS_MAX} pairs, not {}", members.len());
        return Err(field.wrong(Problem::Rule(rule)));
    }
    members.iter().try_for_each(|(key, value)| meta_pair(key, value))?;
    field.texts()
}

/// Consul's limits of one pair.
fn meta_pair(key: &str, value: &Field<'_>) -> Result<(), DefinitionError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let rule = if key.is_empty() || key.len() > META_KEY_MAX_BYTES || !key.bytes().all(legal) {
        format!("a key must be 1 to {META_KEY_MAX_BYTES} of the characters A-Z a-z 0-9 - _")
    } else if value.text()?.len() > META_VALUE_MAX_BYTES {
        format!("must be at most {META_VALUE_MAX_BYTES} bytes, not {}", value.text()?.len())
    } else {
        return Ok(());
    };
    Err(value.wrong(Problem::Rule(rule)))
}

pub(super) fn weights(field: Option<&Field<'_>>) -> Result<Weights, DefinitionError> {
    let Some(field) = field else { return Ok(Weights::default()) };
    let given = Fields::read(field, &["Passing", "Warning"])?;
    let weight = |name: &str, least: u16, default: u16| {
        given.field(name).map_or(Ok(default), |field| field.number(least..=u16::MAX))
    };
    let default = Weights::default();
    Ok(Weights { passing: weight("Passing", 1, default.passing)?, warning: weight("Warning", 0, default.warning)? })
}

fn tagged_addresses(fields: &Fields<'_>) -> Result<ThinVec<TaggedAddress>, DefinitionError> {
    let Some(field) = fields.field("TaggedAddresses") else { return Ok(ThinVec::new()) };
    let mut by_role: BTreeMap<Arc<str>, TaggedAddress> = BTreeMap::new();
    for (role, object) in field.members()? {
        if role.is_empty() {
            return Err(object.wrong(Problem::Rule("a role must not be empty".to_owned())));
        }
        let given = Fields::read(&object, &["Address", "Port"])?;
        let text = given.filled("Address").ok_or_else(|| given.wrong("Address", Problem::Missing))?;
        let address = address(text)?;
        of_family(role, &address, text)?;
        let port = given.field("Port").map_or(Ok(0), |port| port.number(0..=u16::MAX))?;
        let role: Arc<str> = Arc::from(role);
        by_role.insert(Arc::clone(&role), TaggedAddress { role, address, port });
    }
    Ok(by_role.into_values().collect())
}

/// Refuses an address that is not of the family that its role names.
pub(super) fn of_family(role: &str, address: &Address, field: &Field<'_>) -> Result<(), DefinitionError> {
    match (role.rsplit('_').next(), address.ip()) {
        (Some("ipv4"), Some(IpAddr::V4(_))) | (Some("ipv6"), Some(IpAddr::V6(_))) => Ok(()),
        (Some("ipv4"), _) => Err(field.expected("an IPv4 address")),
        (Some("ipv6"), _) => Err(field.expected("an IPv6 address")),
        _ => Ok(()),
    }
}

/// The checks of `Check` and `Checks`. IDs not given are `service:<ID>`, or `service:<ID>:<n>` from 1 if there are several.
fn checks(
    fields: &Fields<'_>,
    (service, id): (&ServiceName, &ServiceId),
    owner: &Owner,
    notices: &mut Vec<String>,
) -> Result<Vec<Check>, DefinitionError> {
    let mut objects: Vec<Field<'_>> = fields.filled("Check").cloned().into_iter().collect();
    objects.extend(fields.items("Checks", CHECKS_MAX)?.into_iter().filter(|object| !object.tree.is_empty()));
    let several = objects.len() > 1;
    let mut checks: Vec<Check> = Vec::with_capacity(objects.len());
    for (at, object) in objects.iter().enumerate() {
        let defaults = CheckDefaults {
            id: if several { CheckId::derived(&format!("service:{id}:{}", at + 1)) } else { CheckId::of_service(id) },
            name: format!("Service '{service}' check"),
            service_id: id,
        };
        let Some(check) = read_of_service(object, &defaults, owner, notices)? else { continue };
        if checks.iter().any(|other| other.id == check.id) {
            return Err(object.wrong(Problem::Rule(format!("another check has the ID {:?}", check.id))));
        }
        checks.push(check);
    }
    Ok(checks)
}

/// Most pairs of meta. Source: Consul's limit.
const META_PAIRS_MAX: usize = 64;

/// Most ports of an instance. Source: none, chosen, so that finding two of one name costs little.
const PORTS_MAX: usize = 256;

/// Most tags of an instance. Source: none, chosen: each is a name that DNS answers.
const TAGS_MAX: usize = 1024;

/// Most checks in the list of one definition. Source: none, chosen, so that comparing them with those that the
/// instance has costs little.
const CHECKS_MAX: usize = 128;

/// Longest key of meta. Source: Consul's limit.
const META_KEY_MAX_BYTES: usize = 128;

/// Longest value of meta. Source: Consul's limit.
const META_VALUE_MAX_BYTES: usize = 512;

/// What keys of meta may not begin with. Source: Consul.
const META_PREFIX_RESERVED: &str = "consul-";

/// All known fields; those below the empty comment are accepted without effect.
const FIELDS: &[&str] = &[
    "ID",
    "Name",
    "Address",
    "Port",
    "Ports",
    "Tags",
    "Meta",
    "Weights",
    "TaggedAddresses",
    "EnableTagOverride",
    "Check",
    "Checks",
    "Namespace",
    "Partition",
    //
    "Kind",
    "Proxy",
    "Connect",
    "Locality",
    "SocketPath",
    "Token",
];
