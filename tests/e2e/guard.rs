//! Twenty machines behind a gateway: the link to them all is lost, or they all die.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use crate::{
    dns::{A, Asker},
    http,
    sandbox::{Process, Sandbox, scenario},
    server::serve,
    until::{SOON, until},
};

#[test]
fn nothing_leaves_while_the_link_is_away_and_back_in_time() {
    scenario("guard-link", |sandbox| {
        let mut asker = begin(sandbox, "60s");
        sandbox.run("ip link set near down");
        until("all are held", SOON, || (held() == FARS.len()).then_some(()));
        until("all are answered", SOON, || is_full(&mut asker).then_some(()));
        let told = sandbox.run("dig @127.0.0.1 -p 8600 web.service.internal A");
        assert!(told.contains("EDE: 3 (Stale Answer): (checks held: we may be cut off)"), "{told}");
        assert!(log(sandbox).contains("no reference target answers: we may be cut off"), "{}", log(sandbox));
        let checks = http::read("/v1/health/checks/web");
        let checks = checks.as_array().unwrap();
        assert_eq!(checks.len(), FARS.len());
        for check in checks {
            assert!(check["Output"].as_str().unwrap().starts_with("held: "), "{check}");
            assert_eq!(check["Status"], "passing");
        }
        assert_eq!(http::read("/v1/agent/self")["Stats"]["catalog"]["checks_held"], FARS.len().to_string());

        sandbox.run(&format!("ip link set near up && ip route replace default via {GATEWAY}"));
        until("none is held", SOON, || {
            assert!(is_full(&mut asker), "one has left while the link came back");
            (held() == 0).then_some(())
        });
        assert!(is_full(&mut asker));
        until("the log says so", SOON, || log(sandbox).contains("no check is held any more").then_some(()));
        until("answers tell no more", SOON, || {
            let told = sandbox.run("dig @127.0.0.1 -p 8600 web.service.internal A");
            (!told.contains("EDE: 3")).then_some(())
        });
    });
}

#[test]
fn all_leave_when_the_link_is_away_for_too_long() {
    scenario("guard-long", |sandbox| {
        let mut asker = begin(sandbox, "8s");
        let cut = Instant::now();
        sandbox.run("ip link set near down");
        until("all are held", SOON, || (held() == FARS.len()).then_some(()));
        until("they are let go", SOON, || (held() == 0).then_some(()));
        assert!(cut.elapsed() >= Duration::from_secs(8), "{:?}", cut.elapsed());
        until("all are out", SOON, || is_empty(&mut asker).then_some(()));
    });
}

#[test]
fn all_leave_at_once_when_they_die_and_the_gateway_answers() {
    scenario("guard-dead", |sandbox| {
        let mut asker = begin(sandbox, "60s");
        let died = Instant::now();
        // The machines, not what runs on them: nothing answers any more, not even with a refusal.
        sandbox.run("for n in $(seq 101 120); do ip -n far address delete 192.0.2.$n/24 dev far; done");
        until("all are out", SOON, || is_empty(&mut asker).then_some(()));
        let took = died.elapsed();
        assert!(took < LEFT_WITHIN, "{took:?}");
        assert_eq!(held(), 0);
        assert!(log(sandbox).contains(&format!("gateway {GATEWAY} answers: ")), "{}", log(sandbox));
    });
}

/// Twenty machines with a service on each behind a gateway, and a server that finds all of them passing.
fn begin(sandbox: &Sandbox, hold: &str) -> Asker {
    sandbox.needs(&["dig"], "bind9-dnsutils");
    sandbox.run(&format!(
        "ip netns add far
         ip link add near type veth peer name far netns far
         ip address add 192.0.2.1/24 dev near
         ip -n far link set lo up
         ip -n far address add {GATEWAY}/24 dev far
         for n in $(seq 101 120); do ip -n far address add 192.0.2.$n/24 dev far; done
         ip -n far link set far up
         ip link set near up
         ip route add default via {GATEWAY}"
    ));
    let listen = "--dns 127.0.0.1:5300 --http 0.0.0.0:80";
    keep(sandbox.start("far", &format!("ip netns exec far nameplate serve --ephemeral --forward off {listen}")));
    sandbox.write("nameplate.toml", &format!("mass_failure_hold = \"{hold}\"\n"));
    keep(serve(sandbox, "-c nameplate.toml --ephemeral --forward off"));
    for number in FARS {
        let body = format!(
            r#"{{"ID": "web-{number}", "Name": "web", "Address": "192.0.2.{number}", "Port": 80,
                "Check": {{"TCP": "192.0.2.{number}:80", "Interval": "1s", "Timeout": "1s"}}}}"#
        );
        let response = http::request("PUT", "/v1/agent/service/register", &body).unwrap();
        assert_eq!(response.status, 200, "{}", response.body);
    }
    let mut asker = Asker::new((Ipv4Addr::LOCALHOST, 8600));
    until("all pass", SOON, || is_full(&mut asker).then_some(()));
    asker
}

/// Leaves a process to the sandbox, with which it ends.
fn keep(process: Process<'_>) {
    std::mem::forget(process);
}

fn answered(asker: &mut Asker) -> Vec<IpAddr> {
    asker.ask("web.service.internal", A).unwrap().addresses
}

fn is_full(asker: &mut Asker) -> bool {
    answered(asker).len() == FARS.len()
}

fn is_empty(asker: &mut Asker) -> bool {
    answered(asker).is_empty()
}

/// How many checks are held, as the metrics tell.
fn held() -> usize {
    let metrics = http::request("GET", "/metrics", "").unwrap().body;
    let value = metrics.lines().find_map(|line| line.strip_prefix("nameplate_checks_held "));
    value.unwrap().parse().unwrap()
}

fn log(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.file("nameplate.log")).unwrap()
}

/// The gateway of the default route.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);

/// The last bytes of the machines' addresses.
const FARS: std::ops::RangeInclusive<u8> = 101..=120;

/// Most time until all are out: the interval, 5 % of it, the timeout of a probe, and a second for asking and publishing.
const LEFT_WITHIN: Duration = Duration::from_millis(1000 + 50 + 1000 + 1000);
