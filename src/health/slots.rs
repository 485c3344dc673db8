//! A table of checks in which each has a number for as long as it stays, so that timers need not repeat its key.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::schedule::Slot;
use crate::catalog::check::CheckKey;

/// Values by check, and by number. A number is given again after its check has left.
#[derive(Debug)]
pub(super) struct Slots<T> {
    /// The numbers, by the keys that their entries have.
    places: HashTable<Slot>,
    hasher: RandomState,
    entries: Vec<Option<(CheckKey, T)>>,
    free: Vec<Slot>,
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { places: HashTable::new(), hasher: RandomState::default(), entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Makes room for so many more checks.
    pub(super) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        let Slots { places, hasher, entries, .. } = self;
        places.reserve(more, |slot| hasher.hash_one(entries[*slot as usize].as_ref().map(|(key, _)| key)));
    }

    /// The number of a check.
    pub(super) fn find(&self, key: &CheckKey) -> Option<Slot> {
        self.places.find(self.hasher.hash_one(Some(key)), is_of(&self.entries, key)).copied()
    }

    /// A check and its value.
    pub(super) fn get(&self, slot: Slot) -> Option<&(CheckKey, T)> {
        self.entries.get(slot as usize)?.as_ref()
    }

    /// A check and its value, to be changed.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut (CheckKey, T)> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// All checks and their values, by their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &(CheckKey, T))> {
        self.entries.iter().zip(0..).filter_map(|(entry, slot)| Some((slot, entry.as_ref()?)))
    }

    /// Puts a check in, in place of what it had. Returns its number.
    pub(super) fn set(&mut self, key: &CheckKey, value: T) -> Slot {
        if let Some(slot) = self.find(key) {
            self.entries[slot as usize] = Some((key.clone(), value));
            return slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            Slot::try_from(self.entries.len() - 1).expect("fewer checks than 4 thousand million fit into memory")
        });
        self.entries[slot as usize] = Some((key.clone(), value));
        let Slots { places, hasher, entries, .. } = self;
        let rehash = |slot: &Slot| hasher.hash_one(entries[*slot as usize].as_ref().map(|(key, _)| key));
        places.insert_unique(hasher.hash_one(Some(key)), slot, rehash);
        slot
    }

    /// Takes a check out. Returns the number that it had, and its value.
    pub(super) fn remove(&mut self, key: &CheckKey) -> Option<(Slot, T)> {
        let found = self.places.find_entry(self.hasher.hash_one(Some(key)), is_of(&self.entries, key));
        let (slot, _) = found.ok()?.remove();
        let (_, value) = self.entries.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some((slot, value))
    }

    /// How many checks there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

/// Whether a number is that of this check.
fn is_of<T>(entries: &[Option<(CheckKey, T)>], key: &CheckKey) -> impl Fn(&Slot) -> bool {
    move |slot| entries[*slot as usize].as_ref().is_some_and(|(other, _)| other == key)
}
