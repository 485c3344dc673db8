//! What is acknowledged on one machine is answered by the others, at once, and whichever member of etcd is away.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    faults::FROZEN_MAX,
    history::Verb,
    load::call,
    net::Host,
    trio::{FIRSTS, Trio, instance},
    troubles::LEASE,
};
use crate::{
    sandbox::{scenario, scenario_alone},
    until::{SOON, until},
};

#[test]
fn a_change_is_answered_by_the_others_within_100_ms() {
    scenario_alone("cluster-pace", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        let changed = instance(1, 1);
        let verbs = [Verb::Register, Verb::Fail, Verb::Pass, Verb::Deregister];
        let mut took = Vec::new();
        let acknowledged = |verb| {
            assert_eq!(call(changed, verb).unwrap().status, 200);
            let acknowledged = Instant::now();
            let answered = matches!(verb, Verb::Register | Verb::Pass);
            // One after the other, without a rest: which of them is slower does not matter.
            for node in [n2, n3] {
                while trio.has(node, &[changed]) != answered {
                    assert!(acknowledged.elapsed() < SOON, "{node} never answers after {verb:?}");
                }
            }
            acknowledged.elapsed()
        };
        trio.cluster.net.on(n1, || took.extend(verbs.iter().cycle().take(CHANGES).map(|verb| acknowledged(*verb))));
        took.sort();
        let (half, most, last) = (took[CHANGES / 2], took[CHANGES * 99 / 100 - 1], took[CHANGES - 1]);
        println!("{CHANGES} changes: p50 {half:?}, p99 {most:?}, last {last:?}");
        assert!(most <= PROMISED, "p50 {half:?}, p99 {most:?}, last {last:?}");
    });
}

#[test]
fn a_member_of_etcd_that_is_away_is_noticed_by_nobody() {
    scenario("cluster-member", |sandbox| {
        let trio = Trio::start(sandbox);
        for (slot, member) in (1..).zip(Host::MEMBERS) {
            trio.cluster.kill(member);
            let later: Vec<_> = (1..=3).map(|node| instance(node, slot)).collect();
            later.iter().for_each(|instance| trio.call(*instance, Verb::Register));
            let killed = Instant::now();
            until("what is registered meanwhile is answered by all", CHANGES_PASS_WITHIN, || {
                trio.keep_answering(&Host::NODES, &FIRSTS, Duration::ZERO);
                Host::NODES.iter().all(|node| trio.has(*node, &later)).then_some(())
            });
            println!("{member} away: passed on within {:?}", killed.elapsed());
            // For longer than a lease.
            trio.keep_answering(&Host::NODES, &FIRSTS, Duration::from_secs(12));
            trio.cluster.start_member(member);
            trio.cluster.until_members_serve(&Host::MEMBERS);
        }
        trio.keep_answering(&Host::NODES, &FIRSTS, Duration::from_secs(2));
    });
}

#[test]
fn a_member_of_etcd_that_is_frozen_is_noticed_by_nobody() {
    scenario("cluster-frozen", |sandbox| {
        let trio = Trio::start(sandbox);
        for member in Host::MEMBERS {
            trio.cluster.freeze(member);
            trio.keep_answering(&Host::NODES, &FIRSTS, FROZEN_MAX);
            trio.cluster.thaw(member);
            // Longer than a lease that nobody renewed.
            trio.keep_answering(&Host::NODES, &FIRSTS, LEASE + Duration::from_secs(2));
        }
        let later = instance(2, 1);
        trio.call(later, Verb::Register);
        trio.until_all_answer(&[&FIRSTS[..], &[later]].concat(), SOON);
    });
}

#[test]
fn a_burst_on_all_nodes_is_answered_by_all() {
    scenario("cluster-burst", |sandbox| {
        let trio = Trio::start(sandbox);
        let all: BTreeSet<_> = (1..=3).flat_map(|node| (0..60).map(move |slot| instance(node, slot))).collect();
        std::thread::scope(|scope| {
            for node in 1..=3 {
                let (trio, all) = (&trio, &all);
                scope.spawn(move || {
                    trio.cluster.net.enter(Host::Node(node));
                    for instance in all.iter().filter(|instance| instance.node == node) {
                        assert_eq!(call(*instance, Verb::Register).unwrap().status, 200);
                    }
                });
            }
        });
        trio.until_all_answer(&all.into_iter().collect::<Vec<_>>(), Duration::from_secs(5));
    });
}

/// How many changes. Source: none, chosen: ten of them may take longer than is promised.
const CHANGES: usize = 1_000;

/// Within what time 99 of 100 are answered. Source: what is promised.
const PROMISED: Duration = Duration::from_millis(100);

/// Within what time changes pass while a member is away from then on: an election and another connection.
const CHANGES_PASS_WITHIN: Duration = Duration::from_secs(5);
