//! Values by their place in the order of hashes.

use std::hint::black_box;

use super::{Child, FANOUT, FOUND_TOGETHER_MAX, Measured, Table};

/// What an inner node knows of where the values below each child end.
pub trait Ends: Clone + Default + std::fmt::Debug {
    /// There are so many more values below a child, or fewer.
    fn change(&mut self, slot: usize, by: i32);
}

/// Nothing.
impl Ends for () {
    fn change(&mut self, _: usize, _: i32) {}
}

/// For each child how many values lie below it and all before it.
#[derive(Debug, Clone, Default)]
pub struct Counted([u32; FANOUT]);

impl Ends for Counted {
    fn change(&mut self, slot: usize, by: i32) {
        for end in &mut self.0[slot..] {
            *end = end.wrapping_add_signed(by);
        }
    }
}

impl Counted {
    /// The child below which the `at`-th value lies, and how many values lie before that child. One beyond the last child
    /// if there are not so many values.
    fn find(&self, at: usize) -> (usize, usize) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let slot = self.0.partition_point(|end| *end <= at);
        (slot, self.start(slot))
    }

    /// How many values lie before a child.
    fn start(&self, slot: usize) -> usize {
        slot.checked_sub(1).map_or(0, |before| self.0[before] as usize)
    }
}

/// Whether a walk goes on (`Continue`) or stops (`Break`).
pub type Walk = std::ops::ControlFlow<()>;

impl<V: Measured<Ends = Counted>> Table<V> {
    /// The value at a place in the order of hashes.
    pub fn nth(&self, at: usize) -> Option<&V> {
        let mut way = (&self.root, at);
        while descend(&mut way) {}
        way.0.items().get(way.1).map(|item| &item.value)
    }

    /// Calls `each` for the values from the `start`-th on, and around, until it says stop; never allocates.
    pub fn each_from(&self, start: usize, each: &mut impl FnMut(&V) -> Walk) -> Walk {
        // Most walks are short and end in the leaf in which they begin.
        let mut way = (&self.root, start);
        while descend(&mut way) {}
        let first = way.0.items().get(way.1..).unwrap_or_default();
        first.iter().try_for_each(|item| each(&item.value))?;
        walk(&self.root, Range { skip: start + first.len(), take: usize::MAX }, each)?;
        walk(&self.root, Range { skip: 0, take: start }, each)
    }

    /// Reads the values at these places of tables, at most [`FOUND_TOGETHER_MAX`], and one beside each, so that they are in
    /// the cache: see [`Table::touch`]. It goes down all tables together.
    pub fn touch_places<'t>(places: impl Iterator<Item = (&'t Table<V>, usize)>) -> u32
    where
        V: 't,
    {
        let mut ways = [(&Child::Empty, 0); FOUND_TOGETHER_MAX];
        let mut count = 0;
        for (way, (table, at)) in ways.iter_mut().zip(places) {
            *way = (&table.root, at);
            count += 1;
        }
        loop {
            // What a step of each begins with is read of all before any is waited for.
            let first = |way: &(&Child<V>, usize)| if let Child::Inner(inner) = way.0 { inner.ends.0[0] } else { 0 };
            black_box(ways[..count].iter().map(first).fold(0, u32::wrapping_add));
            if !ways[..count].iter_mut().fold(false, |deeper, way| descend(way) | deeper) {
                break;
            }
        }
        let hash = |child: &Child<V>, at: usize| child.items().get(at).map_or(0, |item| item.hash);
        let read =
            ways[..count].iter().map(|(child, at)| hash(child, *at).wrapping_add(hash(child, at.saturating_add(2))));
        read.fold(0, u32::wrapping_add)
    }
}

/// Goes one step towards the value at a place below a child; false in a leaf.
fn descend<V: Measured<Ends = Counted>>(way: &mut (&Child<V>, usize)) -> bool {
    let Child::Inner(inner) = way.0 else { return false };
    let (slot, before) = inner.ends.find(way.1);
    *way = (inner.children.get(slot).unwrap_or(&Child::Empty), way.1 - before);
    true
}

/// Which values of a walk are wanted: the first are passed over, and then so many visited.
struct Range {
    skip: usize,
    take: usize,
}

fn walk<V: Measured<Ends = Counted>>(child: &Child<V>, range: Range, each: &mut impl FnMut(&V) -> Walk) -> Walk {
    let Range { skip, mut take } = range;
    match child {
        Child::Empty => Walk::Continue(()),
        Child::Leaf(items) => items.iter().skip(skip).take(take).try_for_each(|item| each(&item.value)),
        Child::Inner(inner) => {
            let (first, before) = inner.ends.find(skip);
            let mut skip = skip - before;
            for slot in first..FANOUT {
                if take == 0 {
                    break;
                }
                walk(&inner.children[slot], Range { skip, take }, each)?;
                let count = inner.ends.start(slot + 1) - inner.ends.start(slot);
                take -= take.min(count - skip);
                skip = 0;
            }
            Walk::Continue(())
        }
    }
}
