//! How many forwards may be in flight, in all and for one client.

use std::{net::IpAddr, sync::Arc};

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts forwards in flight.
pub(super) struct Slots {
    all: Arc<Semaphore>,
    clients: DashMap<IpAddr, usize>,
}

/// The right to one forward; given back when dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    client: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// At most `max` in all.
    pub(super) fn new(max: usize) -> Arc<Slots> {
        Arc::new(Slots { all: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))), clients: DashMap::new() })
    }

    /// A slot for `client`, unless all are taken or the client has `client_max` already.
    pub(super) fn take(self: &Arc<Slots>, client: IpAddr, client_max: usize) -> Option<Slot> {
        let client = client.to_canonical();
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut taken = self.clients.entry(client).or_insert(0);
        if *taken >= client_max.max(1) {
            return None;
        }
        *taken += 1;
        drop(taken);
        Some(Slot { slots: Arc::clone(self), client, _permit: permit })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(mut taken) = self.slots.clients.get_mut(&self.client) {
            *taken = taken.saturating_sub(1);
        }
        self.slots.clients.remove_if(&self.client, |_, taken| *taken == 0);
    }
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
