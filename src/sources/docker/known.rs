//! What is known of a daemon's containers and networks, and what follows of it for the catalog. Pure.
//!
//! - Two containers that want one service ID: those that run come before those that are only kept, then the one created first
//!   has it; the other is left out with a warning, and steps in when the first goes.
//! - A container that was sent its stop signal answers nobody from then on, until it ends or is started; or until it is found
//!   running when its own stop timeout (`StopTimeout`, else 10 s) and 5 s have passed: it has survived the signal. Who
//!   stops it with a longer `docker stop --time` should set its own, by `--stop-timeout` or compose's `stop_grace_period`.
//! - What was deregistered for being critical too long (`CHECK_DEREGISTER_AFTER`) stays away until its container is started
//!   again: by that key its owner asked that it go, and a new list of containers is no reason to come back.
//! - A container that runs without an address in one of its networks is looked at again, six times within 4 s.
//! - What a failed container had stays with `docker_deregister = "on-success"` as long as the container is there; over our own
//!   restart by what the catalog then has of a container of that name.
//! - A warning is told once while it is among the last 4,096.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Container, Deregister, Fate, HostAddresses, Network, Settings, Surroundings, addresses,
    events::Event,
    is_stop_signal, kept, map, state,
    swarm::Swarm,
    wanted::{Claimant, Plan, Wanted},
};
use crate::catalog::{
    change::{Origin, Registration},
    check::{Check, CheckKey},
    names::NodeName,
    service::Instance,
    spanning::SpanningNetworks,
    state::State,
};

/// All that is known.
#[derive(Debug)]
pub(super) struct Known {
    settings: Settings,
    around: Surroundings<'static>,
    containers: BTreeMap<String, Entry>,
    swarm: Option<Swarm>,
    /// What of swarm wants registrations, by ID.
    of_swarm: BTreeSet<String>,
    /// Those that use the network of another, by the name or ID that they have it by.
    joiners: BTreeMap<String, BTreeSet<String>>,
    wanted: Wanted,
    /// When a container is to be looked at again.
    looks: BTreeSet<(Instant, String)>,
    /// What the catalog had at the start of containers that may have failed since, by name; until the first list is complete.
    remembered: BTreeMap<String, Vec<Registration>>,
    /// Networks that containers are on and no list has.
    unlisted: BTreeSet<String>,
    /// Whether networks were read.
    has_networks: bool,
    warnings: Vec<String>,
    told: BTreeSet<String>,
}

/// A container.
#[derive(Debug)]
struct Entry {
    container: Container,
    /// Until when it is stopping; until it ends, if there is no time.
    stopping: Option<Option<Instant>>,
    /// How often it was looked for its address.
    looks: u32,
}

/// What an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// This container's document.
    Container(String),
    /// All networks.
    Networks,
    /// Everything.
    Everything,
}

impl Known {
    /// Nothing is known.
    pub(super) fn new(settings: Settings, host: HostAddresses) -> Known {
        Known {
            wanted: Wanted::new(settings.node.clone()),
            settings,
            around: Surroundings { host, ..Surroundings::default() },
            containers: BTreeMap::new(),
            swarm: None,
            of_swarm: BTreeSet::new(),
            joiners: BTreeMap::new(),
            looks: BTreeSet::new(),
            remembered: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            has_networks: false,
            warnings: Vec::new(),
            told: BTreeSet::new(),
        }
    }

    /// A catalog from an earlier run is here: what it has of containers that have failed stays.
    pub(super) fn remember(&mut self, catalog: &State) {
        if self.settings.deregister != Deregister::OnSuccess {
            return;
        }
        for registration in registered(catalog, &self.settings.node) {
            if let Some(name) = registration.instance.id_alias() {
                self.remembered.entry(name.as_str().to_owned()).or_default().push(registration);
            }
        }
    }

    /// Names of containers that count also if they do not run.
    pub(super) fn remembered(&self) -> BTreeSet<String> {
        self.remembered.keys().cloned().collect()
    }

    /// All that is there was listed: what the catalog had of others is gone.
    pub(super) fn forget(&mut self) {
        self.remembered.clear();
    }

    /// The containers that are known, by ID.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.containers.keys().map(String::as_str)
    }

    /// How many containers have services, and how many services.
    pub(super) fn counts(&self) -> (usize, usize) {
        self.wanted.counts()
    }

    /// Something has happened: what cannot wait is taken from the event, the rest is asked for.
    pub(super) fn heard(&mut self, event: Event, now: Instant) -> Ask {
        match event {
            Event::Started(id) => {
                if let Some(entry) = self.containers.get_mut(&id) {
                    (entry.stopping, entry.looks) = (None, 0);
                }
                Ask::Container(id)
            }
            Event::Changed(id) => Ask::Container(id),
            Event::Signalled(id, signal) => {
                self.signalled(&id, &signal, now);
                Ask::Container(id)
            }
            Event::Ended(id, code) => {
                self.ended(&id, code);
                Ask::Container(id)
            }
            Event::Removed(id) => {
                self.gone(&id);
                // What is being read of it may be older.
                Ask::Container(id)
            }
            Event::Networks => Ask::Networks,
            Event::Anything => Ask::Everything,
        }
    }

    /// A container's document was read.
    pub(super) fn inspected(&mut self, id: &str, mut container: Container, now: Instant) {
        let fate = state::fate(&container, &self.settings);
        let before = self.containers.remove(id);
        let runs = state::runs(&container);
        let stays = runs || (matches!(fate, Fate::Kept(_)) && !self.of_earlier(id, &container).is_empty());
        if !stays {
            self.containers.extend(before.map(|before| (id.to_owned(), before)));
            return self.gone(id);
        }
        let same_run = |entry: &Entry| entry.container.state.started_at == container.state.started_at;
        let mut entry = Entry { container: Container::default(), stopping: None, looks: 0 };
        if let Some(before) = &before {
            self.leave(id, &before.container);
            if runs && same_run(before) {
                entry.looks = before.looks;
                entry.stopping = before.stopping.filter(|until| until.is_none_or(|until| now < until));
            }
        }
        if entry.looks < LOOKS_MAX && lacks_address(&container) {
            self.looks.insert((now + FIRST_LOOK * 2_u32.pow(entry.looks), id.to_owned()));
            entry.looks += 1;
        }
        let networks = container.network_settings.networks.keys();
        let unlisted = networks.filter(|name| !self.around.networks.contains_key(*name));
        self.unlisted.extend(unlisted.cloned());
        if self.settings.tags.is_none() && self.settings.name.is_none() {
            // Nobody else reads it, and it is the most of what is kept.
            container.document = Value::Null;
        }
        if let Some(other) = container.joins() {
            self.joiners.entry(other.to_owned()).or_default().insert(id.to_owned());
        }
        entry.container = container;
        let before = before.map(|before| before.container);
        self.containers.insert(id.to_owned(), entry);
        self.remap(id);
        self.remap_joiners(id, before.as_ref());
    }

    /// A container is no more.
    pub(super) fn gone(&mut self, id: &str) {
        let Some(entry) = self.containers.remove(id) else { return };
        self.leave(id, &entry.container);
        self.wanted.release(id);
        self.remap_joiners(id, Some(&entry.container));
    }

    /// All networks were read.
    pub(super) fn set_networks(&mut self, networks: BTreeMap<String, Network>) {
        self.unlisted.retain(|name| !networks.contains_key(name));
        self.has_networks = true;
        let old = std::mem::replace(&mut self.around.networks, Arc::new(networks));
        let new = Arc::clone(&self.around.networks);
        let changed = |name: &String| old.get(name) != new.get(name);
        let on = |entry: &Entry| entry.container.network_settings.networks.keys().any(changed);
        let all = self.containers.iter().filter(|(_, entry)| on(entry));
        for id in all.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.remap(&id);
            self.remap_joiners(&id, None);
        }
        if old != new {
            self.remap_swarm();
        }
    }

    /// What a manager says was read; none where there is no manager.
    pub(super) fn set_swarm(&mut self, swarm: Option<Swarm>) {
        self.swarm = swarm;
        self.remap_swarm();
    }

    /// The networks that span machines; none before networks were read.
    pub(super) fn spanning(&self) -> Option<SpanningNetworks> {
        self.has_networks.then(|| addresses::spanning(self.settings.address, &self.around.networks))
    }

    /// How many networks containers are on that no list has.
    pub(super) fn unlisted_networks(&self) -> usize {
        self.unlisted.len()
    }

    /// When a container is to be looked at again.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.looks.first().map(|(when, _)| *when)
    }

    /// The containers that are to be looked at again by now.
    pub(super) fn take_looks(&mut self, now: Instant) -> Vec<String> {
        let mut due = Vec::new();
        while self.next_look().is_some_and(|when| when <= now) {
            due.extend(self.looks.pop_first().map(|(_, id)| id));
        }
        due
    }

    /// What brings a catalog to what changed since the last plan.
    pub(super) fn plan(&mut self, catalog: &State) -> Plan {
        self.wanted.plan(catalog)
    }

    /// What makes a catalog as it is to be, whatever it has.
    pub(super) fn whole(&mut self, catalog: &State) -> Plan {
        self.wanted.whole(catalog)
    }

    /// A plan has taken effect.
    pub(super) fn applied(&mut self, plan: Plan) {
        self.wanted.applied(plan);
    }

    /// A check's ID belongs to others.
    pub(super) fn refuse(&mut self, check: CheckKey) {
        self.wanted.refuse(check);
    }

    /// All is looked at anew: what was refused is tried again.
    pub(super) fn forgive(&mut self) {
        self.wanted.forgive();
    }

    /// People should know this, if they were not told yet.
    pub(super) fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    /// What people should know and were not told yet.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        self.warnings.append(&mut self.wanted.take_warnings());
        if self.told.len() > TOLD_MAX {
            self.told.clear();
        }
        self.warnings.drain(..).filter(|text| self.told.insert(text.clone())).collect()
    }

    fn signalled(&mut self, id: &str, signal: &str, now: Instant) {
        let Some(entry) = self.containers.get_mut(id) else { return };
        if !state::runs(&entry.container) || !is_stop_signal(&entry.container, signal) {
            return;
        }
        let seconds = entry.container.config.stop_timeout.unwrap_or(STOP_TIMEOUT_SECS);
        // A negative one is for ever; so is one beyond what a clock can tell.
        let timeout = u64::try_from(seconds).ok().map(Duration::from_secs);
        let until = timeout.and_then(|timeout| now.checked_add(timeout)?.checked_add(STOP_MARGIN));
        entry.stopping = Some(until);
        self.looks.extend(until.map(|until| (until, id.to_owned())));
        self.remap(id);
    }

    fn ended(&mut self, id: &str, code: Option<i64>) {
        let Some(entry) = self.containers.get_mut(id) else { return };
        if code.is_none() && self.settings.deregister == Deregister::OnSuccess {
            return;
        }
        let state = &mut entry.container.state;
        (state.status, state.exit_code) = ("exited".to_owned(), code.unwrap_or(0));
        (state.running, state.paused, state.restarting) = (false, false, false);
        entry.stopping = None;
        if matches!(state::fate(&entry.container, &self.settings), Fate::Gone(_)) {
            return self.gone(id);
        }
        self.remap(id);
        self.remap_joiners(id, None);
    }

    /// What a container had that has ended.
    fn of_earlier(&self, id: &str, container: &Container) -> Vec<Registration> {
        let had = self.wanted.of(id);
        if !had.is_empty() {
            return had;
        }
        self.remembered.get(container.plain_name()).cloned().unwrap_or_default()
    }

    /// Maps a container anew.
    fn remap(&mut self, id: &str) {
        let Some(entry) = self.containers.get(id) else { return };
        let container = &entry.container;
        let joined = container.joins().and_then(|other| self.find(other)).filter(|other| state::runs(other));
        let around = Surroundings { joined, stopping: entry.stopping.is_some(), ..self.around.clone() };
        let mapped = map(container, &self.settings, &around);
        let mut registrations = mapped.registrations;
        let mut is_kept = false;
        if let Fate::Kept(reason) = &mapped.fate {
            registrations = self.of_earlier(id, container);
            kept(&mut registrations, reason);
            is_kept = true;
        }
        let claimant = Claimant {
            id: id.to_owned(),
            name: container.plain_name().to_owned(),
            created: container.created.clone(),
            started: container.state.started_at.clone(),
            is_kept,
        };
        self.warnings.extend(mapped.warnings);
        self.wanted.claim(claimant, registrations);
    }

    /// Maps swarm's services and tasks anew.
    fn remap_swarm(&mut self) {
        let mapped = self.swarm.as_ref().map(|swarm| swarm.map(&self.settings, &self.around)).unwrap_or_default();
        let before = std::mem::replace(&mut self.of_swarm, mapped.keys().cloned().collect());
        before.difference(&self.of_swarm).for_each(|id| self.wanted.release(id));
        for (id, mapped) in mapped {
            self.warnings.extend(mapped.warnings);
            let own = mapped.registrations.first().and_then(|first| first.instance.further_names.first());
            let claimant = Claimant {
                name: own.map_or_else(|| id.clone(), |own| own.name.to_string()),
                id,
                created: AFTER_CONTAINERS.to_owned(),
                started: String::new(),
                is_kept: false,
            };
            self.wanted.claim(claimant, mapped.registrations);
        }
    }

    /// Maps those that use a container's network, under what it is called and was called before.
    fn remap_joiners(&mut self, id: &str, before: Option<&Container>) {
        if self.joiners.is_empty() {
            return;
        }
        let now = self.containers.get(id).map(|entry| &entry.container);
        let names = before.into_iter().chain(now).map(Container::plain_name);
        let all = names.chain([id]).filter_map(|name| self.joiners.get(name)).flatten();
        for joiner in all.filter(|joiner| *joiner != id).cloned().collect::<BTreeSet<_>>() {
            self.remap(&joiner);
        }
    }

    /// A container by ID or name.
    fn find(&self, text: &str) -> Option<&Container> {
        let by_id = self.containers.get(text);
        let mut all = self.containers.values();
        by_id.or_else(|| all.find(|entry| entry.container.plain_name() == text)).map(|entry| &entry.container)
    }

    /// It does not use the network any more that it used.
    fn leave(&mut self, id: &str, container: &Container) {
        let Some(other) = container.joins() else { return };
        if let Some(joiners) = self.joiners.get_mut(other) {
            joiners.remove(id);
            if joiners.is_empty() {
                self.joiners.remove(other);
            }
        }
    }
}

/// What Docker has registered on a node, as a catalog has it.
fn registered(catalog: &State, node: &NodeName) -> impl Iterator<Item = Registration> {
    catalog.of_origin(node, Origin::Docker).into_iter().filter_map(|key| {
        let entry = catalog.instance(&key)?;
        if entry.instance.origin != Origin::Docker {
            let shadowed = entry.shadowed.iter().find(|other| other.instance.origin == Origin::Docker)?;
            return Some(Registration::clone(shadowed));
        }
        let checks = entry.checks.iter().map(|entry| Check::clone(&entry.check)).collect();
        Some(Registration { instance: Instance::clone(&entry.instance), checks, replace_existing_checks: true })
    })
}

/// Whether it runs, and one of its networks has not told its address: right after the start that may come later.
fn lacks_address(container: &Container) -> bool {
    let none = |name: &str| matches!(name, "host" | "none");
    let mut networks = container.network_settings.networks.iter().filter(|(name, _)| !none(name));
    state::runs(container)
        && networks.any(|(_, there)| there.ip_address.is_empty() && there.global_ipv6_address.is_empty())
}

/// Seconds that a container has to end after its stop signal. Source: Docker, Podman.
const STOP_TIMEOUT_SECS: i64 = 10;

/// How long after that time it is looked at. Source: none, chosen: the engine itself needs a moment to kill it.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// When a container without address is looked at again; each time after twice as long. Source: none, chosen.
const FIRST_LOOK: Duration = Duration::from_millis(60);

/// How often. Source: none, chosen.
const LOOKS_MAX: u32 = 6;

/// When swarm's services and tasks were created, as far as it counts for who has an ID: after every container.
const AFTER_CONTAINERS: &str = "9";

/// Most warnings that are remembered. Source: none, chosen: some hundred kilobytes.
const TOLD_MAX: usize = 4096;

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
