//! What all files together define. Pure.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::{Path, PathBuf},
};

use crate::catalog::{
    change::{Origin, Registration},
    check::{Check, CheckKey},
    definition::FileDefinitions,
    names::{CheckId, NodeName, ServiceId},
    state::State,
};

/// All that files define on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Defined {
    /// Instances with their checks, by service ID.
    pub(super) services: BTreeMap<ServiceId, Registration>,
    /// Checks of the node.
    pub(super) node_checks: BTreeMap<CheckId, Check>,
}

/// Something that was left out, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LeftOut {
    pub(super) file: PathBuf,
    pub(super) line: u32,
    pub(super) problem: String,
}

/// Puts the definitions of all files together, in the order of their names: of two with the same ID the first stands.
/// What clashes with what another source has in the catalog is left out too, so that it does not hold up the rest.
pub(super) fn merge<'a>(
    files: impl Iterator<Item = (&'a Path, &'a FileDefinitions)> + Clone,
    catalog: &State,
    node: &NodeName,
) -> (Defined, Vec<LeftOut>) {
    let mut merger =
        Merger { catalog, node, defined: Defined::default(), places: BTreeMap::new(), left_out: Vec::new() };
    for (file, definitions) in files.clone() {
        for placed in &definitions.services {
            merger.service(file, placed.line, &placed.value);
        }
    }
    // After all services, because a check may name one of another file.
    for (file, definitions) in files {
        for placed in &definitions.checks {
            merger.check(file, placed.line, &placed.value);
        }
    }
    (merger.defined, merger.left_out)
}

struct Merger<'a> {
    catalog: &'a State,
    node: &'a NodeName,
    defined: Defined,
    /// The file in which a check ID was seen first.
    places: BTreeMap<CheckId, PathBuf>,
    left_out: Vec<LeftOut>,
}

impl Merger<'_> {
    fn service(&mut self, file: &Path, line: u32, registration: &Registration) {
        let id = &registration.instance.id;
        if self.defined.services.contains_key(id) {
            return self.leave_out(file, line, format!("service ID {id:?} is defined in another file already"));
        }
        let mut kept = Registration { replace_existing_checks: true, ..registration.clone() };
        kept.checks.retain(|check| match self.take_id(file, check) {
            Ok(()) => true,
            Err(problem) => {
                self.leave_out(file, line, problem);
                false
            }
        });
        self.defined.services.insert(id.clone(), kept);
    }

    fn check(&mut self, file: &Path, line: u32, check: &Check) {
        if let Some(id) = check.service_id.as_ref().filter(|id| !self.defined.services.contains_key(*id)) {
            let problem = format!("check ID {:?} names service ID {id:?}, which no file defines", check.id);
            return self.leave_out(file, line, problem);
        }
        if let Err(problem) = self.take_id(file, check) {
            return self.leave_out(file, line, problem);
        }
        match &check.service_id {
            Some(id) => {
                if let Some(service) = self.defined.services.get_mut(id) {
                    service.checks.push(check.clone());
                }
            }
            None => {
                self.defined.node_checks.insert(check.id.clone(), check.clone());
            }
        }
    }

    /// Takes a check's ID, or says who has it.
    fn take_id(&mut self, file: &Path, check: &Check) -> Result<(), String> {
        let key = CheckKey { node: self.node.clone(), id: check.id.clone() };
        if let Some(other) = self.catalog.check(&key).filter(|other| other.check.origin != Origin::File) {
            let same_instance = check.service_id.is_some() && other.check.service_id == check.service_id;
            if !same_instance {
                return Err(format!("check ID {:?} was registered by the {} source", check.id, other.check.origin));
            }
        }
        match self.places.entry(check.id.clone()) {
            Entry::Vacant(free) => {
                free.insert(file.to_owned());
                Ok(())
            }
            Entry::Occupied(taken) => {
                Err(format!("check ID {:?} is defined in {} already", check.id, taken.get().display()))
            }
        }
    }

    fn leave_out(&mut self, file: &Path, line: u32, problem: String) {
        self.left_out.push(LeftOut { file: file.to_owned(), line, problem });
    }
}
