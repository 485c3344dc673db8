//! The loop test: does an upstream send our questions back to us?
//!
//! Each upstream is asked HINFO for two random labels. If that question arrives at a listener of ours
//! while we wait, the upstream is left out until a later test finds otherwise.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::task::JoinSet;

use super::{
    cache::Key,
    routes::Routes,
    upstream::{Failure, Upstream},
};
use crate::wire::name::Name;

/// The tests that are under way, by the name that was asked.
#[derive(Default)]
pub(super) struct Probes {
    pending: Mutex<HashMap<Name, Pending>>,
}

struct Pending {
    upstream: Arc<Upstream>,
    came_back: Arc<AtomicBool>,
}

impl Probes {
    /// Whether this is the question of a test under way; if so, its upstream loops.
    pub(super) fn note(&self, name: &Name, rtype: u16) -> bool {
        if rtype != HINFO {
            return false;
        }
        let pending = self.pending();
        let Some(probe) = pending.get(name) else {
            return false;
        };
        probe.came_back.store(true, Ordering::Release);
        if probe.upstream.set_looping(true) {
            let upstream = probe.upstream.address();
            tracing::warn!(%upstream, "upstream {upstream} sends our questions back to us, so it is left out");
        }
        true
    }

    /// Tests all upstreams of `routes` that `chosen` names, all at once.
    pub(super) async fn run(self: &Arc<Probes>, routes: &Routes, chosen: fn(&Upstream) -> bool) {
        let mut tests = JoinSet::new();
        for group in routes.groups() {
            for upstream in group.upstreams.iter().filter(|upstream| chosen(upstream)) {
                let (probes, upstream, suffix) = (Arc::clone(self), Arc::clone(upstream), group.suffix.clone());
                tests.spawn(async move { probes.test(upstream, &suffix).await });
            }
        }
        while tests.join_next().await.is_some() {}
    }

    async fn test(&self, upstream: Arc<Upstream>, suffix: &Name) {
        let Some(name) = random_name(suffix) else {
            return;
        };
        let came_back = Arc::new(AtomicBool::new(false));
        let _pending = Registered::new(self, &name, &upstream, &came_back);
        let key = Key { name: name.clone(), rtype: HINFO, class: IN, dnssec_ok: false, checking_disabled: false };
        let result = upstream.ask(&key).await;
        // Silence tells nothing: the question may be on its way still.
        let told = !matches!(result, Err(Failure::Silent | Failure::Unreachable));
        if told && !came_back.load(Ordering::Acquire) && upstream.set_looping(false) {
            let upstream = upstream.address();
            tracing::info!(%upstream, "upstream {upstream} no longer sends our questions back, so it is used again");
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Name, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A test under way; off the list when dropped.
struct Registered<'a> {
    probes: &'a Probes,
    name: Name,
}

impl<'a> Registered<'a> {
    fn new(probes: &'a Probes, name: &Name, upstream: &Arc<Upstream>, came_back: &Arc<AtomicBool>) -> Registered<'a> {
        let pending = Pending { upstream: Arc::clone(upstream), came_back: Arc::clone(came_back) };
        probes.pending().insert(name.clone(), pending);
        Registered { probes, name: name.clone() }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.probes.pending().remove(&self.name);
    }
}

/// Two random labels below `suffix`; none if that is too long.
fn random_name(suffix: &Name) -> Option<Name> {
    // The keys of a new hasher are random enough for a name that nobody has a reason to guess.
    let label = |number: u8| format!("{:016x}", RandomState::new().hash_one(number));
    suffix.prepend(label(0).as_bytes()).ok()?.prepend(label(1).as_bytes()).ok()
}

/// RR type HINFO: harmless, and hardly ever asked for. Source: RFC 1035 section 3.2.2.
const HINFO: u16 = 13;

/// Class IN. Source: RFC 1035 section 3.2.4.
const IN: u16 = 1;
