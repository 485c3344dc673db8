//! Commands that keep to the contract of Nagios's plugins: those of monitoring-plugins, about nginx and a DNS server; and systemd's
//! units, by a `systemctl` of the scenario's own.

use serde_json::json;

use super::{Check, STARTED, Server, Watched, certificates, nameplate, shown, web};
use crate::{
    sandbox::scenario,
    server::{OUTSIDE, UPSTREAM, upstream},
    until::SOON,
};

#[test]
fn a_check_says_what_a_plugin_says() {
    scenario("checks-plugins", |sandbox| {
        sandbox.needs(&[&format!("{PLUGINS}/check_http")], "monitoring-plugins-basic");
        sandbox.needs(&[&format!("{PLUGINS}/check_dns")], "monitoring-plugins-standard");
        sandbox.needs(&["nslookup"], "bind9-dnsutils");
        certificates(sandbox);
        let _server = nameplate(sandbox, "");
        let servers = vec![web::nginx(sandbox), Server::new("$(cat upstream.pid)", || upstream(sandbox))];
        let mut watched = Watched::start(sandbox, servers, plugins());
        watched.hang();
        watched.end();
    });
}

fn plugins() -> Vec<Check> {
    let script = |line: String| json!({ "ScriptArgs": format!("{PLUGINS}/{line}").split(' ').collect::<Vec<_>>() });
    let http = |options: &str| {
        let (host, port) = web::HTTP.split_once(':').unwrap();
        script(format!("check_http -I {host} -p {port} {options}"))
    };
    let (name, address) = OUTSIDE;
    let dns = |options: &str| script(format!("check_dns -s {UPSTREAM} -H {name} {options}"));
    // By their own timeout; by that of the check.
    let (silent, stopped) = (("critical", "time"), ("critical", "timed out after 2s"));
    vec![
        Check::new("http", http("-t 1 -u /"), "second response time\nperfdata: time=").hanging(silent),
        Check::new("http-none", http("-t 1 -u /none"), "").in_place(("warning", "404 Not Found")).hanging(silent),
        Check::always("http-broken", http("-t 1 -u /broken"), ("critical", "500 Internal Server Error")),
        Check::new("dns", dns(&format!("-t 1 -a {address}")), "returns 198.51.100.7\nperfdata: time=").hanging(silent),
        Check::always("dns-other", dns("-t 1 -a 198.51.100.8"), ("critical", "expected '198.51.100.8'")),
        // These would wait for longer than they may.
        Check::new("http-patient", http("-t 60 -u /"), "HTTP OK").hanging(stopped),
        Check::new("dns-patient", dns("-t 60"), "DNS OK").hanging(stopped),
    ]
}

#[test]
fn a_check_says_what_systemctl_says() {
    scenario("checks-units", |sandbox| {
        sandbox.write("bin/systemctl", SYSTEMCTL);
        sandbox.run("chmod +x bin/systemctl");
        let unit_is = |state: &str| {
            sandbox.write("unit.new", state);
            sandbox.run("mv unit.new unit");
        };
        unit_is("active");
        let _server = nameplate(sandbox, "");
        Check::always("unit", json!({ "OSService": "web.service" }), ("passing", "")).register();
        for (state, status) in [
            ("active", "passing"),
            ("failed", "critical"),
            ("activating", "warning"),
            ("active", "passing"),
            ("inactive", "critical"),
        ] {
            unit_is(state);
            shown(&[("unit", (status, &format!("unit web.service: {state}")))], STARTED);
        }
        unit_is("active");
        shown(&[("unit", ("passing", "unit web.service: active"))], SOON);
        unit_is("hanging");
        shown(&[("unit", ("critical", "systemctl timed out after 2s"))], SOON);
    });
}

/// Where Debian has them.
const PLUGINS: &str = "/usr/lib/nagios/plugins";

/// Says what the scenario wrote, with the status that systemctl(1) has for it.
const SYSTEMCTL: &str = r#"#!/bin/sh
[ "$*" = 'is-active -- web.service' ] || exit 64
state=$(cat "${0%/*}/../unit")
[ "$state" != hanging ] || exec sleep 1000
echo "$state"
[ "$state" = active ] || exit 3
"#;
