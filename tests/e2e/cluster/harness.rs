//! The hosts, links and processes do what scenarios take for granted.

use std::{net::UdpSocket, time::Duration};

use serde_json::json;

use super::{
    hosts::Cluster,
    net::{Host, Net, between},
};
use crate::{
    dns::{NOERROR, SRV},
    http,
    sandbox::scenario,
    until::{SOON, until},
};

#[test]
fn a_cut_link_loses_packets_both_ways_and_heals() {
    scenario("cluster-links", |sandbox| {
        let net = Net::new(sandbox);
        let [n1, n2, n3] = Host::NODES;
        let e1 = Host::Member(1);
        check(&net, &[(n1, n2), (n2, n1), (n1, e1), (n1, n1)], &[]);

        net.cut(&[(n1, n2)]);
        check(&net, &[(n1, n3), (n3, n1), (n2, n3), (n1, e1), (e1, n1)], &[(n1, n2), (n2, n1)]);
        net.cut(&between(n1, &Host::MEMBERS));
        check(&net, &[(n1, n3), (n3, n1), (n2, e1)], &[(n1, n2), (n1, e1), (e1, n1)]);
        net.heal(&[(n1, n2)]);
        check(&net, &[(n1, n2), (n2, n1)], &[(n1, e1), (e1, n1)]);
        net.heal(&between(n1, &Host::MEMBERS));
        check(&net, &[(n1, e1), (e1, n1)], &[]);

        net.cut_one_way(n1, n2);
        check(&net, &[(n2, n1), (n1, n3)], &[(n1, n2)]);
        net.heal_one_way(n1, n2);
        check(&net, &[(n1, n2)], &[]);

        net.unplug(n1);
        check(&net, &[(n2, n3), (n1, n1)], &[(n1, n2), (n2, n1), (n1, e1), (e1, n1)]);
        net.plug(n1);
        until("the link is back", SOON, || (reaches(&net, n1, n2) && reaches(&net, n2, n1)).then_some(()));
    });
}

#[test]
fn etcd_without_a_quorum_refuses_writes_and_takes_them_again() {
    scenario("cluster-etcd", |sandbox| {
        let cluster = Cluster::new(sandbox);
        let [e1, e2, e3] = Host::MEMBERS;
        let put = |value: &str| cluster.attempt_etcdctl(GIVE_UP, &format!("put key {value}")).status.success();
        // A write that meets a change of leaders is refused, and nobody repeats it for its client.
        let takes = |value| until("etcd takes writes", SOON, || put(value).then_some(()));
        let get = || cluster.etcdctl("get --print-value-only key").trim().to_owned();
        cluster.start_members();
        takes("first");
        cluster.kill(e1);
        // Two of three are a quorum, one is none.
        takes("second");
        cluster.freeze(e2);
        assert!(!put("lost"));
        cluster.thaw(e2);
        cluster.until_members_serve(&[e2, e3]);
        takes("third");

        // A disk that died: what the others have comes back to it.
        cluster.wipe(e1);
        cluster.start_member(e1);
        cluster.until_members_serve(&Host::MEMBERS);
        cluster.kill(e2);
        cluster.until_members_serve(&[e1, e3]);
        assert_eq!(get(), "third");
        // What began anew counts.
        takes("fourth");
        cluster.start_member(e2);

        cluster.until_members_serve(&Host::MEMBERS);
        cluster.net.cut(&[(e1, e2), (e1, e3), (e2, e3)]);
        assert!(!put("lost"), "each alone is no quorum");
        cluster.net.heal(&[(e1, e2), (e1, e3), (e2, e3)]);
        cluster.until_members_serve(&Host::MEMBERS);
        takes("fifth");

        Host::MEMBERS.into_iter().for_each(|member| cluster.kill(member));
        cluster.wipe_members();
        cluster.start_members();
        assert_eq!(get(), "", "etcd begins with nothing");
        takes("sixth");
    });
}

#[test]
fn a_frozen_nameplate_is_silent_and_a_killed_one_gone() {
    scenario("cluster-nodes", |sandbox| {
        let cluster = Cluster::new(sandbox);
        for node in Host::NODES {
            cluster.start_node(node, "");
        }
        for node in Host::NODES {
            cluster.until_ready(node);
            let body = json!({ "Name": "web", "ID": "web-1", "Port": 80 }).to_string();
            let own = || http::request("PUT", "/v1/agent/service/register", &body).unwrap().status;
            assert_eq!(cluster.net.on(node, own), 200);
        }
        let [n1, n2, _] = Host::NODES;
        let answers = |node| {
            let answer = cluster.asker(node).ask("web.service.internal", SRV);
            answer.is_ok_and(|answer| answer.rcode == NOERROR && answer.ports == [80])
        };
        assert!(Host::NODES.into_iter().all(answers));
        let from_n2 = || cluster.http(n1, "GET", "/v1/catalog/service/web", "").unwrap().body;
        let listed: serde_json::Value = serde_json::from_str(&cluster.net.on(n2, from_n2)).unwrap();
        assert_eq!((&listed[0]["Node"], &listed[0]["Address"]), (&json!("n1"), &json!("192.0.2.21")));

        cluster.freeze(n1);
        assert!(!answers(n1) && answers(n2));
        cluster.thaw(n1);
        until("it answers again", SOON, || answers(n1).then_some(()));
        cluster.kill(n1);
        assert!(!answers(n1) && answers(n2));
        assert!(cluster.http(n1, "GET", "/v1/status/ready", "").is_err());
        cluster.start_node(n1, "");
        until("it is back with what it had", SOON, || answers(n1).then_some(()));
        cluster.stop(n2);
        cluster.wipe(n2);
        cluster.start_node(n2, "");
        cluster.until_ready(n2);
        assert!(!answers(n2), "what it had is gone");
    });
}

/// What is sent on these ways arrives, and what is sent on those does not.
#[track_caller]
fn check(net: &Net<'_>, open: &[(Host, Host)], shut: &[(Host, Host)]) {
    for &(from, to) in open {
        assert!(reaches(net, from, to), "{from} to {to} is open");
    }
    for &(from, to) in shut {
        assert!(!reaches(net, from, to), "{from} to {to} is cut");
    }
}

/// Whether a packet that one host sends arrives at another.
fn reaches(net: &Net<'_>, from: Host, to: Host) -> bool {
    let receiver = net.on(to, || UdpSocket::bind((to.address(), 0)).unwrap());
    receiver.set_read_timeout(Some(ARRIVED_WITHIN)).unwrap();
    let sender = net.on(from, || UdpSocket::bind((from.address(), 0)).unwrap());
    // It may fail to be sent, too: then it does not arrive.
    let _ = sender.send_to(b"packet", receiver.local_addr().unwrap());
    receiver.recv(&mut [0; 16]).is_ok()
}

/// Most time for a packet. Source: none, chosen: a thousand times what it takes.
const ARRIVED_WITHIN: Duration = Duration::from_millis(500);

/// After what time a write counts as refused. Source: none, chosen: longer than an election, 2 s.
const GIVE_UP: Duration = Duration::from_secs(4);
