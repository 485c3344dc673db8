//! One connection to a daemon: its events, its lists, and the documents of its containers.
//!
//! Events are asked for first, then the lists, then each container of them: what happens meanwhile is heard of, and what is heard
//! of is inspected again. A task of its own reads the events and does nothing else, because a daemon drops those that are
//! not taken within 100 ms; what it cannot hand on is not kept, and everything is listed again.
//!
//! | bound | value |
//! |---|---|
//! | events that wait | 1,024; of more none is kept and everything is listed again |
//! | inspections at once | 16 |
//! | from one look at swarm's services and tasks to the next, on a manager | 3 s; 300 ms after a container's event |
//! | from one list to the next | 30 s; 1 s after the first of a connection, because a daemon says that events begin a moment before they do |

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Container, Network,
    client::{Client, ClientError, Stream},
    events::Event,
    inspections::Inspections,
    known::{Ask, Known},
    lists,
    swarm::Swarm,
};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// The daemon is away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It has stopped telling what happens.
    #[error("{0}: the daemon has ended its events")]
    Ended(String),
    /// A panic of ours.
    #[error("a task has panicked; please report it with this log")]
    Panicked,
}

/// A connection.
pub(super) struct Session {
    client: Client,
    events: mpsc::Receiver<Result<Event, SessionError>>,
    /// Whether an event was not kept.
    lost: Arc<AtomicBool>,
    _reader: JoinSet<()>,
    jobs: JoinSet<Job>,
    inspections: Inspections,
    listing: Listing,
    next_list: Instant,
    /// Names of containers that are listed also if they have ended; until all is listed.
    also: BTreeSet<String>,
    /// Whether networks are being read, and whether they are to be read again after that.
    networks: Option<bool>,
    swarm: SwarmLook,
    /// What could not be read, for people.
    problems: Vec<String>,
}

/// When swarm is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SwarmLook {
    /// With the next list: there is no manager here, or it has not been asked yet.
    WithList,
    /// It is being read.
    Reading,
    /// The daemon is a manager, and is asked at this time.
    At(Instant),
}

/// How far a list of everything is.
#[derive(Debug)]
enum Listing {
    /// The last one is complete.
    Done,
    /// The lists themselves are being read; everything may be asked for again meanwhile.
    Lists { again: bool },
    /// These containers are still to be inspected.
    Containers(BTreeSet<String>),
}

/// What a request brought.
enum Job {
    Listed(Result<Vec<String>, ClientError>, Option<ClientError>),
    Networks(Result<BTreeMap<String, Network>, ClientError>),
    Swarm(Result<Option<Swarm>, ClientError>),
    Inspected(String, Result<Box<Container>, InspectProblem>),
}

/// Why there is no document of a container.
enum InspectProblem {
    Client(ClientError),
    Document(String),
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Something may have changed.
    Some,
    /// All is known as it was listed.
    Whole,
}

impl Session {
    /// Agreed on a version, events begin, the first list is asked for: of those that run, and of these names those that ended.
    pub(super) async fn open(client: Client, also: BTreeSet<String>) -> Result<Session, SessionError> {
        let stream = client.stream(EVENTS).await?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let lost = Arc::new(AtomicBool::new(false));
        let mut reader = JoinSet::new();
        reader.spawn(read(stream, client.endpoint().to_string(), sender, Arc::clone(&lost)));
        let mut session = Session {
            client,
            events,
            lost,
            _reader: reader,
            jobs: JoinSet::new(),
            inspections: Inspections::default(),
            listing: Listing::Done,
            next_list: Instant::now() + FIRST_LIST_INTERVAL,
            also,
            networks: None,
            swarm: SwarmLook::WithList,
            problems: Vec::new(),
        };
        session.list();
        Ok(session)
    }

    /// The daemon.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// What could not be read since the last call.
    pub(super) fn take_problems(&mut self) -> Vec<String> {
        std::mem::take(&mut self.problems)
    }

    /// Waits until something comes, or until `latest`, and takes all that has come.
    pub(super) async fn step(&mut self, known: &mut Known, latest: Option<Instant>) -> Result<Step, SessionError> {
        self.begin_inspections();
        let swarm = if let SwarmLook::At(when) = self.swarm { Some(when) } else { None };
        let next = [Some(self.next_list), swarm, known.next_look(), latest].into_iter().flatten().min();
        let next = next.unwrap_or(self.next_list);
        tokio::select! {
            event = self.events.recv() => self.heard(event, known)?,
            Some(job) = self.jobs.join_next() => self.ended(job, known)?,
            () = tokio::time::sleep_until(next.into()) => {}
        }
        // What has come meanwhile counts together with it.
        while let Ok(event) = self.events.try_recv() {
            self.heard(Some(event), known)?;
        }
        while let Some(job) = self.jobs.try_join_next() {
            self.ended(job, known)?;
        }
        let now = Instant::now();
        if matches!(self.swarm, SwarmLook::At(when) if when <= now) {
            self.look_at_swarm();
        }
        for id in known.take_looks(now) {
            self.inspections.heard_of(&id);
        }
        if self.lost.swap(false, Ordering::Relaxed) {
            self.list();
        }
        if self.next_list <= now {
            let is_done = matches!(self.listing, Listing::Done);
            self.next_list = now + if is_done { LIST_INTERVAL } else { FIRST_LIST_INTERVAL };
            if is_done {
                self.list();
            }
        }
        self.begin_inspections();
        let is_idle = self.networks.is_none() && self.swarm != SwarmLook::Reading;
        if is_idle && matches!(&self.listing, Listing::Containers(waiting) if waiting.is_empty()) {
            self.listing = Listing::Done;
            self.also.clear();
            return Ok(Step::Whole);
        }
        Ok(Step::Some)
    }

    /// Asks for everything.
    fn list(&mut self) {
        if let Listing::Lists { again } = &mut self.listing {
            *again = true;
            return;
        }
        self.listing = Listing::Lists { again: false };
        self.list_networks();
        self.look_at_swarm();
        let (client, also) = (self.client.clone(), self.also.clone());
        self.jobs.spawn(async move {
            let (mut ids, mut problem) = (client.read("/containers/json", lists::container_ids).await, None);
            if let Ok(ids) = &mut ids
                && !also.is_empty()
            {
                match client.read(ENDED, |document| lists::ids_of_names(document, &also)).await {
                    Ok(ended) => ids.extend(ended),
                    Err(error) => problem = Some(error),
                }
            }
            Job::Listed(ids, problem)
        });
    }

    fn list_networks(&mut self) {
        if let Some(again) = &mut self.networks {
            *again = true;
            return;
        }
        self.networks = Some(false);
        let client = self.client.clone();
        self.jobs.spawn(async move { Job::Networks(client.read("/networks", lists::networks).await) });
    }

    fn look_at_swarm(&mut self) {
        if self.swarm != SwarmLook::Reading {
            self.swarm = SwarmLook::Reading;
            let client = self.client.clone();
            self.jobs.spawn(async move { Job::Swarm(lists::swarm(&client).await) });
        }
    }

    fn begin_inspections(&mut self) {
        while let Some(id) = self.inspections.next() {
            let client = self.client.clone();
            self.jobs.spawn(async move {
                let document = client.get(&format!("/containers/{id}/json")).await.map_err(InspectProblem::Client);
                let container = document.and_then(|document| {
                    let container = Container::read(&document).map(Box::new);
                    container.map_err(|error| InspectProblem::Document(error.to_string()))
                });
                Job::Inspected(id, container)
            });
        }
    }

    fn heard(&mut self, event: Option<Result<Event, SessionError>>, known: &mut Known) -> Result<(), SessionError> {
        let ended = || SessionError::Ended(self.client.endpoint().to_string());
        let now = Instant::now();
        match known.heard(event.ok_or_else(ended)??, now) {
            Ask::Container(id) => {
                self.inspections.heard_of(&id);
                // It may be a task.
                if let SwarmLook::At(when) = &mut self.swarm {
                    *when = (*when).min(now + SWARM_AFTER_EVENT);
                }
            }
            Ask::Networks => self.list_networks(),
            Ask::Everything => self.list(),
        }
        Ok(())
    }

    fn ended(&mut self, job: Result<Job, tokio::task::JoinError>, known: &mut Known) -> Result<(), SessionError> {
        match job.map_err(|_| SessionError::Panicked)? {
            Job::Listed(ids, problem) => {
                let ids = ids?;
                match problem {
                    Some(error) if error.is_of_the_request() => {
                        self.problems.push(format!("{error}; what containers had that have failed is forgotten"));
                    }
                    Some(error) => return Err(error.into()),
                    None => {}
                }
                if matches!(self.listing, Listing::Lists { again: true }) {
                    self.listing = Listing::Done;
                    self.list();
                    return Ok(());
                }
                // Those that are not listed any more are asked about too: a list says nothing of what came after it.
                let all: BTreeSet<String> = ids.into_iter().chain(known.ids().map(str::to_owned)).collect();
                all.iter().for_each(|id| self.inspections.listed(id));
                self.listing = Listing::Containers(all);
                known.forgive();
            }
            Job::Networks(networks) => {
                match networks {
                    Ok(networks) => known.set_networks(networks),
                    // Such as a proxy in front of the socket, which shows containers alone.
                    Err(error) if error.is_of_the_request() => self.problems.push(format!(
                        "{error}; going on without: macvlan networks are taken for ones that only containers reach"
                    )),
                    Err(error) => return Err(error.into()),
                }
                if self.networks.take() == Some(true) {
                    self.list_networks();
                }
            }
            Job::Swarm(swarm) => {
                self.swarm = SwarmLook::WithList;
                match swarm {
                    Ok(swarm) => {
                        if swarm.is_some() {
                            self.swarm = SwarmLook::At(Instant::now() + SWARM_INTERVAL);
                        }
                        known.set_swarm(swarm);
                    }
                    Err(error) if error.is_of_the_request() => {
                        self.problems.push(format!("{error}; what is known of swarm stays in force"));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Job::Inspected(id, outcome) => self.inspected(&id, outcome, known)?,
        }
        Ok(())
    }

    fn inspected(
        &mut self,
        id: &str,
        outcome: Result<Box<Container>, InspectProblem>,
        known: &mut Known,
    ) -> Result<(), SessionError> {
        if !self.inspections.ended(id) {
            return Ok(());
        }
        match outcome {
            Ok(container) => {
                let unlisted = known.unlisted_networks();
                known.inspected(id, *container, Instant::now());
                if known.unlisted_networks() > unlisted {
                    self.list_networks();
                }
            }
            Err(InspectProblem::Client(error)) if error.is_not_found() => known.gone(id),
            Err(InspectProblem::Client(error)) if error.is_of_the_request() => {
                self.problems.push(format!("{error}; what is known of that container stays in force"));
            }
            Err(InspectProblem::Client(error)) => return Err(error.into()),
            Err(InspectProblem::Document(problem)) => {
                self.problems.push(format!("container {id}: {problem}; what is known of it stays in force"));
            }
        }
        if let Listing::Containers(waiting) = &mut self.listing {
            waiting.remove(id);
        }
        Ok(())
    }
}

/// Hands events on as they come.
async fn read(
    mut stream: Stream,
    endpoint: String,
    to: mpsc::Sender<Result<Event, SessionError>>,
    lost: Arc<AtomicBool>,
) {
    loop {
        let event = match stream.next().await {
            Some(Ok(event)) => match Event::read(&event) {
                Some(event) => Ok(event),
                None => continue,
            },
            Some(Err(error)) => Err(SessionError::Client(error)),
            None => Err(SessionError::Ended(endpoint.clone())),
        };
        let is_last = event.is_err();
        match to.try_send(event) {
            Err(mpsc::error::TrySendError::Full(_)) => lost.store(true, Ordering::Relaxed),
            Err(mpsc::error::TrySendError::Closed(_)) => return,
            Ok(()) => {}
        }
        if is_last {
            // The other side finds the channel closed if there was no room.
            return;
        }
    }
}

/// Containers, networks, and the daemon itself: `{"type":["container","network","daemon"]}`.
const EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%2C%22daemon%22%5D%7D";

/// Containers that have ended: `{"status":["exited"]}`.
const ENDED: &str = "/containers/json?filters=%7B%22status%22%3A%5B%22exited%22%5D%7D";

/// Most events that wait. Source: as many as a daemon keeps for one reader.
const EVENTS_MAX: usize = 1024;

/// From one list to the next. Source: none, chosen: what an event that was lost
/// may cost, against a daemon that answers for each container.
const LIST_INTERVAL: Duration = Duration::from_secs(30);

/// From one look at swarm to the next. Source: none, chosen: tasks have no events, so that this is how long one that ended on another
/// machine is still answered.
const SWARM_INTERVAL: Duration = Duration::from_secs(3);

/// From an event of a container to a look at swarm. Source: none, chosen: a manager learns of its tasks a little later, and
/// containers come and go together.
const SWARM_AFTER_EVENT: Duration = Duration::from_millis(300);

/// From the first list of a connection to the second. Source: none, chosen: longer than a daemon needs from the head of its
/// answer to its first event.
const FIRST_LIST_INTERVAL: Duration = Duration::from_secs(1);
