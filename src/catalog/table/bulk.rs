//! A table made of all its values at once: what a start is made of, where putting them in one by one copies each leaf
//! again and again.

use std::vec::IntoIter;

use super::{BITS, Child, FANOUT, HASH_BITS, Inner, Item, Measured, Table, slot};

impl<V: Measured> Table<V> {
    /// The table of these values, each with its hash. It is the one that putting them in one by one makes, if none is
    /// put in place of another: that is for the caller to see to. Costs O(n log n); no value is cloned.
    pub fn of(mut values: Vec<(u32, V)>) -> Table<V> {
        // Stable, because values of one hash lie in the order in which they came.
        values.sort_by_key(|(hash, _)| *hash);
        let len = values.len();
        Table { root: child(&mut values.into_iter(), len, 0), len }
    }
}

/// What holds the next so many of the values, which are in hash order.
fn child<V: Measured>(values: &mut IntoIter<(u32, V)>, count: usize, shift: u32) -> Child<V> {
    if count == 0 {
        return Child::Empty;
    }
    if count <= V::LEAF_MAX || shift >= HASH_BITS {
        return Child::Leaf(values.take(count).map(|(hash, value)| Item { hash, value }).collect());
    }
    let mut inner = Inner::new();
    let mut left = count;
    for at in 0..FANOUT {
        let here = values.as_slice()[..left].partition_point(|(hash, _)| slot(*hash, shift) <= at);
        inner.put(at, child(values, here, shift + BITS), here);
        left -= here;
    }
    Child::Inner(inner.into())
}
