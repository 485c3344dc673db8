//! Three nameplates that share a catalog, and what each of them answers.

use std::{
    collections::BTreeSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::{
    history::{Instance, Verb},
    hosts::{Cluster, store},
    load::call,
    net::Host,
};
use crate::{
    dns::{Asker, NOERROR, NXDOMAIN, SRV},
    http::{self, Response},
    sandbox::Sandbox,
    until::{SOON, until},
};

/// Three nodes, asked on their own hosts.
pub struct Trio<'a> {
    pub cluster: Cluster<'a>,
    askers: [Mutex<Asker>; 3],
}

impl<'a> Trio<'a> {
    /// Starts etcd and the nodes, and registers an instance on each, its first; returns when all answer all.
    pub fn start(sandbox: &'a Sandbox) -> Trio<'a> {
        Trio::start_nodes(sandbox, |cluster, node| cluster.start_node(node, &store()))
    }

    /// The same with nodes that are started like this.
    pub fn start_nodes(sandbox: &'a Sandbox, start: impl Fn(&Cluster<'_>, Host)) -> Trio<'a> {
        let cluster = Cluster::with_members(sandbox);
        Host::NODES.into_iter().for_each(|node| start(&cluster, node));
        Host::NODES.into_iter().for_each(|node| cluster.until_ready(node));
        let askers = Host::NODES.map(|node| Mutex::new(cluster.own_asker(node)));
        let trio = Trio { cluster, askers };
        FIRSTS.into_iter().for_each(|instance| trio.call(instance, Verb::Register));
        trio.until_all_answer(&FIRSTS, SOON);
        trio
    }

    /// Changes an instance at its own node, on its host; it is acknowledged, soon.
    #[track_caller]
    pub fn call(&self, instance: Instance, verb: Verb) {
        let started = Instant::now();
        let response = self.cluster.net.on(Host::Node(instance.node), || call(instance, verb)).unwrap();
        assert_eq!(response.status, 200, "{verb:?} of {instance}: {}", response.body);
        let took = started.elapsed();
        assert!(took < ACKNOWLEDGED_WITHIN, "{verb:?} of {instance} took {took:?}");
    }

    /// Asks a node's HTTP API on its own host.
    pub fn get(&self, node: Host, path: &str) -> Response {
        self.cluster.net.on(node, || http::request("GET", path, "")).unwrap()
    }

    /// What a node answers by DNS; none: it does not answer.
    #[track_caller]
    pub fn answer(&self, node: Host) -> Option<BTreeSet<Instance>> {
        let Host::Node(number) = node else { panic!("{node} runs no nameplate") };
        let mut asker = self.askers[usize::from(number) - 1].lock().unwrap();
        let answer = asker.ask("web.service.internal", SRV).ok()?;
        assert!([NOERROR, NXDOMAIN].contains(&answer.rcode) && !answer.truncated, "{node}: {answer:?}");
        Some(answer.ports.iter().map(|port| Instance::of_port(*port).expect("a port of ours")).collect())
    }

    /// Whether a node answers these and no others.
    pub fn answers(&self, node: Host, instances: &[Instance]) -> bool {
        self.answer(node) == Some(instances.iter().copied().collect())
    }

    /// Whether a node answers these, and perhaps others.
    pub fn has(&self, node: Host, instances: &[Instance]) -> bool {
        self.answer(node).is_some_and(|answer| instances.iter().all(|instance| answer.contains(instance)))
    }

    /// Waits until a node answers these and no others; how long it took.
    #[track_caller]
    pub fn until_answers(&self, node: Host, instances: &[Instance], limit: Duration) -> Duration {
        let started = Instant::now();
        let what = format!("{node} answers exactly {}", list(instances));
        until(&what, limit, || self.answers(node, instances).then_some(()));
        started.elapsed()
    }

    /// Waits until all nodes answer these and no others.
    #[track_caller]
    pub fn until_all_answer(&self, instances: &[Instance], limit: Duration) {
        let started = Instant::now();
        for node in Host::NODES {
            self.until_answers(node, instances, limit.saturating_sub(started.elapsed()));
        }
    }

    /// Looks all the time for so long: each of these nodes answers these.
    #[track_caller]
    pub fn keep_answering(&self, nodes: &[Host], instances: &[Instance], length: Duration) {
        let started = Instant::now();
        until("it has been looked long enough", length + SOON, || {
            for node in nodes {
                let (answer, at) = (self.answer(*node), started.elapsed());
                let missing =
                    instances.iter().find(|instance| !answer.as_ref().is_some_and(|all| all.contains(instance)));
                assert!(missing.is_none(), "{node} does not answer {} after {at:?}: {answer:?}", missing.unwrap());
            }
            (started.elapsed() >= length).then_some(())
        });
    }
}

fn list(instances: &[Instance]) -> String {
    instances.iter().map(Instance::to_string).collect::<Vec<_>>().join(" ")
}

/// An instance of a node.
pub const fn instance(node: u8, slot: u8) -> Instance {
    Instance { node, slot }
}

/// The instance that each node has from the begin.
pub const FIRSTS: [Instance; 3] = [instance(1, 0), instance(2, 0), instance(3, 0)];

/// Most time for a call, whatever becomes of etcd. Source: none, chosen: twenty times what it takes.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(1);
