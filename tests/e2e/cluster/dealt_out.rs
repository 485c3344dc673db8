//! Checks on nodes that have no nameplate: each is run by one machine, and by another when that is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Write as _},
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    hosts::{Cluster, store},
    keys::http,
    net::Host,
    trio::{FIRSTS, Trio},
    troubles::LEASE,
};
use crate::{
    sandbox::scenario,
    until::{SOON, pause, until},
};

#[test]
fn each_check_is_run_by_one_machine_and_by_another_when_that_is_gone() {
    scenario("cluster-dealt-out", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, n3] = Host::NODES;
        let target = Target::start();
        let operations = (0..CHECKS).flat_map(|number| registered(number, target.address));
        let operations: Vec<Value> = [printer()].into_iter().chain(operations).collect();
        for some in operations.chunks(40) {
            let (status, text) = http(cluster, n1, "PUT", "/v1/txn", &json!(some).to_string());
            assert_eq!(status, 200, "{text}");
        }
        for node in Host::NODES {
            until("all pass, and all know it", SOON, || (passing(cluster, node) == CHECKS).then_some(()));
        }
        let runners = target.runners();
        assert_eq!(runners.len(), CHECKS, "all are run");
        assert!(runners.values().all(|by| by.len() == 1), "each by one machine: {runners:?}");
        let runner = |number: usize| *runners[&number].iter().next().unwrap();
        let all: BTreeSet<IpAddr> = runners.values().flatten().copied().collect();
        assert_eq!(
            all,
            Host::NODES.map(|node| IpAddr::V4(node.address())).into(),
            "each machine has some: {runners:?}"
        );
        let probes = target.probes();
        let most = CHECKS as u32 * (PROBED_FOR.as_secs() as u32 + 2);
        assert!((most / 2..=most).contains(&probes), "{probes} probes in {PROBED_FOR:?}");

        // Another takes over, and nobody is out meanwhile.
        let dead = Host::NODES.into_iter().find(|node| runner(0) == IpAddr::V4(node.address())).unwrap();
        let living: Vec<Host> = Host::NODES.into_iter().filter(|node| *node != dead).collect();
        cluster.kill(dead);
        let began = Instant::now();
        until("the other machines have its checks", LEASE + SOON, || {
            let runners = target.runners();
            let is_living = |by: &IpAddr| living.iter().any(|node| *by == IpAddr::V4(node.address()));
            (runners.len() == CHECKS && runners.values().flatten().all(is_living)).then_some(())
        });
        let took = began.elapsed();
        assert!(took < LEASE + INTERVAL + PROBED_FOR + SOON / 4, "{took:?}");
        assert_eq!(passing(cluster, living[0]), CHECKS);
        let address = target.ends();
        for node in &living {
            until("all are critical", SOON, || (passing(cluster, *node) == 0).then_some(()));
        }
        // A machine that comes back takes some again.
        let target = Target::start_at(address);
        cluster.start_node(dead, &store());
        cluster.until_ready(dead);
        until("it runs some", SOON, || {
            let runners = target.runners();
            let by: BTreeSet<IpAddr> = runners.values().flatten().copied().collect();
            (by.len() == 3 && runners.values().all(|by| by.len() == 1)).then_some(())
        });
        until("all pass again", SOON, || (passing(cluster, dead) == CHECKS).then_some(()));

        // Without etcd nobody runs them, as nobody could tell.
        Host::MEMBERS.into_iter().for_each(|member| cluster.kill(member));
        until("nobody probes", SOON, || target.runners().is_empty().then_some(()));
        assert_eq!(passing(cluster, n2), CHECKS);
        cluster.start_members();
        until("all are run again", SOON * 2, || (target.runners().len() == CHECKS).then_some(()));
        target.ends();
        until("all are critical", SOON, || (passing(cluster, n3) == 0).then_some(()));
        trio.until_all_answer(&FIRSTS, SOON);
    });
}

/// A node on which many services are.
fn printer() -> Value {
    json!({ "Node": { "Verb": "set", "Node": { "Node": "printer", "Address": "192.0.2.1" } } })
}

/// A service there, and a check of it.
fn registered(number: usize, target: SocketAddr) -> [Value; 2] {
    let id = format!("lpd-{number}");
    let definition = json!({ "HTTP": format!("http://{target}/{number}"), "Interval": "1s", "Timeout": "500ms" });
    let check = json!({ "Node": "printer", "CheckID": id, "Name": "lpd", "ServiceID": id, "Definition": definition });
    [
        json!({ "Service": { "Verb": "set", "Node": "printer", "Service": { "ID": id, "Service": "lpd", "Port": 515 } } }),
        json!({ "Check": { "Verb": "set", "Check": check } }),
    ]
}

/// How many services pass, as a node tells.
fn passing(cluster: &Cluster<'_>, node: Host) -> usize {
    let (_, listed) = http(cluster, node, "GET", "/v1/health/service/lpd?passing", "");
    serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().len()
}

/// A server on the bridge that is probed, and notes by whom.
struct Target {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<(usize, IpAddr)>>>,
    stopping: Arc<AtomicBool>,
    accepting: Option<thread::JoinHandle<()>>,
}

impl Target {
    fn start() -> Target {
        Target::start_at(([192, 0, 2, 1], 0).into())
    }

    fn start_at(address: SocketAddr) -> Target {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, stopping) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (noted, ends) = (Arc::clone(&heard), Arc::clone(&stopping));
        let accepting = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let Ok((mut connection, from)) = listener.accept() else {
                    pause(Duration::from_millis(5));
                    continue;
                };
                connection.set_nonblocking(false).unwrap();
                connection.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
                let mut line = String::new();
                let _ = BufReader::new(&connection).read_line(&mut line);
                let path = line.split(' ').nth(1).and_then(|path| path.strip_prefix('/')?.parse().ok());
                noted.lock().unwrap().extend(path.map(|number: usize| (number, from.ip())));
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Target { address, heard, stopping, accepting: Some(accepting) }
    }

    /// Who probes what, from now on for a while.
    fn runners(&self) -> BTreeMap<usize, BTreeSet<IpAddr>> {
        self.heard.lock().unwrap().clear();
        pause(PROBED_FOR);
        let mut runners: BTreeMap<usize, BTreeSet<IpAddr>> = BTreeMap::new();
        for (number, from) in self.heard.lock().unwrap().iter() {
            runners.entry(*number).or_default().insert(*from);
        }
        runners
    }

    /// How many probes came since it was looked last.
    fn probes(&self) -> u32 {
        self.heard.lock().unwrap().len().try_into().unwrap()
    }

    /// It is gone.
    fn ends(mut self) -> SocketAddr {
        self.stopping.store(true, Ordering::Relaxed);
        self.accepting.take().unwrap().join().unwrap();
        self.address
    }
}

/// How many checks there are: enough that each of three machines has some.
const CHECKS: usize = 30;

/// Of each of them.
const INTERVAL: Duration = Duration::from_secs(1);

/// For how long probes are noted. Source: none, chosen: some intervals.
const PROBED_FOR: Duration = Duration::from_secs(3);
