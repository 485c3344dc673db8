//! Whether failures that come all at once are believed: that most targets die in one moment is seldom, and that our own link
//! does is not.
//!
//! Only checks that are probed over the network are counted, of targets outside loopback. When at least 10 of them on at least
//! 5 addresses, and more than half of all, turn critical within one interval, it is asked first whether it is us: the reference
//! targets are (`references`).
//!
//! | state | a check turns critical | it passes again | a reference target answers | none answers | time is up |
//! |---|---|---|---|---|---|
//! | watching | reported at once; if it is the one too many, held: asking | reported | | | |
//! | asking | held | reported; held no more | all held are reported: watching | holding | as an answer |
//! | holding | held, and shown as held | reported; held no more | settling | nothing | all held are reported: watching |
//! | settling | as watching, if its probe began after that answer; else as holding | reported; held no more | | | as before |
//!
//! An answer while holding means that the link is back, and says nothing of failures that were found without it: each of these
//! is held until the check's next probe has told how its target is. If most fail meanwhile, the link may have gone again, so it
//! is asked again; an answer then reports what was found since the first one, and the others go on settling.
//!
//! Holding, all that turned critical within that interval are as they were before, also those that had been reported: fewer
//! than it takes to ask are never delayed, which means that the first failures of an outage of ours have been answered with
//! when the one too many comes. That is at most half of the checks, and from one interval before to one second after it. They are
//! put back only when no reference target has answered, not already when one is asked, so that instances that have really died
//! are never answered again.
//!
//! Other ways were looked at. Waiting with every failure until others may have come costs as much as a probe's interval each
//! time, and asking a reference target at every failure makes all of them wait for it, up to a second where it is silent for
//! reasons of its own: both pay with what happens daily for what happens seldom.
//!
//! Pure: time and events are handed in. **Limits:** targets are told apart by the text of their host; a host's own address
//! beyond loopback counts as any other.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::{Duration, Instant},
};

use super::schedule::Slot;
use crate::catalog::check::{CheckDefinition, CheckKind, CheckResult, CheckStatus};

/// Knows which checks turned critical lately, and which of that is held back.
#[derive(Debug, Default)]
pub(super) struct Guard {
    state: State,
    /// The target's address of each check, as a number; 0 where none is counted.
    addresses: Vec<u64>,
    counted: usize,
    hasher: RandomState,
    /// The last turn of each check; those that are too old are let go when it matters.
    turned: HashMap<Slot, Turned>,
    /// The failures that are not reported, each with the time when the probe began that found it.
    held: HashMap<Slot, (Held, Instant)>,
}

/// What is done about failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// They are reported.
    #[default]
    Watching,
    /// They are held, and since this time the reference targets are asked; not for the first time if one has answered before
    /// and what was held then is not all found again.
    Asking { since: Instant, answered: Option<Instant> },
    /// They are held: none has answered.
    Holding,
    /// Those that were held are until they are found again: one has answered at this time.
    Settling(Instant),
}

/// A check that was reported critical, and by which probe.
#[derive(Debug)]
struct Turned {
    probed: Probed,
    held: Held,
}

/// The probe that found a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probed {
    /// The interval of its check.
    pub(super) interval: Duration,
    pub(super) began: Instant,
    pub(super) ended: Instant,
}

/// A failure that is not reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// How the check was before.
    pub(super) former: CheckStatus,
    /// What is reported if it is believed.
    pub(super) result: CheckResult,
}

/// What becomes of a check that turned critical.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is reported.
    Report(CheckResult),
    /// It is held; it and others are why the reference targets are to be asked now.
    Ask,
    /// It is held.
    Hold,
    /// It is held, and to be shown as that.
    Show(Held),
}

impl Guard {
    /// Takes a check in, or its new definition: nothing that it was before counts any more.
    pub(super) fn watch(&mut self, slot: Slot, target: &str, definition: &CheckDefinition) {
        self.forget(slot);
        if let Some(number) = address(target, &definition.kind).map(|address| self.hasher.hash_one(address) | 1) {
            let index = slot as usize;
            if self.addresses.len() <= index {
                self.addresses.resize(index + 1, 0);
            }
            self.addresses[index] = number;
            self.counted += 1;
        }
    }

    /// A check is gone.
    pub(super) fn forget(&mut self, slot: Slot) {
        if self.counts(slot) {
            self.addresses[slot as usize] = 0;
            self.counted -= 1;
        }
        self.turned.remove(&slot);
        self.let_go(slot);
    }

    /// Whether failures of this check are counted.
    pub(super) fn counts(&self, slot: Slot) -> bool {
        self.addresses.get(slot as usize).is_some_and(|number| *number != 0)
    }

    /// A check that is not critical, or of which nothing but a failure that is held was said since, has turned critical.
    pub(super) fn turn(&mut self, slot: Slot, failure: Held, probed: Probed) -> Turn {
        if !self.counts(slot) {
            return Turn::Report(failure.result);
        }
        match self.state {
            State::Watching => self.count(slot, failure, probed),
            State::Settling(answered) if probed.began >= answered => {
                self.let_go(slot);
                self.count(slot, failure, probed)
            }
            State::Asking { .. } | State::Holding | State::Settling(_) => {
                let shown = self.held.get(&slot).map(|(held, _)| held.former);
                let held = Held { former: shown.unwrap_or(failure.former), ..failure };
                self.held.insert(slot, (held.clone(), probed.began));
                let show = shown.is_none() && !matches!(self.state, State::Asking { .. });
                if show { Turn::Show(held) } else { Turn::Hold }
            }
        }
    }

    /// Reports a failure, unless it is the one too many.
    fn count(&mut self, slot: Slot, failure: Held, probed: Probed) -> Turn {
        self.turned.insert(slot, Turned { probed, held: failure.clone() });
        if !self.is_mass(probed.ended) {
            return Turn::Report(failure.result);
        }
        let answered = match self.state {
            State::Settling(answered) => Some(answered),
            State::Watching | State::Asking { .. } | State::Holding => None,
        };
        self.state = State::Asking { since: probed.ended, answered };
        self.turned.remove(&slot);
        self.held.insert(slot, (failure, probed.began));
        Turn::Ask
    }

    /// A check does not fail any more. Says whether its failure was held.
    pub(super) fn passed(&mut self, slot: Slot) -> bool {
        self.turned.remove(&slot);
        self.let_go(slot)
    }

    /// A reference target answers at this time. Returns what is to be reported now.
    pub(super) fn answered(&mut self, now: Instant) -> Vec<(Slot, CheckResult)> {
        match self.state {
            State::Asking { answered: Some(answered), .. } => self.settle_on(answered),
            State::Asking { answered: None, .. } => self.believe(),
            State::Holding => {
                self.state = State::Settling(now);
                Vec::new()
            }
            State::Watching | State::Settling(_) => Vec::new(),
        }
    }

    /// What was found since the reference targets answered first is true; the rest is still to be found again.
    fn settle_on(&mut self, answered: Instant) -> Vec<(Slot, CheckResult)> {
        self.state = State::Settling(answered);
        self.turned.clear();
        let found: Vec<Slot> =
            self.held.iter().filter(|(_, (_, began))| *began >= answered).map(|(slot, _)| *slot).collect();
        let mut results = Vec::with_capacity(found.len());
        for slot in found {
            results.extend(self.held.remove(&slot).map(|(held, _)| (slot, held.result)));
        }
        self.rest();
        results
    }

    /// Nobody can be asked, or all has been held for long enough: returns all that is to be reported now.
    pub(super) fn believe(&mut self) -> Vec<(Slot, CheckResult)> {
        self.state = State::Watching;
        self.turned.clear();
        self.held.drain().map(|(slot, (held, _))| (slot, held.result)).collect()
    }

    /// No reference target answers. Returns what is to be shown as held from now on; nothing if that is so already.
    pub(super) fn doubt(&mut self) -> Vec<(Slot, Held)> {
        let State::Asking { since, .. } = self.state else { return Vec::new() };
        self.state = State::Holding;
        let window = self.window(since);
        let turned = std::mem::take(&mut self.turned);
        let lately =
            turned.into_iter().filter(|(_, turned)| since.saturating_duration_since(turned.probed.ended) <= window);
        self.held.extend(lately.map(|(slot, turned)| (slot, (turned.held, turned.probed.began))));
        self.held.iter().map(|(slot, (held, _))| (*slot, held.clone())).collect()
    }

    /// The checks whose failures are held.
    pub(super) fn held(&self) -> impl ExactSizeIterator<Item = Slot> {
        self.held.keys().copied()
    }

    /// Whether failures are held because no reference target answers, or did until now.
    pub(super) fn is_holding(&self) -> bool {
        matches!(self.state, State::Holding | State::Settling(_) | State::Asking { answered: Some(_), .. })
    }

    /// Whether nothing is held or asked.
    pub(super) fn is_watching(&self) -> bool {
        self.state == State::Watching
    }

    /// How many checks are counted.
    pub(super) fn counted(&self) -> usize {
        self.counted
    }

    fn let_go(&mut self, slot: Slot) -> bool {
        let was_held = self.held.remove(&slot).is_some();
        if was_held {
            self.rest();
        }
        was_held
    }

    /// Watches again where nothing is held any more.
    fn rest(&mut self) {
        if self.held.is_empty() {
            self.state = State::Watching;
        }
    }

    /// Whether what turned critical lately is so much that it may be us.
    fn is_mass(&mut self, now: Instant) -> bool {
        let is_enough = |turned: usize, counted: usize| turned >= CHECKS_MIN && turned * 2 > counted;
        if !is_enough(self.turned.len(), self.counted) {
            return false;
        }
        self.turned.retain(|_, turned| now.saturating_duration_since(turned.probed.ended) <= WINDOW_MAX);
        let window = self.window(now);
        let lately =
            || self.turned.iter().filter(|(_, turned)| now.saturating_duration_since(turned.probed.ended) <= window);
        let addresses: HashSet<u64> = lately().map(|(slot, _)| self.addresses[*slot as usize]).collect();
        addresses.len() >= ADDRESSES_MIN && is_enough(lately().count(), self.counted)
    }

    /// The longest interval of what turned within its own.
    fn window(&self, now: Instant) -> Duration {
        let intervals = self.turned.values().filter_map(|turned| {
            let interval = turned.probed.interval.clamp(WINDOW_MIN, WINDOW_MAX);
            (now.saturating_duration_since(turned.probed.ended) <= interval).then_some(interval)
        });
        intervals.max().unwrap_or(WINDOW_MIN)
    }
}

/// The address that a check's probes go to, where they go over the network.
fn address(target: &str, kind: &CheckKind) -> Option<Address> {
    use CheckKind::{Amqp, Dns, Grpc, H2Ping, Http, Icmp, MySql, Postgres, Redis, Tcp, Udp};
    match kind {
        Http(_) | Tcp(_) | Grpc(_) | Udp | H2Ping(_) | MySql | Redis | Postgres | Amqp | Dns(_) | Icmp => {}
        _ => return None,
    }
    let host = host(target);
    if let Ok(ip) = host.split('%').next().unwrap_or_default().parse::<IpAddr>() {
        let ip = ip.to_canonical();
        return (!ip.is_loopback() && !ip.is_unspecified()).then_some(Address::Ip(ip));
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let is_local = name.is_empty() || name == "localhost" || name.ends_with(".localhost");
    (!is_local).then_some(Address::Name(name))
}

/// Where a target is.
#[derive(Debug, Hash, PartialEq, Eq)]
enum Address {
    Ip(IpAddr),
    Name(String),
}

/// The host of a URL, of `host:port` with or without a path, or of a lone host.
fn host(target: &str) -> &str {
    let authority = target.split_once("://").map_or(target, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    if let Some(bracketed) = authority.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or_default();
    }
    match authority.split_once(':') {
        // More than one colon without brackets is an IPv6 address alone.
        Some((host, port)) if !port.contains(':') => host,
        _ => authority,
    }
}

/// Fewer checks than these are never held. Source: the requirement, as the next.
const CHECKS_MIN: usize = 10;

/// On fewer addresses than these nothing is held: they may share a fate of their own.
const ADDRESSES_MIN: usize = 5;

/// Within this time at least, and at most, checks turn together. Source: none, chosen: the shortest interval there is, and
/// as long as failures are held by default.
const WINDOW_MIN: Duration = Duration::from_secs(1);
const WINDOW_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
