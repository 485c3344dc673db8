//! Prometheus, consul-template, Traefik: they follow services with reads that wait.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Caller, aggregated, go_index};
use crate::harness::{Running, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_follows_each_service_by_itself() {
    let Running { server, at } = start("").await;
    let prometheus = Caller { headers: "User-Agent: Prometheus/3.5.0\r\nX-Consul-Token: secret\r\n", ..Caller::go(at) };
    let web = json!({ "Node": "web1", "Address": "192.0.2.40", "NodeMeta": { "rack": "r7" },
                      "TaggedAddresses": { "wan": "198.51.100.40" },
                      "Service": { "ID": "web-1", "Service": "web", "Port": 9100, "Address": "192.0.2.41",
                                   "Tags": ["blue", "primary"], "Meta": { "version": "1" } } });
    at.put("/v1/catalog/register", &web.to_string()).await;
    at.register(json!({ "Name": "db", "Port": 5432 })).await;

    assert_eq!(prometheus.json("/v1/agent/self").await["Config"]["Datacenter"], "dc1");
    let services = "/v1/catalog/services?node-meta=rack%3Ar7&stale=&wait=120000ms";
    let names = prometheus.get(services).await;
    assert_eq!(names.json(), json!({ "web": ["blue", "primary"] }));
    let index_of_names = go_index(&names);
    let instances = "/v1/health/service/web?node-meta=rack%3Ar7&stale=&tag=blue&tag=primary&wait=120000ms";
    let found = prometheus.get(instances).await;
    let index = go_index(&found);
    let entry = found.json()[0].clone();
    let (node, service) = (&entry["Node"], &entry["Service"]);
    assert_eq!(
        (&node["Node"], &node["Address"], &node["Datacenter"]),
        (&json!("web1"), &json!("192.0.2.40"), &json!("dc1"))
    );
    assert_eq!((&node["Meta"]["rack"], &node["TaggedAddresses"]["wan"]), (&json!("r7"), &json!("198.51.100.40")));
    assert_eq!(
        (&service["ID"], &service["Address"], &service["Port"]),
        (&json!("web-1"), &json!("192.0.2.41"), &json!(9100))
    );
    assert_eq!((&service["Tags"], &service["Meta"]["version"]), (&json!(["blue", "primary"]), &json!("1")));
    assert_eq!(aggregated(&entry["Checks"]), "passing");

    // One read waits for the names and one for each service; each is woken by what it is about.
    let names = prometheus.wait(services.replace("stale", &format!("index={index_of_names}&stale")), 1).await;
    let web_read = prometheus.wait(instances.replace("node-meta", &format!("index={index}&node-meta")), 2).await;
    let db = prometheus.get("/v1/health/service/db?stale=&wait=120000ms").await;
    let db_read =
        prometheus.wait(format!("/v1/health/service/db?index={}&stale=&wait=120000ms", go_index(&db)), 3).await;
    at.put("/v1/catalog/register", &web.to_string()).await;
    at.register(json!({ "Name": "db", "Port": 5433 })).await;
    assert_eq!(db_read.await.unwrap().json()[0]["Service"]["Port"], 5433);
    assert!(!web_read.is_finished(), "nothing of web has changed");
    // Any change of an instance wakes the read of names, with Consul too; what is equal it takes for no change.
    let names = names.await.unwrap();
    assert_eq!(names.json(), json!({ "web": ["blue", "primary"] }));
    let names = prometheus.wait(services.replace("stale", &format!("index={}&stale", go_index(&names))), 2).await;
    let gone = json!({ "Node": "web1", "ServiceID": "web-1" });
    at.put("/v1/catalog/deregister", &gone.to_string()).await;
    let (web_read, names) = (web_read.await.unwrap(), names.await.unwrap());
    assert_eq!((web_read.json(), names.json()), (json!([]), json!({})));
    assert!(go_index(&web_read) > index && go_index(&names) > index_of_names);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consul_template_renders_what_it_depends_on() {
    let Running { server, at } = start("").await;
    let template = Caller::go(at);
    let web = json!({ "Name": "web", "ID": "web-1", "Port": 80, "Tags": ["blue"], "Meta": { "a": "b" },
                      "Weights": { "Passing": 3, "Warning": 1 }, "Check": { "TTL": "1m", "Status": "passing" } });
    at.register(web).await;
    assert_eq!(template.json("/v1/catalog/datacenters").await, json!(["dc1"]));
    assert_eq!(template.json("/v1/agent/self").await["Config"]["NodeName"], "n1");
    let options = "stale=&wait=60000ms";
    let node = template.get(&format!("/v1/catalog/node/n1?{options}")).await;
    assert_eq!((&node.json()["Node"]["Node"], &node.json()["Services"]["web-1"]["Port"]), (&json!("n1"), &json!(80)));
    assert_eq!(template.get(&format!("/v1/catalog/node/nowhere?{options}")).await.body, "null");
    assert_eq!(template.json(&format!("/v1/catalog/nodes?{options}")).await[0]["Node"], "n1");
    assert_eq!(template.json(&format!("/v1/catalog/services?{options}")).await["web"], json!(["blue"]));
    assert_eq!(
        template.json(&format!("/v1/catalog/service/web?{options}&tag=blue")).await[0]["ServiceWeights"]["Passing"],
        3
    );
    let health = template.get("/v1/health/service/web?dc=dc1&near=_agent&passing=1&stale=&wait=60000ms").await;
    let entry = health.json()[0].clone();
    assert_eq!(entry["Service"]["Weights"], json!({ "Passing": 3, "Warning": 1 }));
    assert!(entry["Node"]["Meta"].is_object());
    let index = go_index(&health);

    // It goes back to no index when one is smaller than before. Here that does not take the whole wait.
    let began = Instant::now();
    let smaller = template
        .get(&format!("/v1/health/service/web?index={}&passing=1&stale=&wait=60000ms", index + 1_000_000))
        .await;
    assert_eq!(go_index(&smaller), index);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(go_index(&template.get("/v1/health/service/web?passing=1&stale=&wait=60000ms").await), index);
    let watch = template.wait(format!("/v1/health/service/web?index={index}&passing=1&stale=&wait=60000ms"), 1).await;
    at.put("/v1/agent/check/fail/service:web-1", "").await;
    let watch = watch.await.unwrap();
    assert_eq!((watch.json(), go_index(&watch) > index), (json!([]), true));

    // Keys: one that is not there is waited for.
    let miss = template.send("GET", &format!("/v1/kv/app/name?{options}"), "").await;
    assert_eq!(miss.status, 404);
    let waiting = template.wait(format!("/v1/kv/app/name?index={}&{options}", go_index(&miss)), 1).await;
    template.put("/v1/kv/app/name", "plate").await;
    assert_eq!(waiting.await.unwrap().json()[0]["Value"], "cGxhdGU=");
    assert_eq!(template.json(&format!("/v1/kv/app/?recurse=&{options}")).await[0]["Key"], "app/name");
    assert_eq!(template.json(&format!("/v1/kv/app/?keys=&{options}")).await, json!(["app/name"]));

    // What is not here is answered as by a Consul without it.
    for (target, status) in [
        ("/v1/health/connect/web?passing=1&stale=&wait=60000ms", 200),
        ("/v1/peerings?stale=&wait=60000ms", 200),
        ("/v1/exported-services?stale=&wait=60000ms", 200),
        ("/v1/agent/connect/ca/roots?stale=&wait=60000ms", 500),
        ("/v1/partitions?stale=&wait=60000ms", 404),
    ] {
        assert_eq!(template.send("GET", target, "").await.status, status, "{target}");
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traefik_tells_equal_ids_on_two_nodes_apart() {
    let Running { server, at } = start("").await;
    let traefik = Caller {
        headers: "User-Agent: Go-http-client/1.1\r\nAuthorization: Basic dXNlcjpzZWNyZXQ=\r\n",
        ..Caller::go(at)
    };
    for (node, status) in [("web1", "passing"), ("web2", "critical")] {
        let service = json!({ "ID": "web", "Service": "web", "Port": 80, "Tags": ["traefik.enable=true"] });
        let check = json!({ "CheckID": "alive", "Name": "alive", "ServiceID": "web", "Status": status });
        let body = json!({ "Node": node, "Address": "192.0.2.50", "Service": service, "Check": check });
        at.put("/v1/catalog/register", &body.to_string()).await;
    }
    let services = traefik.get("/v1/catalog/services?cached=&stale=").await;
    assert_eq!(services.json()["web"], json!(["traefik.enable=true"]));
    let instances = traefik.json("/v1/catalog/service/web?cached=&stale=&tag=traefik.enable%3Dtrue").await;
    let health = traefik.json("/v1/health/service/web?cached=&stale=&tag=traefik.enable%3Dtrue").await;
    let key = |node: &serde_json::Value, service: &serde_json::Value| {
        format!("{}{}", node.as_str().unwrap(), service.as_str().unwrap())
    };
    let statuses: std::collections::BTreeMap<String, &str> = health
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (key(&entry["Node"]["ID"], &entry["Service"]["ID"]), aggregated(&entry["Checks"])))
        .collect();
    let found: Vec<_> = instances
        .as_array()
        .unwrap()
        .iter()
        .map(|instance| (instance["Node"].as_str().unwrap(), statuses[&key(&instance["ID"], &instance["ServiceID"])]))
        .collect();
    assert_eq!(found, [("web1", "passing"), ("web2", "critical")]);
    assert!(health.as_array().unwrap().iter().all(|entry| entry["Node"]["ID"].as_str().unwrap().len() == 36), "UUIDs");

    // It watches by two plans, which say nothing of how long to wait.
    let (names, checks) = (go_index(&services), go_index(&traefik.get("/v1/health/state/any").await));
    let names = traefik.wait(format!("/v1/catalog/services?index={names}"), 1).await;
    let checks = traefik.wait(format!("/v1/health/state/any?index={checks}"), 2).await;
    let gone = json!({ "Node": "web2" });
    at.put("/v1/catalog/deregister", &gone.to_string()).await;
    assert!(checks.await.unwrap().json().as_array().unwrap().iter().all(|check| check["Node"] != "web2"));
    names.await.unwrap();
    let roots = traefik.send("GET", "/v1/agent/connect/ca/roots", "").await;
    assert_eq!((roots.status, roots.body.as_str()), (500, "Connect must be enabled in order to use this endpoint"));
    server.shutdown().await;
}
