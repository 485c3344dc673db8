use std::sync::Arc;

use axum::{body::Body, extract::Request, response::IntoResponse};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    ApiError, HeartbeatOutcome,
    harness::{Answer, Harness, soon, start},
};
use crate::{
    catalog::{
        change::{Change, ChangeError, Origin},
        check::{CheckResult, CheckStatus},
        definition::{self, Owner},
        names::NodeName,
        service::{IpNetwork, NetworkAddress},
    },
    publish::{
        feed::{SourceStatus, SubmitError},
        journal::JournalFailure,
    },
};

async fn register_as(server: &Harness, origin: Origin, text: &str) {
    let owner = Owner { node: NodeName::new("n1").unwrap(), origin };
    let tree = definition::json::parse(text.as_bytes()).unwrap();
    let registration = definition::service(&tree, "", &owner).unwrap().value;
    server.submit(Change::Register(Box::new(registration))).await;
}

#[track_caller]
fn refused(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, text));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn what_is_registered_is_listed_everywhere_at_once() {
    let server = start().await;
    server
        .register(r#"{"name": "web", "id": "web-1", "port": 80, "address": "192.0.2.7", "tags": ["blue"], "meta": {"v": "1"}}"#)
        .await;

    let services = server.get("/v1/agent/services").await.json();
    let web = &services["web-1"];
    assert_eq!((&web["Service"], &web["Port"], &web["Address"]), (&json!("web"), &json!(80), &json!("192.0.2.7")));
    assert_eq!(web["TaggedAddresses"]["lan_ipv4"], json!({"Address": "192.0.2.7", "Port": 80}));
    assert_eq!(web["Weights"], json!({"Passing": 1, "Warning": 1}));
    assert_eq!((&web["Meta"], &web["Datacenter"]), (&json!({"v": "1"}), &json!("dc1")));
    assert_eq!(server.get("/v1/agent/service/web-1").await.json()["ID"], "web-1");
    assert_eq!(server.get("/v1/catalog/services").await.json(), json!({"web": ["blue"]}));

    let flat = server.get("/v1/catalog/service/web").await.json();
    assert_eq!((&flat[0]["ServiceID"], &flat[0]["Node"]), (&json!("web-1"), &json!("n1")));
    assert_eq!((&flat[0]["ServiceMeta"]["v"], &flat[0]["Address"]), (&json!("1"), &json!("192.0.2.1")));

    let health = server.get("/v1/health/service/web").await.json();
    assert_eq!(health[0]["Node"]["ID"], "6e9c1a4e-0000-4000-8000-000000000001");
    assert_eq!(health[0]["Checks"][0]["CheckID"], "serfHealth");
    assert_eq!(health[0]["Checks"][0]["Status"], "passing");
}

#[tokio::test]
async fn lists_are_never_null() {
    let server = start().await;
    assert_eq!(server.get("/v1/agent/services").await.body, "{}");
    assert_eq!(server.get("/v1/catalog/services").await.body, "{}");
    assert_eq!(server.get("/v1/catalog/service/web").await.body, "[]");
    assert_eq!(server.get("/v1/health/service/web").await.body, "[]");
    server.register(r#"{"Name": "web"}"#).await;
    let web = server.get("/v1/agent/service/web").await.json();
    assert_eq!((&web["Tags"], &web["Meta"], &web["TaggedAddresses"]), (&json!([]), &json!({}), &json!({})));
    assert_eq!(server.get("/v1/health/service/web").await.json()[0]["Checks"][0]["ServiceTags"], json!([]));
}

#[tokio::test]
async fn nodes_are_listed_with_their_addresses() {
    let server = start().await;
    let nodes = server.get("/v1/catalog/nodes").await.json();
    assert_eq!((&nodes[0]["Node"], &nodes[0]["Address"]), (&json!("n1"), &json!("192.0.2.1")));
    assert_eq!(nodes[0]["TaggedAddresses"]["lan_ipv4"], "192.0.2.1");
    assert_eq!(server.get("/v1/catalog/nodes?node-meta=rack:7").await.json(), json!([]));
}

#[tokio::test]
async fn deregistering_takes_away_what_http_registered_and_nothing_else() {
    let server = start().await;
    server.register(r#"{"Name": "web", "ID": "a/b"}"#).await;
    register_as(&server, Origin::Docker, r#"{"Name": "db"}"#).await;
    assert_eq!(server.put("/v1/agent/service/deregister/a%2Fb", "").await.status, 200);
    refused(
        &server.put("/v1/agent/service/deregister/a/b", "").await,
        404,
        "Unknown service ID \"a/b\". Ensure that the service ID is passed, not the service name.",
    );
    refused(
        &server.put("/v1/agent/service/deregister/db", "").await,
        400,
        "service ID \"db\" was registered by the docker source; change it there",
    );
    assert_eq!(server.get("/v1/agent/services").await.json()["db"]["Origin"], "docker");
}

#[tokio::test]
async fn a_container_that_publishes_nothing_is_shown_where_it_is_reached_from_here() {
    let server = start().await;
    let text = r#"{"Name": "db", "Port": 81, "TaggedAddresses": {"docker_app_ipv4": {"Address": "198.51.100.7", "Port": 81}}}"#;
    register_as(&server, Origin::Docker, text).await;
    let shown = async || server.get("/v1/health/service/db").await.json()[0]["Service"]["Address"].clone();
    assert_eq!(shown().await, "", "its node's");
    let owner = Owner { node: NodeName::new("n1").unwrap(), origin: Origin::Docker };
    let tree = definition::json::parse(text.as_bytes()).unwrap();
    let mut registration = definition::service(&tree, "", &owner).unwrap().value;
    let network = IpNetwork::parse("198.51.100.0/24").unwrap();
    let there = NetworkAddress { network, address: "198.51.100.7".parse().unwrap(), ports: [81].into() };
    registration.instance.network_addresses = [there].into_iter().collect();
    server.submit(Change::Register(Box::new(registration))).await;
    assert_eq!(shown().await, "198.51.100.7");
    assert_eq!(server.get("/v1/catalog/service/db").await.json()[0]["ServiceAddress"], "198.51.100.7");
    assert_eq!(server.get("/v1/agent/service/db").await.json()["Address"], "198.51.100.7");
    assert_eq!(server.get("/v1/agent/services").await.json()["db"]["Address"], "198.51.100.7");
}

#[tokio::test]
async fn a_registration_that_another_source_beats_says_so() {
    let server = start().await;
    register_as(&server, Origin::Server, r#"{"Name": "web"}"#).await;
    let answer = server.put("/v1/agent/service/register", r#"{"Name": "web"}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.headers["x-nameplate-warning"],
        "service ID web is registered by the server source too, which goes first"
    );
    assert_eq!(server.get("/v1/agent/service/web").await.json()["Shadowed"], json!(["api"]));
}

#[tokio::test]
async fn what_was_accepted_otherwise_than_written_is_told_in_a_header() {
    let server = start().await;
    let body = r#"{"Name": "web", "Check": {"TCP": "192.0.2.7:80", "Interval": "10ms"}}"#;
    let answer = server.put("/v1/agent/service/register", body).await;
    assert_eq!(answer.headers["x-nameplate-warning"], "Check.Interval: raised from 10ms to 1s");
}

#[tokio::test]
async fn a_name_that_dns_cannot_carry_is_told_in_a_header() {
    let server = start().await;
    let answer = server.put("/v1/agent/service/register", r#"{"Name": "my service"}"#).await;
    let warning = answer.headers["x-nameplate-warning"].to_str().unwrap();
    assert!(warning.starts_with("service name \"my service\" is answered as my-service-"), "{warning}");
}

#[tokio::test]
async fn a_wrong_body_is_named_in_plain_text() {
    let server = start().await;
    let put = |body: &'static str| server.put("/v1/agent/service/register", body);
    refused(&put(r#"{"Prot": 80}"#).await, 400, "Prot: unknown field; did you mean Port?");
    refused(&put("{}").await, 400, "Name: must be given");
    let answer = put("{").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.starts_with("not JSON: EOF"), "{}", answer.body);
    assert_eq!(put("").await.status, 400);
}

#[tokio::test]
async fn a_body_above_its_limit_is_413() {
    let server = start().await;
    let answer = server.call("PUT", "/v1/agent/service/register", vec![b' '; 1024 * 1024 + 1]).await;
    refused(&answer, 413, "the body must be at most 1 MiB");
    let most = format!("{}{}", " ".repeat(1024 * 1024 - 15), r#"{"Name": "web"}"#);
    assert_eq!(server.put("/v1/agent/service/register", &most).await.status, 200);
}

#[tokio::test]
async fn a_client_that_sends_far_too_much_still_sees_the_413() {
    let server = start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, server.router.clone()).into_future());
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "PUT /v1/agent/service/register HTTP/1.1\r\nHost: example\r\nContent-Length: 16777216\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    soon(client.write_all(&vec![b' '; 16 * 1024 * 1024])).await.unwrap();
    let mut answer = Vec::new();
    soon(client.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    serving.abort();
}

#[test]
fn each_failure_of_a_submission_has_its_status() {
    let check = |error: SubmitError, status: u16| {
        assert_eq!(ApiError::from(error).into_response().status().as_u16(), status);
    };
    check(SubmitError::Busy, 503);
    check(SubmitError::Broken, 500);
    check(SubmitError::Closed, 503);
    let (path, problem) = (Arc::from("/var/lib/nameplate/catalog.redb"), Arc::from("No space left on device"));
    let failure = SubmitError::Journal(JournalFailure { path, problem });
    assert_eq!(
        ApiError::from(failure.clone()).to_string(),
        "the change is in force, but may not survive a restart: cannot write to /var/lib/nameplate/catalog.redb: \
         No space left on device"
    );
    check(failure, 500);
    check(ChangeError::UnknownNode(NodeName::new("n9").unwrap()).into(), 500);
}

#[tokio::test]
async fn an_identical_registration_moves_no_index() {
    let server = start().await;
    let body = r#"{"Name": "web", "Check": {"TTL": "10s", "Status": "passing"}}"#;
    server.register(body).await;
    let before = server.get("/v1/health/service/web").await.index();
    server.register(body).await;
    assert_eq!(server.get("/v1/health/service/web").await.index(), before);
}

#[tokio::test]
async fn a_ttl_check_is_renewed_and_keeps_its_status_over_a_registration() {
    let server = start().await;
    let body = r#"{"Name": "web", "Check": {"TTL": "10s"}}"#;
    server.register(body).await;
    let status = async || server.get("/v1/agent/checks").await.json()["service:web"]["Status"].clone();
    assert_eq!(status().await, "critical");
    assert_eq!(server.put("/v1/agent/check/pass/service:web?note=fine", "").await.status, 200);
    assert_eq!(status().await, "passing");
    server.register(body).await;
    let check = server.get("/v1/agent/checks").await.json()["service:web"].clone();
    assert_eq!((&check["Status"], &check["Output"]), (&json!("passing"), &json!("fine")));
    assert_eq!((&check["Type"], &check["ServiceName"]), (&json!("ttl"), &json!("web")));
    assert_eq!(server.put("/v1/agent/check/warn/service:web", "").await.status, 200);
    assert_eq!(status().await, "warning");
    assert_eq!(server.put("/v1/agent/check/fail/service:web", "").await.status, 200);
    assert_eq!(status().await, "critical");
    let update = server.put("/v1/agent/check/update/service:web", r#"{"status": "passing", "output": "ok"}"#).await;
    assert_eq!((update.status, status().await), (200, json!("passing")));
}

#[tokio::test]
async fn a_heartbeat_that_changes_no_status_publishes_nothing() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Check": {"TTL": "10s"}}"#).await;
    let before = server.published.load().index();
    *server.heartbeat.lock().unwrap() = HeartbeatOutcome::Renewed;
    assert_eq!(server.put("/v1/agent/check/pass/service:web", "").await.status, 200);
    assert_eq!(server.published.load().index(), before);
    let result = CheckResult { status: CheckStatus::Warning, output: "counted".into() };
    *server.heartbeat.lock().unwrap() = HeartbeatOutcome::Changed(result);
    assert_eq!(server.put("/v1/agent/check/pass/service:web", "").await.status, 200);
    assert_eq!(server.get("/v1/agent/checks").await.json()["service:web"]["Output"], "counted");
}

#[tokio::test]
async fn a_check_deadline_shows_what_its_newest_heartbeat_said() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Checks": [{"TTL": "10s"}, {"CheckID": "tcp", "TCP": "192.0.2.1:80", "Interval": "9s"}]}"#).await;
    *server.newest_output.lock().unwrap() = Some("newest".into());
    let checks = server.get("/v1/agent/checks").await.json();
    assert_eq!((&checks["service:web:1"]["Output"], &checks["tcp"]["Output"]), (&json!("newest"), &json!("")));
    let health = server.get("/v1/health/service/web").await.json();
    let outputs = health[0]["Checks"].as_array().unwrap().iter().map(|check| check["Output"].as_str().unwrap());
    assert_eq!(outputs.collect::<Vec<_>>(), ["Agent alive and reachable", "newest", ""]);
    let kept = server.get("/v1/agent/checks?filter=Output==newest").await.json();
    assert_eq!(kept.as_object().unwrap().keys().collect::<Vec<_>>(), ["service:web:1"]);
}

#[tokio::test]
async fn only_known_ttl_checks_are_renewed() {
    let server = start().await;
    refused(
        &server.put("/v1/agent/check/pass/x", "").await,
        404,
        "Unknown check ID \"x\". Ensure that the check ID is passed, not the check name.",
    );
    refused(
        &server.put("/v1/agent/check/fail/serfHealth", "").await,
        400,
        "check ID \"serfHealth\" is not a TTL check; its status comes from elsewhere",
    );
    server.register(r#"{"Name": "web", "Check": {"TTL": "10s"}}"#).await;
    let answer = server.put("/v1/agent/check/update/service:web", r#"{"Status": "up"}"#).await;
    refused(&answer, 400, "Status: expected \"passing\", \"warning\" or \"critical\", not \"up\"");
}

#[tokio::test]
async fn checks_are_registered_and_deregistered_by_themselves() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Tags": ["blue"]}"#).await;
    let put = |body: &'static str| server.put("/v1/agent/check/register", body);
    assert_eq!(put(r#"{"Name": "alive", "ServiceID": "web", "TTL": "1m"}"#).await.status, 200);
    assert_eq!(put(r#"{"Name": "disk", "TTL": "1m", "Status": "passing"}"#).await.status, 200);
    let checks = server.get("/v1/agent/checks").await.json();
    assert_eq!((&checks["alive"]["ServiceID"], &checks["alive"]["ServiceTags"]), (&json!("web"), &json!(["blue"])));
    assert_eq!(checks["disk"]["ServiceID"], "");
    let ids: Vec<_> = checks.as_object().unwrap().keys().collect();
    assert_eq!(ids, ["alive", "disk"], "serfHealth is a check of the catalog's, not of an agent's");
    refused(
        &put(r#"{"Name": "x", "ServiceID": "none", "TTL": "1m"}"#).await,
        404,
        "ServiceID: no service has the ID \"none\"",
    );
    refused(
        &put(r#"{"Name": "serfHealth", "TTL": "1m"}"#).await,
        400,
        "check ID \"serfHealth\" was registered by the server source; change it there",
    );
    assert_eq!(server.put("/v1/agent/check/deregister/alive", "").await.status, 200);
    assert_eq!(server.put("/v1/agent/check/deregister/alive", "").await.status, 404);
    assert_eq!(server.put("/v1/agent/check/deregister/serfHealth", "").await.status, 400);
}

#[tokio::test]
async fn passing_leaves_out_whoever_has_a_check_that_does_not() {
    let server = start().await;
    server
        .register(r#"{"Name": "web", "ID": "w1", "Tags": ["A", "b"], "Check": {"TTL": "1m", "Status": "passing"}}"#)
        .await;
    server.register(r#"{"Name": "web", "ID": "w2", "Tags": ["a"], "Check": {"TTL": "1m", "Status": "warning"}}"#).await;
    let count = async |query: &str| {
        server.get(&format!("/v1/health/service/web?{query}")).await.json().as_array().map(Vec::len)
    };
    assert_eq!(count("").await, Some(2));
    for query in ["passing", "passing=1", "passing=true", "passing=True"] {
        assert_eq!(count(query).await, Some(1), "{query}");
    }
    assert_eq!(count("passing=false").await, Some(2));
    assert_eq!(count("tag=a").await, Some(2));
    assert_eq!(count("tag=a&tag=b").await, Some(1));
    assert_eq!(server.get("/v1/health/service/web?passing=maybe").await.status, 400);
}

#[tokio::test]
async fn a_large_list_is_answered_like_a_small_one() {
    let server = start().await;
    let owner = Owner { node: NodeName::new("n1").unwrap(), origin: Origin::Docker };
    let registration = |at: usize| {
        let text = format!(r#"{{"Name": "web", "ID": "w{at:04}", "Port": 80}}"#);
        definition::service(&definition::json::parse(text.as_bytes()).unwrap(), "", &owner).unwrap().value
    };
    let changes = (0..1200).map(|at| Change::Register(Box::new(registration(at)))).collect();
    server.feed.submit(changes).await.unwrap();
    let all = server.get("/v1/health/service/web?passing").await.json();
    assert_eq!((all.as_array().map(Vec::len), &all[1199]["Service"]["ID"]), (Some(1200), &json!("w1199")));
    assert_eq!(server.get("/v1/catalog/service/web").await.json().as_array().map(Vec::len), Some(1200));
}

#[tokio::test]
async fn maintenance_is_a_critical_check_until_it_ends() {
    let server = start().await;
    server.register(r#"{"Name": "web"}"#).await;
    let path = "/v1/agent/service/maintenance/web";
    refused(&server.put(path, "").await, 400, "enable: must be given, as true or false");
    assert_eq!(server.put(&format!("{path}?enable=maybe"), "").await.status, 400);
    assert_eq!(server.put("/v1/agent/service/maintenance/none?enable=true", "").await.status, 404);
    assert_eq!(server.put(&format!("{path}?enable=True&reason=disk"), "").await.status, 200);
    let check = server.get("/v1/agent/checks").await.json()["_service_maintenance:web"].clone();
    assert_eq!(
        (&check["Status"], &check["Type"], &check["Notes"]),
        (&json!("critical"), &json!("maintenance"), &json!("disk"))
    );
    assert_eq!(server.get("/v1/health/service/web?passing").await.body, "[]");
    assert_eq!(server.put(&format!("{path}?enable=false"), "").await.status, 200);
    assert_eq!(server.get("/v1/health/service/web?passing").await.json().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_filter_looks_at_the_elements_of_every_list() {
    let server = start().await;
    server.register(r#"{"Name": "web", "ID": "w1", "Tags": ["blue"], "Meta": {"external-source": "nomad"}}"#).await;
    server.register(r#"{"Name": "web", "ID": "w2", "Tags": ["red"], "Check": {"TTL": "1m"}}"#).await;
    server.register(r#"{"Name": "db"}"#).await;
    let get = async |path: &str, filter: &str| {
        let query: String = filter.bytes().map(|byte| format!("%{byte:02x}")).collect();
        server.get(&format!("{path}?filter={query}")).await.json()
    };
    assert_eq!(get("/v1/catalog/services", "ServiceName matches \"^w\"").await, json!({"web": ["blue", "red"]}));
    assert_eq!(get("/v1/catalog/services", "\"blue\" in ServiceTags").await, json!({"web": ["blue"]}));
    assert_eq!(get("/v1/catalog/service/web", "ServiceID == w2").await[0]["ServiceID"], "w2");
    assert_eq!(get("/v1/catalog/nodes", "Node != n1").await, json!([]));
    assert_eq!(get("/v1/health/service/web", "Checks.CheckID == \"service:w2\"").await[0]["Service"]["ID"], "w2");
    let nomad = get("/v1/agent/services", "Meta[\"external-source\"] == \"nomad\"").await;
    assert_eq!(nomad.as_object().map(|services| services.keys().cloned().collect()), Some(vec!["w1".to_owned()]));
    let ours = get("/v1/agent/checks", "ServiceName is not empty").await;
    assert_eq!(ours.as_object().map(serde_json::Map::len), Some(1));
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_server_goes_on() {
    let server = start().await;
    let answer = server.get("/v1/dns/query?name=panic.example").await;
    refused(&answer, 500, "internal error; the server goes on");
    assert_eq!(server.get("/v1/status/leader").await.body, "\"192.0.2.1:8300\"");
}

#[tokio::test]
async fn ready_waits_for_every_source() {
    let server = start().await;
    assert_eq!(server.get("/v1/status/ready").await.status, 200);
    let status =
        SourceStatus { name: Arc::from("docker"), origin: Origin::Docker, synced: false, stale: false, away: None };
    server.feed.set_source(status.clone()).await.unwrap();
    let answer = server.get("/v1/status/ready").await;
    assert_eq!((answer.status, &answer.json()["Sources"][0]["Name"]), (503, &json!("docker")));
    server.feed.set_source(SourceStatus { synced: true, ..status }).await.unwrap();
    assert_eq!(server.get("/v1/status/ready").await.status, 200);
}

#[tokio::test]
async fn dns_is_explained_and_its_cache_emptied() {
    let server = start().await;
    let explained = server.get("/v1/dns/query?name=web.internal&type=SRV").await.json();
    assert_eq!(explained, json!({"Name": "web.internal", "Type": "SRV"}));
    refused(&server.get("/v1/dns/query").await, 400, "name: must be given");
    assert_eq!(server.put("/v1/dns/cache/flush?name=www.example", "").await.json(), json!({"Flushed": 0}));
    assert_eq!(server.put("/v1/dns/cache/flush", "").await.json(), json!({"Flushed": 1}));
    refused(&server.put("/v1/dns/cache/flush?name=bad..name", "").await, 400, "name: two dots");
}

#[tokio::test]
async fn metrics_are_openmetrics_for_who_asks_for_it() {
    let server = start().await;
    server.get("/v1/catalog/nodes").await;
    let asked = |accept| Request::builder().uri("/metrics").header("accept", accept).body(Body::empty()).unwrap();
    let metrics = server.send(asked("application/openmetrics-text;version=1.0.0,text/plain;q=0.2")).await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(
        metrics.body.contains("path=\"/v1/catalog/nodes\"") && metrics.body.ends_with("# EOF\n"),
        "{}",
        metrics.body
    );
    let metrics = server.send(asked("*/*")).await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(metrics.body.contains("# TYPE nameplate_http_requests_total counter\n"), "{}", metrics.body);
}
