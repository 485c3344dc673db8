//! What readers wait for: a level ("index above n" of one key), never an edge.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::{ArcSwap, Cache};
use dashmap::DashMap;
use foldhash::fast::RandomState;
use tokio::sync::{Notify, watch};

use crate::{
    catalog::{
        check::CheckKey,
        names::{NodeName, ServiceName, Text},
    },
    publish::{
        followed::{Followed, TouchedOnNode},
        snapshot::Snapshot,
    },
};

/// What a reader may wait for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WatchKey {
    /// One service: its instances, their checks, their nodes.
    Service(ServiceName),
    /// The list of services: any instance registered, changed or deregistered.
    Services,
    /// The list of nodes.
    Nodes,
    /// One node: itself, its checks, its instances and theirs.
    Node(NodeName),
    /// All checks.
    Checks,
    /// Whether all sources have synced.
    Sources,
    /// One key of the store.
    Key(Text),
    /// The keys of the store that begin so.
    Keys(Text),
    /// All sessions.
    Sessions,
    /// All events.
    Events,
    /// All prepared queries.
    Queries,
}

/// The current snapshot, and how to wait for a later one. Shared by all readers.
#[derive(Debug)]
pub struct Published {
    current: Arc<ArcSwap<Snapshot>>,
    waiters: DashMap<WatchKey, watch::Sender<()>>,
    touched_checks: Mutex<HashSet<CheckKey, RandomState>>,
    checks_touched: Notify,
    machines_touched: AtomicBool,
    /// Those that came or went, and those that lapsed.
    touched_sessions: Mutex<(Vec<Text>, Vec<Text>)>,
    sessions_touched: Notify,
    pub(super) followed: Followed,
    /// How many wait for keys that begin with a text of this length, so that a changed key is looked up under the
    /// lengths that somebody waits for.
    prefix_lengths: Mutex<BTreeMap<usize, usize>>,
}

impl Published {
    pub(super) fn new(first: Arc<Snapshot>) -> Published {
        Published {
            current: Arc::new(ArcSwap::new(first)),
            waiters: DashMap::new(),
            touched_checks: Mutex::default(),
            checks_touched: Notify::new(),
            machines_touched: AtomicBool::new(false),
            touched_sessions: Mutex::default(),
            sessions_touched: Notify::new(),
            followed: Followed::default(),
            prefix_lengths: Mutex::default(),
        }
    }

    /// The current snapshot. Do not keep it across a wait.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// A reader for a thread that answers: looking at the current snapshot costs one load.
    pub fn reader(&self) -> Reader {
        Reader { cache: Cache::new(Arc::clone(&self.current)) }
    }

    /// A ticket for the key: register first, then look at the level, then wait.
    pub fn register(self: &Arc<Self>, key: WatchKey) -> Ticket {
        if let WatchKey::Keys(prefix) = &key {
            *self.prefix_lengths().entry(prefix.len()).or_default() += 1;
        }
        let receiver = self.waiters.entry(key.clone()).or_insert_with(|| watch::channel(()).0).subscribe();
        Ticket { published: Arc::clone(self), key, receiver: Some(receiver) }
    }

    /// Checks whose definition or existence changed since they were last taken, for the health scheduler;
    /// hints only: look at the level. At most one reader.
    pub fn take_touched_checks(&self) -> Vec<CheckKey> {
        let touched = std::mem::take(&mut *self.touched_checks.lock().unwrap_or_else(PoisonError::into_inner));
        touched.into_iter().collect()
    }

    /// Whether it may have changed, since it was last taken, which machines live, or whether the store that they share is
    /// followed: by these they deal out the checks of nodes that are none of theirs. At most one reader.
    pub fn take_touched_machines(&self) -> bool {
        self.machines_touched.swap(false, Ordering::AcqRel)
    }

    /// Returns when [`Published::take_touched_checks`] or [`Published::take_touched_machines`] may have something.
    pub async fn checks_touched(&self) {
        self.checks_touched.notified().await;
    }

    /// Sessions that came or went since they were last taken, for who watches over their time; hints only: look at the
    /// level. At most one reader.
    pub fn take_touched_sessions(&self) -> Vec<Text> {
        std::mem::take(&mut self.sessions_hints().0)
    }

    /// Sessions that several machines share and that our catalog no longer carries, since they were last taken; hints only.
    /// At most one reader.
    pub fn take_lapsed_sessions(&self) -> Vec<Text> {
        std::mem::take(&mut self.sessions_hints().1)
    }

    /// Returns when [`Published::take_touched_sessions`] may have something.
    pub async fn sessions_touched(&self) {
        self.sessions_touched.notified().await;
    }

    /// Keeps from now on what is touched on this node, for who tells others of it. At most one node, and one reader.
    pub fn follow_node(&self, node: NodeName) {
        self.followed.follow(node);
    }

    /// What was touched on the node that is followed, since it was last taken; at first that is all. Hints only: look at the
    /// level.
    pub fn take_touched_on_node(&self) -> TouchedOnNode {
        self.followed.take()
    }

    /// Returns when [`Published::take_touched_on_node`] may have something.
    pub async fn node_touched(&self) {
        self.followed.touched().await;
    }

    pub(super) fn touch_sessions(&self, touched: Vec<Text>, lapsed: Vec<Text>) {
        if touched.is_empty() && lapsed.is_empty() {
            return;
        }
        let mut hints = self.sessions_hints();
        hints.0.extend(touched);
        hints.1.extend(lapsed);
        drop(hints);
        self.sessions_touched.notify_one();
    }

    fn sessions_hints(&self) -> MutexGuard<'_, (Vec<Text>, Vec<Text>)> {
        self.touched_sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn swap(&self, next: Arc<Snapshot>) -> Arc<Snapshot> {
        self.current.swap(next)
    }

    pub(super) fn touch(&self, key: &WatchKey) {
        if let Some(waiters) = self.waiters.get(key) {
            waiters.send_replace(());
        }
    }

    /// Wakes those who wait for this key, and for keys that begin as it does.
    pub(super) fn touch_key(&self, key: &Text) {
        self.touch(&WatchKey::Key(key.clone()));
        let lengths: Vec<usize> = self.prefix_lengths().range(..=key.len()).map(|(length, _)| *length).collect();
        for prefix in lengths.into_iter().filter_map(|length| key.get(..length)) {
            self.touch(&WatchKey::Keys(Text::from(prefix)));
        }
    }

    fn prefix_lengths(&self) -> MutexGuard<'_, BTreeMap<usize, usize>> {
        self.prefix_lengths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody waits for anything, so that touching is worth it.
    pub(super) fn has_waiters(&self) -> bool {
        !self.waiters.is_empty()
    }

    pub(super) fn touch_machines(&self) {
        self.machines_touched.store(true, Ordering::Release);
        self.checks_touched.notify_one();
    }

    pub(super) fn touch_checks(&self, keys: impl IntoIterator<Item = CheckKey>) {
        self.touched_checks.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
        self.checks_touched.notify_one();
    }
}

/// The current snapshot for one thread. Whoever holds one and is idle refreshes it now and then, because it keeps
/// the snapshot that it saw last.
pub struct Reader {
    cache: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
}

impl Reader {
    /// The current snapshot.
    pub fn current(&mut self) -> &Arc<Snapshot> {
        self.cache.load()
    }
}

/// A reader's place among those who wait for a key; leaves when dropped.
#[derive(Debug)]
pub struct Ticket {
    published: Arc<Published>,
    key: WatchKey,
    receiver: Option<watch::Receiver<()>>,
}

impl Ticket {
    /// Returns when the key was touched since the last call (or since registering).
    pub async fn changed(&mut self) {
        let changed = match &mut self.receiver {
            Some(receiver) => receiver.changed().await.is_ok(),
            None => false,
        };
        // The sender stays in the map while anyone is subscribed, so this is only for the last moments of the server.
        if !changed {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.receiver = None;
        if let WatchKey::Keys(prefix) = &self.key {
            let mut lengths = self.published.prefix_lengths();
            if let Some(count) = lengths.get_mut(&prefix.len()) {
                *count -= 1;
                if *count == 0 {
                    lengths.remove(&prefix.len());
                }
            }
        }
        self.published.waiters.remove_if(&self.key, |_, waiters| waiters.receiver_count() == 0);
    }
}
