//! Leases: keys that go when nobody renews what they were put with.

use super::{
    Client, Repeat,
    error::{Error, Refusal},
    messages::{
        LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveResponse, LeaseRequest, LeaseRevokeResponse,
        LeaseTimeToLiveResponse,
    },
};

/// A lease that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its number, never 0.
    pub id: i64,
    /// How long it lasts, which may be more than was asked for: etcd grants no less than one and a half elections.
    pub ttl_secs: u64,
}

/// How long a lease has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// Whole seconds that are left.
    pub secs: u64,
    /// The seconds that it was granted for.
    pub granted_secs: u64,
}

impl Client {
    /// A new lease. One of whose grant we do not learn ends by itself.
    pub async fn grant(&self, ttl_secs: u64) -> Result<Lease, Error> {
        let ttl = i64::try_from(ttl_secs).unwrap_or(i64::MAX);
        let answer: LeaseGrantResponse = self.call(GRANT, &LeaseGrantRequest { ttl }, Repeat::Always).await?;
        if !answer.error.is_empty() {
            return Err(Error::Refused(Refusal::Other(answer.error)));
        }
        match u64::try_from(answer.ttl) {
            Ok(ttl_secs) if answer.id != 0 => Ok(Lease { id: answer.id, ttl_secs }),
            _ => Err(self.broken("a lease without a number, or of no time")),
        }
    }

    /// Renews a lease, and tells how many seconds it now lasts; none if it is gone.
    ///
    /// Each renewal is a call of its own, so that it goes to another member when one does not answer.
    pub async fn keep_alive(&self, id: i64) -> Result<Option<u64>, Error> {
        match self.call::<LeaseKeepAliveResponse>(KEEP_ALIVE, &LeaseRequest { id }, Repeat::Always).await {
            // Nothing is left of one that is gone.
            Ok(answer) => Ok(u64::try_from(answer.ttl).ok().filter(|ttl| *ttl > 0)),
            Err(Error::LeaseGone) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a lease and deletes its keys; one that is gone is fine.
    pub async fn revoke(&self, id: i64) -> Result<(), Error> {
        match self.call::<LeaseRevokeResponse>(REVOKE, &LeaseRequest { id }, Repeat::Always).await {
            Ok(_) | Err(Error::LeaseGone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How long a lease has; none if it is gone.
    pub async fn time_to_live(&self, id: i64) -> Result<Option<Remaining>, Error> {
        match self.call::<LeaseTimeToLiveResponse>(TIME_TO_LIVE, &LeaseRequest { id }, Repeat::Always).await {
            // Of one that is gone it is -1.
            Ok(answer) => Ok(u64::try_from(answer.ttl)
                .ok()
                .map(|secs| Remaining { secs, granted_secs: u64::try_from(answer.granted_ttl).unwrap_or_default() })),
            Err(Error::LeaseGone) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

const GRANT: &str = "/etcdserverpb.Lease/LeaseGrant";
const KEEP_ALIVE: &str = "/etcdserverpb.Lease/LeaseKeepAlive";
const REVOKE: &str = "/etcdserverpb.Lease/LeaseRevoke";
const TIME_TO_LIVE: &str = "/etcdserverpb.Lease/LeaseTimeToLive";

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
