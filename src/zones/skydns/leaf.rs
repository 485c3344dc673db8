//! What lies at a key of SkyDNS.
//!
//! ```json
//! {"host": "192.0.2.7", "port": 80, "priority": 10, "weight": 100, "text": "blue", "mail": false, "ttl": 60,
//!  "targetstrip": 1, "group": "g1"}
//! ```
//!
//! A host that is no address is a name. Fields that are not known are passed over.

use std::net::IpAddr;

use serde::Deserialize;

use crate::wire::name::Name;

/// A record of SkyDNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Where it is; none where it is only text.
    pub host: Option<Host>,
    /// Its port; 0 where none was given.
    pub port: u16,
    /// Lower ones first.
    pub priority: u16,
    /// Its share within its priority; 0 where none was given.
    pub weight: u16,
    /// Answered as TXT.
    pub text: Option<Box<str>>,
    /// Whether mail goes there.
    pub mail: bool,
    /// For how long it may be kept, in seconds; none where it was not said.
    pub ttl_secs: Option<u32>,
    /// How many labels of its name the target of its SRV lacks.
    pub strip: u8,
    /// Which group it is in, if it is in one.
    pub group: Option<Box<str>>,
}

/// Where a record leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// To an address.
    Ip(IpAddr),
    /// To a name.
    Name(Name),
}

/// Why a value is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// More than anybody needs for it.
    #[error("has {0} bytes, above {LEAF_MAX_BYTES}")]
    TooLong(usize),
    /// No JSON, or a field of another type.
    #[error("is no record of SkyDNS: {0}")]
    Json(String),
    /// A number that its field cannot have.
    #[error("{field}: expected a number from 0 to {most}, got {value}")]
    Number {
        /// The field.
        field: &'static str,
        /// The number.
        value: i64,
        /// The highest that it may be.
        most: u32,
    },
    /// Neither address nor name.
    #[error("host: {0:?} is neither an address nor a name")]
    Host(String),
    /// Nothing to answer.
    #[error("has neither a host nor a text")]
    Empty,
}

/// As it is written. Null says as much as nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    host: Option<String>,
    port: Option<i64>,
    priority: Option<i64>,
    weight: Option<i64>,
    text: Option<String>,
    mail: Option<bool>,
    ttl: Option<i64>,
    targetstrip: Option<i64>,
    group: Option<String>,
}

impl Leaf {
    /// Reads a value.
    pub fn read(value: &[u8]) -> Result<Leaf, LeafError> {
        if value.len() > LEAF_MAX_BYTES {
            return Err(LeafError::TooLong(value.len()));
        }
        let written: Written = serde_json::from_slice(value).map_err(|error| LeafError::Json(error.to_string()))?;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty()).map(String::into_boxed_str);
        let leaf = Leaf {
            host: written.host.filter(|host| !host.is_empty()).map(|host| read_host(&host)).transpose()?,
            port: number("port", written.port, u16::MAX)?,
            priority: match number("priority", written.priority, u16::MAX)? {
                0 => PRIORITY,
                priority => priority,
            },
            weight: number("weight", written.weight, u16::MAX)?,
            text: some(written.text),
            mail: written.mail.unwrap_or_default(),
            ttl_secs: match number("ttl", written.ttl, i32::MAX as u32)? {
                0 => None,
                ttl => Some(ttl),
            },
            strip: number("targetstrip", written.targetstrip, u8::MAX)?,
            group: some(written.group),
        };
        if leaf.host.is_none() && leaf.text.is_none() {
            return Err(LeafError::Empty);
        }
        Ok(leaf)
    }

    /// The address that it leads to, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.host {
            Some(Host::Ip(ip)) => Some(ip),
            _ => None,
        }
    }
}

fn number<T>(field: &'static str, value: Option<i64>, most: T) -> Result<T, LeafError>
where
    T: TryFrom<i64> + Into<u32> + Copy + PartialOrd,
{
    let value = value.unwrap_or_default();
    let wrong = || LeafError::Number { field, value, most: most.into() };
    T::try_from(value).ok().filter(|number| *number <= most).ok_or_else(wrong)
}

fn read_host(text: &str) -> Result<Host, LeafError> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Host::Ip(ip.to_canonical()));
    }
    let wrong = || LeafError::Host(text.to_owned());
    let name = Name::parse(text).map_err(|_| wrong())?;
    if name.is_root() { Err(wrong()) } else { Ok(Host::Name(name.to_lowercase())) }
}

/// Priority of who names none. Source: SkyDNS.
const PRIORITY: u16 = 10;

/// Longest value. Source: none, chosen: a hundred times what is usual.
pub const LEAF_MAX_BYTES: usize = 64 << 10;
