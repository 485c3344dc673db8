//! Clients on every node, which register, deregister, change checks and resolve all along.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    history::{Answer, Instance, Operation, Outcome, Seen, State, Verb, Way},
    hosts::Cluster,
    net::Host,
};
use crate::{
    dns::{Asker, NOERROR, NXDOMAIN, SRV},
    http::{self, Response},
    rng::Rng,
    until::{SOON, pause, until},
};

/// What the clients of a stretch of time share.
pub struct Load<'a, 'sandbox> {
    pub cluster: &'a Cluster<'sandbox>,
    pub began: Instant,
    /// While it is set, clients change what is registered.
    pub changes: AtomicBool,
    /// While it is set, clients ask.
    pub asks: AtomicBool,
}

/// What a client returns in the end.
#[derive(Default)]
pub struct Record {
    pub operations: Vec<Operation>,
    pub answers: Vec<Answer>,
    /// Of a client that changes instances, which state they are in.
    pub states: BTreeMap<Instance, State>,
}

impl<'a, 'sandbox> Load<'a, 'sandbox> {
    /// No clients yet; time begins now.
    pub fn new(cluster: &'a Cluster<'sandbox>) -> Load<'a, 'sandbox> {
        let [changes, asks] = [true, true].map(AtomicBool::new);
        Load { cluster, began: Instant::now(), changes, asks }
    }

    /// The time since the begin.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Starts the clients on a node; those that change share its instances.
    pub fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        node: u8,
        states: &BTreeMap<Instance, State>,
        rng: &mut Rng,
    ) -> Vec<ScopedJoinHandle<'scope, Record>> {
        let enter = move || self.cluster.net.enter(Host::Node(node));
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let slots = states.iter().filter(|(at, _)| at.node == node && at.slot % CLIENTS == client);
            let slots: Vec<_> = slots.map(|(instance, state)| (*instance, Some(*state))).collect();
            let rng = Rng::new(rng.next());
            clients.push(scope.spawn(move || {
                enter();
                self.change(slots, rng)
            }));
        }
        clients.push(scope.spawn(move || {
            enter();
            self.resolve(node)
        }));
        clients.push(scope.spawn(move || {
            enter();
            self.list(node)
        }));
        clients
    }

    /// Changes one instance after the other, each at most once at a time: half of them often, the others seldom.
    fn change(&self, mut slots: Vec<(Instance, Option<State>)>, mut rng: Rng) -> Record {
        let mut record = Record::default();
        let lively = slots.len() / 2;
        for (instance, state) in slots[lively..].iter_mut().filter(|(_, state)| *state == Some(State::Absent)) {
            record.operations.extend(self.call(*instance, state, Verb::Register));
        }
        while self.changes.load(Ordering::Relaxed) {
            let slot = if rng.one_in(SELDOM) { rng.below(slots.len()) } else { rng.below(lively) };
            let (instance, state) = &mut slots[slot];
            let verb = match state {
                // Whatever it is, it is known afterwards.
                None => Verb::Deregister,
                Some(State::Absent) => Verb::Register,
                Some(_) if rng.one_in(6) => Verb::Deregister,
                Some(State::Passing) => Verb::Fail,
                Some(State::Critical) => Verb::Pass,
            };
            record.operations.extend(self.call(*instance, state, verb));
            pause(PACE / 4 + PACE * u32::try_from(rng.below(150)).expect("it is small") / 100);
        }
        for (instance, state) in &mut slots {
            let settle = || {
                if state.is_none() {
                    record.operations.extend(self.call(*instance, state, Verb::Deregister));
                }
                *state
            };
            let state = until("an instance can be deregistered", SOON, settle);
            record.states.insert(*instance, state);
        }
        record
    }

    /// Calls the node this runs on. None: nobody listened, so nothing was called.
    fn call(&self, instance: Instance, state: &mut Option<State>, verb: Verb) -> Option<Operation> {
        let started = self.now();
        let outcome = match call(instance, verb) {
            Ok(response) if response.status == 200 => Outcome::Acknowledged,
            Ok(response) if response.status == 404 && state.is_none() => Outcome::Acknowledged,
            Ok(response) => Outcome::Unknown(format!("{} {}", response.status, response.body)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return None,
            Err(error) => Outcome::Unknown(error.to_string()),
        };
        *state = (outcome == Outcome::Acknowledged).then_some(verb.makes());
        Some(Operation { instance, verb, started, ended: self.now(), outcome })
    }

    fn resolve(&self, node: u8) -> Record {
        let mut asker = Asker::new(([127, 0, 0, 1], 8600)).of_large_answers();
        self.ask(node, Way::Dns, DNS_PACE, move || match asker.ask("web.service.internal", SRV) {
            Ok(answer) if answer.rcode == NXDOMAIN => Found::NoName,
            Ok(answer) if answer.rcode != NOERROR => Found::Failed(format!("rcode {}", answer.rcode)),
            Ok(answer) => {
                assert!(!answer.truncated, "all instances are wanted");
                let instance = |port: &u16| (Instance::of_port(*port).expect("a port of ours"), State::Passing);
                Found::Instances(answer.ports.iter().map(instance).collect())
            }
            Err(error) => Found::Failed(error.to_string()),
        })
    }

    fn list(&self, node: u8) -> Record {
        self.ask(node, Way::Http, HTTP_PACE, || match http::request("GET", "/v1/health/service/web", "") {
            Ok(response) if response.status == 200 => {
                let listed: Value = serde_json::from_str(&response.body).expect("the API writes JSON");
                Found::Instances(listed.as_array().expect("it is a list").iter().map(listed_as).collect())
            }
            Ok(response) => Found::Failed(format!("{} {}", response.status, response.body)),
            Err(error) => Found::Failed(error.to_string()),
        })
    }

    fn ask(&self, node: u8, by: Way, pace: Duration, mut ask: impl FnMut() -> Found) -> Record {
        let mut answers = Vec::new();
        let mut last = Arc::default();
        while self.asks.load(Ordering::Relaxed) {
            let asked = self.now();
            let seen = match ask() {
                Found::NoName => Seen::NoName,
                Found::Failed(error) => Seen::Failed(error),
                Found::Instances(instances) => {
                    // Most answers are as the one before: kept once.
                    if *last != instances {
                        last = Arc::new(instances);
                    }
                    Seen::Instances(Arc::clone(&last))
                }
            };
            let failed = matches!(seen, Seen::Failed(_));
            answers.push(Answer { node, by, asked, answered: self.now(), seen });
            pause(if failed { FAILED_PACE } else { pace });
        }
        Record { answers, ..Record::default() }
    }
}

/// Calls the node on whose host this runs.
pub fn call(instance: Instance, verb: Verb) -> io::Result<Response> {
    let (path, body) = match verb {
        Verb::Register => ("service/register".to_owned(), definition(instance).to_string()),
        Verb::Deregister => (format!("service/deregister/{instance}"), String::new()),
        Verb::Pass => (format!("check/pass/service:{instance}"), String::new()),
        Verb::Fail => (format!("check/fail/service:{instance}"), String::new()),
    };
    http::request("PUT", &format!("/v1/agent/{path}"), &body)
}

/// What was answered.
enum Found {
    Instances(BTreeMap<Instance, State>),
    NoName,
    Failed(String),
}

/// All instances, absent.
pub fn absent() -> BTreeMap<Instance, State> {
    let instances =
        super::duties::NODES.into_iter().flat_map(|node| (0..SLOTS).map(move |slot| Instance { node, slot }));
    instances.map(|instance| (instance, State::Absent)).collect()
}

/// A registration whose check nobody but the client changes.
fn definition(instance: Instance) -> Value {
    json!({
        "Name": "web", "ID": instance.to_string(), "Port": instance.port(),
        "Check": { "TTL": "24h", "Status": "passing" },
    })
}

/// What the API tells of one instance.
fn listed_as(entry: &Value) -> (Instance, State) {
    let id = entry["Service"]["ID"].as_str().expect("it has an ID");
    let instance = Instance::of_id(id).unwrap_or_else(|| panic!("{id} is nobody's"));
    let node = entry["Node"]["Node"].as_str();
    assert_eq!(node, Some(format!("n{}", instance.node).as_str()), "{id} is its own node's");
    let checks = entry["Checks"].as_array().expect("it has checks");
    assert!(checks.iter().any(|check| check["ServiceID"] == id), "{id} has its check: {entry}");
    let critical = checks.iter().any(|check| check["Status"] == "critical");
    (instance, if critical { State::Critical } else { State::Passing })
}

/// How many on each node change instances. Source: none, chosen: two, so that calls come at the same time.
const CLIENTS: u8 = 2;

/// How many instances a node has at most. Source: none, chosen: all fit into one answer.
const SLOTS: u8 = 16;

/// One of so many changes is of any instance, the others of those that change often. Source: none, chosen: of those that
/// change seldom one does so every 20 s, so that most are known everywhere when there is a fault.
const SELDOM: usize = 12;

/// The mean time between the calls of a client. Source: none, chosen: 60 changes a second in all.
const PACE: Duration = Duration::from_millis(100);

/// The time between two questions by DNS. Source: none, chosen: a tenth of what a change may take.
const DNS_PACE: Duration = Duration::from_millis(10);

/// The time between two questions by HTTP. Source: none, chosen: half of what a change may take.
const HTTP_PACE: Duration = Duration::from_millis(50);

/// The time until a question after one that failed. Source: none, chosen.
const FAILED_PACE: Duration = Duration::from_millis(50);
