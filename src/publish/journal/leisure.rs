//! Writing what nobody waits for without keeping the processor from those who answer.

use std::time::{Duration, Instant};

use redb::Table;

use crate::publish::journal::{LEISURE_MAX, encode, pending::Pending, store::Ending};

/// Writes the newest results. Calls `rest` after each piece of them, with the time that it took.
pub(super) fn write_results(
    table: &mut Table<'_, &[u8], &[u8]>,
    pending: &Pending,
    rest: impl Fn(Duration),
) -> Result<(), redb::Error> {
    let mut all: Vec<_> = pending.results.iter().collect();
    let mut started = Instant::now();
    // Neighbours share pages, so that a page is visited once.
    in_order(&mut all, |(key, _)| *key, &mut |piece| {
        for (key, newest) in piece {
            let key = encode::check_key(key);
            table.insert(key.as_slice(), encode::result(&key, newest).as_slice())?;
        }
        rest(started.elapsed());
        started = Instant::now();
        Ok(())
    })
}

/// Sorts a list by this key and hands it over in pieces of at most [`PIECE`], of which each is sorted only when it is its turn.
fn in_order<T, K: Ord, E>(
    all: &mut [T],
    key: impl Fn(&T) -> K + Copy,
    each: &mut impl FnMut(&[T]) -> Result<(), E>,
) -> Result<(), E> {
    if all.len() <= PIECE {
        all.sort_unstable_by_key(key);
        return if all.is_empty() { Ok(()) } else { each(all) };
    }
    let middle = all.len() / 2;
    all.select_nth_unstable_by_key(middle, key);
    let (lower, upper) = all.split_at_mut(middle);
    in_order(lower, key, each)?;
    in_order(upper, key, each)
}

/// How long the thread rests between pieces of results that nobody waits for.
///
/// Written in one go, the results of thousands of checks that flip would keep a core that also answers queries from it for
/// longer than an answer may wait.
pub(super) struct Leisure {
    most: Duration,
}

impl Leisure {
    pub(super) fn of(pending: &Pending, ending: Ending) -> Leisure {
        let pieces = u32::try_from(pending.results.len() / PIECE).unwrap_or(u32::MAX);
        let hurries = pending.is_awaited() || ending == Ending::Last;
        Leisure { most: if hurries { Duration::ZERO } else { LEISURE_MAX / pieces.max(1) } }
    }

    /// How long to rest after a piece that took so long.
    pub(super) fn after(&self, spent: Duration) -> Duration {
        self.most.min(spent * REST_FACTOR)
    }
}

/// Most results written between two rests. Source: none, chosen: some 150 us of work, less than a slice of the processor.
const PIECE: usize = 128;

/// So many times as long as it works does the thread rest. Source: none, chosen: a tenth of a core.
const REST_FACTOR: u32 = 9;

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        catalog::{
            check::{CheckKey, CheckResult, CheckStatus},
            names::{CheckId, NodeName},
        },
        publish::{
            feed::{Receipt, Waiting},
            journal::{Batch, Write},
        },
    };

    fn pending(count: usize, awaited: bool) -> Pending {
        let node = NodeName::new("n1").unwrap();
        let result = CheckResult { status: CheckStatus::Passing, output: "".into() };
        let write = |number: usize| Write::CheckStatus {
            key: CheckKey { node: node.clone(), id: CheckId::new(format!("check-{number}")).unwrap() },
            result: result.clone(),
            modify_index: 1,
        };
        let waiting = Waiting::new(oneshot::channel().0, Receipt { index: 1, found: Vec::new() });
        let mut pending = Pending::default();
        pending.take_in(Batch {
            index: 1,
            serial: 1,
            extinction_index: 0,
            writes: (0..count).map(write).collect(),
            acknowledge: awaited.then_some(waiting).into_iter().collect(),
            urgent: awaited,
        });
        pending
    }

    #[test]
    fn pieces_come_in_order_and_none_is_left_out() {
        for count in [0, 1, PIECE, PIECE + 1, 10 * PIECE + 7] {
            // A step that shares no factor with the count reaches every number once, out of order.
            let mut numbers: Vec<usize> = (0..count).map(|at| at * 1_000_003 % count).collect();
            let mut seen = Vec::new();
            in_order(&mut numbers, |number| *number, &mut |piece| {
                assert!(piece.len() <= PIECE && !piece.is_empty());
                seen.extend_from_slice(piece);
                Ok::<(), ()>(())
            })
            .unwrap();
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_is_waited_for_or_stops_does_not_rest() {
        let rests = |count: usize, awaited: bool, ending: Ending| {
            let pending = pending(count, awaited);
            Leisure::of(&pending, ending).after(Duration::from_millis(1))
        };
        assert_eq!(rests(PIECE, false, Ending::More), Duration::from_millis(9));
        assert_eq!(rests(LEISURE_MAX.as_millis() as usize * PIECE, false, Ending::More), Duration::from_millis(1));
        assert_eq!(rests(PIECE, true, Ending::More), Duration::ZERO);
        assert_eq!(rests(PIECE, false, Ending::Last), Duration::ZERO);
    }
}
