//! Follows keys of etcd, whatever is made of them: lists them, watches them, and tells how etcd is.
//!
//! | etcd | what becomes of what its keys told |
//! |---|---|
//! | cannot be reached, or knows no leader | stays, stale after `stale_after`, dropped after `stale_max` |
//! | is there again, and still has what came meanwhile | what came meanwhile is read |
//! | has forgotten what came meanwhile | all is listed again; what is not listed goes |
//! | was wiped, or restored from a backup | all is listed again; what is not listed stays for 20 s, in which its owners put it back |

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep_until;

use super::{
    client::{Batch, Error, WatchEnd},
    own::until,
    reach::Etcd,
};
use crate::{
    catalog::{change::Change, followed::Told},
    publish::feed::{Feed, Receipt, SourceStatus, SubmitError},
};

/// Keys that are followed.
pub(crate) trait Keys: Send {
    /// What all of them begin with.
    fn root(&self) -> &str;

    /// Reads all that is there, and brings what is answered to it. Returns the revision after it.
    fn list(&mut self, sweep: &mut Sweep) -> impl Future<Output = Result<i64, End>> + Send;

    /// They are watched from now on.
    fn watched(&mut self) {}

    /// Brings what is answered to what changed.
    fn follow(&mut self, batch: Batch) -> impl Future<Output = Result<(), End>> + Send;

    /// When something is to be done, whatever comes; none while there is nothing.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Does it.
    fn act(&mut self) -> impl Future<Output = Result<(), End>> + Send {
        async { Ok(()) }
    }

    /// They are not watched any more: what waits in here for a moment of rest does not wait for the next watch.
    fn ended(&mut self) -> impl Future<Output = Result<(), End>> + Send {
        async { Ok(()) }
    }

    /// What they told is too old to be answered.
    fn drop_all(&mut self) -> impl Future<Output = Result<(), End>> + Send;
}

/// When what is not there any more goes, after etcd was wiped or restored, or all was listed while something was lost.
#[derive(Debug, Default)]
pub(crate) struct Sweep(Option<Instant>);

impl Sweep {
    /// Lets stay what is not there for as long as its owners may take to put it back.
    pub(crate) fn hold(&mut self) {
        self.0 = Some(Instant::now() + PUT_BACK_MAX);
    }

    /// Lets it stay until then at least.
    pub(crate) fn hold_until(&mut self, until: Option<Instant>) {
        self.0 = self.0.max(until);
    }

    /// What a list is.
    pub(crate) fn told(&self) -> Told {
        if self.0.is_none() { Told::Everything } else { Told::Changes }
    }
}

/// Why following ended.
#[derive(Debug)]
pub(crate) enum End {
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

/// How long etcd may be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Before what its keys told counts as stale.
    pub stale_after: Duration,
    /// And before it is dropped.
    pub stale_max: Duration,
}

/// Follows keys.
pub(crate) struct Following<K> {
    keys: K,
    client: Etcd,
    feed: Feed,
    patience: Patience,
    /// From which revision on it is watched; none until all was listed.
    next: Option<i64>,
    sweep: Sweep,
    status: SourceStatus,
    away: Option<Away>,
}

/// Since when etcd cannot be followed.
#[derive(Debug)]
struct Away {
    since: Instant,
    problem: String,
    /// Whether what the keys told was dropped.
    dropped: bool,
}

impl<K: Keys> Following<K> {
    /// Will follow these keys of this etcd; `status` is how the source is before.
    pub(crate) fn new(keys: K, client: Etcd, feed: Feed, (status, patience): (SourceStatus, Patience)) -> Self {
        Following { keys, client, feed, patience, next: None, sweep: Sweep::default(), status, away: None }
    }

    /// Works until the server stops.
    pub(crate) async fn run(mut self) {
        loop {
            let Err(mut end) = self.session().await;
            if let Err(End::Stopping) = self.keys.ended().await {
                end = End::Stopping;
            }
            let went_on = match end {
                End::Stopping => return,
                End::List(reason) => {
                    tracing::info!("{}: all is read again: {reason}", self.status.name);
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
            None => {
                let next = self.keys.list(&mut self.sweep).await?;
                self.next = Some(next);
                next
            }
        };
        let mut watch = match self.client.watch(self.keys.root(), next).await {
            Err(error @ Error::WentBack { .. }) => {
                self.sweep.hold();
                return Err(End::List(error.to_string()));
            }
            begun => begun?,
        };
        self.here().await?;
        self.keys.watched();
        loop {
            let (sweep, due) = (self.sweep.0, self.keys.due());
            let batch = tokio::select! {
                batch = watch.next() => batch,
                () = until(due) => {
                    self.keys.act().await?;
                    continue;
                }
                () = until(sweep) => {
                    self.sweep = Sweep::default();
                    return Err(End::List("what was lost has had time to be put back".to_owned()));
                }
            };
            match batch {
                Ok(batch) if batch.events.is_empty() => {}
                Ok(batch) => self.keys.follow(batch).await?,
                Err(WatchEnd::Lost(error)) => return Err(End::Error(error)),
                Err(end) => return Err(End::List(end.to_string())),
            }
            self.next = Some(watch.next_revision());
        }
    }

    /// It is followed.
    async fn here(&mut self) -> Result<(), End> {
        match self.away.take() {
            Some(away) => {
                let secs = away.since.elapsed().as_secs();
                tracing::info!("{}: followed again after {secs} s: {}", self.status.name, away.problem);
            }
            None if !self.status.synced || self.status.stale => tracing::info!("{}: connected", self.status.name),
            None => {}
        }
        self.tell(SourceStatus { synced: true, stale: false, away: None, ..self.status.clone() }).await
    }

    /// It cannot be followed: all stays as it is, and counts as stale after a while.
    async fn away(&mut self, now: Instant, error: &Error) -> Result<(), End> {
        let problem = error.to_string();
        let is_new = self.away.as_ref().is_none_or(|away| away.problem != problem);
        let away = self.away.get_or_insert_with(|| Away { since: now, problem: String::new(), dropped: false });
        let name = &self.status.name;
        if is_new && away.problem.is_empty() {
            tracing::error!("{name}: {problem}; what was registered there stays as it was last known");
        } else if is_new {
            tracing::debug!("{name}: {problem}");
        }
        away.problem = problem.clone();
        let gone_for = now.saturating_duration_since(away.since);
        let drops = gone_for >= self.patience.stale_max && !away.dropped;
        away.dropped |= drops;
        if drops {
            tracing::error!("{name}: away for too long; what was registered there is dropped (stale_max)");
            self.next = None;
            self.keys.drop_all().await?;
        }
        let stale = self.status.stale || gone_for >= self.patience.stale_after;
        self.tell(SourceStatus { stale, away: Some(Arc::from(problem)), ..self.status.clone() }).await
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

/// Changes the catalog, as one.
pub(crate) async fn submit(feed: &Feed, changes: Vec<Change>) -> Result<(), End> {
    if changes.is_empty() { Ok(()) } else { submitted(feed.follow(changes).await) }
}

/// What is to be done after something was submitted.
pub(crate) fn submitted(outcome: Result<Receipt, SubmitError>) -> Result<(), End> {
    match outcome {
        // What the journal could not write is listed again at the next start.
        Ok(_) | Err(SubmitError::Journal(_)) => Ok(()),
        Err(SubmitError::Closed) => Err(End::Stopping),
        // Something else changed the catalog between looking and submitting, or too much waits.
        Err(error) => Err(End::List(error.to_string())),
    }
}

/// Changes the catalog in pieces, where one by one nothing would be wrong, because others have changes, too.
pub(crate) async fn submit_in_pieces(feed: &Feed, changes: Vec<Change>) -> Result<(), End> {
    let mut changes = changes.into_iter();
    loop {
        let some: Vec<_> = changes.by_ref().take(SUBMITTED_TOGETHER).collect();
        if some.is_empty() {
            return Ok(());
        }
        submit(feed, some).await?;
    }
}

/// What was complained of, each said once between two lists.
#[derive(Debug, Default)]
pub(crate) struct Complaints(BTreeSet<String>);

impl Complaints {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn say(&mut self, source: &str, complaints: &[impl fmt::Display]) {
        for complaint in complaints {
            let text = complaint.to_string();
            if self.0.len() < COMPLAINTS_MAX && self.0.insert(text.clone()) {
                tracing::warn!("{source}: {text}");
            }
        }
    }
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
