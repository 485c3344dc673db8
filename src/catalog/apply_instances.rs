//! What a change makes of instances.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use thin_vec::ThinVec;

use super::{
    apply::Apply,
    apply_checks::{is_replaced, own_checks},
    change::{ChangeError, Origin, Registration},
    check::Check,
    few::Few,
    names::NodeName,
    service::{Instance, InstanceKey},
    state::{CheckEntry, InstanceEntry, find_check},
};

/// Which status and output a check has that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Results {
    /// Its own.
    Kept,
    /// Those that come with its registration, which is all that its origin has of the instance.
    Given,
}

impl Apply<'_> {
    pub(super) fn register(&mut self, mut registration: Registration, results: Results) -> Result<(), ChangeError> {
        let key = registration.instance.key();
        let node = self.node(&key.node)?;
        registration.checks.sort_by(|left, right| left.id.cmp(&right.id));
        registration.checks.dedup_by(|later, earlier| later.id == earlier.id);
        let old = self.state.instance(&key).cloned();
        if let Some(old) = &old {
            registration.instance.id = old.instance.id.clone();
        }
        // What is told of it is so elsewhere; while that is kept aside, it holds no check here.
        let origin = registration.instance.origin;
        let goes_aside = results == Results::Given && old.as_ref().is_some_and(|old| old.instance.origin < origin);
        for check in &mut registration.checks {
            // They are its own, and one spelling of their node and of its ID is enough in memory.
            check.node = node.node.name.clone();
            check.share_id(&registration.instance.id);
            if !goes_aside && !self.is_free(&node, check) {
                return Err(ChangeError::CheckElsewhere(check.key()));
            }
        }
        match old {
            None => self.put(None, Some(self.entry(None, registration, results))),
            Some(old) if old.instance.origin == origin => {
                let entry = self.entry(Some(&old), registration, results);
                self.put(Some(old), Some(entry));
            }
            Some(old) if old.instance.origin < origin => {
                let entry = InstanceEntry {
                    shadowed: aside(&old.shadowed, registration, results),
                    ..InstanceEntry::clone(&old)
                };
                self.put(Some(old), Some(entry));
            }
            Some(old) => {
                let loser = Registration {
                    instance: Instance::clone(&old.instance),
                    checks: own_checks(&old).map(|entry| Check::clone(&entry.check)).collect(),
                    replace_existing_checks: true,
                };
                let mut entry = self.entry(Some(&old), registration, results);
                let stays = |check: &Check| check.origin != loser.instance.origin || check.is_maintenance();
                entry.checks = entry.checks.iter().filter(|entry| stays(&entry.check)).cloned().collect();
                entry.shadowed = aside(&old.shadowed, loser, Results::Kept);
                self.put(Some(old), Some(entry));
            }
        }
        Ok(())
    }

    /// What an instance is after this registration, which won.
    fn entry(&self, old: Option<&Arc<InstanceEntry>>, registration: Registration, results: Results) -> InstanceEntry {
        let Registration { mut instance, checks, replace_existing_checks } = registration;
        // One spelling in memory for all instances of a node and of a service.
        if let Some(node) = self.state.node(&instance.node) {
            instance.node = node.node.name.clone();
        }
        if let Some(service) = self.state.service(&instance.service) {
            instance.service = service.name.clone();
        }
        let origin = instance.origin;
        let mut entries: Vec<CheckEntry> = Vec::with_capacity(checks.len());
        for check in checks {
            let before = old.and_then(|old| find_check(&old.checks, &check.id));
            // A check that a more explicit origin put in its place stays.
            entries.push(match before {
                Some(before) if before.check.origin < check.origin => before.clone(),
                _ => self.check_entry(before, check, results),
            });
        }
        let registered = entries.len();
        for before in old.iter().flat_map(|old| old.checks.iter()) {
            let replaced = match results {
                Results::Kept => replace_existing_checks && is_replaced(&before.check, origin),
                Results::Given => before.check.origin == origin,
            };
            // A registration's checks are sorted.
            if !replaced && find_check(&entries[..registered], &before.check.id).is_none() {
                entries.push(before.clone());
            }
        }
        entries.sort_by(|left, right| left.check.id.cmp(&right.check.id));
        let same = old.filter(|old| *old.instance == instance);
        InstanceEntry {
            instance: same.map_or_else(|| Arc::new(instance), |old| Arc::clone(&old.instance)),
            checks: entries.into(),
            shadowed: old.map(|old| old.shadowed.clone()).unwrap_or_default(),
            create_index: old.map_or(self.index, |old| old.create_index),
            modify_index: same.map_or(self.index, |old| old.modify_index),
        }
    }

    pub(super) fn deregister(&mut self, key: &InstanceKey, origin: Origin) -> Result<(), ChangeError> {
        let old = self.instance(key)?;
        let node = self.node(&key.node)?;
        if old.instance.origin != origin {
            let shadowed: ThinVec<_> =
                old.shadowed.iter().filter(|loser| loser.instance.origin != origin).cloned().collect();
            if shadowed.len() == old.shadowed.len() {
                let what = format!("service ID {:?}", key.id.as_str());
                return Err(ChangeError::OwnedBy { what, owner: old.instance.origin });
            }
            let entry = InstanceEntry { shadowed, ..InstanceEntry::clone(&old) };
            self.put(Some(old), Some(entry));
            return Ok(());
        }
        let successor = old.shadowed.first().map(|registration| {
            // What others added stays with the instance; what its origin brought goes with it.
            let kept: Few<_> = old.checks.iter().filter(|entry| entry.check.origin != origin).cloned().collect();
            let shadowed: ThinVec<_> = old.shadowed[1..].into();
            let base = Arc::new(InstanceEntry { checks: kept, shadowed, ..InstanceEntry::clone(&old) });
            // What was registered in its name while it was aside stays too.
            let mut registration = Registration { replace_existing_checks: false, ..Registration::clone(registration) };
            // While it was aside, another instance may have taken the ID of one of its checks.
            registration.checks.retain(|check| self.is_free(&node, check));
            self.entry(Some(&base), registration, Results::Kept)
        });
        self.put(Some(old), successor);
        Ok(())
    }

    pub(super) fn replace_origin(
        &mut self,
        node: &NodeName,
        origin: Origin,
        registrations: Vec<Registration>,
    ) -> Result<(), ChangeError> {
        self.node(node)?;
        // Of several with one key the last counts, so that the same list again changes nothing.
        let wanted: BTreeMap<InstanceKey, Registration> =
            registrations.into_iter().map(|wanted| (wanted.instance.key(), wanted)).collect();
        let mut here = self.state.of_origin(node, origin);
        // Where another steps in, it takes the IDs of its checks, which those that only go must have given up before.
        here.sort_by_cached_key(|key| {
            (self.state.instance(key).is_some_and(|entry| !entry.shadowed.is_empty()), key.clone())
        });
        // It is a state, in no order: a check may have moved from one instance to another.
        for key in &here {
            match wanted.get(key) {
                Some(registration) if !registration.replace_existing_checks => {}
                Some(registration) => self.release_checks(key, origin, &registration.checks),
                None => self.release_checks(key, origin, &[]),
            }
        }
        here.iter().filter(|key| !wanted.contains_key(key)).try_for_each(|key| self.deregister(key, origin))?;
        wanted.into_values().try_for_each(|one| self.register(one, Results::Kept))
    }

    /// Takes out the checks that came with an origin's registration of an instance, but for those listed.
    fn release_checks(&mut self, key: &InstanceKey, origin: Origin, listed: &[Check]) {
        let Some(old) = self.state.instance(key).filter(|old| old.instance.origin == origin).cloned() else { return };
        let listed: BTreeSet<_> = listed.iter().map(|check| &check.id).collect();
        let stays = |check: &Check| !is_replaced(check, origin) || listed.contains(&check.id);
        let checks = old.checks.iter().filter(|entry| stays(&entry.check)).cloned().collect();
        let entry = InstanceEntry { checks, ..InstanceEntry::clone(&old) };
        self.put(Some(old), Some(entry));
    }
}

/// The registrations kept aside with this one among them, in place of its origin's earlier one, best first.
fn aside(shadowed: &[Arc<Registration>], mut loser: Registration, results: Results) -> ThinVec<Arc<Registration>> {
    let origin = loser.instance.origin;
    let earlier = shadowed.iter().find(|other| other.instance.origin == origin);
    for check in loser.checks.iter_mut().filter(|_| results == Results::Kept) {
        let at = earlier.and_then(|earlier| earlier.checks.binary_search_by(|other| other.id.cmp(&check.id)).ok());
        if let Some(kept) = at.zip(earlier).map(|(at, earlier)| &earlier.checks[at]) {
            check.keep_result(kept);
        }
    }
    let mut all: Vec<_> = shadowed.iter().filter(|other| other.instance.origin != origin).cloned().collect();
    all.push(Arc::new(loser));
    all.sort_by_key(|registration| registration.instance.origin);
    all.into()
}
