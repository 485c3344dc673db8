//! Values by their place in the order of hashes.

use super::{Child, FANOUT, Measured, Table};

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
    /// The child below which the `at`-th value lies, and how many values lie before that child; without a branch that
    /// depends on it. One beyond the last child if there are not so many values.
    fn find(&self, at: usize) -> (usize, usize) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let slot = self.0.iter().map(|end| u32::from(*end <= at)).sum::<u32>() as usize;
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
        let (child, at) = self.root.leaf_of(at);
        child.items().get(at).map(|item| &item.value)
    }

    /// Calls `each` for the values from the `start`-th on, and around, until it says stop; never allocates.
    pub fn each_from(&self, start: usize, each: &mut impl FnMut(&V) -> Walk) -> Walk {
        walk(&self.root, Range { skip: start, take: usize::MAX }, each)?;
        walk(&self.root, Range { skip: 0, take: start }, each)
    }

    /// Reads the `at`-th value and one beside it, so that they are in the cache: see [`Table::touch`].
    pub fn touch_nth(&self, at: usize) -> u32 {
        let (child, at) = self.root.leaf_of(at);
        let hash = |at: usize| child.items().get(at).map_or(0, |item| item.hash);
        hash(at).wrapping_add(hash(at + 2))
    }
}

impl<V: Measured<Ends = Counted>> Child<V> {
    /// The leaf in which the `at`-th value lies, and its place there.
    fn leaf_of(&self, mut at: usize) -> (&Child<V>, usize) {
        let mut child = self;
        while let Child::Inner(inner) = child {
            let (slot, before) = inner.ends.find(at);
            child = inner.children.get(slot).unwrap_or(&Child::Empty);
            at -= before;
        }
        (child, at)
    }
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
