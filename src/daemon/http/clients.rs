//! How many connections each client address has.

use std::{net::IpAddr, sync::Arc};

use dashmap::{DashMap, Entry};

/// The clients that have connections.
#[derive(Debug, Clone)]
pub struct Clients {
    most: u32,
    counts: Arc<DashMap<IpAddr, u32>>,
}

/// One connection of a client; until it is dropped.
#[derive(Debug)]
pub struct Connected {
    address: IpAddr,
    counts: Arc<DashMap<IpAddr, u32>>,
}

impl Clients {
    /// So many connections for each.
    pub fn new(most: u32) -> Clients {
        Clients { most, counts: Arc::default() }
    }

    /// Counts one more, if there may be one more.
    pub fn connect(&self, address: IpAddr) -> Option<Connected> {
        let address = address.to_canonical();
        let mut count = self.counts.entry(address).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Connected { address, counts: Arc::clone(&self.counts) })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.counts.entry(self.address) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
