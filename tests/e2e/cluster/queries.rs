//! Prepared queries that machines share: set on one, resolved and executed on all.

use std::{sync::Barrier, thread, time::Duration};

use serde_json::Value;

use super::{
    hosts::{Cluster, store},
    keys::http,
    net::Host,
    sessions::begin,
    trio::Trio,
};
use crate::{
    dns::{NOERROR, NXDOMAIN, SRV},
    sandbox::scenario,
    until::{SOON, until},
};

#[test]
fn a_query_is_answered_on_every_machine_and_its_name_is_given_once() {
    scenario("cluster-queries", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, n3] = Host::NODES;
        let id = set(cluster, n1, "Near-Web", "").unwrap();
        for node in [n2, n3] {
            until("a query is resolved and executed elsewhere", PASSED_ON_WITHIN, || {
                (executed(cluster, node, "near-web") == Some(3) && resolved(cluster, node, "near-web")).then_some(())
            });
            assert_eq!(shown(cluster, node, &id), shown(cluster, n1, &id));
        }
        let fields = cluster.etcdctl(&format!("get --write-out=fields /nameplate/v1/queries/{id}"));
        let revision = fields.lines().find_map(|line| line.strip_prefix("\"ModRevision\" : ")).unwrap();
        assert_eq!(shown(cluster, n2, &id).unwrap()["ModifyIndex"].to_string(), revision);

        // Whichever machine changes it, at once for who asks there.
        let renamed = r#"{"Name": "other", "Service": {"Service": "web"}}"#;
        assert_eq!(http(cluster, n3, "PUT", &format!("/v1/query/{id}"), renamed).0, 200);
        assert_eq!((executed(cluster, n3, "near-web"), executed(cluster, n3, "other")), (None, Some(3)));
        until("the other name is known", PASSED_ON_WITHIN, || resolved(cluster, n1, "other").then_some(()));
        assert!(!resolved(cluster, n1, "near-web"));

        // Of two machines that give the same name at the same time, one does.
        for round in 0..10 {
            let (name, gate) = (format!("round-{round}"), Barrier::new(3));
            let given: Vec<_> = thread::scope(|scope| {
                let tasks: Vec<_> = Host::NODES
                    .iter()
                    .map(|node| {
                        let (name, gate) = (&name, &gate);
                        scope.spawn(move || {
                            gate.wait();
                            set(cluster, *node, name, "")
                        })
                    })
                    .collect();
                tasks.into_iter().map(|task| task.join().unwrap()).collect()
            });
            let refused = |given: &&Result<String, String>| {
                given.as_ref().is_err_and(|error| error.contains("aliases an existing query name"))
            };
            assert_eq!((given.iter().flatten().count(), given.iter().filter(refused).count()), (1, 2), "{given:?}");
        }

        // One that ends with its session, whoever ends that.
        let session = begin(cluster, n1, "");
        until("n2 knows the session", SOON, || set(cluster, n2, "bound", &session).ok());
        until("n3 resolves it", SOON, || resolved(cluster, n3, "bound").then_some(()));
        assert_eq!(http(cluster, n3, "PUT", &format!("/v1/session/destroy/{session}"), "").0, 200);
        for node in Host::NODES {
            until("it has gone with its session", PASSED_ON_WITHIN, || {
                (!resolved(cluster, node, "bound")).then_some(())
            });
        }
        let refused = set(cluster, n3, "bound", &session).unwrap_err();
        assert!(refused.contains("invalid session"), "{refused}");

        assert_eq!(http(cluster, n2, "DELETE", &format!("/v1/query/{id}"), "").0, 200);
        for node in Host::NODES {
            until("it is gone", PASSED_ON_WITHIN, || executed(cluster, node, "other").is_none().then_some(()));
        }
        let documents = cluster.etcdctl("get --prefix --keys-only /nameplate/v1/queries/");
        assert_eq!(documents.split_whitespace().count(), 10, "{documents}");
    });
}

#[test]
fn without_a_quorum_queries_are_answered_and_not_written() {
    scenario("cluster-queries-quorum", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, _] = Host::NODES;
        let [e1, e2, _] = Host::MEMBERS;
        let id = set(cluster, n1, "near-web", "").unwrap();
        until("n2 has the query", SOON, || resolved(cluster, n2, "near-web").then_some(()));
        cluster.kill(e1);
        cluster.kill(e2);
        for node in [n1, n2] {
            let refused = set(cluster, node, "other", "").unwrap_err();
            assert!(refused.starts_with("500") && refused.contains("No cluster leader"), "{refused}");
            let answer = http(cluster, node, "DELETE", &format!("/v1/query/{id}"), "");
            assert_eq!((answer.0, answer.1.contains("No cluster leader")), (500, true), "{answer:?}");
            until("reads say that they may be old", SOON, || {
                let response = cluster.http(node, "GET", "/v1/query/near-web/execute", "").unwrap();
                assert_eq!(response.status, 200);
                (response.header("x-consul-knownleader") == Some("false")).then_some(())
            });
            assert!(resolved(cluster, node, "near-web"));
        }
        // A machine that starts meanwhile has it from its disk.
        cluster.kill(n2);
        cluster.start_node(n2, &store());
        until("a restarted node resolves it", SOON, || resolves(cluster, n2, "near-web")?.then_some(()));
        assert_eq!(shown(cluster, n2, &id), shown(cluster, n1, &id));

        cluster.start_member(e1);
        cluster.start_member(e2);
        for node in [n1, n2] {
            until("writes are taken again", SOON, || set(cluster, node, &format!("again-{node}"), "").ok());
        }
        until("the one has what the other wrote", SOON, || resolved(cluster, n1, "again-n2").then_some(()));
    });
}

#[test]
fn the_first_start_shares_a_machines_own_queries() {
    scenario("cluster-adopt-queries", |sandbox| {
        let cluster = Cluster::with_members(sandbox);
        let [n1, n2, n3] = Host::NODES;
        let set_alone = |node| {
            cluster.start_node(node, "");
            cluster.until_ready(node);
            let id = set(&cluster, node, &format!("of-{node}"), "").unwrap();
            cluster.stop(node);
            id
        };
        let (first, _) = (set_alone(n1), set_alone(n3));
        for node in [n1, n2] {
            cluster.start_node(node, &store());
            cluster.until_ready(node);
        }
        until("n2 has the query", SOON, || shown(&cluster, n2, &first));
        // Both have some: who is right, a person says.
        cluster.start_node(n3, &store());
        let (status, log) = cluster.ended(n3);
        assert_eq!(status.code(), Some(2), "{log}");
        assert!(log.contains("1 prepared queries") && log.contains("--store-adopt"), "{log}");
        cluster.start_node(n3, &format!("{} --store-adopt local", store()));
        cluster.until_ready(n3);
        until("n1 has n3's and no more its own", SOON, || {
            (executed(&cluster, n1, "of-n3").is_some() && executed(&cluster, n1, "of-n1").is_none()).then_some(())
        });
        // Back without a store, a machine keeps what it knew.
        cluster.stop(n1);
        cluster.start_node(n1, "");
        cluster.until_ready(n1);
        assert_eq!(executed(&cluster, n1, "of-n3"), Some(0));
    });
}

/// Makes a query for the instances of all nodes; its ID, or the status and the text of an error.
fn set(cluster: &Cluster<'_>, node: Host, name: &str, session: &str) -> Result<String, String> {
    let query = format!(r#"{{"Name": "{name}", "Session": "{session}", "Service": {{"Service": "web"}}}}"#);
    match http(cluster, node, "POST", "/v1/query", &query) {
        (200, body) => Ok(serde_json::from_str::<Value>(&body).unwrap()["ID"].as_str().unwrap().to_owned()),
        (status, body) => Err(format!("{status} {body}")),
    }
}

/// A query as a node has it.
fn shown(cluster: &Cluster<'_>, node: Host, id: &str) -> Option<Value> {
    match http(cluster, node, "GET", &format!("/v1/query/{id}"), "") {
        (200, body) => serde_json::from_str(&body).map(|list: Value| list[0].clone()).ok(),
        _ => None,
    }
}

/// How many instances a query has on a node; none: no such query.
fn executed(cluster: &Cluster<'_>, node: Host, name: &str) -> Option<usize> {
    match http(cluster, node, "GET", &format!("/v1/query/{name}/execute"), "") {
        (404, _) => None,
        (200, body) => serde_json::from_str::<Value>(&body).unwrap()["Nodes"].as_array().map(Vec::len),
        other => panic!("{other:?}"),
    }
}

/// Whether a node answers by DNS that a query has instances; none: it does not answer.
fn resolves(cluster: &Cluster<'_>, node: Host, name: &str) -> Option<bool> {
    let answer = cluster.asker(node).ask(&format!("{name}.query.internal"), SRV).ok()?;
    assert!([NOERROR, NXDOMAIN].contains(&answer.rcode), "{node}: {answer:?}");
    Some(answer.rcode == NOERROR && !answer.ports.is_empty())
}

/// The same of a node that answers.
#[track_caller]
fn resolved(cluster: &Cluster<'_>, node: Host, name: &str) -> bool {
    resolves(cluster, node, name).expect("a node that runs answers")
}

/// Until others answer as the machine does that was told. Source: none, chosen: docs/etcd.md says milliseconds.
const PASSED_ON_WITHIN: Duration = Duration::from_secs(1);
