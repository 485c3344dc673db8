//! The host's own upstreams: reading resolv.conf, seeing through local stubs, leaving ourselves out.
//!
//! | resolv.conf names | asked instead |
//! |---|---|
//! | 127.0.0.53 or 127.0.0.54 (systemd-resolved) | the servers in systemd-resolved's own file |
//! | such a stub, or only ourselves | else those in NetworkManager's file |
//! | a stub whose file is not there | the stub itself |
//! | only ourselves, and no such file helps | the last servers that worked |
//!
//! **Limits:** `options` and `sortlist` lines are ignored; a zone index may be a number or an interface's name.
//!
//! **Source:** resolv.conf(5), systemd-resolved.service(8), NetworkManager.conf(5).

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    path::Path,
};

use super::settings::{DNS_PORT, SystemFiles};
use crate::{fingerprint::Fingerprint, wire::name::Name};

/// What a resolv.conf says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemResolver {
    /// Addresses of `nameserver` lines with port 53, in their order, each once.
    pub nameservers: Vec<SocketAddr>,
    /// Suffixes of the last `search` or `domain` line.
    pub search: Vec<Name>,
}

/// Where the system's upstreams were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// In resolv.conf itself.
    ResolvConf,
    /// In the file that systemd-resolved keeps of its upstreams.
    SystemdResolved,
    /// In the file that NetworkManager keeps of its upstreams.
    NetworkManager,
    /// In our data directory: the last ones that worked.
    LastWorking,
    /// Nowhere.
    Nowhere,
}

/// The system's upstreams, as chosen from its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) found: Found,
    pub(super) upstreams: Vec<SocketAddr>,
    /// Addresses left out because they are our own.
    pub(super) own: Vec<SocketAddr>,
    pub(super) search: Vec<Name>,
}

impl SystemResolver {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> io::Result<SystemResolver> {
        let bytes = fs::read(path)?;
        Ok(SystemResolver::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Reads the text of a resolv.conf; lines that make no sense are passed over, as libc does.
    pub fn parse(text: &str) -> SystemResolver {
        let mut resolver = SystemResolver::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(parse_address);
                    if let Some(address) = address.filter(|address| !resolver.nameservers.contains(address)) {
                        resolver.nameservers.push(address);
                    }
                }
                // `search` and `domain` displace each other: the last line wins.
                Some("search") => resolver.search = words.filter_map(parse_suffix).collect(),
                Some("domain") => resolver.search = words.take(1).filter_map(parse_suffix).collect(),
                _ => {}
            }
        }
        resolver
    }
}

fn parse_suffix(word: &str) -> Option<Name> {
    Name::parse(word).ok().filter(|name| !name.is_root())
}

fn parse_address(word: &str) -> Option<SocketAddr> {
    if let Some((address, scope)) = word.split_once('%') {
        let address: Ipv6Addr = address.parse().ok()?;
        return Some(SocketAddrV6::new(address, DNS_PORT, 0, scope_id(scope)?).into());
    }
    let address = match word.parse().ok()? {
        // libc takes the unspecified address for this host.
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    Some(SocketAddr::new(address, DNS_PORT))
}

fn scope_id(scope: &str) -> Option<u32> {
    if let Ok(id) = scope.parse() {
        return Some(id);
    }
    if scope.is_empty() || scope.contains(['/', '.']) {
        return None;
    }
    let path = Path::new("/sys/class/net").join(scope).join("ifindex");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Reads the system's files and chooses; `last` are the servers that worked last.
///
/// An error is one of reading resolv.conf; the other files need not be there.
pub(super) fn choose(files: &SystemFiles, own: &[SocketAddr], last: &[SocketAddr]) -> io::Result<Choice> {
    let read = |path| {
        let mut resolver = SystemResolver::read(path)?;
        resolver.nameservers.iter_mut().for_each(|address| address.set_port(files.port));
        io::Result::Ok(resolver)
    };
    let system = read(&files.resolv_conf)?;
    let others = [
        (Found::SystemdResolved, read(&files.systemd_resolved).ok()),
        (Found::NetworkManager, read(&files.network_manager).ok()),
    ];
    Ok(choose_from(system, others, own, last))
}

fn choose_from(
    system: SystemResolver,
    others: [(Found, Option<SystemResolver>); 2],
    own: &[SocketAddr],
    last: &[SocketAddr],
) -> Choice {
    let (ours, named): (Vec<_>, Vec<_>) = system.nameservers.into_iter().partition(|address| is_own(address, own));
    let (stubs, plain): (Vec<_>, Vec<_>) = named.into_iter().partition(is_stub);
    let choice = |found, upstreams| Choice { found, upstreams, own: ours.clone(), search: system.search.clone() };
    if stubs.is_empty() && !plain.is_empty() {
        return choice(Found::ResolvConf, plain);
    }
    for (found, other) in others {
        // Without its stub in resolv.conf, systemd-resolved's file may be left over from another time.
        if found == Found::SystemdResolved && stubs.is_empty() {
            continue;
        }
        let behind: Vec<_> = other
            .map(|other| other.nameservers)
            .unwrap_or_default()
            .into_iter()
            .filter(|address| !is_own(address, own) && !is_stub(address))
            .collect();
        if !behind.is_empty() {
            return choice(found, behind.into_iter().chain(plain).collect());
        }
    }
    if !stubs.is_empty() {
        return choice(Found::ResolvConf, stubs.into_iter().chain(plain).collect());
    }
    match last.iter().filter(|address| !is_own(address, own)).copied().collect::<Vec<_>>() {
        last if last.is_empty() => choice(Found::Nowhere, last),
        last => choice(Found::LastWorking, last),
    }
}

fn is_stub(address: &SocketAddr) -> bool {
    RESOLVED_STUBS.contains(&address.ip())
}

/// Whether `address` is one of our listeners; a wildcard listener covers all loopback addresses.
pub(super) fn is_own(address: &SocketAddr, own: &[SocketAddr]) -> bool {
    let ip = address.ip().to_canonical();
    own.iter().filter(|own| own.port() == address.port()).any(|own| {
        let own = own.ip().to_canonical();
        own == ip || own.is_unspecified() && (ip.is_loopback() || ip.is_unspecified())
    })
}

/// Looks at the system's files without reading them.
pub(super) fn fingerprint(files: &SystemFiles) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    for path in [&files.resolv_conf, &files.systemd_resolved, &files.network_manager] {
        fingerprint.add_file(path);
    }
    fingerprint
}

/// Reads the addresses that [`save_last`] wrote; an unreadable file or line counts as not there.
pub(super) fn read_last(path: &Path) -> Vec<SocketAddr> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).take(LAST_MAX).collect()
}

/// Keeps the addresses in `path`, one a line; the file is replaced as a whole.
pub(super) fn save_last(path: &Path, upstreams: &[SocketAddr]) -> io::Result<()> {
    let text: String = upstreams.iter().take(LAST_MAX).map(|address| format!("{address}\n")).collect();
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

/// Where systemd-resolved listens: the stub, and the one that only forwards. Source: systemd-resolved.service(8).
const RESOLVED_STUBS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];

/// Most addresses that are kept. Source: none, chosen: no host lists more.
const LAST_MAX: usize = 64;

#[cfg(test)]
#[path = "system_tests.rs"]
mod tests;
