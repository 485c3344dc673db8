//! A machine that dies, stops, or is back.

use std::time::{Duration, Instant};

use super::{
    history::{Instance, Verb},
    hosts::store,
    net::Host,
    trio::{FIRSTS, Trio, instance},
    troubles::LEASE,
};
use crate::{
    sandbox::scenario,
    until::{SOON, until},
};

#[test]
fn a_machine_that_dies_takes_its_instances_out_after_its_lease() {
    scenario("cluster-death", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        // No connection is closed: nobody is told.
        trio.cluster.net.unplug(n1);
        trio.cluster.kill(n1);
        let died = Instant::now();
        let left = [n2, n3].map(|node| {
            until(&format!("{node} answers without the dead"), GONE_WITHIN, || {
                assert!(trio.has(node, &FIRSTS[1..]), "{node} answers those that live");
                (!trio.has(node, &FIRSTS[..1])).then(|| died.elapsed())
            })
        });
        println!("gone after {left:?}");
        assert!(left.iter().all(|after| *after >= KEPT_AT_LEAST), "{left:?}: a machine may be away for a moment");
        trio.cluster.net.plug(n1);
        trio.cluster.start_node(n1, &store());
        trio.until_all_answer(&FIRSTS, SOON);
    });
}

#[test]
fn a_machine_that_freezes_is_out_after_its_lease_and_back_when_it_goes_on() {
    scenario("cluster-freeze", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        trio.cluster.freeze(n1);
        for node in [n2, n3] {
            trio.until_answers(node, &FIRSTS[1..], GONE_WITHIN);
        }
        trio.cluster.thaw(n1);
        trio.until_all_answer(&FIRSTS, LEASE);
        trio.keep_answering(&Host::NODES, &FIRSTS, LEASE * 2);
    });
}

#[test]
fn a_clean_stop_takes_instances_out_at_once() {
    scenario("cluster-stop", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        trio.cluster.stop(n1);
        for node in [n2, n3] {
            let took = trio.until_answers(node, &FIRSTS[1..], Duration::from_secs(1));
            println!("gone from {node} {took:?} after the process");
        }
        trio.cluster.start_node(n1, &store());
        trio.until_all_answer(&FIRSTS, SOON);
    });
}

#[test]
fn a_process_that_is_killed_and_back_at_once_is_never_missed() {
    scenario("cluster-restart", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        for slot in 1..=3 {
            trio.cluster.kill(n1);
            trio.cluster.start_node(n1, &store());
            // Longer than the lease of the process that was killed.
            trio.keep_answering(&[n2, n3], &FIRSTS, LEASE + Duration::from_secs(5));
            let later = instance(1, slot);
            trio.call(later, Verb::Register);
            until("the new process passes on", SOON, || trio.has(n2, &[later]).then_some(()));
        }
        let all: Vec<Instance> = FIRSTS.into_iter().chain((1..=3).map(|slot| instance(1, slot))).collect();
        trio.until_all_answer(&all, SOON);
    });
}

#[test]
fn a_node_that_moves_with_its_disk_takes_its_keys_along() {
    scenario("cluster-move", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        trio.cluster.kill(n1);
        trio.cluster.stop(n2);
        // What n1 has on disk, on the host of n2, under its own name.
        trio.cluster.start_node_as(n2, [n1, n1], &store());
        trio.cluster.until_ready(n2);
        trio.until_answers(n3, &[FIRSTS[0], FIRSTS[2]], SOON);
        let address = || {
            let listed = trio.get(n3, "/v1/catalog/service/web").body;
            let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
            let entry = listed.as_array().unwrap().iter().find(|entry| entry["Node"] == "n1")?.clone();
            (entry["Address"] == "192.0.2.22").then_some(())
        };
        until("the node has its new address", SOON, address);
    });
}

/// Most time until a dead machine's instances are gone: the lease, and 5 s for etcd to end it and all to hear of it.
pub const GONE_WITHIN: Duration = Duration::from_secs(15);

/// How long they are kept at least: what is left of a lease that is renewed every third, less 1 s.
pub const KEPT_AT_LEAST: Duration = Duration::from_millis(5_600);
