//! Policies and tokens: their changes, what of the catalog DNS shows by them, and tokens whose time is over.

use std::{sync::Arc, time::Duration};

use super::{Batch, Names, Writer};
use crate::{
    access::{
        Realm,
        directory::{AccessChange, AccessError},
    },
    publish::settings::Settings,
};

impl Writer {
    /// Applies a change of policies and tokens. Says whether the sender waits until it is durable: what is followed from
    /// elsewhere is so there, and is written at once, but nobody waits for that.
    pub(super) fn access(&mut self, change: AccessChange, batch: &mut Batch) -> Result<bool, AccessError> {
        let is_followed = matches!(change, AccessChange::Follow(_));
        let mut realm = Realm::clone(&self.next.realm);
        let touched = realm.apply(change, self.next.catalog.index() + 1)?;
        if !touched.is_empty() {
            self.next.catalog.advance();
            self.next.realm = Arc::new(realm);
            batch.changed = true;
            batch.touched.access.extend(touched);
            batch.urgent |= is_followed;
            self.renew_readers(batch);
        }
        // What changes nothing is durable only if what came before it is, which may be of this very batch.
        Ok(!is_followed && (batch.changed || self.journal.status().waiting > 0))
    }

    /// Puts settings in force, and with them what the tokens file has.
    pub(super) fn set_settings(&mut self, settings: Settings, batch: &mut Batch) {
        if let Some(access) = &settings.access {
            let file = Arc::clone(&access.file);
            self.next.realm = Arc::new(Realm { file, stored: self.next.realm.stored.clone() });
        }
        self.next.settings = Arc::new(with_readers(settings, &self.next.realm));
        self.plan();
        self.next.names = Names::build(&self.next.catalog, &self.next.settings);
        (batch.changed, batch.zone_changed) = (true, true);
    }

    /// Has DNS show what callers without a token may read now. Where that is another, all names are made anew: O(catalog).
    fn renew_readers(&mut self, batch: &mut Batch) {
        let Some(access) = &self.next.settings.access else { return };
        let readers = access.readers(&self.next.realm);
        if self.next.settings.readers.as_deref() != Some(&readers) {
            let settings = Settings { readers: Some(Arc::new(readers)), ..Settings::clone(&self.next.settings) };
            self.next.settings = Arc::new(settings);
            self.next.names = Names::build(&self.next.catalog, &self.next.settings);
            batch.zone_changed = true;
        }
    }

    /// How long to sleep at most because of tokens that expire.
    pub(super) fn until_expiry(&mut self) -> Duration {
        let Some(at) = self.next_expiry() else { return Duration::MAX };
        // The clock may be set meanwhile, so that it is looked at again.
        Duration::from_secs(at.saturating_sub((self.clock)())).min(CLOCK_LOOKED_AT)
    }

    /// Takes away the tokens whose time is over. They are worth nothing from that time on anyway.
    pub(super) fn expire(&mut self) {
        let Some(at) = self.next_expiry() else { return };
        let now_secs = (self.clock)();
        if at <= now_secs {
            let mut batch = Batch::default();
            // It refuses nothing.
            let _ = self.access(AccessChange::Expire(now_secs), &mut batch);
            self.publish(batch);
        }
    }

    /// When the next token expires; looked for anew, O(tokens), only where tokens have changed. Those that machines share end
    /// in their store, which tells it.
    fn next_expiry(&mut self) -> Option<u64> {
        if self.next.store.revision().is_some() {
            return None;
        }
        let stored = &self.next.realm.stored;
        if self.next_expiry.0 != stored.index() {
            self.next_expiry = (stored.index(), stored.tokens().filter_map(|token| token.expires_secs).min());
        }
        self.next_expiry.1
    }
}

/// The settings, with what callers without a token may read.
pub(super) fn with_readers(settings: Settings, realm: &Realm) -> Settings {
    let readers = settings.access.as_ref().map(|access| Arc::new(access.readers(realm)));
    Settings { readers: readers.or(settings.readers), ..settings }
}

/// So often the clock is looked at while tokens wait to expire. Source: none, chosen.
const CLOCK_LOOKED_AT: Duration = Duration::from_secs(60);

#[cfg(test)]
#[path = "rights_tests.rs"]
mod tests;
