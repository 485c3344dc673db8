//! What a file of definitions holds: services and checks, in Consul's shape.

use std::collections::HashSet;

use super::{
    Decoded, DefinitionError, Owner, Problem, check,
    fields::{Field, Fields, root},
    service,
    tree::{Tree, TreeValue},
};
use crate::catalog::{change::Registration, check::Check};

/// The definitions of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileDefinitions {
    /// The services.
    pub services: Vec<Placed<Registration>>,
    /// The checks that stand by themselves: of a node, or of an instance that they name.
    pub checks: Vec<Placed<Check>>,
}

/// Something with the line that it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The line, from 1.
    pub line: u32,
    /// What stands there.
    pub value: T,
}

/// Reads the definitions of one file: `service` and `check` (an object or a list), `services` and `checks` (a list).
/// Service IDs and check IDs are unique in it.
pub fn file(tree: &Tree, owner: &Owner) -> Result<Decoded<FileDefinitions>, DefinitionError> {
    let fields = Fields::read(&root(tree, ""), &["Service", "Services", "Check", "Checks"])?;
    let mut found = FileDefinitions::default();
    let mut notices = Vec::new();
    let mut ids = HashSet::new();
    for object in objects(&fields, "Service", "Services")? {
        let registration = service::read(&object, owner, &mut notices)?;
        let id = &registration.instance.id;
        if !ids.insert(id.clone()) {
            return Err(object.wrong(Problem::Rule(format!("another service of this file has the ID {id:?}"))));
        }
        found.services.push(Placed { line: object.tree.line, value: registration });
    }
    for object in objects(&fields, "Check", "Checks")? {
        let check = check::read_alone(&object, owner, &mut notices)?;
        found.checks.push(Placed { line: object.tree.line, value: check });
    }
    Ok(Decoded { value: found, notices })
}

/// The objects of the field that takes one or several, and of the field that takes a list.
fn objects<'t>(fields: &Fields<'t>, one: &str, list: &str) -> Result<Vec<Field<'t>>, DefinitionError> {
    let mut objects = match fields.field(one) {
        Some(field) if matches!(field.tree.value, TreeValue::List(_)) => field.items()?,
        Some(field) => vec![field.clone()],
        None => Vec::new(),
    };
    objects.extend(fields.items(list, usize::MAX)?);
    Ok(objects)
}
