//! Who held a lock when, and whether ever two did at once.

use std::{collections::BTreeMap, time::Duration};

/// That a client held the lock: from the answer that said so until it began to let go, or until its session may have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub client: String,
    pub session: String,
    pub from: Duration,
    pub to: Duration,
}

/// Two that held the lock at the same time; none if there are no such. One session is one holder, whoever speaks for it.
pub fn two_holders(history: &[Held]) -> Option<(Held, Held)> {
    let mut history: Vec<&Held> = history.iter().filter(|held| held.from < held.to).collect();
    history.sort_by_key(|held| held.from);
    // Of each session, until when it holds: one that began first may last longest.
    let mut last: BTreeMap<&str, &Held> = BTreeMap::new();
    for held in history {
        let other = last.values().find(|other| other.session != held.session && other.to > held.from);
        if let Some(other) = other {
            return Some(((*other).clone(), held.clone()));
        }
        let known = last.entry(&held.session).or_insert(held);
        if known.to < held.to {
            *known = held;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(session: &str, [from, to]: [u64; 2]) -> Held {
        let [from, to] = [from, to].map(Duration::from_millis);
        Held { client: "n1".to_owned(), session: session.to_owned(), from, to }
    }

    #[track_caller]
    fn check(history: &[(&str, [u64; 2])], broken: bool) {
        let mut history: Vec<Held> = history.iter().map(|(session, times)| held(session, *times)).collect();
        assert_eq!(two_holders(&history).is_some(), broken, "{history:?}");
        history.reverse();
        assert_eq!(two_holders(&history).is_some(), broken, "in any order");
    }

    #[test]
    fn two_holders_are_found() {
        check(&[], false);
        check(&[("a", [0, 10]), ("b", [10, 20]), ("a", [20, 30])], false);
        check(&[("a", [0, 10]), ("b", [9, 20])], true);
        check(&[("a", [0, 30]), ("b", [10, 20])], true);
        check(&[("a", [0, 100]), ("a", [10, 20]), ("b", [50, 60])], true);
        check(&[("a", [0, 5]), ("b", [6, 50]), ("c", [51, 52]), ("d", [40, 41])], true);
        // Whose session may have ended before it was told that it holds.
        check(&[("a", [0, 10]), ("b", [9, 8])], false);
        check(&[("a", [0, 10]), ("a", [5, 20])], false);
    }
}
