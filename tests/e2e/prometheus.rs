//! Prometheus finds targets by our SRV and A records, and scrapes the server itself. Its configuration is that of
//! `docs/consumers.md`.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::{
    backends::Backends,
    fenced, http,
    sandbox::{Sandbox, scenario},
    server::serve,
    until::{SOON, until},
};

#[test]
fn prometheus_finds_all_targets_and_follows() {
    scenario("prometheus", |sandbox| {
        sandbox.needs(&["prometheus", "promtool"], "prometheus");
        sandbox.needs(&["curl"], "curl");
        let _backends = Backends::start(&[9000, 9001]);
        // On port 53 of 127.0.0.1 too, as the server does by itself where it may.
        let _server = serve(sandbox, "--ephemeral --forward off");
        sandbox.write("/etc/resolv.conf", "nameserver 127.0.0.1\n");
        sandbox.write("/etc/nsswitch.conf", "hosts: files dns\n");
        (1..=200).for_each(|n| register(n, 9000));

        let configuration = fenced::blocks(&fenced::page(fenced::CONSUMERS), "yaml").swap_remove(0);
        sandbox.write("prometheus.yml", &configuration);
        let listen = "--web.listen-address=127.0.0.1:9090 --storage.tsdb.path=prometheus";
        let _prometheus = sandbox.start("prometheus", &format!("prometheus --config.file=prometheus.yml {listen}"));
        let all: BTreeSet<u8> = (1..=200).collect();
        comes_to(sandbox, "web", &by_name(&all, 9000));
        comes_to(sandbox, "web-by-address", &by_address(&all));
        comes_to(sandbox, "nameplate", &BTreeSet::from(["http://7f000001.addr.internal:8500/metrics".to_owned()]));
        let metrics = http::request("GET", "/metrics", "").unwrap().body;
        let by_tcp = metrics.lines().find_map(|line| {
            line.strip_prefix("nameplate_dns_requests_total{proto=\"tcp\",type=\"SRV\"} ")?.parse::<f64>().ok()
        });
        assert!(by_tcp > Some(0.0), "what does not fit was asked for by TCP");

        // Half of them leave, one gets another port, one is new.
        (1..=100).for_each(|n| put(&format!("/v1/agent/service/deregister/web-{n}")));
        register(101, 9001);
        register(250, 9000);
        let mut named = by_name(&(102..=200).chain([250]).collect(), 9000);
        named.append(&mut by_name(&BTreeSet::from([101]), 9001));
        comes_to(sandbox, "web", &named);
        comes_to(sandbox, "web-by-address", &by_address(&(101..=200).chain([250]).collect()));

        until("all targets are up", UP_SOON, || {
            let down: Vec<_> = targets(sandbox).into_iter().filter(|target| target["health"] != "up").collect();
            down.is_empty().then_some(())
        });
        has_value(sandbox, "up{job=\"nameplate\"}", |value| value == 1.0);
        has_value(sandbox, "sum(nameplate_dns_requests_total{type=\"SRV\"})", |value| value > 0.0);
        has_value(sandbox, "nameplate_catalog_instances{job=\"nameplate\"}", |value| value == 102.0);
    });
}

#[test]
fn promtool_finds_no_fault_in_the_metrics() {
    scenario("promtool", |sandbox| {
        sandbox.needs(&["promtool"], "prometheus");
        sandbox.needs(&["curl"], "curl");
        sandbox.needs(&["dig"], "bind9-dnsutils");
        let _server = serve(sandbox, "--ephemeral --forward off --dns 127.0.0.1:8600");
        register(1, 9000);
        // What is counted by label is there once it has happened.
        for question in ["web A", "web.service.internal SRV", "none.service.internal A", "web.example A +tcp"] {
            sandbox.run(&format!("dig @127.0.0.1 -p 8600 {question}"));
        }
        for path in ["/metrics", "/v1/agent/metrics?format=prometheus"] {
            let checked = sandbox.attempt(&format!(
                "curl -sf 'http://127.0.0.1:8500{path}' >metrics && promtool check metrics <metrics"
            ));
            let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
            assert!(checked.status.success() && said.is_empty(), "{path}: {said}");
            let lines = std::fs::read_to_string(sandbox.file("metrics")).unwrap().lines().count();
            assert!(lines > 100, "{path} has {lines} lines");
        }
    });
}

/// Waits until a job has exactly these targets, whether they are up or not.
#[track_caller]
fn comes_to(sandbox: &Sandbox, job: &str, expected: &BTreeSet<String>) {
    until(&format!("{job} has its {} targets", expected.len()), FOUND_SOON, || {
        let found = targets(sandbox).into_iter().filter(|target| target["scrapePool"] == job);
        let found: BTreeSet<_> = found.map(|target| target["scrapeUrl"].as_str().unwrap().to_owned()).collect();
        (found == *expected).then_some(())
    });
}

/// Prometheus's list of targets; none until it answers.
fn targets(sandbox: &Sandbox) -> Vec<Value> {
    let answer = ask(sandbox, "targets?state=active", "");
    answer.map(|answer| answer["activeTargets"].as_array().unwrap().clone()).unwrap_or_default()
}

/// Waits until an expression has a value that is right.
#[track_caller]
fn has_value(sandbox: &Sandbox, expression: &str, is_right: impl Fn(f64) -> bool) {
    until(&format!("{expression} is right"), SOON, || {
        let answer = ask(sandbox, "query", &format!("--data-urlencode 'query={expression}'"))?;
        let value: f64 = answer["result"][0]["value"][1].as_str()?.parse().ok()?;
        is_right(value).then_some(())
    });
}

fn ask(sandbox: &Sandbox, path: &str, more: &str) -> Option<Value> {
    let output = sandbox.attempt(&format!("curl -s {more} 'http://127.0.0.1:9090/api/v1/{path}'"));
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(answer["data"].clone())
}

/// Targets by SRV: the name that spells the address.
fn by_name(numbers: &BTreeSet<u8>, port: u16) -> BTreeSet<String> {
    numbers.iter().map(|n| format!("http://7f0001{n:02x}.addr.internal:{port}/metrics")).collect()
}

/// Targets by A.
fn by_address(numbers: &BTreeSet<u8>) -> BTreeSet<String> {
    numbers.iter().map(|n| format!("http://127.0.1.{n}:9000/metrics")).collect()
}

#[track_caller]
fn register(number: u8, port: u16) {
    let address = format!("127.0.1.{number}");
    let body = json!({ "Name": "web", "ID": format!("web-{number}"), "Address": address, "Port": port });
    let response = http::request("PUT", "/v1/agent/service/register", &body.to_string()).unwrap();
    assert_eq!(response.status, 200, "{}", response.body);
}

#[track_caller]
fn put(path: &str) {
    assert_eq!(http::request("PUT", path, "").unwrap().status, 200, "{path}");
}

/// Most time until targets are found: two refreshes of the page, the first of which may be under way, and Prometheus's own 5 s
/// between two looks at what was found.
const FOUND_SOON: Duration = Duration::from_secs(25);

/// Most time until all were scraped: two of the page's intervals, and some for two busy cores.
const UP_SOON: Duration = Duration::from_secs(30);
