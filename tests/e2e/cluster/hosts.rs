//! What runs on the hosts: three members of etcd and three nameplates, started, stopped and killed one by one.

use std::{
    collections::BTreeMap,
    fs,
    process::{ExitStatus, Output},
    sync::Mutex,
    time::Duration,
};

use super::net::{Host, Net};
use crate::{
    dns::Asker,
    http::{self, Response},
    sandbox::{Process, Sandbox},
    until::{SOON, until},
};

/// The hosts of a scenario and their processes, which end with it.
pub struct Cluster<'a> {
    /// The hosts and the links between them.
    pub net: Net<'a>,
    sandbox: &'a Sandbox,
    running: Mutex<BTreeMap<Host, Process<'a>>>,
    /// Members that were taken out of etcd and put in again: they begin with what the others tell.
    joining: Mutex<Vec<Host>>,
}

impl<'a> Cluster<'a> {
    /// Hosts on which nothing runs yet.
    pub fn new(sandbox: &'a Sandbox) -> Cluster<'a> {
        sandbox.needs(&["etcd"], "etcd-server");
        sandbox.needs(&["etcdctl"], "etcd-client");
        // Clients ask from loopback; scenarios also from the bridge.
        sandbox.write("cluster.toml", "access_anonymous = \"write\"\n");
        Cluster { net: Net::new(sandbox), sandbox, running: Mutex::default(), joining: Mutex::default() }
    }

    /// Hosts on which the members of etcd run.
    pub fn with_members(sandbox: &'a Sandbox) -> Cluster<'a> {
        let cluster = Cluster::new(sandbox);
        cluster.start_members();
        cluster
    }

    /// Starts all members of etcd; returns when they have a leader.
    pub fn start_members(&self) {
        Host::MEMBERS.into_iter().for_each(|member| self.start_member(member));
        self.until_members_serve(&Host::MEMBERS);
    }

    /// Starts a member of etcd, with the data it has.
    pub fn start_member(&self, member: Host) {
        let Host::Member(_) = member else { panic!("{member} runs no etcd") };
        let joins = self.joining.lock().unwrap().contains(&member);
        let state = if joins { "existing" } else { "new" };
        let all = Host::MEMBERS.map(|member| format!("{member}={}", peer_url(member))).join(",");
        let (client, peer) = (client_url(member), peer_url(member));
        // What is compacted soon is what a mirror that was away cannot catch up on, and no file grows for ever.
        self.start(
            member,
            &format!(
                "etcd --name {member} --data-dir {member} --initial-cluster {all} --initial-cluster-state {state} \
                 --listen-client-urls {client} --advertise-client-urls {client} --listen-peer-urls {peer} \
                 --initial-advertise-peer-urls {peer} --auto-compaction-mode revision --auto-compaction-retention 1000 \
                 --snapshot-count 5000 --max-wals 2 --max-snapshots 2 --logger zap --log-level warn --log-outputs stderr"
            ),
        );
    }

    /// Starts a nameplate with these options besides those that say who it is; without Docker, unless they name one.
    pub fn start_node(&self, node: Host, options: &str) {
        self.start_node_as(node, [node, node], options);
    }

    /// Starts nameplates that share their catalog; returns when they are ready.
    #[track_caller]
    pub fn start_sharing(&self, nodes: &[Host]) {
        nodes.iter().for_each(|node| self.start_node(*node, &store()));
        nodes.iter().for_each(|node| self.until_ready(*node));
    }

    /// Starts one by the name of one node and with what another has on disk.
    pub fn start_node_as(&self, node: Host, names: [Host; 2], options: &str) {
        self.start_node_by("nameplate", node, names, options);
    }

    /// The same by another command than `nameplate`, which takes its arguments.
    pub fn start_node_by(&self, command: &str, node: Host, [name, data]: [Host; 2], options: &str) {
        let Host::Node(_) = node else { panic!("{node} runs no nameplate") };
        let address = node.address();
        let docker = if options.contains("--docker ") { "" } else { "--docker off" };
        self.start(
            node,
            &format!(
                "{command} serve -c cluster.toml --forward off {docker} --dns 0.0.0.0:{DNS_PORT} \
                 --http 0.0.0.0:{HTTP_PORT} --node {name} --advertise {address} --data-dir {data} {options}"
            ),
        );
    }

    fn start(&self, host: Host, command: &str) {
        // Of the process that ran here before.
        let _ = fs::remove_file(self.sandbox.file(format!("{host}.pid")));
        let process = self.sandbox.start(&host.to_string(), &format!("ip netns exec {host} {command}"));
        let before = self.running.lock().unwrap().insert(host, process);
        assert!(before.is_none(), "{host} runs already");
    }

    /// Kills what runs on a host as `kill -9` does; returns when it is gone.
    pub fn kill(&self, host: Host) {
        self.take(host).kill();
    }

    /// Stops what runs on a host as an operator does; returns when it is gone.
    pub fn stop(&self, host: Host) {
        let mut process = self.take(host);
        process.signal("TERM");
        assert!(process.wait().success(), "what runs on {host} stops in order");
    }

    /// Waits until what runs on a host has ended by itself; how, and what it said.
    pub fn ended(&self, host: Host) -> (ExitStatus, String) {
        let status = self.take(host).wait();
        (status, fs::read_to_string(self.sandbox.file(format!("{host}.log"))).unwrap())
    }

    fn take(&self, host: Host) -> Process<'a> {
        self.running.lock().unwrap().remove(&host).unwrap_or_else(|| panic!("nothing runs on {host}"))
    }

    /// Freezes what runs on a host: to others it is silent, and its connections stay.
    pub fn freeze(&self, host: Host) {
        self.signal(host, "STOP");
        let state = || self.state(host).filter(|state| *state == 'T');
        until("all of its threads have stopped", SOON, state);
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self, host: Host) {
        self.signal(host, "CONT");
    }

    fn signal(&self, host: Host, signal: &str) {
        self.running.lock().unwrap().get(&host).unwrap_or_else(|| panic!("nothing runs on {host}")).signal(signal);
    }

    /// The state of a host's process as the kernel tells it, `T` when it is stopped; none when there is none.
    pub fn state(&self, host: Host) -> Option<char> {
        let output = self.sandbox.attempt(&format!("ps -o state= -p $(cat {host}.pid)"));
        String::from_utf8_lossy(&output.stdout).trim().chars().next()
    }

    /// Takes away all that a host keeps on disk; nothing runs there. A member is also taken out of etcd and put in again,
    /// as an operator does whose disk died; the others are a quorum.
    pub fn wipe(&self, host: Host) {
        assert!(!self.running.lock().unwrap().contains_key(&host), "{host} runs");
        self.sandbox.run(&format!("rm -rf {host}"));
        if let Host::Member(_) = host {
            // The others take neither until they have been connected for a while, 5 s.
            for change in [
                format!("member remove $({} member list | sed -n 's/,.* {host},.*//p')", self.ctl()),
                format!("member add {host} --peer-urls={}", peer_url(host)),
            ] {
                let done = || self.attempt_etcdctl(WRITE_MAX, &change).status.success().then_some(());
                until("etcd takes a member out and in", SOON, done);
            }
            self.joining.lock().unwrap().push(host);
        }
    }

    /// Takes away all that etcd keeps; no member runs. They start anew as the same cluster, with nothing in it.
    pub fn wipe_members(&self) {
        let members = Host::MEMBERS.map(|member| member.to_string()).join(" ");
        assert!(!self.running.lock().unwrap().keys().any(|host| Host::MEMBERS.contains(host)), "a member runs");
        self.sandbox.run(&format!("rm -rf {members}"));
        self.joining.lock().unwrap().clear();
    }

    /// Waits until each of these members has a leader and reads from a quorum.
    #[track_caller]
    pub fn until_members_serve(&self, members: &[Host]) {
        for member in members {
            let serves = || {
                let response = http::request_at((member.address(), CLIENT_PORT).into(), "GET", "/health", "");
                response.ok().filter(|response| response.status == 200)
            };
            until("a member of etcd has a quorum", SOON, serves);
        }
    }

    /// Waits until a nameplate says that it is ready.
    #[track_caller]
    pub fn until_ready(&self, node: Host) {
        let ready = || self.http(node, "GET", "/v1/status/ready", "").ok().filter(|response| response.status == 200);
        until("a nameplate is ready", SOON, ready);
    }

    /// Asks a nameplate's HTTP API, from the bridge.
    pub fn http(&self, node: Host, method: &str, path: &str, body: &str) -> std::io::Result<Response> {
        http::request_at((node.address(), HTTP_PORT).into(), method, path, body)
    }

    /// Will ask a nameplate by DNS, from wherever the calling thread is.
    pub fn asker(&self, node: Host) -> Asker {
        Asker::new((node.address(), DNS_PORT))
    }

    /// Will ask a nameplate by DNS on its own host, whatever becomes of the host's links.
    pub fn own_asker(&self, node: Host) -> Asker {
        self.net.on(node, || Asker::new(([127, 0, 0, 1], DNS_PORT)).of_large_answers())
    }

    /// Runs `etcdctl` on the bridge and returns what it printed; panics if it fails.
    #[track_caller]
    pub fn etcdctl(&self, arguments: &str) -> String {
        self.sandbox.run(&format!("{} {arguments}", self.ctl()))
    }

    /// Runs `etcdctl` on the bridge, which gives up after this time, and returns how it ended.
    pub fn attempt_etcdctl(&self, limit: Duration, arguments: &str) -> Output {
        let limit = limit.as_millis();
        self.sandbox.attempt(&format!("{} --command-timeout={limit}ms {arguments}", self.ctl()))
    }

    fn ctl(&self) -> String {
        format!("etcdctl --endpoints={}", Host::MEMBERS.map(client_url).join(","))
    }
}

/// The options of a nameplate that shares its catalog with the others.
pub fn store() -> String {
    let members = Host::MEMBERS.map(|member| format!("{}:{CLIENT_PORT}", member.address()));
    format!("--store etcd://{}", members.join(","))
}

fn client_url(member: Host) -> String {
    format!("http://{}:{CLIENT_PORT}", member.address())
}

fn peer_url(member: Host) -> String {
    format!("http://{}:2380", member.address())
}

/// Most time for a write. Source: `etcdctl`'s own.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// Where members of etcd take clients. Source: etcd's usual port.
const CLIENT_PORT: u16 = 2379;

/// Where nameplates are asked by DNS. Source: DESIGN.md, "Command line and defaults".
pub const DNS_PORT: u16 = 8600;

/// Where nameplates are asked by HTTP. Source: as above.
const HTTP_PORT: u16 = 8500;
