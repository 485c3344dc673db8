use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::{
    access::Level,
    api::{
        access::{
            off,
            tests::{start, start_with_file, with},
        },
        harness::{Answer, Harness, WAITING_MAX, start_guarded},
    },
};

const ADMIN: &str = "admin-admin-admin";

async fn asked(harness: &Harness, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    with(harness, ADMIN, method, &format!("/v1/acl/{path}"), &body).await
}

/// The answer to a request that must be done.
async fn done(harness: &Harness, method: &str, path: &str, body: Value) -> Value {
    let answer = asked(harness, method, path, &body).await;
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
    answer.json()
}

async fn refused(harness: &Harness, (method, path): (&str, &str), body: Value, expected: (u16, &str)) {
    let answer = asked(harness, method, path, &body).await;
    let is_so = answer.status == expected.0 && answer.body.contains(expected.1);
    assert!(is_so, "{method} {path} {body}: {} {}, not {expected:?}", answer.status, answer.body);
}

/// How many services a token sees.
async fn sees(harness: &Harness, secret: &Value) -> Result<usize, String> {
    let list = with(harness, secret.as_str().unwrap(), "GET", "/v1/catalog/services", "").await;
    if list.status == 200 { Ok(list.json().as_object().unwrap().len()) } else { Err(list.body) }
}

const LOOK: &str = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#;

#[tokio::test]
async fn without_access_control_it_is_as_consul_without_it() {
    for anonymous in [Level::Write, Level::Deny] {
        let harness = start_guarded(WAITING_MAX, off(anonymous)).await;
        for (method, path) in [
            ("GET", "/v1/acl/tokens"),
            ("GET", "/v1/acl/token/self"),
            ("PUT", "/v1/acl/bootstrap"),
            ("PUT", "/v1/acl/token"),
            ("PUT", "/v1/acl/token/a/clone"),
            ("PUT", "/v1/acl/policy"),
            ("DELETE", "/v1/acl/token/a"),
            ("GET", "/v1/acl/policy/name/a"),
            ("GET", "/v1/acl/roles"),
            ("PUT", "/v1/acl/auth-method"),
            ("PUT", "/v1/agent/token/default"),
        ] {
            let answer = harness.call(method, path, "").await;
            assert_eq!((answer.status, answer.body.as_str()), (401, "ACL support disabled"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_token_reads_itself_and_who_may_reads_all() {
    let harness = start().await;
    let web = "web-web-web-web-web";
    let own = with(&harness, web, "GET", "/v1/acl/token/self", "").await.json();
    assert_eq!((&own["SecretID"], &own["Policies"][0]["Name"]), (&web.into(), &"web".into()));
    let nobody = harness.get("/v1/acl/token/self").await.json();
    assert_eq!(nobody["AccessorID"], "00000000-0000-0000-0000-000000000002");
    let unknown = with(&harness, "unknown-unknown-unknown", "GET", "/v1/acl/token/self", "").await;
    assert_eq!((unknown.status, unknown.body.as_str()), (404, "Supplied token does not exist"));
    for path in ["tokens", "policies", "policy/name/web"] {
        let refused = with(&harness, web, "GET", &format!("/v1/acl/{path}"), "").await;
        assert!(refused.status == 403 && refused.body.ends_with("lacks permission 'acl:read'"), "{}", refused.body);
    }
    let policies = asked(&harness, "GET", "policies", &Value::Null).await;
    assert!(policies.headers.contains_key("x-consul-index") && policies.headers.contains_key("x-consul-lastcontact"));
    let names: Vec<Value> = policies.json().as_array().unwrap().iter().map(|policy| policy["Name"].clone()).collect();
    assert_eq!(names, ["audit", "global-management", "keys", "nodes", "web"]);
    let accessor = own["AccessorID"].as_str().unwrap();
    assert_eq!(done(&harness, "GET", &format!("token/{}", accessor.to_uppercase()), Value::Null).await, own);
    let policy = done(&harness, "GET", "policy/name/web", Value::Null).await;
    assert!(policy["Rules"].as_str().unwrap().contains("service \"web\""));
    let by_id = format!("policy/{}", policy["ID"].as_str().unwrap());
    assert_eq!(done(&harness, "GET", &by_id, Value::Null).await, policy);
    for (path, missing) in [
        ("policy/none", "Requested policy does not exist: ACL not found"),
        ("policy/name/none", "Requested policy does not exist: ACL not found"),
        ("token/none", "Requested token does not exist: ACL not found"),
        ("roles", "no such path: /v1/acl/roles"),
    ] {
        refused_get(&harness, path, missing).await;
    }
    let agents = with(&harness, ADMIN, "PUT", "/v1/agent/token/default", r#"{"Token": "x"}"#).await;
    assert!(agents.status == 404 && agents.body.contains("anonymous token"), "{}", agents.body);
}

async fn refused_get(harness: &Harness, path: &str, missing: &str) {
    refused(harness, ("GET", path), Value::Null, (404, missing)).await;
}

#[tokio::test]
async fn who_may_read_tokens_only_sees_no_secret_and_changes_nothing() {
    let harness = start().await;
    let audit = "audit-audit-audit";
    let tokens = with(&harness, audit, "GET", "/v1/acl/tokens", "").await;
    // One of the file's has expired; the anonymous one is built in.
    assert_eq!(tokens.json().as_array().unwrap().len(), 6);
    assert!(tokens.body.contains("<hidden>") && !tokens.body.contains(ADMIN), "{}", tokens.body);
    for (method, path) in [
        ("PUT", "/v1/acl/token"),
        ("PUT", "/v1/acl/token/a"),
        ("PUT", "/v1/acl/token/a/clone"),
        ("DELETE", "/v1/acl/token/a"),
        ("PUT", "/v1/acl/policy"),
        ("PUT", "/v1/acl/policy/a"),
        ("DELETE", "/v1/acl/policy/a"),
    ] {
        for token in [audit, ""] {
            let refused = with(&harness, token, method, path, "{}").await;
            let lacks = refused.body.contains("lacks permission 'acl:write'");
            assert!(refused.status == 403 && lacks, "{method} {path}: {}", refused.body);
        }
    }
}

#[tokio::test]
async fn what_stands_in_the_file_is_changed_there() {
    let harness = start().await;
    let policy = done(&harness, "GET", "policy/name/web", Value::Null).await;
    let token = with(&harness, "web-web-web-web-web", "GET", "/v1/acl/token/self", "").await.json();
    let (policy, token) = (policy["ID"].as_str().unwrap(), token["AccessorID"].as_str().unwrap());
    let file = (403, "of the file that access_tokens names; change it there");
    refused(&harness, ("PUT", &format!("policy/{policy}")), json!({ "Name": "web" }), file).await;
    refused(&harness, ("DELETE", &format!("policy/{policy}")), Value::Null, file).await;
    refused(&harness, ("PUT", &format!("token/{token}")), json!({}), file).await;
    refused(&harness, ("DELETE", &format!("token/{token}")), Value::Null, file).await;
    // The file's tokens can be cloned, though, and the clone is an ordinary one.
    let clone = done(&harness, "PUT", &format!("token/{token}/clone"), Value::Null).await;
    assert_eq!((&clone["Policies"][0]["Name"], sees(&harness, &clone["SecretID"]).await), (&"web".into(), Ok(1)));
    let path = format!("token/{}", clone["AccessorID"].as_str().unwrap());
    assert_eq!(done(&harness, "DELETE", &path, Value::Null).await, Value::Bool(true));
}

#[tokio::test]
async fn a_token_holds_at_once_with_what_its_policies_then_say() {
    let harness = start().await;
    let policy = done(&harness, "PUT", "policy", json!({ "Name": "look", "Rules": LOOK, "Description": "d" })).await;
    assert_eq!(
        (&policy["Name"], &policy["Description"], &policy["Rules"]),
        (&"look".into(), &"d".into(), &LOOK.into())
    );
    let body = json!({ "Description": "ci", "Policies": [{ "Name": "look" }, { "ID": policy["ID"] }] });
    let token = done(&harness, "PUT", "token", body).await;
    assert_eq!(token["Policies"], json!([{ "ID": policy["ID"], "Name": "look" }]), "named twice, there once");
    assert_eq!(sees(&harness, &token["SecretID"]).await, Ok(2));
    assert_eq!(token["CreateTime"], "2020-09-13T12:26:40Z");

    let policy_path = format!("policy/{}", policy["ID"].as_str().unwrap());
    let only_web = json!({ "Name": "look-web", "Rules": r#"service "web" { policy = "read" }"#, "ID": policy["ID"] });
    let changed = done(&harness, "PUT", &policy_path, only_web).await;
    assert_eq!(changed["CreateIndex"], policy["CreateIndex"]);
    assert!(changed["ModifyIndex"].as_u64() > policy["ModifyIndex"].as_u64());
    assert_eq!(sees(&harness, &token["SecretID"]).await, Ok(0), "nodes are no longer readable");

    let token_path = format!("token/{}", token["AccessorID"].as_str().unwrap());
    let admin = json!({ "Description": "now more", "Policies": [{ "Name": "global-management" }] });
    let updated = done(&harness, "PUT", &token_path, admin).await;
    assert_eq!((&updated["SecretID"], &updated["CreateTime"]), (&token["SecretID"], &token["CreateTime"]));
    assert_eq!(sees(&harness, &token["SecretID"]).await, Ok(2));

    assert_eq!(done(&harness, "DELETE", &policy_path, Value::Null).await, Value::Bool(true));
    refused(&harness, ("DELETE", &policy_path), Value::Null, (404, "Cannot find policy to delete")).await;
    assert_eq!(done(&harness, "DELETE", &token_path, Value::Null).await, Value::Bool(true));
    refused(&harness, ("DELETE", &token_path), Value::Null, (404, "Cannot find token to delete")).await;
    assert_eq!(sees(&harness, &token["SecretID"]).await, Err("ACL not found".to_owned()));
}

#[tokio::test]
async fn identities_give_what_consul_says_they_give() {
    let harness = start().await;
    let body = json!({
        "serviceIdentities": [{ "serviceName": "web", "datacenters": ["dc1"] }, { "ServiceName": "web" }],
        "NodeIdentities": [{ "NodeName": "n9", "Datacenter": "dc1" }],
    });
    let token = done(&harness, "PUT", "token", body).await;
    assert_eq!(token["ServiceIdentities"], json!([{ "ServiceName": "web" }]));
    assert_eq!(token["NodeIdentities"], json!([{ "NodeName": "n9", "Datacenter": "dc1" }]));
    let secret = token["SecretID"].as_str().unwrap();
    let register = |name: &str| json!({ "Name": name, "Port": 80 }).to_string();
    let path = "/v1/agent/service/register";
    assert_eq!(with(&harness, secret, "PUT", path, &register("web")).await.status, 200);
    assert_eq!(with(&harness, secret, "PUT", path, &register("db")).await.status, 403);
    let of_web = done(&harness, "GET", "tokens?servicename=web", Value::Null).await;
    assert_eq!(of_web.as_array().unwrap().len(), 1);
    assert_eq!(done(&harness, "GET", "tokens?role=r", Value::Null).await, json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_said() {
    let harness = start().await;
    let taken = "6a1253d2-1785-44fd-91c2-f8e78c745511";
    let mine = json!({ "AccessorID": taken, "SecretID": "45a3bd52-07c7-47a4-a60d-7d5da01bcf0f" });
    done(&harness, "PUT", "token", mine).await;
    for (body, said) in [
        (json!({ "Policies": [{ "Name": "none" }] }), "Policies[0]: No such ACL policy with name \"none\""),
        (json!({ "Policies": [{ "ID": "none" }] }), "No such ACL policy with ID \"none\""),
        (json!({ "Policies": [{}] }), "Policies[0].ID: must be given"),
        (json!({ "Roles": [{ "Name": "r" }] }), "Roles: is not known here"),
        (json!({ "Polices": [] }), "did you mean Policies?"),
        (json!({ "SecretID": "short" }), "SecretID: not a valid UUID"),
        (json!({ "AccessorID": "00000000-0000-0000-0000-000000000009" }), "are reserved"),
        (json!({ "AccessorID": taken }), "is already in use"),
        (json!({ "SecretID": "45a3bd52-07c7-47a4-a60d-7d5da01bcf0f" }), "SecretID is already in use"),
        (json!({ "SecretID": taken }), "SecretID is already in use"),
        (json!({ "ServiceIdentities": [{ "ServiceName": "Web" }] }), "lower-case letters"),
        (json!({ "NodeIdentities": [{ "NodeName": "n", "Datacenter": "dc2" }] }), "the only datacenter there is"),
        (json!({ "Description": "x".repeat(5000) }), "Description: has 5000 bytes"),
        (json!([]), "expected an object"),
    ] {
        refused(&harness, ("PUT", "token"), body, (400, said)).await;
    }
    for (body, said) in [
        (json!({ "Rules": LOOK }), "Name: must be given"),
        (json!({ "Name": "a b" }), "Name: only letters"),
        (json!({ "Name": "web" }), "A Policy with Name \"web\" already exists"),
        (json!({ "Name": "global-management" }), "already exists"),
        (json!({ "Name": "a", "ID": "b" }), "Cannot specify the ID when creating a new policy"),
        (json!({ "Name": "a", "Rules": "servise \"web\" {}" }), "did you mean \"service\"?"),
        (json!({ "Name": "a", "Datacenters": ["dc2"] }), "the only datacenter there is"),
    ] {
        refused(&harness, ("PUT", "policy"), body, (400, said)).await;
    }
    let none = "11111111-1111-4111-8111-111111111111";
    for (path, body, expected) in [
        (format!("policy/{none}"), json!({ "Name": "a" }), (404, "cannot find policy")),
        (format!("policy/{none}"), json!({ "Name": "a", "ID": taken }), (400, "do not match")),
        ("policy/00000000-0000-0000-0000-000000000001".to_owned(), json!({ "Name": "a" }), (400, "is built in")),
        (format!("token/{none}"), json!({}), (404, "Cannot find token")),
        ("token/none".to_owned(), json!({}), (400, "AccessorID is not a valid UUID")),
        (format!("token/{taken}"), json!({ "AccessorID": none }), (400, "in URL and payload do not match")),
        (format!("token/{taken}"), json!({ "SecretID": none }), (400, "Changing a token's SecretID")),
        (format!("token/{taken}"), json!({ "Local": true }), (400, "Cannot toggle local mode")),
        (format!("token/{taken}"), json!({ "ExpirationTTL": "1h" }), (400, "Cannot change expiration time")),
        (format!("token/{none}/clone"), json!({}), (404, "does not exist")),
    ] {
        refused(&harness, ("PUT", &path), body, expected).await;
    }
    let anonymous = "token/00000000-0000-0000-0000-000000000002";
    refused(&harness, ("DELETE", anonymous), Value::Null, (400, "not permitted on the anonymous token")).await;
    refused(&harness, ("DELETE", "token/none"), Value::Null, (400, "invalid UUID")).await;
}

#[tokio::test]
async fn who_deletes_its_own_token_is_stopped() {
    let harness = start().await;
    let token = done(&harness, "PUT", "token", json!({ "Policies": [{ "Name": "global-management" }] })).await;
    let path = format!("/v1/acl/token/{}", token["AccessorID"].as_str().unwrap());
    let refused = with(&harness, token["SecretID"].as_str().unwrap(), "DELETE", &path, "").await;
    let said = "Deletion of the request's authorization token is not permitted";
    assert_eq!((refused.status, refused.body.as_str()), (400, said));
}

#[tokio::test]
async fn the_anonymous_token_gets_policies_as_any_other() {
    let harness = start().await;
    assert_eq!(harness.get("/v1/catalog/services").await.json(), json!({}));
    done(&harness, "PUT", "policy", json!({ "Name": "look", "Rules": LOOK })).await;
    let anonymous = "token/00000000-0000-0000-0000-000000000002";
    let updated = done(&harness, "PUT", anonymous, json!({ "Policies": [{ "Name": "look" }] })).await;
    assert_eq!((&updated["Policies"][0]["Name"], &updated["SecretID"]), (&"look".into(), &"anonymous".into()));
    assert_eq!(harness.get("/v1/catalog/services").await.json(), json!({ "db": [], "web": [] }));
    assert_eq!(done(&harness, "GET", "tokens", Value::Null).await.as_array().unwrap().len(), 6, "it is there once");
}

#[tokio::test]
async fn the_first_token_is_made_once() {
    let harness = start_with_file("", || 1_600_000_000).await;
    let first = harness.put("/v1/acl/bootstrap", "").await.json();
    assert_eq!(first["ID"], first["SecretID"]);
    assert_eq!(
        first["Policies"],
        json!([{ "ID": "00000000-0000-0000-0000-000000000001", "Name": "global-management" }])
    );
    let again = harness.put("/v1/acl/bootstrap", "").await;
    let index = first["CreateIndex"].as_u64().unwrap();
    let said = format!("Permission denied: ACL bootstrap no longer allowed (reset index: {index})");
    assert_eq!((again.status, again.body), (403, said));
    let secret = first["SecretID"].as_str().unwrap();
    assert_eq!(with(&harness, secret, "GET", "/v1/acl/tokens", "").await.json().as_array().unwrap().len(), 2);
    assert_eq!(harness.get("/v1/acl/tokens").await.status, 403);
}

#[tokio::test]
async fn the_first_token_may_have_a_secret_of_the_clients_and_is_not_made_where_the_file_has_a_manager() {
    let harness = start_with_file("", || 1_600_000_000).await;
    let secret = "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a";
    assert_eq!(harness.put("/v1/acl/bootstrap", r#"{"BootstrapSecret": "x"}"#).await.status, 400);
    let body = json!({ "BootstrapSecret": secret }).to_string();
    assert_eq!(harness.put("/v1/acl/bootstrap", &body).await.json()["SecretID"], secret);
    let harness = start().await;
    assert_eq!(harness.put("/v1/acl/bootstrap", "").await.status, 403);
}

#[tokio::test]
async fn a_token_works_until_its_time_and_not_a_moment_longer() {
    static NOW: AtomicU64 = AtomicU64::new(1_600_000_000);
    let admin = "[token.admin]\nsecret = \"admin-admin-admin\"\npolicies = [\"global-management\"]";
    let harness = start_with_file(admin, || NOW.load(Ordering::SeqCst)).await;
    for (body, said) in [
        (json!({ "ExpirationTTL": "59s" }), "less than 1m0s"),
        (json!({ "ExpirationTTL": "24h1s" }), "more than 24h0m0s"),
        (json!({ "ExpirationTime": "2020-09-13T12:26:39Z" }), "cannot be before CreateTime"),
        (json!({ "ExpirationTime": "2020-09-13T12:30:00Z", "ExpirationTTL": "5m" }), "cannot both be set"),
        (json!({ "ExpirationTime": "tomorrow" }), "expected a moment"),
    ] {
        refused(&harness, ("PUT", "token"), body, (400, said)).await;
    }
    let by_ttl = done(&harness, "PUT", "token", json!({ "ExpirationTTL": "60s" })).await;
    assert_eq!(by_ttl["ExpirationTime"], "2020-09-13T12:27:40Z");
    let until = json!({ "ExpirationTime": "2020-09-13T14:27:40.9+02:00" });
    let by_time = done(&harness, "PUT", "token", until.clone()).await;
    assert_eq!(by_time["ExpirationTime"], by_ttl["ExpirationTime"]);
    let path = format!("token/{}", by_time["AccessorID"].as_str().unwrap());
    done(&harness, "PUT", &path, until).await;
    let later = json!({ "ExpirationTime": "2020-09-13T12:27:41Z" });
    refused(&harness, ("PUT", &path), later, (400, "Cannot change expiration time")).await;
    for (now, works) in [(1_600_000_059, true), (1_600_000_060, false)] {
        NOW.store(now, Ordering::SeqCst);
        for token in [&by_ttl, &by_time] {
            assert_eq!(sees(&harness, &token["SecretID"]).await.is_ok(), works, "{now}");
        }
        let shown = asked(&harness, "GET", &path, &Value::Null).await.status;
        assert_eq!(shown, if works { 200 } else { 404 });
        let all = done(&harness, "GET", "tokens", Value::Null).await;
        assert_eq!(all.as_array().unwrap().len(), if works { 4 } else { 2 });
    }
}
