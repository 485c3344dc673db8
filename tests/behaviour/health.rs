//! Checks, and what DNS makes of them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use hickory_proto::{op::ResponseCode, rr::RecordType};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::harness::{Client, Running, start, until};

/// A service that is checked over HTTP: answers every request with this status; 0 leaves them unanswered.
struct Checked {
    at: SocketAddr,
    status: Arc<AtomicU16>,
    requests: Arc<AtomicUsize>,
}

impl Checked {
    async fn start(status: u16) -> Checked {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let checked = Checked {
            at: listener.local_addr().unwrap(),
            status: Arc::new(AtomicU16::new(status)),
            requests: Arc::default(),
        };
        let (status, requests) = (Arc::clone(&checked.status), Arc::clone(&checked.requests));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (status, requests) = (Arc::clone(&status), Arc::clone(&requests));
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    while stream.read(&mut head).await.is_ok_and(|length| length > 0) {
                        requests.fetch_add(1, SeqCst);
                        let status = status.load(SeqCst);
                        let response = format!("HTTP/1.1 {status} Said\r\nContent-Length: 4\r\n\r\nsaid");
                        if status != 0 && stream.write_all(response.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        checked
    }

    fn set(&self, status: u16) -> usize {
        self.status.store(status, SeqCst);
        self.requests.load(SeqCst)
    }

    async fn asked_after(&self, requests: usize) {
        until("the check is probed", async || self.requests.load(SeqCst) > requests).await;
    }
}

async fn is_answered(at: Client, service: &str) -> bool {
    !at.addresses(&format!("{service}.service.internal.")).await.is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_check_takes_an_instance_out_and_back_in() {
    let Running { server, at } = start("").await;
    let checked = Checked::start(200).await;
    let check = json!({ "HTTP": format!("http://{}/health", checked.at), "Interval": "1s" });
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80, "Check": check })).await;
    until("the first probe runs at once", async || is_answered(at, "web").await).await;
    checked.set(500);
    until("it goes", async || !is_answered(at, "web").await).await;
    let answered = at.ask("web.service.internal.", RecordType::A).await;
    assert_eq!(answered.rcode, ResponseCode::NoError, "the service is known, whatever its checks say");
    assert_eq!(answered.extended, Some((0, "web: 1 registered, 0 passing".to_owned())));
    let page = at.json("/v1/health/service/web").await;
    assert!(page[0]["Checks"][1]["Output"].as_str().unwrap().contains("500"), "{page}");
    assert_eq!(at.json("/v1/health/service/web?passing").await, json!([]));
    checked.set(429);
    until("429 is a warning, which is answered", async || is_answered(at, "web").await).await;
    assert_eq!(at.json("/v1/health/service/web").await[0]["Checks"][1]["Status"], "warning");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_deadline_that_is_not_renewed_takes_an_instance_out() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80, "Check": { "TTL": "1s" } })).await;
    assert!(!is_answered(at, "web").await);
    assert_eq!(at.put("/v1/agent/check/pass/service:web", "").await.status, 200);
    assert!(is_answered(at, "web").await, "who got the 200 sees it");
    until("the deadline passes", async || !is_answered(at, "web").await).await;
    let page = at.json("/v1/health/service/web").await;
    assert_eq!(page[0]["Checks"][1]["Status"], "critical");
    assert_eq!(at.put("/v1/agent/check/pass/service:web", "").await.status, 200);
    assert!(is_answered(at, "web").await);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_that_publishes_nothing_is_shown_all_the_same() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80, "Check": { "TTL": "1m" } })).await;
    let shown = async || {
        let (agent, health) = (at.json("/v1/agent/checks").await, at.json("/v1/health/service/web").await);
        let agent = agent["service:web"]["Output"].clone();
        let ours = |check: &&serde_json::Value| check["CheckID"] == "service:web";
        let health = health[0]["Checks"].as_array().unwrap().iter().find(ours).unwrap()["Output"].clone();
        assert_eq!(agent, health);
        agent
    };
    let renew = async |path: &str| assert_eq!(at.put(&format!("/v1/agent/check/{path}"), "").await.status, 200);
    renew("fail/service:web?note=disk%20full").await;
    assert_eq!(shown().await, "disk full", "it was critical from the start");
    let why = at.json("/v1/dns/query?name=web.service.internal").await["Instances"][0]["Reason"].clone();
    assert_eq!(why, "critical: check service:web: disk full");
    renew("pass/service:web?note=up").await;
    assert_eq!(shown().await, "up");
    let index = at.index("web").await;
    renew("pass/service:web?note=still%20up").await;
    assert_eq!((shown().await, at.index("web").await), (json!("still up"), index));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tcp_check_fails_when_nobody_listens() {
    let Running { server, at } = start("").await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let check = json!({ "TCP": listener.local_addr().unwrap(), "Interval": "1s" });
    at.register(json!({ "Name": "db", "Address": "192.0.2.9", "Port": 80, "Check": check })).await;
    until("it is in", async || is_answered(at, "db").await).await;
    drop(listener);
    until("it is out", async || !is_answered(at, "db").await).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thresholds_count_results_before_the_status_changes() {
    let Running { server, at } = start("").await;
    let checked = Checked::start(200).await;
    let check = json!({
        "HTTP": format!("http://{}/", checked.at), "Interval": "1s",
        "SuccessBeforePassing": 2, "FailuresBeforeCritical": 2,
    });
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80, "Check": check })).await;
    until("the first result of all counts at once", async || is_answered(at, "web").await).await;
    let before = checked.set(500);
    checked.asked_after(before).await;
    assert!(is_answered(at, "web").await, "one failure is not enough");
    until("two failures", async || !is_answered(at, "web").await).await;
    assert!(checked.requests.load(SeqCst) >= before + 2);
    let before = checked.set(200);
    checked.asked_after(before).await;
    assert!(!is_answered(at, "web").await, "one success is not enough");
    until("two successes", async || is_answered(at, "web").await).await;
    assert!(checked.requests.load(SeqCst) >= before + 2);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_check_delays_another() {
    let Running { server, at } = start("").await;
    let (silent, good) = (Checked::start(0).await, Checked::start(200).await);
    for number in 0..300 {
        let check = json!({ "HTTP": format!("http://{}/", silent.at), "Interval": "1m", "Timeout": "30s" });
        at.register(json!({ "Name": "mute", "ID": format!("mute-{number}"), "Port": 80, "Check": check })).await;
    }
    until("as many of them hang as may", async || silent.requests.load(SeqCst) >= 64).await;
    let check = json!({ "HTTP": format!("http://{}/", good.at), "Interval": "1m" });
    let began = Instant::now();
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80, "Check": check })).await;
    until("the other is checked", async || is_answered(at, "web").await).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_finds_its_target_by_a_name_of_ours() {
    let Running { server, at } = start("").await;
    let checked = Checked::start(200).await;
    at.register(json!({ "Name": "backend", "Address": "127.0.0.1", "Port": checked.at.port() })).await;
    let url = format!("http://backend.service.internal:{}/", checked.at.port());
    let check = json!({ "HTTP": url, "Interval": "1s" });
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80, "Check": check })).await;
    until("the name is resolved", async || is_answered(at, "web").await).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_check_holds_for_all_instances_of_the_node() {
    let Running { server, at } = start("").await;
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80 })).await;
    let check = json!({ "ID": "disk", "Name": "disk", "TTL": "1m", "Status": "passing" });
    assert_eq!(at.put("/v1/agent/check/register", &check.to_string()).await.status, 200);
    assert!(is_answered(at, "web").await);
    assert_eq!(at.put("/v1/agent/check/fail/disk", "").await.status, 200);
    assert!(!is_answered(at, "web").await);
    assert_eq!(at.addresses("n1.node.internal.").await, ["192.0.2.1"], "a node is answered whatever its checks say");
    assert_eq!(at.put("/v1/agent/check/deregister/disk", "").await.status, 200);
    assert!(is_answered(at, "web").await);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_eligible_is_answered_as_configured() {
    let toml = "[service.none]\nnone_eligible = \"nxdomain\"\n[service.all]\nnone_eligible = \"all\"";
    let Running { server, at } = start(toml).await;
    for name in ["web", "none", "all"] {
        at.register(json!({ "Name": name, "Address": "192.0.2.9", "Port": 80, "Check": { "TTL": "1m" } })).await;
    }
    let ask = async |name| {
        let answered = at.ask(name, RecordType::A).await;
        (answered.rcode, answered.data.len())
    };
    assert_eq!(ask("web.service.internal.").await, (ResponseCode::NoError, 0));
    assert_eq!(ask("none.service.internal.").await, (ResponseCode::NXDomain, 0));
    assert_eq!(ask("all.service.internal.").await, (ResponseCode::NoError, 1));
    assert_eq!(at.put("/v1/agent/service/maintenance/all?enable=true", "").await.status, 200);
    assert_eq!(ask("all.service.internal.").await, (ResponseCode::NoError, 0), "never those in maintenance");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_checks_its_own_health() {
    let Running { server, at } = start("").await;
    until("its own check passes", async || is_answered(at, "nameplate").await).await;
    let answered = at.ask("nameplate.service.internal.", RecordType::SRV).await;
    assert_eq!(answered.data, [format!("1 1 {} 7f000001.addr.internal.", at.http.port())]);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_ask_does_not_concern_our_own_probes() {
    let web = Checked::start(200).await;
    let Running { server, at } =
        start("allow_query = [\"192.0.2.0/24\"]\nallow_recursion = [\"198.51.100.0/24\"]").await;
    at.register(json!({ "Name": "host", "Address": "127.0.0.1", "Port": 80 })).await;
    let url = format!("http://host.service.internal:{}/", web.at.port());
    at.register(json!({ "Name": "web", "Port": 80, "Check": { "HTTP": url, "Interval": "1s" } })).await;
    assert_eq!(at.ask("web.service.internal.", RecordType::A).await.rcode, ResponseCode::Refused);
    until("the check passes", async || {
        let health = at.json("/v1/health/service/web?passing").await;
        !health.as_array().unwrap().is_empty()
    })
    .await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_are_probed_on_under_another_node_name() {
    let data = tempfile::tempdir().unwrap();
    let named = |node: &str| format!("data_dir = {:?}\nnode = {node:?}", data.path());
    let web = Checked::start(200).await;
    let Running { server, at } = start(&named("n1")).await;
    let check = json!({ "HTTP": format!("http://{}/", web.at), "Interval": "1s" });
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80, "Check": check })).await;
    until("it is in", async || is_answered(at, "web").await).await;
    server.shutdown().await;

    let Running { server, at } = start(&named("n2")).await;
    assert!(is_answered(at, "web").await, "it keeps its status");
    let nodes = at.json("/v1/catalog/nodes").await;
    assert_eq!(nodes.as_array().unwrap().iter().map(|one| &one["Node"]).collect::<Vec<_>>(), ["n2"]);
    let before = web.set(500);
    web.asked_after(before).await;
    until("it is out", async || !is_answered(at, "web").await).await;
    web.set(200);
    until("it is in again", async || is_answered(at, "web").await).await;
    assert!(at.json("/v1/agent/services").await["web"].is_object());
    assert_eq!(at.put("/v1/agent/service/deregister/web", "").await.status, 200);
    let answered = at.ask("web.service.internal.", RecordType::A).await;
    assert_eq!(answered.rcode, ResponseCode::NXDomain);
    server.shutdown().await;
}
