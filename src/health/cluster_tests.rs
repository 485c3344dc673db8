//! What another machine told us is looked after there: here nothing is probed, renewed, reaped, damped or guarded of it. What is no
//! machine's is dealt out.

use std::time::{Duration, Instant};

use super::{
    testing::{Catalog, check_of, definition, http, http_check, key, response},
    tests::{settings, start},
    *,
};
use crate::{
    catalog::policy::ScriptChecks,
    catalog::{
        change::{Change, Origin},
        check::{Check, CheckDefinition, CheckKey, CheckKind, CheckStatus},
        node::Node,
        service::Instance,
    },
    health::deadlines::Heartbeat,
    publish::{
        feed::SourceStatus,
        machines::{Machine, runs},
    },
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

fn machine(name: &str) -> Machine {
    let node = Node::example(name);
    let (addresses, version) = (Arc::default(), Arc::from("1"));
    Machine { node: node.name, uuid: node.uuid, address: node.address, addresses, version }
}

/// Tells how the store is that machines share.
async fn store(catalog: &Catalog, away: Option<&str>) {
    let status = SourceStatus {
        name: "etcd".into(),
        origin: Origin::Cluster,
        synced: true,
        stale: false,
        away: away.map(Into::into),
    };
    catalog.feed.set_source(status).await.unwrap();
}

async fn until_watched(health: &Health, count: usize) {
    let began = Instant::now();
    while health.stats().watched() != count as u64 {
        let watched = health.stats().watched();
        assert!(began.elapsed() < Duration::from_secs(5), "{watched} checks are run, and {count} should be");
        tokio::time::timeout(MILLIS * 5, std::future::pending::<()>()).await.unwrap_err();
    }
}

#[tokio::test]
async fn checks_of_nodes_that_are_no_machines_are_dealt_out() {
    let (address, requests) = http(|_| response("200 OK", "")).await;
    let catalog = Catalog::start().await;
    let probed = || {
        let kind = CheckKind::Http(Box::new(http_check()));
        (format!("http://{address}/"), definition(kind, MILLIS * 50, Duration::from_secs(1)))
    };
    let ids: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    let script = CheckKind::Script(crate::catalog::check::ScriptCheck { args: ["true".into()].into() });
    let script = definition(script, MILLIS * 50, Duration::from_secs(1));
    let mut checks: Vec<Check> = ids.iter().map(|id| told("db", check_of(id, probed()))).collect();
    checks.push(told("db", check_of("script", (String::new(), script))));
    tell(&catalog, "db", checks).await;
    let health = start(&catalog, HealthSettings { scripts: ScriptChecks::All, ..settings(0) });
    let others = [machine("n2"), machine("n3")];
    let key = |id: &String| CheckKey { node: NodeName::new("db").unwrap(), ..key(id) };
    let share = |others: &[Machine]| {
        let own = NodeName::new("n1").unwrap();
        ids.iter().filter(|id| runs(&own, others, &key(id))).count()
    };
    // Before the store is followed nobody knows who runs what.
    catalog.feed.set_machines(others.to_vec()).await.unwrap();
    store(&catalog, Some("not reached yet")).await;
    until_watched(&health, 0).await;
    store(&catalog, None).await;
    assert!((1..20).contains(&share(&others)));
    until_watched(&health, share(&others)).await;
    // One goes, and what it ran is dealt out; then we are alone.
    for count in [1, 0] {
        catalog.feed.set_machines(others[..count].to_vec()).await.unwrap();
        until_watched(&health, share(&others[..count])).await;
    }
    assert_eq!(health.stats().watched(), ids.len() as u64, "but for the script, which is the node's own to run");
    catalog
        .until("all are probed", |catalog| {
            let snapshot = catalog.published.load();
            ids.iter().all(|id| {
                snapshot.catalog.check(&key(id)).is_some_and(|entry| entry.check.status == CheckStatus::Passing)
            })
        })
        .await;
    assert!(!requests.lock().unwrap().is_empty());
    // A nameplate comes to run on the node, and the store goes away.
    catalog.feed.set_machines(vec![machine("db")]).await.unwrap();
    until_watched(&health, 0).await;
    catalog.feed.set_machines(Vec::new()).await.unwrap();
    until_watched(&health, ids.len()).await;
    store(&catalog, Some("silent")).await;
    until_watched(&health, 0).await;
    health.shutdown().await;
}

#[tokio::test]
async fn what_we_run_for_all_machines_is_deregistered_for_being_critical() {
    let catalog = Catalog::start().await;
    store(&catalog, None).await;
    let health = start(&catalog, settings(0));
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let after = CheckDefinition {
        deregister_critical_service_after: Some(MILLIS * 50),
        ..definition(CheckKind::Tcp(Default::default()), MILLIS * 50, Duration::from_secs(1))
    };
    tell(&catalog, "db", vec![told("db", check_of("theirs", (closed.to_string(), after)))]).await;
    let web = crate::catalog::testing::key("db", "web-1");
    catalog.until("it is gone", |catalog| catalog.published.load().catalog.instance(&web).is_none()).await;
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
