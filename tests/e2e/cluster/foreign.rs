//! Nodes that have no nameplate: registered on any machine, they are the same on all.

use std::{net::IpAddr, time::Duration};

use serde_json::{Value, json};

use super::{
    hosts::{Cluster, store},
    keys::http,
    net::Host,
    trio::{FIRSTS, Trio},
};
use crate::{
    dns::A,
    sandbox::scenario,
    until::{SOON, until},
};

#[test]
fn nodes_without_a_nameplate_are_the_same_on_every_machine() {
    scenario("cluster-nodes-shared", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, n3] = Host::NODES;
        assert_eq!(put(cluster, n1, "/v1/catalog/register", &database("pg-1", "192.0.2.61")), (200, "true".to_owned()));
        assert_eq!(resolved(cluster, n1), addresses(&["192.0.2.61"]), "who has the receipt finds it");
        for node in [n2, n3] {
            let found = || (resolved(cluster, node) == addresses(&["192.0.2.61"])).then_some(());
            until("the others find it", PASSED_ON_WITHIN, found);
        }
        // On another machine, as one: what was read there may be changed if it is still so.
        let seen = get(cluster, n2, "/v1/catalog/service/pg")[0]["ModifyIndex"].as_u64().unwrap();
        let more = |index: u64| {
            json!([
                { "Service": { "Verb": "cas", "Node": "db",
                    "Service": { "ID": "pg-1", "Service": "pg", "Address": "192.0.2.62", "ModifyIndex": index } } },
                { "Service": { "Verb": "set", "Node": "db", "Service": { "ID": "pg-2", "Service": "pg", "Address": "192.0.2.63" } } },
                { "Check": { "Verb": "set", "Check": { "Node": "db", "CheckID": "disk", "Name": "Disk", "Status": "passing" } } },
            ])
        };
        let (status, text) = put(cluster, n2, "/v1/txn", &more(seen));
        assert_eq!(status, 200, "{text}");
        assert_eq!(put(cluster, n2, "/v1/txn", &more(seen)).0, 409, "it has changed since");
        for node in Host::NODES {
            let found = || (resolved(cluster, node) == addresses(&["192.0.2.62", "192.0.2.63"])).then_some(());
            until("all find both", SOON, found);
        }
        // A status from outside counts on all.
        let critical =
            json!([{ "Check": { "Verb": "set", "Check": { "Node": "db", "CheckID": "disk", "Status": "critical" } } }]);
        assert_eq!(put(cluster, n3, "/v1/txn", &critical).0, 200);
        for node in Host::NODES {
            until("none is answered", SOON, || resolved(cluster, node).is_empty().then_some(()));
        }

        what_is_refused(cluster);
        let exported = cluster.http(n1, "GET", "/v1/export", "").unwrap().body;
        // Between the lines stands how long its pieces are.
        let lines = exported.lines().filter(|line| line.starts_with('{'));
        let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_db: Vec<&Value> = lines.iter().filter(|line| line.to_string().contains("\"db\"")).collect();
        assert_eq!(of_db.len(), 4, "a node, two services, a check: {exported}");
        assert!(!exported.contains("\"n2\""), "other machines' are theirs: {exported}");

        // Nobody's own: the machine that was asked first may go.
        cluster.kill(n1);
        until("n1 is gone", SOON, || (trio.answers(n3, &FIRSTS[1..])).then_some(()));
        assert_eq!(get(cluster, n3, "/v1/catalog/service/pg").as_array().unwrap().len(), 2);
        let gone = json!({ "Node": "db" });
        assert_eq!(put(cluster, n3, "/v1/catalog/deregister", &gone), (200, "true".to_owned()));
        let listed = |node| get(cluster, node, "/v1/catalog/nodes").to_string().contains("\"db\"");
        assert!(!listed(n3));
        until("it is gone on the others", PASSED_ON_WITHIN, || (!listed(n2)).then_some(()));
        assert_eq!(cluster.etcdctl("get --prefix --keys-only /nameplate/v1/services/db/").trim(), "");
        // What was exported is there again, on all, be it imported with what is a machine's own.
        let own = json!({ "Service": { "Verb": "set", "Service": { "ID": "own", "Service": "own" } } });
        let lines: Vec<String> = of_db.into_iter().chain([&own]).map(Value::to_string).collect();
        sandbox.write("lines", &lines.join("\n"));
        sandbox.run("ip netns exec n2 nameplate import lines");
        until("it is back", SOON, || (get(cluster, n3, "/v1/catalog/service/pg").as_array()?.len() == 2).then_some(()));
        until("what was the machine's own is its own", SOON, || {
            (get(cluster, n3, "/v1/catalog/service/own")[0]["Node"] == "n2").then_some(())
        });
    });
}

fn what_is_refused(cluster: &Cluster<'_>) {
    let [n1, n2, _] = Host::NODES;
    let of_machine = json!({ "Node": "n2", "SkipNodeUpdate": true, "Service": { "Service": "pg" } });
    let (status, text) = put(cluster, n1, "/v1/catalog/register", &of_machine);
    assert_eq!((status, text.contains("node \"n2\" is that of a machine")), (400, true), "{text}");
    let own = json!({ "Service": { "Verb": "set", "Service": { "Service": "own" } } });
    let other = json!({ "Node": { "Verb": "set", "Node": { "Node": "db", "Address": "192.0.2.61" } } });
    let key = json!({ "KV": { "Verb": "delete", "Key": "a" } });
    for mixed in [json!([own, other]), json!([key, other])] {
        let (status, text) = put(cluster, n2, "/v1/txn", &mixed);
        assert_eq!((status, text.contains("not on several of these")), (400, true), "{text}");
    }
}

#[test]
fn without_a_quorum_nodes_are_read_and_not_registered() {
    scenario("cluster-nodes-quorum", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, _] = Host::NODES;
        assert_eq!(put(cluster, n1, "/v1/catalog/register", &database("pg-1", "192.0.2.61")).0, 200);
        until("n2 has it", SOON, || (!resolved(cluster, n2).is_empty()).then_some(()));
        Host::MEMBERS[..2].iter().for_each(|member| cluster.kill(*member));
        for node in [n1, n2] {
            let answer = put(cluster, node, "/v1/catalog/register", &database("pg-2", "192.0.2.62"));
            assert_eq!((answer.0, answer.1.contains("No cluster leader")), (500, true), "{answer:?}");
            assert_eq!(resolved(cluster, node), addresses(&["192.0.2.61"]));
        }
        // A machine that starts meanwhile has it from its disk.
        cluster.kill(n2);
        cluster.start_node(n2, &store());
        until("a restarted node answers", SOON, || (resolved(cluster, n2) == addresses(&["192.0.2.61"])).then_some(()));

        // What nobody owns, nobody puts back.
        cluster.kill(Host::MEMBERS[2]);
        cluster.wipe_members();
        cluster.start_members();
        for node in Host::NODES {
            until("it is gone with etcd's data", WIPED_WITHIN, || resolved(cluster, node).is_empty().then_some(()));
        }
        trio.until_all_answer(&FIRSTS, SOON);
    });
}

#[test]
fn the_first_start_shares_nodes_that_were_a_machines_own() {
    scenario("cluster-nodes-adopt", |sandbox| {
        let cluster = Cluster::with_members(sandbox);
        let [n1, n2, n3] = Host::NODES;
        for (node, address) in [(n1, "192.0.2.61"), (n3, "192.0.2.63")] {
            cluster.start_node(node, "");
            cluster.until_ready(node);
            assert_eq!(put(&cluster, node, "/v1/catalog/register", &database("pg-1", address)).0, 200);
            cluster.stop(node);
        }
        for node in [n1, n2] {
            cluster.start_node(node, &store());
            cluster.until_ready(node);
        }
        let has = |node, address: &str| {
            until("it is shared", SOON, || (resolved(&cluster, node) == addresses(&[address])).then_some(()));
        };
        has(n2, "192.0.2.61");
        has(n1, "192.0.2.61");
        // Both have some: who is right, a person says.
        cluster.start_node(n3, &store());
        let (status, log) = cluster.ended(n3);
        assert_eq!(status.code(), Some(2), "{log}");
        assert!(log.contains("--store-adopt"), "{log}");
        cluster.start_node(n3, &format!("{} --store-adopt remote", store()));
        cluster.until_ready(n3);
        has(n3, "192.0.2.61");
        // Once it is shared, a start says nothing of it.
        cluster.stop(n3);
        cluster.start_node(n3, &store());
        has(n3, "192.0.2.61");
        assert_eq!(put(&cluster, n3, "/v1/catalog/register", &database("pg-1", "192.0.2.64")).0, 200);
        has(n1, "192.0.2.64");
    });
}

/// A node `db` with an instance of `pg`.
fn database(id: &str, address: &str) -> Value {
    json!({ "Node": "db", "Address": "192.0.2.60", "Service": { "ID": id, "Service": "pg", "Address": address, "Port": 5432 } })
}

#[track_caller]
fn put(cluster: &Cluster<'_>, node: Host, path: &str, body: &Value) -> (u16, String) {
    http(cluster, node, "PUT", path, &body.to_string())
}

#[track_caller]
fn get(cluster: &Cluster<'_>, node: Host, path: &str) -> Value {
    serde_json::from_str(&http(cluster, node, "GET", path, "").1).unwrap()
}

/// Where a node says that the database is; nowhere while it does not answer.
fn resolved(cluster: &Cluster<'_>, node: Host) -> Vec<IpAddr> {
    cluster.own_asker(node).ask("pg.service.internal", A).map(|answer| answer.addresses).unwrap_or_default()
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Most time until other machines have what was acknowledged on one. Source: docs/etcd.md says milliseconds; these cores are busy.
const PASSED_ON_WITHIN: Duration = Duration::from_secs(1);

/// Most time until what was wiped is gone: owners may take 20 s to put it back, and all is listed then.
const WIPED_WITHIN: Duration = Duration::from_secs(40);
