//! `GET /v1/export`: all that was registered by HTTP, as operations that register it.
//!
//! One JSON object a line, each an operation of `PUT /v1/txn`, in an order in which they can be applied and that is the
//! same for the same registrations: nodes with their checks by name, then instances with their checks by node and ID.
//! All of it is of one index. The instances are held while they are written out, the snapshot is not.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{Api, call::Call, export_body::SetBody, respond::ApiError};
use crate::{
    catalog::{
        change::{Origin, Registration},
        check::Check,
        names::NodeName,
        node::Node,
        state::{CheckEntry, InstanceEntry},
    },
    publish::snapshot::Snapshot,
};

/// `GET /v1/export`
pub(super) async fn export(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    call.read(&api)?;
    let busy = |_| ApiError::Busy("another export is running; try again when it has ended".to_owned());
    let permit = Arc::clone(&api.exporting).try_acquire_owned().map_err(busy)?;
    let (published, own) = (Arc::clone(&api.parts.published), api.parts.local.node.clone());
    let collected = tokio::task::spawn_blocking(move || Export::of(&published.load(), own)).await;
    let export = collected.map_err(|_| ApiError::Failed("internal error; the server goes on".to_owned()))?;
    let counts = export.counts;
    let (chunks, receiver) = mpsc::channel(CHUNKS_WAITING);
    tokio::spawn(export.write(chunks, permit));
    let body = Body::new(Chunks { receiver, complete: false });
    let mut response = ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response();
    for (name, count) in [
        ("x-nameplate-nodes", counts.nodes),
        ("x-nameplate-services", counts.services),
        ("x-nameplate-checks", counts.checks),
        ("x-nameplate-left-out", counts.left_out),
    ] {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(count));
    }
    Ok(response)
}

/// What is to be written.
struct Export {
    own: NodeName,
    /// Nodes that machines share and that are none of these: their registrations are clients', and any machine's to write.
    shared: HashSet<NodeName>,
    /// All nodes with checks of their own by HTTP, and all but our own and other machines'.
    nodes: Vec<(Arc<Node>, Arc<[CheckEntry]>)>,
    instances: Vec<Arc<InstanceEntry>>,
    counts: Counts,
}

/// How many lines there are of each kind.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    nodes: usize,
    services: usize,
    checks: usize,
    /// Checks that were added by HTTP to what another source owns.
    left_out: usize,
}

impl Export {
    fn of(snapshot: &Snapshot, own: NodeName) -> Export {
        let catalog = &snapshot.catalog;
        let shared = shared(snapshot);
        let is_clients = |check: &Check| is_clients(check, &shared);
        let mut counts = Counts::default();
        let mut nodes: Vec<_> =
            catalog.nodes().map(|entry| (Arc::clone(&entry.node), Arc::clone(&entry.checks))).collect();
        nodes.sort_unstable_by(|(left, _), (right, _)| left.name.cmp(&right.name));
        let mut instances = Vec::new();
        for entry in catalog.services().flat_map(|service| service.instances()) {
            let of_others = !is_written(entry, &shared);
            if of_others {
                counts.left_out += entry.checks.iter().filter(|check| is_clients(&check.check)).count();
            }
            let checks = match (of_others, aside(entry)) {
                (false, _) => entry.checks.iter().filter(|check| is_clients(&check.check)).count(),
                (true, Some(registration)) => registration.checks.len(),
                (true, None) => continue,
            };
            (counts.services, counts.checks) = (counts.services + 1, counts.checks + checks);
            instances.push(Arc::clone(entry));
        }
        // A node that another machine or registry told us of is that one's, unless there is something of ours on it.
        let on: HashSet<&NodeName> = instances.iter().map(|entry: &Arc<InstanceEntry>| &entry.instance.node).collect();
        nodes.retain(|(node, checks)| {
            let has_ours = on.contains(&node.name) || checks.iter().any(|entry| is_clients(&entry.check));
            !matches!(node.origin, Origin::Cluster | Origin::Registry) || has_ours || shared.contains(&node.name)
        });
        for (node, checks) in &nodes {
            counts.nodes += usize::from(node.name != own);
            counts.checks += checks.iter().filter(|entry| is_clients(&entry.check)).count();
        }
        instances.sort_unstable_by(|left, right| {
            let (left, right) = (&left.instance, &right.instance);
            (left.node != own, &left.node, &left.id).cmp(&(right.node != own, &right.node, &right.id))
        });
        Export { own, shared, nodes, instances, counts }
    }

    /// Writes all lines into the channel, as fast as they are read.
    async fn write(self, chunks: mpsc::Sender<Chunk>, _permit: OwnedSemaphorePermit) {
        let mut writer = Writer { chunks, chunk: Vec::new() };
        let done = async {
            for (node, checks) in &self.nodes {
                if node.name != self.own {
                    writer.line(&SetBody::node(node)).await?;
                }
                for entry in checks.iter().filter(|entry| is_clients(&entry.check, &self.shared)) {
                    writer.line(&SetBody::check(&entry.check, &self.own)).await?;
                }
            }
            for entry in &self.instances {
                match aside(entry).filter(|_| !is_written(entry, &self.shared)) {
                    Some(registration) => {
                        writer.line(&SetBody::service(&registration.instance, &self.own)).await?;
                        for check in &registration.checks {
                            writer.line(&SetBody::check(check, &self.own)).await?;
                        }
                    }
                    None => {
                        writer.line(&SetBody::service(&entry.instance, &self.own)).await?;
                        for check in entry.checks.iter().filter(|check| is_clients(&check.check, &self.shared)) {
                            writer.line(&SetBody::check(&check.check, &self.own)).await?;
                        }
                    }
                }
            }
            writer.send(true).await
        };
        if done.await.is_none() {
            tracing::debug!("an export was not read to its end");
        }
    }
}

/// Nodes that machines share and that are none of these. While nobody knows which machines live, none counts as such.
fn shared(snapshot: &Snapshot) -> HashSet<NodeName> {
    if !snapshot.follows_store() && snapshot.machines.is_empty() {
        return HashSet::new();
    }
    let nodes = snapshot.catalog.nodes().map(|entry| &entry.node).filter(|node| node.origin == Origin::Cluster);
    let is_machine = |node: &NodeName| snapshot.machines.iter().any(|machine| machine.node == *node);
    nodes.map(|node| node.name.clone()).filter(|name| !is_machine(name)).collect()
}

/// Whether a client registered it: by HTTP here, or on a node that machines share.
fn is_clients(check: &Check, shared: &HashSet<NodeName>) -> bool {
    check.origin == Origin::Api || (check.origin == Origin::Cluster && shared.contains(&check.node))
}

/// Whether an instance is written as it is.
fn is_written(entry: &InstanceEntry, shared: &HashSet<NodeName>) -> bool {
    let instance = &entry.instance;
    instance.origin == Origin::Api || (instance.origin == Origin::Cluster && shared.contains(&instance.node))
}

/// The registration by HTTP that another source's keeps aside.
fn aside(entry: &InstanceEntry) -> Option<&Arc<Registration>> {
    entry.shadowed.iter().find(|registration| registration.instance.origin == Origin::Api)
}

/// Gathers lines into chunks. None says that nobody reads them.
struct Writer {
    chunks: mpsc::Sender<Chunk>,
    chunk: Vec<u8>,
}

impl Writer {
    async fn line(&mut self, body: &SetBody<'_>) -> Option<()> {
        serde_json::to_writer(&mut self.chunk, body).ok()?;
        self.chunk.push(b'\n');
        if self.chunk.len() < CHUNK_BYTES { Some(()) } else { self.send(false).await }
    }

    async fn send(&mut self, last: bool) -> Option<()> {
        let chunk = Chunk { bytes: std::mem::take(&mut self.chunk).into(), last };
        self.chunks.send_timeout(chunk, STALL_MAX).await.ok()
    }
}

struct Chunk {
    bytes: Bytes,
    last: bool,
}

/// The body: chunks until the last one. One that ends before is an error, so that nobody takes it for the whole.
struct Chunks {
    receiver: mpsc::Receiver<Chunk>,
    complete: bool,
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.complete {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match ready!(self.receiver.poll_recv(context)) {
            Some(chunk) => {
                self.complete = chunk.last;
                Ok(Frame::data(chunk.bytes))
            }
            None => {
                self.complete = true;
                Err(std::io::Error::other("the export was cut off"))
            }
        }))
    }
}

/// Source: none, chosen: what a connection takes at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Chunks that are made before the one before is sent. Source: none, chosen.
const CHUNKS_WAITING: usize = 2;

/// Longest time in which nobody reads before an export is given up. Source: none, chosen: as bodies that come in.
const STALL_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
