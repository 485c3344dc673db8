//! etcd, by whichever of its two APIs its keys are followed: what version 3 has is not seen by version 2, and the other way round.

use super::{
    client::{Batch, Client, Error, Listing, Remaining, Watch, WatchEnd},
    v2::{ClientV2, WatchV2},
};

/// A client of one of them.
#[derive(Debug, Clone)]
pub enum Etcd {
    /// Of version 3.
    V3(Client),
    /// Of version 2.
    V2(ClientV2),
}

/// A watch by one of them.
pub(crate) enum Watching {
    V3(Box<Watch>),
    V2(WatchV2),
}

impl Etcd {
    /// Reads what begins with a prefix.
    pub(crate) async fn range(&self, prefix: &str) -> Result<Listing, Error> {
        match self {
            Etcd::V3(client) => client.range(prefix.as_bytes(), None).await,
            Etcd::V2(client) => client.range(prefix).await,
        }
    }

    /// Watches what begins with a prefix, from this revision on.
    pub(crate) async fn watch(&self, prefix: &str, next: i64) -> Result<Watching, Error> {
        Ok(match self {
            Etcd::V3(client) => Watching::V3(Box::new(client.watch(prefix.as_bytes(), next).await?)),
            Etcd::V2(client) => Watching::V2(client.watch(prefix, next).await?),
        })
    }

    /// How many seconds a lease has; none if it is gone.
    pub(crate) async fn time_to_live(&self, lease: i64) -> Result<Option<Remaining>, Error> {
        match self {
            Etcd::V3(client) => client.time_to_live(lease).await,
            // A key has no lease there; in its place stands what the key had when it was read.
            Etcd::V2(_) => {
                let secs = u64::try_from(lease).unwrap_or_default();
                Ok(Some(Remaining { secs, granted_secs: secs }))
            }
        }
    }
}

impl Watching {
    pub(crate) fn next_revision(&self) -> i64 {
        match self {
            Watching::V3(watch) => watch.next_revision(),
            Watching::V2(watch) => watch.next_revision(),
        }
    }

    /// Waits for the next change. Loses nothing when it is dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Batch, WatchEnd> {
        match self {
            Watching::V3(watch) => watch.next().await,
            Watching::V2(watch) => watch.next().await,
        }
    }
}
