use serde_json::{Value, json};

use crate::api::{
    access::tests::{start_with_file, with},
    harness::{Harness, start},
};

async fn create(server: &Harness, body: Value) -> String {
    let answer = server.call("POST", "/v1/query", body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["ID"].as_str().unwrap().to_owned()
}

/// IDs of the instances that a query chooses, sorted.
async fn executed(server: &Harness, path: &str) -> Vec<String> {
    let answer = server.get(&format!("/v1/query/{path}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let nodes = answer.json()["Nodes"].clone();
    let mut ids: Vec<String> =
        nodes.as_array().unwrap().iter().map(|one| one["Service"]["ID"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}

async fn with_instances() -> Harness {
    let server = start().await;
    for (id, tags, status, rack) in [
        ("web-1", json!(["blue", "v1"]), "passing", "r1"),
        ("web-2", json!(["green", "v1"]), "warning", "r1"),
        ("web-3", json!(["blue"]), "critical", "r2"),
        ("web-4", json!(["blue"]), "passing", "r2"),
    ] {
        let check = json!({ "CheckID": format!("c-{id}"), "TTL": "1h", "Status": status });
        let body = json!({
            "Name": "web", "ID": id, "Port": 80, "Tags": tags, "Meta": { "rack": rack }, "Check": check,
        });
        server.register(&body.to_string()).await;
    }
    server
}

#[tokio::test]
async fn a_query_is_made_read_changed_and_taken_away() {
    let server = start().await;
    let id = create(&server, json!({ "Name": "q", "Service": { "Service": "web" }, "DNS": { "TTL": "10s" } })).await;
    let path = format!("/v1/query/{id}");
    let shown = server.get(&path).await;
    let index = shown.index();
    assert_eq!(
        shown.json(),
        json!([{
            "ID": id, "Name": "q", "Session": "", "Token": "",
            "Template": { "Type": "", "Regexp": "", "RemoveEmptyTags": false },
            "Service": {
                "Service": "web", "Failover": { "NearestN": 0, "Datacenters": [] }, "OnlyPassing": false,
                "IgnoreCheckIDs": [], "Near": "", "Tags": [], "NodeMeta": {}, "ServiceMeta": {}, "Connect": false,
                "Peer": "",
            },
            "DNS": { "TTL": "10s" }, "CreateIndex": index, "ModifyIndex": index,
        }])
    );
    assert_eq!(server.get("/v1/query").await.json(), shown.json());
    let changed = server.put(&path, &json!({ "Name": "p", "Service": { "Service": "db" } }).to_string()).await;
    assert_eq!((changed.status, changed.body.as_str()), (200, ""));
    assert_eq!(server.get(&path).await.json()[0]["Service"]["Service"], "db");
    for _ in 0..2 {
        assert_eq!(server.call("DELETE", &path, "").await.status, 200);
    }
    for missing in [server.get(&path).await, server.put(&path, r#"{"Service": {"Service": "x"}}"#).await] {
        assert_eq!((missing.status, missing.body.as_str()), (404, "Query not found"));
        assert_eq!(missing.headers["x-consul-index"], "1", "python-consul reads it");
    }
    assert_eq!(server.get("/v1/query/q/execute").await.status, 404);
}

#[tokio::test]
async fn a_query_chooses_by_health_tags_and_meta() {
    let server = with_instances().await;
    for (service, ids) in [
        (json!({}), &["web-1", "web-2", "web-4"][..]),
        (json!({ "OnlyPassing": true }), &["web-1", "web-4"]),
        (json!({ "IgnoreCheckIDs": ["c-web-3"] }), &["web-1", "web-2", "web-3", "web-4"]),
        (json!({ "Tags": ["BLUE"] }), &["web-1", "web-4"]),
        (json!({ "Tags": ["v1", "!blue"] }), &["web-2"]),
        (json!({ "ServiceMeta": { "rack": "r1" } }), &["web-1", "web-2"]),
        (json!({ "NodeMeta": { "none": "x" } }), &[]),
        (json!({ "Service": "nobody" }), &[]),
    ] {
        let mut wanted = json!({ "Service": "web" });
        wanted.as_object_mut().unwrap().extend(service.as_object().unwrap().clone());
        let id = create(&server, json!({ "Service": wanted })).await;
        assert_eq!(executed(&server, &format!("{id}/execute")).await, ids, "{service}");
    }
}

#[tokio::test]
async fn a_query_is_executed_by_name_with_a_limit() {
    let server = with_instances().await;
    create(&server, json!({ "Name": "q", "Service": { "Service": "web" }, "DNS": { "TTL": "3s" } })).await;
    assert_eq!(executed(&server, "Q/execute?limit=2").await.len(), 2);
    let answer = server.get("/v1/query/q/execute?near=_agent").await.json();
    let rest = ["Service", "Datacenter", "DNS", "Failovers"].map(|name| answer[name].clone());
    assert_eq!(json!(rest), json!(["web", "dc1", { "TTL": "3s" }, 0]));
    assert_eq!(answer["Nodes"][0]["Node"]["Node"], "n1");
}

#[tokio::test]
async fn the_limit_counts_what_the_caller_may_read() {
    let rules = r#"service "web" { policy = "read" } node "m0" { policy = "read" }"#;
    let tokens = [("one", "one-one-one-one-one", "one"), ("admin", "admin-admin-admin", "global-management")];
    let tokens = tokens
        .map(|(name, secret, policy)| format!("[token.{name}]\nsecret = \"{secret}\"\npolicies = [\"{policy}\"]\n"));
    let server =
        start_with_file(&format!("[policy.one]\nrules = '{rules}'\n{}", tokens.concat()), || 1_600_000_000).await;
    let admin = "admin-admin-admin";
    for number in 0..=9 {
        let body = json!({
            "Node": format!("m{number}"), "Address": "192.0.2.9", "Service": { "Service": "web", "ID": "web" },
        });
        assert_eq!(with(&server, admin, "PUT", "/v1/catalog/register", &body.to_string()).await.status, 200);
    }
    let query = json!({ "Name": "q", "Service": { "Service": "web" } }).to_string();
    assert_eq!(with(&server, admin, "POST", "/v1/query", &query).await.status, 200);
    // What is not read stands anywhere in the random order.
    for _ in 0..20 {
        let answer = with(&server, "one-one-one-one-one", "GET", "/v1/query/q/execute?limit=1", "").await.json();
        assert_eq!(answer["Nodes"].as_array().unwrap().len(), 1);
        assert_eq!(answer["Nodes"][0]["Node"]["Node"], "m0");
    }
    let all = with(&server, admin, "GET", "/v1/query/q/execute?limit=0", "").await.json();
    assert_eq!(all["Nodes"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn a_template_answers_for_all_names_that_begin_so() {
    let server = with_instances().await;
    let template = json!({ "Type": "name_prefix_match", "Regexp": "^to-(.*)-(.*)$" });
    let service = json!({ "Service": "${match(1)}", "Tags": ["${match(2)}"] });
    create(&server, json!({ "Name": "to-", "Template": template, "Service": service })).await;
    assert_eq!(executed(&server, "to-web-green/execute").await, ["web-2"]);
    let explained = server.get("/v1/query/to-web-green/explain").await.json();
    let shown = &explained["Query"]["Service"];
    assert_eq!((&shown["Service"], &shown["Tags"]), (&json!("web"), &json!(["green"])));
    assert_eq!(server.get("/v1/query/other/explain").await.status, 404);
}

#[tokio::test]
async fn a_query_ends_with_its_session() {
    let server = start().await;
    let session = server.put("/v1/session/create", "").await.json()["ID"].as_str().unwrap().to_owned();
    let id = create(&server, json!({ "Session": session, "Service": { "Service": "web" } })).await;
    assert_eq!(server.put(&format!("/v1/session/destroy/{session}"), "").await.status, 200);
    assert_eq!(server.get(&format!("/v1/query/{id}")).await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_a_query_is_refused() {
    let server = start().await;
    create(&server, json!({ "Name": "q", "Service": { "Service": "web" } })).await;
    let web = json!({ "Service": "web" });
    for (body, status, text) in [
        (json!({}), 400, "Service: must be given"),
        (json!({ "Service": {} }), 400, "Service.Service: must be given"),
        (json!({ "Name": "Q", "Service": web }), 400, "name 'Q' aliases an existing query name"),
        (json!({ "Session": "none", "Service": web }), 500, "invalid session \"none\""),
        (
            json!({ "DNS": { "TTL": "soon" }, "Service": web }),
            400,
            "DNS.TTL: expected a duration up to 24h, not \"soon\"",
        ),
        (
            json!({ "Template": { "Type": "regex" }, "Service": web }),
            400,
            "Template.Type: expected \"name_prefix_match\"",
        ),
    ] {
        let answer = server.call("POST", "/v1/query", body.to_string()).await;
        assert!(answer.status == status && answer.body.starts_with(text), "{} {}", answer.status, answer.body);
    }
}
