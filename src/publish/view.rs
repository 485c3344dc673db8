//! The members of a service as one kind of client sees them: all of them, and those with a tag or a named port.
//!
//! A group in which all instances are, each with what it brings to all, is not kept twice: most tags are on every
//! instance, and most named ports are the default one. It gets a copy of its own, which shares its tables, when the
//! first instance makes it differ; that costs O(1).

mod bulk;

use std::sync::Arc;

pub use self::bulk::Kind;
use crate::{
    catalog::table::{Seed, Table},
    publish::{
        label::Key,
        selection::{Entry, Selection},
    },
};

/// The members as one kind of client sees them.
#[derive(Debug, Clone, Default)]
#[repr(C)]
pub struct View {
    /// All eligible ones.
    pub all: Selection,
    groups: Table<Arc<Group>>,
    /// The groups that are kept as `all`: never more than any one instance has tags and ports.
    shared: Option<Arc<[GroupName]>>,
    registered: u32,
    /// How many named ports registered instances have that may follow `_`.
    ports: u32,
}

/// What makes instances a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupKind {
    /// They have a tag.
    Tag,
    /// They have a named port.
    Port,
}

/// A tag or a named port, as a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupName {
    /// Which of the two.
    pub kind: GroupKind,
    /// Its labels.
    pub key: Key,
}

/// A group as a question meets it.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// Its eligible members; there are registered ones.
    Members(&'a Selection),
    /// Nobody has it, but names below it exist.
    Below,
    /// No such name.
    Nothing,
}

/// What one registered instance brings to a view.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// What may be answered; none if it is not eligible.
    pub entry: Option<Entry>,
    /// Its default port's number; 0 if it has none.
    pub port: u16,
    /// Its tags.
    pub tags: Vec<Key>,
    /// Its named ports with their numbers.
    pub ports: Vec<(Key, u16)>,
}

/// A group that came into being or ceased to be.
#[derive(Debug, Clone)]
pub struct GroupChange {
    /// The group.
    pub name: GroupName,
    /// Whether it exists now.
    pub exists: bool,
}

#[derive(Debug, Clone)]
struct Group {
    name: GroupName,
    /// Registered instances in it, eligible or not.
    registered: u32,
    /// Those of them that bring to it just what they bring to all.
    same: u32,
    /// How many groups lie below its name.
    below: u32,
    /// Its eligible members; none if they are all members of the view.
    own: Option<Box<Selection>>,
}

/// What one instance brings to one group.
struct Part {
    entry: Option<Entry>,
    same: bool,
}

impl View {
    /// The members that have a tag or a named port.
    pub fn group(&self, seed: Seed, kind: GroupKind, labels: &[u8]) -> Found<'_> {
        match self.find(seed, kind, labels) {
            Some(group) if group.registered > 0 => Found::Members(group.own.as_deref().unwrap_or(&self.all)),
            Some(_) => Found::Below,
            None => Found::Nothing,
        }
    }

    /// The tags and named ports that any registered instance has.
    pub fn group_names(&self) -> impl Iterator<Item = &GroupName> {
        self.groups.iter().filter(|group| group.registered > 0).map(|group| &group.name)
    }

    /// Whether any registered instance has a named port that may follow `_`.
    pub fn has_ports(&self) -> bool {
        self.ports > 0
    }

    /// Puts what an instance brings now in place of what it brought before; none if it was not, or is no longer,
    /// registered. Costs O(log n) for each of its tags and ports.
    pub fn change(&mut self, seed: Seed, before: Option<&Brought>, after: Option<&Brought>) -> Vec<GroupChange> {
        let all_before = self.all.clone();
        let entry = |brought: Option<&Brought>| brought.and_then(|brought| brought.entry.clone());
        replace(&mut self.all, seed, entry(before), entry(after));
        self.registered = self.registered + u32::from(after.is_some()) - u32::from(before.is_some());
        let touched = group_names(before, after);
        if before.is_none() {
            self.part_others(seed, &touched, &all_before);
        }
        let mut changes = Vec::new();
        for name in touched {
            let parts = [before, after].map(|brought| brought.and_then(|brought| brought.part(&name)));
            changes.extend(self.change_group(seed, name, &all_before, parts));
        }
        changes
    }

    /// Whether all groups have what all have, so that none has members of its own.
    pub fn is_undivided(&self) -> bool {
        self.groups.len() == self.shared.as_ref().map_or(0, |shared| shared.len())
    }

    /// [`View::change`] of a view that is undivided, for an instance whose groups and ports are what they were.
    pub fn flip(&mut self, seed: Seed, before: Option<Entry>, after: Option<Entry>) {
        replace(&mut self.all, seed, before, after);
    }

    /// A new instance makes all groups differ that it is not in.
    fn part_others(&mut self, seed: Seed, touched: &[GroupName], all_before: &Selection) {
        let shared = self.shared.iter().flat_map(|shared| shared.iter());
        let parted: Vec<GroupName> = shared.filter(|name| !touched.contains(name)).cloned().collect();
        for name in parted {
            if let Some(group) = self.find(seed, name.kind, name.key.as_wire()) {
                let group = Group { own: Some(Box::new(all_before.clone())), ..Group::clone(group) };
                self.put(seed, group);
            }
        }
    }

    fn change_group(
        &mut self,
        seed: Seed,
        name: GroupName,
        all_before: &Selection,
        [before, after]: [Option<Part>; 2],
    ) -> Option<GroupChange> {
        let same = |part: &Option<Part>| u32::from(part.as_ref().is_some_and(|part| part.same));
        let mut group = match self.find(seed, name.kind, name.key.as_wire()) {
            // What changes in it changes in all, which it shares.
            Some(group) if group.own.is_none() && same(&before) == 1 && same(&after) == 1 => return None,
            Some(group) => Group::clone(group),
            None => Group::new(name.clone()),
        };
        let existed = group.registered > 0;
        group.registered = group.registered + u32::from(after.is_some()) - u32::from(before.is_some());
        group.same = group.same + same(&after) - same(&before);
        if group.same == self.registered {
            group.own = None;
        } else {
            let own = group.own.get_or_insert_with(|| Box::new(all_before.clone()));
            let entry = |part: Option<Part>| part.and_then(|part| part.entry);
            replace(own, seed, entry(before), entry(after));
        }
        let exists = group.registered > 0;
        self.put(seed, group);
        (exists != existed).then(|| {
            self.count_below(seed, &name, exists);
            if name.kind == GroupKind::Port && name.key.takes_underscore() {
                self.ports = if exists { self.ports + 1 } else { self.ports - 1 };
            }
            GroupChange { name, exists }
        })
    }

    /// Keeps the count of names below each ancestor of a group's name.
    fn count_below(&mut self, seed: Seed, name: &GroupName, exists: bool) {
        for ancestor in name.key.ancestors() {
            let mut group = match self.find(seed, name.kind, ancestor) {
                Some(group) => Group::clone(group),
                None => Group::new(GroupName { kind: name.kind, key: Key::from_wire(ancestor) }),
            };
            group.below = if exists { group.below + 1 } else { group.below - 1 };
            self.put(seed, group);
        }
    }

    fn find(&self, seed: Seed, kind: GroupKind, labels: &[u8]) -> Option<&Arc<Group>> {
        self.groups.get(hash(seed, kind, labels), |group| group.name.is(kind, labels))
    }

    /// Puts a group in, or takes it out if nothing speaks for it any more, and keeps the list of shared ones.
    fn put(&mut self, seed: Seed, group: Group) {
        let name = group.name.clone();
        let hash = hash(seed, name.kind, name.key.as_wire());
        let is = |old: &Arc<Group>| old.name == name;
        let shares = group.own.is_none() && group.registered > 0;
        if group.registered == 0 && group.below == 0 {
            self.groups.remove(hash, is);
        } else {
            self.groups.set(hash, Arc::new(group), is);
        }
        let listed = self.shared.as_ref().is_some_and(|shared| shared.contains(&name));
        if shares != listed {
            let others = self.shared.iter().flat_map(|shared| shared.iter()).filter(|other| **other != name);
            let all: Arc<[GroupName]> = others.cloned().chain(shares.then(|| name.clone())).collect();
            self.shared = (!all.is_empty()).then_some(all);
        }
    }
}

impl GroupName {
    fn is(&self, kind: GroupKind, labels: &[u8]) -> bool {
        self.kind == kind && self.key.as_wire() == labels
    }
}

impl Group {
    fn new(name: GroupName) -> Group {
        Group { name, registered: 0, same: 0, below: 0, own: Some(Box::default()) }
    }
}

impl Brought {
    /// What it brings to a group; none if it is not in it.
    fn part(&self, name: &GroupName) -> Option<Part> {
        match name.kind {
            GroupKind::Tag => self.tags.contains(&name.key).then(|| Part { entry: self.entry.clone(), same: true }),
            GroupKind::Port => {
                let (_, number) = self.ports.iter().find(|(key, _)| *key == name.key)?;
                let mut entry = self.entry.clone();
                if let Some(entry) = &mut entry {
                    entry.member.port = *number;
                }
                Some(Part { entry, same: *number == self.port })
            }
        }
    }
}

/// The groups that an instance was in or is in, each once.
fn group_names(before: Option<&Brought>, after: Option<&Brought>) -> Vec<GroupName> {
    let mut names: Vec<GroupName> = Vec::new();
    for brought in [before, after].into_iter().flatten() {
        let tags = brought.tags.iter().map(|key| (GroupKind::Tag, key));
        for (kind, key) in tags.chain(brought.ports.iter().map(|(key, _)| (GroupKind::Port, key))) {
            if !names.iter().any(|name| name.is(kind, key.as_wire())) {
                names.push(GroupName { kind, key: key.clone() });
            }
        }
    }
    names
}

fn replace(selection: &mut Selection, seed: Seed, before: Option<Entry>, after: Option<Entry>) {
    if before == after {
        return;
    }
    if let Some(before) = before {
        selection.remove(seed, &before);
    }
    if let Some(after) = after {
        selection.insert(seed, &after);
    }
}

fn hash(seed: Seed, kind: GroupKind, labels: &[u8]) -> u32 {
    seed.hash(&(kind, labels))
}
