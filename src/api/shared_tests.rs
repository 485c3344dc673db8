use std::sync::atomic::Ordering::Relaxed;

use axum::http::Request;

use super::*;
use crate::{
    access::Level,
    api::harness::{Harness, WAITING_MAX, soon, start, start_guarded},
};

fn counts(server: &Harness) -> (u64, u64) {
    let metrics = &server.metrics;
    (metrics.http_results_made.get(), metrics.http_results_shared.get())
}

#[tokio::test]
async fn equal_reads_get_one_result_until_something_is_published() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Port": 80}"#).await;
    for _ in 0..3 {
        assert_eq!(server.get("/v1/health/service/web?passing").await.json()[0]["Service"]["Port"], 80);
    }
    assert_eq!(counts(&server), (1, 2));
    server.register(r#"{"Name": "web", "Port": 81}"#).await;
    for _ in 0..2 {
        assert_eq!(server.get("/v1/health/service/web?passing").await.json()[0]["Service"]["Port"], 81);
    }
    assert_eq!(counts(&server), (2, 3));
}

#[tokio::test]
async fn reads_that_wake_together_get_one_result() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Port": 80}"#).await;
    let index = server.get("/v1/health/service/web").await.index();
    let before = counts(&server);
    let mut reads = tokio::task::JoinSet::new();
    for number in 0..50 {
        let router = server.router.clone();
        // How long each waits is its own affair.
        let uri = format!("/v1/health/service/web?index={index}&wait={}s", 100 + number);
        reads.spawn(async move {
            let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
            tower::ServiceExt::oneshot(router, request).await.unwrap().status()
        });
    }
    while server.metrics.http_blocked.get() < 50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(counts(&server), before);
    server.register(r#"{"Name": "other"}"#).await;
    server.register(r#"{"Name": "web", "Port": 81}"#).await;
    while let Some(status) = soon(reads.join_next()).await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(counts(&server), (before.0 + 1, before.1 + 49));
    assert_eq!(server.metrics.http_woken.get(), 50, "another service wakes nobody");
}

#[tokio::test]
async fn reads_that_differ_share_nothing() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Port": 80, "Tags": ["a"]}"#).await;
    let paths = [
        "/v1/health/service/web",
        "/v1/health/service/web?passing",
        "/v1/health/service/web?tag=a",
        "/v1/health/service/web?tag=b",
        "/v1/health/service/web?filter=Service.Port==80",
        "/v1/health/service/web?pretty",
        "/v1/health/service/web?cached",
        "/v1/health/service/web?stale",
        "/v1/health/service/other",
        "/v1/health/checks/web",
        "/v1/catalog/service/web",
        "/v1/catalog/services",
        "/v1/catalog/nodes",
        "/v1/catalog/node/n1",
        "/v1/health/node/n1",
        "/v1/health/state/any",
    ];
    for path in paths {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    assert_eq!(counts(&server), (paths.len() as u64, 0));
}

#[tokio::test]
async fn what_a_heartbeat_says_is_shown_at_once() {
    let server = start().await;
    server.register(r#"{"Name": "web", "Check": {"TTL": "1m", "Status": "passing"}}"#).await;
    let output = async || server.get("/v1/health/checks/web").await.json()[0]["Output"].clone();
    assert_eq!(output().await, "");
    *server.newest_output.lock().unwrap() = Some("all is well".into());
    server.heard.fetch_add(1, Relaxed);
    assert_eq!(output().await, "all is well");
}

#[tokio::test]
async fn callers_of_other_rights_have_results_of_their_own() {
    let server = crate::api::access::tests::start().await;
    let read = async |token: &str| {
        let request = Request::builder().uri("/v1/catalog/nodes").header("x-consul-token", token);
        server.send(request.body(Body::empty()).unwrap()).await.json().as_array().unwrap().len()
    };
    let all = read("audit-audit-audit").await;
    assert_eq!((read("").await, read("audit-audit-audit").await), (read("").await, all));
    let open = start_guarded(WAITING_MAX, crate::api::access::off(Level::Read)).await;
    assert_eq!(open.get("/v1/catalog/nodes").await.status, 200);
}

#[tokio::test]
async fn a_result_is_compressed_once_and_only_for_who_asks() {
    let server = start().await;
    for number in 0..20 {
        server.register(&format!(r#"{{"Name": "web", "ID": "web-{number}", "Port": 80}}"#)).await;
    }
    let read = async |coding: &str| {
        let request = Request::builder().uri("/v1/health/service/web").header("accept-encoding", coding);
        let response = tower::ServiceExt::oneshot(server.router.clone(), request.body(Body::empty()).unwrap()).await;
        let (head, body) = response.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (head.headers.get("content-encoding").cloned(), head.headers["vary"].clone(), body)
    };
    let (coding, _, plain) = read("identity").await;
    assert_eq!(coding, None);
    for accepted in ["gzip", "deflate, gzip;q=0.5", "*"] {
        let (coding, vary, body) = read(accepted).await;
        assert_eq!((coding, vary), (Some("gzip".parse().unwrap()), "accept-encoding".parse().unwrap()), "{accepted}");
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
    }
    for refused in ["gzip;q=0", "br", ""] {
        assert_eq!(read(refused).await.0, None, "{refused}");
    }
    assert_eq!(counts(&server).0, 1);
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let server = start().await;
    let answers = Answers::new();
    let question = |number: usize| Question {
        path: "/v1/health/service/{*name}",
        last: Some(format!("s{number}")),
        parameters: Vec::new(),
        authorizer: Arc::new(Authorizer::new([], Level::Read)),
    };
    let (last, _) = answers.answer(&question(0), &server.published, 0);
    for number in 0..3 * 2 * SHARDS * SHARD_MAX {
        let (answer, _) = answers.answer(&question(number), &server.published, 0);
        answers.grown(&question(number), &answer, 1);
    }
    let kept = || -> Vec<usize> {
        answers
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap())
            .map(|shard| shard.young.len() + shard.old.len())
            .collect()
    };
    assert!(kept().iter().all(|kept| *kept <= 2 * SHARD_MAX), "{:?}", kept());
    assert!(!Arc::ptr_eq(&last, &answers.answer(&question(0), &server.published, 0).0), "it was asked for long ago");
    let (large, _) = answers.answer(&question(1), &server.published, 0);
    answers.grown(&question(1), &large, SHARD_MAX_BYTES + 1);
    assert!(!Arc::ptr_eq(&large, &answers.answer(&question(1), &server.published, 0).0), "it is too large");
}

#[tokio::test]
async fn a_kept_result_is_what_a_new_one_would_be_whatever_has_changed() {
    let server = start().await;
    let paths = [
        "/v1/health/service/web?passing",
        "/v1/health/service/web?filter=Node.Meta.rack==r1",
        "/v1/health/checks/web?",
        "/v1/health/state/critical?",
        "/v1/health/node/n2?",
        "/v1/catalog/service/web?node-meta=rack:r1",
        "/v1/catalog/services?",
        "/v1/catalog/nodes?",
        "/v1/catalog/node/n1?",
        "/v1/kv/a?recurse",
        "/v1/kv/a/b?raw",
        "/v1/session/list?",
    ];
    let mut random = 7_u32;
    for step in 0..150 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (what, which) = (random >> 28, random >> 24 & 3);
        let changed = match what {
            0..4 => {
                let body = format!(
                    r#"{{"Name": "web", "ID": "web-{which}", "Port": {}, "Check": {{"TTL": "1h"}}}}"#,
                    1 + step
                );
                server.put("/v1/agent/service/register", &body).await
            }
            4..6 => server.put(&format!("/v1/agent/service/deregister/web-{which}"), "").await,
            6..8 => {
                let body = format!(
                    r#"{{"Node": "n2", "Address": "192.0.2.2", "NodeMeta": {{"rack": "r{which}"}},
                    "Service": {{"Service": "web", "Port": 80}},
                    "Check": {{"Name": "alive", "Status": "{}"}}}}"#,
                    ["passing", "warning", "critical", "passing"][which as usize]
                );
                server.put("/v1/catalog/register", &body).await
            }
            8..11 => {
                let verb = ["pass", "warn", "fail", "pass"][which as usize];
                server.put(&format!("/v1/agent/check/{verb}/service:web-{which}?note=note{step}"), "").await
            }
            11..13 => server.put(&format!("/v1/agent/maintenance?enable={}", which == 0), "").await,
            13 => server.put("/v1/session/create", "{}").await,
            14 => server.call("DELETE", "/v1/kv/a/b", "").await,
            _ => server.put(&format!("/v1/kv/a/{}", ["b", "c", "d", "e"][which as usize]), &format!("{step}")).await,
        };
        assert!(matches!(changed.status, 200 | 404), "{}", changed.body);
        for path in paths {
            let (kept, new) = (server.get(path).await, server.get(&format!("{path}&new={step}")).await);
            assert_eq!(
                (kept.status, kept.body, kept.headers),
                (new.status, new.body, new.headers),
                "{path} after {step}"
            );
        }
    }
    let (made, shared) = counts(&server);
    assert!(made > 0 && shared > 0, "{made} {shared}");
}
