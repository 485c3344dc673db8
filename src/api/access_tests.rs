use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::*;
use crate::{
    access::{
        directory::{AccessChange, Directory, HashKey},
        file, follow,
        token::{Secret, Token},
    },
    api::{
        harness::{Answer, Harness, WAITING_MAX, soon, start_guarded, start_on},
        rights::Right,
        routes::routes,
    },
    catalog::{change::Origin, followed::Told, table::Seed},
    publish::{
        feed::SourceStatus,
        publisher::Start,
        settings::{AccessSettings, Settings},
    },
};

const FILE: &str = r#"
[policy.web]
rules = '''
service "web" { policy = "write" }
node_prefix "" { policy = "read" }
'''
[policy.audit]
rules = 'acl = "read"'
[token.audit]
secret = "audit-audit-audit"
policies = ["audit"]
[policy.nodes]
rules = 'node "n9" { policy = "write" }'

[policy.keys]
rules = '''
key_prefix "app/" { policy = "read" }
key_prefix "app/b/" { policy = "write" }
'''

[token.keys]
secret = "keys-keys-keys-keys"
policies = ["keys"]
[token.admin]
secret = "admin-admin-admin"
policies = ["global-management"]
[token.web]
secret = "web-web-web-web-web"
policies = ["web"]
[token.old]
secret = "old-old-old-old-old"
policies = ["global-management"]
expires = 2020-01-01T00:00:00Z
[token.nodes]
secret = "nodes-nodes-nodes"
policies = ["nodes"]
"#;

const WEB: &str = "web-web-web-web-web";

/// With the tokens of this file and this clock; what no rule names is denied.
pub(in crate::api) async fn start_with_file(text: &str, clock: fn() -> u64) -> Harness {
    start_in(AccessMode::On { default: Level::Deny, key_list: false }, text, clock).await
}

async fn start_in(mode: AccessMode, text: &str, clock: fn() -> u64) -> Harness {
    let directory = file::read(text, Directory::new(Seed(1), HashKey([1; 16]))).unwrap();
    let parts = AccessParts { mode, anonymous: Level::Deny, now_secs: clock };
    let access = Some(AccessSettings { file: Arc::new(directory), anonymous: Level::Deny });
    let start = Start { clock, settings: Settings { access, ..Settings::example() }, ..Start::example(100) };
    start_on(WAITING_MAX, parts, start).await
}

/// With the tokens of [`FILE`] and two services.
pub(in crate::api) async fn start() -> Harness {
    let harness = start_with_file(FILE, || 1_600_000_000).await;
    for name in ["web", "db"] {
        let body = json!({ "Name": name, "ID": name, "Port": 80, "Check": { "TTL": "1h" } }).to_string();
        let answer = with(&harness, "admin-admin-admin", "PUT", "/v1/agent/service/register", &body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    }
    harness
}

pub(in crate::api) async fn with(harness: &Harness, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header("X-Consul-Token", token);
    harness.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_token_registers_its_service_and_no_other() {
    let harness = start().await;
    let register = |name: &str, id: &str| json!({ "Name": name, "ID": id, "Port": 81 }).to_string();
    let path = "/v1/agent/service/register";
    assert_eq!(with(&harness, WEB, "PUT", path, &register("web", "web-2")).await.status, 200);
    let refused = with(&harness, WEB, "PUT", path, &register("db", "db-2")).await;
    assert_eq!(refused.status, 403);
    let accessor = "Permission denied: token with AccessorID '";
    assert!(refused.body.starts_with(accessor), "{}", refused.body);
    assert!(refused.body.ends_with("' lacks permission 'service:write' on \"db\""), "{}", refused.body);
    // An ID that another service has would take that one's instance away.
    assert_eq!(with(&harness, WEB, "PUT", path, &register("web", "db")).await.status, 403);
    assert_eq!(harness.put(path, &register("web", "web-3")).await.status, 403);
    for (path, status) in [
        ("/v1/agent/service/deregister/db", 403),
        ("/v1/agent/service/maintenance/db?enable=true", 403),
        ("/v1/agent/check/pass/service:db", 403),
        ("/v1/agent/check/deregister/service:db", 403),
        ("/v1/agent/maintenance?enable=true", 403),
        ("/v1/agent/service/deregister/nobody", 404),
        ("/v1/agent/check/pass/service:web", 200),
        ("/v1/agent/service/maintenance/web?enable=true", 200),
        ("/v1/agent/service/deregister/web", 200),
    ] {
        assert_eq!(with(&harness, WEB, "PUT", path, "").await.status, status, "{path}");
    }
}

#[tokio::test]
async fn writes_to_the_catalog_need_the_right_of_each_part() {
    let harness = start().await;
    let node = r#"{"Node": "n9", "Address": "192.0.2.9"}"#;
    let with_service = r#"{"Node": "n9", "Address": "192.0.2.9", "Service": {"Service": "web", "Port": 1}}"#;
    let path = "/v1/catalog/register";
    assert_eq!(with(&harness, WEB, "PUT", path, node).await.status, 403);
    assert_eq!(with(&harness, "nodes-nodes-nodes", "PUT", path, with_service).await.status, 403);
    assert_eq!(with(&harness, "nodes-nodes-nodes", "PUT", path, node).await.status, 200);
    let txn = |service: &str| {
        let body = json!([
            { "Node": { "Verb": "get", "Node": { "Node": "n9" } } },
            { "Service": { "Verb": "set", "Node": "n9", "Service": { "Service": service, "ID": "s", "Port": 1 } } },
        ]);
        body.to_string()
    };
    assert_eq!(with(&harness, WEB, "PUT", "/v1/txn", &txn("db")).await.status, 403);
    let done = with(&harness, WEB, "PUT", "/v1/txn", &txn("web")).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(with(&harness, WEB, "PUT", "/v1/catalog/deregister", r#"{"Node": "n9"}"#).await.status, 403);
}

#[tokio::test]
async fn an_alias_needs_the_right_to_read_what_it_follows() {
    let harness = start().await;
    let refused = async |token: &str, path: &str, body: Value, lacking: &str| {
        let answer = with(&harness, token, "PUT", path, &body.to_string()).await;
        assert!(answer.status == 403 && answer.body.contains(lacking), "{body}: {} {}", answer.status, answer.body);
    };
    let taken = async |token: &str, path: &str, body: Value| {
        let answer = with(&harness, token, "PUT", path, &body.to_string()).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.body);
    };
    let check = |target: &str| json!({ "Name": "alias", "ServiceID": "web", "AliasService": target });
    refused(WEB, "/v1/agent/check/register", check("db"), "'service:read' on \"db\"").await;
    taken(WEB, "/v1/agent/check/register", check("web")).await;
    // Which service an instance will be of is not known.
    refused(WEB, "/v1/agent/check/register", check("nobody"), "'service:read' on \"\"").await;
    taken("admin-admin-admin", "/v1/agent/check/register", check("nobody")).await;
    let service = |target: &str| json!({ "Name": "web", "ID": "web-2", "Check": { "AliasService": target } });
    refused(WEB, "/v1/agent/service/register", service("db"), "'service:read' on \"db\"").await;
    taken(WEB, "/v1/agent/service/register", service("web")).await;
    let on_node = |node: &str| {
        json!({ "Node": "n9", "Address": "192.0.2.9", "Check": {
            "Name": "alias", "Definition": { "AliasNode": node, "AliasService": "" } } })
    };
    refused("nodes-nodes-nodes", "/v1/catalog/register", on_node("n1"), "'node:read' on \"n1\"").await;
    taken("nodes-nodes-nodes", "/v1/catalog/register", on_node("n9")).await;
    let operation = |target: &str| {
        let check = json!({ "Node": "n1", "CheckID": "txn", "Name": "alias", "ServiceID": "web",
            "Definition": { "AliasService": target } });
        json!([{ "Check": { "Verb": "set", "Check": check } }])
    };
    refused(WEB, "/v1/txn", operation("db"), "'service:read' on \"db\"").await;
    taken(WEB, "/v1/txn", operation("web")).await;
}

#[tokio::test]
async fn lists_are_what_the_caller_may_read_of_them_and_say_so() {
    let harness = start().await;
    let list = with(&harness, WEB, "GET", "/v1/catalog/services", "").await;
    assert_eq!(list.json(), json!({ "web": [] }));
    assert_eq!(list.headers["x-consul-results-filtered-by-acls"], "true");
    assert_eq!(list.headers["x-consul-default-acl-policy"], "deny");
    let all = with(&harness, "admin-admin-admin", "GET", "/v1/catalog/services", "").await;
    assert_eq!(all.json(), json!({ "db": [], "web": [] }));
    assert!(!all.headers.contains_key("x-consul-results-filtered-by-acls"));
    let services = with(&harness, WEB, "GET", "/v1/agent/services", "").await.json();
    assert_eq!(services.as_object().unwrap().keys().collect::<Vec<_>>(), ["web"]);
    for (path, status) in [("/v1/agent/service/db", 403), ("/v1/agent/service/web", 200), ("/v1/export", 403)] {
        assert_eq!(with(&harness, WEB, "GET", path, "").await.status, status, "{path}");
    }
}

#[tokio::test]
async fn the_token_is_that_of_the_query_then_of_consuls_header_then_of_authorization() {
    let harness = start().await;
    let count = async |uri: &str, own: &str, authorization: &str| {
        let request = Request::builder().uri(uri).header("X-Consul-Token", own).header("Authorization", authorization);
        let answer = harness.send(request.body(Body::empty()).unwrap()).await;
        (answer.status, answer.json().as_object().map_or(0, serde_json::Map::len))
    };
    let path = "/v1/catalog/services";
    assert_eq!(count(path, "", "").await, (200, 0));
    assert_eq!(count(path, "", "Bearer admin-admin-admin").await, (200, 2));
    assert_eq!(count(path, WEB, "Bearer admin-admin-admin").await, (200, 1));
    assert_eq!(count(&format!("{path}?token=admin-admin-admin"), WEB, "").await, (200, 2));
}

#[tokio::test]
async fn a_token_that_is_unknown_or_has_expired_is_refused() {
    let harness = start().await;
    for token in ["admin-admin-admim", "old-old-old-old-old"] {
        let refused = with(&harness, token, "GET", "/v1/catalog/services", "").await;
        assert_eq!((refused.status, refused.body.as_str()), (403, "ACL not found"), "{token}");
    }
}

#[tokio::test]
async fn a_shared_token_ends_by_its_lease_or_while_the_store_is_away_by_the_clock() {
    let harness = start().await;
    let secret = "leased-leased-leased";
    let token = Token { expires_secs: Some(1), lease: 7, ..Token::new("a".into(), Secret::new(secret)) };
    let events = vec![follow::Event::Token(Box::new(token))];
    let followed = follow::Followed { revision: 5, told: Told::Changes, events };
    harness.feed.access(AccessChange::Follow(Box::new(followed))).await.unwrap();
    let is = async |away: Option<&str>| {
        let (name, away) = (Arc::from("etcd"), away.map(Arc::from));
        let status = SourceStatus { name, origin: Origin::Cluster, synced: true, stale: false, away };
        harness.feed.set_source(status).await.unwrap();
        with(&harness, secret, "GET", "/v1/catalog/nodes", "").await.status
    };
    assert_eq!(is(None).await, 200, "the store has it");
    assert_eq!(is(Some("no majority")).await, 403, "nobody tells whether it has");
    assert_eq!(is(None).await, 200);
}

/// Asks every route with names that are there, as somebody without any right.
async fn asked_of_all(harness: &Harness) -> Vec<(String, Right, Answer)> {
    let mut answers = Vec::new();
    for route in routes() {
        let path = route
            .path
            .replace("{*name}", "web")
            .replace("{*id}", "web")
            .replace("{*state}", "any")
            .replace("{*key}", "a");
        let method = route.method.as_str();
        let answer = harness.call(method, &path, "").await;
        answers.push((format!("{method} {}", route.path), route.right, answer));
    }
    answers
}

#[tokio::test]
async fn no_route_tells_who_has_no_right_of_a_service_or_node() {
    let harness = start().await;
    for (route, _, answer) in asked_of_all(&harness).await {
        // What a refusal repeats stood in the request.
        let tells = |name: &str| answer.body.contains(&format!("\"{name}\"")) && answer.status == 200;
        assert!(!tells("web") && !tells("db") && !tells("service:web"), "{route}: {}", answer.body);
    }
    assert_eq!(harness.published.load().catalog.instance_count(), 2, "nothing went");
}

#[tokio::test]
async fn where_others_reach_a_server_without_access_control_it_is_closed_and_names_the_cure() {
    let harness = start_guarded(WAITING_MAX, off(Level::Deny)).await;
    for (route, right, answer) in asked_of_all(&harness).await {
        if matches!(right, Right::Tokens | Right::OwnToken | Right::Acl(_)) {
            assert_eq!(answer.status, 401, "{route}");
        } else if right != Right::Nothing {
            assert_eq!(answer.status, 403, "{route}");
            assert!(answer.body.ends_with(". Set access."), "{route}: {}", answer.body);
        }
    }
    assert_eq!(harness.get("/v1/status/leader").await.status, 200);
}

#[tokio::test]
async fn reading_may_be_open_while_writing_is_not() {
    let harness = start_guarded(WAITING_MAX, off(Level::Read)).await;
    let nodes: Value = harness.get("/v1/catalog/nodes").await.json();
    assert_eq!(nodes.as_array().unwrap().len(), 1);
    let refused = harness.put("/v1/agent/service/register", r#"{"Name": "web"}"#).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("'service:write' on \"web\". Set access."), "{}", refused.body);
    // Without access control no token is looked at.
    let answer = with(&harness, "whatever", "GET", "/v1/catalog/nodes", "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn keys_and_sessions_have_rights_of_their_own() {
    let harness = start().await;
    let admin = "admin-admin-admin";
    for key in ["app/a", "app/b/c", "other"] {
        assert_eq!(with(&harness, admin, "PUT", &format!("/v1/kv/{key}"), "1").await.status, 200);
    }
    for (method, path, status) in [
        ("GET", "/v1/kv/app/a", 200),
        ("GET", "/v1/kv/other", 403),
        ("PUT", "/v1/kv/app/b/d", 200),
        ("PUT", "/v1/kv/app/a", 403),
        ("DELETE", "/v1/kv/app/?recurse", 403),
        ("DELETE", "/v1/kv/app/b/?recurse", 200),
        ("PUT", "/v1/session/create", 403),
    ] {
        assert_eq!(with(&harness, "keys-keys-keys-keys", method, path, "").await.status, status, "{method} {path}");
    }
    let names = with(&harness, "keys-keys-keys-keys", "GET", "/v1/kv/?keys", "").await;
    assert_eq!(names.json(), json!(["app/a"]));
    assert_eq!(names.headers["x-consul-results-filtered-by-acls"], "true");
    assert_eq!(with(&harness, WEB, "GET", "/v1/kv/app/?recurse", "").await.status, 404);
}

#[tokio::test]
async fn the_rights_of_a_token_are_put_together_once_for_as_long_as_they_hold() {
    let harness = start().await;
    let access = Access::new(AccessParts {
        mode: AccessMode::On { default: Level::Deny, key_list: false },
        anonymous: Level::Deny,
        now_secs: || 1_600_000_000,
    });
    let caller = |token| access.caller(token, &harness.published).unwrap();
    let (first, nobody) = (caller(Some(WEB)), caller(None));
    for _ in 0..3 {
        assert!(Arc::ptr_eq(&caller(Some(WEB)).authorizer(), &first.authorizer()));
        assert!(Arc::ptr_eq(&caller(None).authorizer(), &nobody.authorizer()));
    }
    // What touches no token leaves them as they are; what does makes them anew.
    harness.feed.submit(crate::api::harness::local().registration()).await.unwrap();
    assert!(Arc::ptr_eq(&caller(Some(WEB)).authorizer(), &first.authorizer()));
    let token = Token::new("a".into(), Secret::new("another-secret"));
    harness.feed.access(AccessChange::CreateToken(token)).await.unwrap();
    assert!(!Arc::ptr_eq(&caller(Some(WEB)).authorizer(), &first.authorizer()));
    assert!(caller(Some("another-secret")).accessor_id() == Some("a"));
}

#[tokio::test]
async fn so_many_callers_are_remembered_and_no_more() {
    let tokens: String =
        (0..KNOWN_MAX + 2).map(|at| format!("[token.t{at}]\nsecret = \"secret-of-token-{at}\"\n")).collect();
    let harness = start_with_file(&tokens, || 1_600_000_000).await;
    let parts = AccessParts {
        mode: AccessMode::On { default: Level::Deny, key_list: false },
        anonymous: Level::Deny,
        now_secs: || 0,
    };
    let access = Access::new(parts);
    for at in 0..KNOWN_MAX + 2 {
        access.caller(Some(&format!("secret-of-token-{at}")), &harness.published).unwrap();
        assert!(access.known.lock().unwrap().authorizers.len() <= KNOWN_MAX);
    }
    assert_eq!(access.known.lock().unwrap().authorizers.len(), 2, "all were forgotten at the bound");
}

#[tokio::test]
async fn reading_all_keys_below_a_prefix_takes_list_where_that_is_set() {
    const RULES: &str = r#"
[policy.lists]
rules = """
key_prefix "" { policy = "read" }
key_prefix "app/" { policy = "list" }
key_prefix "app/own/" { policy = "write" }
key "app/hidden" { policy = "deny" }
"""
[token.reader]
secret = "reader-reader-reader"
policies = ["lists"]
[token.admin]
secret = "admin-admin-admin"
policies = ["global-management"]
"#;
    let keys = async |harness: &Harness| {
        for key in ["app/a", "app/hidden", "app/own/b", "other/c"] {
            let path = format!("/v1/kv/{key}");
            assert_eq!(with(harness, "admin-admin-admin", "PUT", &path, "v").await.status, 200);
        }
    };
    let get_tree = |prefix: &str| json!([{ "KV": { "Verb": "get-tree", "Key": prefix } }]).to_string();
    let listing = AccessMode::On { default: Level::Deny, key_list: true };
    let harness = start_in(listing, RULES, || 1).await;
    keys(&harness).await;
    for (path, status) in [
        ("/v1/kv/?recurse", 403),
        ("/v1/kv/?keys", 403),
        ("/v1/kv/other/?recurse", 403),
        ("/v1/kv/other/?keys", 403),
        ("/v1/kv/other/c", 200),
        ("/v1/kv/app/?recurse", 200),
        ("/v1/kv/app/own/?keys", 200),
    ] {
        assert_eq!(with(&harness, "reader-reader-reader", "GET", path, "").await.status, status, "{path}");
    }
    let names = with(&harness, "reader-reader-reader", "GET", "/v1/kv/app/?keys", "").await.json();
    assert_eq!(names, json!(["app/a", "app/own/b"]), "what may not be read is left out all the same");
    for (prefix, status) in [("other/", 403), ("app/own/", 200)] {
        let done = with(&harness, "reader-reader-reader", "PUT", "/v1/txn", &get_tree(prefix)).await;
        assert_eq!(done.status, status, "{prefix}: {}", done.body);
    }
    // Without the setting, reading is enough.
    let harness = start_with_file(RULES, || 1).await;
    keys(&harness).await;
    for path in ["/v1/kv/?recurse", "/v1/kv/other/?keys"] {
        assert_eq!(with(&harness, "reader-reader-reader", "GET", path, "").await.status, 200, "{path}");
    }
    let done = with(&harness, "reader-reader-reader", "PUT", "/v1/txn", &get_tree("other/")).await;
    assert_eq!(done.status, 200, "{}", done.body);
}

#[tokio::test]
async fn a_read_that_waits_is_answered_by_what_its_caller_may_do_when_it_ends() {
    let harness = Arc::new(start().await);
    let admin = "admin-admin-admin";
    let policy = json!({ "Name": "all", "Rules": "service_prefix \"\" { policy = \"read\" }\nnode_prefix \"\" { policy = \"read\" }\nkey_prefix \"\" { policy = \"read\" }" });
    let policy = with(&harness, admin, "PUT", "/v1/acl/policy", &policy.to_string()).await.json();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let body = json!({ "Policies": [{ "ID": policy["ID"] }] }).to_string();
        tokens.push(with(&harness, admin, "PUT", "/v1/acl/token", &body).await.json());
    }
    assert_eq!(with(&harness, admin, "PUT", "/v1/kv/a", "1").await.status, 200);
    let waiting = |secret: &Value, path: &str| {
        let (harness, secret, path) = (Arc::clone(&harness), secret.as_str().unwrap().to_owned(), path.to_owned());
        tokio::spawn(async move { with(&harness, &secret, "GET", &path, "").await })
    };
    let index = |answer: Answer| answer.index();
    let services = index(with(&harness, admin, "GET", "/v1/catalog/services", "").await);
    let key = index(with(&harness, admin, "GET", "/v1/kv/a", "").await);
    let list = waiting(&tokens[0]["SecretID"], &format!("/v1/catalog/services?index={services}"));
    let of_key = waiting(&tokens[0]["SecretID"], &format!("/v1/kv/a?index={key}"));
    let of_gone = waiting(&tokens[1]["SecretID"], &format!("/v1/catalog/services?index={services}"));
    soon(async {
        while harness.metrics.http_blocked.get() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let path = format!("/v1/acl/policy/{}", policy["ID"].as_str().unwrap());
    let less = json!({ "Name": "all", "Rules": "service \"web\" { policy = \"read\" }" }).to_string();
    assert_eq!(with(&harness, admin, "PUT", &path, &less).await.status, 200);
    let gone = format!("/v1/acl/token/{}", tokens[1]["AccessorID"].as_str().unwrap());
    assert_eq!(with(&harness, admin, "DELETE", &gone, "").await.status, 200);
    let body = json!({ "Name": "new", "Port": 1 }).to_string();
    assert_eq!(with(&harness, admin, "PUT", "/v1/agent/service/register", &body).await.status, 200);
    assert_eq!(with(&harness, admin, "PUT", "/v1/kv/a", "2").await.status, 200);
    assert_eq!(soon(list).await.unwrap().json(), json!({}), "it may read no node any more");
    let of_key = soon(of_key).await.unwrap();
    assert!(of_key.status == 403 && of_key.body.contains("key:read"), "{}", of_key.body);
    let of_gone = soon(of_gone).await.unwrap();
    assert_eq!((of_gone.status, of_gone.body.as_str()), (403, "ACL not found"));
}
