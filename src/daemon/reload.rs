//! Following changed files: the configuration, the zones, and on SIGHUP the service files too.

use std::{net::IpAddr, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::{access::AccessControl, http::tls::Tls, settings, sources::Sources};
use crate::{
    config::Config,
    fingerprint::{Fingerprint, Watched},
    forward::Forwarder,
    observe::{
        logging::LogHandle,
        metrics::{Metrics, Reload as Reloaded},
        query_log::QueryLog,
    },
    publish::{feed::Feed, settings::Settings, watch::Published},
    zones,
};

/// Why files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// SIGHUP: everything is read again.
    Told,
    /// A second has passed: what has changed is read again.
    Looked,
}

/// What a reload acts on.
pub struct Parts<'a> {
    /// Where settings and zones go.
    pub feed: &'a Feed,
    /// What is in force.
    pub published: &'a Arc<Published>,
    /// What forwards.
    pub forwarder: &'a Arc<Forwarder>,
    /// Where DNS is answered.
    pub dns: Vec<SocketAddr>,
    /// Our addresses.
    pub advertised: &'a [IpAddr],
}

/// What is followed in files besides the configuration.
pub struct Files {
    /// Files that the zone files include.
    pub included: Vec<PathBuf>,
    /// What HTTPS is spoken with.
    pub tls: Option<Arc<Tls>>,
    /// Access control, and its tokens file.
    pub access: AccessControl,
    /// Told when all is to be read again.
    pub told: Arc<Notify>,
}

/// Remembers what files were like.
pub struct Reloader {
    sources: Sources,
    log: Option<LogHandle>,
    query_log: QueryLog,
    metrics: Arc<Metrics>,
    /// Files that the zone files include.
    included: Vec<PathBuf>,
    config: Option<Fingerprint>,
    zones: Option<Fingerprint>,
    /// What HTTPS is spoken with, and what its files were like.
    tls: Option<(Arc<Tls>, Fingerprint)>,
    /// Access control, and what its file was like.
    access: (AccessControl, Fingerprint),
    search: Option<Vec<crate::wire::name::Name>>,
    /// Where DNS was answered at the last look.
    dns: Option<Vec<SocketAddr>>,
    first: bool,
    /// Told by HTTP what SIGHUP tells.
    told: Arc<Notify>,
}

impl Reloader {
    /// Has not looked yet: what is there at the first look counts as read. `included` are the files that the zone files
    /// include.
    pub fn new(
        sources: Sources,
        log: Option<LogHandle>,
        query_log: QueryLog,
        metrics: Arc<Metrics>,
        Files { included, tls, access, told }: Files,
    ) -> Reloader {
        let tokens = access.fingerprint();
        let tls = tls.map(|tls| {
            let files = tls.fingerprint();
            (tls, files)
        });
        Reloader {
            told,
            sources,
            log,
            query_log,
            metrics,
            included,
            config: None,
            zones: None,
            tls,
            access: (access, tokens),
            search: None,
            dns: None,
            first: true,
        }
    }

    /// Told when everything is to be read again.
    pub fn told(&self) -> Arc<Notify> {
        Arc::clone(&self.told)
    }

    /// Looks at all files; returns the configuration if it was read anew.
    pub async fn look(&mut self, why: Why, config: &Config, parts: &Parts<'_>) -> Option<Config> {
        let told = why == Why::Told;
        if told {
            self.sources.reload();
        }
        let new = self.config_changed(config, told).then(|| self.reload_config(config)).flatten();
        let current = new.as_ref().unwrap_or(config);
        let search = settings::search(&parts.forwarder.describe());
        let differs = self.search.as_ref().is_some_and(|known| *known != search)
            || self.dns.as_ref().is_some_and(|known| *known != parts.dns);
        if self.reload_access(told) || new.is_some() || differs {
            self.put_in_force(current, &search, parts).await;
        }
        self.search = Some(search);
        self.dns = Some(parts.dns.clone());
        if self.zones_changed(current, told) {
            self.reload_zones(current, parts).await;
        }
        self.reload_tls(told);
        self.first = false;
        new
    }

    /// What runs beside the HTTP API.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Ends what it holds.
    pub async fn stop(self) {
        self.sources.stop().await;
    }

    fn config_changed(&mut self, config: &Config, told: bool) -> bool {
        let mut now = Fingerprint::default();
        if let Some(file) = config.file() {
            now.add_file(file);
        }
        let changed = self.config.as_ref().is_some_and(|before| *before != now);
        self.config = Some(now);
        told || (changed && !self.first)
    }

    fn reload_config(&self, config: &Config) -> Option<Config> {
        let (new, waiting) = match config.reload() {
            Ok(read) => {
                self.metrics.reload(Reloaded::Config, Ok(()));
                read
            }
            Err(error) => {
                self.metrics.reload(Reloaded::Config, Err(()));
                for line in format!("{:#}", anyhow::Error::from(error)).lines() {
                    tracing::error!("{line}");
                }
                tracing::error!("the configuration stays as it was");
                return None;
            }
        };
        for warning in &new.warnings {
            tracing::warn!("{warning}");
        }
        if !waiting.is_empty() {
            let settings = waiting.join(", ");
            tracing::warn!(settings, "changed, but in force from the next start only: {settings}");
        }
        if let Some(log) = &self.log
            && let Err(error) = log.set_filter(&new.log)
        {
            tracing::error!("{error}");
        }
        if let Err(error) = settings::set_query_log(&self.query_log, &new) {
            tracing::error!("{error}");
        }
        tracing::info!("configuration read");
        Some(new)
    }

    fn reload_tls(&mut self, told: bool) {
        let Some((tls, before)) = &mut self.tls else { return };
        let now = tls.fingerprint();
        if now == *before && !told {
            return;
        }
        *before = now;
        match tls.reload() {
            Ok(()) => tracing::info!("the certificate of the HTTP API was read"),
            Err(error) => tracing::error!("{error}; HTTPS goes on with what it had"),
        }
    }

    /// Reads the tokens file if it changed; says whether it did.
    fn reload_access(&mut self, told: bool) -> bool {
        let (access, before) = &mut self.access;
        let now = access.fingerprint();
        if !access.has_file() || (now == *before && !told) {
            return false;
        }
        *before = now;
        match access.reload() {
            Ok(()) => tracing::info!("the tokens file was read"),
            Err(error) => tracing::error!("{error:#}; the tokens stay as they were"),
        }
        true
    }

    async fn put_in_force(&self, config: &Config, search: &[crate::wire::name::Name], parts: &Parts<'_>) {
        parts.forwarder.set_settings(settings::forwarding(config, parts.dns.clone()));
        let answering =
            Settings { access: self.access.0.settings(), ..settings::answering(config, search, parts.advertised) };
        if let Err(error) = parts.feed.set_settings(answering).await {
            tracing::error!(%error, "settings could not be put in force");
        }
    }

    fn zones_changed(&mut self, config: &Config, told: bool) -> bool {
        let Some(directory) = &config.zones else { return false };
        let mut now = Fingerprint::of(directory, ZONE_FILES).ok();
        if let Some(now) = &mut now {
            self.included.iter().for_each(|file| now.add_file(file));
        }
        let changed = self.zones != now;
        self.zones = now;
        told || (changed && !self.first)
    }

    async fn reload_zones(&mut self, config: &Config, parts: &Parts<'_>) {
        let Some(directory) = config.zones.clone() else { return };
        let previous = parts.published.load().zones.of_files();
        let context = settings::zones(config, previous);
        let loaded = match tokio::task::spawn_blocking(move || zones::load(&directory, &context)).await {
            Ok(loaded) => loaded,
            Err(error) => return tracing::error!(%error, "zones could not be read"),
        };
        for problem in &loaded.problems {
            if problem.is_error() {
                tracing::error!("{problem}");
            } else {
                tracing::warn!("{problem}");
            }
        }
        let mut refused = loaded.has_errors();
        if refused {
            tracing::error!("what a refused zone file last held stays in service");
        }
        self.included = loaded.included;
        let count = loaded.zones.len();
        match parts.feed.set_zones(loaded.zones).await {
            Ok(_) => tracing::info!(count, "zones read"),
            Err(error) => {
                refused = true;
                tracing::error!(%error, "zones could not be put in force");
            }
        }
        self.metrics.reload(Reloaded::Zones, if refused { Err(()) } else { Ok(()) });
    }
}

/// How often files are looked at. Source: DESIGN.md, "Command line and defaults".
pub const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Files whose change makes the zones be read again, and how many. Source: none, chosen: each is looked at every second.
const ZONE_FILES: Watched<'_> = Watched { extensions: &["zone"], files_max: 10_000 };
