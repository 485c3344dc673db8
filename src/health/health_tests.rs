use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::io::AsyncWriteExt;

use super::{
    testing::{
        Catalog, check_of, definition, http, http_check, key, request, resolver, response, serve, silent, tcp_check,
        until,
    },
    *,
};
use crate::{
    catalog::{
        change::{Change, Origin},
        check::{Check, CheckDefinition, CheckKey, CheckKind, CheckStatus},
        names::CheckId,
        node::Node,
    },
    health::stats::ProbeResult,
};

const MILLIS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// No damping.
const OFF: DampingSettings = DampingSettings { changes: 0, window: SECOND, hold: SECOND, hold_max: SECOND };

pub(super) fn settings(restored_index: u64) -> HealthSettings {
    HealthSettings {
        node: NodeName::new("n1").unwrap(),
        restored_index,
        probes_in_flight_max: PROBES_IN_FLIGHT_MAX,
        probes_per_host_max: 64,
        damping: OFF,
        metrics: Arc::new(Metrics::new()),
        ca_bundle: None,
        scripts: ScriptChecks::default(),
        docker: Vec::new(),
        guard: None,
    }
}

pub(super) fn start(catalog: &Catalog, settings: HealthSettings) -> Health {
    Health::start(settings, catalog.feed.clone(), Arc::clone(&catalog.published), resolver())
}

/// An HTTP check of this address, every 100 ms.
fn http_at(address: std::net::SocketAddr) -> (String, CheckDefinition) {
    let kind = CheckKind::Http(Box::new(http_check()));
    (format!("http://{address}/"), definition(kind, 100 * MILLIS, SECOND))
}

fn tcp_at(address: std::net::SocketAddr) -> (String, CheckDefinition) {
    (address.to_string(), definition(CheckKind::Tcp(tcp_check()), 100 * MILLIS, SECOND))
}

/// The same with something else in its definition.
fn but(
    (target, mut definition): (String, CheckDefinition),
    change: impl Fn(&mut CheckDefinition),
) -> (String, CheckDefinition) {
    change(&mut definition);
    (target, definition)
}

fn is(id: &'static str, status: CheckStatus) -> impl Fn(&Catalog) -> bool {
    move |catalog| catalog.status(id).is_some_and(|(found, _)| found == status)
}

#[tokio::test]
async fn a_status_follows_its_target() {
    let status = Arc::new(Mutex::new("200 OK"));
    let shown = Arc::clone(&status);
    let (address, _) = http(move |_| response(*shown.lock().unwrap(), "body")).await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, settings(0));
    catalog.register("n1", vec![check_of("http", http_at(address))]).await;
    catalog.until("passing", is("http", CheckStatus::Passing)).await;
    assert!(catalog.status("http").unwrap().1.ends_with("200 OK Output: body"));
    *status.lock().unwrap() = "503 Service Unavailable";
    catalog.until("critical", is("http", CheckStatus::Critical)).await;
    *status.lock().unwrap() = "429 Too Many Requests";
    catalog.until("warning", is("http", CheckStatus::Warning)).await;
    let stats = health.stats();
    assert!(stats.probes(ProbeResult::Status(CheckStatus::Warning)) > 0);
    assert_eq!(stats.watched(), 1);
    health.shutdown().await;
}

#[tokio::test]
async fn a_new_check_is_probed_at_once() {
    let address = serve(|_| async {}).await;
    let catalog = Catalog::start().await;
    let hourly = |id| check_of(id, but(tcp_at(address), |it| it.interval = 3600 * SECOND));
    catalog.register("n1", vec![hourly("before")]).await;
    let _health = start(&catalog, settings(0));
    catalog.until("the first before the start", is("before", CheckStatus::Passing)).await;
    catalog.register("n1", vec![hourly("after")]).await;
    catalog.until("the one after the start", is("after", CheckStatus::Passing)).await;
}

#[tokio::test]
async fn after_a_restart_first_probes_are_spread_over_half_a_minute_at_most() {
    let (address, requests) = http(|_| response("200 OK", "")).await;
    let catalog = Catalog::start().await;
    let checks = (0..100)
        .map(|number| check_of(&format!("http-{number}"), but(http_at(address), |it| it.interval = 3600 * SECOND)));
    catalog.register("n1", checks.collect()).await;
    let health = start(&catalog, settings(catalog.published.load().index()));
    let asked = || requests.lock().unwrap().len();
    catalog.register("n1", vec![check_of("new", tcp_at(serve(|_| async {}).await))]).await;
    catalog.until("the new one", is("new", CheckStatus::Passing)).await;
    assert_eq!(health.stats().watched(), 101);
    assert!(asked() < 20, "three a second: {}", asked());
    // Over an hour there would be one in 36 s.
    until("some were asked", || asked() >= 4).await;
}

#[tokio::test]
async fn a_host_that_hangs_delays_no_other_and_all_its_checks_get_their_turn() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (is_back, asked) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(Mutex::new(HashSet::new())));
    let (counted, seen, waits, heard) = (open, Arc::clone(&most), Arc::clone(&is_back), Arc::clone(&asked));
    let hanging = serve(move |mut stream| {
        let (open, most) = (Arc::clone(&counted), Arc::clone(&seen));
        let (is_back, asked) = (Arc::clone(&waits), Arc::clone(&heard));
        async move {
            let path = request(&mut stream).await.split(' ').nth(1).map(str::to_owned);
            most.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
            drop(is_back.acquire().await);
            asked.lock().unwrap().insert(path);
            open.fetch_sub(1, SeqCst);
            let _ = stream.write_all(response("200 OK", "").as_bytes()).await;
        }
    })
    .await;
    let (quick, requests) = http(|_| response("200 OK", "")).await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, HealthSettings { probes_in_flight_max: 100, ..settings(0) });
    let (_, seldom) = but(http_at(hanging), |it| (it.interval, it.timeout) = (3600 * SECOND, 60 * SECOND));
    let hang = |number| check_of(&format!("hang-{number}"), (format!("http://{hanging}/{number}"), seldom.clone()));
    catalog.register("n1", (0..1000).map(hang).collect()).await;
    let stats = health.stats();
    until("as many hang as may", || stats.in_flight() == 64).await;
    let began = Instant::now();
    catalog.submit(Change::RegisterCheck(Box::new(check_of("quick", http_at(quick))))).await;
    until("ten probes of the other host", || requests.lock().unwrap().len() >= 10).await;
    assert!(began.elapsed() < 3 * SECOND, "an interval of 100 ms takes {:?}", began.elapsed() / 10);
    assert_eq!(most.load(SeqCst), 64);
    is_back.add_permits(tokio::sync::Semaphore::MAX_PERMITS / 2);
    until("all were asked", || asked.lock().unwrap().len() == 1000).await;
    assert_eq!(most.load(SeqCst), 64);
    health.shutdown().await;
}

#[tokio::test]
async fn checks_of_a_host_that_hangs_can_go_and_change_while_they_wait() {
    let hanging = silent().await;
    let quick = serve(|_| async {}).await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, HealthSettings { probes_per_host_max: 1, ..settings(0) });
    let hang = but(http_at(hanging), |it| it.timeout = 60 * SECOND);
    let all = ["first", "second", "third"].map(|id| check_of(id, hang.clone()));
    let [first, second, third] = all.clone();
    catalog.register("n1", vec![first.clone(), second.clone()]).await;
    let stats = health.stats();
    until("one hangs", || stats.in_flight() == 1 && stats.watched() == 2).await;
    catalog.submit(Change::RegisterCheck(Box::new(third))).await;
    catalog.submit(Change::RegisterCheck(Box::new(check_of("second", tcp_at(quick))))).await;
    catalog.until("it has another target", is("second", CheckStatus::Passing)).await;
    let gone = |check: &Check| Change::DeregisterCheck { key: check.key(), origin: check.origin };
    catalog.submit(gone(&first)).await;
    catalog.submit(gone(&second)).await;
    until("the third has its turn", || stats.in_flight() == 1 && stats.watched() == 1).await;
    health.shutdown().await;
}

#[tokio::test]
async fn no_check_delays_another() {
    let hanging = silent().await;
    let quick = serve(|_| async {}).await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, HealthSettings { probes_per_host_max: 200, ..settings(0) });
    let hang = but(http_at(hanging), |it| it.timeout = 60 * SECOND);
    catalog.register("n1", (0..200).map(|number| check_of(&format!("hang-{number}"), hang.clone())).collect()).await;
    let stats = health.stats();
    until("all hang", || stats.in_flight() == 200).await;
    let started = Instant::now();
    catalog.register("n1", vec![check_of("quick", tcp_at(quick))]).await;
    catalog.until("the quick one", is("quick", CheckStatus::Passing)).await;
    assert!(started.elapsed() < SECOND);
    health.shutdown().await;
}

#[tokio::test]
async fn no_more_probes_run_than_are_allowed() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, seen) = (Arc::clone(&open), Arc::clone(&most));
    let address = serve(move |mut stream| {
        let (open, most) = (Arc::clone(&counted), Arc::clone(&seen));
        async move {
            request(&mut stream).await;
            most.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::interval_at(tokio::time::Instant::now() + 20 * MILLIS, SECOND).tick().await;
            open.fetch_sub(1, SeqCst);
            let _ = stream.write_all(response("200 OK", "").as_bytes()).await;
        }
    })
    .await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, HealthSettings { probes_in_flight_max: 3, ..settings(0) });
    let hourly = but(http_at(address), |it| it.interval = 3600 * SECOND);
    catalog.register("n1", (0..20).map(|number| check_of(&format!("c{number}"), hourly.clone())).collect()).await;
    let all = (0..20).map(|number| format!("c{number}")).collect::<HashSet<_>>();
    let passing =
        |catalog: &Catalog, id: &String| catalog.status(id).is_some_and(|(found, _)| found == CheckStatus::Passing);
    catalog.until("all pass", |catalog| all.iter().all(|id| passing(catalog, id))).await;
    assert_eq!(most.load(SeqCst), 3);
    assert!(health.stats().lateness_sum() > Duration::ZERO);
}

#[tokio::test]
async fn the_probe_of_a_changed_check_counts_no_more() {
    let (first, asked) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (release, counted) = (Arc::clone(&first), Arc::clone(&asked));
    let slow = serve(move |mut stream| {
        let (release, asked) = (Arc::clone(&release), Arc::clone(&counted));
        async move {
            request(&mut stream).await;
            asked.fetch_add(1, SeqCst);
            release.notified().await;
            let _ = stream.write_all(response("200 OK", "old").as_bytes()).await;
        }
    })
    .await;
    let (new, _) = http(|_| response("500 Internal Server Error", "new")).await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, settings(0));
    let long = but(http_at(slow), |it| it.timeout = 60 * SECOND);
    catalog.register("n1", vec![check_of("http", long)]).await;
    until("the old probe runs", || asked.load(SeqCst) == 1).await;
    catalog.register("n1", vec![check_of("http", http_at(new))]).await;
    catalog
        .until("the new probe", |catalog| catalog.status("http").is_some_and(|(_, output)| output.ends_with("new")))
        .await;
    first.notify_waiters();
    let probes = |health: &Health| health.stats().probes(ProbeResult::Status(CheckStatus::Critical));
    let before = probes(&health);
    until("more probes", || probes(&health) > before + 2).await;
    assert_eq!(catalog.status("http").unwrap().0, CheckStatus::Critical);
    assert_eq!(health.stats().probes(ProbeResult::Status(CheckStatus::Passing)), 0);
}

#[tokio::test]
async fn a_deregistered_check_is_probed_no_more() {
    let (address, requests) = http(|_| response("200 OK", "")).await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, settings(0));
    catalog.register("n1", vec![check_of("http", http_at(address)), check_of("tcp", tcp_at(address))]).await;
    catalog.until("passing", is("http", CheckStatus::Passing)).await;
    catalog.submit(Change::DeregisterCheck { key: key("http"), origin: crate::catalog::change::Origin::Api }).await;
    let stats = health.stats();
    until("the scheduler knows", || stats.watched() == 1).await;
    let before = requests.lock().unwrap().iter().filter(|request| !request.is_empty()).count();
    let probes = stats.probes(ProbeResult::Status(CheckStatus::Passing));
    until("the other goes on", || stats.probes(ProbeResult::Status(CheckStatus::Passing)) > probes + 3).await;
    assert_eq!(requests.lock().unwrap().iter().filter(|request| !request.is_empty()).count(), before);
}

#[tokio::test]
async fn thresholds_hold_a_status_back() {
    let (address, requests) = http(|_| response("500 Internal Server Error", "")).await;
    let catalog = Catalog::start().await;
    let _health = start(&catalog, settings(0));
    let patient = but(http_at(address), |it| it.failures_before_critical = 4);
    let passing = Check { status: CheckStatus::Passing, ..check_of("http", patient.clone()) };
    catalog.register("n1", vec![passing]).await;
    // The first result counts at once.
    catalog.until("critical", is("http", CheckStatus::Critical)).await;
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_output_alone_is_not_published_with_each_probe() {
    let count = AtomicUsize::new(0);
    let count = Arc::new(count);
    let (address, requests) = http(move |_| response("200 OK", &count.fetch_add(1, SeqCst).to_string())).await;
    let catalog = Catalog::start().await;
    let _health = start(&catalog, settings(0));
    catalog.register("n1", vec![check_of("http", http_at(address))]).await;
    until("five probes", || requests.lock().unwrap().len() > 5).await;
    assert!(catalog.status("http").unwrap().1.ends_with("Output: 0"));
}

#[tokio::test]
async fn of_other_nodes_only_checks_with_probes_that_came_by_the_api_are_run() {
    let (address, requests) = http(|_| response("200 OK", "")).await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, settings(0));
    catalog.submit(Change::RegisterNode(Node::example("n2"))).await;
    let foreign = |id: &str, origin, definition| {
        let node = NodeName::new("n2").unwrap();
        Check { node, id: CheckId::new(id).unwrap(), origin, ..check_of(id, definition) }
    };
    let deadline = (String::new(), definition(CheckKind::Deadline(100 * MILLIS), SECOND, SECOND));
    let mirrored = foreign("mirrored", Origin::Registry, http_at(address));
    let told = foreign("told", Origin::Cluster, http_at(address));
    let external = foreign("external", Origin::Api, tcp_at(serve(|_| async {}).await));
    catalog.register("n2", vec![mirrored, told, external, foreign("ttl", Origin::Api, deadline)]).await;
    let far = CheckKey { node: NodeName::new("n2").unwrap(), id: CheckId::new("external").unwrap() };
    let status = |catalog: &Catalog| catalog.published.load().catalog.check(&far).map(|entry| entry.check.status);
    catalog.until("the other node's", |catalog| status(catalog) == Some(CheckStatus::Passing)).await;
    assert_eq!(health.stats().watched(), 1);
    assert_eq!(requests.lock().unwrap().len(), 0);
    catalog.submit(Change::DeregisterCheck { key: far, origin: Origin::Api }).await;
    until("it is watched no more", || health.stats().watched() == 0).await;

    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let reaped = but(tcp_at(closed), |it| it.deregister_critical_service_after = Some(200 * MILLIS));
    catalog.register("n2", vec![foreign("gone", Origin::Api, reaped)]).await;
    let node = NodeName::new("n2").unwrap();
    let is_empty = move |catalog: &Catalog| {
        catalog.published.load().catalog.node(&node).is_some_and(|node| node.instance_count() == 0)
    };
    catalog.until("critical too long", is_empty).await;
    assert!(catalog.has_instance(), "that of our node stays");
}

#[tokio::test]
async fn a_check_deadline_turns_critical_unless_renewed() {
    let catalog = Catalog::start().await;
    let health = start(&catalog, settings(0));
    let beat = (String::new(), CheckDefinition::unprobed(CheckKind::Deadline(300 * MILLIS)));
    let passing = Check { status: CheckStatus::Passing, ..check_of("beat", beat) };
    catalog.register("n1", vec![passing]).await;
    catalog.until("critical", is("beat", CheckStatus::Critical)).await;
    assert_eq!(catalog.status("beat").unwrap().1, "TTL expired");
    assert_eq!(health.stats().expired(), 1);
    let heartbeat = health.deadlines().heartbeat(&key("beat"), CheckStatus::Passing, "back");
    let deadlines::Heartbeat::Changed(result) = heartbeat else { panic!("{heartbeat:?}") };
    catalog.submit(Change::SetStatus { key: key("beat"), result }).await;
    assert_eq!(catalog.status("beat").unwrap().0, CheckStatus::Passing);
    catalog.until("critical again", is("beat", CheckStatus::Critical)).await;
    assert!(catalog.status("beat").unwrap().1.ends_with("back"));
}

#[tokio::test]
async fn an_instance_that_is_critical_too_long_is_deregistered() {
    let catalog = Catalog::start().await;
    let health = start(&catalog, settings(0));
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let reaped = but(tcp_at(closed), |it| it.deregister_critical_service_after = Some(500 * MILLIS));
    let started = Instant::now();
    catalog.register("n1", vec![check_of("tcp", reaped)]).await;
    catalog.until("gone", |catalog| !catalog.has_instance()).await;
    assert!(started.elapsed() >= 500 * MILLIS);
    let stats = health.stats();
    until("it is counted, and watched no more", || stats.watched() == 0 && stats.deregistered() == 1).await;
}

#[tokio::test]
async fn an_instance_that_passes_in_time_stays() {
    let up = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&up);
    // Two of three probes fail, so it is never critical for long.
    let (address, _) = http(move |_| {
        let good = counted.fetch_add(1, SeqCst) % 3 == 2;
        response(if good { "200 OK" } else { "500 Internal Server Error" }, "")
    })
    .await;
    let catalog = Catalog::start().await;
    let _health = start(&catalog, settings(0));
    let reaped = but(http_at(address), |it| it.deregister_critical_service_after = Some(2 * SECOND));
    catalog.register("n1", vec![check_of("http", reaped)]).await;
    until("thirty probes", || up.load(SeqCst) > 30).await;
    assert!(catalog.has_instance());
}

#[tokio::test]
async fn shutting_down_ends_probes_that_hang() {
    let hanging = silent().await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, settings(0));
    catalog.register("n1", vec![check_of("hang", but(http_at(hanging), |it| it.timeout = 60 * SECOND))]).await;
    let stats = health.stats();
    until("it hangs", || stats.in_flight() == 1).await;
    let ended = tokio::time::timeout(5 * SECOND, health.shutdown()).await;
    assert!(ended.is_ok());
}

#[tokio::test]
async fn a_check_that_goes_and_comes_in_one_moment_begins_anew() {
    let (address, requests) = http(|_| response("200 OK", "body")).await;
    let catalog = Catalog::start().await;
    let health = start(&catalog, settings(0));
    let seldom = check_of("http", but(http_at(address), |it| it.interval = 3600 * SECOND));
    let deadline = CheckDefinition::unprobed(CheckKind::Deadline(100 * MILLIS));
    let beat = Check { status: CheckStatus::Passing, ..check_of("beat", (String::new(), deadline)) };
    catalog.register("n1", vec![seldom.clone(), beat.clone()]).await;
    for round in 1..4 {
        catalog.until("probed", is("http", CheckStatus::Passing)).await;
        catalog.until("expired", is("beat", CheckStatus::Critical)).await;
        assert_eq!(requests.lock().unwrap().len(), round);
        let again = [seldom.clone(), beat.clone()].map(|check| {
            let gone = Change::DeregisterCheck { key: check.key(), origin: check.origin };
            [gone, Change::RegisterCheck(Box::new(check))]
        });
        catalog.feed.submit(again.into_iter().flatten().collect()).await.unwrap();
    }
    health.shutdown().await;
}

#[tokio::test]
async fn a_check_that_flaps_is_held_critical_and_then_its_last_result_counts_at_once() {
    let count = AtomicUsize::new(0);
    let calm = Arc::new(AtomicUsize::new(usize::MAX));
    let from = Arc::clone(&calm);
    let count = Arc::new(count);
    let (address, _) = http(move |_| {
        let number = count.fetch_add(1, SeqCst);
        let status = if number.is_multiple_of(2) || number > from.load(SeqCst) { "200 OK" } else { "500 No" };
        response(status, "said")
    })
    .await;
    let catalog = Catalog::start().await;
    let damping = DampingSettings { changes: 3, window: 60 * SECOND, hold: 3 * SECOND, hold_max: 60 * SECOND };
    let settings = HealthSettings { damping, ..settings(0) };
    let metrics = Arc::clone(&settings.metrics);
    let health = start(&catalog, settings);
    catalog.register("n1", vec![check_of("http", http_at(address))]).await;
    let held = |catalog: &Catalog| {
        let told = |output: &str| output.starts_with("held out until ") && output.contains(" UTC after 4 changes in ");
        catalog.status("http").is_some_and(|(status, output)| status == CheckStatus::Critical && told(&output))
    };
    catalog.until("it is held", held).await;
    assert!(catalog.status("http").unwrap().1.contains("; the last probe said: HTTP GET http://"));
    assert_eq!((metrics.checks_flapping.get(), metrics.check_holds.get()), (1, 1));
    calm.store(0, SeqCst);
    let began = Instant::now();
    catalog.until("it is let go", is("http", CheckStatus::Passing)).await;
    assert!(began.elapsed() > 500 * MILLIS, "it passed long before: {:?}", began.elapsed());
    assert!(catalog.status("http").unwrap().1.ends_with("Output: said"));
    until("that is counted", || metrics.checks_flapping.get() == 0).await;
    health.shutdown().await;
}
