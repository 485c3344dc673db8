//! Values by their place in the order of hashes.

use std::hint::black_box;

use super::{BITS, Child, FANOUT, FOUND_TOGETHER_MAX, Inner, Measured, Table};

/// What an inner node knows of where the values below each child end.
pub trait Ends: Clone + Default + std::fmt::Debug {
    /// There are so many more values below a child, or fewer.
    fn change(&mut self, slot: usize, by: i32);
}

/// Nothing.
impl Ends for () {
    fn change(&mut self, _: usize, _: i32) {}
}

/// For each child how many values lie below it and all before it. It is a cache line, so that what a walk reads of a node is one
/// line and a pointer. Tables that nobody walks do without: what is aligned takes the allocator longer.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
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
        // All are compared, because a search would wait for each read before it knows the next.
        let slot = self.0.iter().map(|end| u32::from(*end <= at)).sum::<u32>() as usize;
        (slot, self.start(slot))
    }

    /// [`Counted::find`] where it is this child, of which only two ends are looked at.
    fn is_at(&self, slot: usize, at: usize) -> Option<(usize, usize)> {
        let (start, end) = (self.start(slot), self.0[slot] as usize);
        (start..end).contains(&at).then_some((slot, start))
    }

    /// How many values lie before a child.
    fn start(&self, slot: usize) -> usize {
        slot.checked_sub(1).map_or(0, |before| self.0[before] as usize)
    }
}

/// Which child of each inner node leads to a place, the root's in the lowest bits. It is a guess: who goes by it looks at each
/// node whether it is right, so that nothing but the time depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trail(u32);

impl Trail {
    /// Where nothing is known.
    pub const NONE: Trail = Trail(0);

    fn note(&mut self, level: u32, slot: usize) {
        self.0 |= (slot as u32).wrapping_shl(level * BITS);
    }

    fn at(self, level: u32) -> usize {
        self.0.wrapping_shr(level * BITS) as usize % FANOUT
    }
}

/// Whether a walk goes on (`Continue`) or stops (`Break`).
pub type Walk = std::ops::ControlFlow<()>;

impl<V: Measured<Ends = Counted>> Table<V> {
    /// The value at a place in the order of hashes.
    pub fn nth(&self, at: usize) -> Option<&V> {
        let way = Way::to(&self.root, at, Trail::NONE);
        way.child.items().get(way.at).map(|item| &item.value)
    }

    /// Calls `each` for the values from the `start`-th on, which is probably found by this trail, and around, until it says
    /// stop; never allocates.
    pub fn each_from(&self, (start, trail): (usize, Trail), each: &mut impl FnMut(&V) -> Walk) -> Walk {
        // Most walks are short and end in the leaf in which they begin, or in one of its neighbours.
        let way = Way::to(&self.root, start, trail);
        let first = way.child.items().get(way.at..).unwrap_or_default();
        first.iter().try_for_each(|item| each(&item.value))?;
        let mut passed = start + first.len();
        for child in way.later_siblings() {
            if let Child::Inner(_) = child {
                break;
            }
            child.items().iter().try_for_each(|item| each(&item.value))?;
            passed += child.items().len();
        }
        walk(&self.root, Range { skip: passed, take: usize::MAX }, each)?;
        walk(&self.root, Range { skip: 0, take: start }, each)
    }

    /// Reads the values at these places of tables, at most [`FOUND_TOGETHER_MAX`], and those after each, so that they are in
    /// the cache: see [`Table::touch`]. It goes down all tables together. Returns the trail to each place, and the number that
    /// must be used.
    pub fn touch_places<'t>(places: impl Iterator<Item = (&'t Table<V>, usize)>) -> ([Trail; FOUND_TOGETHER_MAX], u32)
    where
        V: 't,
    {
        let mut ways = [Way::at(&Child::Empty, 0); FOUND_TOGETHER_MAX];
        let mut trails = [Trail::NONE; FOUND_TOGETHER_MAX];
        let (mut count, mut level) = (0, 0);
        for (way, (table, at)) in ways.iter_mut().zip(places) {
            *way = Way::at(&table.root, at);
            count += 1;
        }
        let ways = &mut ways[..count];
        loop {
            // What a step of each begins with is read of all before any is waited for.
            let first = |way: &Way<'_, V>| if let Child::Inner(inner) = way.child { inner.ends.0[0] } else { 0 };
            black_box(ways.iter().map(first).fold(0, u32::wrapping_add));
            let mut deeper = false;
            for (way, trail) in ways.iter_mut().zip(&mut trails) {
                if let Some(slot) = way.descend(None) {
                    trail.note(level, slot);
                    deeper = true;
                }
            }
            if !deeper {
                break;
            }
            level += 1;
        }
        (trails, ways.iter().map(Way::touch).fold(0, u32::wrapping_add))
    }
}

/// The way down to a value.
struct Way<'t, V: Measured> {
    child: &'t Child<V>,
    /// The place of the value among those below the child.
    at: usize,
    /// The node that the child is of, and which one it is.
    parent: Option<(&'t Inner<V>, usize)>,
}

impl<V: Measured> Clone for Way<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: Measured> Copy for Way<'_, V> {}

impl<'t, V: Measured<Ends = Counted>> Way<'t, V> {
    /// Before the first step.
    fn at(root: &'t Child<V>, at: usize) -> Way<'t, V> {
        Way { child: root, at, parent: None }
    }

    /// All of it: the child is a leaf, or there is no such value.
    fn to(root: &'t Child<V>, at: usize, trail: Trail) -> Way<'t, V> {
        let (mut way, mut level) = (Way::at(root, at), 0);
        while way.descend(Some(trail.at(level))).is_some() {
            level += 1;
        }
        way
    }

    /// Goes one step, probably to this child, and tells to which; none in a leaf.
    fn descend(&mut self, probably: Option<usize>) -> Option<usize> {
        let Child::Inner(inner) = self.child else { return None };
        let guessed = probably.and_then(|slot| inner.ends.is_at(slot, self.at));
        let (slot, before) = guessed.unwrap_or_else(|| inner.ends.find(self.at));
        *self = Way {
            child: inner.children.get(slot).unwrap_or(&Child::Empty),
            at: self.at - before,
            parent: Some((inner, slot)),
        };
        Some(slot)
    }

    /// What comes after the child below the same node.
    fn later_siblings(&self) -> &'t [Child<V>] {
        self.parent.and_then(|(inner, slot)| inner.children.get(slot + 1..)).unwrap_or_default()
    }

    /// Reads the value, and of those after it what [`Table::each_from`] reads if it wants a few.
    fn touch(&self) -> u32 {
        let items = self.child.items();
        let hash = |at: usize| items.get(at).map_or(0, |item| item.hash);
        let read = hash(self.at).wrapping_add(hash(self.at.saturating_add(2)));
        if self.at.saturating_add(2) < items.len() {
            return read;
        }
        let next = self.later_siblings().iter().take(SIBLINGS_TOUCHED_MAX);
        let firsts = next.map(|sibling| sibling.items().first().map_or(0, |item| item.hash));
        firsts.fold(read, u32::wrapping_add)
    }
}

/// Siblings of a leaf that are read ahead. Source: none, chosen: of leaves of three values nearly all walks of three need no more.
const SIBLINGS_TOUCHED_MAX: usize = 2;

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
