//! Look-ups that go down a table together, so that they wait for memory once and not one after the other.
//!
//! A look-up in a large table is a chain of reads each of which needs the one before; most of its time is waiting. Several
//! chains do not need each other, so a core that is given a step of each in turn has all their reads on the way at once.

use std::hint::black_box;

use super::{BITS, Child, Item, Measured, Table, slot};

impl<V: Measured> Table<V> {
    /// The value in which the running sum of `part` passes `target`, and that sum of all values before it; none if the
    /// whole sum does not exceed the target.
    pub fn choose(&self, target: u64, part: impl Fn(V::Measure) -> u64) -> Option<(&V, u64)> {
        let mut chosen = None;
        self.choose_all(&[target], part, |one| chosen = one);
        chosen
    }

    /// [`Table::choose`] for at most [`CHOSEN_TOGETHER_MAX`] targets, in their order.
    pub fn choose_all<'t>(
        &'t self,
        targets: &[u64],
        part: impl Fn(V::Measure) -> u64,
        mut chosen: impl FnMut(Option<(&'t V, u64)>),
    ) {
        let mut ways = [(&self.root, 0); CHOSEN_TOGETHER_MAX];
        let ways = &mut ways[..targets.len()];
        for (way, target) in ways.iter_mut().zip(targets) {
            way.1 = *target;
        }
        let mut deeper = true;
        while std::mem::take(&mut deeper) {
            for (child, left) in ways.iter_mut() {
                if let Child::Inner(inner) = *child {
                    let (slot, before) = passed(inner.measures.iter().copied(), &part, *left);
                    *child = inner.children.get(slot).unwrap_or(&Child::Empty);
                    *left -= before;
                    deeper = true;
                }
            }
        }
        for ((child, left), target) in ways.iter().zip(targets) {
            let items = child.items();
            let (at, before) = passed(items.iter().map(|item| item.value.measure()), &part, *left);
            chosen(items.get(at).map(|item| (&item.value, target - left + before)));
        }
    }

    /// The first value of each of these hashes, if there is one; at most [`FOUND_TOGETHER_MAX`], in their order.
    pub fn find_all<'t>(&'t self, hashes: &[u32], mut found: impl FnMut(Option<&'t V>)) {
        let mut ways = [&self.root; FOUND_TOGETHER_MAX];
        let ways = &mut ways[..hashes.len()];
        let (mut deeper, mut shift) = (true, 0);
        while std::mem::take(&mut deeper) {
            for (child, hash) in ways.iter_mut().zip(hashes) {
                if let Child::Inner(inner) = *child {
                    *child = &inner.children[slot(*hash, shift)];
                    deeper = true;
                }
            }
            shift += BITS;
        }
        // A search ends by what it reads; so that none has to wait for that, all is read before.
        black_box(ways.iter().map(|child| child.touch(1)).fold(0, u32::wrapping_add));
        for (child, hash) in ways.iter().zip(hashes) {
            found(child.items().iter().find(|item| item.hash == *hash).map(|item| &item.value));
        }
    }

    /// All values, in the order of their hashes, if they are so few that they lie side by side.
    pub fn few(&self) -> Option<impl ExactSizeIterator<Item = &V>> {
        let Child::Leaf(items) = &self.root else { return None };
        Some(items.iter().map(|item| &item.value))
    }

    /// Reads from what a small table has, so that it is in the cache. The number that it returns must be used at last,
    /// or there is nothing to be read; who does not use it at once does not wait either.
    pub fn touch(&self) -> u32 {
        self.root.touch(TOUCHED_LINES_MAX)
    }
}

impl<V: Measured> Child<V> {
    /// The values of a leaf.
    pub(super) fn items(&self) -> &[Item<V>] {
        if let Child::Leaf(items) = self { items } else { &[] }
    }

    /// Reads from up to so many cache lines of a leaf.
    fn touch(&self, lines: usize) -> u32 {
        let step = LINE_BYTES.div_ceil(size_of::<Item<V>>());
        self.items().iter().step_by(step).take(lines).map(|item| item.hash).fold(0, u32::wrapping_add)
    }
}

/// How many of the sums `target` passes, and what they add up to; without a branch that depends on it.
/// What all parts add up to must fit.
fn passed<M>(measures: impl Iterator<Item = M>, part: impl Fn(M) -> u64, target: u64) -> (usize, u64) {
    let (mut count, mut before, mut sum) = (0, 0, 0_u64);
    for measure in measures {
        sum = sum.wrapping_add(part(measure));
        let is_passed = sum <= target;
        count += usize::from(is_passed);
        before = if is_passed { sum } else { before };
    }
    (count, before)
}

/// Most values chosen together. Source: none, chosen: as many reads as a core has on the way at once.
pub const CHOSEN_TOGETHER_MAX: usize = 16;

/// Most values looked up together. Source: none, chosen: more reads than a core has on the way at once, and not so many that
/// the first are gone from the smallest cache when the last are there.
pub const FOUND_TOGETHER_MAX: usize = 32;

/// Bytes of a cache line, on nearly all machines.
const LINE_BYTES: usize = 64;

/// Most lines that [`Table::touch`] reads. Source: none, chosen: a leaf of ten members.
const TOUCHED_LINES_MAX: usize = 8;
