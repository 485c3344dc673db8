//! etcd is away, or has lost what it had.

use std::time::{Duration, Instant};

use super::{
    history::Verb,
    hosts::store,
    net::{Host, between},
    trio::{FIRSTS, Trio, instance},
    troubles::{LEASE, RECOVERED_AFTER, REWRITTEN_AFTER},
};
use crate::{
    sandbox::scenario,
    until::{SOON, until},
};

#[test]
fn without_a_quorum_changes_are_answered_locally_and_passed_on_later() {
    scenario("cluster-quorum", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        let [e1, e2, _] = Host::MEMBERS;
        trio.until_all_answer(&FIRSTS, SOON);
        assert_eq!(trio.get(n1, WEB).header("x-consul-knownleader"), Some("true"));
        trio.cluster.kill(e1);
        trio.cluster.kill(e2);

        let (born, goes) = (instance(1, 1), FIRSTS[1]);
        trio.call(born, Verb::Register);
        trio.call(goes, Verb::Deregister);
        trio.call(FIRSTS[2], Verb::Fail);
        assert!(trio.answers(n1, &[&FIRSTS[..], &[born]].concat()));
        assert!(trio.answers(n2, &[FIRSTS[0], FIRSTS[2]]));
        assert!(trio.answers(n3, &FIRSTS[..2]));
        until("the API says that etcd is away", SOON, || {
            let response = trio.get(n1, WEB);
            assert_eq!(response.status, 200);
            let told = response.header("x-consul-knownleader") == Some("false");
            told.then(|| assert!(response.header("x-nameplate-warning").is_some(), "{}", response.head))
        });
        // Nobody is given up while nobody can renew a lease.
        trio.keep_answering(&[n1], &FIRSTS, LEASE * 2);
        assert!(trio.answers(n3, &FIRSTS[..2]));

        trio.cluster.start_member(e1);
        trio.cluster.start_member(e2);
        trio.until_all_answer(&[FIRSTS[0], born], RECOVERED_AFTER);
        until("the API says that etcd is back", SOON, || {
            (trio.get(n1, WEB).header("x-consul-knownleader") == Some("true")).then_some(())
        });
        trio.call(FIRSTS[2], Verb::Pass);
        trio.until_all_answer(&[FIRSTS[0], FIRSTS[2], born], SOON);
    });
}

#[test]
fn owners_write_everything_back_into_an_etcd_that_lost_it() {
    scenario("cluster-wiped", |sandbox| {
        let trio = Trio::start(sandbox);
        let more: Vec<_> = (1..=3).flat_map(|node| (1..30).map(move |slot| instance(node, slot))).collect();
        more.iter().for_each(|instance| trio.call(*instance, Verb::Register));
        let all = [&FIRSTS[..], &more].concat();
        trio.until_all_answer(&all, SOON);
        let keys = || trio.cluster.etcdctl("get --prefix --keys-only /nameplate/v1/");
        let before = keys();
        assert!(before.lines().filter(|line| !line.is_empty()).count() > all.len(), "{before}");

        Host::MEMBERS.into_iter().for_each(|member| trio.cluster.kill(member));
        trio.cluster.wipe_members();
        trio.cluster.start_members();
        let began = Instant::now();
        until("etcd has all keys again", REWRITTEN_AFTER, || (keys() == before).then_some(()));
        println!("written back within {:?}", began.elapsed());
        trio.until_all_answer(&all, REWRITTEN_AFTER.saturating_sub(began.elapsed()));
        trio.keep_answering(&Host::NODES, &all, LEASE * 2);
        trio.call(all[5], Verb::Deregister);
        let left: Vec<_> = all.iter().copied().filter(|instance| *instance != all[5]).collect();
        trio.until_all_answer(&left, SOON);
    });
}

#[test]
fn a_machine_that_was_down_when_etcd_was_wiped_keeps_what_others_had() {
    scenario("cluster-wiped-down", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        let more: Vec<_> = [1, 3].into_iter().flat_map(|node| (1..30).map(move |slot| instance(node, slot))).collect();
        more.iter().for_each(|instance| trio.call(*instance, Verb::Register));
        let all = [&FIRSTS[..], &more].concat();
        trio.until_all_answer(&all, SOON);
        // How far etcd was is remembered for the journal within 10 s, and written behind.
        trio.keep_answering(&Host::NODES, &all, Duration::from_secs(15));
        trio.cluster.kill(n2);
        Host::MEMBERS.into_iter().for_each(|member| trio.cluster.kill(member));
        trio.cluster.wipe_members();
        // Nobody writes anything back before it has read that there is nothing.
        [n1, n3].into_iter().for_each(|node| trio.cluster.freeze(node));
        trio.cluster.start_members();
        trio.cluster.start_node(n2, &store());
        let first = until("it answers", SOON, || trio.answer(n2));
        assert_eq!(first.len(), all.len(), "{first:?}");
        let connected = || sandbox.run("cat n2.log").matches("etcd: connected").count() == 2;
        until("it has read all that there is", SOON, || {
            assert!(trio.answers(n2, &all), "{:?}", trio.answer(n2));
            connected().then_some(())
        });
        trio.keep_answering(&[n2], &all, Duration::from_secs(2));
        [n1, n3].into_iter().for_each(|node| trio.cluster.thaw(node));
        trio.keep_answering(&[n2], &all, REWRITTEN_AFTER);
        trio.until_all_answer(&all, SOON);
        // What it keeps is no ghost: it goes when its machine does.
        trio.cluster.stop(n1);
        let left: Vec<_> = all.iter().copied().filter(|instance| instance.node != 1).collect();
        trio.until_answers(n2, &left, SOON);
    });
}

#[test]
fn a_restart_while_etcd_is_away_answers_what_was_known() {
    scenario("cluster-cold", |sandbox| {
        let trio = Trio::start(sandbox);
        let [_, n2, _] = Host::NODES;
        // What is mirrored is written behind.
        trio.keep_answering(&Host::NODES, &FIRSTS, Duration::from_secs(5));
        Host::MEMBERS.into_iter().for_each(|member| trio.cluster.kill(member));
        trio.cluster.kill(n2);
        trio.cluster.start_node(n2, &store());
        let first = until("it answers", SOON, || trio.answer(n2));
        assert!(FIRSTS.iter().all(|instance| first.contains(instance)), "{first:?}");
        let born = instance(2, 1);
        trio.call(born, Verb::Register);
        let dig = "ip netns exec n2 dig @127.0.0.1 -p 8600 web.service.internal SRV";
        until("answers are marked stale", Duration::from_secs(45), || {
            sandbox.run(dig).contains("EDE: 3 (Stale Answer)").then_some(())
        });
        assert_eq!(trio.get(n2, WEB).header("x-consul-knownleader"), Some("false"));
        trio.keep_answering(&[n2], &FIRSTS, LEASE * 2);

        trio.cluster.start_members();
        trio.until_all_answer(&[&FIRSTS[..], &[born]].concat(), RECOVERED_AFTER);
        until("answers are not marked any more", SOON, || (!sandbox.run(dig).contains("EDE: 3")).then_some(()));
    });
}

#[test]
fn a_partition_heals_without_ghosts() {
    scenario("cluster-partition", |sandbox| {
        let trio = Trio::start(sandbox);
        let [n1, n2, n3] = Host::NODES;
        let more = [instance(1, 1), instance(2, 1), instance(3, 1)];
        more.iter().for_each(|instance| trio.call(*instance, Verb::Register));
        trio.until_all_answer(&[&FIRSTS[..], &more].concat(), SOON);
        // n3 alone; a mirror that is away until after a compaction cannot go on where it was.
        let cut = [between(n3, &Host::MEMBERS), between(n3, &Host::NODES)].concat();
        trio.cluster.net.cut(&cut);
        let born = [instance(1, 2), instance(2, 2), instance(3, 2)];
        born.iter().for_each(|instance| trio.call(*instance, Verb::Register));
        more.iter().for_each(|instance| trio.call(*instance, Verb::Deregister));
        let theirs = [FIRSTS[0], FIRSTS[1], born[0], born[1]];
        for node in [n1, n2] {
            trio.until_answers(node, &theirs, LEASE + Duration::from_secs(5));
        }
        let known = [&FIRSTS[..], &more[..2], &born[2..]].concat();
        assert!(trio.answers(n3, &known), "what it last knew, and what is its own: {:?}", trio.answer(n3));
        let put = trio.cluster.etcdctl("put --write-out=fields /nameplate-test/key value");
        let revision = put.lines().find_map(|line| line.strip_prefix("\"Revision\" : ")).unwrap();
        trio.cluster.etcdctl(&format!("compact {revision}"));

        trio.cluster.net.heal(&cut);
        trio.until_all_answer(&[&FIRSTS[..], &born].concat(), RECOVERED_AFTER);
        trio.keep_answering(&Host::NODES, &[&FIRSTS[..], &born].concat(), LEASE * 2);
    });
}

/// All instances, with their checks.
const WEB: &str = "/v1/health/service/web";
