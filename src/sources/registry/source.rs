//! The task that follows `<prefix>/<service>/<id>`.

use std::sync::Arc;

use super::{RegistrySettings, services::Services};
use crate::{
    catalog::{change::Origin, followed::Told, state::State},
    publish::{
        feed::{Feed, SourceStatus},
        watch::Published,
    },
    sources::etcd::{
        Etcd,
        client::{Batch, Event},
        following::{Complaints, End, Following, Keys, Sweep, submit, submit_in_pieces},
        mirror::{self, Followed},
    },
};

/// Services below a prefix of etcd.
pub struct ServicesSource {
    services: Services,
    client: Etcd,
    name: Arc<str>,
    feed: Feed,
    published: Arc<Published>,
    complaints: Complaints,
}

impl ServicesSource {
    /// How it is before it has looked: the publisher waits for its first list, unless what it had is known from disk.
    pub fn initial_status(catalog: &State) -> SourceStatus {
        let is_on_disk = super::services::is_known(catalog);
        let away = Some(Arc::from("etcd has not been reached yet"));
        let (name, origin) = (Arc::from("etcd_services"), Origin::Registry);
        SourceStatus { name, origin, synced: is_on_disk, stale: is_on_disk, away }
    }

    /// Follows it until the server stops.
    pub async fn run(settings: RegistrySettings, client: Etcd, feed: Feed, published: Arc<Published>) {
        let source = ServicesSource {
            services: Services::new(&settings.prefix),
            client: client.clone(),
            name: Arc::clone(&settings.status.name),
            feed: feed.clone(),
            published,
            complaints: Complaints::default(),
        };
        Following::new(source, client, feed, (settings.status, settings.patience)).run().await;
    }

    /// What follows for the catalog, looked at on a thread of its own: a hundred thousand keys may come at once.
    async fn look(&mut self, told: Told, events: Vec<mirror::Event>) -> Result<Followed, End> {
        let (services, published) = (self.services.clone(), Arc::clone(&self.published));
        let looked = tokio::task::spawn_blocking(move || {
            let snapshot = published.load();
            match told {
                Told::Everything => services.relisted(&snapshot.catalog, events),
                Told::Changes => services.changes(&snapshot.catalog, events),
            }
        });
        // It fails by a panic, of which the log tells, or because the server stops.
        let followed = looked.await.map_err(|error| End::List(error.to_string()))?;
        self.complaints.say(&self.name, &followed.complaints);
        Ok(followed)
    }
}

impl Keys for ServicesSource {
    fn root(&self) -> &str {
        self.services.root()
    }

    async fn list(&mut self, sweep: &mut Sweep) -> Result<i64, End> {
        let listing = self.client.range(self.services.root()).await?;
        let events = listing.key_values.into_iter().map(|one| mirror::Event { key: one.key, value: Some(one.value) });
        self.complaints.clear();
        let followed = self.look(sweep.told(), events.collect()).await?;
        submit_in_pieces(&self.feed, followed.changes).await?;
        Ok(listing.header.revision + 1)
    }

    async fn follow(&mut self, batch: Batch) -> Result<(), End> {
        let events = batch.events.into_iter().map(|event| match event {
            Event::Put(one) => mirror::Event { key: one.key, value: Some(one.value) },
            Event::Delete { key, .. } => mirror::Event { key, value: None },
        });
        let followed = self.look(Told::Changes, events.collect()).await?;
        submit(&self.feed, followed.changes).await
    }

    async fn drop_all(&mut self) -> Result<(), End> {
        let followed = self.look(Told::Everything, Vec::new()).await?;
        submit(&self.feed, followed.changes).await
    }
}
