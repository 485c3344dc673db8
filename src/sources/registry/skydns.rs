//! The task that follows the keys of SkyDNS, and has their names answered.
//!
//! **Limits:** what a lease has left is asked for when a key is listed or put, once for each lease. Nothing is kept on disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::task::JoinSet;

use super::RegistrySettings;
use crate::{
    catalog::{change::Origin, followed::Told},
    publish::feed::{Feed, SourceStatus},
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
}

impl SkydnsSource {
    /// How it is before it has looked: what is not known yet is not denied.
    pub fn initial_status() -> SourceStatus {
        let away = Some(Arc::from("etcd has not been reached yet"));
        SourceStatus { name: Arc::from("etcd_skydns"), origin: Origin::Registry, synced: false, stale: false, away }
    }

    /// Follows it until the server stops.
    pub async fn run(settings: RegistrySettings, tree: Tree, client: Etcd, feed: Feed) {
        let mut source = SkydnsSource {
            root: tree.root().to_owned(),
            tree: Some(tree),
            client: client.clone(),
            name: Arc::clone(&settings.status.name),
            feed: feed.clone(),
            complaints: Complaints::default(),
            serial: 0,
        };
        // So that its names are ours before they are known.
        if let Err(End::Stopping) = source.publish(0).await {
            return;
        }
        Following::new(source, client, feed, (settings.status, settings.patience)).run().await;
    }

    /// Has the names answered as they now are.
    async fn publish(&mut self, revision: i64) -> Result<(), End> {
        let lost = || End::List("the records are read anew".to_owned());
        let tree = self.tree.take().ok_or_else(lost)?;
        // Its low bits count on as it does; where it went back, the serial goes on.
        let serial = (revision as u32).max(self.serial.wrapping_add(1));
        let made = tokio::task::spawn_blocking(move || {
            let zones = tree.zones(serial);
            (tree, zones)
        });
        // It fails by a panic, of which the log tells, or because the server stops.
        let (tree, zones) = made.await.map_err(|_| End::Stopping)?;
        (self.tree, self.serial) = (Some(tree), serial);
        submitted(self.feed.set_zones(zones).await)
    }

    fn put(&mut self, all: &[KeyValue], remaining: &BTreeMap<i64, u32>) {
        let Some(tree) = &mut self.tree else { return };
        for one in all {
            if let Err(error) = tree.put(&one.key, &one.value, remaining.get(&one.lease).copied()) {
                let key = String::from_utf8_lossy(&one.key).escape_debug().to_string();
                self.complaints.say(&self.name, &[Complaint { key, problem: error.to_string() }]);
            }
        }
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
        self.put(&listing.key_values, &remaining);
        if let Some(tree) = self.tree.as_mut().filter(|_| sweep.told() == Told::Everything) {
            tree.keep(listing.key_values.iter().map(|one| &one.key[..]));
        }
        self.publish(listing.header.revision).await?;
        Ok(listing.header.revision + 1)
    }

    async fn follow(&mut self, batch: Batch) -> Result<(), End> {
        let leases = batch.events.iter().filter_map(|event| match event {
            Event::Put(one) => Some(one.lease),
            Event::Delete { .. } => None,
        });
        let remaining = remaining(self.client.clone(), leases.collect()).await?;
        for event in batch.events {
            match event {
                Event::Put(one) => self.put(&[one], &remaining),
                Event::Delete { key, .. } => {
                    if let Some(tree) = &mut self.tree {
                        tree.delete(&key);
                    }
                }
            }
        }
        self.publish(batch.revision).await
    }

    async fn drop_all(&mut self) -> Result<(), End> {
        if let Some(tree) = &mut self.tree {
            tree.keep([]);
        }
        self.publish(0).await
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
