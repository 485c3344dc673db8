use serde_json::{Value, json};

use super::{
    super::{
        Deregister,
        fake::Fake,
        testing::{Document, running, settings, web},
    },
    *,
};
use crate::{
    catalog::{change::Change, check::CheckStatus, node::Node},
    publish::{
        publisher::{Publisher, Start},
        watch::WatchKey,
    },
};

/// A fake engine, a source that follows it, and a real publisher.
struct Bench {
    fake: Fake,
    feed: Feed,
    published: Arc<Published>,
    connection: watch::Receiver<Connection>,
    task: tokio::task::JoinHandle<()>,
}

async fn bench() -> Bench {
    bench_with(Fake::start("1.41"), Settings::clone(&settings())).await
}

async fn bench_with(fake: Fake, containers: Settings) -> Bench {
    let daemon = Daemon::Named(fake.endpoint());
    let start =
        Start { sources: DockerSource::initial_status(&daemon, false).into_iter().collect(), ..Start::example(1) };
    let (_, feed, published) = Publisher::start(start).unwrap();
    feed.submit(vec![Change::RegisterNode(Node::example("n1"))]).await.unwrap();
    let status = DockerSource::initial_status(&daemon, false);
    let (connection, task) = follow((daemon, status), containers, &feed, &published);
    Bench { fake, feed, published, connection, task }
}

fn follow(
    (daemon, status): (Daemon, Option<SourceStatus>),
    containers: Settings,
    feed: &Feed,
    published: &Arc<Published>,
) -> (watch::Receiver<Connection>, tokio::task::JoinHandle<()>) {
    let host = HostAddresses { v4: "192.0.2.101".parse().ok(), v6: None };
    let settings = DockerSettings { daemon, containers, host, stale_after: Duration::from_millis(200) };
    let (source, connection) = DockerSource::new(settings, status, feed.clone(), Arc::clone(published));
    (connection, tokio::spawn(source.run()))
}

/// The document of a container with this ID and name.
fn document(id: &str, document: Document) -> Value {
    document.with("Id", id.into()).with("Name", format!("/{id}").into()).value()
}

fn event(action: &str, id: &str, attributes: Value) -> Value {
    json!({"Type": "container", "Action": action, "Actor": {"ID": id, "Attributes": attributes}})
}

impl Bench {
    /// Docker's service IDs without their node, sorted; those that are critical have `!` behind them.
    fn ids(&self) -> Vec<String> {
        let snapshot = self.published.load();
        let keys = snapshot.catalog.of_origin(&settings().node, Origin::Docker);
        let text = |key: &crate::catalog::service::InstanceKey| {
            let is_critical = snapshot.catalog.instance(key).unwrap().status() == CheckStatus::Critical;
            format!("{}{}", key.id.as_str().trim_start_matches("n1:"), if is_critical { "!" } else { "" })
        };
        let mut ids: Vec<_> = keys.iter().map(text).collect();
        ids.sort();
        ids
    }

    /// Waits until these are Docker's service IDs.
    #[track_caller]
    fn until<'a>(&'a self, expected: &'a [&'a str]) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let mut services = self.published.register(WatchKey::Services);
            let mut checks = self.published.register(WatchKey::Checks);
            let latest = tokio::time::Instant::now() + PATIENCE;
            while self.ids() != expected {
                let changed = async {
                    tokio::select! { () = services.changed() => {}, () = checks.changed() => {} }
                };
                let in_time = tokio::time::timeout_at(latest, changed).await.is_ok();
                assert!(in_time, "{caller}: {:?}, not {expected:?}", self.ids());
            }
        }
    }

    /// Waits until the source is like this, and returns it.
    async fn until_source(&self, like: impl Fn(Option<&SourceStatus>) -> bool) {
        let mut sources = self.published.register(WatchKey::Sources);
        let is = || like(self.published.load().sources.iter().find(|source| &*source.name == NAME));
        let latest = tokio::time::Instant::now() + PATIENCE;
        while !is() {
            let in_time = tokio::time::timeout_at(latest, sources.changed()).await.is_ok();
            assert!(in_time, "{:?}", self.published.load().sources);
        }
    }

    /// Waits until something is asked for whose path has this in it.
    async fn until_asked(&self, part: &str) {
        let latest = Instant::now() + PATIENCE;
        while !self.fake.asked().iter().any(|path| path.contains(part)) {
            assert!(Instant::now() < latest, "{:?}", self.fake.asked());
            tokio::task::yield_now().await;
        }
    }

    /// Starts a container and tells so.
    fn start(&self, id: &str) {
        self.fake.put(document(id, web()));
        self.fake.tell(&event("start", id, json!({})));
    }
}

fn is_synced(status: Option<&SourceStatus>) -> bool {
    status.is_some_and(|status| status.synced && !status.stale)
}

#[tokio::test]
async fn what_runs_is_registered_and_followed() {
    let fake = Fake::start("1.41");
    fake.put(document("a", web()));
    fake.put(document("b", web().exited(0)));
    let bench = bench_with(fake, settings()).await;
    bench.until(&["a:80"]).await;
    bench.until_source(is_synced).await;
    bench.start("b");
    bench.until(&["a:80", "b:80"]).await;
    bench.fake.tell(&event("kill", "a", json!({"signal": "15"})));
    bench.until(&["a:80!", "b:80"]).await;
    // Its document is still that of a running container when the event comes.
    bench.fake.tell(&event("die", "a", json!({"exitCode": "143"})));
    bench.until(&["b:80"]).await;
    bench.fake.put(document("a", web().exited(143)));
    bench.fake.put(document("b", web().state("paused")));
    bench.fake.tell(&event("pause", "b", json!({})));
    bench.until(&["b:80!"]).await;
    bench.fake.remove("b");
    bench.fake.tell(&event("destroy", "b", json!({})));
    bench.until(&[]).await;
    bench.task.abort();
}

#[tokio::test]
async fn a_healthcheck_is_told_by_its_event() {
    let bench = bench().await;
    let with_health = |status: &str| document("a", web().with("State.Health", json!({"Status": status, "Log": []})));
    bench.fake.put(with_health("starting"));
    bench.until_source(is_synced).await;
    bench.fake.tell(&event("start", "a", json!({})));
    bench.until(&["a:80!"]).await;
    for (status, expected) in [("healthy", "a:80"), ("unhealthy", "a:80!"), ("healthy", "a:80")] {
        bench.fake.put(with_health(status));
        bench.fake.tell(&event(&format!("health_status: {status}"), "a", json!({})));
        bench.until(&[expected]).await;
    }
}

#[tokio::test]
async fn a_daemon_that_goes_away_keeps_its_services_and_is_read_anew_when_it_is_back() {
    let mut bench = bench().await;
    bench.start("a");
    bench.start("b");
    bench.until(&["a:80", "b:80"]).await;
    bench.until_source(is_synced).await;
    bench.fake.go_away();
    bench.until_source(|status| status.is_some_and(|status| status.synced && status.stale)).await;
    assert_eq!(bench.ids(), ["a:80", "b:80"]);
    assert!(matches!(&*bench.connection.borrow(), Connection::Away(problem) if problem.contains("docker.sock")));
    bench.fake.remove("a");
    bench.fake.put(document("c", web()));
    let back = Instant::now();
    bench.fake.come_back();
    bench.until(&["b:80", "c:80"]).await;
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
    bench.until_source(is_synced).await;
}

#[tokio::test]
async fn the_last_that_was_heard_of_a_daemon_that_goes_away_is_true() {
    let mut bench = bench().await;
    bench.start("a");
    bench.start("b");
    bench.until(&["a:80", "b:80"]).await;
    bench.until_source(is_synced).await;
    bench.fake.tell(&event("die", "a", json!({"exitCode": "0"})));
    bench.fake.end_events();
    bench.until(&["b:80"]).await;
}

#[tokio::test]
async fn an_event_that_was_never_told_is_made_up_for_by_the_next_list() {
    let bench = bench().await;
    bench.until_source(is_synced).await;
    // The second list comes a second after the first.
    bench.fake.put(document("a", web()));
    bench.until(&["a:80"]).await;
}

#[tokio::test]
async fn what_comes_and_goes_at_once_is_not_missed() {
    let bench = bench().await;
    bench.until_source(is_synced).await;
    let ids: Vec<String> = (0..500).map(|number| format!("c{number:03}")).collect();
    for id in &ids {
        bench.start(id);
    }
    for id in &ids[..400] {
        bench.fake.remove(id);
        bench.fake.tell(&event("die", id, json!({"exitCode": "0"})));
        bench.fake.tell(&event("destroy", id, json!({})));
    }
    let left: Vec<String> = ids[400..].iter().map(|id| format!("{id}:80")).collect();
    bench.until(&left.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let asked = bench.fake.asked();
    let most = ids.iter().map(|id| asked.iter().filter(|path| path.contains(id.as_str())).count()).max().unwrap();
    assert!(most <= 5, "a container was asked for {most} times");
}

#[tokio::test]
async fn more_events_than_wait_are_made_up_for() {
    let bench = bench().await;
    bench.until_source(is_synced).await;
    // Nobody else runs between these, so that they wait all at once.
    for number in 0..4_000 {
        bench.fake.tell(&event("update", &format!("x{number}"), json!({})));
    }
    bench.start("a");
    bench.until(&["a:80"]).await;
}

#[tokio::test]
async fn a_container_of_which_nobody_is_told_holds_up_no_other() {
    let fake = Fake::start("1.41");
    fake.put(document("a", web()));
    fake.hang("a");
    for number in 0..20 {
        fake.put(document(&format!("h{number}"), web()));
        fake.hang(&format!("h{number}"));
    }
    let bench = bench_with(fake, settings()).await;
    bench.until_asked("/h14/").await;
    // Nothing is registered: the first list is not complete. But it is asked for.
    bench.start("z");
    bench.until_asked("/z/").await;
    assert!(bench.ids().is_empty());
}

#[tokio::test]
async fn networks_that_nobody_may_read_are_done_without() {
    let fake = Fake::start("1.41");
    fake.set_networks(None);
    fake.put(document("a", web()));
    let bench = bench_with(fake, settings()).await;
    bench.until(&["a:80"]).await;
    bench.until_source(is_synced).await;
}

#[tokio::test]
async fn a_network_that_a_container_is_connected_to_is_read_first() {
    let bench = bench().await;
    bench.start("a");
    bench.until(&["a:80"]).await;
    bench.until_source(is_synced).await;
    bench.fake.set_networks(Some(vec![json!({"Name": "lan", "Driver": "macvlan", "IPAM": {"Config": []}})]));
    bench.fake.put(document("m", running("m", "nginx").on("lan", "192.0.2.9/24").expose("81/tcp")));
    bench
        .fake
        .tell(&json!({"Type": "network", "Action": "connect", "Actor": {"ID": "n", "Attributes": {"container": "m"}}}));
    bench.until(&["a:80", "m:81"]).await;
    let reached = || {
        let key = crate::catalog::testing::key("n1", "n1:m:81");
        bench.published.load().catalog.instance(&key).is_some_and(|entry| entry.instance.address.is_some())
    };
    let mut services = bench.published.register(WatchKey::Services);
    while !reached() {
        tokio::time::timeout(PATIENCE, services.changed()).await.expect("everybody reaches it");
    }
}

#[tokio::test]
async fn what_was_deregistered_for_being_critical_too_long_stays_away_until_the_next_start() {
    let bench = bench().await;
    bench.start("a");
    bench.start("b");
    bench.until(&["a:80", "b:80"]).await;
    let key = crate::catalog::testing::key("n1", "n1:a:80");
    bench.feed.submit(vec![Change::Deregister { key, origin: Origin::Docker }]).await.unwrap();
    // A list, and an event of another container.
    bench.fake.tell(&json!({"Type": "daemon", "Action": "reload", "Actor": {"ID": "d"}}));
    bench.start("c");
    bench.until(&["b:80", "c:80"]).await;
    bench.fake.put(document("a", web().state("paused")));
    bench.fake.tell(&event("pause", "a", json!({})));
    bench.start("d");
    bench.until(&["b:80", "c:80", "d:80"]).await;
    bench.fake.put(document("a", web().with("State.StartedAt", "2".into())));
    bench.fake.tell(&event("start", "a", json!({})));
    bench.until(&["a:80", "b:80", "c:80", "d:80"]).await;
}

#[tokio::test]
async fn a_socket_that_was_only_found_is_not_waited_for_if_it_is_forbidden_or_gone() {
    let fake = Fake::start("1.41");
    let daemon = Daemon::Found(vec![Endpoint::Unix("/nonexistent/docker.sock".into()), fake.endpoint()]);
    let status = DockerSource::initial_status(&daemon, false);
    assert!(status.as_ref().is_some_and(|status| !status.synced));
    let nowhere = Daemon::Found(vec![Endpoint::Unix("/nonexistent/docker.sock".into())]);
    assert_eq!(DockerSource::initial_status(&nowhere, false), None);
    let on_disk = DockerSource::initial_status(&nowhere, true).unwrap();
    assert!(on_disk.synced && on_disk.stale, "what is known from disk is old");
    let mut bench = bench_with(fake, settings()).await;
    bench.task.abort();
    bench.fake.go_away();
    let (connection, _task) = follow((daemon, status), settings(), &bench.feed, &bench.published);
    bench.connection = connection;
    bench.until_source(|status| status.is_none()).await;
    assert_eq!(*bench.connection.borrow(), Connection::Absent);
    bench.fake.come_back();
    bench.until_source(is_synced).await;
}

#[tokio::test]
async fn with_on_success_what_a_failed_container_had_stays_over_a_restart() {
    let containers = Settings { deregister: Deregister::OnSuccess, ..settings() };
    let mut bench = bench_with(Fake::start("1.41"), containers.clone()).await;
    for id in ["a", "b", "c"] {
        bench.start(id);
    }
    bench.until(&["a:80", "b:80", "c:80"]).await;
    bench.until_source(is_synced).await;
    bench.task.abort();
    bench.fake.put(document("a", web().exited(3)));
    bench.fake.put(document("b", web().exited(0)));
    bench.fake.put(document("d", web().exited(3)));
    let daemon = Daemon::Named(bench.fake.endpoint());
    let status = DockerSource::initial_status(&daemon, true);
    let (connection, task) = follow((daemon, status), containers, &bench.feed, &bench.published);
    (bench.connection, bench.task) = (connection, task);
    bench.until(&["a:80!", "c:80"]).await;
    bench.until_source(is_synced).await;
    bench.fake.remove("a");
    bench.fake.tell(&event("destroy", "a", json!({})));
    bench.until(&["c:80"]).await;
}

#[test]
fn a_daemon_elsewhere_has_its_own_address_and_no_networks_of_ours() {
    let check = |url: &str, v4: Option<&str>, mode: AddressMode| {
        let host = HostAddresses { v4: "192.0.2.101".parse().ok(), v6: None };
        let daemon = Daemon::Named(url.parse().unwrap());
        let settings = DockerSettings { daemon, containers: settings(), host, stale_after: Duration::from_secs(30) };
        let settings = elsewhere(settings);
        assert_eq!(
            (settings.host.v4, settings.containers.address),
            (v4.map(|text| text.parse().unwrap()), mode),
            "{url}"
        );
    };
    check("unix:///x", Some("192.0.2.101"), AddressMode::Auto);
    check("tcp://127.0.0.1:2375", Some("192.0.2.101"), AddressMode::Auto);
    check("tcp://192.0.2.101:2375", Some("192.0.2.101"), AddressMode::Auto);
    check("tcp://192.0.2.7:2375", Some("192.0.2.7"), AddressMode::Host);
    check("tcp://docker.example:2375", None, AddressMode::Host);
}

/// A source that does not run, of a daemon that nobody can read.
async fn idle(daemon: Daemon, is_on_disk: bool) -> (DockerSource, Arc<Published>) {
    let status = DockerSource::initial_status(&daemon, is_on_disk);
    let start = Start { sources: status.clone().into_iter().collect(), ..Start::example(1) };
    let (_, feed, published) = Publisher::start(start).unwrap();
    let host = HostAddresses::default();
    let settings = DockerSettings { daemon, containers: settings(), host, stale_after: Duration::from_secs(40) };
    (DockerSource::new(settings, status, feed, Arc::clone(&published)).0, published)
}

/// Synced and stale of the source, this long after it was first found away, which was at its start.
async fn after_away(source: &mut DockerSource, published: &Published, seconds: u64) -> Option<(bool, bool)> {
    let error = SessionError::Ended("unix:///docker.sock".to_owned());
    let now = source.started + Duration::from_secs(seconds);
    assert_eq!(source.away(now, Some(&error)).await, Server::Running);
    published.load().sources.first().map(|status| (status.synced, status.stale))
}

#[tokio::test]
async fn a_daemon_that_was_only_found_is_waited_for_for_30_s_and_one_that_is_named_for_ever() {
    let fake = Fake::start("1.41");
    let (mut source, published) = idle(Daemon::Found(vec![fake.endpoint()]), false).await;
    assert_eq!(after_away(&mut source, &published, 0).await, Some((false, false)));
    assert_eq!(after_away(&mut source, &published, 29).await, Some((false, false)));
    assert_eq!(after_away(&mut source, &published, 30).await, None);
    assert_eq!(after_away(&mut source, &published, 99).await, None);
    let (mut source, published) = idle(Daemon::Named(fake.endpoint()), false).await;
    assert_eq!(after_away(&mut source, &published, 0).await, Some((false, false)));
    assert_eq!(after_away(&mut source, &published, 99).await, Some((false, true)));
}

#[tokio::test]
async fn what_is_known_from_disk_stays_and_is_stale_from_the_start() {
    let nowhere = Endpoint::Unix("/nonexistent/docker.sock".into());
    let (mut source, published) = idle(Daemon::Found(vec![nowhere]), true).await;
    assert_eq!(after_away(&mut source, &published, 0).await, Some((true, true)));
    assert_eq!(after_away(&mut source, &published, 99).await, Some((true, true)));
}

#[test]
fn people_are_told_how_it_is() {
    let connected = |containers, services| {
        Connection::Connected { daemon: "unix:///x, API 1.41".to_owned(), containers, services }.to_string()
    };
    assert_eq!(connected(1, 2), "unix:///x, API 1.41: 1 container with 2 services");
    assert_eq!(connected(0, 1), "unix:///x, API 1.41: 0 containers with 1 service");
    assert_eq!(Connection::Absent.to_string(), "no daemon found (--docker URL names one)");
}

/// Longest wait for what comes at once on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(20);
