//! Follows etcd: what is of other nodes comes into the catalog, and what is of ours is told to who writes it.
//!
//! | etcd | what becomes of what other machines registered |
//! |---|---|
//! | cannot be reached, or knows no leader | stays, stale after `stale_after`, dropped after `stale_max` |
//! | is there again, and still has what came meanwhile | what came meanwhile is read |
//! | has forgotten what came meanwhile | all is listed again; what is not listed goes |
//! | was wiped, or restored from a backup | all is listed again; what is not listed stays for 20 s, in which its owners put it back |
//! | lost the key of a node, which did not say that it leaves | stays for a moment, in which a machine that lives puts it back (`grace`) |

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::sleep_until};

use super::{
    EtcdSettings,
    alive::Alive,
    client::{Batch, Client, Error, Event, KeyValue, WatchEnd},
    grace::{GRACE, Grace},
    layout::{Layout, Place},
    mirror::{self, Followed, Mirror},
    own::{Own, until},
    retell,
};
use crate::{
    catalog::{
        change::{Change, Origin},
        names::NodeName,
        state::State,
    },
    kv::{
        self,
        follow::{Followed as FollowedStore, Told},
    },
    publish::{
        feed::{Feed, Receipt, SourceStatus, SubmitError},
        watch::Published,
    },
};

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
    /// Told up to which revision keys and sessions are published.
    followed: watch::Sender<u64>,
    /// From which revision on it is watched; none until all was listed.
    next: Option<i64>,
    /// What machines lost that may live.
    grace: Grace,
    alive: Alive,
    /// When what is not there any more goes, after etcd was wiped or restored, or all was listed while something was lost.
    sweep: Option<Instant>,
    status: SourceStatus,
    away: Option<Away>,
    complaints: BTreeSet<String>,
}

/// Since when etcd cannot be followed.
#[derive(Debug)]
struct Away {
    since: Instant,
    problem: String,
    /// Whether what other machines had was dropped.
    dropped: bool,
}

/// Why following it ended.
#[derive(Debug)]
enum End {
    /// The server stops.
    Stopping,
    /// All is to be listed again, for this reason.
    List(String),
    /// It cannot be reached, or refuses.
    Error(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        match error {
            Error::Compacted => End::List(error.to_string()),
            error => End::Error(error),
        }
    }
}

impl Follower {
    pub(super) fn new(
        (settings, client): (Arc<EtcdSettings>, Client),
        (feed, published): (Feed, Arc<Published>),
        (own, followed): (Arc<Own>, watch::Sender<u64>),
    ) -> Follower {
        let layout = Layout::new(&settings.prefix);
        Follower {
            mirror: Some(Mirror::new(layout.clone(), settings.node.clone())),
            status: initial_status(&published.load().catalog),
            settings,
            client,
            grace: Grace::new(layout.clone()),
            layout,
            feed,
            published,
            own,
            followed,
            next: None,
            alive: Alive::default(),
            sweep: None,
            away: None,
            complaints: BTreeSet::new(),
        }
    }

    /// Works until the server stops.
    pub(super) async fn run(mut self) {
        loop {
            let Err(end) = self.session().await;
            let went_on = match end {
                End::Stopping => return,
                End::List(reason) => {
                    tracing::info!("etcd: all is read again: {reason}");
                    self.next = None;
                    Ok(())
                }
                End::Error(error) => self.away(Instant::now(), &error).await,
            };
            if matches!(went_on, Err(End::Stopping)) {
                return;
            }
            sleep_until((Instant::now() + AGAIN).into()).await;
        }
    }

    /// Follows it until that fails.
    async fn session(&mut self) -> Result<Infallible, End> {
        let next = match self.next {
            Some(next) => next,
            None => self.list().await?,
        };
        let mut watch = match self.client.watch(self.layout.root().as_bytes(), next).await {
            Err(error @ Error::WentBack { .. }) => {
                self.hold();
                return Err(End::List(error.to_string()));
            }
            begun => begun?,
        };
        self.here().await?;
        // What was put back meanwhile comes now.
        self.grace.extend(Instant::now());
        loop {
            let (sweep, lost) = (self.sweep, self.grace.next());
            let lost_until = lost.as_ref().map(|(until, _)| *until);
            let batch = tokio::select! {
                batch = watch.next() => batch,
                () = until(lost_until) => {
                    self.look_for_lost(lost.map(|(_, name)| name)).await?;
                    continue;
                }
                () = until(sweep) => {
                    self.sweep = None;
                    return Err(End::List("what was lost has had time to be put back".to_owned()));
                }
            };
            match batch {
                Ok(batch) => self.follow(batch).await?,
                Err(WatchEnd::Lost(error)) => return Err(End::Error(error)),
                Err(end) => return Err(End::List(end.to_string())),
            }
            self.next = Some(watch.next_revision());
        }
    }

    /// Reads all that is there, and brings the catalog to it. Returns from which revision on it is to be watched.
    async fn list(&mut self) -> Result<i64, End> {
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
        self.own.listed(own);
        self.sweep = self.sweep.max(self.grace.listed(&others));
        let events = others.into_iter().map(|one| mirror::Event { key: one.key, value: Some(one.value) });
        self.complaints.clear();
        let told = if self.sweep.is_none() { Told::Everything } else { Told::Changes };
        let followed = self.mirrored(told, events.collect()).await?;
        // One by one nothing of it would be wrong, and others have changes, too.
        let mut changes = followed.changes.into_iter();
        loop {
            let some: Vec<_> = changes.by_ref().take(SUBMITTED_TOGETHER).collect();
            if some.is_empty() {
                break;
            }
            self.submit(some).await?;
        }
        self.tell_machines().await?;
        self.list_kept(revision).await?;
        self.next = Some(revision + 1);
        Ok(revision + 1)
    }

    /// Reads all keys and sessions, as they were at this revision, and brings the store to them.
    async fn list_kept(&mut self, revision: i64) -> Result<(), End> {
        let mut events = Vec::new();
        for folder in self.layout.kept_folders() {
            let listing = self.client.range(folder.as_bytes(), Some(revision)).await?;
            let told = listing.key_values.into_iter().filter_map(|one| retell::told(&self.layout, &Event::Put(one)));
            events.extend(self.readable(told.collect()));
        }
        let before = self.published.load().store.clone();
        let revision = u64::try_from(revision).unwrap_or_default();
        self.follow_kept(FollowedStore { revision, told: Told::Everything, events }).await?;
        if before.revision().is_some_and(|known| known > revision) {
            let store = &self.published.load().store;
            let gone = before.keys_below("").filter(|entry| store.key(&entry.key).is_none()).count();
            tracing::error!(
                "etcd was wiped, or restored from a backup: keys and sessions are now those that it has, {gone} of {} keys \
                 are gone",
                before.key_count()
            );
        }
        Ok(())
    }

    /// Those that could be read; the log tells of the others.
    fn readable(&mut self, told: Vec<Result<kv::follow::Event, mirror::Complaint>>) -> Vec<kv::follow::Event> {
        let readable = told.into_iter().filter_map(|told| told.map_err(|complaint| self.complain(&complaint)).ok());
        readable.collect()
    }

    async fn follow_kept(&mut self, followed: FollowedStore) -> Result<(), End> {
        let revision = followed.revision;
        let done = self.feed.store(kv::change::Change::Follow(Box::new(followed))).await;
        submitted(done)?;
        self.followed.send_replace(revision);
        Ok(())
    }

    /// Brings the catalog to what changed, as one change, and the store.
    async fn follow(&mut self, batch: Batch) -> Result<(), End> {
        if batch.events.is_empty() {
            return Ok(());
        }
        self.settings.metrics.store_events.inc_by(batch.events.len() as u64);
        let (kept, events): (Vec<_>, Vec<_>) =
            batch.events.into_iter().partition(|event| self.layout.kept(event.key()).is_some());
        let (own, others): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| self.is_own(event.key()));
        own.into_iter().for_each(|event| self.own.heard(event));
        let events = self.grace.events(others, Instant::now());
        self.changed(events).await?;
        if kept.is_empty() {
            return Ok(());
        }
        let told = kept.iter().filter_map(|event| retell::told(&self.layout, event)).collect();
        let (revision, events) = (u64::try_from(batch.revision).unwrap_or_default(), self.readable(told));
        self.follow_kept(FollowedStore { revision, told: Told::Changes, events }).await
    }

    /// The time is over in which a machine could put back what it lost.
    async fn look_for_lost(&mut self, name: Option<NodeName>) -> Result<(), End> {
        let Some(name) = name else { return Ok(()) };
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
        self.submit(followed.changes).await?;
        self.tell_machines().await
    }

    /// What follows for the catalog, looked at on a thread of its own: a hundred thousand keys may come at once.
    async fn mirrored(&mut self, told: Told, events: Vec<mirror::Event>) -> Result<Followed, End> {
        let mut mirror = match self.mirror.take() {
            Some(mirror) => mirror,
            None => Mirror::new(self.layout.clone(), self.settings.node.clone()),
        };
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
        followed.complaints.iter().for_each(|complaint| self.complain(complaint));
        Ok(followed)
    }

    fn complain(&mut self, complaint: &mirror::Complaint) {
        let text = complaint.to_string();
        if self.complaints.len() < COMPLAINTS_MAX && self.complaints.insert(text.clone()) {
            tracing::warn!("etcd: {text}");
        }
    }

    /// Lets stay what is not there for as long as its owners may take to put it back.
    fn hold(&mut self) {
        self.sweep = Some(Instant::now() + PUT_BACK_MAX);
    }

    fn is_own(&self, key: &[u8]) -> bool {
        self.layout.place(key).is_some_and(|place| *place.node() == self.settings.node)
    }

    async fn submit(&mut self, changes: Vec<Change>) -> Result<(), End> {
        if changes.is_empty() {
            return Ok(());
        }
        submitted(self.feed.submit(changes).await)
    }

    /// It is followed.
    async fn here(&mut self) -> Result<(), End> {
        match self.away.take() {
            Some(away) => {
                let secs = away.since.elapsed().as_secs();
                tracing::info!("etcd: followed again after {secs} s: {}", away.problem);
            }
            None if !self.status.synced || self.status.stale => {
                tracing::info!(machines = self.grace.living(), "etcd: connected");
            }
            None => {}
        }
        self.tell(SourceStatus { synced: true, stale: false, away: None, ..self.status.clone() }).await
    }

    /// It cannot be followed: all stays as it is, and counts as stale after a while.
    async fn away(&mut self, now: Instant, error: &Error) -> Result<(), End> {
        let problem = error.to_string();
        let is_new = self.away.as_ref().is_none_or(|away| away.problem != problem);
        let away = self.away.get_or_insert_with(|| Away { since: now, problem: String::new(), dropped: false });
        if is_new && away.problem.is_empty() {
            tracing::error!("{problem}; what other machines registered stays as it was last known");
        } else if is_new {
            tracing::debug!("{problem}");
        }
        away.problem = problem.clone();
        let gone_for = now.saturating_duration_since(away.since);
        let drops = gone_for >= self.settings.stale_max && !away.dropped;
        away.dropped |= drops;
        if drops {
            self.drop_all().await?;
        }
        let stale = self.status.stale || gone_for >= self.settings.stale_after;
        self.tell(SourceStatus { stale, away: Some(Arc::from(problem)), ..self.status.clone() }).await
    }

    /// What other machines had is too old to be told.
    async fn drop_all(&mut self) -> Result<(), End> {
        tracing::error!("etcd was away for too long; what other machines registered is dropped (stale_max)");
        self.next = None;
        let followed = self.mirrored(Told::Everything, Vec::new()).await?;
        self.submit(followed.changes).await?;
        self.tell_machines().await
    }

    /// Tells which machines live, if that is news.
    async fn tell_machines(&mut self) -> Result<(), End> {
        let Some(machines) = self.alive.news() else { return Ok(()) };
        match self.feed.set_machines(machines.clone()).await {
            Ok(_) | Err(SubmitError::Journal(_)) => self.alive.told(machines),
            Err(SubmitError::Closed) => return Err(End::Stopping),
            Err(error) => return Err(End::List(error.to_string())),
        }
        Ok(())
    }

    async fn tell(&mut self, status: SourceStatus) -> Result<(), End> {
        if status == self.status {
            return Ok(());
        }
        match self.feed.set_source(status.clone()).await {
            Ok(_) => self.status = status,
            Err(SubmitError::Closed) => return Err(End::Stopping),
            // Told again with the next look, because the status is not yet this one.
            Err(_) => {}
        }
        Ok(())
    }
}

fn submitted(done: Result<Receipt, SubmitError>) -> Result<(), End> {
    match done {
        // What the journal could not write is listed again at the next start.
        Ok(_) | Err(SubmitError::Journal(_)) => Ok(()),
        Err(SubmitError::Closed) => Err(End::Stopping),
        // Something else changed the catalog between looking and submitting, or too much waits.
        Err(error) => Err(End::List(error.to_string())),
    }
}

/// How the source is before it has looked: the publisher waits for its first list, unless what other machines had is known
/// from disk, which is stale until the first list. Until then it counts as away, too.
pub(super) fn initial_status(catalog: &State) -> SourceStatus {
    let is_on_disk = catalog.nodes().any(|entry| entry.node.origin == Origin::Cluster);
    let away = Some(Arc::from("etcd has not been reached yet"));
    SourceStatus { name: Arc::from("etcd"), origin: Origin::Cluster, synced: is_on_disk, stale: is_on_disk, away }
}

/// From an error to the next attempt; the client waits for longer where nobody answers. Source: none, chosen.
const AGAIN: Duration = Duration::from_millis(200);

/// Most changes of a list that are made at once. Source: none, chosen: some milliseconds of the publisher's work.
const SUBMITTED_TOGETHER: usize = 1000;

/// For how long owners may take to put back what was lost.
///
/// Source: none, chosen: ten times what they take, and 30 s after etcd is there again nothing is answered that is not.
const PUT_BACK_MAX: Duration = Duration::from_secs(20);

/// Most complaints that are remembered, and said, between two lists. Source: none, chosen.
const COMPLAINTS_MAX: usize = 100;
