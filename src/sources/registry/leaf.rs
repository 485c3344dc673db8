//! What programs write of a service at a key of a registry.
//!
//! | value | who writes it |
//! |---|---|
//! | `192.0.2.7:80`, `[2001:db8::7]:80`, `web1.example:80` | Registrator's etcd backend, `etcdctl put` |
//! | `192.0.2.7` | scripts |
//! | `{"host": "192.0.2.7", "port": 80}` | sidekick units of fleet, CoreOS's ambassador |
//! | `{"Address": "192.0.2.7", "Port": "80", "Tags": ["blue"]}` | scripts in Consul's words |
//!
//! In JSON the place is at `host`, `ip`, `address` or `addr`, the first of these that is there; letter case says nothing, a port
//! may be a number or a text, alone or behind the host, and what else stands there is passed over.
//!
//! **Limits:** a host name alone is nothing but a word, unless JSON says that it is a host.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::catalog::{
    names::{IdentifierError, Tag},
    node::{Address, AddressError},
};

/// What a value says of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Where it is.
    pub address: Address,
    /// Its port.
    pub port: Option<u16>,
    /// Its tags, each once, in the order given.
    pub tags: Vec<Tag>,
}

/// Why a value says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Bytes that are no text.
    #[error("is not UTF-8")]
    NotText,
    /// More than anybody needs for it.
    #[error("has {0} bytes, above {LEAF_MAX_BYTES}")]
    TooLong(usize),
    /// A text that names no place.
    #[error("is neither HOST:PORT, an IP address, nor a JSON object")]
    NotAPlace,
    /// It begins like JSON.
    #[error("is no JSON: {0}")]
    Json(String),
    /// JSON without a place.
    #[error("has none of the fields host, ip, address and addr")]
    NoHost,
    /// A field that is something else than it should be.
    #[error("{0}: {1}")]
    Field(&'static str, String),
    /// No address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// Reads a value.
pub fn read(value: &[u8]) -> Result<Leaf, LeafError> {
    if value.len() > LEAF_MAX_BYTES {
        return Err(LeafError::TooLong(value.len()));
    }
    let text = std::str::from_utf8(value).map_err(|_| LeafError::NotText)?.trim();
    match text.chars().next() {
        Some('{') => {
            let fields: Map<String, Value> =
                serde_json::from_str(text).map_err(|error| LeafError::Json(error.to_string()))?;
            of_fields(&fields)
        }
        Some('"') => {
            let inner: String = serde_json::from_str(text).map_err(|error| LeafError::Json(error.to_string()))?;
            of_text(inner.trim())
        }
        _ => of_text(text),
    }
}

fn of_text(text: &str) -> Result<Leaf, LeafError> {
    let (host, port) = split(text)?;
    let address = match port {
        Some(_) => Address::parse(host)?,
        None if host.parse::<IpAddr>().is_ok() => Address::parse(host)?,
        None => return Err(LeafError::NotAPlace),
    };
    Ok(Leaf { address, port, tags: Vec::new() })
}

fn of_fields(fields: &Map<String, Value>) -> Result<Leaf, LeafError> {
    let named =
        |wanted: &str| fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    let place = HOSTS.iter().find_map(|name| Some((*name, named(name).filter(|value| !is_nothing(value))?)));
    let (name, host) = place.ok_or(LeafError::NoHost)?;
    let host = host.as_str().ok_or_else(|| LeafError::Field(name, format!("expected a text, got {host}")))?.trim();
    let given = match named(PORT) {
        Some(Value::Number(number)) => port_of(&number.to_string())?,
        Some(Value::String(text)) if !text.is_empty() => port_of(text)?,
        None | Some(Value::Null | Value::String(_)) => None,
        Some(other) => return Err(LeafError::Field(PORT, format!("expected a number, got {other}"))),
    };
    let (host, behind) = split(host)?;
    let address = Address::parse(host)?;
    Ok(Leaf { address, port: given.or(behind), tags: tags(named(TAGS))? })
}

/// A host, and the port behind it, if there is one.
fn split(text: &str) -> Result<(&str, Option<u16>), LeafError> {
    let parted = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || (host.starts_with('[') && host.ends_with(']')) => {
            Some((host, port))
        }
        _ => None,
    };
    match parted {
        Some((host, port)) => Ok((host, port_of(port)?)),
        None => Ok((text, None)),
    }
}

/// A port; 0 is how some say that there is none.
fn port_of(text: &str) -> Result<Option<u16>, LeafError> {
    let wrong = || LeafError::Field(PORT, format!("expected a number from 1 to 65535, got {text:?}"));
    // A sign, too, would be taken for a part of the number.
    let number = Some(text.trim()).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number: u16 = number.and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    Ok(Some(number).filter(|number| *number > 0))
}

fn tags(value: Option<&Value>) -> Result<Vec<Tag>, LeafError> {
    let wrong = |error: IdentifierError| LeafError::Field(TAGS, error.to_string());
    let mut tags: Vec<Tag> = Vec::new();
    let mut add = |text: &str| -> Result<(), LeafError> {
        let tag = Tag::new(text).map_err(wrong)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
        Ok(())
    };
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => {
            text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).try_for_each(&mut add)?;
        }
        Some(Value::Array(all)) => {
            for one in all.iter().take(TAGS_MAX) {
                let text = one.as_str();
                add(text.ok_or_else(|| LeafError::Field(TAGS, format!("expected texts, got {one}")))?)?;
            }
        }
        Some(other) => return Err(LeafError::Field(TAGS, format!("expected a list of texts, got {other}"))),
    }
    Ok(tags)
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

/// Where the place stands, in the order in which it is looked for.
const HOSTS: [&str; 4] = ["host", "ip", "address", "addr"];

const PORT: &str = "port";

const TAGS: &str = "tags";

/// Longest value. Source: none, chosen: a hundred times what these programs write.
pub const LEAF_MAX_BYTES: usize = 64 << 10;

/// Most tags. Source: none, chosen: what is left of a value is quadratic in them.
const TAGS_MAX: usize = 256;

#[cfg(test)]
#[path = "leaf_tests.rs"]
mod tests;
