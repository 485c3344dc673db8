//! Spring Cloud Consul: registers itself, sends heartbeats, watches the catalog and its configuration in keys.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Caller;
use crate::harness::{Client, Running, start};

fn spring(at: Client) -> Caller {
    Caller {
        headers: "Accept: application/json\r\nContent-Type: application/json\r\nX-Consul-Token: none\r\n",
        ..Caller::go(at)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spring_registers_and_beats() {
    let Running { server, at } = start("").await;
    let spring = spring(at);
    assert_eq!(spring.json("/v1/status/leader").await, "192.0.2.1:8300");
    assert_eq!(spring.json("/v1/status/peers").await, json!(["192.0.2.1:8300"]));
    // What it does not know is null.
    let body = r#"{"ID":"app-8080","Name":"app","Tags":["blue"],"Address":"192.0.2.30","Meta":{"secure":"false"},"Port":8080,"EnableTagOverride":null,"Check":{"Args":null,"DockerContainerID":null,"Shell":null,"Interval":null,"TTL":"30s","HTTP":null,"Method":null,"Header":{},"TCP":null,"Timeout":null,"DeregisterCriticalServiceAfter":"1m","TLSSkipVerify":null,"Status":null,"GRPC":null,"GRPCUseTLS":null},"Checks":null}"#;
    let heartbeat = "/v1/agent/check/pass/service:app-8080";
    assert_eq!(spring.send("PUT", heartbeat, "").await.status, 404, "has it register again");
    spring.register("/v1/agent/service/register", body).await;
    assert_eq!(spring.put(heartbeat, "").await.body, "");
    let index = at.index("app").await;
    spring.register("/v1/agent/service/register", body).await;
    assert_eq!(at.index("app").await, index, "the state of the check stays");
    let http = body.replace(r#""TTL":"30s""#, r#""TTL":null"#).replace("app-8080", "app-8081");
    let http = http.replace(r#""HTTP":null"#, r#""HTTP":"http://127.0.0.1:1/actuator/health""#);
    let http = http.replace(r#""Interval":null"#, r#""Interval":"10s""#);
    spring.register("/v1/agent/service/register", &http).await;

    assert_eq!(spring.json("/v1/agent/services").await["app-8080"]["Meta"], json!({ "secure": "false" }));
    let passing = spring.json("/v1/health/service/app?passing=true&tag=blue").await;
    assert_eq!(passing[0]["Service"]["ID"], "app-8080");
    assert_eq!(passing.as_array().unwrap().len(), 1);
    assert_eq!(spring.json("/v1/health/service/app?passing=false").await.as_array().unwrap().len(), 2);
    assert_eq!(spring.json("/v1/health/checks/app").await[0]["CheckID"], "service:app-8080");
    assert_eq!(spring.json("/v1/catalog/service/app").await[0]["ServicePort"], 8080);
    assert_eq!(spring.json("/v1/catalog/nodes").await[0]["Node"], "n1");
    assert_eq!(spring.json("/v1/catalog/datacenters").await, json!(["dc1"]));
    for (verb, status) in [("warn", "warning"), ("fail", "critical")] {
        spring.put(&format!("/v1/agent/check/{verb}/service:app-8080?note=why"), "").await;
        assert_eq!(spring.json("/v1/health/checks/app").await[0]["Status"], status);
    }
    for enable in ["true", "false"] {
        spring.put(&format!("/v1/agent/service/maintenance/app-8080?enable={enable}"), "").await;
    }
    spring.put("/v1/agent/service/deregister/app-8080", "").await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spring_watches_from_an_index_of_minus_one() {
    let Running { server, at } = start("").await;
    let spring = spring(at);
    // Where its watch of the catalog begins it leaves the index out; that of its configuration may say -1.
    let began = Instant::now();
    let first = spring.get("/v1/catalog/services?wait=2s").await;
    let catalog = first.index();
    spring.get("/v1/catalog/services?index=-1&wait=55s").await;
    let key = "/v1/kv/config%2Fapp,dev%2F";
    let miss = spring.send("GET", &format!("{key}?recurse&wait=55s&index=-1"), "").await;
    assert_eq!((miss.status, miss.body.as_str()), (404, ""));
    assert!(began.elapsed() < Duration::from_secs(5), "none of these waits");

    let changed = spring.wait(format!("/v1/catalog/services?index={catalog}&wait=2s"), 1).await;
    at.register(json!({ "Name": "app" })).await;
    let changed = changed.await.unwrap();
    assert!(changed.index() > catalog && changed.json()["app"].is_array());
    // Its paths have their slashes escaped, and the keys have slashes.
    let text = Caller { headers: "Content-Type: text/plain\r\n", ..spring };
    let property = format!("{key}message");
    let waiting =
        tokio::spawn(
            async move { spring.send("GET", &format!("{key}?recurse&wait=55s&index={}", miss.index()), "").await },
        );
    assert_eq!(text.put(&property, "hello").await.body, "true");
    let found = waiting.await.unwrap().json();
    assert_eq!((&found[0]["Key"], &found[0]["Value"]), (&json!("config/app,dev/message"), &json!("aGVsbG8=")));
    assert_eq!(spring.json(&property).await[0]["Key"], "config/app,dev/message");
    assert_eq!(spring.send("DELETE", &property, "").await.body, "true");

    assert_eq!(spring.json("/v1/events").await, json!([]));
    spring.put("/v1/event/fire/refresh", "now").await;
    assert_eq!(spring.json("/v1/events").await[0]["Name"], "refresh");
    server.shutdown().await;
}
