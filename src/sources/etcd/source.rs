//! The two tasks that keep one catalog on several machines, and the look at etcd before they begin.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    task::{AbortHandle, JoinHandle},
};

use super::{
    EtcdSettings,
    client::{Client, Error, KeyValue},
    document::{Nameplate, read_node},
    endings::Endings,
    follow::{self, Follower},
    layout::{Layout, Place},
    own::{Own, Writer, until},
    push::Push,
    shared::Shared,
};
use crate::{
    catalog::{spanning::SpanningNetworks, state::State},
    publish::{
        feed::{Feed, SourceStatus},
        watch::Published,
    },
};

/// A running source.
#[derive(Debug)]
pub struct EtcdSource {
    stopping: watch::Sender<bool>,
    /// What is just ended when we stop.
    others: Vec<AbortHandle>,
    writer: JoinHandle<()>,
}

/// Another machine that lives has our node's name.
#[derive(Debug, thiserror::Error)]
#[error(
    "node {name:?} is another machine already, {address}, with ID {uuid} (ours is {own}); give one of the two another name \
     with --node. If it is this one, with its data directory lost, wait until its lease has ended"
)]
pub struct NameTaken {
    /// The name.
    pub name: String,
    /// That machine's address.
    pub address: String,
    /// Its ID.
    pub uuid: String,
    /// Ours.
    pub own: String,
}

impl EtcdSource {
    /// How the source is before it has looked, given the catalog as it was stored.
    pub fn initial_status(catalog: &State) -> SourceStatus {
        follow::initial_status(catalog)
    }

    /// Looks whether another machine that lives has our node's name. An etcd that does not answer soon says nothing.
    pub async fn look_for_name(settings: &EtcdSettings, client: &Client) -> Result<(), NameTaken> {
        let key = Layout::new(&settings.prefix).key(&Place::Node(settings.node.clone()));
        let began = Instant::now();
        let mut least = None;
        loop {
            let looked = tokio::time::timeout(LOOK_MAX, holder(settings, client, &key)).await;
            let Ok(Ok(Some((taken, remaining)))) = looked else { return Ok(()) };
            // It lives if somebody renews its lease.
            let is_renewed = least.is_some_and(|least| remaining > least);
            if is_renewed || began.elapsed() > settings.lease + LOOK_MAX {
                return Err(taken);
            }
            if least.is_none() {
                tracing::warn!(
                    "etcd: node {} is known with another ID; waiting whether its machine lives",
                    settings.node
                );
            }
            least = Some(remaining);
            until(Some(Instant::now() + LOOK_EVERY)).await;
        }
    }

    /// Starts to follow etcd and to write to it. `networks` are those that this machine has with others, as they change; none as
    /// long as nobody knows.
    pub fn start(
        settings: EtcdSettings,
        client: Client,
        (feed, published): (&Feed, &Arc<Published>),
        networks: watch::Receiver<Option<Arc<SpanningNetworks>>>,
    ) -> EtcdSource {
        let (stopping, stopped) = watch::channel(false);
        let told = (settings.datacenter.to_string(), Nameplate::ours(&settings.addresses));
        let push = Push::new(Layout::new(&settings.prefix), settings.node.clone(), told);
        let (settings, own) = (Arc::new(settings), Arc::new(Own::new(push)));
        published.follow_node(settings.node.clone());
        let (tell, followed) = watch::channel(0);
        let follower = Follower::new(
            (Arc::clone(&settings), client.clone()),
            (feed.clone(), Arc::clone(published)),
            (Arc::clone(&own), tell, networks),
        );
        let mut others = vec![tokio::spawn(follower.run()).abort_handle()];
        if let Some(requests) = feed.take_requests(settings.node.clone()) {
            let parts = (Arc::clone(&settings), client.clone());
            let shared = Arc::new(Shared::new(parts, Arc::clone(published), followed));
            let endings = Endings::new(settings.node.clone(), Arc::clone(published), Arc::clone(&shared));
            if let Some(results) = feed.shared_results() {
                others.push(tokio::spawn(Arc::clone(&shared).tell_results(results)).abort_handle());
            }
            others.extend(
                [tokio::spawn(endings.run()), tokio::spawn(shared.run(requests))].map(|task| task.abort_handle()),
            );
        }
        let writer = Writer::new((settings, client), Arc::clone(published), own);
        EtcdSource { stopping, others, writer: tokio::spawn(writer.run(stopped)) }
    }

    /// Takes back what is ours, and ends.
    pub async fn stop(self) {
        self.others.iter().for_each(AbortHandle::abort);
        self.stopping.send_replace(true);
        let _ = self.writer.await;
    }
}

/// Who has our node's name, if it is not we, and how many seconds its lease has.
async fn holder(settings: &EtcdSettings, client: &Client, key: &str) -> Result<Option<(NameTaken, u64)>, Error> {
    let (_, found) = client.get(key.as_bytes()).await?;
    let Some(KeyValue { value, lease, .. }) = found.filter(|found| found.lease != 0) else { return Ok(None) };
    let Ok(read) = read_node(&settings.node, &value) else { return Ok(None) };
    if read.node.uuid == settings.uuid {
        return Ok(None);
    }
    let taken = NameTaken {
        name: settings.node.to_string(),
        address: read.node.address.to_string(),
        uuid: read.node.uuid.to_string(),
        own: settings.uuid.to_string(),
    };
    Ok(client.time_to_live(lease).await?.map(|remaining| (taken, remaining.secs)))
}

/// Longest wait for etcd before the start goes on without it. Source: none, chosen: a machine that starts while etcd is away
/// should answer soon.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// Source: none, chosen: seconds are what etcd tells.
const LOOK_EVERY: Duration = Duration::from_millis(500);
