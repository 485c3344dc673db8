//! Who is who, and where a client was.

use std::time::{Duration, Instant};

use super::{
    history::Verb,
    hosts::store,
    net::Host,
    trio::{FIRSTS, Trio, instance},
};
use crate::sandbox::scenario;

#[test]
fn the_second_node_of_a_name_refuses_to_start() {
    scenario("cluster-names", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        trio.cluster.stop(n2);
        // With the ID that n2 has on disk.
        trio.cluster.start_node_as(n2, [n1, n2], &store());
        let (status, log) = trio.cluster.ended(n2);
        let said = log.lines().rev().take(3).collect::<Vec<_>>().join("\n");
        println!("{status}: {said}");
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains("n1") && said.contains("another"), "{said}");
        trio.keep_answering(&[n1, n3], &[FIRSTS[0], FIRSTS[2]], Duration::from_secs(15));
    });
}

#[test]
fn a_client_that_moves_to_another_machine_is_answered_at_once() {
    scenario("cluster-index", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        for slot in 1..20 {
            trio.call(instance(1, slot), Verb::Register);
            trio.call(instance(1, slot), Verb::Deregister);
        }
        let index = |node| {
            let response = trio.get(node, "/v1/health/service/web");
            response.header("x-consul-index").unwrap().parse::<u64>().unwrap()
        };
        let highest = Host::NODES.map(index).into_iter().max().unwrap();
        for (node, above) in [(n1, 1), (n2, 1), (n3, 1), (n2, 1_000_000)] {
            let asked = Instant::now();
            let response = trio.get(node, &format!("/v1/health/service/web?index={}&wait=15s", highest + above));
            assert_eq!(response.status, 200);
            assert!(asked.elapsed() < Duration::from_secs(1), "{node} let the client wait {:?}", asked.elapsed());
        }
    });
}
