//! Keys that machines share: one machine's are the other's, with etcd's revisions.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    hosts::{Cluster, store},
    net::Host,
    trio::Trio,
};
use crate::{
    sandbox::scenario,
    until::{SOON, until},
};

#[test]
fn a_key_is_the_same_on_every_machine_and_changes_on_each() {
    scenario("cluster-keys", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, n3] = Host::NODES;
        assert_eq!(put(cluster, n1, "app/a", "1"), "true");
        let mine = key(cluster, n1, "app/a").expect("who has the receipt sees the key");
        let theirs = until("n2 has the key", SOON, || key(cluster, n2, "app/a"));
        assert_eq!(mine, theirs);
        let fields = cluster.etcdctl("get --write-out=fields /nameplate/v1/kv/app/a");
        let revision = |name: &str| -> u64 {
            let field = |line: &str| line.strip_prefix(&format!("\"{name}\" : "))?.parse().ok();
            fields.lines().find_map(field).unwrap()
        };
        assert_eq!(index(&mine), revision("ModRevision"));
        assert_eq!(mine["CreateIndex"].as_u64(), Some(revision("CreateRevision")));

        // Whoever is asked: one of all that have seen the same may change it.
        let seen = index(&mine);
        assert_eq!(put(cluster, n2, &format!("app/a?cas={seen}"), "2"), "true");
        assert_eq!(put(cluster, n1, &format!("app/a?cas={seen}"), "3"), "false");
        let now = index(&key(cluster, n2, "app/a").unwrap());
        assert!(now > seen, "{now} {seen}");
        assert_eq!(put(cluster, n1, &format!("app/a?cas={now}"), "4"), "true");
        assert_eq!(put(cluster, n3, "app/a?cas=0", "5"), "false");
        assert_eq!(put(cluster, n3, "app/b?cas=0", "5"), "true");

        // A tree is read as etcd has it, with a change in the same transaction.
        let change = r#"[{"KV": {"Verb": "get-tree", "Key": "app/"}}, {"KV": {"Verb": "set", "Key": "app/c", "Value": "Ng=="}}]"#;
        let (status, text) = http(cluster, n1, "PUT", "/v1/txn", change);
        assert_eq!(status, 200, "{text}");
        let results: Value = serde_json::from_str(&text).unwrap();
        let results: Vec<&Value> = results["Results"].as_array().unwrap().iter().map(|result| &result["KV"]).collect();
        let names: Vec<_> = results.iter().map(|key| key["Key"].as_str().unwrap()).collect();
        assert_eq!(names, ["app/a", "app/b", "app/c"]);
        assert_eq!(index(results[2]), index(&key(cluster, n1, "app/c").unwrap()));

        // Each of many changes is of what the one before left.
        for round in 0..20 {
            let node = Host::NODES[round % 3];
            until("a change from what was read", SOON, || {
                let before = key(cluster, node, "count");
                let cas = before.as_ref().map_or(0, index);
                let path =
                    format!("count?cas={cas}&flags={}", before.map_or(0, |key| key["Flags"].as_u64().unwrap()) + 1);
                (put(cluster, node, &path, "x") == "true").then_some(())
            });
        }
        for node in Host::NODES {
            let counted = || key(cluster, node, "count").filter(|key| key["Flags"] == 20).map(drop);
            until("all have the count", SOON, counted);
        }

        assert_eq!(http(cluster, n2, "DELETE", "/v1/kv/app/?recurse", ""), (200, "true".to_owned()));
        for node in Host::NODES {
            until("the keys are gone", SOON, || key(cluster, node, "app/a").is_none().then_some(()));
        }
        assert_eq!(cluster.etcdctl("get --prefix --keys-only /nameplate/v1/kv/").trim(), "/nameplate/v1/kv/count");
    });
}

#[test]
fn without_a_quorum_keys_are_read_and_not_written() {
    scenario("cluster-keys-quorum", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, _] = Host::NODES;
        let [e1, e2, _] = Host::MEMBERS;
        assert_eq!(put(cluster, n1, "a", "1"), "true");
        until("n2 has the key", SOON, || key(cluster, n2, "a"));
        cluster.kill(e1);
        cluster.kill(e2);
        for node in [n1, n2] {
            let asked = Instant::now();
            let answer = http(cluster, node, "PUT", "/v1/kv/a", "2");
            assert_eq!((answer.0, answer.1.contains("No cluster leader")), (500, true), "{answer:?}");
            let answer = http(cluster, node, "PUT", "/v1/session/create", "");
            assert_eq!((answer.0, answer.1.contains("No cluster leader")), (500, true), "{answer:?}");
            assert!(asked.elapsed() < REFUSED_WITHIN * 2, "refused after {:?}", asked.elapsed());
            until("reads say that they may be old", SOON, || {
                let response = cluster.http(node, "GET", "/v1/kv/a?raw", "").unwrap();
                assert_eq!((response.status, &*response.body), (200, "1"));
                (response.header("x-consul-knownleader") == Some("false")).then_some(())
            });
        }
        // A machine that starts meanwhile has them from its disk.
        cluster.kill(n2);
        cluster.start_node(n2, &store());
        let read = until("a restarted node answers", SOON, || {
            cluster.http(n2, "GET", "/v1/kv/a?raw", "").ok().filter(|response| response.status == 200)
        });
        assert_eq!((&*read.body, read.header("x-consul-knownleader")), ("1", Some("false")));

        cluster.start_member(e1);
        cluster.start_member(e2);
        for node in [n1, n2] {
            until("writes are taken again", SOON, || (put(cluster, node, "a", "3") == "true").then_some(()));
        }
    });
}

#[test]
fn the_first_start_shares_what_was_a_machines_own() {
    scenario("cluster-adopt", |sandbox| {
        let cluster = Cluster::with_members(sandbox);
        let [n1, n2, n3] = Host::NODES;
        for node in Host::NODES {
            cluster.start_node(node, "");
            cluster.until_ready(node);
            assert_eq!(put(&cluster, node, "a/b", &node.to_string()), "true");
            if node != n1 {
                make_of_each_kind(&cluster, node);
            }
            cluster.stop(node);
        }
        cluster.start_node(n1, &store());
        cluster.until_ready(n1);
        let has = |node, expected: [Option<&str>; 4]| {
            until("it has the same", SOON, || (of_each_kind(&cluster, node)? == expected).then_some(()));
        };
        has(n1, [Some("n1"), None, None, None]);
        // Both have some: who is right, a person says, once for all of it.
        cluster.start_node(n2, &store());
        let (status, log) = cluster.ended(n2);
        assert_eq!(status.code(), Some(2), "{log}");
        let counts = "1 keys, 1 prepared queries, 1 events, 1 nodes that are no machine's of its own";
        assert!(log.contains(counts) && log.contains("etcd has some in /nameplate/v1/kv/;"), "{log}");
        assert!(log.contains("--store-adopt"), "{log}");
        cluster.start_node(n2, &format!("{} --store-adopt remote", store()));
        cluster.until_ready(n2);
        has(n2, [Some("n1"), None, None, None]);
        until("its log counts what is gone", SOON, || {
            sandbox.run("cat n2.log").contains("1 of 1 prepared queries, 1 of 1 events").then_some(())
        });
        has(n1, [Some("n1"), None, None, None]);
        cluster.start_node(n3, &format!("{} --store-adopt local", store()));
        cluster.until_ready(n3);
        for node in Host::NODES {
            has(node, [Some("n3"), Some("n3"), Some("n3"), Some("n3")]);
        }
    });
}

/// Has a prepared query, an event and a node that is no machine's made on a node, each with its name.
fn make_of_each_kind(cluster: &Cluster<'_>, node: Host) {
    let query = format!(r#"{{"Name": "{node}", "Service": {{"Service": "web"}}}}"#);
    let other = format!(r#"{{"Node": "db", "Address": "192.0.2.60", "NodeMeta": {{"of": "{node}"}}}}"#);
    for (method, path, body) in [
        ("POST", "/v1/query", &query),
        ("PUT", &*format!("/v1/event/fire/{node}"), &String::new()),
        ("PUT", "/v1/catalog/register", &other),
    ] {
        assert_eq!(http(cluster, node, method, path, body).0, 200, "{path}");
    }
}

/// What a node has of all that [`the_first_start_shares_what_was_a_machines_own`] makes: by whom a key, a prepared query, an event
/// and a node were made; none while it does not answer.
fn of_each_kind(cluster: &Cluster<'_>, node: Host) -> Option<[Option<&'static str>; 4]> {
    let read = |path: &str| cluster.http(node, "GET", path, "").ok().map(|response| response.body);
    let parsed = |path: &str| serde_json::from_str::<Value>(&read(path)?).ok();
    let name = |text: &str| ["n1", "n2", "n3"].into_iter().find(|name| *name == text);
    let named = |value: &Value| value.as_str().and_then(name);
    Some([
        name(&read("/v1/kv/a/b?raw")?),
        named(&parsed("/v1/query")?[0]["Name"]),
        named(&parsed("/v1/event/list")?[0]["Name"]),
        named(&parsed("/v1/catalog/nodes?filter=Node==db")?[0]["Meta"]["of"]),
    ])
}

/// Puts a key on a node; what was answered, or the status and the text of an error.
pub fn put(cluster: &Cluster<'_>, node: Host, path: &str, value: &str) -> String {
    match http(cluster, node, "PUT", &format!("/v1/kv/{path}"), value) {
        (200, body) => body,
        (status, body) => format!("{status} {body}"),
    }
}

/// A key as a node has it.
#[track_caller]
pub fn key(cluster: &Cluster<'_>, node: Host, key: &str) -> Option<Value> {
    match http(cluster, node, "GET", &format!("/v1/kv/{key}"), "") {
        (404, _) => None,
        (200, body) => serde_json::from_str::<Value>(&body).unwrap().as_array().unwrap().first().cloned(),
        other => panic!("{other:?}"),
    }
}

fn index(key: &Value) -> u64 {
    key["ModifyIndex"].as_u64().unwrap()
}

/// Asks a node; the status and the body without white space around it.
#[track_caller]
pub fn http(cluster: &Cluster<'_>, node: Host, method: &str, path: &str, body: &str) -> (u16, String) {
    let response = cluster.http(node, method, path, body).unwrap();
    (response.status, response.body.trim().to_owned())
}

/// Most time for a refusal. Source: none, chosen: what a call to each of three members may take.
const REFUSED_WITHIN: Duration = Duration::from_secs(10);
