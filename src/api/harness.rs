//! The API on a real feed and publisher, for tests.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tower::ServiceExt;

use super::{
    Api, ApiParts, HeartbeatOutcome, LocalNode,
    access::{self, AccessParts},
};
use crate::{
    access::Level,
    catalog::{
        change::Change,
        names::{NodeName, Text},
        policy::ScriptChecks,
        service::Meta,
    },
    observe::metrics::Metrics,
    publish::{
        feed::Feed,
        publisher::{Publisher, Start},
        watch::Published,
    },
};

/// A server without sockets: node `n1`, datacenter `dc1`.
pub(super) struct Harness {
    pub(super) feed: Feed,
    pub(super) published: Arc<Published>,
    pub(super) router: Router,
    pub(super) heartbeat: Arc<Mutex<HeartbeatOutcome>>,
    /// What heartbeats said last.
    pub(super) newest_output: Arc<Mutex<Option<Text>>>,
    /// How often what heartbeats say has changed.
    pub(super) heard: Arc<AtomicU64>,
    pub(super) metrics: Arc<Metrics>,
    /// How many heartbeats there were.
    pub(super) renewed: Arc<AtomicU32>,
    /// Told when files are to be read again.
    pub(super) reload: Arc<Notify>,
    pub(super) stop: watch::Sender<bool>,
}

/// A response, read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) body: String,
}

impl Answer {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    pub(super) fn index(&self) -> u64 {
        self.headers["x-consul-index"].to_str().unwrap().parse().unwrap()
    }
}

pub(super) fn local() -> LocalNode {
    LocalNode {
        node: NodeName::new("n1").unwrap(),
        uuid: Arc::from("6e9c1a4e-0000-4000-8000-000000000001"),
        datacenter: Arc::from("dc1"),
        advertise: "192.0.2.1".parse().unwrap(),
        meta: Meta::default(),
        dns: watch::channel(vec!["127.0.0.1:8600".parse().unwrap()]).1,
    }
}

pub(super) async fn start() -> Harness {
    start_with(WAITING_MAX).await
}

/// A server on which so many reads may wait.
pub(super) async fn start_with(waiting: usize) -> Harness {
    start_guarded(waiting, access::off(Level::Write)).await
}

/// A server on which so many reads may wait, and on which not everybody may do everything.
pub(super) async fn start_guarded(waiting: usize, access: AccessParts) -> Harness {
    start_on(waiting, access, Start::example(100)).await
}

/// The same, on a publisher that begins so.
pub(super) async fn start_on(waiting: usize, access: AccessParts, start: Start) -> Harness {
    start_of(waiting, access, start, ScriptChecks::Off).await
}

/// A server whose checks may run commands.
pub(super) async fn start_with_scripts() -> Harness {
    start_of(WAITING_MAX, access::off(Level::Write), Start::example(100), ScriptChecks::All).await
}

async fn start_of(waiting: usize, access: AccessParts, start: Start, script_checks: ScriptChecks) -> Harness {
    let metrics = Arc::clone(&start.metrics);
    let (_, feed, published) = Publisher::start(start).unwrap();
    feed.submit(local().registration()).await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let heartbeat = Arc::new(Mutex::new(HeartbeatOutcome::Unknown));
    let outcome = Arc::clone(&heartbeat);
    let newest_output = Arc::new(Mutex::new(None));
    let heard = Arc::new(AtomicU64::new(0));
    let said = Arc::clone(&heard);
    let newest = Arc::clone(&newest_output);
    let renewed = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&renewed);
    let flushed = AtomicU32::new(0);
    let reload = Arc::new(Notify::new());
    let parts = ApiParts {
        feed: feed.clone(),
        published: Arc::clone(&published),
        local: local(),
        renew_session: Arc::new(|_| ()),
        said: Arc::new(move || said.load(Ordering::Relaxed)),
        newest_output: Arc::new(move |_, _| newest.lock().unwrap().clone()),
        heartbeat: Arc::new(move |_, _, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            outcome.lock().unwrap().clone()
        }),
        flush: Arc::new(move |name| match name {
            Some("bad..name") => Err("name: two dots".to_owned()),
            _ => Ok(u64::from(flushed.fetch_add(1, Ordering::Relaxed))),
        }),
        metrics: Arc::clone(&metrics),
        explain: Arc::new(|name, kind| match name {
            "panic.example" => panic!("a test of what a panic does"),
            _ => {
                let explained = serde_json::json!({ "Name": name, "Type": kind });
                Box::pin(async move { Ok(explained) })
            }
        }),
        reload: Arc::clone(&reload),
        access,
        hosts: super::hosts::Hosts::Any,
        script_checks,
        txn_max_ops: 64,
        waiting_max: waiting,
        stopping,
    };
    let router = Api::new(parts).router();
    Harness { feed, published, router, heartbeat, newest_output, heard, metrics, renewed, reload, stop }
}

impl Harness {
    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(Request::builder().method(method).uri(path).body(body.into()).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "").await
    }

    pub(super) async fn put(&self, path: &str, body: &str) -> Answer {
        self.call("PUT", path, body.to_owned()).await
    }

    /// Registers an instance; the definition must be accepted.
    pub(super) async fn register(&self, body: &str) {
        let answer = self.put("/v1/agent/service/register", body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    }

    pub(super) async fn submit(&self, change: Change) {
        self.feed.submit(vec![change]).await.unwrap();
    }
}

/// Waits for what another task does; a test that waits longer has failed.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it comes soon")
}

/// Reads that may wait. Source: none, chosen: more than a test has.
pub(super) const WAITING_MAX: usize = 1000;
