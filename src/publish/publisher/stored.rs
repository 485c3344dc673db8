//! Changes of the store, and what follows for its sessions from changes of the catalog.

use super::{Batch, Writer};
use crate::{
    catalog::apply::Effects,
    kv::{
        At,
        change::{Change, ChangeError},
    },
};

impl Writer {
    /// Applies a change of the store. Says whether the sender waits until it is durable: what is followed from elsewhere is
    /// so there, and is written behind.
    pub(super) fn store(&mut self, change: Change, batch: &mut Batch) -> Result<bool, ChangeError> {
        let waits = !matches!(change, Change::Follow(_));
        let at = At { index: self.next.catalog.index() + 1, now: self.began.elapsed() };
        let done = self.next.store.apply(change, &self.next.catalog, at)?;
        if !done.touched.is_empty() {
            self.next.catalog.advance();
            batch.changed = true;
            batch.touched.stored.extend(done.touched);
        }
        Ok(waits && (batch.changed || self.journal.status().waiting > 0))
    }

    /// Ends the sessions that the catalog no longer carries. Those that machines share end elsewhere, and are told of then.
    pub(super) fn lapse(&mut self, effects: &Effects, batch: &mut Batch) {
        let lapsed = self.next.store.lapsed(effects, &self.next.catalog);
        if self.next.store.revision().is_some() {
            batch.touched.lapsed.extend(lapsed);
            return;
        }
        for id in lapsed {
            let at = At { index: self.next.catalog.advance(), now: self.began.elapsed() };
            batch.touched.stored.extend(self.next.store.destroy_session(&id, at).touched);
        }
    }
}
