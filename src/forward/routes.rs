//! Who is asked for which names: the default upstreams and those of suffixes.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use super::{
    settings::{ForwardSettings, Limits, Upstreams},
    system::{self, Choice, Found},
    upstream::Upstream,
};
use crate::wire::name::Name;

/// Upstreams of one suffix; the root's are the default ones.
pub(super) struct Group {
    pub(super) suffix: Name,
    pub(super) upstreams: Vec<Arc<Upstream>>,
}

/// All groups, and what start-up tells of them.
pub(super) struct Routes {
    groups: Vec<Group>,
    pub(super) system: Option<Choice>,
    pub(super) own: Vec<SocketAddr>,
}

impl Group {
    /// Those of the upstreams that do not send our questions back.
    pub(super) fn usable(&self) -> Vec<Arc<Upstream>> {
        self.upstreams.iter().filter(|upstream| !upstream.is_looping()).cloned().collect()
    }

    /// The addresses, in the order of the list.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.upstreams.iter().map(|upstream| upstream.address()).collect()
    }
}

impl Routes {
    /// Makes routes of settings; upstreams that were known in `old` for the same suffix are taken over.
    pub(super) fn new(settings: &ForwardSettings, old: Option<&Routes>) -> Routes {
        let own = &settings.own_addresses;
        let (system, default) = match &settings.upstreams {
            Upstreams::Off => (None, None),
            Upstreams::Listed(addresses) => (None, Some(addresses.clone())),
            Upstreams::System(files) => {
                let last = settings.state_file.as_deref().map(system::read_last).unwrap_or_default();
                let choice = keep_known(system::choose(files, own, &last), old, &last, own);
                (Some(choice.clone()), Some(choice.upstreams))
            }
        };
        let rules = settings.zones.iter().cloned().chain(default.map(|addresses| (Name::root(), addresses)));
        let groups = rules
            .map(|(suffix, addresses)| {
                let known = old.and_then(|old| old.group(&suffix));
                Group::new(suffix, &addresses, known, settings)
            })
            .collect();
        Routes { groups, system, own: own.clone() }
    }

    /// The group of the longest suffix that covers `name`; none if forwarding is off for it.
    pub(super) fn route(&self, name: &Name) -> Option<&Group> {
        let covering = self.groups.iter().filter(|group| name.is_at_or_below(&group.suffix));
        covering.max_by_key(|group| group.suffix.label_count())
    }

    /// The group of exactly this suffix.
    pub(super) fn group(&self, suffix: &Name) -> Option<&Group> {
        self.groups.iter().find(|group| group.suffix == *suffix)
    }

    /// All groups.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }
}

impl Group {
    fn new(suffix: Name, addresses: &[SocketAddr], known: Option<&Group>, settings: &ForwardSettings) -> Group {
        let mut group = Group { suffix, upstreams: Vec::new() };
        for address in addresses.iter().take(UPSTREAMS_MAX) {
            let taken = group.upstreams.iter().any(|upstream| upstream.address() == *address);
            if taken || system::is_own(address, &settings.own_addresses) {
                continue;
            }
            let old = known.and_then(|known| known.upstreams.iter().find(|old| old.address() == *address));
            group.upstreams.push(match old {
                Some(old) => Arc::clone(old),
                None => new_upstream(*address, &settings.limits, &settings.own_addresses),
            });
        }
        group
    }
}

fn new_upstream(address: SocketAddr, limits: &Limits, own: &[SocketAddr]) -> Arc<Upstream> {
    Arc::new(Upstream::new(address, limits, own.iter().map(SocketAddr::port)))
}

/// What is known stays in use when resolv.conf can't be read, or names nobody any more.
fn keep_known(read: io::Result<Choice>, old: Option<&Routes>, last: &[SocketAddr], own: &[SocketAddr]) -> Choice {
    let known = || old.and_then(|old| old.system.clone()).filter(|choice| !choice.upstreams.is_empty());
    match read {
        Ok(choice) if choice.found == Found::Nowhere => match known() {
            Some(known) => Choice { found: Found::LastWorking, own: choice.own, search: choice.search, ..known },
            None => choice,
        },
        Ok(choice) => choice,
        Err(_) => known().unwrap_or_else(|| {
            let upstreams: Vec<_> = last.iter().filter(|address| !system::is_own(address, own)).copied().collect();
            let found = if upstreams.is_empty() { Found::Nowhere } else { Found::LastWorking };
            Choice { found, upstreams, own: Vec::new(), search: Vec::new() }
        }),
    }
}

/// What start-up and the API tell about forwarding; `Display` is one line for people each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The default upstreams in the order of their list; none if forwarding is off.
    pub upstreams: Option<Vec<SocketAddr>>,
    /// Where the system's upstreams were found; none if they are listed or off.
    pub found: Option<Found>,
    /// Addresses in the system's list that are our own and so left out.
    pub own: Vec<SocketAddr>,
    /// Upstreams left out because they send our questions back to us.
    pub looping: Vec<SocketAddr>,
    /// Suffixes of the system's `search` or `domain` line.
    pub search: Vec<Name>,
    /// Upstreams by suffix.
    pub zones: Vec<(Name, Vec<SocketAddr>)>,
}

impl Routes {
    /// Tells who is asked.
    pub(super) fn describe(&self) -> Description {
        let default = self.group(&Name::root());
        let zones = self.groups.iter().filter(|group| !group.suffix.is_root());
        let all = self.groups.iter().flat_map(|group| &group.upstreams);
        let mut looping: Vec<_> =
            all.filter(|upstream| upstream.is_looping()).map(|upstream| upstream.address()).collect();
        looping.sort();
        looping.dedup();
        Description {
            upstreams: default.map(Group::addresses),
            found: self.system.as_ref().map(|choice| choice.found),
            own: self.system.as_ref().map(|choice| choice.own.clone()).unwrap_or_default(),
            looping,
            search: self.system.as_ref().map(|choice| choice.search.clone()).unwrap_or_default(),
            zones: zones.map(|group| (group.suffix.clone(), group.addresses())).collect(),
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.upstreams, self.found) {
            (None, _) => writeln!(f, "upstreams: none, forwarding is off")?,
            (Some(upstreams), _) if upstreams.is_empty() => writeln!(
                f,
                "upstreams: none known; name one with --forward IP, or a nameserver other than this one in resolv.conf"
            )?,
            (Some(upstreams), found) => writeln!(f, "upstreams: {} ({})", list(upstreams), origin(found))?,
        }
        if !self.own.is_empty() {
            writeln!(f, "left out, our own: {}", list(&self.own))?;
        }
        if !self.looping.is_empty() {
            writeln!(f, "left out, they ask us back: {}", list(&self.looping))?;
        }
        for (suffix, upstreams) in &self.zones {
            writeln!(f, "{suffix} is asked at {}", list(upstreams))?;
        }
        Ok(())
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    if texts.is_empty() { "nobody".to_owned() } else { texts.join(", ") }
}

fn origin(found: Option<Found>) -> &'static str {
    match found {
        None => "as set",
        Some(Found::ResolvConf) => "from resolv.conf",
        Some(Found::SystemdResolved) => "from systemd-resolved",
        Some(Found::NetworkManager) => "from NetworkManager",
        Some(Found::LastWorking | Found::Nowhere) => "the last that worked",
    }
}

/// Most upstreams of one suffix. Source: none, chosen: within ten seconds no more can be asked anyway.
const UPSTREAMS_MAX: usize = 16;

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
