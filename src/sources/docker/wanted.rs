//! Which registrations are wanted, which of several with one service ID, and what brings the catalog there. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use super::map::results;
use crate::catalog::{
    change::{Change, Origin, Registration},
    check::CheckKey,
    names::{NodeName, ServiceId},
    service::InstanceKey,
    state::State,
};

/// What all containers want, and what the catalog has of it.
#[derive(Debug)]
pub(super) struct Wanted {
    node: NodeName,
    /// Who wants a service ID; the first has it.
    claims: BTreeMap<ServiceId, BTreeMap<Rank, Claim>>,
    /// What each container wants.
    of: BTreeMap<String, (Rank, Vec<ServiceId>)>,
    /// What the catalog has, as far as it was told here.
    applied: BTreeMap<ServiceId, Applied>,
    /// What was deregistered for being critical too long, and the run of which container that was.
    away: BTreeMap<ServiceId, Run>,
    /// IDs of which something changed since the last plan.
    touched: BTreeSet<ServiceId>,
    /// Checks whose ID belongs to others.
    refused: BTreeSet<CheckKey>,
    warnings: Vec<String>,
}

/// A container that wants registrations.
#[derive(Debug, Clone)]
pub(super) struct Claimant {
    pub(super) id: String,
    pub(super) name: String,
    /// When it was created.
    pub(super) created: String,
    /// When it was last started.
    pub(super) started: String,
    /// Whether it has ended.
    pub(super) is_kept: bool,
}

/// Who comes first: those that run, then the one created first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_kept: bool,
    created: String,
    id: String,
}

/// One run of a container: which, and when it was started.
type Run = (String, String);

#[derive(Debug)]
struct Claim {
    registration: Arc<Registration>,
    container: String,
    run: Run,
}

#[derive(Debug, Clone)]
struct Applied {
    registration: Arc<Registration>,
    run: Run,
}

/// What brings the catalog to what is wanted.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// To be submitted as one.
    pub(super) changes: Vec<Change>,
    /// What the catalog then has, by ID.
    after: Vec<(ServiceId, Option<Applied>)>,
    is_whole: bool,
}

impl Plan {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Wanted {
    /// Nobody wants anything; all are on this node.
    pub(super) fn new(node: NodeName) -> Wanted {
        Wanted {
            node,
            claims: BTreeMap::new(),
            of: BTreeMap::new(),
            applied: BTreeMap::new(),
            away: BTreeMap::new(),
            touched: BTreeSet::new(),
            refused: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    /// A container wants these registrations, and no others any more.
    pub(super) fn claim(&mut self, claimant: Claimant, registrations: Vec<Registration>) {
        self.release(&claimant.id);
        if registrations.is_empty() {
            return;
        }
        let Claimant { id, name, created, started, is_kept } = claimant;
        // Without the Z, of which digits behind it would not be later.
        let created = created.trim_end_matches('Z').to_owned();
        let rank = Rank { is_kept, created, id: id.clone() };
        let mut ids = Vec::with_capacity(registrations.len());
        for registration in registrations {
            let service_id = registration.instance.id.clone();
            self.touched.insert(service_id.clone());
            let run = (id.clone(), started.clone());
            let claim = Claim { registration: Arc::new(registration), container: name.clone(), run };
            self.claims.entry(service_id.clone()).or_default().insert(rank.clone(), claim);
            ids.push(service_id);
        }
        self.of.insert(id, (rank, ids));
    }

    /// A container wants nothing any more.
    pub(super) fn release(&mut self, container: &str) {
        let Some((rank, ids)) = self.of.remove(container) else { return };
        for id in ids {
            if let Some(claims) = self.claims.get_mut(&id) {
                claims.remove(&rank);
                if claims.is_empty() {
                    self.claims.remove(&id);
                }
            }
            self.touched.insert(id);
        }
    }

    /// What a container wants.
    pub(super) fn of(&self, container: &str) -> Vec<Registration> {
        let Some((rank, ids)) = self.of.get(container) else { return Vec::new() };
        let claims = ids.iter().filter_map(|id| self.claims.get(id)?.get(rank));
        claims.map(|claim| Registration::clone(&claim.registration)).collect()
    }

    /// How many containers want something, and how many registrations there are of it.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.of.len(), self.claims.len())
    }

    /// What brings a catalog to what changed since the last plan.
    pub(super) fn plan(&mut self, catalog: &State) -> Plan {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        let mut after = Vec::new();
        for id in mem::take(&mut self.touched) {
            let wanted = self.first(&id, catalog);
            let applied = self.applied.get(&id);
            match &wanted {
                None if applied.is_none() => continue,
                Some(wanted) if applied.is_some_and(|applied| applied.registration == wanted.registration) => {}
                None => {
                    let key = InstanceKey { node: self.node.clone(), id: id.clone() };
                    gone.push(Change::Deregister { key, origin: Origin::Docker });
                }
                Some(wanted) => {
                    come.push(Change::Register(Box::new(Registration::clone(&wanted.registration))));
                    come.extend(statuses(&wanted.registration, catalog));
                }
            }
            after.push((id, wanted));
        }
        gone.append(&mut come);
        Plan { changes: gone, after, is_whole: false }
    }

    /// What makes a catalog as all containers want it, whatever it has.
    pub(super) fn whole(&mut self, catalog: &State) -> Plan {
        self.touched.clear();
        let ids: BTreeSet<ServiceId> = self.claims.keys().chain(self.applied.keys()).cloned().collect();
        let mut after = Vec::new();
        for id in ids {
            if let Some(wanted) = self.first(&id, catalog) {
                after.push((id, Some(wanted)));
            }
        }
        let registrations = after.iter().flat_map(|(_, wanted)| wanted).map(|wanted| &*wanted.registration);
        let replace = Change::ReplaceOrigin {
            node: self.node.clone(),
            origin: Origin::Docker,
            registrations: registrations.clone().cloned().collect(),
        };
        let statuses = registrations.flat_map(|registration| statuses(registration, catalog));
        Plan { changes: [replace].into_iter().chain(statuses).collect(), after, is_whole: true }
    }

    /// A plan has taken effect.
    pub(super) fn applied(&mut self, plan: Plan) {
        if plan.is_whole {
            self.applied.clear();
        }
        for (id, wanted) in plan.after {
            match wanted {
                Some(wanted) => drop(self.applied.insert(id, wanted)),
                None => drop(self.applied.remove(&id)),
            }
        }
    }

    /// A check's ID belongs to another instance or the node: instances are registered without it.
    pub(super) fn refuse(&mut self, check: CheckKey) {
        let id = check.id.as_str();
        self.warnings
            .push(format!("check ID {id:?} belongs to another service; Docker's is left out until it is free"));
        self.refused.insert(check);
    }

    /// What was refused is tried again.
    pub(super) fn forgive(&mut self) {
        self.refused.clear();
    }

    /// What people should know, since the last call.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        mem::take(&mut self.warnings)
    }

    /// What is to be registered under an ID; nothing if it was deregistered in this run of its container.
    fn first(&mut self, id: &ServiceId, catalog: &State) -> Option<Applied> {
        let key = InstanceKey { node: self.node.clone(), id: id.clone() };
        if self.applied.contains_key(id) && !is_docker(&key, catalog) {
            let applied = self.applied.remove(id).expect("it was there a line ago");
            self.away.insert(id.clone(), applied.run);
        }
        let claims = self.claims.get(id)?;
        let mut all = claims.values();
        let first = all.next()?;
        for other in all {
            let (this, that) = (&other.container, &first.container);
            self.warnings.push(format!(
                "container {this}: the service ID {id:?} is that of container {that}, which comes first, so that it is left \
                 out until that one goes; give it another by SERVICE_ID"
            ));
        }
        if self.away.get(id) == Some(&first.run) {
            return None;
        }
        let mut registration = Arc::clone(&first.registration);
        if registration.checks.iter().any(|check| self.refused.contains(&check.key())) {
            Arc::make_mut(&mut registration).checks.retain(|check| !self.refused.contains(&check.key()));
        }
        let applied = Applied { registration, run: first.run.clone() };
        self.away.remove(id);
        Some(applied)
    }
}

/// Whether Docker has a registration of this instance, answered or aside.
fn is_docker(key: &InstanceKey, catalog: &State) -> bool {
    let mine = |origin: Origin| origin == Origin::Docker;
    catalog.instance(key).is_some_and(|entry| {
        mine(entry.instance.origin) || entry.shadowed.iter().any(|aside| mine(aside.instance.origin))
    })
}

/// The statuses that Docker tells; none of an instance that is somebody else's, whose checks are not ours.
fn statuses(registration: &Registration, catalog: &State) -> Vec<Change> {
    let entry = catalog.instance(&registration.instance.key());
    if entry.is_some_and(|entry| entry.instance.origin < Origin::Docker) {
        return Vec::new();
    }
    results(registration).map(|(key, result)| Change::SetStatus { key, result }).collect()
}

#[cfg(test)]
#[path = "wanted_tests.rs"]
mod tests;
