//! Where an etcd is, and what of it is meant: `etcd://[user@]host[:port][,host[:port]]...[/prefix]`, or `etcds://` over TLS.

use std::{fmt, net::Ipv6Addr};

/// The members of an etcd, and below which key all is kept there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreAddress {
    /// By which of its APIs its keys are read.
    pub version: ApiVersion,
    /// Whether its members are spoken to over TLS.
    pub tls: bool,
    /// As whom, if not as nobody.
    pub user: Option<String>,
    /// Its members, at least one, in the order given.
    pub hosts: Vec<StoreHost>,
    /// What all keys begin with: a slash and something, without a slash at the end.
    pub prefix: String,
}

/// An API of etcd. What is written by one of them is not seen by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiVersion {
    /// Version 3, gRPC.
    V3,
    /// Version 2, HTTP.
    V2,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHost {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub name: String,
    /// Its port for clients.
    pub port: u16,
}

/// Why a text is no address of a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreAddressError {
    /// It begins like none.
    #[error("expected etcd://HOST[:PORT][,HOST[:PORT]]...[/PREFIX], or etcds:// for TLS")]
    Scheme,
    /// The password has a place of its own, where no list of processes shows it.
    #[error("a password does not belong in the address; write it to a file and name that in store_password_file")]
    Password,
    /// The part before the `@` is no name.
    #[error("{0:?} is no user name; write USER@HOST, with other signs than letters, digits and -._~ as %XX")]
    User(String),
    /// A member is missing, or is none.
    #[error("{0:?} is no member; expected HOST, HOST:PORT or [IPV6]:PORT, separated by commas")]
    Host(String),
    /// More members than an etcd has.
    #[error("{0} members, but at most {HOSTS_MAX} may be named")]
    Hosts(usize),
    /// A prefix that other programs would read in another way.
    #[error("{0:?} cannot be a prefix; use letters, digits and -._~ between single slashes")]
    Prefix(String),
}

impl StoreAddress {
    /// Reads an address; without a prefix it is this one.
    pub fn parse(text: &str, default_prefix: &str) -> Result<StoreAddress, StoreAddressError> {
        let ((version, tls), rest) = match text.split_once("://") {
            Some(("etcd", rest)) => ((ApiVersion::V3, false), rest),
            Some(("etcds", rest)) => ((ApiVersion::V3, true), rest),
            Some(("etcd+v2", rest)) => ((ApiVersion::V2, false), rest),
            Some(("etcds+v2", rest)) => ((ApiVersion::V2, true), rest),
            _ => return Err(StoreAddressError::Scheme),
        };
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(parse_user(user)?), hosts),
            None => (None, authority),
        };
        let hosts = hosts.split(',').map(StoreHost::parse).collect::<Result<Vec<_>, _>>()?;
        if hosts.len() > HOSTS_MAX {
            return Err(StoreAddressError::Hosts(hosts.len()));
        }
        Ok(StoreAddress { version, tls, user, hosts, prefix: parse_prefix(prefix, default_prefix)? })
    }
}

impl StoreHost {
    fn parse(text: &str) -> Result<StoreHost, StoreAddressError> {
        let wrong = || StoreAddressError::Host(text.to_owned());
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest.split_once(']').ok_or_else(wrong)?;
                name.parse::<Ipv6Addr>().map_err(|_| wrong())?;
                (name, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(wrong)?) })
            }
            None => {
                let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
                let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                if name.is_empty() || !name.bytes().all(legal) {
                    return Err(wrong());
                }
                (name, port)
            }
        };
        let port = match port {
            // A sign, too, would be taken for a part of the number.
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
            None => PORT,
        };
        Ok(StoreHost { name: name.to_owned(), port })
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.version == ApiVersion::V2 { "+v2" } else { "" };
        write!(f, "{}{version}://", if self.tls { "etcds" } else { "etcd" })?;
        if let Some(user) = &self.user {
            for byte in user.bytes() {
                if is_plain(byte) { write!(f, "{}", char::from(byte)) } else { write!(f, "%{byte:02X}") }?;
            }
            f.write_str("@")?;
        }
        for (number, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if number == 0 { "" } else { "," })?;
        }
        f.write_str(&self.prefix)
    }
}

impl fmt::Display for StoreHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

fn parse_user(text: &str) -> Result<String, StoreAddressError> {
    if text.contains(':') {
        return Err(StoreAddressError::Password);
    }
    let wrong = || StoreAddressError::User(text.to_owned());
    let mut name = Vec::new();
    let mut pieces = text.split('%');
    name.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).ok_or_else(wrong)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        name.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex).ok_or_else(wrong)?);
        name.extend_from_slice(rest.as_bytes());
    }
    let only_escapes_and_plain = text.bytes().all(|byte| is_plain(byte) || byte == b'%');
    let name = String::from_utf8(name).ok().filter(|name| only_escapes_and_plain && !name.is_empty());
    name.filter(|name| !name.contains(char::is_control)).ok_or_else(wrong)
}

/// The prefix with one slash before it and none after it.
fn parse_prefix(text: &str, default: &str) -> Result<String, StoreAddressError> {
    let inner = text.trim_matches('/');
    if inner.is_empty() {
        return Ok(default.to_owned());
    }
    let legal = |segment: &str| !segment.is_empty() && segment.bytes().all(is_plain);
    match inner.split('/').all(legal) {
        true => Ok(format!("/{inner}")),
        false => Err(StoreAddressError::Prefix(text.to_owned())),
    }
}

/// Whether a byte stands for itself wherever it stands in a URL (RFC 3986 section 2.3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The port for clients that IANA has assigned to etcd.
const PORT: u16 = 2379;

/// Source: none, chosen: four times as many as an etcd has at most (its documentation advises seven).
const HOSTS_MAX: usize = 32;

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
