//! The sources beside the HTTP API: service files, Docker, the store that machines share, and other programs' registries.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinHandle};

use super::store::Stores;
use crate::{
    catalog::{
        change::{Change, Origin},
        state::State,
    },
    config::{Config, DockerDaemon},
    observe::metrics::Metrics,
    publish::{
        feed::{Feed, SourceStatus},
        journal::{Journal, Restored},
        watch::Published,
    },
    sources::{
        docker::{self, Connection, Daemon, DockerSettings, DockerSource, HostAddresses},
        etcd::{self, Etcd, EtcdSource, Patience},
        file::{self, FileSettings, FileSource, Reload},
        registry::{self, KnownNames, RegistrySettings, ServicesSource, SkydnsSource},
    },
    zones::{Zones, skydns::Tree},
};

/// The sources that run.
pub struct Sources {
    files: Option<(Reload, JoinHandle<()>)>,
    docker: Option<(watch::Receiver<Connection>, JoinHandle<()>)>,
    store: Option<EtcdSource>,
    registries: Vec<JoinHandle<()>>,
}

impl Sources {
    /// How they are before they have looked, given the catalog and the names of SkyDNS as they were stored.
    pub fn initial(config: &Config, catalog: &State, names: Option<&KnownNames>) -> Vec<SourceStatus> {
        let files = config.services.iter().map(|directory| FileSource::initial_status(directory));
        let store = config.cluster.store.as_ref().map(|_| EtcdSource::initial_status(catalog));
        let services = config.cluster.services.as_ref().map(|_| ServicesSource::initial_status(catalog));
        let skydns = names.map(SkydnsSource::initial_status);
        files.chain(docker_status(config, catalog)).chain(store).chain(services).chain(skydns).collect()
    }

    /// What takes back what the sources had registered that do not run any more: nobody else can.
    pub fn forgotten(config: &Config, catalog: &State) -> Vec<Change> {
        let mut changes = Vec::new();
        if config.services.is_none() {
            changes.extend(file::none_defined(catalog, &config.node));
        }
        if config.docker.daemon == DockerDaemon::Off {
            let node = config.node.clone();
            changes.push(Change::ReplaceOrigin { node, origin: Origin::Docker, registrations: Vec::new() });
        }
        if config.cluster.store.is_none() {
            changes.extend(etcd::none_shared(catalog, &config.node));
        }
        if config.cluster.services.is_none() {
            changes.extend(registry::services::none_followed(catalog));
        }
        changes
    }

    /// Starts them. `advertised` are this machine's addresses.
    pub fn start(
        config: &Config,
        advertised: &[IpAddr],
        (feed, published): (&Feed, &Arc<Published>),
        (metrics, stores, names): (&Arc<Metrics>, Stores, Option<KnownNames>),
    ) -> Sources {
        let files = config.services.clone().map(|directory| {
            let settings = FileSettings {
                directory,
                node: config.node.clone(),
                script_checks: config.script_checks,
                stale_after: config.stale_after,
                metrics: Arc::clone(metrics),
            };
            let (source, reload) = FileSource::new(settings, feed.clone(), Arc::clone(published));
            (reload, tokio::spawn(source.run()))
        });
        let (spanning, networks) = watch::channel(None);
        let docker = daemon(config).map(|daemon| {
            let status = docker_status(config, &published.load().catalog);
            let settings = DockerSettings {
                daemon,
                containers: containers(config),
                host: host(advertised),
                stale_after: config.stale_after,
            };
            let (source, connection) = DockerSource::new(settings, status, feed.clone(), Arc::clone(published));
            (connection, tokio::spawn(source.tells_networks(spanning.clone()).run()))
        });
        if docker.is_none() {
            spanning.send_replace(Some(Arc::default()));
        }
        let store =
            stores.shared.map(|(settings, client)| EtcdSource::start(settings, client, (feed, published), networks));
        let registries = registries(config, (feed, published), (stores.services, stores.skydns.zip(names)));
        Sources { files, docker, store, registries }
    }

    /// Has them read again, now, what they otherwise read now and then.
    pub fn reload(&self) {
        if let Some((files, _)) = &self.files {
            files.reload();
        }
    }

    /// Returns when it is known how Docker is, or after a moment.
    pub async fn settled(&self) {
        let Some((connection, _)) = &self.docker else { return };
        let mut connection = connection.clone();
        let latest = Instant::now() + SETTLING_MAX;
        let settled = connection.wait_for(|connection| *connection != Connection::Looking);
        // Who starts the server learns the rest from the log.
        let _ = tokio::time::timeout_at(latest.into(), settled).await;
    }

    /// How Docker is; none if it is off.
    pub fn docker(&self) -> Option<Connection> {
        self.docker.as_ref().map(|(connection, _)| connection.borrow().clone())
    }

    /// Ends them, and takes back what other machines know of us.
    pub async fn stop(self) {
        let tasks = self.files.map(|(_, task)| task).into_iter().chain(self.docker.map(|(_, task)| task));
        tasks.chain(self.registries).for_each(|task| task.abort());
        if let Some(store) = self.store {
            store.stop().await;
        }
    }
}

/// The names of SkyDNS as they were stored, where they are followed, and their zones beside these. What was stored and is not
/// followed any more is forgotten.
pub fn known_names(
    config: &Config,
    (journal, restored): (&Journal, &Restored),
    zones: Zones,
) -> (Zones, Option<KnownNames>) {
    let cluster = &config.cluster;
    let Some(address) = &cluster.skydns else {
        super::write_first(journal, restored, KnownNames::none_followed(restored));
        return (zones, None);
    };
    let tree = Tree::new(&address.prefix, cluster.skydns_domains.iter().cloned(), config.default_rule.ttl_secs);
    let (mut known, forgotten) = KnownNames::restored(tree, restored);
    super::write_first(journal, restored, forgotten);
    // They are ours also where no name is known.
    (known.tree.zones(known.serial).beside(&zones), Some(known))
}

/// Follows what other programs register.
fn registries(
    config: &Config,
    (feed, published): (&Feed, &Arc<Published>),
    (services, skydns): (Option<Etcd>, Option<(Etcd, KnownNames)>),
) -> Vec<JoinHandle<()>> {
    let cluster = &config.cluster;
    let patience = Patience { stale_after: config.stale_after, stale_max: config.stale_max };
    let services = cluster.services.as_ref().zip(services).map(|(address, client)| {
        let status = ServicesSource::initial_status(&published.load().catalog);
        let settings = RegistrySettings { prefix: address.prefix.clone(), status, patience };
        tokio::spawn(ServicesSource::run(settings, client, feed.clone(), Arc::clone(published)))
    });
    let skydns = cluster.skydns.as_ref().zip(skydns).map(|(address, (client, known))| {
        let status = SkydnsSource::initial_status(&known);
        let settings = RegistrySettings { prefix: address.prefix.clone(), status, patience };
        tokio::spawn(SkydnsSource::run(settings, known, client, feed.clone()))
    });
    services.into_iter().chain(skydns).collect()
}

fn docker_status(config: &Config, catalog: &State) -> Option<SourceStatus> {
    let is_on_disk = !catalog.of_origin(&config.node, Origin::Docker).is_empty();
    DockerSource::initial_status(&daemon(config)?, is_on_disk)
}

fn daemon(config: &Config) -> Option<Daemon> {
    match &config.docker.daemon {
        DockerDaemon::Off => None,
        DockerDaemon::Auto(candidates) => Some(Daemon::Found(candidates.clone())),
        DockerDaemon::At(endpoint) => Some(Daemon::Named(endpoint.clone())),
    }
}

fn containers(config: &Config) -> docker::Settings {
    let docker = config.docker.clone();
    docker::Settings {
        node: config.node.clone(),
        ip: docker.ip,
        explicit: docker.explicit,
        ip_label: docker.ip_label,
        tags: docker.tags,
        name: docker.name,
        deregister: docker.deregister,
        address: docker.address,
        network: docker.network,
        script_checks: config.script_checks,
    }
}

fn host(advertised: &[IpAddr]) -> HostAddresses {
    let v4 = advertised.iter().find_map(|address| if let IpAddr::V4(v4) = address { Some(*v4) } else { None });
    let v6 = advertised.iter().find_map(|address| if let IpAddr::V6(v6) = address { Some(*v6) } else { None });
    HostAddresses { v4, v6 }
}

/// Longest wait for Docker before it is told what is up. Source: none, chosen: a daemon of some hundred containers is read by
/// then, and nothing but what is printed waits for it.
const SETTLING_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
