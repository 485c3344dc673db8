//! Targets have names, which count as others' machines, and are all on loopback.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::net::TcpListener;

use crate::{
    catalog::{
        change::{Change, Origin},
        check::{CheckKind, CheckStatus},
        names::ServiceName,
    },
    health::{
        GuardSettings, Health, HealthSettings,
        damping::DampingSettings,
        testing::{Catalog, check_of, definition, key, resolver, tcp_check, until},
        tests::settings,
    },
    observe::metrics::Metrics,
};

const MILLIS: Duration = Duration::from_millis(1);

/// A catalog with ten checks of ten names, each every 100 ms, which all pass. The second change of a check is one too many.
struct Scene {
    catalog: Catalog,
    metrics: Arc<Metrics>,
    target: TcpListener,
    at: SocketAddr,
    _health: Health,
}

impl Scene {
    /// The reference target is this; failures are held for so long.
    async fn start(reference: &str, hold: Duration) -> Scene {
        let catalog = Catalog::start().await;
        let metrics = Arc::new(Metrics::new());
        let guard = GuardSettings { targets: vec![reference.into()], hold, upstream: Arc::new(|| None) };
        let [window, hold, hold_max] = [MILLIS * 60_000; 3];
        let damping = DampingSettings { changes: 1, window, hold, hold_max };
        let settings = HealthSettings { metrics: Arc::clone(&metrics), guard: Some(guard), damping, ..settings(0) };
        let health = Health::start(settings, catalog.feed.clone(), Arc::clone(&catalog.published), resolver());
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = target.local_addr().unwrap();
        let checks = IDS.map(|id| {
            let tcp = definition(CheckKind::Tcp(tcp_check()), 100 * MILLIS, 1000 * MILLIS);
            check_of(id, (format!("{id}.example:{}", at.port()), tcp))
        });
        catalog.register("n1", checks.into()).await;
        catalog.until("all pass", |catalog| count(catalog, CheckStatus::Passing) == IDS.len()).await;
        Scene { catalog, metrics, target, at, _health: health }
    }
}

fn count(catalog: &Catalog, status: CheckStatus) -> usize {
    IDS.iter().filter(|id| catalog.status(id).is_some_and(|(found, _)| found == status)).count()
}

fn is_told(catalog: &Catalog) -> bool {
    catalog.published.load().is_held(&ServiceName::new("web").unwrap())
}

#[tokio::test]
async fn without_an_answer_all_stay_until_they_pass_again() {
    let Scene { catalog, metrics, target, at, _health } = Scene::start(SILENT, 60_000 * MILLIS).await;
    drop(target);
    until("all are held", || metrics.checks_held.get() == IDS.len() as i64).await;
    catalog.until("all are as they were", |catalog| count(catalog, CheckStatus::Passing) == IDS.len()).await;
    until("answers tell", || is_told(&catalog)).await;
    for id in IDS {
        let output = catalog.status(id).unwrap().1;
        assert!(output.starts_with("held: ") && output.contains("refused"), "{output}");
    }
    let mut has_left = false;
    let _target = TcpListener::bind(at).await.unwrap();
    until("none is held", || {
        has_left |= count(&catalog, CheckStatus::Passing) < IDS.len();
        metrics.checks_held.get() == 0
    })
    .await;
    assert!(!has_left);
    until("answers tell no more", || !is_told(&catalog)).await;
    let plain = |catalog: &Catalog| IDS.iter().all(|id| catalog.status(id).unwrap().1.starts_with("TCP connect"));
    catalog.until("outputs are as ever", plain).await;
    assert_eq!(metrics.check_holds.get(), 0, "an outage of ours is no flapping of theirs");
}

#[tokio::test]
async fn with_an_answer_all_count() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let scene = Scene::start(&closed.to_string(), 60_000 * MILLIS).await;
    drop(scene.target);
    scene.catalog.until("all are out", |catalog| count(catalog, CheckStatus::Critical) == IDS.len()).await;
    assert!(!is_told(&scene.catalog) && scene.metrics.checks_held.get() == 0);
}

#[tokio::test]
async fn when_time_is_up_all_count_once() {
    let Scene { catalog, metrics, target, at, _health } = Scene::start(SILENT, 1000 * MILLIS).await;
    let started = Instant::now();
    drop(target);
    until("all are held", || metrics.checks_held.get() == IDS.len() as i64).await;
    catalog.until("all are out", |catalog| count(catalog, CheckStatus::Critical) == IDS.len()).await;
    assert!(started.elapsed() >= 1000 * MILLIS);
    until("none is held", || metrics.checks_held.get() == 0 && !is_told(&catalog)).await;
    assert_eq!(metrics.check_holds.get(), 0, "each has changed once");
    let _target = TcpListener::bind(at).await.unwrap();
    until("each has changed twice", || metrics.check_holds.get() == IDS.len() as u64).await;
}

#[tokio::test]
async fn nothing_is_left_of_checks_that_go_while_they_are_held() {
    let Scene { catalog, metrics, target, _health, .. } = Scene::start(SILENT, 60_000 * MILLIS).await;
    drop(target);
    until("all are held", || metrics.checks_held.get() == IDS.len() as i64).await;
    until("answers tell", || is_told(&catalog)).await;
    let started = Instant::now();
    for id in IDS {
        catalog.submit(Change::DeregisterCheck { key: key(id), origin: Origin::Api }).await;
    }
    until("none is held", || metrics.checks_held.get() == 0 && !is_told(&catalog)).await;
    // It is asked every 2 s.
    assert!(started.elapsed() < 1500 * MILLIS, "not before it was asked again");
}

const IDS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// It has no address, so that nobody answers there.
const SILENT: &str = "none.example";
