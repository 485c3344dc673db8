//! What another machine told us is looked after there: here nothing is probed, renewed, reaped, damped or guarded of it.

use std::time::{Duration, Instant};

use super::{
    testing::{Catalog, check_of, definition, http, http_check, key, response},
    tests::{settings, start},
    *,
};
use crate::{
    catalog::{
        change::{Change, Origin},
        check::{Check, CheckDefinition, CheckKey, CheckKind, CheckStatus},
        node::Node,
        service::Instance,
    },
    health::deadlines::Heartbeat,
};

const MILLIS: Duration = Duration::from_millis(1);

fn told(node: &str, check: Check) -> Check {
    Check { node: NodeName::new(node).unwrap(), origin: Origin::Cluster, ..check }
}

/// Registers the instance `web-1` of another machine on a node, with these checks.
async fn tell(catalog: &Catalog, node: &str, checks: Vec<Check>) {
    let origin = Origin::Cluster;
    catalog.submit(Change::RegisterNode(Node { origin, ..Node::example(node) })).await;
    let instance = crate::catalog::testing::instance("web", "web-1");
    let instance = Instance { node: NodeName::new(node).unwrap(), origin, ..instance };
    let registration = crate::catalog::change::Registration { instance, checks, replace_existing_checks: true };
    catalog.submit(Change::Register(Box::new(registration))).await;
}

#[tokio::test]
async fn its_checks_are_not_run_and_its_deadlines_do_not_pass() {
    let (address, requests) = http(|_| response("503 Service Unavailable", "")).await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, settings(0));
    let probed = (
        format!("http://{address}/"),
        definition(CheckKind::Http(Box::new(http_check())), MILLIS * 50, Duration::from_secs(1)),
    );
    let deadline = || (String::new(), CheckDefinition::unprobed(CheckKind::Deadline(MILLIS * 50)));
    let checks = |node: &str| {
        let passing = |(id, what)| told(node, Check { status: CheckStatus::Passing, ..check_of(id, what) });
        [("probed", probed.clone()), ("beat", deadline())].map(passing)
    };
    tell(&catalog, "n2", checks("n2").into()).await;
    for check in checks("n1") {
        catalog.submit(Change::RegisterCheck(Box::new(check))).await;
    }
    // One of our own tells when theirs would have passed, too.
    let own = Check { service_id: None, status: CheckStatus::Passing, ..check_of("own", deadline()) };
    catalog.submit(Change::RegisterCheck(Box::new(own))).await;
    catalog.until("ours has passed", |catalog| matches!(catalog.status("own"), Some((CheckStatus::Critical, _)))).await;
    tokio::time::timeout(MILLIS * 150, std::future::pending::<()>()).await.unwrap_err();
    assert_eq!((health.stats().watched(), requests.lock().unwrap().len()), (0, 0));
    for id in ["probed", "beat"] {
        assert_eq!(catalog.status(id).unwrap().0, CheckStatus::Passing, "{id}");
    }
    let heartbeat = health.deadlines().heartbeat(&key("beat"), CheckStatus::Critical, "");
    assert_eq!(heartbeat, Heartbeat::NotRenewable);
    health.shutdown().await;
}

#[tokio::test]
async fn its_instances_are_not_deregistered_for_being_critical() {
    let catalog = Catalog::start().await;
    let health = start(&catalog, settings(0));
    let after = |kind| CheckDefinition {
        deregister_critical_service_after: Some(MILLIS * 50),
        ..CheckDefinition::unprobed(kind)
    };
    let external = (String::new(), after(CheckKind::External));
    tell(&catalog, "n2", vec![told("n2", check_of("theirs", external))]).await;
    // A check that was added here is run here, and yet the instance is not ours.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let probed = CheckDefinition {
        interval: MILLIS * 50,
        timeout: Duration::from_secs(1),
        ..after(CheckKind::Tcp(Default::default()))
    };
    let added = Check { node: NodeName::new("n2").unwrap(), ..check_of("ours", (closed.to_string(), probed)) };
    catalog.submit(Change::RegisterCheck(Box::new(added))).await;
    let key = CheckKey { node: NodeName::new("n2").unwrap(), ..key("ours") };
    let refused = |catalog: &Catalog| {
        let snapshot = catalog.published.load();
        snapshot.catalog.check(&key).is_some_and(|entry| !entry.check.shown_output().is_empty())
    };
    catalog.until("ours has been probed", refused).await;
    let began = Instant::now();
    while began.elapsed() < MILLIS * 400 {
        assert!(refused(&catalog), "it stays");
        tokio::time::timeout(MILLIS * 10, std::future::pending::<()>()).await.unwrap_err();
    }
    assert_eq!(health.stats().watched(), 1);
    health.shutdown().await;
}
