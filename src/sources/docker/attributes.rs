//! Tags and meta of a service.

use std::{collections::BTreeMap, sync::Arc};

use super::{map::Warnings, metadata::Metadata, ports::Protocol};
use crate::catalog::{names::Tag, service::Meta};

/// Tags in the order of the text: the container's own, those of all services, and what is spoken if it is not TCP.
/// `\,` is a comma. Registrator turns the order around, which nothing can depend on: Consul's readers take tags as a set.
pub(super) fn tags(
    metadata: &Metadata,
    forced: Option<&str>,
    protocol: Option<Protocol>,
    warnings: &mut Warnings,
) -> Arc<[Tag]> {
    let mut tags: Vec<Tag> = Vec::new();
    let own = metadata.get("tags");
    let sources =
        [own.map(|entry| (entry.key.as_str(), entry.value.as_str())), forced.map(|text| ("docker_tags", text))];
    for (source, text) in sources.into_iter().flatten() {
        for text in split(text) {
            match Tag::new(text) {
                Ok(tag) if tags.contains(&tag) => {}
                Ok(_) if tags.len() == TAGS_MAX => warnings.add(format!("{source}: only {TAGS_MAX} tags are kept")),
                Ok(tag) => tags.push(tag),
                Err(problem) => warnings.add(format!("{source}: a tag {problem}; it is left out")),
            }
        }
    }
    let spoken = protocol.filter(|protocol| *protocol != Protocol::Tcp);
    tags.extend(spoken.and_then(|protocol| Tag::new(protocol.as_str()).ok()).filter(|tag| !tags.contains(tag)));
    tags.into()
}

/// The parts between commas that are not empty, without the blanks around them.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_escape = character == '\\' && characters.peek() == Some(&',');
        match (is_escape, parts.last_mut()) {
            (true, Some(part)) => part.extend(characters.next()),
            (false, Some(part)) if character != ',' => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// All attributes as meta, `check_` keys too, as Registrator gives them to Consul. What is beyond Consul's limits is left
/// out; there, the whole registration failed.
pub(super) fn meta(metadata: &Metadata, warnings: &mut Warnings) -> Meta {
    let mut pairs: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    for (name, entry) in metadata.attributes() {
        let legal = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        let rule = if !legal || name.len() > KEY_MAX_BYTES {
            Some(format!("a key of meta has at most {KEY_MAX_BYTES} of the characters a-z 0-9 - _; rename it"))
        } else if name.starts_with(PREFIX_RESERVED) {
            Some(format!("keys of meta that begin with {PREFIX_RESERVED} are reserved; rename it"))
        } else if entry.value.len() > VALUE_MAX_BYTES {
            Some(format!("a value of meta has at most {VALUE_MAX_BYTES} bytes; shorten it"))
        } else if pairs.len() == PAIRS_MAX {
            Some(format!("a service has at most {PAIRS_MAX} pairs of meta; remove others"))
        } else {
            None
        };
        match rule {
            Some(rule) => warnings.add(format!("{}: it is left out, because {rule}", entry.key)),
            None => drop(pairs.insert(Arc::from(name), Arc::from(entry.value.as_str()))),
        }
    }
    Arc::new(pairs)
}

/// Most tags of a service. Source: that of definitions by HTTP.
const TAGS_MAX: usize = 1024;

/// Most pairs of meta, longest key, longest value, and what a key may not begin with. Source: Consul.
const PAIRS_MAX: usize = 64;
const KEY_MAX_BYTES: usize = 128;
const VALUE_MAX_BYTES: usize = 512;
const PREFIX_RESERVED: &str = "consul-";

#[cfg(test)]
#[path = "attributes_tests.rs"]
mod tests;
