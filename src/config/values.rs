//! Single values: from what was written to what it means, or what was expected instead.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tracing_subscriber::EnvFilter;

use super::{DockerDns, layer::Item};
use crate::{
    catalog::{
        duration::{format_duration, parse_duration},
        names::NodeName,
        service::IpNetwork,
    },
    wire::name::Name,
};

/// What a parser returns: a value, or what was expected.
pub(super) type Parsed<T> = Result<T, String>;

/// Any text.
pub(super) fn text(item: &Item) -> Parsed<&str> {
    match item {
        Item::Untyped(text) | Item::Text(text) => Ok(text),
        _ => Err("expected a text in quotes".to_owned()),
    }
}

/// `true` or `false`.
pub(super) fn boolean(item: &Item) -> Parsed<bool> {
    match item {
        Item::Boolean(truth) => Ok(*truth),
        Item::Untyped(text) if text == "true" || text == "1" => Ok(true),
        Item::Untyped(text) if text == "false" || text == "0" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// Whether to answer on Docker's bridge, or on which one: `INTERFACE` or `INTERFACE:PORT`.
pub(super) fn docker_dns(item: &Item) -> Parsed<Option<DockerDns>> {
    if let Ok(on) = boolean(item) {
        return Ok(on.then(DockerDns::default));
    }
    let expected = || "expected true, false or an interface's name".to_owned();
    let written = text(item).map_err(|_| expected())?;
    let (name, port) = match written.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0).ok_or_else(expected)?),
        None => (written, DockerDns::default().port),
    };
    // What the kernel takes for a name.
    let is_name = (1..=INTERFACE_NAME_MAX).contains(&name.len())
        && !name.contains(|byte: char| byte.is_whitespace() || "/:".contains(byte))
        && !matches!(name, "." | ".." | "off");
    is_name.then(|| Some(DockerDns { interface: name.to_owned(), port })).ok_or_else(expected)
}

/// A whole number between two bounds, both included.
pub(super) fn number<T: TryFrom<i64>>(least: i64, most: i64) -> impl Fn(&Item) -> Parsed<T> {
    move |item| {
        let number = match item {
            Item::Integer(number) => Some(*number),
            Item::Untyped(text) => text.parse().ok(),
            _ => None,
        };
        let within = number.filter(|number| (least..=most).contains(number));
        let value = within.and_then(|number| T::try_from(number).ok());
        value.ok_or_else(|| format!("expected a number from {least} to {most}"))
    }
}

/// A word of a closed list, and what it stands for.
pub(super) fn word<T: Copy>(words: &[(&str, T)]) -> impl Fn(&Item) -> Parsed<T> {
    move |item| {
        let value = text(item).ok().and_then(|text| words.iter().find(|(word, _)| *word == text));
        value.map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            format!("expected {}", known.join(" or "))
        })
    }
}

/// A duration between two bounds, both included.
pub(super) fn duration(least: Duration, most: Duration) -> impl Fn(&Item) -> Parsed<Duration> {
    move |item| {
        let value = text(item).map_err(|_| "expected a duration in quotes, such as \"30s\"".to_owned())?;
        let value = parse_duration(value).map_err(|problem| problem.to_string())?;
        let within = (least..=most).contains(&value).then_some(value);
        within
            .ok_or_else(|| format!("expected a duration from {} to {}", format_duration(least), format_duration(most)))
    }
}

/// A TTL in whole seconds: a duration, or a number of seconds as in zone files.
pub(super) fn ttl_secs(item: &Item) -> Parsed<u32> {
    let secs = match item {
        Item::Integer(number) => u32::try_from(*number).ok(),
        Item::Untyped(text) | Item::Text(text) => match text.parse::<u32>() {
            Ok(number) => Some(number),
            Err(_) => parse_duration(text)
                .ok()
                .filter(|ttl| ttl.subsec_nanos() == 0)
                .and_then(|ttl| u32::try_from(ttl.as_secs()).ok()),
        },
        _ => None,
    };
    let within = secs.filter(|secs| *secs <= TTL_MAX_SECS);
    within.ok_or_else(|| format!("expected a TTL in whole seconds from 0 to {TTL_MAX_SECS}, such as \"5s\" or 5"))
}

/// An address to listen on.
pub(super) fn listen_address(item: &Item) -> Parsed<SocketAddr> {
    let expected = "expected ADDR:PORT, such as 127.0.0.1:8600 or [::1]:8600";
    text(item).ok().and_then(|text| text.parse().ok()).ok_or_else(|| expected.to_owned())
}

/// A server to ask; port 53 if none is given.
pub(super) fn upstream(item: &Item) -> Parsed<SocketAddr> {
    let parse = |text: &str| {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let alone = bare.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT));
        alone.or_else(|_| text.parse::<SocketAddr>()).ok()
    };
    let usable =
        |address: &SocketAddr| !address.ip().is_unspecified() && !address.ip().is_multicast() && address.port() != 0;
    let address = text(item).ok().and_then(parse).filter(usable);
    address.ok_or_else(|| "expected IP or IP:PORT of a DNS server, such as 192.0.2.53 or 192.0.2.53:8600".to_owned())
}

/// Who is asked whether we reach anything: `HOST` or `HOST:PORT`.
pub(super) fn reference_target(item: &Item) -> Parsed<Arc<str>> {
    let is_host = |host: &str| {
        let is_name =
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        is_name || host.parse::<IpAddr>().is_ok()
    };
    let is_target = |text: &str| match text.rsplit_once(':') {
        _ if is_host(text) => true,
        Some((host, port)) => {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let is_host = bare.map_or(is_host(host) && !host.contains(':'), |bare| bare.parse::<Ipv6Addr>().is_ok());
            is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
        }
        None => false,
    };
    let target = text(item).ok().filter(|text| is_target(text));
    let expected = "expected HOST or HOST:PORT, an IPv6 address with a port in brackets";
    target.map(Arc::from).ok_or_else(|| expected.to_owned())
}

/// An address that clients can reach.
pub(super) fn reachable_address(item: &Item) -> Parsed<IpAddr> {
    let address = text(item).ok().and_then(|text| text.parse().ok());
    let usable = address.filter(|ip: &IpAddr| !ip.is_unspecified() && !ip.is_multicast());
    usable
        .map(|ip| ip.to_canonical())
        .ok_or_else(|| "expected an IP address that clients can reach, such as 192.0.2.10".to_owned())
}

/// A prefix whose host bits are zero.
pub(super) fn prefix(item: &Item) -> Parsed<IpNetwork> {
    let text = text(item)?;
    let network = IpNetwork::parse(text)
        .ok_or_else(|| "expected an IP prefix, such as 192.0.2.0/24 or 2001:db8::/32".to_owned())?;
    let address: Option<IpAddr> = text.split('/').next().and_then(|address| address.parse().ok());
    match address {
        Some(address) if address != network.address() => {
            Err(format!("expected a prefix without host bits: {network} or {address} alone"))
        }
        _ => Ok(network),
    }
}

/// A level, or a filter by module.
pub(super) fn log_filter(item: &Item) -> Parsed<String> {
    let text = text(item)?;
    // The parser takes a lone word that is no level for a module's name; a mistyped level would then silence the log.
    let meant = |directive: &str| {
        LEVELS.contains(&directive.to_ascii_lowercase().as_str()) || directive.contains(['=', ':', '['])
    };
    let legal = text.split(',').all(|directive| meant(directive.trim())) && EnvFilter::builder().parse(text).is_ok();
    legal.then(|| text.to_owned()).ok_or_else(|| {
        "expected a level (error, warn, info, debug, trace, off) or a filter such as info,nameplate::forward=debug"
            .to_owned()
    })
}

/// A path; never empty.
pub(super) fn path(item: &Item) -> Parsed<PathBuf> {
    match text(item)? {
        "" => Err("expected a path".to_owned()),
        text => Ok(PathBuf::from(text)),
    }
}

/// A domain name for services, a rule or a fallthrough; never the root.
pub(super) fn domain(item: &Item) -> Parsed<Name> {
    let name = Name::parse(text(item)?).map_err(|problem| format!("expected a domain name: {problem}"))?;
    if name.is_root() {
        return Err("expected a domain name below the root".to_owned());
    }
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.labels().all(|label| label.iter().all(legal)) {
        return Err("expected a domain name of letters, digits, - and _".to_owned());
    }
    Ok(name.to_lowercase())
}

/// D or an AD: a domain name that leaves room to its left and is not set apart for something else.
pub(super) fn own_domain(item: &Item) -> Parsed<Name> {
    let name = domain(item)?;
    if name.as_wire().len() > DOMAIN_MAX_BYTES {
        return Err(format!(
            "expected a domain name of at most {DOMAIN_MAX_BYTES} bytes, so that services fit below it"
        ));
    }
    let reserved =
        RESERVED.iter().find(|reserved| Name::parse(reserved).is_ok_and(|reserved| name.is_at_or_below(&reserved)));
    match reserved {
        Some(reserved) => Err(format!("expected a domain that is free: {reserved} is set apart for other use")),
        None => Ok(name),
    }
}

/// A datacenter's label, in lower case.
pub(super) fn datacenter(item: &Item) -> Parsed<Arc<str>> {
    let label = text(item)?.to_ascii_lowercase();
    if LOCATION_WORDS.contains(&&*label) {
        return Err(format!("expected another name: {label:?} has a meaning of its own in names of services"));
    }
    let legal = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !(1..=63).contains(&label.len()) || !legal || label.starts_with('-') || label.ends_with('-') {
        return Err("expected one label of letters, digits and -, at most 63".to_owned());
    }
    Ok(Arc::from(label))
}

/// A node's name.
pub(super) fn node(item: &Item) -> Parsed<NodeName> {
    NodeName::new(text(item)?).map_err(|problem| format!("a node's name {problem}"))
}

/// A service's name, or the beginning of names with `*` at its end; in lower case.
pub(super) fn service_pattern(pattern: &str) -> Parsed<Arc<str>> {
    let name = pattern.strip_suffix('*').unwrap_or(pattern);
    if pattern.is_empty() || name.contains('*') {
        return Err("expected a service's name, or the beginning of names with * at its end".to_owned());
    }
    Ok(Arc::from(pattern.to_lowercase()))
}

/// Source: the `tracing` crate.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Longest TTL. Source: none, chosen: a day, as the longest that DNS.md takes from meta.
const TTL_MAX_SECS: u32 = 86_400;

/// Source: RFC 1035 section 4.2.
const DNS_PORT: u16 = 53;

/// Longest domain of ours in wire form. Source: none, chosen: half of a name's 255 bytes, the rest is for what stands
/// below it.
const DOMAIN_MAX_BYTES: usize = 127;

/// Suffixes that can't be ours. Source: RFC 6761, RFC 7686, RFC 9462, RFC 9476, RFC 3172.
const RESERVED: [&str; 5] = ["localhost", "invalid", "onion", "alt", "arpa"];

/// Labels that mean something else where a datacenter may stand. Source: DNS.md, Reading a name.
const LOCATION_WORDS: [&str; 9] = ["service", "node", "addr", "query", "connect", "ingress", "virtual", "dc", "port"];

/// Longest name of an interface, in bytes. Source: Linux, IFNAMSIZ less the zero at the end.
const INTERFACE_NAME_MAX: usize = 15;

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
