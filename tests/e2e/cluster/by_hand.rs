//! Somebody else writes and deletes keys in etcd.

use std::{net::IpAddr, thread};

use super::{
    net::Host,
    trio::{FIRSTS, Trio},
    troubles::{LEASE, REWRITTEN_AFTER},
};
use crate::{
    dns::{A, Asker},
    sandbox::scenario,
    until::{SOON, until},
};

#[test]
fn keys_that_are_deleted_by_hand_are_put_back_and_nobody_misses_them() {
    scenario("cluster-deleted", |sandbox| {
        let trio = Trio::start(sandbox);
        let keys = || trio.cluster.etcdctl("get --prefix --keys-only /nameplate/v1/");
        let before = keys();
        thread::scope(|scope| {
            let looking = scope.spawn(|| trio.keep_answering(&Host::NODES, &FIRSTS, LEASE));
            trio.cluster.etcdctl("del --prefix /nameplate/v1/");
            until("all keys are there again", REWRITTEN_AFTER, || (keys() == before).then_some(()));
            looking.join().unwrap();
        });
        // A key alone is missed for as long as it takes its owner to put it back.
        trio.cluster.etcdctl(&format!("del /nameplate/v1/services/n1/{}", FIRSTS[0]));
        until("the key is there again", SOON, || (keys() == before).then_some(()));
        trio.until_all_answer(&FIRSTS, SOON);
    });
}

#[test]
fn what_another_program_writes_is_answered_and_what_is_wrong_hides_nothing() {
    scenario("cluster-foreign", |sandbox| {
        let trio = Trio::start(sandbox);
        for (name, value) in [
            ("nodes/printer", r#"{"Node": {"Address": "192.0.2.99"}}"#),
            ("services/printer/bad", r#"{"Service": {"Service": "lpd", "Port": "#),
            ("services/printer/number", r#"{"Service": {"Service": "lpd", "Port": "many"}}"#),
            ("services/printer/lpd", r#"{"Service": {"Service": "lpd", "Port": 515}}"#),
            ("else/where", "x"),
        ] {
            sandbox.write("value", value);
            trio.cluster.etcdctl(&format!("put /nameplate/v1/{name} <value"));
        }
        for node in Host::NODES {
            let asked = |mut asker: Asker| asker.ask("lpd.service.internal", A).map(|answer| answer.addresses);
            let expected = ["192.0.2.99".parse::<IpAddr>().unwrap()];
            until("the printer is answered", SOON, || {
                (asked(trio.cluster.own_asker(node)).ok()? == expected).then_some(())
            });
            assert!(trio.answers(node, &FIRSTS), "{node}");
        }
        // What is written below a node of ours is not of that node.
        sandbox.write("value", r#"{"Service": {"Service": "web", "Port": 10199}}"#);
        trio.cluster.etcdctl("put /nameplate/v1/services/n1/foreign <value");
        until("it is taken away", SOON, || {
            trio.cluster.etcdctl("get /nameplate/v1/services/n1/foreign").is_empty().then_some(())
        });
        trio.until_all_answer(&FIRSTS, SOON);
        trio.cluster.etcdctl("del --prefix /nameplate/v1/nodes/printer");
        trio.cluster.etcdctl("del --prefix /nameplate/v1/services/printer/");
        for node in Host::NODES {
            until("the printer is gone", SOON, || {
                let answer = trio.cluster.own_asker(node).ask("lpd.service.internal", A).ok()?;
                answer.addresses.is_empty().then_some(())
            });
        }
    });
}
