//! Instances taken in all at once.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{Brought, Entry, Group, GroupKind, GroupName, Key, Seed, Selection, Table, View, hash};

/// What instances bring that have equal tags and ports, so that it is found out once.
#[derive(Debug, Clone)]
pub struct Kind {
    /// What each brings, but for its entry.
    pub brought: Brought,
    /// How many registered instances are of it.
    pub registered: u32,
}

impl View {
    /// The view of instances of these kinds, of which those with an entry, given with the place of their kind, are
    /// eligible. It is what following them one by one makes. Costs O(n log n).
    pub fn of(seed: Seed, kinds: &[Kind], entries: Vec<(usize, Entry)>) -> View {
        let registered = kinds.iter().map(|kind| kind.registered).sum();
        let mut groups = counted(kinds);
        let differs = |group: &Group| group.same != registered;
        if groups.values().any(differs) {
            let own = own_entries(kinds, &entries, |name| groups.get(name).is_some_and(differs));
            for group in groups.values_mut().filter(|group| differs(group)) {
                group.own = Some(Box::default());
            }
            for (name, entries) in own {
                if let Some(group) = groups.get_mut(&name) {
                    group.own = Some(Box::new(Selection::of(seed, entries)));
                }
            }
        }
        let shared: Arc<[GroupName]> =
            groups.values().filter(|group| group.own.is_none()).map(|group| group.name.clone()).collect();
        let ports = groups.keys().filter(|name| name.kind == GroupKind::Port && name.key.takes_underscore()).count();
        count_below(&mut groups);
        let hashed = |group: Group| (hash(seed, group.name.kind, group.name.key.as_wire()), Arc::new(group));
        View {
            all: Selection::of(seed, entries.into_iter().map(|(_, entry)| entry).collect()),
            registered,
            groups: Table::of(groups.into_values().map(hashed).collect()),
            ports: ports as u32,
            shared: (!shared.is_empty()).then_some(shared),
        }
    }
}

/// The groups that the kinds are in, all as if they were shared.
fn counted(kinds: &[Kind]) -> HashMap<GroupName, Group> {
    let mut groups = HashMap::new();
    for Kind { brought, registered } in kinds {
        for (name, same) in groups_of(brought) {
            let new = || Group { own: None, ..Group::new(name.clone()) };
            let group = groups.entry(name.clone()).or_insert_with(new);
            group.registered += registered;
            group.same += if same { *registered } else { 0 };
        }
    }
    groups
}

/// The groups that an instance is in, each with whether it brings to it what it brings to all.
fn groups_of(brought: &Brought) -> impl Iterator<Item = (GroupName, bool)> {
    let name = |kind, key: &Key| GroupName { kind, key: key.clone() };
    let tags = brought.tags.iter().map(move |key| (name(GroupKind::Tag, key), true));
    tags.chain(brought.ports.iter().map(move |(key, number)| (name(GroupKind::Port, key), *number == brought.port)))
}

/// What is brought to the groups that have members of their own.
fn own_entries(
    kinds: &[Kind],
    entries: &[(usize, Entry)],
    has_own: impl Fn(&GroupName) -> bool,
) -> HashMap<GroupName, Vec<Entry>> {
    let names = |kind: &Kind| groups_of(&kind.brought).map(|(name, _)| name).filter(&has_own).collect();
    let names: Vec<Vec<GroupName>> = kinds.iter().map(names).collect();
    let mut own: HashMap<GroupName, Vec<Entry>> = HashMap::new();
    for (kind, entry) in entries {
        for name in &names[*kind] {
            let ports = kinds[*kind].brought.ports.iter();
            let number = ports.filter(|_| name.kind == GroupKind::Port).find(|(key, _)| *key == name.key);
            let mut entry = entry.clone();
            if let Some((_, number)) = number {
                entry.member.port = *number;
            }
            match own.get_mut(name) {
                Some(entries) => entries.push(entry),
                None => drop(own.insert(name.clone(), vec![entry])),
            }
        }
    }
    own
}

/// Counts each group at all names above its own.
fn count_below(groups: &mut HashMap<GroupName, Group>) {
    let above = |name: &GroupName| -> Vec<GroupName> {
        name.key.ancestors().map(|key| GroupName { kind: name.kind, key: Key::from_wire(key) }).collect()
    };
    let above: Vec<GroupName> = groups.keys().flat_map(above).collect();
    for name in above {
        groups.entry(name).or_insert_with_key(|name| Group::new(name.clone())).below += 1;
    }
}
