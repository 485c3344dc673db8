//! Questions in flight: one race among upstreams for however many clients ask the same.
//!
//! A flight is a task of its own. It goes on when its clients have been answered or are gone, so that the
//! cache has the answer next time; it ends with [`Limits::background`](super::Limits::background).

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use dashmap::{DashMap, Entry};
use tokio::{
    sync::watch,
    time::{self, timeout_at},
};

use super::{
    cache::{Cache, Key, Outcome},
    race::{Asked, Race, SILENT},
    settings::Limits,
    slots::Slot,
    upstream::Upstream,
};
use crate::observe::metrics::Metrics;

/// The questions in flight.
#[derive(Default)]
pub(super) struct Flights {
    running: DashMap<Key, Flight>,
    count: AtomicUsize,
}

/// A question in flight, as its clients see it.
#[derive(Clone)]
pub(super) struct Flight {
    started: Instant,
    asked: Arc<Asked>,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What a flight needs to run.
pub(super) struct Crew {
    pub(super) flights: Arc<Flights>,
    pub(super) cache: Arc<Cache>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Arc<Limits>,
    pub(super) upstreams: Vec<Arc<Upstream>>,
}

impl Flights {
    /// Whether `client` is being asked this very question, by name and type, itself.
    pub(super) fn is_asking(&self, key: &Key, client: IpAddr) -> bool {
        let same = [(false, false), (false, true), (true, false), (true, true)];
        same.into_iter().any(|(dnssec_ok, checking_disabled)| {
            let key = Key { dnssec_ok, checking_disabled, ..key.clone() };
            self.running.get(&key).is_some_and(|flight| flight.asked.contains(client))
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Flight {
    /// Joins the flight for `key`, or starts one. The slot is the new flight's, or else given back with it.
    pub(super) fn join(crew: Crew, key: &Key, slot: Slot) -> (Flight, Option<Slot>) {
        let flights = Arc::clone(&crew.flights);
        let vacant = match flights.running.entry(key.clone()) {
            Entry::Occupied(running) => {
                return (running.get().clone(), Some(slot));
            }
            Entry::Vacant(vacant) => vacant,
        };
        let (sender, outcome) = watch::channel(None);
        let flight = Flight { started: Instant::now(), asked: Arc::default(), outcome };
        vacant.insert(flight.clone());
        flights.count.fetch_add(1, Ordering::Relaxed);
        crew.metrics.forward_in_flight.inc();
        let metrics = Arc::clone(&crew.metrics);
        let landing = Landing { flights: Arc::clone(&flights), metrics, key: key.clone(), _slot: slot };
        let asked = Arc::clone(&flight.asked);
        tokio::spawn(async move {
            let outcome = fly(&crew, &landing.key, &asked).await;
            // The next client finds the outcome in the cache, or starts anew.
            drop(landing);
            sender.send_replace(Some(outcome));
        });
        (flight, None)
    }

    /// When it began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Waits for the outcome until `deadline`; none if there is none yet.
    pub(super) async fn outcome(&mut self, deadline: Instant) -> Option<Outcome> {
        let outcome = self.outcome.wait_for(Option::is_some);
        match timeout_at(time::Instant::from_std(deadline), outcome).await {
            Ok(Ok(outcome)) => outcome.clone(),
            // The task has panicked: that is no answer, and there will be none.
            Ok(Err(_)) => Some(Err(SILENT)),
            Err(_) => None,
        }
    }
}

async fn fly(crew: &Crew, key: &Key, asked: &Asked) -> Outcome {
    let flushes = crew.cache.flushes();
    let race = Race { key, limits: &crew.limits, metrics: &crew.metrics, asked };
    let outcome = race.run(&crew.upstreams).await;
    if flushes == crew.cache.flushes() {
        crew.cache.keep(key, &outcome, Instant::now());
    }
    outcome
}

/// Takes a flight off the list when it ends, however it ends.
struct Landing {
    flights: Arc<Flights>,
    metrics: Arc<Metrics>,
    key: Key,
    _slot: Slot,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.running.remove(&self.key);
        self.flights.count.fetch_sub(1, Ordering::Relaxed);
        self.metrics.forward_in_flight.dec();
    }
}
