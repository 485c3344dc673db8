//! Sessions that machines share, and how they end.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    hosts::Cluster,
    keys::{http, key, put},
    net::Host,
    trio::Trio,
    troubles::LEASE,
};
use crate::{
    sandbox::scenario,
    until::{SOON, pause, until},
};

#[test]
fn a_session_that_is_not_renewed_ends_everywhere_and_its_lock_delay_holds() {
    scenario("cluster-sessions", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, n3] = Host::NODES;
        let began = Instant::now();
        let first = begin(cluster, n1, r#"{"TTL": "10s", "LockDelay": "5s"}"#);
        assert_eq!(put(cluster, n1, &format!("lock?acquire={first}"), "1"), "true");
        for node in [n2, n3] {
            until("all know the session and its lock", SOON, || {
                let holder = key(cluster, node, "lock")?["Session"].as_str()?.to_owned();
                (is_there(cluster, node, &first) && holder == first).then_some(())
            });
        }
        let second = begin(cluster, n2, "");
        assert_eq!(put(cluster, n2, &format!("lock?acquire={second}"), "2"), "false");
        // Any machine may renew it.
        pause(Duration::from_secs(6));
        let renewed = Instant::now();
        assert_eq!(http(cluster, n3, "PUT", &format!("/v1/session/renew/{first}"), "").0, 200);
        until("n2 says that the session has ended", Duration::from_secs(25), || {
            (!is_there(cluster, n2, &first)).then_some(())
        });
        let ended = Instant::now();
        assert!(renewed.elapsed() >= Duration::from_secs(10), "ended {:?} after it began", began.elapsed());
        for node in Host::NODES {
            until("nobody has the lock", SOON, || {
                let released = key(cluster, node, "lock").unwrap()["Session"].is_null();
                (released && !is_there(cluster, node, &first)).then_some(())
            });
        }
        assert_eq!(http(cluster, n1, "PUT", &format!("/v1/session/renew/{first}"), "").0, 404);
        assert_eq!(put(cluster, n2, &format!("lock?acquire={second}"), "2"), "false", "the lock delay holds");
        assert_eq!(put(cluster, n3, &format!("lock?acquire={second}"), "2"), "false", "on every machine");
        until("the lock delay is over", SOON, || {
            (put(cluster, n3, &format!("lock?acquire={second}"), "2") == "true").then_some(())
        });
        let delay = ended.elapsed();
        assert!(delay >= Duration::from_secs(4), "{delay:?}");
        assert_eq!(key(cluster, n3, "lock").unwrap()["LockIndex"], 2);

        // One that is ended by its client, with the key that it holds.
        let third = begin(cluster, n1, r#"{"Behavior": "delete", "LockDelay": "0s"}"#);
        assert_eq!(put(cluster, n1, &format!("own?acquire={third}"), "3"), "true");
        assert_eq!(http(cluster, n2, "PUT", &format!("/v1/session/destroy/{third}"), ""), (200, "true".to_owned()));
        assert_eq!(key(cluster, n2, "own"), None);
        until("n1 hears of it", SOON, || (!is_there(cluster, n1, &third)).then_some(()));
        assert_eq!(put(cluster, n1, &format!("own?acquire={second}"), "3"), "true");
        let refused = put(cluster, n1, &format!("own?acquire={third}"), "3");
        assert!(refused.starts_with("500 invalid session"), "{refused}");
    });
}

#[test]
fn a_session_ends_with_its_machine_and_with_its_check() {
    scenario("cluster-session-death", |sandbox| {
        let trio = Trio::start(sandbox);
        let cluster = &trio.cluster;
        let [n1, n2, n3] = Host::NODES;
        let dies = begin(cluster, n1, r#"{"LockDelay": "0s"}"#);
        assert_eq!(put(cluster, n1, &format!("lock?acquire={dies}"), "1"), "true");
        // Of a check of n2 that turns critical.
        let check = r#"{"LockDelay": "0s", "ServiceChecks": [{"ID": "service:n2-00"}]}"#;
        let fails = begin(cluster, n2, check);
        assert_eq!(put(cluster, n2, &format!("other?acquire={fails}"), "2"), "true");
        let stays = begin(cluster, n3, "");
        trio.call(super::trio::FIRSTS[1], super::history::Verb::Fail);
        for node in Host::NODES {
            until("the session has ended with its check", SOON, || {
                (!is_there(cluster, node, &fails) && holder(cluster, node, "other").is_none()).then_some(())
            });
        }
        cluster.net.unplug(n1);
        cluster.kill(n1);
        let died = Instant::now();
        for node in [n2, n3] {
            until("the session has ended with its machine", LEASE + SOON, || {
                (!is_there(cluster, node, &dies) && holder(cluster, node, "lock").is_none()).then_some(())
            });
        }
        println!("ended {:?} after its machine", died.elapsed());
        assert_eq!(put(cluster, n2, &format!("lock?acquire={stays}"), "3"), "true");
        cluster.net.plug(n1);
    });
}

/// Makes a session on a node.
#[track_caller]
pub fn begin(cluster: &Cluster<'_>, node: Host, body: &str) -> String {
    let (status, text) = http(cluster, node, "PUT", "/v1/session/create", body);
    assert_eq!(status, 200, "{text}");
    let made: Value = serde_json::from_str(&text).unwrap();
    made["ID"].as_str().unwrap().to_owned()
}

/// Whether a node knows a session.
pub fn is_there(cluster: &Cluster<'_>, node: Host, id: &str) -> bool {
    let (status, text) = http(cluster, node, "GET", &format!("/v1/session/info/{id}"), "");
    assert_eq!(status, 200, "{text}");
    text != "[]" && text != "null"
}

fn holder(cluster: &Cluster<'_>, node: Host, name: &str) -> Option<String> {
    key(cluster, node, name)?["Session"].as_str().map(str::to_owned)
}
