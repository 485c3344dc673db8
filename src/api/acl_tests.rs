use serde_json::Value;

use crate::{
    access::Level,
    api::{
        access::{off, tests::start, tests::with},
        harness::{WAITING_MAX, start_guarded},
    },
};

#[tokio::test]
async fn without_access_control_it_is_as_consul_without_it() {
    for anonymous in [Level::Write, Level::Deny] {
        let harness = start_guarded(WAITING_MAX, off(anonymous)).await;
        for (method, path) in [
            ("GET", "/v1/acl/tokens"),
            ("GET", "/v1/acl/token/self"),
            ("PUT", "/v1/acl/bootstrap"),
            ("PUT", "/v1/acl/policy"),
            ("DELETE", "/v1/acl/token/a"),
        ] {
            let answer = harness.call(method, path, "").await;
            assert_eq!((answer.status, answer.body.as_str()), (401, "ACL support disabled"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_token_reads_itself_and_who_may_reads_all() {
    let harness = start().await;
    let own = with(&harness, "web-web-web-web-web", "GET", "/v1/acl/token/self", "").await.json();
    assert_eq!((&own["SecretID"], &own["Policies"][0]["Name"]), (&"web-web-web-web-web".into(), &"web".into()));
    let nobody = harness.get("/v1/acl/token/self").await.json();
    assert_eq!(nobody["AccessorID"], "00000000-0000-0000-0000-000000000002");
    for path in ["/v1/acl/tokens", "/v1/acl/policies", "/v1/acl/policy/name/web"] {
        let refused = with(&harness, "web-web-web-web-web", "GET", path, "").await;
        assert!(refused.status == 403 && refused.body.ends_with("lacks permission 'acl:read'"), "{}", refused.body);
    }
    let admin = "admin-admin-admin";
    let names = |list: Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|policy| policy["Name"].as_str().unwrap().to_owned()).collect()
    };
    let policies = names(with(&harness, admin, "GET", "/v1/acl/policies", "").await.json());
    assert_eq!(policies, ["audit", "global-management", "keys", "nodes", "web"]);
    let accessor = own["AccessorID"].as_str().unwrap();
    let token = with(&harness, admin, "GET", &format!("/v1/acl/token/{accessor}"), "").await.json();
    assert_eq!(token, own);
    let policy = with(&harness, admin, "GET", "/v1/acl/policy/name/web", "").await.json();
    assert!(policy["Rules"].as_str().unwrap().contains("service \"web\""));
    let by_id = format!("/v1/acl/policy/{}", policy["ID"].as_str().unwrap());
    assert_eq!(with(&harness, admin, "GET", &by_id, "").await.json(), policy);
    assert_eq!(with(&harness, admin, "GET", "/v1/acl/policy/none", "").await.body, "ACL not found");
}

#[tokio::test]
async fn who_may_read_tokens_only_sees_no_secret() {
    let harness = start().await;
    let tokens = with(&harness, "audit-audit-audit", "GET", "/v1/acl/tokens", "").await;
    assert_eq!(tokens.json().as_array().unwrap().len(), 7);
    assert!(tokens.body.contains("<hidden>") && !tokens.body.contains("admin-admin-admin"), "{}", tokens.body);
}

#[tokio::test]
async fn what_stands_in_a_file_is_changed_there() {
    let harness = start().await;
    let refused = with(&harness, "admin-admin-admin", "PUT", "/v1/acl/token", "{}").await;
    assert!(refused.status == 403 && refused.body.contains("access_tokens"), "{}", refused.body);
    let refused = harness.put("/v1/acl/token", "{}").await;
    assert!(refused.body.contains("lacks permission 'acl:write'"), "{}", refused.body);
}
