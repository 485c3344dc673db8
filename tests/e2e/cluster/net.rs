//! Six hosts on one bridge, each in a network namespace of its own, and links between them that are cut and healed.

use std::{
    fmt::{self, Display, Formatter},
    fs::File,
    net::Ipv4Addr,
    os::fd::AsFd,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::Serialize;

use crate::sandbox::Sandbox;

/// One of the six.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Host {
    /// Runs a member of etcd; counted from 1.
    Member(u8),
    /// Runs a nameplate; counted from 1.
    Node(u8),
}

impl Host {
    /// The hosts that run a member of etcd.
    pub const MEMBERS: [Host; 3] = [Host::Member(1), Host::Member(2), Host::Member(3)];

    /// The hosts that run a nameplate.
    pub const NODES: [Host; 3] = [Host::Node(1), Host::Node(2), Host::Node(3)];

    /// Those that run a member of etcd, then those that run a nameplate.
    pub fn all() -> impl Iterator<Item = Host> {
        Host::MEMBERS.into_iter().chain(Host::NODES)
    }

    /// Its address on the bridge.
    pub fn address(self) -> Ipv4Addr {
        match self {
            Host::Member(number) => Ipv4Addr::new(192, 0, 2, 10 + number),
            Host::Node(number) => Ipv4Addr::new(192, 0, 2, 20 + number),
        }
    }
}

/// The name of its namespace, its node and its process.
impl Display for Host {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Host::Member(number) => write!(formatter, "e{number}"),
            Host::Node(number) => write!(formatter, "n{number}"),
        }
    }
}

/// The bridge and what is on it. The sandbox's own namespace is on it too, with the address 192.0.2.1.
pub struct Net<'a> {
    sandbox: &'a Sandbox,
}

impl<'a> Net<'a> {
    /// Makes the namespaces and joins them.
    pub fn new(sandbox: &'a Sandbox) -> Net<'a> {
        sandbox.needs(&["ip"], "iproute2");
        sandbox.needs(&["iptables"], "iptables");
        let mut script = "set -e
            ip link add bridge type bridge
            ip address add 192.0.2.1/24 dev bridge
            ip link set bridge up\n"
            .to_owned();
        for host in Host::all() {
            let address = host.address();
            script += &format!(
                "ip netns add {host}
                ip link add {host} type veth peer name eth0 netns {host}
                ip link set {host} master bridge up
                ip -n {host} link set lo up
                ip -n {host} address add {address}/24 dev eth0
                ip -n {host} link set eth0 up\n"
            );
        }
        sandbox.run(&script);
        Net { sandbox }
    }

    /// From here on, what the calling thread opens is in the host's network; on it, 127.0.0.1 is the host.
    pub fn enter(&self, host: Host) {
        let network = File::open(self.sandbox.file(format!("/run/netns/{host}"))).unwrap();
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Calls this on a host, in a thread of its own.
    pub fn on<T: Send>(&self, host: Host, body: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            self.enter(host);
            body()
        };
        let ended = std::thread::scope(|scope| scope.spawn(entered).join());
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// From here on nothing passes between the hosts of these pairs, either way. Nobody is told: packets get lost.
    pub fn cut(&self, pairs: &[(Host, Host)]) {
        self.filter("A", &both_ways(pairs));
    }

    /// Ends a [`Net::cut`].
    pub fn heal(&self, pairs: &[(Host, Host)]) {
        self.filter("D", &both_ways(pairs));
    }

    /// From here on nothing that the first host sends to the second arrives.
    pub fn cut_one_way(&self, from: Host, to: Host) {
        self.filter("A", &[(from, to)]);
    }

    /// Ends a [`Net::cut_one_way`].
    pub fn heal_one_way(&self, from: Host, to: Host) {
        self.filter("D", &[(from, to)]);
    }

    /// Pulls the host's cable: it loses its link to everybody, and sees that.
    pub fn unplug(&self, host: Host) {
        self.sandbox.run(&format!("ip link set {host} down"));
    }

    /// Puts the cable back in.
    pub fn plug(&self, host: Host) {
        self.sandbox.run(&format!("ip link set {host} up"));
    }

    /// Adds (`A`) or deletes (`D`) rules that drop what one host sends to another, where it arrives.
    fn filter(&self, verb: &str, ways: &[(Host, Host)]) {
        let rule = |(from, to): &(Host, Host)| {
            format!("ip netns exec {to} iptables -w -{verb} INPUT -s {} -j DROP", from.address())
        };
        self.sandbox.run(&ways.iter().map(rule).collect::<Vec<_>>().join(" && "));
    }
}

/// Every pair, there and back.
fn both_ways(pairs: &[(Host, Host)]) -> Vec<(Host, Host)> {
    pairs.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect()
}

/// All pairs of a host and others.
pub fn between(host: Host, others: &[Host]) -> Vec<(Host, Host)> {
    others.iter().filter(|&&other| other != host).map(|&other| (host, other)).collect()
}
