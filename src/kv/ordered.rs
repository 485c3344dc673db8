//! A persistent map from texts to values, in the order of the texts: a clone costs one reference count, and a change
//! copies only the path to what it changes.
//!
//! | what | cost |
//! |---|---|
//! | find, set, take out | O(log n) |
//! | what has a prefix, in order | O(log n + what is read) |
//! | newest index of all that has a prefix | O(log n) |
//! | take out all that has a prefix | O(log n), and the memory of what is taken out |
//!
//! **Limits:** the costs are those of a tree whose shape is random; the shape comes from seeded hashes, because
//! who writes chooses the texts.
//!
//! **Source:** none; a treap (Seidel and Aragon 1996) whose priorities are hashes.

use std::{cmp::Ordering, sync::Arc};

use crate::catalog::{names::Text, table::Seed};

/// What a map keeps; the newest index of many is known at once.
pub trait Dated: Clone {
    /// Index of its last change.
    fn index(&self) -> u64;
}

/// What has no index.
impl Dated for () {
    fn index(&self) -> u64 {
        0
    }
}

/// An index itself.
impl Dated for u64 {
    fn index(&self) -> u64 {
        *self
    }
}

/// A persistent ordered map.
#[derive(Debug, Clone)]
pub struct Ordered<V: Dated> {
    seed: Seed,
    root: Link<V>,
}

type Link<V> = Option<Arc<Knot<V>>>;

#[derive(Debug, Clone)]
struct Knot<V: Dated> {
    key: Text,
    value: V,
    priority: u32,
    /// How many values are here and below.
    count: usize,
    /// The newest index here and below.
    newest: u64,
    left: Link<V>,
    right: Link<V>,
}

impl<V: Dated> Ordered<V> {
    /// An empty map.
    pub fn new(seed: Seed) -> Ordered<V> {
        Ordered { seed, root: None }
    }

    /// How many values it has.
    pub fn len(&self) -> usize {
        count(&self.root)
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The newest index of all values; 0 if there is none.
    pub fn newest(&self) -> u64 {
        newest(&self.root)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&V> {
        let mut link = &self.root;
        while let Some(knot) = link {
            link = match key.cmp(&knot.key) {
                Ordering::Equal => return Some(&knot.value),
                Ordering::Less => &knot.left,
                Ordering::Greater => &knot.right,
            };
        }
        None
    }

    /// Puts a value in; returns the one before.
    pub fn set(&mut self, key: Text, value: V) -> Option<V> {
        let priority = self.seed.hash(key.as_str());
        set_in(&mut self.root, Knot { newest: value.index(), key, value, priority, count: 1, left: None, right: None })
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        // What is not there is not copied for.
        self.get(key)?;
        remove_in(&mut self.root, key)
    }

    /// Takes all out whose key begins so; returns them as a map of their own.
    pub fn remove_prefix(&mut self, prefix: &str) -> Ordered<V> {
        let (before, rest) = split(self.root.take(), &|key| side(key, prefix) == Ordering::Less);
        let (within, after) = split(rest, &|key| side(key, prefix) == Ordering::Equal);
        self.root = join(before, after);
        Ordered { seed: self.seed, root: within }
    }

    /// All keys with their values, in order.
    pub fn iter(&self) -> Iter<'_, V> {
        self.seek(|_| false)
    }

    /// Those whose key begins so, in order.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a Text, &'a V)> {
        self.seek(move |key| key < prefix).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Those from the first key on for which this does not hold. It must hold for all before it and for none after it.
    pub fn seek(&self, is_before: impl Fn(&str) -> bool) -> Iter<'_, V> {
        let mut way = Vec::new();
        let mut link = &self.root;
        while let Some(knot) = link {
            if is_before(&knot.key) {
                link = &knot.right;
            } else {
                way.push(&**knot);
                link = &knot.left;
            }
        }
        Iter { way }
    }

    /// The newest index of those whose key begins so; 0 if there is none.
    pub fn newest_with_prefix(&self, prefix: &str) -> u64 {
        let mut link = &self.root;
        while let Some(knot) = link {
            link = match side(&knot.key, prefix) {
                Ordering::Less => &knot.right,
                Ordering::Greater => &knot.left,
                Ordering::Equal => {
                    let left = newest_at_end(&knot.left, prefix, Side::Right);
                    let right = newest_at_end(&knot.right, prefix, Side::Left);
                    return knot.value.index().max(left).max(right);
                }
            };
        }
        0
    }
}

/// Values in the order of their keys.
#[derive(Debug, Clone)]
pub struct Iter<'a, V: Dated> {
    /// The next one on top, below it those that follow with what is right of them.
    way: Vec<&'a Knot<V>>,
}

impl<'a, V: Dated> Iterator for Iter<'a, V> {
    type Item = (&'a Text, &'a V);

    fn next(&mut self) -> Option<(&'a Text, &'a V)> {
        let knot = self.way.pop()?;
        let mut link = &knot.right;
        while let Some(next) = link {
            self.way.push(next);
            link = &next.left;
        }
        Some((&knot.key, &knot.value))
    }
}

/// Whether a key stands before, among or behind those that begin so.
fn side(key: &str, prefix: &str) -> Ordering {
    if key.starts_with(prefix) { Ordering::Equal } else { key.cmp(prefix) }
}

/// On which side of a part those lie that have the prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// The newest index of those that have the prefix, which are at one side of this part.
fn newest_at_end<V: Dated>(link: &Link<V>, prefix: &str, at: Side) -> u64 {
    let mut link = link;
    let mut found = 0;
    while let Some(knot) = link {
        let (near, far) = match at {
            Side::Left => (&knot.left, &knot.right),
            Side::Right => (&knot.right, &knot.left),
        };
        if side(&knot.key, prefix) == Ordering::Equal {
            found = found.max(knot.value.index()).max(newest(near));
            link = far;
        } else {
            link = near;
        }
    }
    found
}

fn count<V: Dated>(link: &Link<V>) -> usize {
    link.as_ref().map_or(0, |knot| knot.count)
}

fn newest<V: Dated>(link: &Link<V>) -> u64 {
    link.as_ref().map_or(0, |knot| knot.newest)
}

impl<V: Dated> Knot<V> {
    /// Adds up what is below it anew.
    fn sum_up(&mut self) {
        self.count = 1 + count(&self.left) + count(&self.right);
        self.newest = self.value.index().max(newest(&self.left)).max(newest(&self.right));
    }
}

fn set_in<V: Dated>(link: &mut Link<V>, new: Knot<V>) -> Option<V> {
    let Some(shared) = link else {
        *link = Some(Arc::new(new));
        return None;
    };
    let knot = Arc::make_mut(shared);
    let (old, higher) = match new.key.cmp(&knot.key) {
        Ordering::Equal => (Some(std::mem::replace(&mut knot.value, new.value)), None),
        Ordering::Less => (set_in(&mut knot.left, new), Some(Side::Left)),
        Ordering::Greater => (set_in(&mut knot.right, new), Some(Side::Right)),
    };
    knot.sum_up();
    if let Some(side) = higher {
        lift(link, side);
    }
    old
}

/// Turns the child of this side up if its priority is higher.
fn lift<V: Dated>(link: &mut Link<V>, side: Side) {
    let Some(mut top) = link.take() else { return };
    let child = if side == Side::Left { &top.left } else { &top.right };
    if child.as_ref().is_none_or(|child| child.priority <= top.priority) {
        *link = Some(top);
        return;
    }
    let knot = Arc::make_mut(&mut top);
    let child = if side == Side::Left { knot.left.take() } else { knot.right.take() };
    let Some(mut child) = child else { unreachable!("it was there a moment ago") };
    let raised = Arc::make_mut(&mut child);
    match side {
        Side::Left => knot.left = raised.right.take(),
        Side::Right => knot.right = raised.left.take(),
    }
    knot.sum_up();
    match side {
        Side::Left => raised.right = Some(top),
        Side::Right => raised.left = Some(top),
    }
    raised.sum_up();
    *link = Some(child);
}

/// Takes out a key that is known to be there.
fn remove_in<V: Dated>(link: &mut Link<V>, key: &str) -> Option<V> {
    let knot = Arc::make_mut(link.as_mut()?);
    let old = match key.cmp(&knot.key) {
        Ordering::Less => remove_in(&mut knot.left, key),
        Ordering::Greater => remove_in(&mut knot.right, key),
        Ordering::Equal => {
            let old = knot.value.clone();
            *link = join(knot.left.take(), knot.right.take());
            return Some(old);
        }
    };
    knot.sum_up();
    old
}

/// Two maps as one; all keys of the first stand before those of the second.
fn join<V: Dated>(left: Link<V>, right: Link<V>) -> Link<V> {
    let (mut first, mut second) = match (left, right) {
        (Some(first), Some(second)) => (first, second),
        (one, other) => return one.or(other),
    };
    if first.priority >= second.priority {
        let knot = Arc::make_mut(&mut first);
        knot.right = join(knot.right.take(), Some(second));
        knot.sum_up();
        Some(first)
    } else {
        let knot = Arc::make_mut(&mut second);
        knot.left = join(Some(first), knot.left.take());
        knot.sum_up();
        Some(second)
    }
}

/// One map as two: the first has those for which this holds, which are all before the others.
fn split<V: Dated>(link: Link<V>, is_first: &impl Fn(&str) -> bool) -> (Link<V>, Link<V>) {
    let Some(mut shared) = link else { return (None, None) };
    let knot = Arc::make_mut(&mut shared);
    if is_first(&knot.key) {
        let (first, second) = split(knot.right.take(), is_first);
        knot.right = first;
        knot.sum_up();
        (Some(shared), second)
    } else {
        let (first, second) = split(knot.left.take(), is_first);
        knot.left = second;
        knot.sum_up();
        (first, Some(shared))
    }
}

#[cfg(test)]
#[path = "ordered_tests.rs"]
mod tests;
