//! Whom a request says it is for: the Host header.
//!
//! A page in a browser on this machine may send requests to a name of the page's own that leads to 127.0.0.1 (DNS rebinding). It
//! cannot choose the Host header, so where only this machine reaches the API, that must be an address, or a name that nobody
//! else can lead here.

use std::net::IpAddr;

/// Which names requests may be for.
#[derive(Debug, Clone, Default)]
pub enum Hosts {
    /// All: others than this machine reach the API anyway.
    #[default]
    Any,
    /// An address, `localhost`, and these.
    Only {
        /// Names, in lower case.
        names: Vec<String>,
        /// Domains of ours, in lower case and without a dot at the end; all names at or below them.
        domains: Vec<String>,
    },
}

impl Hosts {
    /// Whether a request may be for this host, which may have a port.
    pub fn allows(&self, host: &str) -> bool {
        let Hosts::Only { names, domains } = self else { return true };
        let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        let is_below =
            |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        name.parse::<IpAddr>().is_ok()
            || is_below("localhost")
            || names.iter().any(|known| *known == name || known == ANY)
            || domains.iter().any(|domain| is_below(domain))
    }
}

/// `web.example:8500` without its port, `[::1]:8500` without that and the brackets.
fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.contains(':') => name,
        _ => host,
    }
}

/// The listed name that stands for all names.
const ANY: &str = "*";

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
