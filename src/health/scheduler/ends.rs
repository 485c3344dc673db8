//! What ends by time: deadlines that were not renewed, and instances that have been critical for too long.

use std::{sync::Arc, time::Instant};

use super::Scheduler;
use crate::{
    catalog::{
        change::{Change, Origin},
        check::{Check, CheckStatus},
        service::InstanceKey,
    },
    publish::snapshot::Snapshot,
};

impl Scheduler {
    /// Turns critical what was not renewed in time.
    pub(super) fn expire(&mut self, now: Instant) {
        for (key, result) in self.shared.deadlines.expire(now) {
            tracing::info!(check = %key.id, "check {} is now critical: its deadline passed", key.id);
            self.shared.stats.count_expired();
            self.settings.metrics.check_result("ttl", result.status.as_str());
            if let Some(slot) = self.checks.find(&key) {
                self.reaper.turned_critical(slot, now);
            }
            self.shared.feed.report(key, result);
        }
    }

    /// Deregisters instances that have been critical for too long.
    pub(super) fn reap(&mut self, now: Instant) {
        if self.reaper.next().is_none_or(|next| next > now) {
            return;
        }
        let snapshot = self.shared.published.load();
        while let Some(slot) = self.reaper.pop(now) {
            let Some((key, _)) = self.checks.get(slot) else { continue };
            let entry = snapshot.catalog.check(key);
            let critical = entry.filter(|entry| entry.check.status == CheckStatus::Critical);
            let over = self.reaper.look(slot, critical.map(|entry| entry.modify_index), now);
            if let (true, Some(entry)) = (over, entry)
                && !self.deregister(&snapshot, &entry.check)
            {
                self.reaper.postpone(slot, now);
            }
        }
    }

    /// Deregisters the instance that a check is about, unless it is another machine's. Returns false if too many are being
    /// deregistered.
    fn deregister(&self, snapshot: &Snapshot, check: &Check) -> bool {
        let Some(id) = check.service_id.clone() else { return true };
        let key = InstanceKey { node: check.node.clone(), id };
        let Some(entry) = snapshot.catalog.instance(&key) else { return true };
        // Of what the store tells, that which runs here is no machine's.
        if entry.instance.origin == Origin::Cluster && check.origin != Origin::Cluster {
            return true;
        }
        let Ok(place) = Arc::clone(&self.deregistering).try_acquire_owned() else { return false };
        let (feed, stats) = (self.shared.feed.clone(), Arc::clone(&self.shared.stats));
        let origin = entry.instance.origin;
        let check = check.id.clone();
        tokio::spawn(async move {
            let _place = place;
            let id = key.id.clone();
            match feed.submit(vec![Change::Deregister { key, origin }]).await {
                Ok(_) => {
                    stats.count_deregistered();
                    tracing::info!(service = %id, %check, "service {id} is deregistered: critical too long");
                }
                Err(error) => {
                    tracing::warn!(service = %id, %check, %error, "service {id} cannot be deregistered");
                }
            }
        });
        true
    }
}

/// Most instances that are being deregistered at once.
///
/// Source: none, chosen: enough to share one sync of the journal, far below the feed's 1,024 places.
pub(super) const DEREGISTERING_MAX: usize = 256;
