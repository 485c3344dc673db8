//! Nodes: machines that run services.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use super::{
    change::Origin,
    names::{IdentifierError, NodeName},
    service::Meta,
};

/// A machine that runs services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, unique in the catalog.
    pub name: NodeName,
    /// A UUID that stays the same for the life of the node (Traefik tells instances apart by it).
    pub uuid: Arc<str>,
    /// Where its instances are reached when they name no address of their own.
    pub address: Address,
    /// Further addresses by role: `lan_ipv4`, `lan_ipv6`, `wan_ipv4`, ...
    pub tagged_addresses: BTreeMap<Arc<str>, Address>,
    /// Free pairs, answered as TXT at the node's name.
    pub meta: Meta,
    /// Who registered it.
    pub origin: Origin,
}

/// Where something is reached: by number, or by a name that is resolved when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IPv4 or IPv6 address; never the unspecified one.
    Ip(IpAddr),
    /// A host name, without the dot at its end.
    Host(Arc<str>),
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// 0.0.0.0 or ::, which no client can connect to.
    #[error("must not be the unspecified address {0}; give the address that clients connect to")]
    Unspecified(IpAddr),
    /// Neither an IP address nor a host name.
    #[error("must be an IP address or a host name, not {0:?}")]
    NotAHost(String),
    /// Empty, too long, or with control characters.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
}

impl Address {
    /// Reads an IP address (an IPv6 one may stand in brackets) or a host name of LDH labels and `_`.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            return if ip.is_unspecified() { Err(AddressError::Unspecified(ip)) } else { Ok(Address::Ip(ip)) };
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(IdentifierError::Empty.into());
        }
        let legal = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        // A name whose last label is a number would be taken for an address (RFC 1123 section 2.1).
        let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if name.len() > 253 || numeric || !name.split('.').all(legal) {
            return Err(AddressError::NotAHost(text.to_owned()));
        }
        Ok(Address::Host(Arc::from(name)))
    }

    /// The IP address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Address::Ip(ip) => Some(*ip),
            Address::Host(_) => None,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Ip(ip) => ip.fmt(f),
            Address::Host(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
impl Node {
    /// A node at 192.0.2.101.
    pub fn example(name: &str) -> Node {
        Node {
            name: NodeName::new(name).unwrap(),
            uuid: Arc::from("00000000-0000-4000-8000-000000000001"),
            address: Address::Ip("192.0.2.101".parse().unwrap()),
            tagged_addresses: BTreeMap::new(),
            meta: Meta::default(),
            origin: Origin::Api,
        }
    }
}
