//! Machines whose clocks are minutes apart.
//!
//! The program that is shipped is linked statically, and what shifts a program's clock, libfaketime, is loaded beside it. So
//! these nodes run what cargo builds for tests, from the same source.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    death::{GONE_WITHIN, KEPT_AT_LEAST},
    history::Verb,
    hosts::{Cluster, store},
    keys::http,
    net::Host,
    sessions::{begin, is_there},
    trio::{FIRSTS, Trio, instance},
    troubles::{LEASE, RECOVERED_AFTER},
};
use crate::{
    sandbox::{Sandbox, scenario},
    until::{SOON, until},
};

#[test]
fn clocks_that_are_minutes_apart_change_nothing() {
    scenario("cluster-clocks", |sandbox| {
        shifts(sandbox);
        let [n1, n2, n3] = Host::NODES;
        let trio = Trio::start_nodes(sandbox, |cluster, node| start(cluster, node, of(node)));
        let mut serials = Serials { sandbox, last: BTreeMap::new() };
        for node in Host::NODES {
            let ahead = i64::from(serials.look(node)) - now(sandbox);
            let shifted = i64::from(of(node)) * 60;
            assert!((ahead - shifted).abs() < 60, "the clock of {node} is {shifted} s ahead: {ahead}");
        }

        sessions_live_as_long_as_they_are_renewed(&trio, &mut serials);
        // Each comes back with the other's clock.
        for (dies, others, shift) in [(n1, [n2, n3], of(n2)), (n2, [n1, n3], of(n1))] {
            its_instances_go_after_its_lease(&trio, dies, others);
            start(&trio.cluster, dies, shift);
            trio.until_all_answer(&FIRSTS, SOON);
            serials.look_at_all();
        }

        Host::MEMBERS.into_iter().for_each(|member| trio.cluster.kill(member));
        let born = Host::NODES.map(|node| match node {
            Host::Node(number) | Host::Member(number) => instance(number, 1),
        });
        born.into_iter().for_each(|instance| trio.call(instance, Verb::Register));
        trio.keep_answering(&Host::NODES, &FIRSTS, LEASE + Duration::from_secs(2));
        serials.look_at_all();
        trio.cluster.start_members();
        let all = [FIRSTS, born].concat();
        trio.until_all_answer(&all, RECOVERED_AFTER);
        trio.keep_answering(&Host::NODES, &all, LEASE);
        serials.look_at_all();
    });
}

/// Two sessions of which one is renewed, in turns on each node: all know it, and nothing leaves the answers meanwhile.
fn sessions_live_as_long_as_they_are_renewed(trio: &Trio<'_>, serials: &mut Serials<'_>) {
    let cluster = &trio.cluster;
    let ttl = r#"{"TTL": "10s"}"#;
    let [renewed, forgotten] = [Host::NODES[0], Host::NODES[1]].map(|node| begin(cluster, node, ttl));
    let began = Instant::now();
    for node in Host::NODES.into_iter().cycle() {
        if began.elapsed() >= ENDED_WITHIN {
            break;
        }
        assert_eq!(http(cluster, node, "PUT", &format!("/v1/session/renew/{renewed}"), "").0, 200);
        trio.keep_answering(&Host::NODES, &FIRSTS, Duration::from_secs(2));
        for node in Host::NODES {
            assert!(is_there(cluster, node, &renewed), "{node} knows a session that is renewed");
            let (lives, at) = (is_there(cluster, node, &forgotten), began.elapsed());
            assert!(lives || at >= TTL, "{node} has forgotten a session {at:?} after it began");
        }
        serials.look_at_all();
    }
    let ends = |id: &str| {
        for node in Host::NODES {
            until("all have heard that a session has ended", ENDED_WITHIN, || {
                (!is_there(cluster, node, id)).then_some(())
            });
        }
    };
    ends(&forgotten);
    let last = Instant::now();
    ends(&renewed);
    assert!(last.elapsed() <= ENDED_WITHIN, "ended after {:?}", last.elapsed());
}

/// Nobody is told that a machine died, and the others know when its lease has ended.
fn its_instances_go_after_its_lease(trio: &Trio<'_>, dies: Host, others: [Host; 2]) {
    trio.cluster.net.unplug(dies);
    trio.cluster.kill(dies);
    let died = Instant::now();
    let Host::Node(number) = dies else { panic!("{dies} runs no nameplate") };
    let left: Vec<_> = FIRSTS.into_iter().filter(|instance| instance.node != number).collect();
    let gone = others.map(|node| {
        until(&format!("{node} answers without the dead"), GONE_WITHIN, || {
            assert!(trio.has(node, &left), "{node} answers those that live");
            trio.answers(node, &left).then(|| died.elapsed())
        })
    });
    println!("{dies}: gone after {gone:?}");
    assert!(gone.iter().all(|after| *after >= KEPT_AT_LEAST), "{gone:?}: a machine may be away for a moment");
    trio.cluster.net.plug(dies);
}

/// The serials that were seen on each node.
struct Serials<'a> {
    sandbox: &'a Sandbox,
    last: BTreeMap<Host, u32>,
}

impl Serials<'_> {
    fn look_at_all(&mut self) {
        for node in Host::NODES {
            self.look(node);
        }
    }

    /// Asks for the serial, which never goes back.
    fn look(&mut self, node: Host) -> u32 {
        let answer = self.sandbox.run(&format!("ip netns exec {node} dig @127.0.0.1 -p 8600 +short internal SOA"));
        let serial = answer.split(' ').nth(2).and_then(|serial| serial.parse().ok());
        let serial: u32 = serial.unwrap_or_else(|| panic!("{node}: {answer:?} has a serial"));
        // RFC 1982.
        let back = |last: u32| serial.wrapping_sub(last) > u32::MAX / 2;
        let last = self.last.insert(node, serial);
        assert!(!last.is_some_and(back), "the serial of {node} goes back from {last:?} to {serial}");
        serial
    }
}

/// How many minutes a node's clock is ahead.
fn of(node: Host) -> i16 {
    match node {
        Host::Node(1) => 7,
        Host::Node(2) => -7,
        _ => 0,
    }
}

/// Starts a node whose clock is so many minutes ahead.
pub fn start(cluster: &Cluster<'_>, node: Host, minutes: i16) {
    cluster.start_node_by(&format!("shifted {minutes:+}m"), node, [node, node], &store());
}

/// Makes the command `shifted`, which takes how far, and the arguments of nameplate. The clock that counts spans stays as it is, as it does
/// where a machine's time of day is wrong.
pub fn shifts(sandbox: &Sandbox) {
    sandbox.needs(&["faketime"], "faketime");
    sandbox.needs(&["dig"], "bind9-dnsutils");
    let program = env!("CARGO_BIN_EXE_nameplate");
    sandbox.write(
        "bin/shifted",
        &format!(
            "#!/bin/sh\n\
             export FAKETIME=$1 FAKETIME_DONT_FAKE_MONOTONIC=1 LD_PRELOAD='/usr/$LIB/faketime/libfaketimeMT.so.1'\n\
             shift\n\
             exec {program} \"$@\"\n"
        ),
    );
    // What the library shares it finds by the number of a process, which is another one in each sandbox.
    sandbox.run("chmod +x bin/shifted; mount -t tmpfs none /dev/shm");
}

/// Seconds since 1970 by a clock that is right.
fn now(sandbox: &Sandbox) -> i64 {
    sandbox.run("date +%s").trim().parse().unwrap()
}

/// That of the sessions. Source: the shortest that may be.
const TTL: Duration = Duration::from_secs(10);

/// When a session has ended that is not renewed, at the latest. Source: twice its TTL, as Consul promises, and 4 s.
const ENDED_WITHIN: Duration = Duration::from_secs(24);
