//! A persistent hash table: a clone costs one reference count, and a change copies only the path to what it
//! changes, in time and memory O(log n).
//!
//! Values carry their own key; the caller hands in the hash (see [`Seed`]) and what tells the wanted value from
//! others of the same hash. Values lie in the order of their hashes whatever the order of insertion was, so a
//! table is a fixed permutation of its values; every inner node knows the [`Measured::Measure`] of what lies below
//! each child, and where its values end ([`Measured::Ends`]), so a choice by weight and the n-th value cost O(log n) too.
//!
//! **Limits:** values of equal 32-bit hash share one leaf, which is searched one by one; hence the seed.
//!
//! **Source:** none; a hash array mapped trie (Bagwell 2001) with wide leaves.

mod bulk;

use std::{
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use foldhash::fast::FixedState;

mod places;
mod together;

pub use places::{Counted, Ends, Trail, Walk};
pub use together::{CHOSEN_TOGETHER_MAX, FOUND_TOGETHER_MAX};

/// What a table adds up over its values, for choosing among them.
pub trait Measured: Clone {
    /// The sum of any number of values.
    type Measure: Copy + Default + std::fmt::Debug;

    /// Whether inner nodes know where values stand: [`Counted`], or `()` for tables that nobody asks for the n-th value.
    type Ends: Ends;

    /// Most values in a leaf. Source: none, chosen: most services have fewer instances, and then one leaf each; a leaf that
    /// splits leaves one value in each of its parts.
    const LEAF_MAX: usize = 32;

    /// What this value contributes.
    fn measure(&self) -> Self::Measure;

    /// The sum of two sums.
    fn combine(left: Self::Measure, right: Self::Measure) -> Self::Measure;
}

/// A value of which nothing is added up.
pub trait Unmeasured: Clone {}

impl<T: ?Sized> Unmeasured for Arc<T> {}

impl<T: Unmeasured> Measured for T {
    type Measure = ();
    type Ends = ();

    fn measure(&self) {}

    fn combine((): (), (): ()) {}
}

/// Seed of all hashes in a catalog; random, because registrants choose names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The hash that tables want for a key.
    pub fn hash<K: Hash + ?Sized>(self, key: &K) -> u32 {
        (FixedState::with_seed(self.0).hash_one(key) >> 32) as u32
    }
}

/// A persistent hash table of values that carry their key.
#[derive(Debug, Clone)]
pub struct Table<V: Measured> {
    root: Child<V>,
    len: usize,
}

impl<V: Measured> Default for Table<V> {
    fn default() -> Table<V> {
        Table::EMPTY
    }
}

impl<V: Measured> Table<V> {
    /// A table without values.
    pub const EMPTY: Table<V> = Table { root: Child::Empty, len: 0 };

    /// How many values it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of this hash that `is` accepts.
    pub fn get(&self, hash: u32, is: impl Fn(&V) -> bool) -> Option<&V> {
        let mut child = &self.root;
        let mut shift = 0;
        loop {
            match child {
                Child::Empty => return None,
                Child::Inner(inner) => {
                    child = &inner.children[slot(hash, shift)];
                    shift += BITS;
                }
                Child::Leaf(items) => {
                    return items.iter().find(|item| item.hash == hash && is(&item.value)).map(|item| &item.value);
                }
            }
        }
    }

    /// All values of which the hash begins with the first `bits` of this one, in the order of their hashes; never
    /// allocates.
    pub fn with_prefix(&self, hash: u32, bits: u32) -> impl Iterator<Item = &V> {
        let mut child = &self.root;
        let mut shift = 0;
        while let Child::Inner(inner) = child
            && shift + BITS <= bits
        {
            child = &inner.children[slot(hash, shift)];
            shift += BITS;
        }
        let begins = move |other: u32| (other ^ hash).checked_shr(HASH_BITS - bits).unwrap_or(0) == 0;
        Iter::over(child).items().filter(move |item| begins(item.hash)).map(|item| &item.value)
    }

    /// Puts the value in, in place of the one that `is` accepts, which is returned.
    pub fn set(&mut self, hash: u32, value: V, is: impl Fn(&V) -> bool) -> Option<V> {
        let old = set_in(&mut self.root, 0, Item { hash, value }, &is);
        self.len += usize::from(old.is_none());
        old
    }

    /// Changes the value of this hash that `is` accepts where it lies, and tells what `edit` told; none if there is none.
    pub fn edit<R>(&mut self, hash: u32, is: impl Fn(&V) -> bool, edit: impl FnOnce(&mut V) -> R) -> Option<R> {
        edit_in(&mut self.root, 0, (hash, &is), edit)
    }

    /// Takes out the value of this hash that `is` accepts.
    pub fn remove(&mut self, hash: u32, is: impl Fn(&V) -> bool) -> Option<V> {
        self.get(hash, &is)?;
        let old = remove_in(&mut self.root, 0, hash, &is);
        self.len -= usize::from(old.is_some());
        old
    }

    /// All values, in the order of their hashes.
    pub fn iter(&self) -> Iter<'_, V> {
        Iter::over(&self.root)
    }

    /// The sum over all values.
    pub fn measure(&self) -> V::Measure {
        self.root.measure()
    }
}

#[derive(Debug, Clone)]
struct Item<V> {
    hash: u32,
    value: V,
}

#[derive(Debug)]
enum Child<V: Measured> {
    Empty,
    Inner(Arc<Inner<V>>),
    Leaf(Arc<[Item<V>]>),
}

#[derive(Debug, Clone)]
#[repr(C)]
struct Inner<V: Measured> {
    ends: V::Ends,
    children: [Child<V>; FANOUT],
    measures: [V::Measure; FANOUT],
    /// The sum of them.
    measure: V::Measure,
}

impl<V: Measured> Inner<V> {
    fn new() -> Inner<V> {
        Inner {
            children: [const { Child::Empty }; FANOUT],
            measures: [V::Measure::default(); FANOUT],
            measure: V::Measure::default(),
            ends: V::Ends::default(),
        }
    }

    /// Puts a child with so many values where there was none.
    fn put(&mut self, slot: usize, child: Child<V>, count: usize) {
        self.children[slot] = child;
        self.changed(slot, count as i32);
    }

    /// Notes that there is another child, with so many more values below it, or fewer.
    fn changed(&mut self, slot: usize, by: i32) {
        self.measures[slot] = self.children[slot].measure();
        self.measure = self.measures.iter().copied().fold(V::Measure::default(), V::combine);
        self.ends.change(slot, by);
    }
}

impl<V: Measured> Clone for Child<V> {
    fn clone(&self) -> Child<V> {
        match self {
            Child::Empty => Child::Empty,
            Child::Inner(inner) => Child::Inner(Arc::clone(inner)),
            Child::Leaf(items) => Child::Leaf(Arc::clone(items)),
        }
    }
}

impl<V: Measured> Child<V> {
    fn measure(&self) -> V::Measure {
        match self {
            Child::Empty => V::Measure::default(),
            Child::Inner(inner) => inner.measure,
            Child::Leaf(items) => items.iter().map(|item| item.value.measure()).fold(V::Measure::default(), V::combine),
        }
    }
}

/// Which child of an inner node leads to the hash: its highest bits first, so that leaves lie in hash order.
fn slot(hash: u32, shift: u32) -> usize {
    (hash << shift >> (HASH_BITS - BITS)) as usize
}

fn set_in<V: Measured>(child: &mut Child<V>, shift: u32, item: Item<V>, is: &impl Fn(&V) -> bool) -> Option<V> {
    match child {
        Child::Empty => {
            *child = Child::Leaf(Arc::from([item]));
            None
        }
        Child::Inner(inner) => {
            let inner = Arc::make_mut(inner);
            let slot = slot(item.hash, shift);
            let old = set_in(&mut inner.children[slot], shift + BITS, item, is);
            inner.changed(slot, i32::from(old.is_none()));
            old
        }
        Child::Leaf(items) => {
            if let Some(at) = items.iter().position(|old| old.hash == item.hash && is(&old.value)) {
                // One copy if a snapshot shares the leaf, none if not.
                return Some(std::mem::replace(&mut Arc::make_mut(items)[at], item).value);
            }
            let at = items.partition_point(|old| old.hash <= item.hash);
            let all: Arc<[Item<V>]> =
                items[..at].iter().cloned().chain(std::iter::once(item)).chain(items[at..].iter().cloned()).collect();
            *child = if all.len() > V::LEAF_MAX && shift < HASH_BITS { split(&all, shift) } else { Child::Leaf(all) };
            None
        }
    }
}

fn edit_in<V: Measured, R>(
    child: &mut Child<V>,
    shift: u32,
    (hash, is): (u32, &impl Fn(&V) -> bool),
    edit: impl FnOnce(&mut V) -> R,
) -> Option<R> {
    match child {
        Child::Empty => None,
        Child::Inner(inner) => {
            let slot = slot(hash, shift);
            let inner = Arc::make_mut(inner);
            let told = edit_in(&mut inner.children[slot], shift + BITS, (hash, is), edit);
            inner.changed(slot, 0);
            told
        }
        Child::Leaf(items) => {
            let at = items.iter().position(|item| item.hash == hash && is(&item.value))?;
            Some(edit(&mut Arc::make_mut(items)[at].value))
        }
    }
}

/// An inner node over the items, which are in hash order.
fn split<V: Measured>(items: &[Item<V>], shift: u32) -> Child<V> {
    let mut inner = Inner::new();
    for run in items.chunk_by(|left, right| slot(left.hash, shift) == slot(right.hash, shift)) {
        let slot = slot(run[0].hash, shift);
        let below = shift + BITS;
        let child =
            if run.len() > V::LEAF_MAX && below < HASH_BITS { split(run, below) } else { Child::Leaf(Arc::from(run)) };
        inner.put(slot, child, run.len());
    }
    Child::Inner(Arc::new(inner))
}

/// Takes out a value that is known to be there.
fn remove_in<V: Measured>(child: &mut Child<V>, shift: u32, hash: u32, is: &impl Fn(&V) -> bool) -> Option<V> {
    match child {
        Child::Empty => None,
        Child::Leaf(items) => {
            let at = items.iter().position(|old| old.hash == hash && is(&old.value))?;
            let old = items[at].value.clone();
            *child = if items.len() == 1 {
                Child::Empty
            } else {
                Child::Leaf(items[..at].iter().chain(&items[at + 1..]).cloned().collect())
            };
            Some(old)
        }
        Child::Inner(inner) => {
            let inner = Arc::make_mut(inner);
            let slot = slot(hash, shift);
            let old = remove_in(&mut inner.children[slot], shift + BITS, hash, is);
            inner.changed(slot, -i32::from(old.is_some()));
            if let Some(leaf) = joined(inner) {
                *child = leaf;
            }
            old
        }
    }
}

/// One leaf in place of an inner node whose leaves hold few values together; half of what makes a leaf split, so
/// that a value that comes and goes does not split and join each time.
fn joined<V: Measured>(inner: &Inner<V>) -> Option<Child<V>> {
    let mut count = 0;
    for child in &inner.children {
        match child {
            Child::Empty => {}
            Child::Inner(_) => return None,
            Child::Leaf(items) => count += items.len(),
        }
    }
    if count > V::LEAF_MAX / 2 {
        return None;
    }
    let items = inner.children.iter().flat_map(|child| match child {
        Child::Leaf(items) => &items[..],
        _ => &[],
    });
    Some(if count == 0 { Child::Empty } else { Child::Leaf(items.cloned().collect()) })
}

/// All values of a table.
#[derive(Debug, Clone)]
pub struct Iter<'a, V: Measured> {
    /// The nodes on the way to where it is, each with the children that are left.
    stack: [std::slice::Iter<'a, Child<V>>; LEVELS],
    depth: usize,
    items: std::slice::Iter<'a, Item<V>>,
}

impl<'a, V: Measured> Iter<'a, V> {
    fn over(child: &'a Child<V>) -> Iter<'a, V> {
        let mut stack = [const { [].as_slice() }; LEVELS].map(<[Child<V>]>::iter);
        stack[0] = std::slice::from_ref(child).iter();
        Iter { stack, depth: 1, items: [].iter() }
    }

    fn items(mut self) -> impl Iterator<Item = &'a Item<V>> {
        std::iter::from_fn(move || self.next_item())
    }

    fn next_item(&mut self) -> Option<&'a Item<V>> {
        loop {
            if let Some(item) = self.items.next() {
                return Some(item);
            }
            let top = self.depth.checked_sub(1)?;
            match self.stack[top].next() {
                None => self.depth = top,
                Some(Child::Empty) => {}
                Some(Child::Inner(inner)) => {
                    self.stack[self.depth] = inner.children.iter();
                    self.depth += 1;
                }
                Some(Child::Leaf(items)) => self.items = items.iter(),
            }
        }
    }
}

impl<'a, V: Measured> Iterator for Iter<'a, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        self.next_item().map(|item| &item.value)
    }
}

/// Bits of a hash. Source: none, chosen: a million values seldom meet in 32 bits.
const HASH_BITS: u32 = 32;

/// Bits of the hash that one level takes. Source: none, chosen: divides [`HASH_BITS`]; a change copies 16 pointers a level.
const BITS: u32 = 4;

/// Most nodes from the root to a leaf.
const LEVELS: usize = 1 + (HASH_BITS / BITS) as usize;

/// Children of an inner node.
const FANOUT: usize = 1 << BITS;

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
