//! Follows etcd: what is of other nodes comes into the catalog, and what is of ours is told to who writes it.
//!
//! What becomes of it when etcd is away or was wiped stands in `following`. When etcd lost the key of a node, which did not say that
//! it leaves, all stays for a moment, in which a machine that lives puts it back (`grace`).

use std::{sync::Arc, time::Instant};

use tokio::sync::watch;

use super::{
    EtcdSettings,
    alive::Alive,
    client::{Batch, Client, Event, KeyValue},
    following::{Complaints, End, Following, Keys, Patience, Sweep, submit, submit_in_pieces, submitted},
    gone::{Known, gone},
    grace::{GRACE, Grace},
    heard,
    layout::{Layout, Place},
    mirror::{self, Followed, Mirror},
    own::Own,
    progress::Progress,
    reach::Etcd,
    retell,
};
use crate::{
    access::{self, directory::AccessChange},
    catalog::{change::Origin, followed::Told, names::NodeName, spanning::SpanningNetworks, state::State},
    kv::{self, follow::Followed as FollowedStore},
    publish::{
        feed::{Feed, SourceStatus},
        watch::Published,
    },
};

/// The networks that this machine has with others, as they change; none as long as nobody knows.
pub(super) type Networks = watch::Receiver<Option<Arc<SpanningNetworks>>>;

/// Follows etcd.
pub(super) struct Follower {
    settings: Arc<EtcdSettings>,
    client: Client,
    layout: Layout,
    /// None only while a thread of its own looks at what came.
    mirror: Option<Mirror>,
    feed: Feed,
    published: Arc<Published>,
    own: Arc<Own>,
    /// Told up to which revision all is published.
    followed: watch::Sender<u64>,
    /// The networks that this machine has with others; none as long as nobody knows.
    networks: Networks,
    /// What of that the journal is to know.
    progress: Progress,
    /// What machines lost that may live.
    grace: Grace,
    alive: Alive,
    complaints: Complaints,
}

impl Keys for Follower {
    fn root(&self) -> &str {
        self.layout.root()
    }

    fn watched(&mut self) {
        // What was put back meanwhile comes now.
        self.grace.extend(Instant::now());
    }

    fn due(&self) -> Option<Instant> {
        let lost = self.grace.next().map(|(until, _)| until);
        let changed = self.networks.has_changed().is_ok_and(|changed| changed).then(Instant::now);
        lost.into_iter().chain(self.progress.due()).chain(changed).min()
    }

    async fn act(&mut self) -> Result<(), End> {
        if self.networks.has_changed().is_ok_and(|changed| changed) {
            return Err(End::List("this machine has other networks with others than before".to_owned()));
        }
        if let Some(revision) = self.progress.news(Instant::now()) {
            self.follow_kept(FollowedStore { revision, told: Told::Changes, events: Vec::new() }).await?;
        }
        match self.grace.next() {
            Some((until, name)) if until <= Instant::now() => self.look_for_lost(name).await,
            _ => Ok(()),
        }
    }

    async fn list(&mut self, sweep: &mut Sweep) -> Result<i64, End> {
        self.settings.metrics.store_lists.inc();
        let mut revision = None;
        let mut all: Vec<KeyValue> = Vec::new();
        for folder in self.layout.folders() {
            let listing = self.client.range(folder.as_bytes(), revision).await?;
            revision = Some(listing.header.revision);
            all.extend(listing.key_values);
        }
        let revision = revision.expect("there are folders");
        let (own, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| self.is_own(&one.key));
        let networks = self.networks.borrow_and_update().clone();
        self.mirror_mut().set_networks(networks.clone());
        self.own.listed(own, networks);
        if self.published.load().store.revision().is_some_and(|known| known > unsigned(revision)) {
            // It went back while nobody looked, be it before this process began.
            sweep.hold();
        }
        sweep.hold_until(self.grace.listed(&others));
        let events = others.into_iter().map(|one| mirror::Event { key: one.key, value: Some(one.value) });
        self.complaints.clear();
        let followed = self.mirrored(sweep.told(), events.collect()).await?;
        self.tell_coming_machines().await?;
        submit_in_pieces(&self.feed, followed.changes).await?;
        self.list_kept(revision).await?;
        self.tell_machines().await?;
        tracing::info!(machines = self.grace.living(), "etcd: all is read");
        Ok(revision + 1)
    }

    async fn follow(&mut self, batch: Batch) -> Result<(), End> {
        self.settings.metrics.store_events.inc_by(batch.events.len() as u64);
        let (kept, events): (Vec<_>, Vec<_>) =
            batch.events.into_iter().partition(|event| self.layout.kept(event.key()).is_some());
        let (own, others): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| self.is_own(event.key()));
        own.into_iter().for_each(|event| self.own.heard(event));
        let events = self.grace.events(others, Instant::now());
        self.changed(events).await?;
        let revision = unsigned(batch.revision);
        if kept.is_empty() {
            self.followed.send_replace(revision);
            self.progress.came(revision, Instant::now());
            return Ok(());
        }
        self.follow_access((batch.revision, Told::Changes), &kept).await?;
        let events = self.retold(kept);
        self.follow_kept(FollowedStore { revision, told: Told::Changes, events }).await
    }

    async fn drop_all(&mut self) -> Result<(), End> {
        let followed = self.mirrored(Told::Everything, Vec::new()).await?;
        submit(&self.feed, followed.changes).await
    }
}

impl Follower {
    pub(super) fn new(
        (settings, client): (Arc<EtcdSettings>, Client),
        (feed, published): (Feed, Arc<Published>),
        (own, followed, networks): (Arc<Own>, watch::Sender<u64>, Networks),
    ) -> Follower {
        let layout = Layout::new(&settings.prefix);
        Follower {
            mirror: Some(Mirror::new(layout.clone(), settings.node.clone())),
            settings,
            client,
            grace: Grace::new(layout.clone()),
            layout,
            feed,
            published,
            own,
            followed,
            networks,
            progress: Progress::default(),
            alive: Alive::default(),
            complaints: Complaints::default(),
        }
    }

    /// Works until the server stops.
    pub(super) async fn run(self) {
        let status = initial_status(&self.published.load().catalog);
        let patience = Patience { stale_after: self.settings.stale_after, stale_max: self.settings.stale_max };
        let (client, feed) = (self.client.clone(), self.feed.clone());
        Following::new(self, Etcd::V3(client), feed, (status, patience)).run().await;
    }

    /// The time is over in which a machine could put back what it lost.
    async fn look_for_lost(&mut self, name: NodeName) -> Result<(), End> {
        let asked = Instant::now();
        let (_, found) = self.client.get(self.layout.key(&Place::Node(name.clone())).as_bytes()).await?;
        let is_on_its_way = found.is_some() && self.grace.is_lost(&name);
        if is_on_its_way || asked.elapsed() > GRACE / 2 {
            // Where etcd is slow, machines wait for it as long as we do.
            self.grace.extend(Instant::now());
            return Ok(());
        }
        let events = self.grace.gone(&name);
        self.changed(events).await
    }

    async fn changed(&mut self, events: Vec<mirror::Event>) -> Result<(), End> {
        if events.is_empty() {
            return Ok(());
        }
        let followed = self.mirrored(Told::Changes, events).await?;
        self.tell_coming_machines().await?;
        submit(&self.feed, followed.changes).await?;
        self.tell_machines().await
    }

    /// Reads all that is of no node, as it was at this revision, and follows it.
    async fn list_kept(&mut self, revision: i64) -> Result<(), End> {
        let before = self.published.load();
        let mut access = Vec::new();
        for folder in self.layout.access_folders() {
            access.extend(
                self.client.range(folder.as_bytes(), Some(revision)).await?.key_values.into_iter().map(Event::Put),
            );
        }
        self.follow_access((revision, Told::Everything), &access).await?;
        let mut events = Vec::new();
        for folder in self.layout.kept_folders().into_iter().chain([self.layout.events()]) {
            let listing = self.client.range(folder.as_bytes(), Some(revision)).await?;
            events.extend(self.retold(listing.key_values.into_iter().map(Event::Put)));
        }
        let revision = unsigned(revision);
        self.follow_kept(FollowedStore { revision, told: Told::Everything, events }).await?;
        let after = self.published.load();
        let [known, now] = [&before, &*after].map(|snapshot| Known { store: &snapshot.store, realm: &snapshot.realm });
        let gone = gone(known, now);
        if before.store.revision().is_some_and(|known| known > revision) {
            tracing::error!(
                "etcd was wiped, or restored from a backup: what machines share is now what it has; gone is of what was known \
                 here: {}",
                if gone.is_empty() { "nothing" } else { &gone }
            );
        } else if !gone.is_empty() {
            tracing::info!("etcd: of what machines share, as it was last known here, is gone: {gone}");
        }
        Ok(())
    }

    /// What these tell of keys, sessions, queries and events; of what cannot be read the log tells.
    fn retold(&mut self, events: impl IntoIterator<Item = Event>) -> Vec<kv::follow::Event> {
        let mut complaints = Vec::new();
        let told = events.into_iter().filter_map(|event| retell::told(&self.layout, &event, &mut complaints));
        let events = told.collect();
        self.complaints.say("etcd", &complaints);
        events
    }

    /// Before the keys and sessions of the same revision, because who waits for it looks at how far those are.
    async fn follow_access(&mut self, (revision, told): (i64, Told), events: &[Event]) -> Result<(), End> {
        let mut complaints = Vec::new();
        let events: Vec<_> =
            events.iter().filter_map(|event| retell::access::told(&self.layout, event, &mut complaints)).collect();
        self.complaints.say("etcd", &complaints);
        if events.is_empty() && told == Told::Changes {
            return Ok(());
        }
        let revision = u64::try_from(revision).unwrap_or_default();
        let followed = access::follow::Followed { revision, told, events };
        submitted(self.feed.access(AccessChange::Follow(Box::new(followed))).await)
    }

    async fn follow_kept(&mut self, mut followed: FollowedStore) -> Result<(), End> {
        let revision = followed.revision;
        heard::decide(&mut followed.events, &self.published.load().catalog, &self.settings.node);
        submitted(self.feed.store(kv::change::Change::Follow(Box::new(followed))).await)?;
        self.followed.send_replace(revision);
        self.progress.told(revision);
        Ok(())
    }

    /// Tells of machines that came, before their nodes are told of, which would be nobody's otherwise. Those that went are told
    /// of after their nodes went.
    async fn tell_coming_machines(&mut self) -> Result<(), End> {
        let Some(machines) = self.alive.coming() else { return Ok(()) };
        submitted(self.feed.set_machines(machines.clone()).await)?;
        self.alive.told(machines);
        Ok(())
    }

    /// Tells which machines live, if others do than were told.
    async fn tell_machines(&mut self) -> Result<(), End> {
        let Some(machines) = self.alive.news() else { return Ok(()) };
        submitted(self.feed.set_machines(machines.clone()).await)?;
        self.alive.told(machines);
        Ok(())
    }

    /// What follows for the catalog, looked at on a thread of its own: a hundred thousand keys may come at once.
    async fn mirrored(&mut self, told: Told, events: Vec<mirror::Event>) -> Result<Followed, End> {
        self.mirror_mut();
        let mut mirror = self.mirror.take().expect("it was just made");
        if told == Told::Everything {
            self.alive.clear();
        }
        for event in &events {
            if let Some(Place::Node(name)) = self.layout.place(&event.key) {
                self.alive.take(name, event.value.as_deref());
            }
        }
        let published = Arc::clone(&self.published);
        let looked = tokio::task::spawn_blocking(move || {
            let snapshot = published.load();
            let followed = match told {
                Told::Everything => mirror.relisted(&snapshot.catalog, events),
                Told::Changes => mirror.changes(&snapshot.catalog, events),
            };
            (mirror, followed)
        });
        // It fails by a panic, of which the log tells, or because the server stops.
        let (mirror, followed) = looked.await.map_err(|error| End::List(error.to_string()))?;
        self.mirror = Some(mirror);
        self.complaints.say("etcd", &followed.complaints);
        Ok(followed)
    }

    /// What is followed so far; after a failure, nothing.
    fn mirror_mut(&mut self) -> &mut Mirror {
        self.mirror.get_or_insert_with(|| {
            let mut mirror = Mirror::new(self.layout.clone(), self.settings.node.clone());
            mirror.set_networks(self.networks.borrow().clone());
            mirror
        })
    }

    fn is_own(&self, key: &[u8]) -> bool {
        self.layout.place(key).is_some_and(|place| *place.node() == self.settings.node)
    }
}

fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}

/// How the source is before it has looked: the publisher waits for its first list, unless what other machines had is known
/// from disk, which is stale until the first list. Until then it counts as away, too.
pub(super) fn initial_status(catalog: &State) -> SourceStatus {
    let is_on_disk = catalog.nodes().any(|entry| entry.node.origin == Origin::Cluster);
    let away = Some(Arc::from("etcd has not been reached yet"));
    SourceStatus { name: Arc::from("etcd"), origin: Origin::Cluster, synced: is_on_disk, stale: is_on_disk, away }
}
