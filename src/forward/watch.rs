//! Keeping up with the host: its files are looked at each second, changed upstreams are tested for
//! loops, and those that work are kept in the data directory.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval};

use super::{
    Forwarder,
    routes::Routes,
    settings::Upstreams,
    system::{self, Found},
    upstream::Upstream,
};
use crate::{fingerprint::Fingerprint, wire::name::Name};

impl Forwarder {
    /// Runs for ever.
    pub(super) async fn watch(&self) {
        let mut seen = Fingerprint::default();
        let mut ticks = interval(WATCH_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut saved = Vec::new();
        let mut warned = false;
        let mut retest_at = Instant::now() + RETEST_LOOPING_AFTER;
        self.changed.notify_one();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.changed.notified() => {
                    self.probe(|_| true);
                    self.warn_if_nobody(&mut warned);
                }
            }
            let now_there = self.look().await;
            if now_there != seen {
                seen = now_there;
                self.reread();
            }
            self.save_working(&mut saved).await;
            self.count_cache();
            self.count_loops();
            if Instant::now() >= retest_at {
                retest_at = Instant::now() + RETEST_LOOPING_AFTER;
                self.probe(Upstream::is_looping);
            }
        }
    }

    /// Shows how full the cache is.
    pub(super) fn count_cache(&self) {
        self.metrics.cache_entries.set(i64::try_from(self.cache.len()).unwrap_or(i64::MAX));
    }

    /// Shows how many upstreams are left out.
    pub(super) fn count_loops(&self) {
        let looping = self.routes.load().describe().looping.len();
        self.metrics.forward_loops.set(looping as i64);
    }

    /// Tests upstreams for loops, besides everything else.
    fn probe(&self, chosen: fn(&Upstream) -> bool) {
        let (probes, routes) = (Arc::clone(&self.probes), self.routes.load_full());
        tokio::spawn(async move { probes.run(&routes, chosen).await });
    }

    async fn look(&self) -> Fingerprint {
        let Upstreams::System(files) = self.settings().upstreams.clone() else {
            return Fingerprint::default();
        };
        tokio::task::spawn_blocking(move || system::fingerprint(&files)).await.unwrap_or_default()
    }

    /// Makes the routes anew from the system's files, and has them tested if the upstreams are others now.
    fn reread(&self) {
        let settings = self.settings();
        let old = self.routes.load_full();
        let new = Routes::new(&settings, Some(&old));
        let (before, after) = (old.describe(), new.describe());
        self.routes.store(Arc::new(new));
        drop(settings);
        if before.upstreams != after.upstreams {
            let upstreams = after.upstreams.unwrap_or_default();
            tracing::info!(?upstreams, "the system's upstreams are others now: {upstreams:?}");
            self.changed.notify_one();
        }
    }

    fn warn_if_nobody(&self, warned: &mut bool) {
        let nobody = self.describe().upstreams.is_some_and(|upstreams| upstreams.is_empty());
        if nobody && !*warned {
            tracing::warn!(
                "no upstream is known, so names outside our domain get SERVFAIL; \
                 set --forward IP, or name another nameserver in resolv.conf"
            );
        }
        *warned = nobody;
    }

    /// Keeps the system's upstreams in the data directory once one of them has answered.
    async fn save_working(&self, saved: &mut Vec<SocketAddr>) {
        let Some(path) = self.settings().state_file.clone() else {
            return;
        };
        let routes = self.routes.load_full();
        let found = routes.system.as_ref().map(|choice| choice.found);
        let Some(group) = routes.group(&Name::root()) else {
            return;
        };
        let works = group.upstreams.iter().any(|upstream| upstream.has_answered() && !upstream.is_looping());
        let addresses = group.addresses();
        // The last ones that worked are written too: resolv.conf may have named them for less than a second.
        if matches!(found, None | Some(Found::Nowhere)) || !works || *saved == addresses {
            return;
        }
        saved.clone_from(&addresses);
        let shown = path.display().to_string();
        let written = tokio::task::spawn_blocking(move || system::save_last(&path, &addresses)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, path = shown, "cannot keep the upstreams that work in {shown}: {error}");
        }
    }
}

/// How often the system's files are looked at. Source: DESIGN.md, "Command line and defaults".
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// When an upstream that loops is tested again. Source: none, chosen: rare enough to cost nothing.
const RETEST_LOOPING_AFTER: Duration = Duration::from_secs(60);
