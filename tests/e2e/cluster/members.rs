//! Each machine tells of all that live.

use std::collections::BTreeSet;

use super::{
    hosts::store,
    net::Host,
    trio::Trio,
    troubles::{LEASE, RECOVERED_AFTER},
};
use crate::{
    sandbox::{Sandbox, scenario},
    until::{SOON, until},
};

#[test]
fn each_machine_names_all_that_live_as_name_servers() {
    scenario("cluster-members", |sandbox| {
        sandbox.needs(&["dig"], "bind9-dnsutils");
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        let until_told = |nodes: &[Host], machines: &[Host]| {
            let machines: BTreeSet<_> = machines.iter().copied().collect();
            for &node in nodes {
                let what = format!("{node} tells of {machines:?}");
                until(&what, LEASE + SOON, || (tells(&trio, sandbox, node) == machines).then_some(()));
            }
        };
        until_told(&Host::NODES, &Host::NODES);

        trio.cluster.stop(n2);
        until_told(&[n1, n3], &[n1, n3]);
        trio.cluster.start_node(n2, &store());
        until_told(&Host::NODES, &Host::NODES);
        trio.cluster.kill(n3);
        until_told(&[n1, n2], &[n1, n2]);

        // While etcd is away, nobody can know who lives.
        Host::MEMBERS.into_iter().for_each(|member| trio.cluster.kill(member));
        trio.cluster.kill(n2);
        let knows = || trio.get(n1, "/v1/health/service/web").header("x-consul-knownleader") == Some("false");
        until("n1 knows that etcd is away", SOON, || knows().then_some(()));
        assert_eq!(tells(&trio, sandbox, n1), [n1, n2].into());
        trio.cluster.start_members();
        until("n2 is gone", RECOVERED_AFTER + LEASE, || (tells(&trio, sandbox, n1) == [n1].into()).then_some(()));
    });
}

/// The machines of which a node tells, by DNS as by HTTP; none while these differ.
fn tells(trio: &Trio<'_>, sandbox: &Sandbox, node: Host) -> BTreeSet<Host> {
    let dig = |question: &str| {
        let told = sandbox
            .run(&format!("ip netns exec {node} dig @127.0.0.1 -p 8600 +norec +noall +answer +additional {question}"));
        Host::NODES
            .into_iter()
            .filter(|host| told.split_whitespace().any(|word| word == host.address().to_string()))
            .collect()
    };
    let http = |path: &str| {
        let told = trio.get(node, path).body;
        let is_told = |host: &Host| [format!("\"{}\"", host.address()), format!("\"{}:8300\"", host.address())];
        Host::NODES.into_iter().filter(|host| is_told(host).iter().any(|text| told.contains(text))).collect()
    };
    let all: [BTreeSet<Host>; 4] =
        [dig("ns.internal A"), dig("internal NS"), http("/v1/agent/members"), http("/v1/status/peers")];
    let same = all.iter().all(|told| *told == all[0]);
    if same { all[0].clone() } else { BTreeSet::new() }
}
