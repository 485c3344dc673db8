//! Many containers at once, a daemon that goes away, and how long a start and a stop take to be answered.

use std::{
    collections::BTreeSet,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    containers::{HOST, Inside, LOOPBACK, gone, outside, sought, watched},
    dns::{A, Asker, NOERROR},
    dockerd::Docker,
    http, images,
    sandbox::{scenario, scenario_alone},
    server::Place,
    until::{SOON, until},
};

#[test]
fn nothing_is_missed_when_many_containers_start_and_die_at_once() {
    churn("container-churn", Place::Host);
}

#[test]
fn nothing_is_missed_by_a_server_in_a_container() {
    churn("container-churn-inside", Place::Container);
}

fn churn(name: &str, place: Place) {
    scenario(name, |sandbox| {
        let docker = Docker::start(sandbox, "").has_images();
        let _server = watched(&docker, place, "");
        docker.serves("steady", "-p 8080:80 -e SERVICE_NAME=steady");
        sought("steady.service.internal", &[HOST], &[8080]);
        let many = containers();
        let lost = thread::scope(|scope| {
            // Dropped, however the churn ends, the sender ends the watch.
            let (until_dropped, over) = sync_channel::<()>(0);
            let watched = scope.spawn(move || {
                let mut asker = Asker::new((LOOPBACK, 53));
                let (mut lost, mut answered) = (Vec::new(), Instant::now());
                while over.recv_timeout(Duration::from_millis(5)) == Err(RecvTimeoutError::Timeout) {
                    match asker.ask("steady.service.internal", A) {
                        Ok(answer) if answer.addresses.len() == 1 => answered = Instant::now(),
                        // On cores that are this busy a query may wait for long; a resolver asks again.
                        Err(_) if answered.elapsed() < SOON => {}
                        other => lost.push(other),
                    }
                }
                lost
            });
            // Every other one dies as soon as it runs.
            let script = format!(
                "seq 1 {many} | xargs -P 8 -I N sh -c '{} run -d --name cN -e SERVICE_NAME=pool {} sh -c \"[ $((N % 2)) = 0 ] || exit 1; \
                 exec sleep 100000\" >/dev/null || exit 255'",
                client(&docker),
                images::BUSYBOX
            );
            run_long(&docker, &script);
            let alive = until("half of them are left, by the daemon's own word", SOON, || {
                Some(running(&docker)).filter(|alive| alive.len() == usize::try_from(many / 2 + 1).unwrap())
            });
            // Well before the next list, so that it is the events that tell.
            let since = Instant::now();
            until("all that live are registered, and nobody else", SOON, || (registered() == alive).then_some(()));
            assert!(since.elapsed() < Duration::from_secs(5), "it took {:?}", since.elapsed());
            run_long(
                &docker,
                &format!("{} kill $({} ps -q --filter name=^/c) >/dev/null", client(&docker), client(&docker)),
            );
            until("only the first one is left", SOON, || (registered() == running(&docker)).then_some(()));
            gone("pool.service.internal");
            drop(until_dropped);
            watched.join().unwrap()
        });
        assert!(lost.is_empty(), "an instance that never stopped was missing {} times: {:?}", lost.len(), lost.first());
    });
}

#[test]
fn a_daemon_that_goes_away_takes_no_service_with_it() {
    away("container-daemon", Place::Host);
}

#[test]
fn a_daemon_that_goes_away_takes_no_service_with_it_from_a_server_in_a_container() {
    away("container-daemon-inside", Place::Container);
}

fn away(name: &str, place: Place) {
    scenario(name, |sandbox| {
        let docker = Docker::start(sandbox, "--live-restore").has_images();
        sandbox.write("data/stale.toml", "stale_after = \"2s\"\n");
        let file = if matches!(place, Place::Host) { "data/stale.toml" } else { "/data/stale.toml" };
        let _server = watched(&docker, place, &format!("--config {file}"));
        docker.serves("web", "-p 8080:80");
        docker.serves("short", "-p 8081:80");
        sought("web.service.internal", &[HOST], &[8080]);
        sought("short.service.internal", &[HOST], &[8081]);
        let pid = docker.run("inspect -f '{{.State.Pid}}' short");
        docker.kill();
        until("its data is marked stale", SOON, || {
            http::read("/v1/status/ready").to_string().contains("\"Stale\":true").then_some(())
        });
        // While nobody is there to tell, one ends.
        sandbox.run(&format!("kill -KILL {}", pid.trim()));
        for name in ["web", "short"] {
            let answer = outside(&format!("{name}.service.internal"), A);
            assert_eq!((answer.rcode, answer.addresses.len()), (NOERROR, 1), "the last known state is served");
        }
        let docker = Docker::start(sandbox, "--live-restore");
        let back = Instant::now();
        until("what ended meanwhile is gone", SOON, || {
            outside("short.service.internal", A).addresses.is_empty().then_some(())
        });
        assert!(back.elapsed() < Duration::from_secs(2), "it took {:?}", back.elapsed());
        sought("web.service.internal", &[HOST], &[8080]);
        docker.serves("late", "-p 8082:80");
        sought("late.service.internal", &[HOST], &[8082]);
    });
}

#[test]
fn a_start_and_a_stop_are_answered_soon() {
    times("container-times", Place::Host);
}

#[test]
fn a_start_and_a_stop_are_answered_soon_by_a_server_in_a_container() {
    times("container-times-inside", Place::Container);
}

fn times(name: &str, place: Place) {
    scenario_alone(name, |sandbox| {
        let docker = Docker::start(sandbox, "").has_images();
        let _server = watched(&docker, place, "");
        let inside = Inside::start(&docker);
        let (mut starts, mut stops) = (Vec::new(), Vec::new());
        for number in 1..=ROUNDS {
            let name = format!("s{number}");
            let query = format!("{name}.service.internal");
            let run = format!(
                "{} run -d --name {name} {} {PATIENT} >/dev/null && date +%s%N",
                client(&docker),
                images::BUSYBOX
            );
            let (returned, answered) =
                beside((inside.asker(), &query), true, || sandbox.run(&run).trim().parse().unwrap());
            starts.push(answered.saturating_sub(returned));
            // The daemon's own word for when it sent the signal: its client alone takes longer than what is measured.
            let kill = format!(
                "since=$(date +%s); {docker} kill -s TERM {name} >/dev/null; {docker} events --since $since --until $(date +%s.%N) \
                 --filter container={name} --filter event=kill --format '{{{{.TimeNano}}}}' | head -n 1",
                docker = client(&docker)
            );
            let (signalled, answered) =
                beside((inside.asker(), &query), false, || sandbox.run(&kill).trim().parse().unwrap());
            stops.push(answered.saturating_sub(signalled));
            sandbox.run(&format!("{} rm -f {name} >/dev/null", client(&docker)));
        }
        let start = percentiles("from the return of docker run to the first answer", starts);
        let stop = percentiles("from the stop signal to leaving the answers", stops);
        assert!(start <= START_MAX, "{start:?}");
        assert!(stop <= STOP_MAX, "{stop:?}");
    });
}

/// Does something while a name is asked for time and again, until it has an address, or none; returns what was done, and
/// when the first such answer came, in ns since 1970.
fn beside((mut asker, name): (Asker, &str), has_address: bool, what: impl FnOnce() -> u64) -> (u64, u64) {
    thread::scope(|scope| {
        let asked = scope.spawn(move || {
            let since = Instant::now();
            // A query that is lost on the way is asked again, as a resolver does; its time counts.
            while !asker.ask(name, A).is_ok_and(|answer| answer.addresses.is_empty() != has_address) {
                assert!(since.elapsed() < SOON, "{name} was not answered as awaited in {SOON:?}");
                pause(Duration::from_millis(1));
            }
            #[allow(clippy::disallowed_methods, reason = "it is compared with what other processes say")]
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
            u64::try_from(now.as_nanos()).expect("it is before 2554")
        });
        let done = what();
        (done, asked.join().unwrap())
    })
}

/// Prints the percentiles of spans in ns, and returns the 99th.
fn percentiles(what: &str, mut spans: Vec<u64>) -> Duration {
    spans.sort_unstable();
    let at = |percent: usize| Duration::from_nanos(spans[(spans.len() * percent).div_ceil(100).max(1) - 1]);
    println!("{what}: {} times, p50 {:?}, p90 {:?}, p99 {:?}", spans.len(), at(50), at(90), at(99));
    at(99)
}

/// The service IDs that Docker has registered, by the container's name in them.
fn registered() -> BTreeSet<String> {
    let services = http::read("/v1/agent/services");
    let ids = services.as_object().unwrap().keys();
    ids.filter_map(|id| Some(id.split(':').nth(1)?.to_owned())).collect()
}

/// The containers that run, by name, but for the server's own.
fn running(docker: &Docker<'_>) -> BTreeSet<String> {
    let names = docker.run("ps --format '{{.Names}}'");
    names.lines().filter(|name| *name != "nameplate").map(str::to_owned).collect()
}

fn client(docker: &Docker<'_>) -> String {
    docker.command("").trim().to_owned()
}

/// Runs a script that takes its time.
fn run_long(docker: &Docker<'_>, script: &str) {
    let output = docker.sandbox.attempt_for(LONG, script);
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

#[allow(clippy::disallowed_methods, reason = "what is looked at is in other processes, which wake nobody here")]
fn pause(span: Duration) {
    thread::sleep(span);
}

/// How many containers start at once.
fn containers() -> u32 {
    std::env::var("CONTAINERS").ok().and_then(|number| number.parse().ok()).unwrap_or(100)
}

/// Most time for starting or ending all of them. Source: none, chosen: 500 take two minutes on two cores.
const LONG: Duration = Duration::from_secs(300);

/// A program that takes its time to end.
const PATIENT: &str = "sh -c 'trap \"sleep 2; exit 0\" TERM; while :; do sleep 0.1; done'";

/// Starts and stops that are timed.
const ROUNDS: u32 = 100;

/// Most time from the return of `docker run` to the first answer, 99th percentile.
const START_MAX: Duration = Duration::from_millis(200);

/// Most time from a stop signal to leaving the answers, 99th percentile.
const STOP_MAX: Duration = Duration::from_millis(100);
