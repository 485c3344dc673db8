//! What a change makes of checks.

use std::sync::Arc;

use super::{
    apply::Apply,
    apply_instances::Results,
    change::{ChangeError, Origin},
    check::{Check, CheckKey, CheckResult},
    names::{CheckId, NodeName, ServiceId},
    service::InstanceKey,
    state::{CheckEntry, CheckPlace, InstanceEntry, NodeEntry, State, find_check},
};

impl Apply<'_> {
    /// A check with its indexes, and if so wanted with the status and output that it had; the same one if nothing is new.
    pub(super) fn check_entry(&self, before: Option<&CheckEntry>, mut check: Check, results: Results) -> CheckEntry {
        match before {
            None => CheckEntry { check: Arc::new(check), create_index: self.index, modify_index: self.index },
            Some(before) => {
                if results == Results::Kept {
                    check.keep_result(&before.check);
                }
                if *before.check == check {
                    return before.clone();
                }
                let said_only = Check { output: check.output.clone(), ..Check::clone(&before.check) } == check;
                let modify_index = if said_only { before.modify_index } else { self.index };
                CheckEntry { check: Arc::new(check), create_index: before.create_index, modify_index }
            }
        }
    }

    /// Whether no other instance of the node, nor the node, has a check of this ID.
    pub(super) fn is_free(&self, node: &NodeEntry, check: &Check) -> bool {
        if let Some((found, _)) = self.state.derived_check(node, &check.id) {
            return found.check.service_id == check.service_id;
        }
        let place = node.check_places.get(self.state.seed.hash(&check.id), |place| place.id == check.id);
        place.is_none_or(|place| place.service_id == check.service_id)
    }

    pub(super) fn register_check(&mut self, mut check: Check) -> Result<(), ChangeError> {
        let key = check.key();
        if let Some(id) = &check.service_id
            && let Some(entry) = self.state.instance(&InstanceKey { node: key.node.clone(), id: id.clone() })
        {
            // One spelling in memory.
            check.share_id(&entry.instance.id);
        }
        let node = self.node(&key.node)?;
        if !self.is_free(&node, &check) {
            return Err(ChangeError::CheckElsewhere(key));
        }
        if let Some(owner) =
            self.state.check(&key).map(|before| before.check.origin).filter(|owner| *owner != check.origin)
        {
            return Err(owned_by(&key, owner));
        }
        self.put_check(&key, check.service_id.clone(), Some(check))
    }

    pub(super) fn deregister_check(&mut self, key: &CheckKey, origin: Origin) -> Result<(), ChangeError> {
        let before = self.state.check(key).ok_or_else(|| ChangeError::UnknownCheck(key.clone()))?;
        let owner = before.check.origin;
        if owner != origin {
            return Err(owned_by(key, owner));
        }
        let service_id = before.check.service_id.clone();
        self.put_check(key, service_id, None)
    }

    pub(super) fn instance_maintenance(
        &mut self,
        key: &InstanceKey,
        reason: Option<Arc<str>>,
    ) -> Result<(), ChangeError> {
        self.instance(key)?;
        let node = self.node(&key.node)?;
        let check = reason.map(|reason| Check::maintenance(key, reason));
        let check_key = CheckKey { node: key.node.clone(), id: Check::maintenance_id(&key.id) };
        // An operator may have given that ID to a check of another instance.
        if !self.is_free(&node, &Check::maintenance(key, Arc::from(""))) {
            return Err(ChangeError::CheckElsewhere(check_key));
        }
        self.put_check(&check_key, Some(key.id.clone()), check)
    }

    /// Puts one check in, or takes it out, where it belongs.
    fn put_check(
        &mut self,
        key: &CheckKey,
        service_id: Option<ServiceId>,
        check: Option<Check>,
    ) -> Result<(), ChangeError> {
        let home = service_id.map(|id| self.instance(&InstanceKey { node: key.node.clone(), id })).transpose()?;
        let node = self.node(&key.node)?;
        let checks = home.as_ref().map_or(&node.checks[..], |home| &home.checks);
        let before = find_check(checks, &key.id);
        let after = check.map(|check| self.check_entry(before, check, Results::Kept));
        if before.map(|before| Arc::as_ptr(&before.check)) == after.as_ref().map(|after| Arc::as_ptr(&after.check)) {
            return Ok(());
        }
        let mut all: Vec<_> = checks.iter().filter(|entry| entry.check.id != key.id).cloned().collect();
        all.extend(after);
        all.sort_by(|left, right| left.check.id.cmp(&right.check.id));
        match home {
            Some(old) => {
                let entry = InstanceEntry { checks: all.into(), ..InstanceEntry::clone(&old) };
                self.put(Some(old), Some(entry));
            }
            None => {
                let changed = changed_checks(&node.checks, &all);
                let after = NodeEntry { checks: all.into(), ..NodeEntry::clone(&node) };
                self.put_node_checks((node, after), changed);
            }
        }
        Ok(())
    }

    fn put_node_checks(&mut self, (before, mut after): (Arc<NodeEntry>, NodeEntry), changed: ChangedChecks) {
        if changed.definitions.is_empty() && changed.statuses.is_empty() {
            return;
        }
        let keep_index = changed.output_only;
        for id in &changed.definitions {
            let here = find_check(&after.checks, id).is_some();
            place(&mut after, self.state, id, here.then_some(None));
        }
        self.count_checks(before.checks.len(), after.checks.len());
        self.note_checks(&before.node.name, changed);
        if keep_index {
            self.set_node(Arc::new(after));
        } else {
            self.put_node(Some(before), after);
        }
    }

    pub(super) fn set_status(&mut self, key: &CheckKey, result: &CheckResult) -> Result<(), ChangeError> {
        let found = self.state.check_and_home(key).ok_or_else(|| ChangeError::UnknownCheck(key.clone()))?;
        let (before, home) = (found.0, found.1.cloned());
        let same = before.check.status == result.status && before.check.output == result.output;
        if same || !before.check.takes_results() {
            return Ok(());
        }
        let bumps = before.check.status != result.status;
        let after = CheckEntry {
            check: Arc::new(Check {
                status: result.status,
                output: result.output.clone(),
                ..Check::clone(&before.check)
            }),
            create_index: before.create_index,
            modify_index: if bumps { self.index } else { before.modify_index },
        };
        // Nothing but this is compared: an instance may have very many checks, and each of them flips by itself.
        let changed = ChangedChecks { definitions: Vec::new(), statuses: vec![key.id.clone()], output_only: !bumps };
        let replace = |checks: &mut [CheckEntry]| {
            if let Ok(at) = checks.binary_search_by(|entry| entry.check.id.cmp(&key.id)) {
                checks[at] = after;
            }
        };
        match home {
            Some(old) => {
                let mut entry = InstanceEntry::clone(&old);
                replace(&mut entry.checks);
                self.put_changed((Some(old), Some(entry)), changed);
            }
            None => {
                let before = self.node(&key.node)?;
                let mut entry = NodeEntry::clone(&before);
                replace(Arc::make_mut(&mut entry.checks));
                self.put_node_checks((before, entry), changed);
            }
        }
        Ok(())
    }

    pub(super) fn count_checks(&mut self, before: usize, after: usize) {
        self.state.check_count = self.state.check_count + after - before;
    }

    pub(super) fn note_checks(&mut self, node: &NodeName, changed: ChangedChecks) {
        if !changed.output_only {
            self.state.indexes.checks = self.index;
        }
        let key = |id| CheckKey { node: node.clone(), id };
        self.effects.checks.extend(changed.definitions.into_iter().map(key));
        self.effects.statuses.extend(changed.statuses.into_iter().map(key));
    }
}

fn owned_by(key: &CheckKey, owner: Origin) -> ChangeError {
    ChangeError::OwnedBy { what: format!("check ID {:?}", key.id.as_str()), owner }
}

/// How the checks of one instance or node differ.
pub(super) struct ChangedChecks {
    /// Came, went, or with another definition.
    pub(super) definitions: Vec<CheckId>,
    /// Another status or output, nothing else.
    pub(super) statuses: Vec<CheckId>,
    /// Whether nothing but outputs differ, which nobody waits for.
    pub(super) output_only: bool,
}

/// Compares all checks of one instance or node, both sorted by ID.
pub(super) fn changed_checks(before: &[CheckEntry], after: &[CheckEntry]) -> ChangedChecks {
    let mut changed = ChangedChecks { definitions: Vec::new(), statuses: Vec::new(), output_only: true };
    for old in before {
        match find_check(after, &old.check.id) {
            Some(new) if Arc::ptr_eq(&new.check, &old.check) => {}
            Some(new) => {
                let mut same = Check::clone(&old.check);
                (same.status, same.output) = (new.check.status, new.check.output.clone());
                if same == *new.check {
                    changed.statuses.push(old.check.id.clone());
                    changed.output_only &= old.check.status == new.check.status;
                } else {
                    changed.definitions.push(old.check.id.clone());
                }
            }
            None => changed.definitions.push(old.check.id.clone()),
        }
    }
    let new = after.iter().filter(|new| find_check(before, &new.check.id).is_none());
    changed.definitions.extend(new.map(|new| new.check.id.clone()));
    changed.output_only &= changed.definitions.is_empty();
    changed
}

/// Notes where a check is (none: nowhere any more).
pub(super) fn place(node: &mut NodeEntry, state: &State, id: &CheckId, home: Option<Option<ServiceId>>) {
    let hash = state.seed.hash(id);
    match home.filter(|service_id| !is_derived(id, service_id.as_ref())) {
        Some(service_id) => {
            node.check_places.set(hash, CheckPlace { id: id.clone(), service_id }, |place| place.id == *id);
        }
        None => {
            node.check_places.remove(hash, |place| place.id == *id);
        }
    }
}

/// Whether the ID of an instance's check tells which instance that is.
pub(super) fn is_derived(id: &CheckId, service_id: Option<&ServiceId>) -> bool {
    service_id.is_some_and(|service_id| *id == CheckId::of_service(service_id))
}

/// The checks that came with the registration of the instance itself.
pub(super) fn own_checks(entry: &InstanceEntry) -> impl Iterator<Item = &CheckEntry> {
    let origin = entry.instance.origin;
    entry.checks.iter().filter(move |entry| is_replaced(&entry.check, origin))
}

/// Whether a registration of this origin replaces the check with its own.
pub(super) fn is_replaced(check: &Check, origin: Origin) -> bool {
    check.origin == origin && !check.is_maintenance()
}
