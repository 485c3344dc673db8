//! How far etcd was followed, for the journal: told with each change of keys and sessions, and now and then where only what is
//! of nodes changes. So a machine that starts sees whether etcd was wiped or restored meanwhile.
//!
//! **Limits:** what is remembered is 10 s old at most. An etcd that was wiped and has come further by the time that a machine
//! starts is not told from one that went on.

use std::time::{Duration, Instant};

/// Up to which revision all was followed.
#[derive(Debug, Default)]
pub(super) struct Progress {
    followed: u64,
    /// When that is to be told; none if it was.
    due: Option<Instant>,
}

impl Progress {
    /// All is followed up to this revision, of which nobody is told yet.
    pub(super) fn came(&mut self, revision: u64, now: Instant) {
        if revision > self.followed {
            self.followed = revision;
            self.due.get_or_insert(now + TOLD_EVERY);
        }
    }

    /// This revision was told, which may be below the last where etcd went back.
    pub(super) fn told(&mut self, revision: u64) {
        *self = Progress { followed: revision, due: None };
    }

    /// When something is to be told.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What is to be told by now.
    pub(super) fn news(&self, now: Instant) -> Option<u64> {
        self.due.filter(|due| *due <= now).map(|_| self.followed)
    }
}

/// How old what is remembered may be. Source: none, chosen: where only checks change, one more write of the journal in this time.
const TOLD_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_some_time_after_the_first_that_came_and_with_what_came_last() {
        let (mut progress, now) = (Progress::default(), Instant::now());
        assert_eq!(progress.due(), None);
        progress.came(7, now);
        progress.came(9, now + TOLD_EVERY / 2);
        assert_eq!(progress.due(), Some(now + TOLD_EVERY));
        assert_eq!(progress.news(now + TOLD_EVERY / 2), None);
        assert_eq!(progress.news(now + TOLD_EVERY), Some(9));
        progress.told(9);
        progress.came(9, now + TOLD_EVERY);
        assert_eq!(progress.due(), None, "nothing came since");
    }

    #[test]
    fn what_was_told_by_the_way_is_not_told_again_and_may_go_back() {
        let (mut progress, now) = (Progress::default(), Instant::now());
        progress.came(90, now);
        progress.told(91);
        assert_eq!(progress.news(now + TOLD_EVERY), None);
        progress.told(3);
        progress.came(4, now + TOLD_EVERY);
        assert_eq!(progress.news(now + TOLD_EVERY * 2), Some(4));
    }
}
