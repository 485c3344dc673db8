//! Policies and tokens that machines share: what is made on one machine holds on all, and what is taken away holds nowhere.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    clocks::{self, shifts},
    hosts::{Cluster, store},
    keys::http,
    net::Host,
};
use crate::{
    sandbox::{Sandbox, scenario},
    until::{SOON, until},
};

#[test]
fn a_token_is_the_same_on_every_machine() {
    scenario("cluster-access", |sandbox| {
        let cluster = guarded(sandbox);
        cluster.start_sharing(&Host::NODES);
        let [n1, n2, n3] = Host::NODES;

        // Of two that want to be the first, one is.
        let first = |node| cluster.http(node, "PUT", "/v1/acl/bootstrap", "").unwrap();
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| first(n1));
            (one.join().unwrap(), first(n2))
        });
        let (made, refused) = if one.status == 200 { (one, other) } else { (other, one) };
        assert_eq!((made.status, refused.status), (200, 403), "{} {}", made.body, refused.body);
        assert!(refused.body.contains("bootstrap no longer allowed"), "{}", refused.body);
        let admin = text(&made.body, "SecretID");
        assert_eq!(first(n3).status, 403);

        for node in Host::NODES {
            within(HEARD_WITHIN, "the first token is shared", || reads(&cluster, node, &admin) == 200);
        }

        // What a token is made of may have been made elsewhere a moment ago.
        let token = token_for_app(&cluster, &admin, [n2, n3], "");
        let secret = text(&token, "SecretID");
        for node in Host::NODES {
            within(HEARD_WITHIN, "the token is good", || writes(&cluster, node, &secret, "app/a") == 200);
            assert_eq!(writes(&cluster, node, &secret, "other"), 403, "{node}");
        }
        let again = call(&cluster, n1, ("PUT", "/v1/acl/policy", &admin), POLICY);
        assert!(again.0 == 400 && again.1.contains("already exists"), "{again:?}");

        // What a policy says now holds everywhere.
        let policy = call(&cluster, n3, ("GET", "/v1/acl/policy/name/app", &admin), "");
        let path = format!("/v1/acl/policy/{}", text(&policy.1, "ID"));
        let less = r#"{"Name": "app", "Rules": "key_prefix \"app/\" { policy = \"read\" }"}"#;
        assert_eq!(call(&cluster, n1, ("PUT", &path, &admin), less).0, 200);
        for node in Host::NODES {
            within(HEARD_WITHIN, "the policy holds", || writes(&cluster, node, &secret, "app/a") == 403);
            assert_eq!(reads(&cluster, node, &secret), 200, "{node}");
        }

        // Gone on one machine, it is worth nothing on any.
        let path = format!("/v1/acl/token/{}", text(&token, "AccessorID"));
        assert_eq!(call(&cluster, n2, ("DELETE", &path, &admin), ""), (200, "true".to_owned()));
        for node in Host::NODES {
            within(HEARD_WITHIN, "the token is gone", || reads(&cluster, node, &secret) == 403);
        }

        // What another program spoils there grants nothing, and no log has a secret.
        let accessor = text(&call(&cluster, n1, ("GET", "/v1/acl/token/self", &admin), "").1, "AccessorID");
        cluster.etcdctl(&format!("put /nameplate/v1/tokens/{accessor} '{{\"SecretID\": \"{admin}\", \"Local\": 7}}'"));
        for node in Host::NODES {
            within(HEARD_WITHIN, "the token cannot be read", || reads(&cluster, node, &admin) == 403);
        }
        for node in Host::NODES {
            cluster.stop(node);
            let log = std::fs::read_to_string(sandbox.file(format!("{node}.log"))).unwrap();
            assert!(log.contains(&accessor) && log.contains("Local"), "{log}");
            assert!(!log.contains(&admin) && !log.contains(&secret), "{log}");
        }
    });
}

#[test]
fn a_token_ends_on_all_machines_with_its_lease_whatever_their_clocks_say() {
    scenario("cluster-access-lease", |sandbox| {
        let cluster = guarded(sandbox);
        shifts(sandbox);
        let [n1, n2, _] = Host::NODES;
        // By the clock of n2 a token of n1 is over before it is made.
        [(n1, -7), (n2, 7)].into_iter().for_each(|(node, minutes)| clocks::start(&cluster, node, minutes));
        [n1, n2].into_iter().for_each(|node| cluster.until_ready(node));
        let admin = text(&http(&cluster, n1, "PUT", "/v1/acl/bootstrap", "").1, "SecretID");
        within(HEARD_WITHIN, "the first token is shared", || reads(&cluster, n2, &admin) == 200);
        let token = token_for_app(&cluster, &admin, [n2, n1], r#", "ExpirationTTL": "10m""#);
        let (secret, accessor) = (text(&token, "SecretID"), text(&token, "AccessorID"));
        let path = format!("/v1/acl/token/{accessor}/clone");
        let clone = text(&call(&cluster, n2, ("PUT", &path, &admin), "").1, "SecretID");
        let changed = r#"{"Description": "changed", "Policies": [{"Name": "app"}]}"#;
        let path = format!("/v1/acl/token/{accessor}");
        assert_eq!(call(&cluster, n1, ("PUT", &path, &admin), changed).0, 200);
        for node in [n1, n2] {
            within(HEARD_WITHIN, "both are good", || {
                [&secret, &clone].map(|one| reads(&cluster, node, one)) == [200; 2]
            });
        }
        // A change leaves it its time, and a clone has the same.
        let leases = cluster.etcdctl("lease list");
        let of_token = |lease: &&str| cluster.etcdctl(&format!("lease timetolive --keys {lease}")).contains(&accessor);
        let lease = leases.lines().map(str::trim).skip(1).find(of_token).expect("the token has a lease");
        let told = cluster.etcdctl(&format!("lease timetolive --keys {lease}"));
        assert!(told.contains("granted with TTL(600s)") && told.matches("/tokens/").count() == 2, "{told}");
        cluster.etcdctl(&format!("lease revoke {lease}"));
        for node in [n1, n2] {
            within(HEARD_WITHIN, "both are over", || {
                [&secret, &clone].map(|one| reads(&cluster, node, one)) == [403; 2]
            });
        }
    });
}

#[test]
fn without_a_quorum_tokens_hold_and_are_not_changed() {
    scenario("cluster-access-quorum", |sandbox| {
        let cluster = guarded(sandbox);
        let [n1, n2, _] = Host::NODES;
        // What was a machine's own becomes all machines'.
        cluster.start_node(n1, "");
        cluster.until_ready(n1);
        let admin = text(&http(&cluster, n1, "PUT", "/v1/acl/bootstrap", "").1, "SecretID");
        cluster.stop(n1);
        cluster.start_sharing(&[n1, n2]);
        within(SOON, "the first token is shared", || reads(&cluster, n2, &admin) == 200);
        assert_eq!(http(&cluster, n2, "PUT", "/v1/acl/bootstrap", "").0, 403);
        let secret = text(&token_for_app(&cluster, &admin, [n1, n2], r#", "ExpirationTTL": "10m""#), "SecretID");
        within(HEARD_WITHIN, "the token is good", || reads(&cluster, n1, &secret) == 200);

        let [e1, e2, _] = Host::MEMBERS;
        cluster.kill(e1);
        cluster.kill(e2);
        for (method, path, body) in [("PUT", "/v1/acl/policy", r#"{"Name": "b"}"#), ("PUT", "/v1/acl/token", "{}")] {
            let asked = Instant::now();
            let answer = call(&cluster, n1, (method, path, &admin), body);
            assert_eq!((answer.0, answer.1.contains("No cluster leader")), (500, true), "{answer:?}");
            assert!(asked.elapsed() < REFUSED_WITHIN, "refused after {:?}", asked.elapsed());
        }
        // A machine that starts meanwhile knows them from its disk.
        cluster.kill(n2);
        cluster.start_node(n2, &store());
        cluster.until_ready(n2);
        for node in [n1, n2] {
            assert_eq!([&admin, &secret].map(|secret| reads(&cluster, node, secret)), [200, 200], "{node}");
            assert_eq!(reads(&cluster, node, "0123456789abcdef"), 403);
        }
        cluster.start_member(e1);
        cluster.start_member(e2);
        let made =
            || (call(&cluster, n2, ("PUT", "/v1/acl/policy", &admin), r#"{"Name": "b"}"#).0 == 200).then_some(());
        until("policies are made again", SOON, made);
    });
}

/// Members of etcd, and nodes on which tokens count.
fn guarded(sandbox: &Sandbox) -> Cluster<'_> {
    let cluster = Cluster::with_members(sandbox);
    sandbox.write("cluster.toml", "access = \"on\"\naccess_default = \"deny\"\naccess_anonymous = \"deny\"\n");
    cluster
}

/// Makes a policy on one node and a token with it on another, at once.
#[track_caller]
fn token_for_app(cluster: &Cluster<'_>, admin: &str, [one, other]: [Host; 2], more: &str) -> String {
    let made = call(cluster, one, ("PUT", "/v1/acl/policy", admin), POLICY);
    assert_eq!(made.0, 200, "{}", made.1);
    let body = format!(r#"{{"Policies": [{{"Name": "app"}}]{more}}}"#);
    let made = call(cluster, other, ("PUT", "/v1/acl/token", admin), &body);
    assert_eq!(made.0, 200, "{}", made.1);
    made.1
}

/// Asks a node with a token.
#[track_caller]
fn call(cluster: &Cluster<'_>, node: Host, (method, path, token): (&str, &str, &str), body: &str) -> (u16, String) {
    http(cluster, node, method, &format!("{path}?token={token}"), body)
}

fn writes(cluster: &Cluster<'_>, node: Host, token: &str, key: &str) -> u16 {
    call(cluster, node, ("PUT", &format!("/v1/kv/{key}"), token), "1").0
}

/// Asks for what each token may ask for.
fn reads(cluster: &Cluster<'_>, node: Host, token: &str) -> u16 {
    call(cluster, node, ("GET", "/v1/catalog/nodes", token), "").0
}

#[track_caller]
fn within(limit: Duration, what: &str, holds: impl Fn() -> bool) {
    until(what, limit, || holds().then_some(()));
}

/// A field of a JSON object.
#[track_caller]
fn text(object: &str, field: &str) -> String {
    let object: Value = serde_json::from_str(object).unwrap_or_else(|error| panic!("{error}: {object}"));
    object[field].as_str().unwrap_or_else(|| panic!("{field} of {object}")).to_owned()
}

const POLICY: &str = r#"{"Name": "app", "Rules": "key_prefix \"app/\" { policy = \"write\" }"}"#;

/// Most time until what was done on one machine holds on all. Source: docs/etcd.md has milliseconds.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// Most time for a refusal. Source: none, chosen: the server's own 5 s, and some.
const REFUSED_WITHIN: Duration = Duration::from_secs(8);
