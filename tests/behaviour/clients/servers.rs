//! Servers that are configured from the catalog: HAProxy's data plane API, and the control planes of Envoy.

use serde_json::json;

use super::{Caller, go_index};
use crate::harness::{Running, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxys_data_plane_api_polls() {
    let Running { server, at } = start("").await;
    let headers = "User-Agent: Go-http-client/1.1\r\nX-Consul-Token: secret\r\nns: default\r\n";
    let haproxy = Caller { headers, ..Caller::go(at) };
    at.register(json!({ "Name": "web", "Port": 80, "Check": { "TTL": "1m", "Status": "passing" } })).await;
    at.register(json!({ "Name": "db", "Address": "192.0.2.60", "Port": 5432 })).await;
    let names = haproxy.json("/v1/catalog/services?filter=ServiceName+matches+%22%5E%28web%7Cdb%29%24%22").await;
    assert_eq!(names, json!({ "db": [], "web": [] }));
    let web = haproxy.get("/v1/health/service/web").await;
    let entry = web.json()[0].clone();
    assert_eq!(
        (&entry["Service"]["Address"], &entry["Node"]["Address"], &entry["Service"]["Port"]),
        (&json!(""), &json!("192.0.2.1"), &json!(80)),
        "without an address of its own it is at its node's"
    );
    let statuses = entry["Checks"].as_array().unwrap().iter().map(|check| check["Status"].as_str().unwrap());
    assert_eq!(statuses.collect::<Vec<_>>(), ["passing", "passing"], "with policy all, each must pass");

    // An equal index means unchanged: what happens elsewhere leaves it, what happens here moves it.
    at.register(json!({ "Name": "db", "Address": "192.0.2.61", "Port": 5432 })).await;
    assert_eq!(haproxy.get("/v1/health/service/web").await.index(), web.index());
    at.put("/v1/agent/check/fail/service:web", "").await;
    assert!(haproxy.get("/v1/health/service/web").await.index() > web.index());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_control_compares_indexes_and_bodies() {
    let Running { server, at } = start("").await;
    let control = Caller { headers: "User-Agent: okhttp/4.12.0\r\nX-Consul-Token: secret\r\n", ..Caller::go(at) };
    let web = json!({ "Name": "web", "Tags": ["lbw:5"], "Address": "192.0.2.70", "Port": 80,
                      "Check": { "TTL": "1m", "Status": "passing" } });
    at.register(web.clone()).await;
    assert_eq!(control.json("/v1/agent/self").await["Config"]["Datacenter"], "dc1");
    assert_eq!(control.json("/v1/catalog/datacenters").await, json!(["dc1"]));
    let names = control.get("/v1/catalog/services?wait=5m&stale=&index=0").await;
    assert!(names.json()["web"].is_array());
    let path = "/v1/health/service/web?passing=true&wait=5m&stale=";
    let first = control.get(&format!("{path}&index=0")).await;
    let service = first.json()[0]["Service"].clone();
    assert_eq!(
        [&service["ID"], &service["Tags"], &service["Address"], &service["Port"]],
        [&json!("web"), &json!(["lbw:5"]), &json!("192.0.2.70"), &json!(80)],
        "it drops an instance that lacks one of these"
    );
    assert_eq!(control.get(&format!("{path}&index=0")).await.body, first.body, "equal bodies are no news");

    // It discards what comes with the index that it has, so that news must come with another.
    let read = control.wait(format!("{path}&index={}", first.index()), 1).await;
    at.register(web).await;
    at.put("/v1/agent/check/fail/service:web", "").await;
    let news = read.await.unwrap();
    assert_eq!((news.json(), news.index() > first.index()), (json!([]), true));
    // A service that nobody ever had is followed, too, and its index is never 0.
    let nobody = control.get("/v1/health/service/nobody?passing=true&wait=5m&stale=&index=0").await;
    assert_eq!((nobody.json(), nobody.index() > 0), (json!([]), true));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consul_envoy_xds_reads_what_its_watch_tells_of() {
    let Running { server, at } = start("").await;
    let xds = Caller {
        headers: "User-Agent: Go-http-client/1.1\r\nX-Consul-Token: secret\r\n",
        always: "dc=dc1",
        ..Caller::go(at)
    };
    at.register(json!({ "Name": "web", "Port": 80, "Check": { "TTL": "1m", "Status": "passing" } })).await;
    let index = go_index(&xds.get("/v1/catalog/services").await);
    let instance = xds.json("/v1/catalog/service/web").await[0].clone();
    assert_eq!((&instance["Address"], &instance["ServicePort"]), (&json!("192.0.2.1"), &json!(80)));
    assert_eq!(xds.json("/v1/health/service/web?passing=1").await.as_array().unwrap().len(), 1);
    assert_eq!(xds.send("GET", "/v1/kv/xds/config", "").await.status, 404);
    let watch = xds.wait(format!("/v1/catalog/services?index={index}"), 1).await;
    at.register(json!({ "Name": "web", "ID": "web-2", "Port": 81, "Tags": ["blue"] })).await;
    let watch = watch.await.unwrap();
    assert_eq!((&watch.json()["web"], go_index(&watch) > index), (&json!(["blue"]), true));
    server.shutdown().await;
}
