use serde_json::{Value, json};

use super::harness::{Harness, start, start_with_scripts};

/// One check of each kind that is probed, as its definition is shown.
fn kinds() -> Vec<(&'static str, Value)> {
    vec![
        ("http", json!({ "HTTP": "http://192.0.2.7/", "Method": "GET" })),
        ("tcp", json!({ "TCP": "192.0.2.7:80", "TCPUseTLS": true, "TLSSkipVerify": true })),
        ("udp", json!({ "UDP": "192.0.2.7:53" })),
        ("grpc", json!({ "GRPC": "192.0.2.7:80/shop.Cart", "GRPCUseTLS": true, "TLSServerName": "a.example" })),
        ("h2ping", json!({ "H2PING": "192.0.2.7:80", "H2PingUseTLS": false })),
        ("script", json!({ "ScriptArgs": ["/bin/probe", "-x y"] })),
        ("docker", json!({ "DockerContainerID": "web", "Shell": "/bin/sh", "ScriptArgs": ["probe -x"] })),
        ("alias", json!({ "AliasNode": "n1", "AliasService": "db-1" })),
        ("os_service", json!({ "OSService": "nginx.service" })),
        ("mysql", json!({ "MySQL": "192.0.2.7:3306" })),
        ("redis", json!({ "Redis": "[2001:db8::1]:6379" })),
        ("postgres", json!({ "Postgres": "db.example:5432" })),
        ("amqp", json!({ "AMQP": "192.0.2.7:5672" })),
        (
            "dns",
            json!({ "DNS": { "Server": "192.0.2.53:53", "Name": "a.example", "Type": "AAAA", "Expected": ["2001:db8::1"] } }),
        ),
        ("icmp", json!({ "ICMP": "192.0.2.7" })),
    ]
}

/// The definition with what all periodic ones have.
fn periodic(kind: &str, definition: &Value) -> Value {
    let mut definition = definition.clone();
    if kind != "alias" {
        definition["Interval"] = json!("10s");
        definition["Timeout"] = json!("3s");
    }
    definition["SuccessBeforePassing"] = json!(2);
    definition["OutputMaxSize"] = json!(1024);
    definition
}

async fn lines(server: &Harness) -> Vec<Value> {
    let body = server.get("/v1/export").await.body;
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_kind_is_shown_as_it_was_given_and_comes_back_from_an_export() {
    let (first, second) = (start_with_scripts().await, start_with_scripts().await);
    for (kind, definition) in kinds() {
        let mut body = periodic(kind, &definition);
        (body["Name"], body["CheckID"]) = (json!(kind), json!(kind));
        let answer = first.put("/v1/agent/check/register", &body.to_string()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{kind}");
        let get = json!([{ "Check": { "Verb": "get", "Check": { "CheckID": kind } } }]);
        let shown = first.put("/v1/txn", &get.to_string()).await.json()["Results"][0]["Check"].clone();
        assert_eq!((&shown["Type"], &shown["Definition"]), (&json!(kind), &periodic(kind, &definition)));
    }
    let exported = lines(&first).await;
    assert_eq!(exported.len(), kinds().len());
    assert_eq!(second.put("/v1/txn", &json!(exported).to_string()).await.status, 200);
    assert_eq!(lines(&second).await, exported);
    let of = |server: &Harness| {
        let checks = server.published.load().catalog.checks().map(|entry| entry.check.clone()).collect::<Vec<_>>();
        checks
            .into_iter()
            .map(|check| (check.id.clone(), check.target.clone(), check.definition.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&first), of(&second));
}

#[tokio::test]
async fn commands_are_run_only_where_that_is_enabled() {
    let server = start().await;
    let disabled = |id: &str| {
        format!(
            "check {id:?}: scripts are disabled on this agent; to enable, set enable_script_checks, or for checks in files \
             enable_local_script_checks"
        )
    };
    for definition in [json!({ "ScriptArgs": ["true"] }), json!({ "DockerContainerID": "web", "ScriptArgs": ["true"] })]
    {
        let definition = periodic("script", &definition);
        let mut check = definition.clone();
        check["Name"] = json!("c");
        let service = json!({ "Name": "web", "Check": check });
        let set = json!({ "Node": "n1", "CheckID": "c", "Name": "c", "Definition": definition });
        let node = json!({ "Node": "n1", "Check": set });
        let txn = json!([
            { "Node": { "Verb": "set", "Node": { "Node": "n2", "Address": "192.0.2.2" } } },
            { "Check": { "Verb": "set", "Check": set } },
        ]);
        for (path, body, expected) in [
            ("/v1/agent/check/register", &check, disabled("c")),
            ("/v1/agent/service/register", &service, disabled("service:web")),
            ("/v1/catalog/register", &node, disabled("c")),
            ("/v1/txn", &txn, format!("[1]: {}", disabled("c"))),
        ] {
            let answer = server.put(path, &body.to_string()).await;
            assert_eq!((answer.status, answer.body), (400, expected), "{path}");
        }
    }
    let snapshot = server.published.load();
    assert_eq!((snapshot.catalog.instance_count(), snapshot.catalog.node_count()), (0, 1), "nothing of it was done");
}

#[tokio::test]
async fn what_looks_at_its_machine_is_not_taken_for_another_one() {
    let server = start_with_scripts().await;
    for (kind, definition) in kinds() {
        let check = json!({ "Name": "c", "Definition": periodic(kind, &definition) });
        let body = json!({ "Node": "n2", "Address": "192.0.2.2", "Check": check });
        let answer = server.put("/v1/catalog/register", &body.to_string()).await;
        let of_its_node = ["script", "docker", "os_service"].contains(&kind);
        let refusal = format!("check \"c\": {kind} checks run on the node they are about; register it on n2");
        let expected = if of_its_node { (400, refusal.as_str()) } else { (200, "true") };
        assert_eq!((answer.status, answer.body.as_str()), expected, "{kind}");
    }
    let unit = json!({ "Name": "u", "OSService": "a.service", "Interval": "10s" });
    assert_eq!(start().await.put("/v1/agent/check/register", &unit.to_string()).await.status, 200);
}
