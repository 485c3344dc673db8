//! Outputs of checks that are written later, because nothing else of their documents changed.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::sources::etcd::layout::Place;

/// Where outputs wait, and until when.
#[derive(Debug, Default)]
pub(super) struct HeldOutputs {
    until: HashMap<Place, Instant>,
    /// The same in order of time, with some that no longer wait.
    queue: VecDeque<(Instant, Place)>,
}

impl HeldOutputs {
    /// Lets what is new at a place wait, unless something waits there already.
    pub(super) fn hold(&mut self, place: &Place, now: Instant) {
        if !self.until.contains_key(place) {
            let until = now + OUTPUT_HOLD;
            self.until.insert(place.clone(), until);
            self.queue.push_back((until, place.clone()));
        }
    }

    /// Nothing waits at a place any more.
    pub(super) fn forget(&mut self, place: &Place) {
        self.until.remove(place);
    }

    /// The places that have waited long enough.
    pub(super) fn release(&mut self, now: Instant) -> BTreeSet<Place> {
        let mut released = BTreeSet::new();
        while self.next().is_some_and(|next| next <= now) {
            let Some((until, place)) = self.queue.pop_front() else { break };
            if self.until.get(&place) == Some(&until) {
                self.until.remove(&place);
                released.insert(place);
            }
        }
        released
    }

    /// When some may have waited long enough.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.front().map(|(until, _)| *until)
    }
}

/// How long outputs wait. Source: Consul's `check_update_interval`.
pub(super) const OUTPUT_HOLD: Duration = Duration::from_secs(5 * 60);
