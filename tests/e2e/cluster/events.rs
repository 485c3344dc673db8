//! Events that machines share: fired on one, listed on all that they are for.

use std::{thread, time::Duration};

use serde_json::Value;

use super::{
    hosts::{Cluster, store},
    keys::http,
    net::Host,
    trio::Trio,
};
use crate::{
    sandbox::scenario,
    until::{SOON, until},
};

#[test]
fn events_are_listed_alike_on_every_machine_that_they_are_for() {
    scenario("cluster-events", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, n3] = Host::NODES;
        // A read that waits wakes on a machine that was not told.
        let index = cluster.http(n2, "GET", "/v1/event/list", "").unwrap();
        let index = index.header("x-consul-index").unwrap().to_owned();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let path = format!("/v1/event/list?index={index}&wait=60s");
                serde_json::from_str::<Value>(&cluster.http(n2, "GET", &path, "").unwrap().body).unwrap()
            });
            fire(cluster, n1, "first", "");
            assert_eq!(waiting.join().unwrap()[0]["Name"], "first");
        });
        assert_eq!(listed(cluster, n1).len(), 1, "who fired it lists it");

        // All at once, each is listed once, in one order.
        thread::scope(|scope| {
            for node in Host::NODES {
                scope.spawn(move || (0..8).for_each(|number| fire(cluster, node, &format!("{node}-{number}"), "")));
            }
        });
        for node in Host::NODES {
            until("all are listed", PASSED_ON_WITHIN, || (listed(cluster, node).len() == 25).then_some(()));
            assert_eq!(listed(cluster, node), listed(cluster, n1));
        }
        let numbers: Vec<u64> = listed(cluster, n3).into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, (1..=25).collect::<Vec<_>>());

        // Those for a node are listed there, whoever fires them.
        fire(cluster, n1, "for-n2", "?node=%5En2%24");
        fire(cluster, n3, "for-all", "?service=web");
        fire(cluster, n2, "for-none", "?service=other");
        fire(cluster, n2, "last", "");
        for node in Host::NODES {
            until("the last is listed", PASSED_ON_WITHIN, || has(cluster, node, "last").then_some(()));
            let expected: &[u64] = if node == n2 { &[26, 27, 29] } else { &[27, 29] };
            let numbers: Vec<u64> = listed(cluster, node).into_iter().map(|(number, _)| number).collect();
            assert_eq!(&numbers[25..], expected, "{node}");
        }
        assert_eq!(cluster.etcdctl("get --prefix --keys-only /nameplate/v1/events/").split_whitespace().count(), 29);

        // What was decided stays over a restart.
        cluster.stop(n2);
        cluster.start_node(n2, &store());
        cluster.until_ready(n2);
        until("a restarted node lists them", SOON, || (listed(cluster, n2).len() == 28).then_some(()));
        assert!(has(cluster, n2, "for-n2") && !has(cluster, n2, "for-none"));
    });
}

#[test]
fn without_a_quorum_events_are_listed_and_not_fired() {
    scenario("cluster-events-quorum", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, _] = Host::NODES;
        let [e1, e2, _] = Host::MEMBERS;
        fire(cluster, n1, "before", "");
        until("n2 lists it", SOON, || has(cluster, n2, "before").then_some(()));
        cluster.kill(e1);
        cluster.kill(e2);
        let answer = http(cluster, n2, "PUT", "/v1/event/fire/never", "");
        assert_eq!((answer.0, answer.1.contains("No cluster leader")), (500, true), "{answer:?}");
        until("reads say that they may be old", SOON, || {
            let response = cluster.http(n1, "GET", "/v1/event/list", "").unwrap();
            (response.header("x-consul-knownleader") == Some("false")).then_some(())
        });
        // A machine that starts meanwhile has them from its disk.
        cluster.kill(n2);
        cluster.start_node(n2, &store());
        until("a restarted node lists it", SOON, || {
            let response = cluster.http(n2, "GET", "/v1/event/list", "").ok()?;
            (response.status == 200 && response.body.contains("before")).then_some(())
        });
    });
}

#[track_caller]
fn fire(cluster: &Cluster<'_>, node: Host, name: &str, filters: &str) {
    let (status, text) = http(cluster, node, "PUT", &format!("/v1/event/fire/{name}{filters}"), "1.2");
    assert_eq!(status, 200, "{text}");
}

/// The events that a node lists: their numbers and names, in its order.
#[track_caller]
fn listed(cluster: &Cluster<'_>, node: Host) -> Vec<(u64, String)> {
    let (status, text) = http(cluster, node, "GET", "/v1/event/list", "");
    assert_eq!(status, 200, "{text}");
    let events: Vec<Value> = serde_json::from_str(&text).unwrap();
    let shown = |event: &Value| (event["LTime"].as_u64().unwrap(), event["Name"].as_str().unwrap().to_owned());
    events.iter().map(shown).collect()
}

fn has(cluster: &Cluster<'_>, node: Host, name: &str) -> bool {
    listed(cluster, node).iter().any(|(_, listed)| listed == name)
}

/// Until others list what was fired. Source: none, chosen: docs/etcd.md says milliseconds.
const PASSED_ON_WITHIN: Duration = Duration::from_secs(1);
