//! Nomad and consul-esm: they keep a part of the catalog as they want it, and compare it again and again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Caller, go_index};
use crate::harness::{Running, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nomad_finds_what_it_registered() {
    let Running { server, at } = start("").await;
    let nomad = Caller { always: "wait=2000ms", ..Caller::go(at) };
    is_recognised(&nomad.json("/v1/agent/self").await);

    let id = "_nomad-task-1a2b-group-web-http";
    let wanted = json!({
        "Kind": "", "ID": id, "Name": "web", "Tags": ["blue", "primary"], "Port": 20_080, "Address": "192.0.2.80",
        "TaggedAddresses": { "wan": { "Address": "198.51.100.80", "Port": 80 } }, "EnableTagOverride": false,
        "Meta": { "external-source": "nomad" }, "Weights": { "Passing": 2, "Warning": 1 },
        "Check": null, "Checks": null, "Connect": null,
    });
    let register = "/v1/agent/service/register?replace-existing-checks=true";
    nomad.register(register, &wanted.to_string()).await;
    let check = format!("_nomad-check-{}", "3c4d");
    let checks = [
        json!({ "ID": check, "Name": "script", "ServiceID": id, "TTL": "41s", "Status": "critical" }),
        json!({ "ID": "_nomad-check-5e6f", "Name": "alive", "ServiceID": id, "Interval": "10s", "Timeout": "2s",
                "HTTP": "http://127.0.0.1:1/", "Method": "GET", "Header": {}, "TLSSkipVerify": false,
                "SuccessBeforePassing": 0, "FailuresBeforeCritical": 0, "FailuresBeforeWarning": 0 }),
    ];
    for body in &checks {
        nomad.register("/v1/agent/check/register", &body.to_string()).await;
    }

    // Each 30 s it compares, and registers again whatever differs in one of these.
    let found = nomad.json("/v1/agent/services").await[id].clone();
    assert_eq!(found["Kind"].as_str().unwrap_or_default(), "");
    for (ours, theirs) in [
        ("ID", "ID"),
        ("Name", "Service"),
        ("Tags", "Tags"),
        ("Port", "Port"),
        ("Address", "Address"),
        ("EnableTagOverride", "EnableTagOverride"),
        ("Meta", "Meta"),
        ("Weights", "Weights"),
    ] {
        assert_eq!(found[theirs], wanted[ours], "{theirs}");
    }
    let mut addresses: BTreeMap<String, Value> = serde_json::from_value(found["TaggedAddresses"].clone()).unwrap();
    // What the agent adds it knows, and leaves out.
    addresses.retain(|name, at| !(name == "lan_ipv4" || name == "wan_ipv4") || at["Address"] != wanted["Address"]);
    assert_eq!(json!(addresses), wanted["TaggedAddresses"]);
    let listed = nomad.json("/v1/agent/checks").await;
    assert!(checks.iter().all(|body| listed[body["ID"].as_str().unwrap()]["ServiceID"] == id));

    nomad.put(&format!("/v1/agent/check/update/{check}"), r#"{"Status":"passing","Output":"fine"}"#).await;
    assert_eq!(nomad.json("/v1/agent/checks").await[&check]["Output"], "fine");
    // A service that differs is registered without checks, which then are not there, so that it registers them again.
    nomad.register(register, &wanted.to_string()).await;
    assert!(nomad.json("/v1/agent/checks").await.get(&check).is_none(), "its checks are those that it names: none");
    for body in &checks {
        nomad.register("/v1/agent/check/register", &body.to_string()).await;
    }
    nomad.put(&format!("/v1/agent/check/deregister/{check}"), "").await;
    nomad.put(&format!("/v1/agent/service/deregister/{id}"), "").await;
    assert_eq!(nomad.send("PUT", &format!("/v1/agent/service/deregister/{id}"), "").await.status, 404);

    // A task that it gave a template reads other services.
    assert_eq!(nomad.json("/v1/catalog/datacenters").await, json!(["dc1"]));
    assert_eq!(nomad.json("/v1/catalog/service/web?stale=").await, json!([]));
    let token = nomad.send("GET", "/v1/acl/token/self", "").await;
    assert_eq!((token.status, token.body.as_str()), (401, "ACL support disabled"));
    assert_eq!(nomad.send("GET", "/v1/namespaces", "").await.status, 404, "as the community edition, which has none");
    server.shutdown().await;
}

/// What Nomad makes attributes of, in the types that it takes them for.
fn is_recognised(told: &Value) {
    let (config, debug) = (&told["Config"], &told["DebugConfig"]);
    for (value, is_right) in [
        (&config["Datacenter"], config["Datacenter"] == "dc1"),
        (&config["NodeName"], config["NodeName"] == "n1"),
        (&config["Server"], config["Server"].is_boolean()),
        (&config["Revision"], config["Revision"].is_string()),
        (&debug["DNSPort"], debug["DNSPort"].is_i64()),
        (&debug["DNSAddrs"], debug["DNSAddrs"].is_array()),
        (&debug["GRPCPort"], debug["GRPCPort"].is_i64()),
        (&debug["GRPCTLSPort"], debug["GRPCTLSPort"].is_i64()),
        (&debug["ConnectEnabled"], debug["ConnectEnabled"].is_boolean()),
        (&told["Stats"], told["Stats"].is_object()),
    ] {
        assert!(is_right, "{value}");
    }
    let version = config["Version"].as_str().unwrap();
    let numbers: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(matches!(numbers[..], [1, minor, _] if minor >= 8), "{version}: semantic, and without +ent");
    let build = told["Member"]["Tags"]["build"].as_str().unwrap();
    assert_eq!(build.split_once(':').unwrap().0, version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consul_esm_sets_the_checks_of_other_nodes() {
    let Running { server, at } = start("").await;
    let esm = Caller { always: "wait=45000ms", ..Caller::go(at) };
    let id = "consul-esm:5d120f8a-1ecb-2cce-7ba7-4beb006bc11d";
    assert_eq!(esm.json("/v1/status/leader").await, "192.0.2.1:8300");
    assert!(!esm.json("/v1/agent/self").await["Config"]["Version"].as_str().unwrap().contains("+ent"));
    assert_eq!(esm.json("/v1/catalog/service/consul").await, json!([]), "no version to compare: a warning");
    assert_eq!(esm.send("GET", &format!("/v1/agent/service/{id}"), "").await.status, 404, "else it does not start");
    let service = json!({ "ID": id, "Name": "consul-esm", "Meta": { "external-source": "consul-esm" }, "Check": null, "Checks": null });
    esm.register("/v1/agent/service/register", &service.to_string()).await;
    let alive = json!({ "ID": format!("{id}:agent-ttl"), "Name": "Consul External Service Monitor Alive", "ServiceID": id,
                        "Notes": "why", "TTL": "30s", "Status": "passing", "DeregisterCriticalServiceAfter": "30m0s" });
    esm.register("/v1/agent/check/register", &alive.to_string()).await;
    let beat = r#"{"Status":"passing","Output":""}"#;
    esm.put(&format!("/v1/agent/check/update/{id}:agent-ttl"), beat).await;
    let instances = esm.json("/v1/health/service/consul-esm?passing=1").await;
    assert_eq!(instances[0]["Service"]["ID"], id);

    // Somebody registers a node whose service has a check; its definition may be anything that esm runs itself.
    let node = json!({
        "Node": "db1", "Address": "192.0.2.90", "NodeMeta": { "external-node": "true", "external-probe": "true" },
        "Service": { "ID": "db-1", "Service": "db", "Port": 5432 },
        "Checks": [{ "Node": "db1", "CheckID": "db-alive", "Name": "alive", "Status": "passing", "ServiceID": "db-1",
                     "Definition": {} }],
    });
    at.put("/v1/catalog/register", &node.to_string()).await;
    let nodes = esm.get("/v1/catalog/nodes?node-meta=external-node%3Atrue").await;
    assert_eq!((&nodes.json()[0]["Node"], &nodes.json()[0]["Meta"]["external-probe"]), (&json!("db1"), &json!("true")));
    assert!(go_index(&nodes) > 0);

    // The leader deals the nodes out, all at once, to keys that each instance waits for.
    let list = format!("/v1/kv/consul-esm/agents/{id}");
    let miss = esm.send("GET", &list, "").await;
    let dealt = esm.wait_for_key(&list, go_index(&miss)).await;
    let kv = |verb: &str, key: String, value: Value| json!({ "KV": { "Verb": verb, "Key": key, "Value": value, "Flags": 0, "Index": 0, "Session": "" }, "Node": null, "Service": null, "Check": null });
    let deal = json!([
        kv("delete-tree", "consul-esm/agents/".to_owned(), json!(null)),
        kv("set", format!("consul-esm/agents/{id}"), json!("eyJOb2RlcyI6bnVsbCwiUHJvYmVzIjpbImRiMSJdfQ==")),
    ]);
    assert_eq!(esm.put("/v1/txn", &deal.to_string()).await.json()["Errors"], json!(null));
    assert_eq!(dealt.await.unwrap().json()[0]["Value"], "eyJOb2RlcyI6bnVsbCwiUHJvYmVzIjpbImRiMSJdfQ==");

    // It follows the checks of such nodes, and sets what it found if nobody else did meanwhile.
    let states = esm.get("/v1/health/state/any?node-meta=external-node%3Atrue").await;
    assert_eq!(states.json().as_array().unwrap().len(), 1);
    let of_node = esm.json("/v1/health/node/db1?consistent=").await;
    let mut check = of_node[0].clone();
    let fields = check.as_object_mut().unwrap();
    // These two are none of the library's, and its definition has all that there could be.
    fields.retain(|name, _| !["Interval", "Timeout"].contains(&name.as_str()));
    fields.insert(
        "Definition".to_owned(),
        json!({ "Interval": "0s", "Timeout": "0s", "DeregisterCriticalServiceAfter": "0s", "HTTP": "", "Header": null,
                "Method": "", "Body": "", "TLSServerName": "", "TLSSkipVerify": false, "TCP": "", "TCPUseTLS": false,
                "UDP": "", "GRPC": "", "OSService": "", "GRPCUseTLS": false }),
    );
    fields.insert("Status".to_owned(), json!("critical"));
    fields.insert("Output".to_owned(), json!("connection refused"));
    let cas = json!([{ "KV": null, "Node": null, "Service": null, "Check": { "Verb": "cas", "Check": check } }]);
    let waiting =
        esm.wait(format!("/v1/health/state/any?index={}&node-meta=external-node%3Atrue", go_index(&states)), 1).await;
    let done = esm.put("/v1/txn", &cas.to_string()).await;
    assert_eq!(done.json()["Results"][0]["Check"]["Status"], "critical");
    assert_eq!(waiting.await.unwrap().json()[0]["Output"], "connection refused");
    let late = esm.send("PUT", "/v1/txn", &cas.to_string()).await;
    assert_eq!((late.status, late.json()["Errors"][0]["OpIndex"].clone()), (409, json!(0)), "it is another one by now");
    assert!(at.addresses("db.service.internal.").await.is_empty());

    // A probe that was answered is a check of the node; distances are taken and not kept.
    let reachable = json!({ "Node": "db1", "SkipNodeUpdate": true, "Check": { "Node": "db1", "CheckID": "externalNodeHealth",
                            "Name": "External Node Status", "Status": "passing", "Output": "Node is alive", "Definition": {} } });
    assert_eq!(esm.put("/v1/catalog/register", &reachable.to_string()).await.body, "true");
    let coordinate = json!({ "Node": "db1", "Segment": "", "Coord": { "Vec": [0, 0, 0, 0, 0, 0, 0, 0], "Error": 1.5, "Adjustment": 0, "Height": 0.00001 } });
    esm.put("/v1/coordinate/update", &coordinate.to_string()).await;
    let gone = json!({ "Node": "db1", "ServiceID": "db-1" });
    assert_eq!(esm.put("/v1/catalog/deregister", &gone.to_string()).await.body, "true");
    esm.put(&format!("/v1/agent/service/deregister/{id}"), "").await;
    server.shutdown().await;
}

impl Caller {
    /// Waits for a key that is not there yet.
    async fn wait_for_key(&self, path: &str, index: u64) -> tokio::task::JoinHandle<crate::harness::Page> {
        self.wait(format!("{path}?index={index}"), 1).await
    }
}
