//! Following what changes.
//!
//! What changes at once comes in one message. etcd would cut a large one into fragments for who asks for it, but takes 18 s
//! to cut the 100,000 deletions of a lease that ends (3.4.23: at each event it measures all before it), and is silent
//! meanwhile; in one message they come within a second.

use std::{sync::Arc, time::Duration};

use h2::SendStream;
use prost::bytes::Bytes;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::{
    Client, Repeat,
    connection::{Connection, RANGE},
    error::{ABORTED, COMPACTED, Error, Failure, NO_LEADER, OUT_OF_RANGE, UNAVAILABLE},
    grpc::{Answers, broken_off, decoded, framed},
    kv::{end_of, start_of},
    messages::{
        Header, KeyValue, RangeRequest, RangeResponse, WatchAsk, WatchCreateRequest, WatchEvent, WatchProgressRequest,
        WatchRequest, WatchResponse,
    },
};

/// What was changed at once, or, without events, that all is told so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// With events: the revision of the last of them. Without: how far the member is, which is no place to go on from (see
    /// the limits of the module).
    pub revision: i64,
    /// What changed, in order.
    pub events: Vec<Event>,
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was put.
    Put(KeyValue),
    /// It was deleted, or its lease ended.
    Delete {
        /// The key.
        key: Vec<u8>,
        /// The revision of the deletion.
        mod_revision: i64,
    },
}

/// Why a watch is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchEnd {
    /// What would be next is no longer kept: list again.
    #[error("etcd has compacted what was not read yet; it keeps what came from revision {compact_revision} on")]
    Compacted {
        /// The oldest that is kept.
        compact_revision: i64,
    },
    /// etcd ended it, for this reason.
    #[error("etcd ended the watch: {0}")]
    Canceled(String),
    /// More came at once than is held: list again, in pages.
    #[error("more changed at once than is held")]
    TooLarge,
    /// The connection, the member, or its place in the cluster: watch again from [`Watch::next_revision`].
    #[error(transparent)]
    Lost(Error),
}

/// A watch on one connection, which ends with it.
#[derive(Debug)]
pub struct Watch {
    // Keeps the connection.
    client: Client,
    connection: Arc<Connection>,
    body: SendStream<Bytes>,
    answers: Answers,
    header: Header,
    next_revision: i64,
    ticks: Interval,
    /// By when something must have come, once something is asked for.
    deadline: Option<Instant>,
}

impl Client {
    /// Watches what begins with a prefix, from this revision on, which may be the next that there will be.
    pub async fn watch(&self, prefix: &[u8], from_revision: i64) -> Result<Watch, Error> {
        // Where the cluster is, which the watch's own member may not know yet. And a token that is no longer good is
        // renewed by it, of which a watch tells nothing: etcd says that we may not, whoever we are.
        let read = RangeRequest { key: start_of(prefix), keys_only: true, ..RangeRequest::default() };
        let read: RangeResponse = self.call(RANGE, &read, Repeat::Always).await?;
        let revision = self.header(read.header)?.revision;
        if revision < from_revision.saturating_sub(1) {
            return Err(Error::WentBack { revision });
        }
        let connection = self.connection().await?;
        let begun = timeout(self.timeouts().call, begin(&connection, prefix, from_revision)).await;
        let (body, answers, header) = begun.unwrap_or(Err(Failure::Silent)).map_err(|failure| {
            let error = failure.at(&connection.endpoint);
            if error.is_passing() {
                connection.retire(&error);
            }
            error
        })?;
        let mut ticks = interval_at(Instant::now() + ASK_EVERY, ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Watch {
            header: self.header(header)?,
            client: self.clone(),
            connection,
            body,
            answers,
            next_revision: from_revision,
            ticks,
            deadline: None,
        })
    }
}

impl Watch {
    /// What the member said when the watch began: what it is, and how far.
    pub fn header(&self) -> Header {
        self.header
    }

    /// From where another watch goes on after this one: nothing before it is still to come.
    pub fn next_revision(&self) -> i64 {
        self.next_revision
    }

    /// Waits for the next change, or for word that there is none, which comes about each second.
    ///
    /// Loses nothing when it is dropped and called again. While it is not called, etcd waits with the rest; it keeps what
    /// it has not sent, and calls it compacted when it no longer does.
    pub async fn next(&mut self) -> Result<Batch, WatchEnd> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.answers.next() => message,
                () = passed(self.deadline) => Err(Failure::Silent),
                _ = self.ticks.tick() => match self.ask_for_progress() {
                    Ok(()) => continue,
                    Err(failure) => Err(failure),
                },
            };
            self.deadline = None;
            let message =
                message.and_then(|message| message.ok_or_else(|| Failure::BrokenOff("it ended the watch".to_owned())));
            let response = match message.and_then(decoded::<WatchResponse>) {
                Ok(response) => response,
                Err(Failure::TooLong(_)) => return Err(WatchEnd::TooLarge),
                Err(failure) => return Err(self.lost(failure)),
            };
            if let Some(batch) = self.take(response)? {
                return Ok(batch);
            }
        }
    }

    /// What came, if it is anything.
    fn take(&mut self, response: WatchResponse) -> Result<Option<Batch>, WatchEnd> {
        if response.canceled {
            return Err(match response.cancel_reason {
                _ if response.compact_revision > 0 => {
                    WatchEnd::Compacted { compact_revision: response.compact_revision }
                }
                reason if reason.contains(NO_LEADER) => self.lost(Failure::Status(UNAVAILABLE, reason)),
                reason => WatchEnd::Canceled(reason.chars().take(REASON_MAX_CHARS).collect()),
            });
        }
        if response.events.is_empty() {
            let revision = response.header.filter(|_| !response.created).map(|header| header.revision);
            return Ok(revision.map(|revision| Batch { revision, events: Vec::new() }));
        }
        let (mut events, mut held_bytes) = (Vec::new(), 0);
        for event in response.events {
            let event = decoded(event).and_then(Event::read).map_err(|failure| self.lost(failure))?;
            held_bytes += event.held_bytes();
            if held_bytes > HELD_MAX_BYTES {
                return Err(WatchEnd::TooLarge);
            }
            events.push(event);
        }
        let revision = events.iter().map(Event::mod_revision).max().unwrap_or_default();
        if revision < self.next_revision {
            return Err(self.lost(Failure::malformed("a change that was before the watch")));
        }
        self.next_revision = revision.saturating_add(1);
        Ok(Some(Batch { revision, events }))
    }

    fn ask_for_progress(&mut self) -> Result<(), Failure> {
        let silence = self.client.timeouts().silence;
        self.deadline.get_or_insert_with(|| Instant::now() + silence);
        let request = WatchRequest { ask: Some(WatchAsk::Progress(WatchProgressRequest {})) };
        self.body.send_data(framed(&request), false).map_err(|error| broken_off(&error))
    }

    fn lost(&self, failure: Failure) -> WatchEnd {
        let error = failure.at(&self.connection.endpoint);
        if error.is_passing() {
            self.connection.retire(&error);
        }
        WatchEnd::Lost(error)
    }
}

impl Event {
    fn read(event: WatchEvent) -> Result<Event, Failure> {
        match (event.kind, event.kv) {
            (0, Some(key_value)) => Ok(Event::Put(key_value)),
            (1, Some(KeyValue { key, mod_revision, .. })) => Ok(Event::Delete { key, mod_revision }),
            _ => Err(Failure::malformed("an event of an unknown kind, or of no key")),
        }
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        match self {
            Event::Put(key_value) => &key_value.key,
            Event::Delete { key, .. } => key,
        }
    }

    /// The revision in which it happened.
    pub fn mod_revision(&self) -> i64 {
        match self {
            Event::Put(key_value) => key_value.mod_revision,
            Event::Delete { mod_revision, .. } => *mod_revision,
        }
    }

    fn held_bytes(&self) -> usize {
        let value = match self {
            Event::Put(key_value) => key_value.value.len(),
            Event::Delete { .. } => 0,
        };
        size_of::<Event>() + self.key().len() + value
    }
}

/// Waits for this time, forever if there is none.
async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn begin(
    connection: &Connection,
    prefix: &[u8],
    from_revision: i64,
) -> Result<(SendStream<Bytes>, Answers, Option<Header>), Failure> {
    let create = WatchCreateRequest { key: start_of(prefix), range_end: end_of(prefix), start_revision: from_revision };
    let (mut body, mut answers) = connection.stream(WATCH, CHANGE_MAX_BYTES).await?;
    let create = framed(&WatchRequest { ask: Some(WatchAsk::Create(create)) });
    body.send_data(create, false).map_err(|error| broken_off(&error))?;
    let created = answers.next().await?.ok_or_else(|| Failure::malformed("a watch without an answer"))?;
    let created: WatchResponse = decoded(created)?;
    match created {
        _ if created.canceled && created.compact_revision > 0 => {
            Err(Failure::Status(OUT_OF_RANGE, COMPACTED.to_owned()))
        }
        // The words are those of a status.
        _ if created.canceled => Err(Failure::Status(ABORTED, created.cancel_reason)),
        _ if created.created => Ok((body, answers, created.header)),
        _ => Err(Failure::malformed("a watch that does not begin")),
    }
}

const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// How often a silent watch is asked how far it is. Source: none, chosen: an age of the mirror of some seconds is told
/// apart, and etcd answers it from memory.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Most bytes of what changed at once, as it comes.
///
/// Source: none, chosen: a lease of a million keys that ends has 100 MB, as have 1,000 revisions (what etcd sends at once of
/// what is caught up) of 100 instances of 1 KiB each.
pub const CHANGE_MAX_BYTES: usize = 128 << 20;

/// Most memory for what changed at once. Source: none, chosen: twice what it has on its way, which no usual change takes.
pub const HELD_MAX_BYTES: usize = 2 * CHANGE_MAX_BYTES;

/// Most that is shown of why etcd ended a watch. Source: none, chosen: its longest reasons have 80.
const REASON_MAX_CHARS: usize = 400;

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
