use serde_json::{Value, json};

use super::super::harness::{Answer, Harness, start};

async fn register(server: &Harness, body: Value) -> Answer {
    server.put("/v1/catalog/register", &body.to_string()).await
}

async fn deregister(server: &Harness, body: Value) -> Answer {
    server.put("/v1/catalog/deregister", &body.to_string()).await
}

#[track_caller]
fn done(answer: &Answer) {
    assert_eq!((answer.status, answer.body.as_str()), (200, "true"));
}

#[track_caller]
fn refused(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, text));
}

/// The example of Consul's documentation, with addresses of ours.
fn example() -> Value {
    json!({
        "Datacenter": "dc1",
        "ID": "40e4a748-2192-161a-0510-9bf59fe950b5",
        "Node": "t2.320",
        "Address": "192.0.2.10",
        "TaggedAddresses": { "lan": "192.0.2.10", "wan": "198.51.100.10" },
        "NodeMeta": { "somekey": "somevalue" },
        "Service": {
            "ID": "redis1", "Service": "redis", "Tags": ["primary", "v1"], "Address": "192.0.2.11",
            "TaggedAddresses": { "lan": { "Address": "192.0.2.11", "Port": 8000 } },
            "Meta": { "redis_version": "4.0" }, "Port": 8000, "Namespace": "default",
        },
        "Check": {
            "Node": "t2.320", "CheckID": "service:redis1", "Name": "Redis health check", "Notes": "Script based",
            "Status": "passing", "ServiceID": "redis1",
            "Definition": { "TCP": "192.0.2.11:8888", "Interval": "5s", "Timeout": "1s", "DeregisterCriticalServiceAfter": "90s" },
            "Namespace": "default",
        },
        "SkipNodeUpdate": false,
    })
}

#[tokio::test]
async fn a_node_comes_with_its_service_and_check() {
    let server = start().await;
    done(&register(&server, example()).await);
    let health = server.get("/v1/health/service/redis").await.json();
    let node = &health[0]["Node"];
    assert_eq!((&node["ID"], &node["Node"]), (&json!("40e4a748-2192-161a-0510-9bf59fe950b5"), &json!("t2.320")));
    assert_eq!(
        (&node["Meta"]["somekey"], &node["TaggedAddresses"]["wan"]),
        (&json!("somevalue"), &json!("198.51.100.10"))
    );
    assert_eq!((&health[0]["Service"]["ID"], &health[0]["Service"]["Port"]), (&json!("redis1"), &json!(8000)));
    let check = &health[0]["Checks"][0];
    assert_eq!((&check["Status"], &check["ServiceName"]), (&json!("passing"), &json!("redis")));
    let definition = json!({
        "TCP": "192.0.2.11:8888", "Interval": "5s", "Timeout": "1s", "DeregisterCriticalServiceAfter": "1m30s",
    });
    assert_eq!(check["Definition"], definition, "what consul-esm reads");
    assert_eq!(server.get("/v1/agent/services").await.body, "{}", "it is another node's");
    let index = server.published.load().index();
    done(&register(&server, example()).await);
    assert_eq!(server.published.load().index(), index, "the same again changes nothing");
}

#[tokio::test]
async fn a_known_node_is_kept_as_it_is_if_asked_for() {
    let server = start().await;
    done(&register(&server, example()).await);
    let service = json!({ "Service": "db", "Port": 5432 });
    done(&register(&server, json!({ "Node": "t2.320", "SkipNodeUpdate": true, "Service": service })).await);
    let db = server.get("/v1/catalog/service/db").await.json();
    assert_eq!((&db[0]["Address"], &db[0]["ServiceID"]), (&json!("192.0.2.10"), &json!("db")));
    let address = "Address: must be given, unless SkipNodeUpdate is set and the node is known";
    refused(&register(&server, json!({ "Node": "t2.320", "Service": service })).await, 400, address);
    refused(&register(&server, json!({ "Node": "n9", "SkipNodeUpdate": true })).await, 400, address);
    done(&register(&server, json!({ "node": "t2.320", "address": "192.0.2.12" })).await);
    let node = server.get("/v1/catalog/service/db").await.json()[0].clone();
    assert_eq!((&node["Address"], &node["NodeMeta"]), (&json!("192.0.2.12"), &json!({})));
    assert_eq!(node["ID"], "40e4a748-2192-161a-0510-9bf59fe950b5", "it keeps the ID that it has");
}

#[tokio::test]
async fn a_check_has_consuls_defaults() {
    let server = start().await;
    let checks =
        json!([{ "Name": "disk" }, { "Name": "Web", "CheckID": "web", "Definition": { "HTTP": "http://192.0.2.9/" } }]);
    done(
        &register(
            &server,
            json!({ "Node": "n2", "Address": "192.0.2.2", "Checks": checks, "Service": {"Service": "web"} }),
        )
        .await,
    );
    let checks = server.get("/v1/health/service/web").await.json()[0]["Checks"].clone();
    assert_eq!((&checks[0]["CheckID"], &checks[0]["Status"]), (&json!("disk"), &json!("critical")));
    assert_eq!((&checks[1]["ServiceID"], &checks[1]["Definition"]["Interval"]), (&json!(""), &json!("30s")));
    let elsewhere = json!({ "Node": "n2", "Address": "192.0.2.2", "Check": { "Node": "n3", "Name": "x" } });
    refused(
        &register(&server, elsewhere).await,
        400,
        "Check.Node: must be \"n2\", the node that is registered, or left out",
    );
    let nobodys = json!({ "Node": "n2", "Address": "192.0.2.2", "Check": { "Name": "x", "ServiceID": "none" } });
    refused(&register(&server, nobodys).await, 400, "unknown service ID \"none\" on node \"n2\"");
}

#[tokio::test]
async fn what_go_and_python_send_is_taken() {
    let server = start().await;
    // Go's clients write out what is not set.
    let service = json!({
        "ID": "db", "Service": "db", "Tags": null, "Meta": null, "Port": 5432, "Address": "", "EnableTagOverride": false,
        "Weights": { "Passing": 0, "Warning": 0 }, "CreateIndex": 0, "ModifyIndex": 0, "TaggedAddresses": null,
    });
    let definition = json!({
        "HTTP": "", "Header": null, "Method": "", "Body": "", "TLSServerName": "", "TLSSkipVerify": false, "TCP": "",
        "TCPUseTLS": false, "UDP": "", "GRPC": "", "OSService": "", "GRPCUseTLS": false, "Interval": "0s",
        "Timeout": "0s", "DeregisterCriticalServiceAfter": "0s",
    });
    let check = json!({
        "Node": "", "CheckID": "db", "Name": "db", "Status": "passing", "Notes": "", "Output": "", "ServiceID": "db",
        "ServiceName": "", "ServiceTags": null, "Type": "", "ExposedPort": 0, "Definition": definition,
    });
    let body = json!({
        "ID": "", "Node": "n2", "Address": "192.0.2.2", "TaggedAddresses": null, "NodeMeta": null, "Datacenter": "",
        "Service": service, "Check": null, "Checks": [check], "SkipNodeUpdate": false,
    });
    done(&register(&server, body).await);
    let check = server.get("/v1/health/checks/db").await.json()[0].clone();
    assert_eq!((&check["Status"], &check["Definition"]), (&json!("passing"), &json!({})));
    let python = json!({
        "node": "n3", "address": "192.0.2.3", "datacenter": "dc1", "nodemeta": { "rack": "r7" },
        "service": { "service": "db", "id": "db-3" }, "check": { "name": "up", "serviceid": "db-3", "status": "passing" },
        "WriteRequest": { "Token": "x" },
    });
    done(&register(&server, python).await);
    assert_eq!(server.get("/v1/health/service/db?passing").await.json().as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let server = start().await;
    refused(&register(&server, json!({ "Address": "192.0.2.2" })).await, 400, "Node: must be given");
    refused(&register(&server, json!({ "Nod": "x" })).await, 400, "Nod: unknown field; did you mean Node?");
    let elsewhere = json!({ "Node": "n2", "Address": "192.0.2.2", "Datacenter": "dc2" });
    refused(&register(&server, elsewhere).await, 500, "No path to datacenter \"dc2\"");
    refused(&deregister(&server, json!({})).await, 400, "Node: must be given");
}

#[tokio::test]
async fn our_own_node_stays_what_the_settings_say() {
    let server = start().await;
    let service = json!({ "ID": "web-1", "Service": "web", "Port": 80 });
    let answer = register(&server, json!({ "Node": "n1", "Address": "192.0.2.99", "Service": service })).await;
    done(&answer);
    let warning = "node \"n1\" is this server itself; its address and meta stay those of its settings";
    assert_eq!(answer.headers["x-nameplate-warning"], warning);
    assert_eq!(server.get("/v1/catalog/nodes").await.json()[0]["Address"], "192.0.2.1");
    assert_eq!(server.get("/v1/agent/services").await.json()["web-1"]["Port"], 80);
    let other = json!({ "Node": "n1", "Address": "192.0.2.99", "ID": "40e4a748-2192-161a-0510-9bf59fe950b5" });
    let problem = "ID: node \"n1\" is this server itself, whose ID is 6e9c1a4e-0000-4000-8000-000000000001";
    refused(&register(&server, other).await, 400, problem);
    let stolen = json!({ "Node": "n2", "Address": "192.0.2.2", "ID": "6e9c1a4e-0000-4000-8000-000000000001" });
    let answer = register(&server, stolen).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.ends_with("which is this server itself; give node \"n2\" another"), "{}", answer.body);
    let same = register(&server, json!({ "Node": "N1", "Address": "192.0.2.2" })).await;
    refused(&same, 400, "Node: \"N1\" is the same to DNS as \"n1\", which is this server itself");
    let problem = "Node: \"n1\" is this server itself, and is there while it runs; name a ServiceID or CheckID";
    refused(&deregister(&server, json!({ "Node": "n1" })).await, 400, problem);
    done(&deregister(&server, json!({ "Node": "n1", "ServiceID": "web-1" })).await);
    refused(
        &deregister(&server, json!({ "Node": "n1", "CheckID": "serfHealth" })).await,
        400,
        "check ID \"serfHealth\" was registered by the server source; change it there",
    );
}

#[tokio::test]
async fn a_check_a_service_and_a_node_go() {
    let server = start().await;
    done(&register(&server, example()).await);
    let count = async |list: &str| server.get(list).await.json().as_array().map_or(0, Vec::len);
    done(&deregister(&server, json!({ "Node": "t2.320", "CheckID": "service:redis1" })).await);
    assert_eq!(server.get("/v1/health/service/redis").await.json()[0]["Checks"], json!([]));
    done(&deregister(&server, json!({ "Datacenter": "dc1", "Node": "t2.320", "ServiceID": "redis1" })).await);
    assert_eq!((count("/v1/catalog/service/redis").await, count("/v1/catalog/nodes").await), (0, 2));
    done(&deregister(&server, json!({ "Node": "t2.320" })).await);
    assert_eq!(count("/v1/catalog/nodes").await, 1);
    done(&deregister(&server, json!({ "Node": "t2.320" })).await);
}
