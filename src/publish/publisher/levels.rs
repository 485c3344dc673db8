//! What is told as it now is, and takes the place of what was told before.

use std::{collections::HashSet, sync::Arc};

use super::{Batch, Writer};
use crate::{
    catalog::{change::Origin, names::ServiceName},
    observe::metrics::SourceState,
    publish::{feed::SourceStatus, journal::Write, machines::Machine, plan::Plan},
    zones::Zones,
};

impl Writer {
    pub(super) fn set_zones(&mut self, (zones, kept): (Zones, Vec<Write>), batch: &mut Batch) {
        batch.kept.extend(kept);
        self.next.zones = Arc::new(zones.beside(&self.next.zones));
        self.plan();
        (batch.changed, batch.zone_changed) = (true, true);
    }

    pub(super) fn set_held(&mut self, services: HashSet<ServiceName>, batch: &mut Batch) {
        self.next.held = (!services.is_empty()).then(|| Arc::new(services));
        batch.changed = true;
    }

    /// They have addresses at `ns.D`, which is of the zone.
    pub(super) fn set_machines(&mut self, machines: Vec<Machine>, batch: &mut Batch) {
        self.next.machines = machines.into();
        self.plan();
        (batch.changed, batch.zone_changed, batch.touched.machines) = (true, true, true);
    }

    pub(super) fn set_source(&mut self, status: &SourceStatus, batch: &mut Batch) {
        self.tell_source(status);
        batch.touched.machines |= status.origin == Origin::Cluster;
        let others = self.next.sources.iter().filter(|source| source.name != status.name);
        self.next.sources = others.cloned().chain([status.clone()]).collect();
        (batch.changed, batch.touched.sources) = (true, true);
    }

    pub(super) fn forget_source(&mut self, name: &Arc<str>, batch: &mut Batch) {
        self.metrics.forget_source(name);
        self.next.sources = self.next.sources.iter().filter(|source| source.name != *name).cloned().collect();
        (batch.changed, batch.touched.sources) = (true, true);
    }

    /// Makes settings, zones and machines ready for answering.
    pub(super) fn plan(&mut self) {
        let plan = Plan::new(&self.next.settings, &self.next.zones, self.next.catalog.seed());
        self.next.plan = Arc::new(plan.with_machines(&self.next.settings, &self.next.machines));
    }

    pub(super) fn tell_source(&self, status: &SourceStatus) {
        let SourceStatus { synced, stale, .. } = *status;
        self.metrics.set_source(&status.name, SourceState { synced, stale, away: status.away.is_some() });
    }
}
