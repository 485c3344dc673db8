//! The task that follows the keys of SkyDNS, and has their names answered.
//!
//! What changes while zones are made, or within as long again after that, is answered together: a change is answered at once where
//! there are few, and where there are many, at most half of a core makes zones.
//!
//! **Limits:** what a lease has left is asked for when a key is listed or put, once for each lease.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use tokio::task::JoinSet;

use super::{KnownNames, RegistrySettings};
use crate::{
    catalog::{change::Origin, followed::Told},
    publish::{
        feed::{Feed, SourceStatus},
        journal::Write,
        kept_names::{self, KeptName},
    },
    sources::etcd::{
        Etcd,
        client::{Batch, Event, KeyValue},
        following::{Complaints, End, Following, Keys, Sweep, submitted},
        mirror::Complaint,
    },
    zones::skydns::Tree,
};

/// Names below a prefix of etcd.
pub struct SkydnsSource {
    root: String,
    /// None only while a thread of its own makes zones of it.
    tree: Option<Tree>,
    client: Etcd,
    name: Arc<str>,
    feed: Feed,
    complaints: Complaints,
    serial: u32,
    /// The revision that the tree is of.
    revision: i64,
    /// What changed in it and is not answered yet; none where a record went.
    changed: BTreeMap<Vec<u8>, Option<KeptName>>,
    /// Until when zones are not made again.
    rests_until: Instant,
}

impl SkydnsSource {
    /// How it is before it has looked: what is not known yet, not even from disk, is not denied.
    pub fn initial_status(known: &KnownNames) -> SourceStatus {
        let is_on_disk = !known.tree.is_empty();
        let away = Some(Arc::from("etcd has not been reached yet"));
        let (name, origin) = (Arc::from("etcd_skydns"), Origin::Registry);
        SourceStatus { name, origin, synced: is_on_disk && known.is_whole, stale: is_on_disk, away }
    }

    /// Follows it until the server stops. The zones of what is known are answered already.
    pub async fn run(settings: RegistrySettings, known: KnownNames, client: Etcd, feed: Feed) {
        let source = SkydnsSource::new(Arc::clone(&settings.status.name), known, client.clone(), feed.clone());
        Following::new(source, client, feed, (settings.status, settings.patience)).run().await;
    }

    fn new(name: Arc<str>, known: KnownNames, client: Etcd, feed: Feed) -> SkydnsSource {
        SkydnsSource {
            root: known.tree.root().to_owned(),
            tree: Some(known.tree),
            client,
            name,
            feed,
            complaints: Complaints::default(),
            serial: known.serial,
            revision: 0,
            changed: BTreeMap::new(),
            rests_until: Instant::now(),
        }
    }

    /// Has what changed answered.
    async fn publish(&mut self) -> Result<(), End> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let lost = || End::List("the records are read anew".to_owned());
        let mut tree = self.tree.take().ok_or_else(lost)?;
        // Its low bits count on as it does; where it went back, the serial goes on.
        let serial = (self.revision as u32).max(self.serial.wrapping_add(1));
        let made = tokio::task::spawn_blocking(move || {
            let zones = tree.zones(serial);
            (tree, zones)
        });
        // It fails by a panic, of which the log tells, or because the server stops.
        let (tree, zones) = made.await.map_err(|_| End::Stopping)?;
        (self.tree, self.serial) = (Some(tree), serial);
        let names = self.changed.iter().map(|(key, name)| kept_names::write(key, name.as_ref()));
        let kept: Vec<Write> = names.chain([kept_names::write_serial(Some(serial))]).collect();
        submitted(self.feed.set_kept_zones(zones, kept).await)?;
        self.changed.clear();
        let ended = Instant::now();
        self.rests_until = ended + (ended - began);
        Ok(())
    }

    fn put(&mut self, all: Vec<KeyValue>, remaining: &BTreeMap<i64, u32>) {
        let Some(tree) = &mut self.tree else { return };
        for one in all {
            let remaining_secs = remaining.get(&one.lease).copied();
            match tree.put(&one.key, &one.value, remaining_secs) {
                Ok(None) => {}
                Ok(Some(key)) => {
                    self.changed.insert(key, Some(KeptName { value: one.value.into(), remaining_secs }));
                }
                Err(error) => {
                    let key = String::from_utf8_lossy(&one.key).escape_debug().to_string();
                    self.complaints.say(&self.name, &[Complaint { key, problem: error.to_string() }]);
                }
            }
        }
    }

    /// What is not among these keys went.
    fn keep<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>) {
        let gone = self.tree.as_mut().map(|tree| tree.keep(keys)).unwrap_or_default();
        self.changed.extend(gone.into_iter().map(|key| (key, None)));
    }
}

impl Keys for SkydnsSource {
    fn root(&self) -> &str {
        &self.root
    }

    async fn list(&mut self, sweep: &mut Sweep) -> Result<i64, End> {
        let listing = self.client.range(&self.root).await?;
        let leases = listing.key_values.iter().map(|one| one.lease).collect();
        let remaining = remaining(self.client.clone(), leases).await?;
        self.complaints.clear();
        if sweep.told() == Told::Everything {
            self.keep(listing.key_values.iter().map(|one| &one.key[..]));
        }
        self.put(listing.key_values, &remaining);
        self.revision = listing.header.revision;
        self.publish().await?;
        Ok(self.revision + 1)
    }

    async fn follow(&mut self, batch: Batch) -> Result<(), End> {
        let leases = batch.events.iter().filter_map(|event| match event {
            Event::Put(one) => Some(one.lease),
            Event::Delete { .. } => None,
        });
        let remaining = remaining(self.client.clone(), leases.collect()).await?;
        for event in batch.events {
            match event {
                Event::Put(one) => self.put(vec![one], &remaining),
                Event::Delete { key, .. } => {
                    let gone = self.tree.as_mut().and_then(|tree| tree.delete(&key));
                    self.changed.extend(gone.map(|key| (key, None)));
                }
            }
        }
        self.revision = batch.revision;
        if Instant::now() < self.rests_until { Ok(()) } else { self.publish().await }
    }

    fn due(&self) -> Option<Instant> {
        (!self.changed.is_empty()).then_some(self.rests_until)
    }

    async fn act(&mut self) -> Result<(), End> {
        self.publish().await
    }

    async fn ended(&mut self) -> Result<(), End> {
        self.publish().await
    }

    async fn drop_all(&mut self) -> Result<(), End> {
        self.keep([]);
        self.publish().await
    }
}

/// What leases have left, in seconds; 0 is none.
async fn remaining(client: Etcd, leases: BTreeSet<i64>) -> Result<BTreeMap<i64, u32>, End> {
    let mut leases = leases.into_iter().filter(|lease| *lease != 0);
    let mut asked = JoinSet::new();
    let mut remaining = BTreeMap::new();
    loop {
        for lease in leases.by_ref().take(ASKED_TOGETHER_MAX - asked.len()) {
            let client = client.clone();
            asked.spawn(async move { (lease, client.time_to_live(lease).await) });
        }
        let Some(done) = asked.join_next().await else { return Ok(remaining) };
        let (lease, left) = done.map_err(|error| End::List(error.to_string()))?;
        // One that is gone takes its keys along.
        let secs = left?.map_or(0, |left| left.secs);
        remaining.insert(lease, u32::try_from(secs).unwrap_or(u32::MAX));
    }
}

/// Most leases that are asked for at a time. Source: none, chosen: etcd answers from memory.
const ASKED_TOGETHER_MAX: usize = 32;

#[cfg(test)]
#[path = "skydns_tests.rs"]
mod tests;
