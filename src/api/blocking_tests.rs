use std::time::Duration;

use axum::{body::Body, http::Request};

use crate::{
    api::harness::{Answer, soon, start, start_with},
    catalog::{
        change::Change,
        check::{CheckKey, CheckResult, CheckStatus},
        names::{CheckId, NodeName},
    },
};

#[tokio::test]
async fn a_blocking_read_is_answered_when_its_service_changes() {
    let server = start().await;
    server.register(r#"{"Name": "web"}"#).await;
    let index = server.get("/v1/health/service/web").await.index();
    let router = server.router.clone();
    let path = format!("/v1/health/service/web?index={index}&wait=60s");
    let waiting = tokio::spawn(async move {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        tower::ServiceExt::oneshot(router, request).await.unwrap()
    });
    server.register(r#"{"Name": "other"}"#).await;
    assert!(!waiting.is_finished());
    server.register(r#"{"Name": "web", "ID": "web-2"}"#).await;
    let response = soon(waiting).await.unwrap();
    let answered: u64 = response.headers()["x-consul-index"].to_str().unwrap().parse().unwrap();
    assert!(answered > index);
}

#[tokio::test]
async fn a_blocking_read_ends_with_its_time_and_tells_what_holds() {
    let server = start().await;
    let index = server.get("/v1/catalog/services").await.index();
    let answer = soon(server.get(&format!("/v1/catalog/services?index={index}&wait=20ms"))).await;
    assert_eq!((answer.status, answer.index()), (200, index));
}

#[tokio::test]
async fn an_index_from_another_life_is_answered_at_once() {
    let server = start().await;
    let index = server.get("/v1/catalog/nodes").await.index();
    for other in [format!("{}", index + 1_000), format!("{}", index - 1), "-1".to_owned(), "0".to_owned()] {
        let answer = soon(server.get(&format!("/v1/catalog/nodes?index={other}&wait=10m"))).await;
        assert_eq!((answer.status, answer.index()), (200, index));
    }
}

#[tokio::test]
async fn more_reads_than_may_wait_are_refused() {
    let server = start_with(0).await;
    let index = server.get("/v1/catalog/nodes").await.index();
    let answer = server.get(&format!("/v1/catalog/nodes?index={index}")).await;
    assert_eq!((answer.status, &answer.headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(server.get(&format!("/v1/catalog/nodes?index={}", index + 1)).await.status, 200);
}

#[tokio::test]
async fn a_waiting_read_is_answered_when_the_server_stops() {
    let server = start().await;
    let index = server.get("/v1/catalog/nodes").await.index();
    server.stop.send(true).unwrap();
    assert_eq!(soon(server.get(&format!("/v1/catalog/nodes?index={index}"))).await.status, 200);
}

#[tokio::test]
async fn a_read_with_a_hash_waits_until_it_is_another_one() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Port": 80}"#).await;
    let hash = |answer: &Answer| answer.headers["x-consul-contenthash"].to_str().unwrap().to_owned();
    let answer = server.get("/v1/agent/service/web").await;
    let first = hash(&answer);
    assert_eq!((&answer.json()["ContentHash"], &answer.json()["Port"]), (&first.as_str().into(), &80.into()));
    let same = soon(server.get(&format!("/v1/agent/service/web?hash={first}&wait=10ms"))).await;
    assert_eq!(hash(&same), first);
    server.register(r#"{"Name": "web", "Port": 81}"#).await;
    let other = soon(server.get(&format!("/v1/agent/service/web?hash={first}"))).await;
    assert_ne!(hash(&other), first);
}

#[tokio::test]
async fn a_result_that_changes_only_the_text_wakes_nobody() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Check": {"TTL": "1h", "Status": "passing"}}"#).await;
    let index = server.get("/v1/health/service/web").await.index();
    let mut reads = Vec::new();
    for path in ["health/service/web", "catalog/service/web", "health/state/any", "health/node/n1"] {
        let index = server.get(&format!("/v1/{path}")).await.index();
        let (router, path) = (server.router.clone(), format!("/v1/{path}?index={index}&wait=60s"));
        reads.push(tokio::spawn(async move {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            tower::ServiceExt::oneshot(router, request).await.unwrap()
        }));
    }
    let metrics = &server.metrics;
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let all_wait = async {
        while metrics.http_blocked.get() < 4 {
            ticks.tick().await;
        }
    };
    soon(all_wait).await;
    let set = |status, output: &str| {
        let key = CheckKey { node: NodeName::new("n1").unwrap(), id: CheckId::new("service:web").unwrap() };
        Change::SetStatus { key, result: CheckResult { status, output: output.into() } }
    };
    for output in ["fine", "finer"] {
        server.submit(set(CheckStatus::Passing, output)).await;
        let shown = server.get("/v1/health/service/web").await;
        assert!(shown.body.contains(&format!("\"Output\":\"{output}\"")), "{}", shown.body);
        assert_eq!(shown.index(), index);
    }
    for _ in 0..20 {
        ticks.tick().await;
    }
    assert_eq!((metrics.http_woken.get(), metrics.http_blocked.get()), (0, 4));
    server.submit(set(CheckStatus::Critical, "finer")).await;
    for read in reads {
        assert!(soon(read).await.unwrap().headers()["x-consul-index"] != index.to_string());
    }
}
