//! How many probes each target host may have in flight, and which checks wait for their turn. Pure.
//!
//! A host that hangs keeps all its probes until their timeouts: with a bound it neither takes the room of all others
//! nor gets thousands of connections the moment it is back. A due check of a host that is full waits here, out of
//! the schedule, and goes back into it, with the due time that it had, when a probe of that host ends.
//!
//! | checks | their host |
//! |---|---|
//! | with a target on the network | the host in it |
//! | with a target on loopback | host and port: each port is a service of its own there, and all share one address |
//! | of scripts, containers and systemd units | this machine |
//!
//! **Limits:** hosts are told apart as they are spelled: a name and its address are two. Each call costs O(log n) of
//! the checks that wait for the same host.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    time::Instant,
};

use super::schedule::Slot;
use crate::catalog::check::CheckKind;

/// The hosts that are being probed.
#[derive(Debug)]
pub(super) struct Hosts {
    most: usize,
    hosts: HashMap<Box<str>, Host>,
    /// When the checks that wait were due.
    due: HashMap<Slot, Instant>,
}

#[derive(Debug, Default)]
struct Host {
    running: usize,
    waiting: BTreeSet<(Instant, Slot)>,
}

impl Hosts {
    /// With so many probes a host at most.
    pub(super) fn new(most: usize) -> Hosts {
        Hosts { most: most.max(1), hosts: HashMap::new(), due: HashMap::new() }
    }

    /// Whether a check that is due may be probed now, which then counts; else it waits until another leaves.
    pub(super) fn enter(&mut self, host: &str, (due, slot): (Instant, Slot)) -> bool {
        if !self.hosts.contains_key(host) {
            self.hosts.insert(host.into(), Host::default());
        }
        let Some(found) = self.hosts.get_mut(host) else { return true };
        if found.running < self.most {
            found.running += 1;
            return true;
        }
        found.waiting.insert((due, slot));
        self.due.insert(slot, due);
        false
    }

    /// A probe has ended. Returns the check that waits longest, which is due again and no longer waits.
    pub(super) fn leave(&mut self, host: &str) -> Option<(Instant, Slot)> {
        let found = self.hosts.get_mut(host)?;
        found.running = found.running.saturating_sub(1);
        self.following(host)
    }

    /// A check is no more. Returns one that is due in its place: it may have been told that before.
    pub(super) fn forget(&mut self, host: &str, slot: Slot) -> Option<(Instant, Slot)> {
        if let (Some(due), Some(found)) = (self.due.remove(&slot), self.hosts.get_mut(host)) {
            found.waiting.remove(&(due, slot));
        }
        self.following(host)
    }

    fn following(&mut self, host: &str) -> Option<(Instant, Slot)> {
        let found = self.hosts.get_mut(host).filter(|found| found.running < self.most)?;
        let next = found.waiting.pop_first();
        if let Some((_, slot)) = next {
            self.due.remove(&slot);
        } else if found.running == 0 {
            self.hosts.remove(host);
        }
        next
    }
}

/// The host whose probes count together with those of this target.
pub(super) fn host_of<'a>(kind: &CheckKind, target: &'a str) -> Cow<'a, str> {
    let host = match kind {
        CheckKind::Script(_) | CheckKind::DockerExec(_) | CheckKind::Systemd => "this machine",
        // It asks nobody.
        CheckKind::Alias(_) => "",
        _ => of_target(target),
    };
    match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    }
}

/// The host of a URL, of `host:port`, or of a host alone; with the port where it is on loopback.
fn of_target(target: &str) -> &str {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match (authority.find(']'), authority.split_once(':')) {
        (Some(end), _) => &authority[..=end],
        // With more colons it is an IPv6 address without a port.
        (None, Some((host, port))) if !port.contains(':') => host,
        _ => authority,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare.parse().map_or(bare.eq_ignore_ascii_case("localhost"), |at: IpAddr| at.is_loopback());
    if is_loopback { authority } else { host }
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
