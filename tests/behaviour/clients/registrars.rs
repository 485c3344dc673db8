//! Registrator and Fabio: they register, and look again and again whether it still holds.

use serde_json::json;

use super::{Caller, go_index};
use crate::harness::{Running, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registrator_registers_resyncs_and_cleans_up() {
    let Running { server, at } = start("").await;
    let registrator = Caller::go(at);
    let leader = registrator.json("/v1/status/leader").await;
    assert!(!leader.as_str().unwrap().is_empty(), "its ping");
    let web = r#"{"ID":"host1:web:80","Name":"web","Tags":["blue"],"Port":8080,"Address":"192.0.2.10","Meta":{"rack":"r7"},"Check":{"TTL":"30s","DeregisterCriticalServiceAfter":"10m"},"Checks":null}"#;
    let dns = r#"{"ID":"host1:dns:53:udp","Name":"dns","Port":53,"Address":"192.0.2.11","Check":null,"Checks":null}"#;
    for body in [web, dns] {
        registrator.register("/v1/agent/service/register", body).await;
    }
    registrator.put("/v1/agent/check/pass/service:host1:web:80", "").await;

    // A resync registers everything again: check state stays, and nobody who watches is woken.
    let before = at.get("/v1/health/service/web").await;
    for body in [web, dns] {
        registrator.register("/v1/agent/service/register", body).await;
    }
    let after = at.get("/v1/health/service/web?passing").await;
    assert_eq!((after.index(), &after.body), (before.index(), &before.body));
    assert_eq!(at.addresses("web.service.internal.").await, ["192.0.2.10"]);

    // With -cleanup it takes away what has its form of ID and no container.
    let services = registrator.json("/v1/agent/services").await;
    let ours = services.as_object().unwrap().iter().filter(|(id, _)| id.starts_with("host1:"));
    for (id, service) in ours {
        assert_eq!((&service["ID"], service["Service"].is_string()), (&json!(id), true));
        registrator.put(&format!("/v1/agent/service/deregister/{id}"), "").await;
    }
    assert!(at.addresses("web.service.internal.").await.is_empty());

    // Its consulkv backend writes keys.
    let key = "/v1/kv/services/web/host1:web:80";
    assert_eq!(registrator.put(key, "192.0.2.10:8080").await.body, "true");
    assert_eq!(registrator.send("DELETE", key, "").await.body, "true");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fabio_routes_to_what_passes() {
    let Running { server, at } = start("").await;
    let fabio = Caller::go(at);
    assert_eq!(fabio.json("/v1/agent/self").await["Config"]["Datacenter"], "dc1");
    let body = r#"{"ID":"fabio-host1-9998","Name":"fabio","Tags":["edge"],"Port":9998,"Address":"192.0.2.20","Check":null,"Checks":[{"CheckID":"fabio-host1-9998-ttl","TTL":"30s","DeregisterCriticalServiceAfter":"1m"},{"Interval":"1s","Timeout":"3s","HTTP":"http://127.0.0.1:1/health","DeregisterCriticalServiceAfter":"1m"}]}"#;
    fabio.register("/v1/agent/service/register", body).await;
    fabio.put("/v1/agent/check/pass/fabio-host1-9998-ttl?note=", "").await;
    assert!(fabio.json("/v1/agent/services").await["fabio-host1-9998"].is_object(), "else it registers each second");
    fabio.put("/v1/agent/service/deregister/fabio-host1-9998", "").await;

    at.register(
        json!({ "Name": "web", "ID": "web-1", "Tags": ["urlprefix-/web"], "Port": 80, "Check": { "TTL": "1m" } }),
    )
    .await;
    let states = fabio.get("/v1/health/state/any?consistent=").await;
    let index = go_index(&states);
    let find = |page: &crate::harness::Page, id: &str| {
        let checks = page.json();
        checks.as_array().unwrap().iter().find(|check| check["CheckID"] == id).cloned()
    };
    let alive = find(&states, "serfHealth").expect("nothing of a node without it is routed to");
    assert_eq!((&alive["Node"], &alive["Status"], &alive["ServiceID"]), (&json!("n1"), &json!("passing"), &json!("")));
    let check = find(&states, "service:web-1").unwrap();
    assert_eq!((&check["ServiceName"], &check["ServiceTags"]), (&json!("web"), &json!(["urlprefix-/web"])));

    let states = fabio.wait(format!("/v1/health/state/any?consistent=&index={index}"), 1).await;
    at.put("/v1/agent/check/pass/service:web-1", "").await;
    let states = states.await.unwrap();
    assert!(go_index(&states) > index);
    assert_eq!(find(&states, "service:web-1").unwrap()["Status"], "passing");
    let instance = fabio.json("/v1/catalog/service/web?consistent=").await[0].clone();
    for (field, value) in [
        ("Node", json!("n1")),
        ("Address", json!("192.0.2.1")),
        ("ServiceID", json!("web-1")),
        ("ServiceAddress", json!("")),
        ("ServicePort", json!(80)),
        ("ServiceTags", json!(["urlprefix-/web"])),
    ] {
        assert_eq!(instance[field], value, "{field}");
    }

    // Maintenance is seen by the names of its checks.
    at.put("/v1/agent/service/maintenance/web-1?enable=true", "").await;
    at.put("/v1/agent/maintenance?enable=true", "").await;
    let states = fabio.get("/v1/health/state/any?consistent=").await;
    for id in ["_service_maintenance:web-1", "_node_maintenance"] {
        assert_eq!(find(&states, id).unwrap()["Status"], "critical", "{id}");
    }
    assert_eq!(find(&states, "_service_maintenance:web-1").unwrap()["ServiceID"], "web-1");

    // Its manual routes are keys that it follows, and that its user interface changes if nobody else did.
    let miss = fabio.send("GET", "/v1/kv/fabio/config?consistent=&recurse=", "").await;
    assert_eq!((miss.status, miss.body.as_str()), (404, ""));
    let index = go_index(&miss);
    let manual =
        tokio::spawn(
            async move { fabio.get(&format!("/v1/kv/fabio/config?consistent=&index={index}&recurse=")).await },
        );
    until("it waits", async || at.metric("nameplate_http_blocked").await >= 1.0).await;
    assert_eq!(fabio.put("/v1/kv/fabio/config?cas=0", "route add web /").await.body, "true");
    let manual = manual.await.unwrap();
    assert_eq!((&manual.json()[0]["Value"], go_index(&manual) > index), (&json!("cm91dGUgYWRkIHdlYiAv"), true));
    assert_eq!(fabio.put("/v1/kv/fabio/config?cas=0", "").await.body, "false");
    server.shutdown().await;
}
